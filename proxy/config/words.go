package config

import (
	"strings"
)

// MaxWords bounds the number of words on a line (manual 2.1; the limit is HAProxy's).
const MaxWords = 64

// maxExpanded bounds the bytes that one line may grow to when its variables are expanded.
const maxExpanded = 1 << 20

// word is one token of a line.
type word struct {
	text     string // unquoted; variables expanded if the splitter was given a lookup
	from, to int    // the bytes of the line it was written as
}

// lexError is what the splitter found wrong; at is the offset in the line.
type lexError struct {
	text string
	at   int
	// a line with too many words is still usable up to the limit; other errors end the line
	tooMany bool
}

// lookup resolves a variable. The second result tells a variable that does not exist from an empty one.
type lookup func(name string) (string, bool)

// splitter cuts one line into words by the rules of manual 2.2 and 2.3.
type splitter struct {
	line []byte
	// env resolves variables inside double quotes. nil keeps them as they are written.
	env lookup

	in    int
	out   []byte
	words []word
	open  bool // a word has begun
	cur   word
	quote byte // 0, '"' or '\''
	since int  // where the quote was opened
	size  int
	err   *lexError
}

// split returns the words of a line and the offset of its comment sign (or -1).
func split(line []byte, env lookup) (words []word, comment int, err *lexError) {
	s := splitter{line: line, env: env}
	comment = s.run()
	if s.err == nil && s.quote != 0 {
		s.err = &lexError{text: "unmatched quote", at: s.since}
	}
	s.end()
	return s.words, comment, s.err
}

func (s *splitter) run() (comment int) {
	for s.in < len(s.line) {
		c := s.line[s.in]
		switch {
		case c == '\n' || c == '\r' || c == 0:
			return -1
		case c == '#' && s.quote == 0:
			return s.in
		case (c == '"' || c == '\'') && (s.quote == 0 || s.quote == c):
			if s.quote == 0 {
				s.begin() // an empty pair of quotes is a word, too
				s.quote, s.since = c, s.in
			} else {
				s.quote = 0
			}
			s.in++
		case c == '\\' && s.quote != '\'':
			if !s.escape() {
				return -1
			}
		case s.quote == 0 && isSpace(c):
			s.end()
			s.in++
		case c == '$' && s.quote == '"':
			if !s.variable() {
				return -1
			}
		default:
			s.emit(c)
			s.in++
		}
	}
	return -1
}

func (s *splitter) begin() {
	if !s.open {
		s.open = true
		s.out = s.out[:0]
		s.cur = word{from: s.in}
	}
}

func (s *splitter) end() {
	if !s.open {
		return
	}
	s.open = false
	s.cur.to = s.in
	s.cur.text = string(s.out)
	s.words = append(s.words, s.cur)
	if len(s.words) > MaxWords && s.err == nil {
		s.err = &lexError{tooMany: true}
	}
}

func (s *splitter) emit(c byte) {
	s.begin()
	s.out = append(s.out, c)
	s.size++
}

// escape handles a backslash outside strong quotes. A backslash in front of any other character than those below is
// an ordinary character.
func (s *splitter) escape() bool {
	var next byte
	if s.in+1 < len(s.line) {
		next = s.line[s.in+1]
	}
	n, c := 2, next
	switch next {
	case ' ', '\t', '\\', '#', '\'', '"':
	case 't':
		c = '\t'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case '$':
		if s.quote != '"' {
			n, c = 1, '\\'
		}
	case 'x':
		hi, lo := -1, -1
		if s.in+3 < len(s.line) {
			hi, lo = unhex(s.line[s.in+2]), unhex(s.line[s.in+3])
		}
		if hi < 0 || lo < 0 {
			s.err = &lexError{text: "truncated or invalid hexadecimal sequence", at: s.in}
			return false
		}
		n, c = 4, byte(hi<<4|lo)
	default:
		n, c = 1, '\\'
	}
	s.emit(c)
	s.in += n
	return true
}

// reference is a variable that a line names: ${name[*]-default}.
type reference struct {
	end    int // where the line goes on
	value  string
	found  bool
	expand bool // [*]: its blank-separated parts become words
}

// fail reports an error of the line.
func (s *splitter) fail(at int, text string) bool {
	s.err = &lexError{text: text, at: at}
	return false
}

// at tells whether c stands at p.
func (s *splitter) at(p int, c byte) bool { return p < len(s.line) && s.line[p] == c }

// variable handles a dollar sign inside weak quotes (manual 2.3).
func (s *splitter) variable() bool {
	start := s.in
	r, ok := s.reference()
	if !ok {
		return false
	}
	s.in = r.end
	switch {
	case s.env == nil:
		s.begin()
		s.out = append(s.out, s.line[start:r.end]...)
		return true
	case !r.found || r.expand && strings.TrimSpace(r.value) == "":
		// A list without a value leaves no word behind, not even an empty one.
		if r.expand && s.at(s.in, '"') {
			s.in++
			s.quote = 0
			if len(s.out) == 0 {
				s.open = false
			}
		}
		return true
	case s.size+len(r.value) > maxExpanded:
		return s.fail(start, "line too long after expansion of environment variables")
	}
	s.size += len(r.value)
	if r.expand {
		s.expand(r.value)
		return true
	}
	s.begin()
	s.out = append(s.out, r.value...)
	return true
}

// reference reads what a dollar sign begins, without taking it.
func (s *splitter) reference() (r reference, ok bool) {
	p := s.in + 1
	brace := -1
	if s.at(p, '{') {
		brace = p
		p++
	}
	name := p
	if s.at(p, '.') {
		p++
	} else if p >= len(s.line) || !isNameStart(s.line[p]) {
		return r, s.fail(p, "forbidden first char in environment variable name")
	}
	for p < len(s.line) && isNameChar(s.line[p]) {
		p++
	}
	ident := string(s.line[name:p])
	if s.env != nil {
		r.value, r.found = s.env(ident)
		if !r.found && ident[0] == '.' {
			return r, s.fail(name, "forbidden first char in environment variable name")
		}
	}
	r.end = p
	if brace >= 0 {
		ok = s.braced(&r, brace)
		return r, ok
	}
	return r, true
}

// braced reads what stands behind a name in braces, the closing one included.
func (s *splitter) braced(r *reference, brace int) bool {
	p := r.end
	if s.at(p, '[') {
		if !strings.HasPrefix(string(s.line[p:min(p+3, len(s.line))]), "[*]") {
			return s.fail(p, "truncated or invalid word expansion sequence")
		}
		r.expand = true
		p += 3
	}
	if s.at(p, '-') {
		from := p + 1
		for p < len(s.line) && s.line[p] != '}' && s.line[p] != '\n' && s.line[p] != 0 {
			p++
		}
		if !r.found {
			r.value, r.found = string(s.line[from:p]), true
		}
	}
	if !s.at(p, '}') {
		return s.fail(brace, "unmatched brace in environment variable name")
	}
	r.end = p + 1
	return true
}

// expand puts the blank-separated parts of a variable's value as words of their own.
func (s *splitter) expand(value string) {
	for i := 0; i < len(value); i++ {
		if !isSpace(value[i]) {
			s.begin()
			s.out = append(s.out, value[i])
			continue
		}
		if len(s.out) > 0 { // else: blanks in front of the first part, right behind the quote
			s.end()
		}
		if len(s.words) > MaxWords {
			return
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\v' || c == '\f' }

func isNameStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNameChar(c byte) bool { return isNameStart(c) || '0' <= c && c <= '9' }

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
