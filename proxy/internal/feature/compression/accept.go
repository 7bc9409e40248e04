package compression

import (
	"bytes"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// choose gives the algorithm for the response to a request: the one of list that
// the client likes best, the first one among equals; nil if there is none. asked
// tells that the client named it.
func choose(h *message.Header, list []*algorithm) (best *algorithm, asked bool) {
	if len(list) == 0 || tooOld(h.Get("user-agent")) {
		return nil, false
	}
	most := 0
	for i := h.Next("accept-encoding", 0); i >= 0; i = h.Next("accept-encoding", i+1) {
		for rest := h.Fields[i].Value; rest != nil; {
			var e []byte
			e, rest = element(rest)
			name, quality := coding(e)
			if quality <= most {
				continue
			}
			for _, a := range list {
				if string(name) == "*" || message.EqualFold(name, a.token) {
					best, most = a, quality
					break
				}
			}
		}
	}
	if best == nil && slices.Contains(list, identity) {
		return identity, false // needs nobody's consent
	}
	return best, best != nil
}

// element takes the first element off a list, without the blanks around it. rest is
// nil when there is no more.
func element(list []byte) (e, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return http1.Trim(list[:i]), list[i+1:]
	}
	return http1.Trim(list), nil
}

// coding takes an element of Accept-Encoding apart: the name, and its quality in
// thousandths, which is that of the first parameter "q".
func coding(e []byte) (name []byte, quality int) {
	name, params, _ := bytes.Cut(e, []byte{';'})
	name = http1.Trim(name)
	for len(params) > 0 {
		var p []byte
		p, params, _ = bytes.Cut(params, []byte{';'})
		if p = http1.Trim(p); len(p) >= 2 && p[0]|0x20 == 'q' && p[1] == '=' {
			return name, thousandths(p[2:])
		}
	}
	return name, 1000
}

// thousandths reads a quality (RFC 9110 12.4.2) as HAProxy does: what is none, or
// more than one, is one.
func thousandths(q []byte) int {
	if len(q) == 0 || q[0] < '0' || q[0] > '9' {
		return 1000
	}
	n := 1000 * int(q[0]-'0')
	if len(q) > 1 && q[1] == '.' {
		unit := 100
		for _, c := range q[2:min(len(q), 5)] {
			if c < '0' || c > '9' {
				break
			}
			n += unit * int(c-'0')
			unit /= 10
		}
	}
	return min(n, 1000)
}

// tooOld tells of a client that says that it takes compressed responses and does
// not, as some of long ago do: "Mozilla/4", but for MSIE 6 with the second service
// pack of XP, and later ones.
func tooOld(agent []byte) bool {
	if !bytes.HasPrefix(agent, []byte("Mozilla/4")) {
		return false
	}
	if len(agent) < 31 || string(agent[25:30]) != "MSIE " || agent[30] < '6' {
		return true
	}
	return agent[30] == '6' && (len(agent) < 54 || string(agent[51:54]) != "SV1")
}

// wanted tells whether a body of the type in a field may be compressed: one that
// begins with one of a list, or any if there is no list.
func wanted(field []byte, list []string) bool {
	if len(list) == 0 {
		return true
	}
	for _, t := range list {
		if hasPrefixFold(field, t) {
			return true
		}
	}
	return false
}

func hasPrefixFold(b []byte, prefix string) bool {
	if len(b) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(b[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// hasElement tells whether a field of a list, of which there may be several, has an
// element.
func hasElement(h *message.Header, field, want string) bool {
	for i := h.Next(field, 0); i >= 0; i = h.Next(field, i+1) {
		if http1.HasElement(h.Fields[i].Value, want) {
			return true
		}
	}
	return false
}

// tag is the kind of an entity tag.
type tag uint8

const (
	noTag tag = iota
	strong
	weak
	invalid
)

// tagOf looks at the entity tag of a response. Where it stands is -1 if there is
// none. Several are as good as an invalid one.
func tagOf(h *message.Header) (tag, int) {
	i := h.Next("etag", 0)
	if i < 0 {
		return noTag, -1
	}
	v := h.Fields[i].Value
	switch {
	case h.Next("etag", i+1) >= 0 || len(v) < 2 || v[len(v)-1] != '"':
		return invalid, i
	case v[0] == '"':
		return strong, i
	case bytes.HasPrefix(v, []byte(`W/"`)):
		return weak, i
	}
	return invalid, i
}
