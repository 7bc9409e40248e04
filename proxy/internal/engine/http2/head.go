package http2

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// kind tells whose fields are decoded.
type kind uint8

const (
	request kind = iota
	response
	trailers
	nothing // the fields are only decoded
)

// head collects the fields of a message that is being decoded.
type head struct {
	kind   kind
	fields []message.Field
	buf    []byte // of the message's memory: names and values are kept here
	kept   int    // how much of buf is in use, once nothing more is kept
	left   int    // bytes that may still come, as [Config.MaxHead] counts
	lines  int    // fields that may still come, but for cookies
	most   int    // cookies that may come: clients cut their one field into pieces
	why    string // what is wrong with the message; nothing more is kept then

	pseudo  [status + 1][]byte
	host    []byte
	regular bool // a field that is no pseudo-field has come
	cookies int  // how many
	length  int64
	expect  bool
}

// begin prepares for a message whose fields go to m.
func (h *head) begin(k kind, m *message.Header, cfg *Config) {
	h.kind, h.fields, h.buf = k, m.Fields, m.Arena()
	h.left, h.lines, h.length = cfg.maxHead(), cfg.maxHeaders(), -1
	h.most = 2 * h.lines
	if k == request {
		h.fields = append(h.fields, message.Field{}) // for the host
	}
}

// end gives the memory back to the message.
func (h *head) end(m *message.Header) {
	if h.why != "" {
		h.buf = h.buf[:h.kept]
	}
	m.Fields = h.fields
	m.SetArena(h.buf)
}

func (h *head) dropping() bool { return h.why != "" }

// add takes in the field that buf has from start on, whose name has n bytes.
func (h *head) add(start, n int, c class) {
	if c == plain || c > status && c != cookie {
		h.lines--
	}
	h.left -= len(h.buf) - start + 4
	if h.lines < 0 || h.left < 0 {
		h.why, h.kept = "head too large", start
		return
	}
	name, value := h.buf[start:start+n:start+n], h.buf[start+n:len(h.buf):len(h.buf)]
	if c == plain {
		h.regular = true
		h.fields = append(h.fields, message.Field{Name: name, Value: http1.Trim(value)})
		return
	}
	if why := h.special(name, value, c); why != "" {
		h.why, h.kept = why, start
	}
}

// special takes in a field that means something to the protocol, and returns
// what is wrong with it.
func (h *head) special(name, value []byte, c class) string {
	if c&badValue != 0 {
		return "invalid character in a field value"
	}
	if c <= status {
		switch {
		case h.regular || h.kind == trailers:
			return "pseudo-field after a field"
		case h.pseudo[c] != nil:
			return "repeated pseudo-field"
		case (c == status) != (h.kind == response):
			return "pseudo-field of the other kind of message"
		}
		h.pseudo[c] = value
		return ""
	}
	h.regular = true
	switch c {
	case unknownPseudo:
		return "unknown pseudo-field"
	case badName:
		return "invalid character in a field name"
	case hopByHop:
		return "connection-specific field"
	}
	value = http1.Trim(value)
	if h.kind == trailers {
		if !http1.FramingField(name) {
			h.fields = append(h.fields, message.Field{Name: name, Value: value})
		}
		return ""
	}
	switch c {
	case host:
		if h.kind == request {
			if h.host == nil {
				h.host = value
			}
			return ""
		}
	case cookie:
		if h.cookies++; h.cookies > h.most {
			return "too many cookies"
		}
	case contentLength:
		first := h.length < 0
		var why string
		if h.length, value, why = http1.ContentLength(value, h.length); why != "" {
			return why
		}
		if !first {
			return ""
		}
	case te:
		if h.kind == request && string(value) != "trailers" {
			return "te other than trailers"
		}
	case expect:
		h.expect = h.expect || message.EqualFold(value, "100-continue")
	}
	h.fields = append(h.fields, message.Field{Name: name, Value: value})
	return ""
}

var (
	hostName   = []byte("host")
	cookieName = []byte("cookie")
)

// joinCookies makes one field of all cookies (RFC 9113 8.2.3), the last one.
func (h *head) joinCookies(first int) {
	start, n, again := len(h.buf), first, false
	var one []byte
	for _, f := range h.fields[first:] {
		if len(f.Name) != len(cookieName) || string(f.Name) != "cookie" {
			h.fields[n] = f
			n++
			continue
		}
		if h.cookies == 1 {
			one = f.Value
			continue
		}
		if again {
			h.buf = append(h.buf, "; "...)
		}
		again = true
		h.buf = append(h.buf, f.Value...)
	}
	if h.cookies > 1 {
		one = h.buf[start:len(h.buf):len(h.buf)]
	}
	clear(h.fields[n:])
	h.fields = append(h.fields[:n], message.Field{Name: cookieName, Value: one})
}

// request makes a request of what was decoded and returns what is wrong with it.
// end says that no body follows.
func (h *head) request(req *message.Request, first int, end bool, c *Conn) (why string) {
	p := &h.pseudo
	auth := p[authority]
	req.Version, req.KeepAlive = message.HTTP2, true
	req.MethodName = p[method]
	req.Method = message.MethodOf(p[method])
	if !http1.ValidToken(p[method]) {
		return "no valid method"
	}
	if len(auth) > 0 || h.host == nil {
		h.host = auth // and the host field is of no account
	}
	if http1.ForbiddenInHost(h.host) {
		return "invalid character in the host"
	}
	if req.Method == message.Connect && p[protocol] == nil {
		if p[scheme] != nil || p[path] != nil || !http1.ValidAuthority(auth) {
			return "invalid CONNECT"
		}
		req.Target = auth
	} else {
		switch {
		case p[protocol] != nil && (len(auth) == 0 || req.Method != message.Connect || !c.cfg.ExtendedConnect || !http1.ValidToken(p[protocol])):
			return "unexpected protocol"
		case !validScheme(p[scheme]):
			return "no valid scheme"
		case !validPath(p[path], req.Method, c.AcceptInvalid):
			return "no valid path"
		}
		req.Target = p[path]
	}

	req.Host = h.host
	if h.host != nil {
		h.fields[first] = message.Field{Name: hostName, Value: h.host}
	} else {
		h.fields = append(h.fields[:first], h.fields[first+1:]...)
	}
	if h.cookies > 0 {
		h.joinCookies(first)
	}
	req.ContentLength = h.length
	req.Expect100 = h.expect && !end
	req.Upgrade = p[protocol]
	switch {
	case req.Method == message.Connect:
		req.Framing = message.Tunnel
	case !end && h.length >= 0:
		req.Framing = message.Length
	case !end:
		req.Framing = message.Chunked
	case h.length > 0:
		return "content-length without a body"
	}
	return ""
}

// response makes a response of what was decoded. head says that it has no body
// whatever its fields say, as it answers a HEAD; connect, that it answers a
// CONNECT.
func (h *head) response(res *message.Response, end, head, connect bool) (why string) {
	v := h.pseudo[status]
	res.Version, res.KeepAlive = message.HTTP2, true
	n, ok := http1.Number(v)
	if !ok || len(v) != 3 || n < 100 {
		return "no valid status"
	}
	res.Status = int(n)
	res.ContentLength = h.length
	switch {
	case n == 101:
		return "status 101"
	case n < 200 && end:
		return "interim response that ends the stream"
	case n < 200, n == 204, n == 304, head:
		res.Framing = message.NoBody
	case connect && n < 300:
		res.Framing = message.Tunnel
	case !end && h.length >= 0:
		res.Framing = message.Length
	case !end:
		res.Framing = message.Chunked
	case h.length > 0:
		return "content-length without a body"
	}
	return ""
}

// validScheme tells whether s is a scheme (RFC 3986 3.1).
func validScheme(s []byte) bool {
	for i, c := range s {
		if c|0x20 >= 'a' && c|0x20 <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.') {
			continue
		}
		return false
	}
	return len(s) > 0
}

// validPath tells whether p is a path with its query, or the "*" of OPTIONS.
func validPath(p []byte, m message.Method, fragment bool) bool {
	if len(p) == 0 {
		return false
	}
	if p[0] != '/' {
		return len(p) == 1 && p[0] == '*' && m == message.Options
	}
	for _, c := range p {
		if c <= ' ' || c == 0x7f || c == '#' && !fragment {
			return false
		}
	}
	return true
}
