package ssl

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// Line is one line of a crt-list: a certificate, with what is said of it. Lines
// are never changed.
type Line struct {
	// Number is that of the line in its file, from 1; 0: it came at run time. Pos
	// is where it stands, for messages; without a line: in no file.
	Number int
	Pos    config.Pos
	// Name is the certificate's in the store, or the one of a bundle.
	Name string
	// Set is what stands in brackets, nil if nothing does; Words is its text.
	Set   *Settings
	Words []string
	// Filters are the names that it is for, "!" before those that it is not for;
	// none: those in the certificate.
	Filters []string
	// Files are what the line says of the files; Cert is set if it says anything.
	Files certs.Paths
	// OCSPUpdate is 1 for "ocsp-update on", -1 for off, 0: not said.
	OCSPUpdate int8
}

// String gives the line as it stands in a crt-list.
func (l *Line) String() string {
	s := l.Name
	if len(l.Words) > 0 {
		s += " [" + strings.Join(l.Words, " ") + "]"
	}
	for _, f := range l.Filters {
		s += " " + f
	}
	return s
}

// lineError is what is wrong with a line that stands in a file.
type lineError struct {
	pos config.Pos
	err error
}

// Error tells the line.
func (e *lineError) Error() string { return fmt.Sprintf("parsing [%s]: %s", e.pos, e.err) }

func (e *lineError) Unwrap() error { return e.err }

// fail adds to an error where the line stands.
func (l *Line) fail(err error) error {
	if l.Pos.Line == 0 {
		return err
	}
	return &lineError{l.Pos, err}
}

// Entry is a certificate in a crt-list. A bundle's line makes one for each of its
// certificates.
type Entry struct {
	*Line
	Cert *certs.Cert
}

// CrtList is a list of certificates that bind lines serve: a file, a folder, the
// lines "ssl-f-use" of a frontend.
type CrtList struct {
	Name    string
	entries atomic.Pointer[[]Entry]
	binds   []*Bind // that have it; under certs.Change
	// standard makes its certificates defaults (default-crt).
	standard bool
	// dir tells that it is a folder; last is the number of the last line; under
	// certs.Change.
	dir  bool
	last int
}

// Entries gives the entries in their order. They are not to be changed.
func (l *CrtList) Entries() []Entry {
	if p := l.entries.Load(); p != nil {
		return *p
	}
	return nil
}

// Bounds of crt-lists.
const (
	maxListLine  = 64 << 10 // bytes
	maxListWords = 2048     // of a line
	maxListLines = 1 << 20
)

// listWords are those of [Words] that may stand on a line of a crt-list.
var listWords = []string{"ciphers", "ciphersuites", "client-sigalgs", "curves", "ecdhe", "sigalgs", "ssl-min-ver", "ssl-max-ver"}

func init() {
	words := maps.Clone(settingArgs)
	for _, w := range listWords {
		words[w] = WordArgs(w)
	}
	conf.RegisterWords("crt-list", words)
}

// ParseCrtList reads a crt-list. name is for messages, which tell the line.
func ParseCrtList(name string, data []byte, d *Defaults) ([]*Line, error) {
	var list []*Line
	for no := 1; len(data) > 0; no++ {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		fail := func(err error) ([]*Line, error) {
			return nil, fmt.Errorf("parsing [%s:%d]: %w", name, no, err)
		}
		switch {
		case len(line) > maxListLine:
			return fail(fmt.Errorf("line too long, limit is %d characters", maxListLine))
		case bytes.IndexByte(line, 0) >= 0:
			return fail(fmt.Errorf("stray NUL character at position %d", bytes.IndexByte(line, 0)+1))
		case no > maxListLines:
			return fail(fmt.Errorf("too many lines, limit is %d", maxListLines))
		}
		if !ok {
			return fail(fmt.Errorf("Missing LF on last line, file might have been truncated at position %d", len(line)+1))
		}
		l, err := ParseCrtLine(string(line), d)
		if err != nil {
			return fail(err)
		}
		if l != nil {
			l.Number, l.Pos = no, config.Pos{File: name, Line: no}
			list = append(list, l)
		}
		data = rest
	}
	return list, nil
}

// ParseCrtLine reads one line of a crt-list (manual 5.1, "crt-list"). It gives
// nil for an empty line or a comment.
func ParseCrtLine(text string, d *Defaults) (*Line, error) {
	text = strings.TrimLeft(text, " \t\r\v\f")
	if text == "" || text[0] == '#' {
		return nil, nil
	}
	words, open, end, err := splitLine(text)
	if err != nil {
		return nil, err
	}
	l := &Line{Name: Path(d.CrtBase, words[0])}
	l.Filters = words[1:]
	if open > 0 {
		l.Words, l.Filters = words[open:end], words[end:]
		if err := l.options(d); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// splitLine takes a line into words. Those from open on, and before end, stand in
// brackets; open is 0 without them.
func splitLine(text string) (words []string, open, end int, err error) {
	begin := -1
	flush := func(i int) {
		if begin >= 0 {
			words = append(words, text[begin:i])
			begin = -1
		}
	}
	for i := range len(text) {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\v', '\f', '\n':
			flush(i)
		case '[':
			flush(i)
			switch {
			case open > 0:
				return nil, 0, 0, errors.New("too many '['")
			case len(words) == 0:
				return nil, 0, 0, errors.New("file must start with a cert")
			case len(words) > 1:
				return nil, 0, 0, errors.New("malformated line, filters can't be between filename and options!")
			}
			open = len(words)
		case ']':
			flush(i)
			switch {
			case end > 0:
				return nil, 0, 0, errors.New("too many ']'")
			case open == 0:
				return nil, 0, 0, errors.New("missing '['")
			}
			end = len(words)
		default:
			if begin < 0 {
				begin = i
			}
		}
		if len(words) > maxListWords {
			return nil, 0, 0, errors.New("too many args")
		}
	}
	flush(len(text))
	switch {
	case len(words) == 0:
		return nil, 0, 0, errors.New("file must start with a cert")
	case len(words) > maxListWords:
		return nil, 0, 0, errors.New("too many args")
	case open > 0 && end == 0:
		return nil, 0, 0, errors.New("missing ']'")
	}
	return words, open, end, nil
}

// options reads what stands in brackets.
func (l *Line) options(d *Defaults) error {
	set := &Settings{}
	said := false
	for words := l.Words; len(words) > 0; {
		n, ok, err := loadOption(&l.Files, d.CrtBase, d.CrtBase, &l.OCSPUpdate, words)
		if !ok {
			if _, common := settingArgs[words[0]]; !common && !slices.Contains(listWords, words[0]) {
				return fmt.Errorf("unknown ssl keyword %s", words[0])
			}
			said = true
			n, _, err = set.parse(d, words)
		}
		if err != nil && len(words) < 2 && (settingArgs[words[0]] > 0 || WordArgs(words[0]) > 0) {
			return fmt.Errorf("ssl args out of '[]' for %s", words[0])
		}
		if err != nil {
			return conf.About(words[0], err)
		}
		words = words[n:]
	}
	if said {
		l.Set = set
	}
	if l.Files != (certs.Paths{}) && l.Files.Cert == "" {
		l.Files.Cert = l.Name
	}
	return nil
}
