package config

import (
	"bytes"
	"strings"
)

// File is one configuration file, kept to the byte.
type File struct {
	Name string
	// Lines are the lines, nil for a file of [Text] or [Join].
	Lines []*Line

	text  []byte // of a file without lines
	parts []Part // the same in parts, see Join
}

// Line is one line of a file. The language has no line continuation: a backslash at the end of a line is a character.
type Line struct {
	// Raw is the line as written, its line feed included.
	Raw []byte
	// No is the number of the line when the file was read, from 1; 0 for a line that was inserted since.
	No int
	// Words are the words after quotes and escapes are taken away. Environment variables stay as written. It is nil
	// for a blank line and for a comment.
	Words []string
	// Comment is the text after the comment sign, without surrounding blanks.
	Comment string

	spans   []word // where the words are in Raw
	comment int    // offset of the comment sign in Raw, or -1
	err     *lexError
}

// Parse reads a file. It never fails: what is wrong with a line is reported when the file is evaluated.
func Parse(name string, data []byte) *File {
	f := &File{Name: name}
	for no := 1; len(data) > 0; no++ {
		n := bytes.IndexByte(data, '\n') + 1
		if n == 0 {
			n = len(data)
		}
		f.Lines = append(f.Lines, parseLine(data[:n:n], no))
		data = data[n:]
	}
	return f
}

// Text is a file for who only evaluates it: its lines are not taken apart before they are needed. The text must not be
// changed afterwards.
func Text(name string, data []byte) *File { return &File{Name: name, text: data} }

func parseLine(raw []byte, no int) *Line {
	l := &Line{Raw: raw, No: no}
	l.spans, l.comment, l.err = split(raw, nil)
	if len(l.spans) > 0 {
		l.Words = make([]string, len(l.spans))
		for i, w := range l.spans {
			l.Words[i] = w.text
		}
	}
	if l.comment >= 0 {
		l.Comment = string(bytes.TrimSpace(raw[l.comment+1:]))
	}
	return l
}

// Bytes returns the text of the file. Without edits it is what Parse, Text or Join was given.
func (f *File) Bytes() []byte {
	n := 0
	if f.Lines == nil {
		if f.parts == nil {
			return f.text
		}
		for _, p := range f.parts {
			n += len(p.Text)
		}
		b := make([]byte, 0, n)
		for _, p := range f.parts {
			b = append(b, p.Text...)
		}
		return b
	}
	for _, l := range f.Lines {
		n += len(l.Raw)
	}
	b := make([]byte, 0, n)
	for _, l := range f.Lines {
		b = append(b, l.Raw...)
	}
	return b
}

// Indent returns the blanks at the beginning of the line.
func (l *Line) Indent() string {
	n := 0
	for n < len(l.Raw) && isSpace(l.Raw[n]) {
		n++
	}
	return string(l.Raw[:n])
}

// IsBlank tells whether there is nothing on the line.
func (l *Line) IsBlank() bool { return len(l.Words) == 0 && l.comment < 0 && l.err == nil }

// IsComment tells whether there is nothing but a comment on the line.
func (l *Line) IsComment() bool { return len(l.Words) == 0 && l.comment >= 0 }

// isHeader tells whether the line begins a section.
func (l *Line) isHeader() bool { return len(l.Words) > 0 && IsSection(l.Words[0]) }

// isDirective tells whether the line is for the reader of the file, not part of a section (manual 2.4).
func (l *Line) isDirective() bool { return len(l.Words) > 0 && strings.HasPrefix(l.Words[0], ".") }

// Section is a view of a part of a file: a header and the lines up to the next header. The lines are the file's own.
// Edits through a view keep it right. Views that were taken before a section was inserted or removed are out of date.
type Section struct {
	File   *File
	Kind   string
	Name   string
	From   string // the defaults section named in the header
	Header *Line
	Body   []*Line // blanks and comments included
}

// Sections returns the sections of the file in order. Lines above the first header belong to none.
func (f *File) Sections() []*Section {
	var list []*Section
	for _, l := range f.Lines {
		if l.isHeader() {
			s := &Section{File: f, Kind: l.Words[0], Header: l}
			s.Name, s.From, _ = header(l.Words)
			list = append(list, s)
		} else if n := len(list); n > 0 {
			list[n-1].Body = append(list[n-1].Body, l)
		}
	}
	return list
}
