package config

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// defaultIndent is what a file without an indented line gets.
const defaultIndent = "    "

// InsertSection puts a new section behind another one, or at the end of the file when after is nil. One blank line
// separates it from what is before and behind.
func (f *File) InsertSection(after *Section, kind, name, from string) *Section {
	at := len(f.Lines)
	if after != nil {
		if i := slices.Index(f.Lines, after.Header); i >= 0 {
			at = f.end(i)
		}
	}
	return f.insertSection(at, kind, name, from)
}

// PrependSection puts a new section in front of all others, below the comments that begin the file.
func (f *File) PrependSection(kind, name, from string) *Section {
	for i, l := range f.Lines {
		if len(l.Words) > 0 {
			return f.insertSection(f.comments(i), kind, name, from)
		}
	}
	return f.insertSection(len(f.Lines), kind, name, from)
}

func (f *File) insertSection(at int, kind, name, from string) *Section {
	words := []string{kind}
	if name != "" {
		words = append(words, name)
	}
	if from != "" {
		words = append(words, "from", from)
	}
	f.terminate(at)
	s := &Section{File: f, Kind: kind, Name: name, From: from, Header: f.newLine("", words)}
	lines := []*Line{s.Header}
	if at > 0 && !f.Lines[at-1].IsBlank() {
		lines = slices.Insert(lines, 0, f.newLine("", nil))
	}
	if at < len(f.Lines) {
		if !f.Lines[at].IsBlank() {
			lines = append(lines, f.newLine("", nil))
		}
		s.Body = append(s.Body, lines[slices.Index(lines, s.Header)+1:]...)
		for _, l := range f.Lines[at:] {
			if l.isHeader() {
				break
			}
			s.Body = append(s.Body, l)
		}
	}
	f.Lines = slices.Insert(f.Lines, at, lines...)
	return s
}

// RemoveSection takes a section away: its header, its lines and the comments above its header that speak of it.
func (f *File) RemoveSection(s *Section) {
	i := slices.Index(f.Lines, s.Header)
	if i < 0 {
		return
	}
	end := f.end(i)
	for end < len(f.Lines) && f.Lines[end].IsBlank() {
		end++
	}
	f.Lines = slices.Delete(f.Lines, f.comments(i), end)
}

// end returns the line behind the section whose header is line i: its last statement, and what follows that is neither
// blank nor the next section's.
func (f *File) end(i int) int {
	next := i + 1
	for next < len(f.Lines) && !f.Lines[next].isHeader() {
		next++
	}
	if own := i + 1 + balanced(f.Lines[i+1:next]); own < next {
		next = own
	} else if next < len(f.Lines) {
		next = f.comments(next)
	}
	for next > i+1 && f.Lines[next-1].IsBlank() {
		next--
	}
	return next
}

// balanced returns how many of the lines of a section come before the first directive whose counterpart is outside of
// the section: ".endif", ".else" or ".elif" of a condition around it, ".if" of one around the next section.
func balanced(lines []*Line) int {
	var open []int
	for i, l := range lines {
		if len(l.Words) == 0 {
			continue
		}
		switch l.Words[0] {
		case ".if":
			open = append(open, i)
		case ".elif", ".else", ".endif":
			if len(open) == 0 {
				return i
			}
			if l.Words[0] == ".endif" {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) > 0 {
		return open[0]
	}
	return len(lines)
}

// comments returns the first of the comment lines that belong to the header in line i: those directly above it which
// are not indented, unless they follow a statement of an unindented file. Comments that begin the file are the file's.
func (f *File) comments(i int) int {
	k := i
	for k > 0 && f.Lines[k-1].IsComment() && f.Lines[k-1].Indent() == "" {
		k--
	}
	if k == 0 || !f.Lines[k-1].IsBlank() && f.Lines[k-1].Indent() == "" {
		return i
	}
	return k
}

// Insert puts a line in front of the i-th line of the body (len(Body) appends), indented as its neighbours are.
func (s *Section) Insert(i int, words ...string) *Line {
	i = min(max(i, 0), len(s.Body))
	l := s.File.newLine(s.indent(), words)
	if h := slices.Index(s.File.Lines, s.Header); h >= 0 {
		at := min(h+1+i, len(s.File.Lines))
		s.File.terminate(at)
		s.File.Lines = slices.Insert(s.File.Lines, at, l)
	}
	s.Body = slices.Insert(s.Body, i, l)
	return l
}

// Append puts a line behind the last statement of the section. A condition that encloses the section, or the next one, is
// not entered or left.
func (s *Section) Append(words ...string) *Line {
	i := balanced(s.Body)
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

// Comment gives a line another comment behind its words, or none when the text is empty. What is no text of one line is
// refused.
func (s *Section) Comment(l *Line, text string) error {
	if strings.ContainsAny(text, "\n\r\x00") {
		return errors.New("a comment is one line")
	}
	raw := bytes.TrimRight(l.Raw, "\r\n")
	tail := l.Raw[len(raw):]
	if l.comment >= 0 {
		raw = raw[:l.comment]
	}
	b := slices.Clone(bytes.TrimRight(raw, " \t"))
	if text != "" {
		b = append(b, " # "...)
		b = append(b, text...)
	}
	now := parseLine(append(b, tail...), l.No)
	if !slices.Equal(now.Words, l.Words) || now.Comment != text {
		return errors.New("the line cannot have this comment behind it: it ends inside of a word")
	}
	*l = *now
	return nil
}

// Copy makes a line what another one is, to the byte.
func (s *Section) Copy(l *Line, raw []byte) {
	if !bytes.HasSuffix(raw, []byte("\n")) {
		raw = append(slices.Clip(raw), s.File.eol()...)
	}
	*l = *parseLine(slices.Clone(raw), l.No)
}

// InsertComment puts a line with nothing but a comment in front of the i-th line of the body.
func (s *Section) InsertComment(i int, text string) {
	l := s.Insert(i)
	*l = *parseLine([]byte(s.indent()+"# "+strings.TrimSpace(text)+s.File.eol()), 0)
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
	raw := string(l.Raw[l.spans[pick].from:l.spans[pick].to])
	// A broken line, or a backslash that was the last character, must not spoil what comes next.
	if again, _, err := split([]byte(raw+" x"), nil); err != nil || len(again) != 2 || again[0].text != w {
		return Quote(w)
	}
	used[pick] = true
	return raw
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

// indent returns the indentation of the section's last statement, or the most common one of the file.
func (s *Section) indent() string {
	for _, l := range slices.Backward(s.Body) {
		if len(l.Words) > 0 && !l.isDirective() {
			return l.Indent()
		}
	}
	best, count := defaultIndent, map[string]int{}
	for _, l := range s.File.Lines {
		in := l.Indent()
		if len(l.Words) == 0 || in == "" || l.isDirective() {
			continue
		}
		if count[in]++; count[in] > count[best] {
			best = in
		}
	}
	return best
}
