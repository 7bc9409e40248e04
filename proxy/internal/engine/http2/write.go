package http2

import (
	"bytes"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// Heads are written with the static table and literals. Compressing them further
// would cost time on each and memory on every connection.

// appendInt appends an integer (RFC 7541 5.1) with the given bits before it.
func appendInt(dst []byte, n uint32, prefix uint, bits byte) []byte {
	most := uint32(1)<<prefix - 1
	if n < most {
		return append(dst, bits|byte(n))
	}
	dst = append(dst, bits|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

func appendString(dst, s []byte) []byte { return append(appendInt(dst, uint32(len(s)), 7, 0), s...) }

// neverIndexed tells of the static table's names whose values are secrets that
// no one on the way may put into a table (RFC 7541 7.1.3).
func neverIndexed(i uint8) bool {
	switch i {
	case 23, 32, 49, 55: // authorization, cookie, proxy-authorization, set-cookie
		return true
	}
	return false
}

// appendField appends a literal field.
func appendField(dst, name, value []byte) []byte {
	i := staticName(name)
	switch {
	case i == 0:
		dst = appendString(append(dst, 0), name)
	case neverIndexed(i):
		dst = appendInt(dst, uint32(i), 4, 0x10)
	default:
		dst = appendInt(dst, uint32(i), 4, 0)
	}
	return appendString(dst, value)
}

// appendLength appends a content-length, entry 28 of the static table.
func appendLength(dst []byte, n int64) []byte {
	dst = append(appendInt(dst, 28, 4, 0), 0)
	at := len(dst)
	dst = strconv.AppendInt(dst, n, 10)
	dst[at-1] = byte(len(dst) - at)
	return dst
}

// length is what a head says of its body's size.
type length struct {
	n        int64 // -1: nothing
	must     bool  // even when there is no field
	asFields bool  // what the fields say
}

func lengthOf(h *message.Header) length {
	switch h.Framing {
	case message.NoBody:
		return length{n: h.ContentLength}
	case message.Length:
		return length{n: h.ContentLength, must: true}
	}
	return length{n: -1}
}

// appendFields appends the fields that HTTP/2 has, and the content-length that
// fits the framing. size is what they are as lines of HTTP/1.
func appendFields(dst []byte, h *message.Header, l length, upgrade bool) (out []byte, size int) {
	for i := range h.Fields {
		f := &h.Fields[i]
		switch len(f.Name) {
		case 0:
			continue
		case 2:
			if string(f.Name) == "te" && !message.EqualFold(f.Value, "trailers") {
				continue
			}
		case 4:
			if string(f.Name) == "host" {
				continue
			}
		case 7:
			if string(f.Name) == "upgrade" {
				continue
			}
		case 10:
			if string(f.Name) == "connection" || string(f.Name) == "keep-alive" {
				continue
			}
		case 14:
			if string(f.Name) == "content-length" && !l.asFields {
				if l.n >= 0 {
					dst = appendLength(dst, l.n)
					size += lengthSize(l.n)
				}
				l.n = -1
				continue
			}
		case 16:
			if string(f.Name) == "proxy-connection" {
				continue
			}
		case 17:
			if string(f.Name) == "transfer-encoding" || upgrade && string(f.Name) == "sec-websocket-key" {
				continue
			}
		}
		if f.Name[0] == ':' {
			continue // it would be taken for what the protocol says
		}
		dst = appendField(dst, f.Name, f.Value)
		size += len(f.Name) + len(f.Value) + 4
	}
	if l.must && l.n >= 0 {
		dst = appendLength(dst, l.n)
		size += lengthSize(l.n)
	}
	return dst, size
}

// lengthSize is the size of the line "content-length: n".
func lengthSize(n int64) int {
	size := len("content-length: 0\r\n")
	for ; n >= 10; n /= 10 {
		size++
	}
	return size
}

// blockSize is enough for the fields of h as literals, plus n bytes.
func blockSize(h *message.Header, n int) int { return h.Size() + 8*len(h.Fields) + 64 + n }

// beginBlock starts a HEADERS frame in a chunk with room for n bytes.
func (c *Conn) beginBlock(n int) (ch *chunk, b []byte) {
	ch = c.space(frameHeader + n)
	b = append(ch.b, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if c.shrink {
		c.shrink = false
		b = append(b, 0x20) // RFC 7541 4.2: our table is empty, and stays so
	}
	return ch, b
}

// endBlock completes the frame that beginBlock started: b has the field block. A
// block beyond the peer's largest frame goes on in CONTINUATION frames.
func (c *Conn) endBlock(ch *chunk, b []byte, id uint32, end bool) {
	at := len(ch.b)
	n := len(b) - at - frameHeader
	flags := uint8(0)
	if end {
		flags = flagEndStream
	}
	most := int(c.peerFrame)
	if n <= most {
		appendFrame(b[:at], n, frameHeaders, flags|flagEndHeaders, id)
		c.grew(ch, b)
		return
	}
	block := bytes.Clone(b[at+frameHeader:])
	kind := uint8(frameHeaders)
	for len(block) > 0 {
		n := min(len(block), most)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		ch := c.space(frameHeader + n)
		c.grew(ch, append(appendFrame(ch.b, n, kind, flags, id), block[:n]...))
		block, kind, flags = block[n:], frameContinuation, 0
	}
}

// SendHead queues a response's head (server role). end says that nothing
// follows. Interim responses may come before the final one. Fields that HTTP/2
// has not are left out (RFC 9113 8.2.2); content-length is written as res.Framing
// has it. size is what it is as lines of HTTP/1.
func (s *Stream) SendHead(res *message.Response, end bool) (size int) {
	c := s.c
	if s.err != nil || c.err != nil || s.sentEnd || s.headSent {
		return 0
	}
	interim := res.Status < 200
	end = end && !interim
	ch, b := c.beginBlock(blockSize(&res.Header, 0))
	switch res.Status {
	case 200:
		b = append(b, 0x88)
	case 204:
		b = append(b, 0x89)
	case 206:
		b = append(b, 0x8a)
	case 304:
		b = append(b, 0x8b)
	case 400:
		b = append(b, 0x8c)
	case 404:
		b = append(b, 0x8d)
	case 500:
		b = append(b, 0x8e)
	default:
		b = append(b, 0x08, 3, byte('0'+res.Status/100%10), byte('0'+res.Status/10%10), byte('0'+res.Status%10))
	}
	l := lengthOf(&res.Header)
	switch {
	case interim, res.Status == 204:
		l = length{n: -1}
	case res.Framing == message.NoBody && (s.headOnly || res.Status == 304):
		l.asFields = true // they tell of the body that a GET would get
	case res.Framing == message.NoBody:
		l.n = 0
	}
	b, n := appendFields(b, &res.Header, l, false)
	c.endBlock(ch, b, s.ID, end)
	if !interim {
		s.headSent = true
	}
	if end {
		s.endSent()
	}
	return n + len("HTTP/2.0 200 \r\n\r\n")
}

// SendTrailers ends our message with trailers. Fields that have no business
// there are left out. size is what it is as lines of HTTP/1.
func (s *Stream) SendTrailers(fields []message.Field) (size int) {
	c := s.c
	if s.err != nil || c.err != nil || s.sentEnd {
		return 0
	}
	h := message.Header{Fields: fields}
	ch, b := c.beginBlock(blockSize(&h, 0))
	at := len(b)
	for _, f := range fields {
		if len(f.Name) > 0 && f.Name[0] != ':' && !http1.FramingField(f.Name) {
			b = appendField(b, f.Name, f.Value)
			size += len(f.Name) + len(f.Value) + 4
		}
	}
	if len(b) == at {
		s.SendData(nil, true)
		return 0
	}
	c.endBlock(ch, b, s.ID, true)
	s.endSent()
	return size
}

// Open opens a stream (client role) and queues the head of a request. end says
// that no body follows. Responses will be received into res. The error is
// [ErrNoStream] when the connection takes no more: see [Conn.Available].
//
// A GET with an Upgrade is sent as an extended CONNECT (RFC 8441), which the peer
// must allow.
func (c *Conn) Open(req *message.Request, res *message.Response, user User, end bool) (*Stream, error) {
	if c.Available() == 0 {
		return nil, ErrNoStream
	}
	if c.last == 0 {
		c.last = 1
	} else {
		c.last += 2
	}
	s := c.newStream(c.last)
	s.count()
	s.Req, s.Res, s.User = req, res, user
	s.headOnly = req.Method == message.Head

	upgrade := req.Upgrade != nil && req.Method == message.Get
	s.connect = upgrade || req.Method == message.Connect
	auth := req.Host
	if h := req.Get("host"); h != nil && req.Method != message.Connect {
		auth = h // where rules change it
	}
	ch, b := c.beginBlock(blockSize(&req.Header, len(req.MethodName)+len(req.Target)+len(auth)+len(req.Upgrade)))
	switch {
	case upgrade:
		b = appendString(append(b, 0x02), connectName)
		b = appendString(appendString(append(b, 0), protocolName), req.Upgrade)
	case req.Method == message.Get:
		b = append(b, 0x82)
	case req.Method == message.Post:
		b = append(b, 0x83)
	default:
		b = appendString(append(b, 0x02), req.MethodName)
	}
	if req.Method == message.Connect {
		b = appendString(append(b, 0x01), req.Target)
	} else {
		b = c.appendTarget(b, req)
		if len(auth) > 0 {
			b = appendString(append(b, 0x01), auth)
		}
	}
	l := lengthOf(&req.Header)
	if req.Framing == message.NoBody && l.n != 0 {
		l.n = -1
	}
	b, n := appendFields(b, &req.Header, l, upgrade)
	s.HeadOut = n + len(req.MethodName) + targetSize(req) + len("  HTTP/2.0\r\n\r\n")
	if len(auth) > 0 {
		s.HeadOut += len("host: \r\n") + len(auth)
	}
	c.endBlock(ch, b, s.ID, end)
	if end {
		s.endSent()
	}
	return s, nil
}

var (
	connectName  = []byte("CONNECT")
	protocolName = []byte(":protocol")
)

// appendTarget appends :scheme and :path.
func (c *Conn) appendTarget(b []byte, req *message.Request) []byte {
	t := req.Target
	var sch []byte
	if len(t) > 0 && t[0] != '/' && t[0] != '*' {
		if i := bytes.Index(t, colonSlashes); i > 0 {
			sch = t[:i]
		}
	}
	switch {
	case sch == nil && c.Secure, string(sch) == "https":
		b = append(b, 0x87)
	case sch == nil, string(sch) == "http":
		b = append(b, 0x86)
	default:
		b = appendString(append(b, 0x06), sch)
	}
	p := req.PathQuery()
	switch {
	case len(p) == 1 && p[0] == '/':
		return append(b, 0x84)
	case len(p) > 0 && p[0] == '?':
		b = appendInt(append(b, 0x04), uint32(len(p)+1), 7, 0)
		return append(append(b, '/'), p...)
	case len(p) > 0:
		return appendString(append(b, 0x04), p)
	case len(t) > 0 && t[0] == '*':
		return append(b, 0x04, 1, '*')
	}
	return append(b, 0x84)
}

// targetSize is the size of what appendTarget writes of the path, or of the target
// of a CONNECT.
func targetSize(req *message.Request) int {
	if req.Method == message.Connect {
		return len(req.Target)
	}
	p := req.PathQuery()
	if len(p) == 0 || p[0] == '?' {
		return len(p) + 1
	}
	return len(p)
}

var colonSlashes = []byte("://")
