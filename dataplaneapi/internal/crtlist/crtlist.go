package crtlist

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a list.
const (
	maxLine  = 64 << 10 // bytes
	maxLines = 1 << 20
)

// ErrNotFound says that a list has no such entry.
var ErrNotFound = errors.New("the crt-list has no such entry")

// blanks divide words. Those of other alphabets do not.
const blanks = " \t\r\n\v\f"

func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(blanks, r) })
}

// Entry is one line of a list.
type Entry struct {
	File    string
	Options string   // what stands in brackets
	Filters []string // names, those with "!" are excluded
	Line    int      // from 1; 0 for an entry that is in no file yet
}

// Same tells whether two entries say the same, wherever they stand.
func (e Entry) Same(o Entry) bool {
	return e.File == o.File && slices.Equal(fields(e.Options), fields(o.Options)) && slices.Equal(e.Filters, o.Filters)
}

// String is the entry as a line, without a line feed.
func (e Entry) String() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Options != "" {
		b.WriteString(" [" + e.Options + "]")
	}
	for _, f := range e.Filters {
		b.WriteString(" " + f)
	}
	return b.String()
}

// Check tells whether the entry can be written as one line that reads back as it is.
func (e Entry) Check() error {
	if e.File == "" {
		return errors.New("is required")
	}
	back, ok, err := ParseLine(e.String())
	if err != nil || !ok || strings.ContainsAny(e.String(), "\r\n\x00") || !back.Same(e) {
		return fmt.Errorf("%q does not make a line of a crt-list", e.String())
	}
	return nil
}

// ParseLine reads one line. ok is false for an empty one and for a comment.
func ParseLine(line string) (e Entry, ok bool, err error) {
	line = strings.Trim(line, blanks)
	if line == "" || line[0] == '#' {
		return Entry{}, false, nil
	}
	head, rest, open := strings.Cut(line, "[")
	if strings.Contains(head, "]") {
		return Entry{}, false, errors.New("missing '['")
	}
	if open {
		var closed bool
		e.Options, rest, closed = strings.Cut(rest, "]")
		switch {
		case !closed:
			return Entry{}, false, errors.New("missing ']'")
		case strings.ContainsAny(e.Options, "["), strings.ContainsAny(rest, "[]"):
			return Entry{}, false, errors.New("more than one pair of brackets")
		}
		e.Options = strings.Trim(e.Options, blanks)
	}
	words := fields(head)
	switch {
	case len(words) == 0:
		return Entry{}, false, errors.New("a line begins with a certificate")
	case open && len(words) > 1:
		return Entry{}, false, errors.New("filters stand behind the brackets")
	}
	e.File = words[0]
	if e.Filters = words[1:]; open {
		e.Filters = fields(rest)
	}
	return e, true, nil
}

// List is a crt-list file.
type List struct {
	lines   [][]byte // with their line feeds
	entries []Entry
}

// Parse reads a file. An error names the line.
func Parse(data []byte) (*List, error) {
	l := &List{}
	for line := range bytes.Lines(data) {
		l.lines = append(l.lines, line)
		n := len(l.lines)
		switch {
		case n > maxLines:
			return nil, fmt.Errorf("more than %d lines", maxLines)
		case len(line) > maxLine:
			return nil, fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
		case bytes.IndexByte(line, 0) >= 0:
			return nil, fmt.Errorf("line %d has a NUL in it", n)
		}
		e, ok, err := ParseLine(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ok {
			e.Line = n
			l.entries = append(l.entries, e)
		}
	}
	return l, nil
}

// Entries returns the entries in their order. Do not modify.
func (l *List) Entries() []Entry { return l.entries }

// Bytes is the file. Its last line ends with a line feed, as the proxy wants it.
func (l *List) Bytes() []byte {
	data := bytes.Join(l.lines, nil)
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return data
}

// Add appends an entry, and returns it with its line.
func (l *List) Add(e Entry) Entry {
	if n := len(l.lines); n > 0 && !bytes.HasSuffix(l.lines[n-1], []byte("\n")) {
		l.lines[n-1] = append(bytes.Clone(l.lines[n-1]), '\n')
	}
	l.lines = append(l.lines, []byte(e.String()+"\n"))
	e.Line = len(l.lines)
	l.entries = append(l.entries, e)
	return e
}

// Remove takes the entry of a certificate away that stands on a line; with line 0 the only one that the certificate has.
func (l *List) Remove(file string, line int) (Entry, error) {
	found := -1
	for i, e := range l.entries {
		if e.File != file || line != 0 && e.Line != line {
			continue
		}
		if found >= 0 {
			return Entry{}, fmt.Errorf("the certificate %q has more than one entry: tell the line", file)
		}
		found = i
	}
	if found < 0 {
		return Entry{}, fmt.Errorf("%w: %q on line %d", ErrNotFound, file, line)
	}
	e := l.entries[found]
	l.lines = slices.Delete(l.lines, e.Line-1, e.Line)
	l.entries = slices.Delete(l.entries, found, found+1)
	for i := range l.entries[found:] {
		l.entries[found+i].Line--
	}
	return e, nil
}
