package cookie

import "bytes"

// pair is a cookie, or an attribute of one, in the value of a field. Its parts are
// offsets:
//
//	NAME1=VALUE1;  NAME  =  VALUE 2  ; NAME2 = VALUE2
//	            |  |   | |  |      | |
//	            |  |   | |  |      | next
//	            |  |   | |  value  valueEnd
//	            |  |   | equal
//	            |  |   nameEnd
//	            |  name
//	            prev
//
// Without an equal sign equal, value, valueEnd and next are the same.
type pair struct{ prev, name, nameEnd, equal, value, valueEnd, next int }

// bare tells that there is no value, not even an empty one.
func (p *pair) bare() bool { return p.equal == p.next }

// pairAt finds the pair that begins at prev: with the separator before it, unless it
// is the first. Where commas separate too, lists says so.
func pairAt(v []byte, prev int, first, lists bool) (p pair) {
	p.prev = prev
	i := prev
	if !first {
		i++
	}
	for i < len(v) && blank(v[i]) {
		i++
	}
	p.name, p.nameEnd = i, i
	for i < len(v) && v[i] != '=' && v[i] != ';' && !(lists && v[i] == ',') {
		if i++; !blank(v[i-1]) {
			p.nameEnd = i
		}
	}
	p.equal, p.value, p.valueEnd, p.next = i, i, i, i
	if i == len(v) || v[i] != '=' {
		return p
	}
	for i++; i < len(v) && blank(v[i]); i++ {
	}
	p.value = i
	p.next = skipTo(v, i, ';', ',')
	for p.valueEnd = p.next; p.valueEnd > p.value && blank(v[p.valueEnd-1]); p.valueEnd-- {
	}
	return p
}

// skipTo finds one of two separators outside of quotes, or the end.
func skipTo(v []byte, i int, a, b byte) int {
	quoted := false
	for ; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == a || c == b):
			return i
		}
	}
	return len(v)
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// The date of a cookie is Unix time in units of four seconds, 30 bits in five signs.
const (
	signs   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	dateLen = 5
)

// parseDate reads the date that b begins with, in seconds; 0 if there is none.
func parseDate(b []byte) int64 {
	if len(b) < dateLen {
		return 0
	}
	n := int64(0)
	for _, c := range b[:dateLen] {
		d := int64(-1)
		switch {
		case 'A' <= c && c <= 'Z':
			d = int64(c - 'A')
		case 'a' <= c && c <= 'z':
			d = int64(c-'a') + 26
		case '0' <= c && c <= '9':
			d = int64(c-'0') + 52
		case c == '+':
			d = 62
		case c == '/':
			d = 63
		}
		if d < 0 {
			return 0
		}
		n = n<<6 | d
	}
	return n << 2
}

// appendDate writes a date of seconds.
func appendDate(dst []byte, t int64) []byte {
	n := t >> 2
	for shift := 24; shift >= 0; shift -= 6 {
		dst = append(dst, signs[n>>shift&63])
	}
	return dst
}

// dates reads what may follow the value of a server: "|<last>[|<first>]".
func dates(v []byte) (value []byte, last, first int64) {
	bar := bytes.IndexByte(v, '|')
	if bar < 0 {
		return v, 0, 0
	}
	value, v = v[:bar], v[bar+1:]
	last = parseDate(v)
	if bar = bytes.IndexByte(v, '|'); bar >= 0 {
		first = parseDate(v[bar+1:])
	}
	return value, last, first
}

// edit is a new value of a field, of pieces of the old one. Nothing is copied as long
// as they are the same.
type edit struct {
	old  []byte
	buf  []byte // a message's own memory, which is appended to
	base int    // where in it the new value begins
	done int    // up to where old was taken, or left out
	same bool
}

func (e *edit) take(to int) { e.buf, e.done = append(e.buf, e.old[e.done:to]...), to }

// cut leaves out what is from one place to another.
func (e *edit) cut(from, to int) {
	e.take(from)
	e.done, e.same = to, false
}

// put adds a text.
func (e *edit) put(at int, text string) {
	e.take(at)
	e.buf, e.same = append(e.buf, text...), false
}

// tighten leaves out the blanks around the equal sign of a pair.
func (e *edit) tighten(p *pair) {
	if p.nameEnd != p.equal {
		e.cut(p.nameEnd, p.equal)
	}
	if p.value > p.equal+1 {
		e.cut(p.equal+1, p.value)
	}
}

// skip leaves out what is from one pair to another, which takes its place behind what
// is before: with one separator and one blank.
func (e *edit) skip(from int, to *pair) {
	if from > 0 {
		e.take(from)
		e.trim()
		e.buf = append(e.buf, e.old[to.prev], ' ')
	}
	e.done, e.same = to.name, false
}

// trim leaves out blanks at the end of what there is.
func (e *edit) trim() {
	for len(e.buf) > e.base && blank(e.buf[len(e.buf)-1]) {
		e.buf = e.buf[:len(e.buf)-1]
	}
}

// value is the whole.
func (e *edit) value() []byte {
	e.take(len(e.old))
	return e.buf[e.base:len(e.buf):len(e.buf)]
}
