package sim

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2client is a simulated client that speaks HTTP/2: one connection with many
// requests at once.
type h2client struct {
	wire
	reqs     []*truth // still to be sent
	left     int      // requests without a verdict
	first    *truth   // of its requests
	most     int      // how many at once
	bold     bool     // does not care how many the proxy allows
	patient  bool     // waits for the proxy's settings
	noMore   bool     // nothing more is begun
	thinking bool
	leaving  bool
	abortHow int
}

func (w *World) startH2Client() {
	rnd := w.actorRand()
	c := &h2client{}
	c.init(w, rnd, c, false)
	w.clients++
	s := w.scene
	for range (1 + rnd.IntN(1<<rnd.IntN(6))) * w.long {
		c.reqs = append(c.reqs, c.invent())
	}
	c.left = len(c.reqs)
	c.most = 1 + rnd.IntN(1<<rnd.IntN(6))
	c.patient = w.calm || rnd.IntN(2) == 0
	c.bold = !w.calm && rnd.IntN(4) == 0
	if !w.calm {
		if rnd.IntN(5) == 0 {
			c.abortAt = rnd.IntN(1 << (4 + rnd.IntN(14)))
			c.abortHow = rnd.IntN(3)
		}
		if rnd.IntN(12) == 0 {
			w.after(rnd.Int64N(1<<(20+rnd.IntN(12))), c.vandalize)
		}
		if rnd.IntN(8) == 0 {
			w.after(rnd.Int64N(1<<(20+rnd.IntN(12))), c.stall)
		}
		if rnd.IntN(10) == 0 {
			w.after(rnd.Int64N(1<<(20+rnd.IntN(12))), c.leave)
		}
	}
	patience := 20e9 + rnd.Int64N(60e9)
	if w.calm {
		patience = 600e9
	}
	patience *= int64(w.long)
	f := s.fronts[rnd.IntN(len(s.fronts))]
	c.e = w.dial(f.addr, c)
	c.out.Write(w.introduce(rnd, f, c.e, c.reqs...))
	c.first = c.reqs[0]
	c.out.WriteString(http2.ClientPreface)
	c.tell(c.draw())
	w.after(patience, func() { c.finish("gave up") })
}

// plain reads what comes before the proxy's settings: an error of HTTP/1, when
// the preface took too long.
func (c *h2client) plain([]byte) error {
	if !strings.Contains(string(c.in), "\r\n\r\n") {
		return nil
	}
	if c.w.calm || !strings.HasPrefix(string(c.in), "HTTP/1.1 4") {
		return fmt.Errorf("%q before HTTP/2", cut(c.in))
	}
	c.finish("closed as said")
	return nil
}

// invent makes a random request.
func (c *h2client) invent() *truth {
	rnd := c.rnd
	t := c.w.invent(rnd)
	t.h2, t.keep = true, true
	t.webSocket = t.upgrade && rnd.IntN(2) == 0
	if !c.w.calm && rnd.IntN(25) == 0 {
		t.bad, t.upgrade, t.webSocket = true, false, false
	}
	return t
}

func (c *h2client) finish(verdict string) {
	if c.ended {
		return
	}
	c.w.note("client of conn %d ends: %s", c.e.c.id, verdict)
	c.close(c.rnd.IntN(6) == 0 && !c.w.calm)
	c.w.clients--
	if c.w.calm && verdict != "all done" && verdict != "closed as said" {
		c.w.failf("client of conn %d: %s although nothing went wrong", c.e.c.id, verdict)
	}
}

func (c *h2client) fail(err error) { c.w.failf("client of conn %d: %v", c.e.c.id, err) }

func (c *h2client) aborted() {
	switch c.abortHow {
	case 0:
		c.e.close(true)
		c.finish("aborted with a reset")
	case 1:
		c.finish("aborted")
	default:
		c.abortAt = -1
		c.e.shut()
		c.out.Reset()
		c.noMore = true
	}
}

// over is the end of what the proxy sends.
func (c *h2client) over(reset bool) {
	said := c.proxyAway
	for _, s := range c.order {
		said = said && (!s.open() || s.id == 0 || s.id > c.proxyID)
	}
	switch {
	case c.left == 0:
		c.finish("all done")
	case said:
		c.finish("closed as said")
	default:
		c.finish(fmt.Sprintf("cut off (reset: %v) with %d requests left", reset, c.left))
	}
}

// turn opens streams.
func (c *h2client) turn() {
	if c.ended || c.patient && !c.known {
		return
	}
	open := 0
	for _, s := range c.order {
		if s.open() {
			open++
		}
	}
	most := c.most
	if !c.bold {
		most = min(most, int(c.theirs.streams))
	}
	for len(c.reqs) > 0 && open < most && !c.noMore && !c.proxyAway && !c.thinking {
		t := c.reqs[0]
		if t.upgrade && !c.theirs.connect {
			if !c.known {
				break // settings tell whether there are tunnels
			}
			t.upgrade, t.webSocket = false, false
		}
		c.reqs = c.reqs[1:]
		c.start(t)
		open++
		if c.rnd.IntN(6) == 0 {
			c.think()
		}
	}
	if (c.left == 0 || (c.proxyAway || c.noMore) && open == 0) && (c.acknowledged() || !c.w.calm || c.proxyAway) && !c.leaving {
		c.leaving = true
		idle := int64(0)
		if c.rnd.IntN(3) == 0 {
			idle = c.rnd.Int64N(4e9)
		}
		c.w.after(idle, func() {
			if c.left == 0 {
				c.finish("all done")
			} else {
				c.finish("closed as said")
			}
		})
	}
}

// think makes the client wait a little before its next request.
func (c *h2client) think() {
	c.thinking = true
	c.later(c.rnd.Int64N(1<<(15+c.rnd.IntN(15))), func() { c.thinking = false })
}

// start sends a request.
func (c *h2client) start(t *truth) {
	rnd := c.rnd
	s := c.newStrand()
	s.t = t
	var h []hpack.HeaderField
	if t.upgrade {
		h = c.fields(":method", "CONNECT", ":protocol", t.upgradesTo(), ":scheme", "http", ":path", t.path(), ":authority", "sim")
		s.body = content(t.id, saltUp, t.upLen)
		s.hold = true
	} else {
		h = c.fields(":method", t.method, ":scheme", "http", ":path", t.path(), ":authority", "sim")
		s.body = content(t.id, saltRequest, t.bodyLen)
		s.fin = true
	}
	rnd.Shuffle(len(h), func(i, j int) { h[i], h[j] = h[j], h[i] })
	fields := c.fields("x-id", strconv.Itoa(t.id))
	if t.hasBody() && !t.chunked {
		fields = append(fields, c.fields("content-length", strconv.Itoa(t.bodyLen))...)
	}
	if t.expect {
		fields = append(fields, c.fields("expect", "100-continue")...)
		s.hold = len(s.body) > 0
		c.later(1e9+rnd.Int64N(1e9), func() { s.hold = s.hold && t.upgrade })
	}
	if t.upgrade {
		fields = append(fields, c.fields("sec-websocket-version", "13")...)
	}
	if t.trailer {
		s.tail = c.fields("x-t", strconv.Itoa(t.id))
		fields = append(fields, c.fields("te", "trailers")...)
	}
	if rnd.IntN(3) == 0 {
		fields = append(fields, c.fields("x-fill", string(content(t.id, saltFill, rnd.IntN(1<<rnd.IntN(12)))))...)
	}
	if rnd.IntN(3) == 0 {
		fields = append(fields, c.fields("user-agent", "sim", "accept-language", "en", "x-agent", "sim")...)
	}
	rnd.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	switch rnd.IntN(6) {
	case 0:
		fields = append(fields, c.fields("cookie", "a=1", "x-between", "1", "cookie", "b="+strconv.Itoa(t.id))...)
	case 1:
		fields = append(fields, c.fields("cookie", "a=1; b="+strconv.Itoa(t.id))...)
	}
	if t.bad {
		h, fields = c.spoil(s, h, fields)
	}
	s.heads = [][]hpack.HeaderField{append(h, fields...)}
	if c.w.calm {
		return
	}
	if rnd.IntN(10) == 0 {
		c.later(rnd.Int64N(1<<(10+rnd.IntN(22))), func() {
			if s.open() {
				c.rst(s, []http2.ErrCode{http2.ErrCodeCancel, http2.ErrCodeNo, http2.ErrCodeInternal, 4711}[rnd.IntN(4)])
				c.answered(s)
			}
		})
	}
	if len(s.body) > 0 && rnd.IntN(20) == 0 {
		s.cutAt, s.started = rnd.IntN(len(s.body)), true
	}
}

// spoil makes a request malformed.
func (c *h2client) spoil(s *strand, h, fields []hpack.HeaderField) (pseudo, rest []hpack.HeaderField) {
	t := s.t
	t.unseen = true
	switch c.rnd.IntN(9) {
	case 0:
		t.unseen = h[0].Name != ":authority" // none else may be missing
		h = h[1:]
	case 1:
		h = append(h, c.fields(":foo", "bar")...)
	case 2:
		fields = append(fields, c.fields("X-Upper", "1")...)
	case 3:
		fields = append(fields, c.fields("connection", "close")...)
	case 4:
		fields = append(fields, c.fields(":path", "/again")...)
	case 5:
		fields = append(fields, c.fields("te", "gzip")...)
	case 6:
		fields = append(fields, c.fields("x-line", "a\r\nb: c")...)
	case 7: // more or less than what was said
		t.unseen = false
		fields = append(fields[:0:0], fields...)
		for i := range fields {
			if fields[i].Name == "content-length" {
				fields[i].Value = strconv.Itoa(t.bodyLen + 1)
				t.bodyLen++ // which never gets there
				return h, fields
			}
		}
		fields = append(fields, c.fields("transfer-encoding", "chunked")...)
		t.unseen = true
	case 8:
		fields = append(fields, c.fields("x-fill", strings.Repeat("y", 20000))...)
	}
	return h, fields
}

// answered is when nothing more is to be said of a request.
func (c *h2client) answered(s *strand) {
	if !s.over {
		s.over = true
		c.left--
	}
}

func (c *h2client) head(s *strand, h *head, _ bool) error {
	t := s.t
	if s.head != nil {
		s.trailer = "x-t: " + h.fields["x-t"]
		return nil
	}
	c.w.note("client of conn %d: %d to request %d", c.e.c.id, h.status, t.id)
	if h.status < 200 {
		if !t.upgrade {
			s.hold = s.hold && h.status != 100
		}
		return nil
	}
	s.head = h
	if err := c.w.answerBegins(t, h); err != nil {
		return err
	}
	// A server of HTTP/1 may answer 200 instead of 101. The proxy passes it on, as
	// HAProxy does, although it looks like a tunnel then.
	if s.tunnel = t.upgrade && h.status < 300 && h.fields["x-len"] == ""; s.tunnel {
		t.answered = true
		c.w.Answered++
		s.hold, s.fin = false, true
	} else if t.upgrade {
		s.body, s.hold, s.fin = nil, false, true
	}
	return nil
}

func (c *h2client) data(s *strand, p []byte) error {
	t, h := s.t, s.head
	switch {
	case s.tunnel:
		if err := verify(p, t.id, saltDown, s.got); err != nil {
			return fmt.Errorf("tunnel %d: %w", t.id, err)
		}
		if s.got+len(p) > t.downLen {
			return fmt.Errorf("tunnel %d: more than %d bytes", t.id, t.downLen)
		}
	case h.fields["x-id"] != "":
		if err := verify(p, t.id, saltResponse+16*h.num("x-nonce"), s.got); err != nil {
			return fmt.Errorf("answer to %d: %w", t.id, err)
		}
	}
	return nil
}

func (c *h2client) end(s *strand) error {
	t, h := s.t, s.head
	if h == nil {
		return fmt.Errorf("the answer to %d ends without a head", t.id)
	}
	if n, ok := h.fields["content-length"]; ok && n != strconv.Itoa(s.got) && t.method != "HEAD" && h.status != 304 {
		return fmt.Errorf("the answer to %d ends after %d of %s bytes", t.id, s.got, n)
	}
	switch {
	case !s.tunnel:
		if err := c.w.answerEnds(t, h, s.got, s.trailer); err != nil {
			return err
		}
	case s.got < t.downLen && c.w.calm:
		return fmt.Errorf("tunnel %d: cut off although nothing went wrong", t.id)
	}
	if !s.tunnel || s.sentEnd {
		c.answered(s)
	}
	return nil
}

func (c *h2client) finished(s *strand) {
	if s.tunnel && s.gotEnd {
		c.answered(s)
	}
}

func (c *h2client) reset(s *strand, code http2.ErrCode) error {
	t := s.t
	switch {
	case s.gotEnd:
		// The answer is complete, the rest of the request of no use.
		if code != http2.ErrCodeNo && c.w.calm {
			return fmt.Errorf("request %d: reset after the answer: %v", t.id, code)
		}
	case code == http2.ErrCodeRefusedStream:
		if len(t.attempts) > 0 {
			return fmt.Errorf("request %d is refused, but a server has seen it", t.id)
		}
		c.again(s)
		return nil
	case c.w.calm:
		return fmt.Errorf("request %d: reset although nothing went wrong: %v", t.id, code)
	}
	c.answered(s)
	return nil
}

// again sends a request once more that was surely not seen.
func (c *h2client) again(s *strand) {
	if s.over {
		return
	}
	if s.t.bodyLen < 0 { // it was cut off
		c.answered(s)
		return
	}
	s.over = true
	c.reqs = append(c.reqs, s.t)
	c.think()
}

func (c *h2client) goAway(last uint32, code http2.ErrCode) error {
	if code != http2.ErrCodeNo {
		if c.w.calm {
			return fmt.Errorf("the connection ends although nothing went wrong")
		}
		return nil
	}
	for _, s := range c.order {
		if s.id > last && s.open() {
			if n := len(s.t.attempts); n > 0 {
				return fmt.Errorf("request %d will not be answered, but a server has seen it", s.t.id)
			}
			s.t.unseen = true // as it is not sent again
			s.dead = true
		} else if s.id == 0 {
			s.dead = true
		}
	}
	return nil
}

// cut ends a request in the middle.
func (c *h2client) cut(s *strand) {
	switch c.rnd.IntN(3) {
	case 0:
		c.rst(s, http2.ErrCodeCancel)
		c.answered(s)
	case 1: // it looks complete, but is not what was said
		s.t.bodyLen = -1
		if s.t.chunked {
			s.t.bodyLen = s.off
		}
		s.body, s.tail, s.t.trailer = s.body[:s.off], nil, false
	default: // nothing more comes
		s.hold = true
	}
}

// stall makes the client take nothing for a while.
func (c *h2client) stall() {
	if c.ended {
		return
	}
	c.stalled = true
	deaf := c.rnd.IntN(2) == 0
	c.resting = c.resting || deaf
	c.w.after(c.rnd.Int64N(20e9), func() {
		c.stalled = false
		if deaf {
			c.resting = false
		}
		if !c.ended {
			c.grantAll()
			c.run()
		}
	})
}

// leave is a GOAWAY.
func (c *h2client) leave() {
	if !c.ended && !c.deaf {
		c.noMore = true
		c.fr.WriteGoAway(0, http2.ErrCodeNo, nil)
		c.work()
	}
}

// vandalize breaks the protocol.
func (c *h2client) vandalize() {
	if c.ended {
		return
	}
	c.loose, c.noMore = true, true
	c.w.note("client of conn %d breaks the protocol", c.e.c.id)
	if c.rnd.IntN(6) == 0 {
		c.rapidResets()
	} else {
		c.breakProtocol()
	}
	c.work()
}

// breakProtocol sends what no peer may send.
func (c *wire) breakProtocol() {
	rnd := c.rnd
	switch rnd.IntN(11) {
	case 0:
		c.fr.WriteRawFrame(http2.FrameData, 0, 0, []byte("x"))
	case 1:
		c.fr.WriteRawFrame(http2.FrameRSTStream, 0, 100001, []byte{0, 0, 0, 8})
	case 2:
		c.fr.WriteWindowUpdate(0, 1<<31-1)
	case 3:
		c.fr.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2000, []byte{0x82})
	case 4:
		c.fr.WriteRawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, []byte{0, 0, 0, 2, 0x82})
	case 5:
		c.fr.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20))
	case 6:
		c.fr.WriteRawFrame(http2.FrameContinuation, 0, 1, []byte{0x82})
	case 7:
		c.fr.WriteRawFrame(http2.FrameSettings, 0, 0, []byte{0, 4, 0xff, 0xff, 0xff, 0xff})
	case 8:
		b := make([]byte, 1+rnd.IntN(100))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		c.out.Write(b)
	case 9: // a head that does not end
		c.fr.WriteRawFrame(http2.FrameHeaders, 0, c.next+1001, []byte{0x82})
		for range rnd.IntN(200) {
			c.fr.WriteRawFrame(http2.FrameContinuation, 0, c.next+1001, make([]byte, rnd.IntN(1000)))
		}
	case 10: // a flood of frames that ask for answers
		for range 3000 {
			c.fr.WritePing(false, [8]byte{})
		}
	}
}

// rapidResets begins streams to give them up at once (CVE-2023-44487).
func (c *h2client) rapidResets() {
	for range c.rnd.IntN(1500) {
		t := c.w.newTruth()
		c.w.Requests-- // nobody wants to know
		t.method, t.h2, t.client = "GET", true, c.e.c.id
		t.route, t.banned = c.first.route, c.first.banned
		c.next += 2
		c.encBuf.Reset()
		for _, f := range c.fields(":method", "GET", ":scheme", "http", ":path", t.path(), ":authority", "sim", "x-id", strconv.Itoa(t.id)) {
			c.enc.WriteField(f)
		}
		c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: c.next - 1, BlockFragment: c.encBuf.Bytes(), EndHeaders: true, EndStream: true})
		c.fr.WriteRSTStream(c.next-1, http2.ErrCodeCancel)
	}
}

var _ wireOwner = (*h2client)(nil)
