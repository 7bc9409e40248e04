package pattern

import (
	"bytes"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// literal is a text that whatever matches a regular expression has in it, perhaps
// at its beginning. It is found much faster than the expression is run.
type literal struct {
	text  []byte
	first bool // the value begins with it
}

// required finds the literal of an expression; one without text is of no use.
func required(expr string) (l literal) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return l
	}
	re = re.Simplify()
	list := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		list = re.Sub
	}
	for i, sub := range list {
		if sub.Op != syntax.OpLiteral || sub.Flags&syntax.FoldCase != 0 {
			continue
		}
		// Bytes that are no text match the replacement character.
		if s := string(sub.Rune); len(s) > len(l.text) && !strings.ContainsRune(s, utf8.RuneError) {
			l = literal{[]byte(s), i == 1 && list[0].Op == syntax.OpBeginText}
		}
	}
	return l
}

// possible tells whether b may match.
func (l *literal) possible(b []byte) bool {
	switch {
	case len(l.text) == 0:
		return true
	case l.first:
		return bytes.HasPrefix(b, l.text)
	}
	return bytes.Contains(b, l.text)
}
