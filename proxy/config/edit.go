package config

import (
	"bytes"
	"slices"
	"strings"
)

// defaultIndent is what a file without an indented line gets.
const defaultIndent = "    "

// InsertSection puts a new section behind another one, or at the end of the file when after is nil. One blank line
// separates it from what is before and behind.
func (f *File) InsertSection(after *Section, kind, name, from string) *Section {
	words := []string{kind}
	if name != "" {
		words = append(words, name)
	}
	if from != "" {
		words = append(words, "from", from)
	}
	at := len(f.Lines)
	if after != nil {
		if i := slices.Index(f.Lines, after.Header); i >= 0 {
			at = i + 1 + after.ownLines()
		}
	}
	f.terminate(at)
	var lines []*Line
	if at > 0 && !f.Lines[at-1].IsBlank() {
		lines = append(lines, parseLine([]byte(f.eol()), 0))
	}
	s := &Section{File: f, Kind: kind, Name: name, From: from, Header: f.newLine("", words)}
	lines = append(lines, s.Header)
	if at < len(f.Lines) && !f.Lines[at].IsBlank() {
		sep := parseLine([]byte(f.eol()), 0)
		lines = append(lines, sep)
		s.Body = []*Line{sep}
	}
	f.Lines = slices.Insert(f.Lines, at, lines...)
	return s
}

// RemoveSection takes a section away: its header, its lines and the comments that stand directly above its header.
// Comments behind its last statement stay when the next section follows them directly, for they speak of that one.
func (f *File) RemoveSection(s *Section) {
	i := slices.Index(f.Lines, s.Header)
	if i < 0 {
		return
	}
	end := i + 1 + s.ownLines()
	for end < len(f.Lines) && f.Lines[end].IsBlank() {
		end++
	}
	for i > 0 && f.Lines[i-1].IsComment() {
		i--
	}
	f.Lines = slices.Delete(f.Lines, i, end)
}

// ownLines counts the lines of the body that are the section's own: comments that stand directly above the next
// header belong to that one.
func (s *Section) ownLines() int {
	n := len(s.Body)
	i := slices.Index(s.File.Lines, s.Header)
	if i < 0 || i+1+n >= len(s.File.Lines) {
		return n
	}
	k := n
	for k > 0 && s.Body[k-1].IsComment() {
		k--
	}
	if k < n && k > 0 && !s.Body[k-1].IsBlank() {
		return n // the comment follows a statement without a blank: it may belong to either, leave it where it is
	}
	return k
}

// Insert puts a line in front of the i-th line of the body (len(Body) appends), indented as its neighbours are.
func (s *Section) Insert(i int, words ...string) *Line {
	i = min(max(i, 0), len(s.Body))
	at := slices.Index(s.File.Lines, s.Header) + 1 + i
	s.File.terminate(at)
	l := s.File.newLine(s.indent(), words)
	s.File.Lines = slices.Insert(s.File.Lines, at, l)
	s.Body = slices.Insert(s.Body, i, l)
	return l
}

// Append puts a line behind the last statement of the section.
func (s *Section) Append(words ...string) *Line {
	i := len(s.Body)
	for i > 0 && len(s.Body[i-1].Words) == 0 {
		i--
	}
	return s.Insert(i, words...)
}

// Remove takes a line away. A line that is not of this section is left alone.
func (s *Section) Remove(l *Line) {
	i := slices.Index(s.Body, l)
	if i < 0 {
		return
	}
	s.Body = slices.Delete(s.Body, i, i+1)
	if at := slices.Index(s.File.Lines, l); at >= 0 {
		s.File.Lines = slices.Delete(s.File.Lines, at, at+1)
	}
}

// Set gives a line other words. Indentation and trailing comment stay, and so does the way that a word is written
// which the line had before: quotes and environment variables survive.
func (s *Section) Set(l *Line, words ...string) {
	used := make([]bool, len(l.spans))
	var b bytes.Buffer
	b.WriteString(l.Indent())
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l.written(i, w, used))
	}
	tail := l.Raw[len(bytes.TrimRight(l.Raw, "\r\n")):]
	if l.comment >= 0 {
		from := l.comment
		for from > 0 && isSpace(l.Raw[from-1]) {
			from--
		}
		tail = l.Raw[from:]
		if from == l.comment {
			b.WriteByte(' ')
		}
	}
	b.Write(tail)
	*l = *parseLine(b.Bytes(), l.No)
	if l == s.Header && len(l.Words) > 0 {
		s.Kind = l.Words[0]
		s.Name, s.From, _ = header(l.Words)
	}
}

// written returns how the line writes a word already, first looking at the same place, else a fresh quoting.
func (l *Line) written(i int, w string, used []bool) string {
	pick := -1
	if i < len(l.spans) && l.spans[i].text == w && !used[i] {
		pick = i
	} else {
		for k, old := range l.spans {
			if old.text == w && !used[k] {
				pick = k
				break
			}
		}
	}
	if pick < 0 {
		return Quote(w)
	}
	used[pick] = true
	return string(l.Raw[l.spans[pick].from:l.spans[pick].to])
}

func (f *File) newLine(indent string, words []string) *Line {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return parseLine([]byte(indent+strings.Join(quoted, " ")+f.eol()), 0)
}

// terminate gives the line in front of an insertion its line feed.
func (f *File) terminate(at int) {
	if at == 0 || at > len(f.Lines) {
		return
	}
	if l := f.Lines[at-1]; !bytes.HasSuffix(l.Raw, []byte("\n")) {
		*l = *parseLine(append(slices.Clip(l.Raw), f.eol()...), l.No)
	}
}

// eol returns the end of line that the file uses.
func (f *File) eol() string {
	if len(f.Lines) > 0 && bytes.HasSuffix(f.Lines[0].Raw, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// indent returns the indentation of the section's last statement, or of any in the file.
func (s *Section) indent() string {
	for _, l := range slices.Backward(s.Body) {
		if len(l.Words) > 0 {
			return l.Indent()
		}
	}
	for _, l := range s.File.Lines {
		if len(l.Words) > 0 && l.Indent() != "" {
			return l.Indent()
		}
	}
	return defaultIndent
}
