package http1

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// fail is an error of the parser before it is known whose fault it is: pos is
// the offset in the buffer.
type fail struct {
	status int // 0: the usual one
	pos    int
	reason string
}

func (f fail) err(status int) *Error {
	if f.status != 0 {
		status = f.status
	}
	return &Error{Status: status, Pos: f.pos, Reason: f.reason}
}

// seen collects what the fields of a head say about framing and connection.
type seen struct {
	length  int64 // content-length, -1 when absent
	upgrade []byte
	host    []byte
	hostPos int // where the fields are, for errors
	bodyPos int // the last content-length or transfer-encoding
	upgPos  int
	te      uint8
	hasHost bool
	close   bool
	keep    bool
	upg     bool // "connection: upgrade"
	h2c     bool // HTTP/2 is among what may be upgraded to
	conn    bool // there is a connection field
	wsKey   []byte
	wsAcc   []byte
	expect  bool
}

// Bits of seen.te.
const (
	teSeen    = 1 << iota // there is a transfer-encoding
	teChunked             // chunked was named
	teLast                // ... and nothing after it
	teTwice               // chunked was named twice
	teOther               // another coding was named
	teEmpty               // an empty value, or nothing after a comma
)

// kind tells whose fields are read.
type kind uint8

const (
	request kind = iota
	response
	trailer
	droppedTrailer // checked, but not kept
)

// complete tells whether the empty line that ends a head is in b, which begins
// after the end of the start line. It is a fast look for long heads that arrive
// in small pieces: it costs one pass of memchr instead of a whole parse.
func complete(b []byte) bool {
	if len(b) > 0 && b[0] == '\n' || len(b) > 1 && b[0] == '\r' && b[1] == '\n' {
		return true
	}
	return bytes.Contains(b, crlfEnd) || bytes.Contains(b, lfEnd)
}

var (
	crlfEnd = []byte("\n\r\n")
	lfEnd   = []byte("\n\n")
)

// quickLook is the length from which on complete is asked first.
const quickLook = 1024

// parseFields reads field lines from buf[i:] up to and with the empty line. It
// returns the offset after it, 0 when more is needed, or -1 and why. Names are
// put in lower case and folded lines are joined, both in place; both leave the
// bytes such that they can be read again.
func parseFields(buf []byte, i int, fields []message.Field, s *seen, lim *Limits, k kind) ([]message.Field, int, fail) {
	left := lim.fields()
	for {
		if i >= len(buf) {
			return fields, 0, fail{}
		}
		if c := buf[i]; c == '\r' || c == '\n' {
			i, f := lineEnd(buf, i, k)
			return fields, i, f
		}
		start := i
		colon, valid, f := fieldName(buf, i, lim)
		if colon <= 0 {
			return fields, colon, f
		}
		name := buf[start:colon:colon]
		value, next, f := fieldValue(buf, colon+1, lim, k)
		if next <= 0 {
			return fields, next, f
		}
		i = next
		if left--; left < 0 {
			return fields, -1, fail{0, start, "too many header fields"}
		}
		keep := valid
		switch {
		case !valid:
		case k >= trailer:
			keep = k == trailer && !framing(name)
		case notable(len(name)):
			var why string
			if keep, why = s.note(name, &value, start, k); why != "" {
				return fields, -1, fail{0, start, why}
			}
		}
		if keep {
			fields = append(fields, message.Field{Name: name, Value: value})
		}
	}
}

// lineEnd passes over CR LF, or over LF where that will do, at buf[i]. It returns
// the offset after it, 0 when more is needed, or -1 and why.
func lineEnd(buf []byte, i int, k kind) (int, fail) {
	switch {
	case buf[i] != '\r' && k >= trailer:
		return -1, fail{0, i, "LF without CR in the trailers"}
	case buf[i] != '\r':
		return i + 1, fail{}
	case i+1 >= len(buf):
		return 0, fail{}
	case buf[i+1] != '\n':
		return -1, fail{0, i, "CR without LF"}
	}
	return i + 2, fail{}
}

// fieldName puts the name at buf[i] in lower case. It returns the offset of the
// colon and whether all of the name are characters of a token, 0 when more is
// needed, or -1 and why.
func fieldName(buf []byte, i int, lim *Limits) (colon int, valid bool, f fail) {
	start := i
	valid = true
	for ; i < len(buf); i++ {
		c := buf[i]
		if l := lower[c]; l != 0 {
			buf[i] = l
			continue
		}
		if c == ':' {
			if i == start {
				return -1, false, fail{0, i, "empty field name"}
			}
			return i, valid, fail{}
		}
		if !lim.AcceptInvalid || c == '\n' || c == '\r' {
			return -1, false, fail{0, i, "invalid character in a field name"}
		}
		valid = false
	}
	return 0, false, fail{}
}

// fieldValue reads the value at buf[i], up to the end of its line and of those that
// continue it. It returns the value without the blanks around it and the offset of
// the next line, 0 when more is needed, or -1 and why.
func fieldValue(buf []byte, i int, lim *Limits, k kind) (value []byte, next int, f fail) {
	i = skipBlanks(buf, i)
	start := i
	for {
		if i = plain(buf, i); i >= len(buf) {
			return nil, 0, fail{}
		}
		if buf[i] == 0 {
			if !lim.AcceptInvalid {
				return nil, -1, fail{0, i, "NUL in a field value"}
			}
			i++
			continue
		}
		end := i
		if i, f = lineEnd(buf, end, k); i <= 0 {
			return nil, i, f
		}
		if i >= len(buf) { // the next line may continue this one
			return nil, 0, fail{}
		}
		if !isBlank(buf[i]) {
			for start < end && isBlank(buf[start]) { // of lines that are joined
				start++
			}
			for end > start && isBlank(buf[end-1]) {
				end--
			}
			return buf[start:end:end], i, fail{}
		}
		for j := end; j < i; j++ {
			buf[j] = ' '
		}
	}
}

// notable tells whether a name of that length may be one that note takes down.
func notable(n int) bool {
	const lengths = 1<<2 | 1<<4 | 1<<6 | 1<<7 | 1<<10 | 1<<14 | 1<<17 | 1<<20
	return n <= 20 && lengths>>n&1 != 0
}

// framing tells of fields that have no business in trailers (RFC 9110 6.5.1).
func framing(name []byte) bool {
	switch string(name) {
	case "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// note takes down a field at pos that bears on framing or on the connection. It
// may shorten the value, and says whether to keep the field, or what is wrong.
func (s *seen) note(name []byte, value *[]byte, pos int, k kind) (keep bool, why string) {
	v := *value
	switch string(name) {
	case "host":
		if k == response {
			break
		}
		if !s.hasHost {
			s.hasHost, s.host, s.hostPos = true, v, pos
		} else if bytes.EqualFold(s.host, v) {
			return false, ""
		} else {
			return false, "different host fields"
		}
	case "connection":
		s.conn = true
		s.connection(v)
	case "content-length":
		s.bodyPos = pos
		return s.contentLength(value)
	case "transfer-encoding":
		s.bodyPos = pos
		s.transferEncoding(v)
	case "upgrade":
		s.upgPos = pos
		s.h2c = s.h2c || hasElement(v, "h2c") || hasElement(v, "h2")
		if s.upgrade == nil {
			s.upgrade = v
		}
		if hasElement(v, "websocket") {
			s.upgrade = v
		}
	case "expect":
		if message.EqualFold(v, "100-continue") {
			s.expect = true
		}
	case "te":
		// Only trailers may be asked for across a proxy (RFC 9110 10.1.4).
		for rest := v; rest != nil; {
			var e []byte
			if e, rest = element(rest); message.EqualFold(e, "trailers") {
				*value = e
				return true, ""
			}
		}
		return false, ""
	case "sec-websocket-key":
		s.wsKey = v
	case "sec-websocket-accept":
		s.wsAcc = v
	}
	return true, ""
}

func hasElement(list []byte, want string) bool {
	for list != nil {
		var e []byte
		if e, list = element(list); message.EqualFold(e, want) {
			return true
		}
	}
	return false
}

// contentLength reads a content-length (RFC 9110 8.6). Equal lengths may be
// repeated, in one field or several; the field keeps the last one of the list,
// without zeros that some take for a sign of octal.
func (s *seen) contentLength(value *[]byte) (keep bool, why string) {
	first := s.length < 0
	for rest := *value; ; {
		e, more := element(rest)
		n, ok := number(e)
		if !ok {
			return false, "invalid content-length"
		}
		if s.length >= 0 && n != s.length {
			return false, "different content-lengths"
		}
		s.length = n
		if more == nil {
			for len(e) > 1 && e[0] == '0' {
				e = e[1:]
			}
			*value = e
			return first, ""
		}
		rest = more
	}
}

// number reads a decimal number below 2^63.
func number(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		d := int64(c) - '0'
		if d < 0 || d > 9 || n > (1<<63-1)/10 {
			return 0, false
		}
		n = n*10 + d
		if n < 0 {
			return 0, false
		}
	}
	return n, true
}

// transferEncoding reads a transfer-encoding (RFC 9112 6.1).
func (s *seen) transferEncoding(v []byte) {
	s.te |= teSeen
	if len(v) == 0 {
		s.te |= teEmpty
		return
	}
	for v != nil {
		var e []byte
		e, v = element(v)
		switch {
		case message.EqualFold(e, "chunked"):
			if s.te&teChunked != 0 {
				s.te |= teTwice
			}
			s.te |= teChunked | teLast
		case len(e) == 0 && v == nil:
			s.te |= teEmpty // behind a comma at the end
		default:
			s.te = s.te&^teLast | teOther
		}
	}
}

// connection reads a connection field (RFC 9110 7.6.1).
func (s *seen) connection(v []byte) {
	for v != nil {
		var e []byte
		e, v = element(v)
		switch len(e) {
		case 5:
			s.close = s.close || message.EqualFold(e, "close")
		case 7:
			s.upg = s.upg || message.EqualFold(e, "upgrade")
		case 10:
			s.keep = s.keep || message.EqualFold(e, "keep-alive")
		}
	}
}

// stripConnection takes what was said to us alone, close and keep-alive, out of
// the connection fields, and what asks for HTTP/2 if that is so.
func stripConnection(h *message.Header, h2c bool) {
	for i := range h.Fields {
		f := &h.Fields[i]
		if string(f.Name) != "connection" {
			continue
		}
		switch n, others := ours(f.Value, h2c); {
		case !others:
			*f = message.Field{}
		case n > 0:
			f.Value = h.Copy(appendOthers(nil, f.Value, h2c))
		}
	}
}

// isOurs tells of elements of a connection field that are for the next hop alone.
func isOurs(e []byte, h2c bool) bool {
	switch len(e) {
	case 5:
		return message.EqualFold(e, "close")
	case 7:
		return h2c && message.EqualFold(e, "upgrade")
	case 10:
		return message.EqualFold(e, "keep-alive")
	case 14:
		return h2c && message.EqualFold(e, "http2-settings")
	}
	return false
}

// ours counts the elements of a connection field that are for the next hop
// alone, and tells whether there are others.
func ours(v []byte, h2c bool) (n int, others bool) {
	for v != nil {
		var e []byte
		e, v = element(v)
		switch {
		case len(e) == 0:
		case isOurs(e, h2c):
			n++
		default:
			others = true
		}
	}
	return n, others
}

// appendOthers appends the elements that ours does not count.
func appendOthers(dst, v []byte, h2c bool) []byte {
	start := len(dst)
	for v != nil {
		var e []byte
		e, v = element(v)
		if len(e) == 0 || isOurs(e, h2c) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ", "...)
		}
		dst = append(dst, e...)
	}
	return dst
}

// WantsClose tells whether a connection field says close. The parser takes such
// words out, so that what is left was set by a rule.
func WantsClose(h *message.Header) bool {
	for i := h.Next("connection", 0); i >= 0; i = h.Next("connection", i+1) {
		if hasElement(h.Fields[i].Value, "close") {
			return true
		}
	}
	return false
}
