package capture

import (
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// fields keeps the last of each field that is declared, whole, as it came.
func fields(s side) func(*stream.Stream) {
	return func(st *stream.Stream) {
		v := of(st)
		if v == nil {
			return
		}
		h := &st.Req.Header
		if s == response {
			h = &st.Res.Header
		}
		list := *v.l.list(s)
		for i := range list {
			if name := list[i].name; name != "" {
				if b := last(h, name); b != nil {
					v.set(v.l.index(s, i), b)
				}
			}
		}
	}
}

// last is the value of the last field of a name, nil if there is none.
func last(h *message.Header, name string) []byte {
	for i := len(h.Fields) - 1; i >= 0; i-- {
		if f := &h.Fields[i]; string(f.Name) == name {
			if f.Value == nil {
				return empty
			}
			return f.Value
		}
	}
	return nil
}

var empty = []byte{}

// requestCookie keeps the first cookie of the client whose name begins as declared.
func requestCookie(st *stream.Stream) {
	v := of(st)
	if v == nil {
		return
	}
	for i := st.Req.Next("cookie", 0); i >= 0; i = st.Req.Next("cookie", i+1) {
		for line := st.Req.Fields[i].Value; len(line) > 0; {
			c, n := nextCookie(line, ",;")
			if c.matches(v.l.cookie) && (len(c.name) == 0 || c.name[0] != '$') {
				v.setCookie(request, c)
				return
			}
			line = after(line, n)
		}
	}
}

// setCookies are the fields that set cookies, in the order in which they are looked
// at.
var setCookies = []string{"set-cookie", "set-cookie2"}

// responseCookie keeps the first cookie that the server sets whose name begins as
// declared. A Set-Cookie sets one, Set-Cookie2 several, separated by commas.
func responseCookie(st *stream.Stream) {
	v := of(st)
	if v == nil {
		return
	}
	for k, name := range setCookies {
		for i := st.Res.Next(name, 0); i >= 0; i = st.Res.Next(name, i+1) {
			for line := st.Res.Fields[i].Value; len(line) > 0; {
				ends := ";"
				if k == 1 {
					ends = ",;"
				}
				c, n := nextCookie(line, ends)
				if c.matches(v.l.cookie) {
					v.setCookie(response, c)
					return
				}
				if k == 0 {
					break
				}
				line = after(line, n+comma(line[n:])) // its attributes
			}
		}
	}
}

// setCookie keeps "name=value".
func (v *values) setCookie(s side, c cookie) {
	i := v.l.cookieIndex(s)
	p := v.l.places[i]
	to := v.data[p.at : p.at : p.at+p.max]
	for _, part := range [][]byte{c.name, equals, c.value} {
		to = append(to, part[:min(len(part), cap(to)-len(to))]...)
	}
	v.lens[i] = len(to)
}

var equals = []byte{'='}

// cookie is a name and its value, without blanks around them.
type cookie struct {
	name, value []byte
	assigned    bool // there is an equals sign
}

// matches tells whether "name=value" begins with prefix.
func (c cookie) matches(prefix string) bool {
	if !c.assigned || len(c.name)+1+len(c.value) < len(prefix) {
		return false
	}
	n := min(len(prefix), len(c.name))
	if string(c.name[:n]) != prefix[:n] {
		return false
	}
	if prefix = prefix[n:]; prefix == "" {
		return true
	}
	return prefix[0] == '=' && string(c.value[:len(prefix)-1]) == prefix[1:]
}

// nextCookie reads "name = value" off the front of a line, up to one of the ends, and
// tells where that is. The value ends at a comma too, but not between quotes.
func nextCookie(line []byte, ends string) (c cookie, n int) {
	i := 0
	for i < len(line) && blank(line[i]) {
		i++
	}
	start, end := i, i
	for i < len(line) && line[i] != '=' && strings.IndexByte(ends, line[i]) < 0 {
		if i++; !blank(line[i-1]) {
			end = i
		}
	}
	c.name = line[start:end]
	if i == len(line) || line[i] != '=' {
		return c, i
	}
	c.assigned = true
	i++
	for i < len(line) && blank(line[i]) {
		i++
	}
	start = i
	i += unquoted(line[i:], ",;")
	for end = i; end > start && blank(line[end-1]); {
		end--
	}
	c.value = line[start:end]
	return c, i
}

// comma is where the next comma is, len(b) if there is none.
func comma(b []byte) int { return unquoted(b, ",") }

// unquoted is where the first of some signs is in b that does not stand between
// quotes, len(b) if there is none.
func unquoted(b []byte, signs string) int {
	quoted, pair := false, false
	for i, c := range b {
		switch {
		case pair:
			pair = false
		case quoted && c == '\\':
			pair = true
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(signs, c) >= 0:
			return i
		}
	}
	return len(b)
}

// after is what is behind the sign at i.
func after(line []byte, i int) []byte {
	if i < len(line) {
		return line[i+1:]
	}
	return nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' }
