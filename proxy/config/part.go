package config

import (
	"bytes"
	"crypto/sha256"
)

// Sum names a section by its text.
type Sum [sha256.Size]byte

// Part is a part of a file's text: one section with its header, or what stands in front of the first one.
type Part struct {
	Text []byte
	// Plain tells that the text, with the environment, is all that its meaning depends on: it begins with a header, has
	// no directives, and its lines begin with words that are what they look like.
	Plain bool

	sum   Sum
	known bool // sum is
}

// Sum gives the sum of the text.
func (p *Part) Sum() Sum {
	if !p.known {
		p.sum, p.known = sha256.Sum256(p.Text), true
	}
	return p.sum
}

func (p *Part) ended() bool { return bytes.HasSuffix(p.Text, []byte("\n")) }

// lines counts the lines.
func (p *Part) lines() int {
	n := bytes.Count(p.Text, []byte("\n"))
	if !p.ended() {
		n++
	}
	return n
}

// Cut cuts a text where sections begin, looking at the first word of each line only. With lines whose first word has
// to be taken apart (quotes, variables), where sections begin cannot be told: then no part is plain.
func Cut(text []byte) []Part {
	list, sure := cut(text)
	if !sure {
		unsure(list)
	}
	return list
}

func unsure(list []Part) {
	for i := range list {
		list[i].Plain = false
	}
}

// cut is Cut; sure is false if the parts may not be sections.
func cut(text []byte) (list []Part, sure bool) {
	sure = true
	list = make([]Part, 0, len(text)/512+1)
	var cur Part
	from := 0
	end := func(at int) {
		if at > from {
			cur.Text = text[from:at]
			cur.Plain = cur.Plain && plain(cur.Text)
			list = append(list, cur)
		}
	}
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\n') + 1
		if n == 0 {
			n = len(text) - at
		}
		switch first, known := firstWord(text[at : at+n]); {
		case !known:
			sure = false
		case len(first) > 0 && first[0] == '.':
			cur.Plain = false
		case IsSection(string(first)):
			end(at)
			from, cur = at, Part{Plain: true}
		}
		at += n
	}
	end(len(text))
	return list, sure
}

// Join is a file whose text is that of parts, one behind the other, for who only evaluates it. Those that are plain are
// believed to be; the others are cut again.
func Join(name string, parts []Part) *File {
	f := &File{Name: name, parts: make([]Part, 0, len(parts))}
	all, ended := true, true
	for i := range parts {
		p := &parts[i]
		if len(p.Text) == 0 {
			continue
		}
		if !ended { // its first line goes on from the part before
			return Text(name, (&File{parts: parts}).Bytes())
		}
		ended = p.ended()
		if p.Plain {
			f.parts = append(f.parts, *p)
			continue
		}
		more, sure := cut(p.Text)
		f.parts, all = append(f.parts, more...), all && sure
	}
	if !all {
		unsure(f.parts)
	}
	return f
}

// firstWord gives the first word of a line, empty if there is none. known is false if it is not to be had without
// taking the line apart.
func firstWord(line []byte) (word []byte, known bool) {
	i := 0
	for i < len(line) && isSpace(line[i]) {
		i++
	}
	for j := i; j < len(line); j++ {
		switch c := line[j]; {
		case isSpace(c) || c == '\n' || c == '\r' || c == 0 || c == '#':
			return line[i:j], true
		case c == '\\' || c == '"' || c == '\'':
			return nil, false
		}
	}
	return line[i:], true
}

// plain tells whether a text says the same wherever it stands.
func plain(text []byte) bool {
	return bytes.IndexByte(text, 0) < 0 && !bytes.Contains(text, []byte("$.")) && !bytes.Contains(text, []byte("${."))
}
