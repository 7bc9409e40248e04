package runtimeapi

import "strings"

// maxWords bounds the words of a command, as in HAProxy.
const maxWords = 64

// maxPattern bounds what may follow "<<", in bytes.
const maxPattern = 64

// splitCommands cuts a line at its semicolons. A backslash takes the meaning off
// the character after it.
func splitCommands(line string) []string {
	var out []string
	start := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case ';':
			out = append(out, line[start:i])
			start = i + 1
		}
	}
	return append(out, line[start:])
}

// splitWords cuts a command at blanks and takes the backslashes out: one stands
// for the character after it.
func splitWords(s string) []string {
	var words []string
	for len(words) < maxWords {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			break
		}
		end, escaped := 0, false
		for end < len(s) && s[end] != ' ' && s[end] != '\t' {
			if s[end] == '\\' {
				escaped = true
				end++
			}
			end++
		}
		end = min(end, len(s))
		w := s[:end]
		if escaped {
			w = unescape(w)
		}
		words = append(words, w)
		s = s[end:]
	}
	return words
}

func unescape(w string) string {
	b := make([]byte, 0, len(w))
	for i := 0; i < len(w); i++ {
		if w[i] == '\\' {
			if i++; i == len(w) {
				break
			}
		}
		b = append(b, w[i])
	}
	return string(b)
}

// cutPayload finds the pattern that announces a payload at the end of a line:
// "<<" and up to 64 bytes, set off by a blank. It returns the line before it and
// the line that ends the payload ("" for an empty one).
func cutPayload(line string) (rest, end string, ok bool) {
	i := strings.LastIndexAny(line, " \t") + 1
	word := line[i:]
	if i == 0 || !strings.HasPrefix(word, "<<") || len(word)-2 > maxPattern {
		return line, "", false
	}
	return line[:i], word[2:], true
}
