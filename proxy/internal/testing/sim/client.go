package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// client is a simulated HTTP client: one connection with some requests.
type client struct {
	w     *World
	rnd   *rand.Rand
	e     *end
	r     reader
	reqs  []*truth
	sent  int // requests given to out
	first int // oldest one that is not answered
	out   []byte
	count int // bytes written

	pipeline  bool
	writePace int // bytes at once, 0: all
	readPace  int
	abortAt   int // bytes, -1: never
	abortHow  int
	body      []byte // held back until 100
	waker
	ended    bool
	noMore   bool // no request is sent any more
	broken   bool // a send failed
	ignore   bool // malformed requests were sent: any answer will do
	tunnel   *duplex
	verdict  string
	dead     int64 // when it gives up
	thinking bool
	paused   bool
}

// pace is how many bytes are written at once: in calm runs not so few that
// others wait for too long.
func (w *World) pace(n int) int {
	if w.calm {
		return max(n, 32)
	}
	return n
}

// actorRand makes the random source of an actor.
func (w *World) actorRand() *rand.Rand { return rand.New(rand.NewPCG(w.rnd.Uint64(), w.rnd.Uint64())) }

func (w *World) startClient() {
	rnd := w.actorRand()
	c := &client{w: w, rnd: rnd, abortAt: -1}
	w.clients++
	s := w.scene
	for range (1 + rnd.IntN(6)) * w.long {
		c.reqs = append(c.reqs, c.invent())
	}
	c.pipeline = rnd.IntN(3) == 0
	if rnd.IntN(5) == 0 {
		c.writePace = w.pace(1 << rnd.IntN(13))
	}
	if rnd.IntN(5) == 0 {
		c.readPace = 64 << rnd.IntN(11)
	}
	if !w.calm && rnd.IntN(4) == 0 {
		c.abortAt = rnd.IntN(1 << (4 + rnd.IntN(12)))
		c.abortHow = rnd.IntN(3)
	}
	c.dead = w.now + 20e9 + rnd.Int64N(60e9)
	if w.calm {
		c.dead = w.now + 600e9
	}
	c.dead += (c.dead - w.now) * int64(w.long-1)
	f := s.fronts[rnd.IntN(len(s.fronts))]
	c.e = w.dial(f.addr, c)
	c.out = w.introduce(rnd, f, c.e, c.reqs...)
	w.at(c.dead, func() {
		if !c.ended {
			c.finish("gave up")
		}
	})
}

// invent makes a random request.
func (c *client) invent() *truth {
	rnd := c.rnd
	t := c.w.invent(rnd)
	t.v10 = !t.upgrade && rnd.IntN(6) == 0
	t.keep = rnd.IntN(8) != 0
	if t.v10 {
		t.chunked, t.trailer, t.expect = false, false, false
	}
	t.webSocket = t.upgrade && rnd.IntN(2) == 0
	if !c.w.calm && rnd.IntN(25) == 0 {
		t.bad, t.method, t.upgrade = true, "GET", false
	}
	return t
}

// text gives the bytes of a request: the head, and the body.
func (c *client) text(t *truth) (h, b []byte) {
	if t.bad {
		c.ignore = true
		bad := []string{
			"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
			"GET\r\n\r\n",
			"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
			"GET / HTTP/9.9\r\n\r\n",
			"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
			"GET / HTTP/1.1\r\nhost: a\r\nbad name: x\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: a\r\nx: " + strings.Repeat("y", 20000) + "\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: a\r\n\x00: x\r\n\r\n",
			"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: a\r\n" + strings.Repeat("x: y\r\n", 300) + "\r\n",
		}
		return []byte(bad[c.rnd.IntN(len(bad))]), nil
	}
	version := "HTTP/1.1"
	if t.v10 {
		version = "HTTP/1.0"
	}
	s := fmt.Sprintf("%s /b%d/%d %s\r\nhost: sim\r\nx-id: %d\r\n", t.method, t.backend, t.id, version, t.id)
	switch {
	case t.webSocket:
		s += "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: " + webSocketKey + "\r\n"
	case t.upgrade:
		s += "connection: upgrade\r\nupgrade: echo\r\n"
	case !t.keep && !t.v10:
		s += "connection: close\r\n"
	case t.keep && t.v10:
		s += "connection: keep-alive\r\n"
	}
	if t.expect {
		s += "expect: 100-continue\r\n"
	}
	b = content(t.id, saltRequest, t.bodyLen)
	switch {
	case t.chunked:
		s += "transfer-encoding: chunked\r\n"
		trailer := ""
		if t.trailer {
			trailer = fmt.Sprintf("x-t: %d", t.id)
		}
		b = chunked(b, func(n int) int { return 1 + c.rnd.IntN(n) }, trailer)
	case t.method == "POST" || t.method == "PUT" || t.method == "PATCH":
		s += fmt.Sprintf("content-length: %d\r\n", t.bodyLen)
	}
	return []byte(s + "\r\n"), b
}

func (c *client) wake(*end) {
	if !c.ended {
		c.soon(c.w, c.rnd, c.run)
	}
}

func (c *client) finish(verdict string) {
	if c.ended {
		return
	}
	c.ended = true
	c.verdict = verdict
	c.w.note("client of conn %d ends: %s", c.e.c.id, verdict)
	c.e.close(c.rnd.IntN(6) == 0 && !c.w.calm)
	c.w.clients--
	if c.w.calm && verdict != "all done" && verdict != "closed as said" {
		c.w.failf("client of conn %d: %s although nothing went wrong", c.e.c.id, verdict)
	}
}

func (c *client) run() {
	if c.ended || c.e.state == connecting {
		return
	}
	if c.e.state == failed {
		c.finish("refused")
		return
	}
	c.read()
	if !c.ended {
		c.send()
	}
}

// send gives out requests, and writes.
func (c *client) send() {
	if c.tunnel != nil {
		return
	}
	for c.sent < len(c.reqs) && !c.noMore && !c.thinking && c.body == nil && (c.sent == c.first || c.pipeline && c.sent-c.first < 4) {
		t := c.reqs[c.sent]
		h, b := c.text(t)
		c.out = append(c.out, h...)
		c.sent++
		if t.expect && len(b) > 0 {
			c.body = b
			c.w.after(1e9+c.rnd.Int64N(1e9), func() { // clients do not wait for ever
				if c.body != nil && !c.ended {
					c.out = append(c.out, c.body...)
					c.body = nil
					c.run()
				}
			})
		} else {
			c.out = append(c.out, b...)
		}
		if t.upgrade || !t.keep || t.bad {
			c.noMore = true // what comes after is not HTTP, or nothing
		}
	}
	for len(c.out) > 0 && !c.paused {
		p := c.out
		if c.writePace > 0 && len(p) > c.writePace {
			p = p[:c.writePace]
		}
		if c.abortAt >= 0 {
			if c.count >= c.abortAt {
				c.abort()
				return
			}
			p = p[:min(len(p), c.abortAt-c.count)]
		}
		n, no := c.e.send(p, false)
		if no != 0 && no != 11 {
			c.out, c.broken = nil, true
			return // the reading side will tell
		}
		c.count += n
		c.out = c.out[n:]
		if n == 0 {
			return
		}
		if c.writePace > 0 {
			c.paused = true
			c.w.after(c.rnd.Int64N(2e6), func() {
				c.paused = false
				c.run()
			})
		}
	}
}

// abort leaves in the middle.
func (c *client) abort() {
	c.abortAt = -1
	switch c.abortHow {
	case 0:
		c.e.close(true)
		c.finish("aborted with a reset")
	case 1:
		c.finish("aborted")
	default:
		c.e.shut()
		c.out, c.body, c.noMore = nil, nil, true
	}
}

func (c *client) read() {
	for !c.ended {
		want := 1 << 16
		if c.readPace > 0 {
			want = c.readPace
		}
		buf := make([]byte, min(want, max(len(c.e.rx), 1)))
		n, no := c.e.read(buf)
		switch {
		case no == 11:
			return
		case no != 0:
			c.over(true)
			return
		case n == 0:
			c.over(false)
			return
		}
		c.r.buf = append(c.r.buf, buf[:n]...)
		if err := c.parse(); err != nil {
			c.w.failf("client of conn %d: %v", c.e.c.id, err)
			return
		}
		if c.tunnel != nil {
			return
		}
		if c.readPace > 0 {
			c.in(c.w, c.rnd.Int64N(3e6), c.run)
			return
		}
	}
}

// over is the end of what the proxy sends.
func (c *client) over(reset bool) {
	reset = reset || c.broken // errors are reported once, to whoever asks first
	if c.r.head != nil && c.r.framing == byClose && !c.r.done && !reset {
		c.r.done = true
		if err := c.complete(); err != nil {
			c.w.failf("client of conn %d: %v", c.e.c.id, err)
		}
		if c.ended {
			return
		}
		c.finish("closed as said")
		return
	}
	switch {
	case c.noMore && c.first >= c.sent && c.r.head == nil:
		c.finish("closed as said")
	case c.first >= len(c.reqs):
		c.finish("all done")
	case reset && c.pipeline && c.sent-c.first > 1:
		// The answer to the first may have said that it is the last. Requests that
		// were still on their way then met a closed connection, and the reset
		// destroyed the answer: a risk of pipelining.
		c.finish("closed as said")
	default:
		c.finish(fmt.Sprintf("cut off (reset: %v) with %d of %d answered", reset, c.first, c.sent))
	}
}

// parse takes the answers apart.
func (c *client) parse() error {
	for len(c.r.buf) > 0 || c.r.head != nil {
		if c.tunnel != nil {
			return nil
		}
		if c.r.head == nil {
			if c.first >= c.sent {
				if c.ignore || c.r.isTimeout() {
					c.r.buf = nil
					return nil
				}
				return fmt.Errorf("%q without a request", cut(c.r.buf))
			}
			ok, err := c.r.next(true, c.reqs[c.first].method)
			if err != nil || !ok {
				return err
			}
			if err := c.begin(); err != nil {
				return err
			}
			if c.tunnel != nil {
				c.tunnel.feed(c.r.buf)
				c.r = reader{}
				return nil
			}
			if c.r.head == nil { // 1xx
				continue
			}
		}
		t, off := c.reqs[c.first], c.r.got
		data, err := c.r.body()
		if err != nil {
			return fmt.Errorf("answer to %d: %w", t.id, err)
		}
		if c.r.head.fields["x-id"] != "" {
			if err := verify(data, t.id, saltResponse+16*c.r.head.num("x-nonce"), off); err != nil {
				return fmt.Errorf("answer to %d: %w", t.id, err)
			}
		}
		if !c.r.done {
			return nil
		}
		if err := c.complete(); err != nil || c.ended {
			return err
		}
	}
	return nil
}

// isTimeout tells whether a 408 comes without a request, as it may.
func (r *reader) isTimeout() bool {
	const s = "HTTP/1.1 408 "
	n := min(len(s), len(r.buf))
	return string(r.buf[:n]) == s[:n]
}

func cut(b []byte) []byte { return b[:min(len(b), 60)] }

// begin looks at the head of an answer.
func (c *client) begin() error {
	h, t := c.r.head, c.reqs[c.first]
	c.w.note("client of conn %d: %d to request %d", c.e.c.id, h.status, t.id)
	if h.status >= 100 && h.status < 200 && h.status != 101 {
		if t.v10 && !t.bad {
			return fmt.Errorf("a %d to HTTP/1.0", h.status)
		}
		if h.status == 100 && c.body != nil {
			c.out = append(c.out, c.body...)
			c.body = nil
		}
		c.r.head = nil
		return nil
	}
	if err := c.w.answerBegins(t, h); err != nil || h.fields["x-id"] == "" {
		return err
	}
	if h.status == 101 {
		if !t.upgrade {
			return fmt.Errorf("request %d: 101 without an upgrade", t.id)
		}
		if a := h.fields["sec-websocket-accept"]; t.webSocket && a != webSocketAccept {
			return fmt.Errorf("request %d: sec-websocket-accept %q", t.id, a)
		}
		c.first++
		t.answered = true
		c.w.Answered++
		c.tunnel = &duplex{
			w: c.w, rnd: c.rnd, e: c.e, id: t.id, sendSalt: saltUp, sendLen: t.upLen, recvSalt: saltDown, recvLen: t.downLen,
			over: func(verdict string) { c.finish(verdict) },
		}
		c.e.actor = c.tunnel
		c.tunnel.wake(c.e)
	}
	return nil
}

// complete is the end of an answer.
func (c *client) complete() error {
	h, t := c.r.head, c.reqs[c.first]
	if err := c.w.answerEnds(t, h, c.r.got, c.r.trailer); err != nil {
		return err
	}
	c.first++
	last := c.r.framing == byClose || strings.Contains(h.fields["connection"], "close") || (t.v10 && !strings.Contains(strings.ToLower(h.fields["connection"]), "keep-alive"))
	c.r = reader{buf: c.r.buf}
	if last || c.body != nil && c.first == c.sent { // or the answer came before the body was asked for
		c.noMore = true
		if t.method == "HEAD" && (h.status == 400 || h.status == 408) {
			c.r.buf = nil // the proxy may not have seen the method
		}
		if len(c.r.buf) > 0 && last {
			return fmt.Errorf("%q after the last answer", cut(c.r.buf))
		}
		c.finish("closed as said")
		return nil
	}
	if c.first >= len(c.reqs) || c.noMore && c.first >= c.sent {
		idle := int64(0)
		if c.rnd.IntN(3) == 0 {
			idle = c.rnd.Int64N(4e9)
		}
		c.w.after(idle, func() { c.finish("all done") })
		return nil
	}
	if c.rnd.IntN(4) == 0 {
		c.thinking = true
		c.w.after(c.rnd.Int64N(1e9), func() {
			c.thinking = false
			c.run()
		})
	}
	return nil
}

var _ actor = (*client)(nil)
var _ reactor.Sys = (*World)(nil)
