package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Manifest tells a file, by its parts, to who has most of its sections: those that are plain are named by their sum, a
// line "= <sum>" each, unless lacks tells that the other one lacks them; what else there is comes as it is, behind a
// line "+ <bytes>". lacks may be nil.
func Manifest(parts []Part, lacks func(Sum) bool) []byte {
	b := make([]byte, 0, len(parts)*(len("= \n")+2*len(Sum{})))
	for i := range parts {
		p := &parts[i]
		if p.Plain {
			if sum := p.Sum(); lacks == nil || !lacks(sum) {
				b = append(hex.AppendEncode(append(b, "= "...), sum[:]), '\n')
				continue
			}
		}
		b = append(strconv.AppendInt(append(b, "+ "...), int64(len(p.Text)), 10), '\n')
		b = append(b, p.Text...)
	}
	return b
}

// ReadManifest gives the parts that a [Manifest] tells of, for [Join]. find gives the texts of sections, nil for those
// that are not there: they are lacking.
func ReadManifest(data []byte, find func(Sum) []byte) (parts []Part, lacking []Sum, err error) {
	parts = make([]Part, 0, len(data)/(len("= \n")+2*len(Sum{}))+1)
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		if len(line) < 3 || line[1] != ' ' {
			return nil, nil, errManifest
		}
		switch word := line[2:]; line[0] {
		case '=':
			sum, err := ParseSum(string(word))
			if err != nil {
				return nil, nil, err
			}
			if text := find(sum); text != nil {
				parts = append(parts, Part{Text: text, Plain: true, sum: sum, known: true})
			} else {
				lacking = append(lacking, sum)
			}
		case '+':
			n, err := strconv.ParseUint(string(word), 10, 32)
			if err != nil || n > uint64(len(data)) {
				return nil, nil, errManifest
			}
			parts = append(parts, Part{Text: data[:n:n]})
			data = data[n:]
		default:
			return nil, nil, errManifest
		}
	}
	return parts, lacking, nil
}

var errManifest = errors.New("what tells of the parts of a file is malformed")

// String gives the sum as [Manifest] writes it.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// ParseSum is the inverse of [Sum.String].
func ParseSum(text string) (s Sum, err error) {
	if len(text) != 2*len(s) {
		return s, fmt.Errorf("'%s' is not the sum of a section", text)
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return s, fmt.Errorf("'%s' is not the sum of a section", text)
	}
	return s, nil
}
