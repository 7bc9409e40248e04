package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2originConn is a server's part in a connection that speaks HTTP/2.
type h2originConn struct {
	wire
	o      *origin
	seen   int   // requests
	client int64 // whose was the first
	from   *route
	mean   bool // refuses, resets and leaves streams unanswered
}

func (o *origin) acceptH2(e *end, rnd *rand.Rand, from *route) actor {
	c := &h2originConn{o: o, from: from}
	c.init(o.w, rnd, c, true)
	c.e = e
	o.h2conns = append(o.h2conns, c)
	c.mean = !o.w.calm && rnd.IntN(3) > 0
	if c.shy = o.ws1; !c.shy {
		c.tell(c.draw())
	}
	if rnd.IntN(3) > 0 {
		c.later(0, func() {})
	} // else settings come with what comes next
	after := func(oneIn int, f func()) {
		if rnd.IntN(oneIn) == 0 {
			c.later(rnd.Int64N(1<<(20+rnd.IntN(13))), f)
		}
	}
	if c.w.calm {
		after(6, c.retire)
		return c
	}
	after(6, c.retire)
	after(8, c.away0)
	after(12, func() { c.finish(rnd.IntN(2) == 0) })
	after(20, func() {
		c.w.note("server conn %d breaks the protocol", c.e.c.id)
		c.loose = true
		c.breakProtocol()
	})
	after(8, func() {
		c.stalled = true
		c.w.after(rnd.Int64N(20e9), func() {
			c.stalled = false
			c.grantAll()
			c.work()
		})
	})
	return c
}

func (c *h2originConn) fail(err error) {
	c.w.failf("server %s, conn %d: %v", c.o.addr, c.e.c.id, err)
}

func (c *h2originConn) finish(rst bool) { c.close(rst) }

func (c *h2originConn) aborted() { c.finish(true) }

// over is the end of what the proxy sends.
func (c *h2originConn) over(reset bool) {
	if c.w.calm && !reset {
		for _, s := range c.order {
			if s.open() && !s.sentEnd {
				c.fail(fmt.Errorf("the proxy closes while request %d is under way, although nothing went wrong", s.t.id))
			}
		}
	}
	c.finish(false)
}

func (c *h2originConn) turn() {}

func (c *h2originConn) finished(*strand) {}

// plain hands a connection over on which the proxy speaks HTTP/1, as it does for
// WebSockets when it was told to.
func (c *h2originConn) plain(in []byte) error {
	if !c.o.ws1 {
		return fmt.Errorf("the proxy begins with %q", cut(in))
	}
	if c.seen > 0 {
		return fmt.Errorf("HTTP/1 on a connection of HTTP/2")
	}
	c.ended = true // as HTTP/2
	c1 := c.o.acceptH1(c.e, c.rnd, c.from)
	c1.socketsOnly = true
	c.e.actor = c1
	c1.r.buf = append(c1.r.buf, in...)
	if err := c1.parse(); err != nil {
		return err
	}
	c1.wake(c.e)
	return nil
}

// retire is a graceful end: the proxy is told to open no more streams, and later
// which ones were processed.
func (c *h2originConn) retire() {
	if c.away || c.shy {
		return
	}
	c.sayAway(1<<31-1, http2.ErrCodeNo)
	var close func()
	close = func() {
		for _, s := range c.order {
			if s.open() {
				c.later(1e9, close)
				return
			}
		}
		c.sendAway(c.highest)
		c.later(1e9, func() { c.finish(false) })
	}
	c.later(1e9+10*c.e.c.latency, close)
}

// away0 is a GOAWAY out of the blue: of the streams that were not begun to be
// answered, some are not processed.
func (c *h2originConn) away0() {
	if c.shy {
		return
	}
	last := uint32(0)
	for _, s := range c.strands {
		if s.began || !s.open() {
			last = max(last, s.id)
		}
	}
	if c.highest > last {
		last += uint32(c.rnd.IntN(int(c.highest-last+1))) | 1
	}
	c.sendAway(min(last, c.highest))
}

func (c *h2originConn) sendAway(last uint32) {
	if c.away && last >= c.awayID {
		return
	}
	c.away, c.awayID = true, last
	c.w.note("server conn %d: GOAWAY, last stream %d", c.e.c.id, last)
	code := http2.ErrCodeNo
	if !c.w.calm && c.rnd.IntN(4) == 0 {
		code = http2.ErrCodeInternal
	}
	c.sayAway(last, code)
	for _, s := range c.order {
		if s.id > last && s.open() {
			s.dead = true
			if a := s.t.try(s.nonce); a != nil {
				a.refused = true
			}
		}
	}
}

// refuse resets a stream that was not processed.
func (c *h2originConn) refuse(s *strand) {
	s.t.try(s.nonce).refused = true
	c.rst(s, http2.ErrCodeRefusedStream)
}

// head is a request, or its trailers.
func (c *h2originConn) head(s *strand, h *head, isNew bool) error {
	if !isNew {
		s.trailer = "x-t: " + h.fields["x-t"]
		return nil
	}
	s.head = h
	c.seen++
	id := h.num("x-id")
	if id < 0 && h.fields[":path"] == "/" { // one of the malformed ones that the proxy lets pass
		s.t = &truth{bad: true}
		s.heads, s.fin = [][]hpack.HeaderField{c.fields(":status", "400")}, true
		return nil
	}
	if id < 0 || id >= len(c.w.truths) {
		return fmt.Errorf("request without a number: %v", h.fields)
	}
	t := c.w.truths[id]
	s.t = t
	s.bare = c.blockEnds
	c.w.note("server %s conn %d: request %d, number %d", c.o.addr, c.e.c.id, id, c.seen)
	a, err := c.w.reaches(t, c.e.c.id, c.seen == 1)
	if err != nil {
		return err
	}
	s.nonce = a.nonce
	f := h.fields
	method, protocol := t.method, ""
	if s.upgrade = t.webSocket || t.upgrade && f[":protocol"] != "" && c.mine.connect; s.upgrade {
		method, protocol = "CONNECT", t.upgradesTo()
	}
	switch {
	case f[":method"] != method, f[":protocol"] != protocol, f[":path"] != t.path(), f[":scheme"] != "http":
		return fmt.Errorf("request %d: %v", id, f)
	case f[":authority"] != "sim" && !t.bad:
		return fmt.Errorf("request %d: authority %q", id, f[":authority"])
	case t.webSocket && c.o.ws1:
		return fmt.Errorf("request %d: a WebSocket over HTTP/2", id)
	}
	if err := c.o.arrives(t, h, &c.client, c.from); err != nil {
		return err
	}
	open := 0
	for _, x := range c.order {
		if x.open() && !x.told() {
			open++
		}
	}
	if c.o.limit > 0 && open > c.o.limit {
		return fmt.Errorf("%d exchanges on one connection, maxconn is %d", open, c.o.limit)
	}
	rnd := c.rnd
	a.length = size(rnd)
	if c.mean {
		switch rnd.IntN(30) {
		case 0, 1:
			c.refuse(s)
			return nil
		case 2:
			c.rst(s, []http2.ErrCode{http2.ErrCodeCancel, http2.ErrCodeInternal, http2.ErrCodeProtocol, http2.ErrCodeNo, 4711}[rnd.IntN(5)])
			return nil
		case 3:
			return nil // no answer
		case 4, 5:
			c.answerSoon(s) // before the body has come
		case 6:
			c.finish(rnd.IntN(2) == 0)
			return nil
		}
	}
	if f["expect"] != "" && rnd.IntN(3) > 0 {
		s.heads = append(s.heads, c.fields(":status", "100"))
	}
	if c.w.calm && s.bare && c.w.refusals < 3 && rnd.IntN(20) == 0 {
		c.w.refusals++
		c.refuse(s)
		return nil
	}
	if s.upgrade {
		c.answerSoon(s)
	}
	return nil
}

func (c *h2originConn) data(s *strand, p []byte) error {
	if s.nonce == 0 {
		return nil
	}
	t, salt, most := s.t, saltRequest, s.t.bodyLen
	if s.upgrade {
		salt, most = saltUp, t.upLen
	}
	if err := verify(p, t.id, salt, s.got); err != nil {
		return fmt.Errorf("request %d: %w", t.id, err)
	}
	if n := s.got + len(p); n > most && most >= 0 {
		return fmt.Errorf("request %d: %d of %d bytes", t.id, n, most)
	}
	return nil
}

// end is when a request is complete.
func (c *h2originConn) end(s *strand) error {
	t := s.t
	if s.nonce == 0 {
		return nil
	}
	if s.upgrade {
		if c.w.calm && s.tunnel && s.got < t.upLen {
			return fmt.Errorf("tunnel %d: %d of %d bytes although nothing went wrong", t.id, s.got, t.upLen)
		}
		return nil
	}
	if s.got != t.bodyLen {
		return fmt.Errorf("request %d: %d of %d bytes arrived, and it looks complete", t.id, s.got, t.bodyLen)
	}
	want := ""
	if t.trailer {
		want = fmt.Sprintf("x-t: %d", t.id)
	}
	if s.trailer != want {
		return fmt.Errorf("request %d: trailer %q", t.id, s.trailer)
	}
	c.answerSoon(s)
	return nil
}

func (c *h2originConn) reset(s *strand, code http2.ErrCode) error {
	if c.w.calm && !s.sentEnd && !s.told() {
		return fmt.Errorf("request %d: the proxy resets it although nothing went wrong: %v", s.t.id, code)
	}
	return nil
}

func (c *h2originConn) goAway(uint32, http2.ErrCode) error { return nil }

func (c *h2originConn) answerSoon(s *strand) {
	if s.started {
		return
	}
	s.started = true
	d := c.rnd.Int64N(20e6)
	if c.rnd.IntN(10) == 0 {
		d = c.rnd.Int64N(1e9)
	}
	c.later(d, func() {
		if s.open() {
			c.answer(s)
		}
	})
}

// answer makes the frames of the answer.
func (c *h2originConn) answer(s *strand) {
	t, rnd := s.t, c.rnd
	a := t.try(s.nonce)
	if s.upgrade && rnd.IntN(3) > 0 {
		s.tunnel = true
		s.heads = append(s.heads, c.fields(":status", "200", "x-id", strconv.Itoa(t.id), "x-nonce", strconv.Itoa(s.nonce)))
		s.body, s.fin = content(t.id, saltDown, t.downLen), true
	} else {
		for rnd.IntN(10) == 0 {
			s.heads = append(s.heads, c.fields(":status", "103", "link", "</x>"))
		}
		status := []int{200, 200, 200, 200, 201, 404, 500, 204, 304}[rnd.IntN(9)]
		if s.upgrade {
			status = 404
		}
		if c.mean && rnd.IntN(60) == 0 {
			bad := [][]string{
				{":status", "101"}, {":status", "abc"}, {"x-first", "1", ":status", "200"}, {":status", "200", "connection", "close"},
				{":status", "200", "X-Upper", "1"}, {":status", "200", ":path", "/"}, {"x", "y"}, {":status", "200", "content-length", "x"},
			}
			s.heads = append(s.heads, c.fields(bad[rnd.IntN(len(bad))]...))
			s.fin = true
			return
		}
		h := c.fields(":status", strconv.Itoa(status), "x-id", strconv.Itoa(t.id), "x-nonce", strconv.Itoa(s.nonce), "x-len", strconv.Itoa(a.length))
		if rnd.IntN(3) == 0 {
			h = append(h, c.fields("x-fill", string(content(s.nonce, saltFill, rnd.IntN(1<<rnd.IntN(12)))))...)
		}
		if rnd.IntN(2) == 0 {
			h = append(h, c.fields("server", "sim", "x-server", "sim", "set-cookie", "a=b", "set-cookie", "c=d")...)
		}
		bare := t.method == "HEAD" || status == 204 || status == 304
		if status != 204 && rnd.IntN(2) == 0 {
			h = append(h, c.fields("content-length", strconv.Itoa(a.length))...)
			s.length = true
		}
		if !bare {
			s.body = content(t.id, saltResponse+16*s.nonce, a.length)
			if rnd.IntN(6) == 0 {
				s.tail = c.fields("x-t", strconv.Itoa(t.id))
			}
		}
		s.heads = append(s.heads, h)
		s.fin = true
	}
	if c.mean && rnd.IntN(8) == 0 {
		s.cutAt = rnd.IntN(len(s.body) + 1)
	}
}

// cut ends an answer in the middle.
func (c *h2originConn) cut(s *strand) {
	switch k := c.rnd.IntN(8); k {
	case 0:
		c.finish(true)
	case 1:
		c.finish(false)
	case 2:
		s.hold = true // nothing more comes
	case 3:
		if s.off < len(s.body) && s.length {
			s.body, s.tail = s.body[:s.off], nil // it looks complete, but is not what was said
			return
		}
		fallthrough
	default:
		c.rst(s, []http2.ErrCode{http2.ErrCodeCancel, http2.ErrCodeInternal, http2.ErrCodeRefusedStream, http2.ErrCodeNo}[k/2])
	}
}

var _ wireOwner = (*h2originConn)(nil)
