package sim

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// origin is a simulated server.
type origin struct {
	w       *World
	addr    reactor.Addr
	tcp     bool
	h2      bool // is spoken to in HTTP/2
	ws1     bool // but in HTTP/1 for WebSockets
	pp      int  // version of the PROXY protocol that it expects, 0: none
	b       *stream.BackState
	down    bool // refuses connections
	hole    bool // swallows them
	conns   []*originConn
	h2conns []*h2originConn
	limit   int // maxconn of the server line, 0: none
}

func (o *origin) refuses() bool { return o.down }
func (o *origin) silent() bool  { return o.hole }

func (o *origin) accept(e *end) actor {
	rnd := rand.New(rand.NewPCG(o.w.Seed64+1, uint64(e.c.id)))
	if o.pp != 0 {
		return &announced{o: o, e: e, rnd: rnd}
	}
	return o.serve(e, rnd, nil)
}

// serve takes a connection. from is what its header said, nil: it has none.
func (o *origin) serve(e *end, rnd *rand.Rand, from *route) actor {
	if o.h2 {
		return o.acceptH2(e, rnd, from)
	}
	return o.acceptH1(e, rnd, from)
}

func (o *origin) acceptH1(e *end, rnd *rand.Rand, from *route) *originConn {
	c := &originConn{o: o, w: o.w, e: e, rnd: rnd, from: from}
	o.conns = append(o.conns, c)
	if c.rnd.IntN(6) == 0 {
		c.readPace = 64 << c.rnd.IntN(11)
	}
	if c.rnd.IntN(6) == 0 {
		c.writePace = o.w.pace(1 << c.rnd.IntN(13))
	}
	return c
}

// active is how many exchanges the proxy has with the origin.
func (o *origin) active() int {
	n, live := 0, o.conns[:0]
	for _, c := range o.conns {
		if c.ended || c.e.peer().closed {
			continue
		}
		live = append(live, c)
		if c.cur != nil {
			n++
		}
	}
	clear(o.conns[len(live):])
	o.conns = live
	return n
}

// arrives looks at what a request's head says besides its number. client is
// whose requests the connection carries, from what its header said.
func (o *origin) arrives(t *truth, h *head, client *int64, from *route) error {
	if err := t.toldBy(from); err != nil {
		return err
	}
	if *client == 0 {
		*client = t.client
	}
	if *client != t.client && !o.w.scene.mixes[o.b] {
		return fmt.Errorf("request %d of conn %d comes on a connection of conn %d, http-reuse is never", t.id, t.client, *client)
	}
	if v := h.fields["cookie"]; v != "" && v != fmt.Sprintf("a=1; b=%d", t.id) {
		return fmt.Errorf("request %d: cookie %q", t.id, v)
	}
	return checkFill(h, t.id)
}

func idPrefix(id int) []byte { return fmt.Appendf(nil, "%08d", id) }

// originConn is a server's part in a connection.
type originConn struct {
	o   *origin
	w   *World
	rnd *rand.Rand
	e   *end
	r   reader

	from                *route // by its header
	readPace, writePace int
	seen                int   // requests
	client              int64 // whose was the first
	socketsOnly         bool  // the server's other requests come over HTTP/2
	cur                 *serving
	out                 []byte
	waker
	ended, paused bool
}

// serving is an exchange as the server sees it.
type serving struct {
	t        *truth
	a        attempt
	started  bool // the answer has begun
	written  bool
	early    bool // does not wait for the body
	cutAt    int  // of the bytes of the answer, -1: never
	garbage  bool // it is no answer
	cutHow   int
	close    bool // after it
	byClose  bool // its body ends with the connection
	stray    bool // another answer follows that nobody asked for
	upgraded bool
	key      string // of a WebSocket
}

func (c *originConn) wake(*end) {
	if !c.ended {
		c.soon(c.w, c.rnd, c.run)
	}
}

func (c *originConn) finish(rst bool) {
	if c.ended {
		return
	}
	c.ended = true
	c.e.close(rst)
	s := c.cur
	if s == nil || !s.byClose || s.written || rst {
		return
	}
	s.t.try(s.a.nonce).short = true // nobody can tell that from the end
}

func (c *originConn) run() {
	if c.ended || c.e.actor != actor(c) {
		return
	}
	for {
		want := max(len(c.e.rx), 1)
		if c.readPace > 0 {
			want = min(want, c.readPace)
		}
		buf := make([]byte, want)
		n, no := c.e.read(buf)
		if no == 11 {
			break
		}
		if no != 0 {
			c.finish(false)
			return
		}
		if n == 0 {
			// The proxy has shut its side: it gave up, or the client did.
			if c.cur == nil || c.rnd.IntN(2) == 0 {
				c.finish(false)
				return
			}
			break
		}
		c.r.buf = append(c.r.buf, buf[:n]...)
		if err := c.parse(); err != nil {
			c.w.failf("server %s, conn %d: %v", c.o.addr, c.e.c.id, err)
			return
		}
		if c.ended || c.e.actor != actor(c) {
			return
		}
		if c.readPace > 0 {
			c.wakeIn(c.rnd.Int64N(2e6))
			break
		}
	}
	c.write()
}

func (c *originConn) wakeIn(d int64) {
	c.w.after(d, func() {
		if !c.ended && c.e.actor == actor(c) {
			c.run()
		}
	})
}

func (c *originConn) parse() error {
	if c.o.tcp {
		if len(c.r.buf) < 8 {
			return nil
		}
		id, err := strconv.Atoi(string(c.r.buf[:8]))
		if err != nil || id >= len(c.w.truths) {
			return fmt.Errorf("%q is no number", c.r.buf[:8])
		}
		t := c.w.truths[id]
		t.attempts = append(t.attempts, attempt{conn: c.e.c.id})
		if len(t.attempts) > 1 {
			return fmt.Errorf("tunnel %d reached servers twice", id)
		}
		if t.banned {
			return fmt.Errorf("tunnel %d should not have come here", id)
		}
		if err := t.toldBy(c.from); err != nil {
			return err
		}
		c.startTunnel(t, c.r.buf[8:])
		return nil
	}
	for len(c.r.buf) > 0 || c.r.head != nil && c.r.done {
		if c.r.head == nil {
			if c.cur != nil {
				return fmt.Errorf("%q before request %d was answered", cut(c.r.buf), c.cur.t.id)
			}
			ok, err := c.r.next(false, "")
			if err != nil || !ok {
				return err
			}
			if err := c.begin(); err != nil || c.ended {
				return err
			}
		}
		if c.cur == nil || c.cur.upgraded {
			return nil
		}
		t, off := c.cur.t, c.r.got
		data, err := c.r.body()
		if err != nil {
			return fmt.Errorf("request %d: %w", t.id, err)
		}
		if err := verify(data, t.id, saltRequest, off); err != nil {
			return fmt.Errorf("request %d: %w", t.id, err)
		}
		if !c.r.done {
			return nil
		}
		if c.r.got != t.bodyLen {
			return fmt.Errorf("request %d: %d of %d bytes arrived, and it looks complete", t.id, c.r.got, t.bodyLen)
		}
		if want := ""; t.chunked {
			if t.trailer {
				want = fmt.Sprintf("x-t: %d", t.id)
			}
			if c.r.trailer != want {
				return fmt.Errorf("request %d: trailer %q", t.id, c.r.trailer)
			}
		}
		if !c.cur.early {
			c.answerSoon()
		}
		c.r = reader{buf: c.r.buf}
		c.endExchange()
		if c.cur != nil {
			return nil
		}
	}
	return nil
}

// begin looks at a request's head and decides what becomes of it.
func (c *originConn) begin() error {
	h := c.r.head
	id := h.num("x-id")
	if id < 0 && h.words[1] == "/" { // one of the malformed ones that the proxy lets pass
		c.e.send([]byte("HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n"), false)
		c.finish(false)
		return nil
	}
	if id < 0 || id >= len(c.w.truths) {
		return fmt.Errorf("request without a number: %v", h.words)
	}
	t := c.w.truths[id]
	if h.words[0] != t.method || h.words[1] != fmt.Sprintf("/b%d/%d", t.backend, id) {
		return fmt.Errorf("request %d: %v", id, h.words)
	}
	c.seen++
	rnd := c.rnd
	c.w.note("server %s conn %d: request %d, number %d", c.o.addr, c.e.c.id, id, c.seen)
	a, err := c.w.reaches(t, c.e.c.id, c.seen == 1)
	if err != nil {
		return err
	}
	if err := c.o.arrives(t, h, &c.client, c.from); err != nil {
		return err
	}
	if want := t.upgradesTo(); h.fields["upgrade"] != want {
		return fmt.Errorf("request %d: upgrade %q", t.id, h.fields["upgrade"])
	}
	if c.socketsOnly && !t.webSocket {
		return fmt.Errorf("request %d comes over HTTP/1", id)
	}
	if t.webSocket && (h.fields["sec-websocket-key"] == "" || h.fields["sec-websocket-version"] != "13") {
		return fmt.Errorf("request %d: no key of a WebSocket: %v", t.id, h.fields)
	}
	s := &serving{t: t, cutAt: -1, key: h.fields["sec-websocket-key"]}
	c.cur = s
	if n := c.o.active(); c.o.limit > 0 && n > c.o.limit {
		return fmt.Errorf("%d exchanges, maxconn is %d", n, c.o.limit)
	}
	a.length = size(rnd)
	s.a = *a
	if !c.w.calm {
		if !a.first && rnd.IntN(8) == 0 {
			c.finish(rnd.IntN(2) == 0) // closed right when it was used again
			return nil
		}
		switch rnd.IntN(12) {
		case 0:
			s.cutAt, s.cutHow = rnd.IntN(1<<(rnd.IntN(17))), rnd.IntN(4)
		case 1:
			s.early = true
		}
		if rnd.IntN(60) == 0 {
			c.hang()
			return nil
		}
	}
	s.close = rnd.IntN(8) == 0
	if s.early {
		c.answerSoon()
	}
	if c.r.head.fields["expect"] != "" && rnd.IntN(3) > 0 {
		c.out = append(c.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
	}
	return nil
}

// hang makes the server say nothing any more.
func (c *originConn) hang() { c.cur.cutAt, c.cur.cutHow = 0, 2 }

func (c *originConn) answerSoon() {
	s := c.cur
	d := c.rnd.Int64N(20e6)
	if c.rnd.IntN(10) == 0 {
		d = c.rnd.Int64N(1e9)
	}
	c.w.after(d, func() {
		if !c.ended && c.cur == s {
			c.answer()
			c.write()
		}
	})
}

// acceptOf is the answer to a WebSocket's key.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// answer makes the bytes of the answer.
func (c *originConn) answer() {
	s, t, rnd := c.cur, c.cur.t, c.rnd
	s.started = true
	if t.upgrade && rnd.IntN(3) > 0 {
		s.upgraded = true
		how := "echo"
		if t.webSocket {
			how = "websocket\r\nsec-websocket-accept: " + acceptOf(s.key)
		}
		head := fmt.Sprintf("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: "+how+"\r\nx-id: %d\r\nx-nonce: %d\r\n\r\n", t.id, s.a.nonce)
		rest := c.r.buf
		c.startTunnel(t, rest)
		c.e.actor.(*duplex).prefix = []byte(head)
		return
	}
	for rnd.IntN(10) == 0 {
		c.out = append(c.out, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"...)
	}
	if !c.w.calm && rnd.IntN(40) == 0 {
		garbage := []string{"SSH-2.0-x\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "\r\n\r\n\x00\x01\x02\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"}
		c.out = append(c.out, garbage[rnd.IntN(len(garbage))]...)
		s.cutAt, s.cutHow, s.garbage = len(c.out), rnd.IntN(3), true
		return
	}
	body := content(t.id, saltResponse+16*s.a.nonce, s.a.length)
	status := []int{200, 200, 200, 200, 201, 404, 500, 204, 304}[rnd.IntN(9)]
	head := fmt.Sprintf("HTTP/1.1 %d Fine\r\nx-id: %d\r\nx-nonce: %d\r\nx-len: %d\r\n", status, t.id, s.a.nonce, s.a.length)
	if s.close && (c.w.calm || rnd.IntN(2) == 0) {
		head += "connection: close\r\n"
	}
	s.byClose = false
	bare := t.method == "HEAD" || status == 204 || status == 304
	switch k := rnd.IntN(5); {
	case status == 204:
		body = nil
	case k < 2:
		head += fmt.Sprintf("content-length: %d\r\n", len(body))
	case k < 4 && chunksAllowed(t):
		trailer := ""
		if rnd.IntN(4) == 0 {
			trailer = fmt.Sprintf("x-t: %d", t.id)
		}
		head += "transfer-encoding: chunked\r\n"
		body = chunked(body, func(n int) int { return 1 + rnd.IntN(n) }, trailer)
	default:
		s.close, s.byClose = true, !bare
		if bare {
			head += "connection: close\r\n"
		}
	}
	if bare {
		body = nil
	}
	c.out = append(c.out, head+"\r\n"...)
	c.out = append(c.out, body...)
	s.stray = !c.w.calm && rnd.IntN(30) == 0 && !s.close
}

// chunksAllowed tells whether the proxy spoke HTTP/1.1 for the request: only then may it
// be answered in chunks.
func chunksAllowed(t *truth) bool { return !t.v10 }

// startTunnel hands the connection to one end of a tunnel.
func (c *originConn) startTunnel(t *truth, rest []byte) {
	d := &duplex{w: c.w, rnd: c.rnd, e: c.e, id: t.id, sendSalt: saltDown, sendLen: t.downLen, recvSalt: saltUp, recvLen: t.upLen}
	d.over = func(string) { c.ended = true }
	if !c.w.calm && c.rnd.IntN(8) == 0 {
		d.abortAt = 1 + c.rnd.IntN(20000)
	}
	d.feed(rest)
	c.r = reader{}
	c.e.actor = d
	d.wake(c.e)
}

const stray = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-id: 0\r\n\r\nstray"

func (c *originConn) write() {
	if c.e.actor != actor(c) { // a tunnel has begun
		return
	}
	for len(c.out) > 0 && !c.paused && !c.ended {
		p := c.out
		if c.writePace > 0 {
			p = p[:min(len(p), c.writePace)]
		}
		s := c.cur
		if s != nil && s.cutAt >= 0 {
			if s.cutAt == 0 {
				c.cutOff(s)
				return
			}
			p = p[:min(len(p), s.cutAt)]
		}
		if s != nil && s.stray && s.cutAt < 0 && len(p) == len(c.out) {
			// They arrive together: what came later could be taken for the next answer.
			if both := append(p[:len(p):len(p)], stray...); c.e.sendWhole(both) {
				c.out, s.close = nil, true
				break
			}
		}
		n, no := c.e.send(p, false)
		if no != 0 && no != 11 {
			c.finish(false)
			return
		}
		if n == 0 {
			return
		}
		c.out = c.out[n:]
		if s != nil && s.cutAt > 0 {
			s.cutAt -= n
		}
		if c.writePace > 0 {
			c.paused = true
			c.w.after(c.rnd.Int64N(1e6), func() {
				c.paused = false
				if !c.ended {
					c.write()
				}
			})
		}
	}
	s := c.cur
	if s != nil && s.cutAt == 0 && s.started {
		if len(c.out) > 0 || s.garbage {
			c.cutOff(s)
			return
		}
		s.cutAt = -1 // behind the last byte there is nothing to cut off
	}
	if s != nil && s.started && len(c.out) == 0 && !s.written {
		s.written = true
		c.endExchange()
	}
}

// cutOff is a server that dies in the middle of an answer.
func (c *originConn) cutOff(s *serving) {
	c.w.note("server conn %d cuts %d off: %d", c.e.c.id, s.t.id, s.cutHow)
	c.out = nil
	s.cutAt = -1
	switch s.cutHow {
	case 0:
		c.finish(true)
	case 1, 3:
		c.finish(false)
	default: // silence
		s.started, s.written = false, false
		c.w.after(c.rnd.Int64N(100e9), func() { c.finish(false) })
	}
}

// endExchange is when both the request and the answer are through.
func (c *originConn) endExchange() {
	s := c.cur
	if s == nil || !s.written {
		return
	}
	if s.close {
		c.finish(false)
		return
	}
	if c.r.head != nil { // the body is still coming
		return
	}
	c.cur = nil
	if !c.w.calm && c.rnd.IntN(5) == 0 { // an idle connection ends
		seen := c.seen
		c.w.after(c.rnd.Int64N(3e9), func() {
			if c.seen == seen && c.cur == nil {
				c.finish(c.rnd.IntN(3) == 0)
			}
		})
	}
}
