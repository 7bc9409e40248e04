package config

import (
	"fmt"
	"strings"
)

// Quote writes a word so that it is read back as the same word, with as little quoting as possible (manual 2.2).
// A dollar sign stays a dollar sign: nothing in the result is expanded.
func Quote(word string) string {
	if word == "" {
		return `""`
	}
	plain, strong := true, true
	for i := 0; i < len(word); i++ {
		switch c := word[i]; c {
		case ' ', '#', '"', '\\':
			plain = false
		case '\'':
			plain, strong = false, false
		default:
			if c < ' ' || c == 0x7f {
				plain, strong = false, false
			}
		}
	}
	if plain {
		return word
	}
	if strong && strings.ContainsAny(word, "\"\\$") {
		return "'" + word + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c == '"' || c == '\\' || c == '$':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
