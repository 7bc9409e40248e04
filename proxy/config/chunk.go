package config

import "bytes"

// chunk is a part of a file's text: one section with its header, or what stands in front of the first one.
type chunk struct {
	text []byte
	line int // number of its first line, from 1
	// plain tells that the text, with the environment, is all that its meaning depends on: it begins with a header, has
	// no directives, and its lines begin with words that are what they look like.
	plain bool
}

// chunks cuts a text where sections begin, looking at the first word of each line only. With lines whose first word has
// to be taken apart (quotes, variables), where sections begin cannot be told: then no chunk is plain.
func chunks(text []byte) []chunk {
	var list []chunk
	cur, sure := chunk{line: 1}, true
	from := 0
	end := func(at int) {
		if at > from {
			cur.text = text[from:at]
			cur.plain = cur.plain && plain(cur.text)
			list = append(list, cur)
		}
	}
	for at, no := 0, 1; at < len(text); no++ {
		n := bytes.IndexByte(text[at:], '\n') + 1
		if n == 0 {
			n = len(text) - at
		}
		switch first, known := firstWord(text[at : at+n]); {
		case !known:
			sure = false
		case len(first) > 0 && first[0] == '.':
			cur.plain = false
		case IsSection(string(first)):
			end(at)
			from, cur = at, chunk{line: no, plain: true}
		}
		at += n
	}
	end(len(text))
	for i := range list {
		list[i].plain = list[i].plain && sure
	}
	return list
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
