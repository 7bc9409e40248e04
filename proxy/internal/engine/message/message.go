package message

import (
	"bytes"
	"strconv"
)

// Field is one header field. Name is in lower case. A deleted field has a nil
// Name and is passed over by everybody.
type Field struct{ Name, Value []byte }

// Version of HTTP as major*10+minor.
type Version uint8

// The versions that the proxy tells apart.
const (
	HTTP09 Version = 9
	HTTP10 Version = 10
	HTTP11 Version = 11
	HTTP2  Version = 20
	HTTP3  Version = 30
)

// String gives "HTTP/1.1".
func (v Version) String() string {
	return "HTTP/" + strconv.Itoa(int(v/10)) + "." + strconv.Itoa(int(v%10))
}

// Method of a request, for the methods that the proxy tells apart.
type Method uint8

// Methods. Other stands for all that have no number of their own.
const (
	Other Method = iota
	Get
	Head
	Post
	Put
	Delete
	Connect
	Options
	Trace
	Patch
)

// MethodOf finds the number of a method's name, which is case-sensitive (RFC
// 9110 9.1).
func MethodOf(name []byte) Method {
	switch string(name) {
	case "GET":
		return Get
	case "HEAD":
		return Head
	case "POST":
		return Post
	case "PUT":
		return Put
	case "DELETE":
		return Delete
	case "CONNECT":
		return Connect
	case "OPTIONS":
		return Options
	case "TRACE":
		return Trace
	case "PATCH":
		return Patch
	}
	return Other
}

// Framing tells how the end of a body is known.
type Framing uint8

// Framings. Tunnel is everything after the head, in both directions.
const (
	NoBody  Framing = iota
	Length          // ContentLength bytes
	Chunked         // until its own end: HTTP/1 chunks, or HTTP/2 DATA without content-length; may have trailers
	Close           // until the connection ends (responses only)
	Tunnel          // CONNECT, or an upgraded connection
)

// Header is what requests and responses have in common.
type Header struct {
	Version       Version
	Framing       Framing
	ContentLength int64 // of Framing Length; -1 when unknown
	// KeepAlive tells whether the sender allows its connection to be used again.
	KeepAlive bool
	// Upgrade is the protocol asked for or agreed on, nil when none: the value of
	// the upgrade field named by "connection: upgrade".
	Upgrade []byte
	Fields  []Field
	arena   []byte
}

// Reset makes h empty and keeps its memory.
//
// It sets field by field: copying a whole value costs a tenth of the time that
// it takes to parse a small request.
func (h *Header) Reset() {
	clear(h.Fields)
	h.Version, h.Framing, h.ContentLength, h.KeepAlive = 0, NoBody, -1, false
	h.Upgrade, h.Fields, h.arena = nil, h.Fields[:0], h.arena[:0]
}

// Shrink lets go of memory that an unusually large message took.
func (h *Header) Shrink() {
	if cap(h.arena) > 4096 {
		h.arena = nil
	}
	if cap(h.Fields) > 128 {
		h.Fields = nil
	}
}

// Copy stores b in the message's own memory and returns it there.
func (h *Header) Copy(b []byte) []byte {
	n := len(h.arena)
	h.arena = append(h.arena, b...)
	return h.arena[n:len(h.arena):len(h.arena)]
}

// CopyString is Copy for a string.
func (h *Header) CopyString(s string) []byte {
	n := len(h.arena)
	h.arena = append(h.arena, s...)
	return h.arena[n:len(h.arena):len(h.arena)]
}

// Join stores a followed by b, see [Header.Copy].
func (h *Header) Join(a, b []byte) []byte {
	n := len(h.arena)
	h.arena = append(append(h.arena, a...), b...)
	return h.arena[n:len(h.arena):len(h.arena)]
}

// Grow makes the next n bytes of [Header.Copy] one allocation at most.
func (h *Header) Grow(n int) {
	if cap(h.arena)-len(h.arena) < n {
		h.arena = append(make([]byte, 0, max(n, 1024)), h.arena[:0]...)
	}
}

// Arena gives the message's own memory to a parser that appends to it many
// times, and hands it back with [Header.SetArena]. Slices of it stay good when
// an append moves it.
func (h *Header) Arena() []byte { return h.arena }

// SetArena takes back what [Header.Arena] gave, with what was appended.
func (h *Header) SetArena(b []byte) { h.arena = b }

// Get returns the value of the first field of that name (lower case), nil if
// there is none.
func (h *Header) Get(name string) []byte {
	for i := range h.Fields {
		if string(h.Fields[i].Name) == name {
			return h.Fields[i].Value
		}
	}
	return nil
}

// Has tells whether there is a field of that name (lower case).
func (h *Header) Has(name string) bool {
	for i := range h.Fields {
		if string(h.Fields[i].Name) == name {
			return true
		}
	}
	return false
}

// Next returns the index of the first field of that name (lower case) from
// index i on, -1 if there is none.
func (h *Header) Next(name string, i int) int {
	for ; i < len(h.Fields); i++ {
		if string(h.Fields[i].Name) == name {
			return i
		}
	}
	return -1
}

// Add appends a field. name must be in lower case; both must live as long as the
// message: see [Header.Copy].
func (h *Header) Add(name, value []byte) { h.Fields = append(h.Fields, Field{name, value}) }

// AddString appends a field of constant name and value.
func (h *Header) AddString(name, value string) {
	h.Add(h.CopyString(name), h.CopyString(value))
}

// Del removes all fields of that name (lower case) and tells how many there
// were.
func (h *Header) Del(name string) int {
	n := 0
	for i := range h.Fields {
		if string(h.Fields[i].Name) == name {
			h.Fields[i] = Field{}
			n++
		}
	}
	return n
}

// Size is the room in bytes that the fields take as HTTP/1 text.
func (h *Header) Size() int {
	n := 0
	for i := range h.Fields {
		if h.Fields[i].Name != nil {
			n += len(h.Fields[i].Name) + len(h.Fields[i].Value) + 4
		}
	}
	return n
}

// Request is a request's head.
type Request struct {
	Header
	Method Method
	// MethodName is the method as it was sent.
	MethodName []byte
	// Target is the request target: in origin form, absolute form (HTTP/1 only),
	// authority form (CONNECT) or "*".
	Target []byte
	// Host is the authority: of an absolute target, or else of the host field;
	// nil when there is neither.
	Host []byte
	// Normalized tells that Target was put into absolute form from the parts in
	// which HTTP/2 and HTTP/3 carry it: HTTP/1 sends only its path.
	Normalized bool
	// Expect100 tells that the client waits for a 100 before it sends the body.
	Expect100 bool
}

// Reset makes r empty and keeps its memory.
func (r *Request) Reset() {
	r.Header.Reset()
	r.Method, r.Normalized, r.Expect100 = Other, false, false
	r.MethodName, r.Target, r.Host = nil, nil, nil
}

// Path is the path of the target without the query: nil for "*" and authority
// forms. A fragment, which only "accept-unsafe-violations-in-http-request" lets
// in, is a part of it (the manual's fetch "path").
func (r *Request) Path() []byte {
	p := r.PathQuery()
	if i := bytes.IndexByte(p, '?'); i >= 0 {
		return p[:i]
	}
	return p
}

// Query is what follows the first "?" of the target: nil when there is none,
// empty when nothing follows.
func (r *Request) Query() []byte {
	p := r.PathQuery()
	if i := bytes.IndexByte(p, '?'); i >= 0 {
		return p[i+1:]
	}
	return nil
}

// PathQuery is the target from the path on.
func (r *Request) PathQuery() []byte {
	t := r.Target
	if len(t) == 0 || t[0] == '/' {
		return t
	}
	if r.Method == Connect || t[0] == '*' {
		return nil
	}
	// absolute form: scheme "://" authority path
	for i := 0; i+2 < len(t); i++ {
		if t[i] == ':' && t[i+1] == '/' && t[i+2] == '/' {
			for j := i + 3; j < len(t); j++ {
				if t[j] == '/' || t[j] == '?' {
					return t[j:]
				}
			}
			return slash
		}
	}
	return nil
}

var slash = []byte("/")

// Response is a response's head.
type Response struct {
	Header
	Status int
	Reason []byte
}

// Reset makes r empty and keeps its memory.
func (r *Response) Reset() {
	r.Header.Reset()
	r.Status, r.Reason = 0, nil
}

// AppendLower appends b in lower case (ASCII).
func AppendLower(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// EqualFold tells whether b equals s, which is in lower case, ignoring ASCII
// case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// Reason is the usual reason phrase of a status.
func Reason(status int) string {
	if s, ok := reasons[status]; ok {
		return s
	}
	return "Other"
}

var reasons = map[int]string{
	100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
	200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
	205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
	305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Payload Too Large",
	414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
	418: "I'm a teapot", 421: "Misdirected Request", 422: "Unprocessable Content", 423: "Locked", 424: "Failed Dependency",
	425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
	431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates", 507: "Insufficient Storage",
	508: "Loop Detected", 510: "Not Extended", 511: "Network Authentication Required",
}
