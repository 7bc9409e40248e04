package sim

import (
	"math/rand/v2"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// conn is a TCP connection between the proxy and a client or a server.
type conn struct {
	w    *World
	id   int64
	rnd  *rand.Rand // its own: what happens to one connection does not depend on others
	ends [2]*end    // who connected, who accepted

	latency  int64 // ns
	stalls   int   // one in so many segments is late
	splits   int   // pieces that a segment is cut into, at most
	partials int   // one in so many sends is cut short
}

type connState uint8

const (
	connecting connState = iota
	established
	failed
)

// end is one side of a connection.
type end struct {
	c     *conn
	side  int
	local reactor.Addr
	file  *file // the proxy's descriptor
	actor actor // or the simulated peer

	state  connState
	rx     []byte // arrived, not read
	fin    bool   // the peer's FIN arrived
	reset  bool   // the peer's RST arrived
	err    errno  // to be reported once
	shutW  bool   // a FIN was sent
	closed bool   // nobody holds it any more

	room    int // how much may be under way: send buffer and the peer's receive buffer
	unread  int // sent and not read by the peer
	nospace bool
	flight  []segment
	lastAt  int64
	cork    []byte
}

// segment is what arrives at once.
type segment struct {
	data     []byte
	fin, rst bool
}

// actor is a simulated client's or server's part in a connection. wake is called
// when anything has changed.
type actor interface{ wake(e *end) }

// waker makes that an actor runs a moment after it was told of something, once.
type waker struct{ waking bool }

// soon calls run within some microseconds.
func (k *waker) soon(w *World, rnd *rand.Rand, run func()) {
	if !k.waking {
		k.in(w, 1+rnd.Int64N(2000), run)
	}
}

// in calls run in so many nanoseconds. Until then nothing else does.
func (k *waker) in(w *World, d int64, run func()) {
	k.waking = true
	w.after(d, func() {
		k.waking = false
		run()
	})
}

func (w *World) newConn() *conn {
	w.conns++
	c := &conn{w: w, id: w.conns, rnd: rand.New(rand.NewPCG(w.Seed64, uint64(w.conns)))}
	c.latency = 1000 << c.rnd.IntN(12)
	f := &w.faults
	c.splits = 1 + c.rnd.IntN(6)
	if c.rnd.IntN(3) == 0 {
		c.splits = 1
	}
	c.partials = 2 << c.rnd.IntN(6)
	c.stalls = f.stalls
	for i := range c.ends {
		c.ends[i] = &end{c: c, side: i, room: 1500 << c.rnd.IntN(9)}
	}
	if w.stage != nil {
		c.latency, c.splits, c.partials = 0, 1, 0
		c.ends[0].room, c.ends[1].room = 256<<10, 256<<10
	}
	return c
}

func (e *end) peer() *end { return e.c.ends[1-e.side] }

// notify tells whoever holds e that something happened.
func (e *end) notify() {
	switch {
	case e.file != nil:
		e.file.edge()
	case e.actor != nil && !e.closed:
		e.actor.wake(e)
	}
}

// mask is tcp_poll of Linux.
func (e *end) mask() (m reactor.Event) {
	if e.state == connecting {
		return 0
	}
	down := e.reset || e.state == failed
	if down || e.fin && e.shutW {
		m |= reactor.EventHup
	}
	if down || e.fin {
		m |= reactor.EventRead | reactor.EventReadHup
	}
	if len(e.rx) > 0 {
		m |= reactor.EventRead
	}
	if down || e.shutW || e.writable() {
		m |= reactor.EventWrite
	} else {
		e.nospace = true
	}
	if e.err != 0 {
		m |= reactor.EventHup
	}
	return m
}

func (e *end) writable() bool { return e.room-e.unread >= max(e.room/3, 1) }

func (c *conn) delay() int64 {
	if c.latency == 0 {
		return 0
	}
	d := c.latency/2 + c.rnd.Int64N(c.latency)
	if c.stalls > 0 && c.rnd.IntN(c.stalls) == 0 {
		d += c.rnd.Int64N(3e9)
	}
	return d
}

// send takes what fits and puts it on its way.
func (e *end) send(p []byte, more bool) (int, errno) {
	switch {
	case e.err != 0:
		no := e.err
		e.err = 0
		return 0, no
	case e.state == connecting:
		return 0, syscall.EAGAIN
	case e.shutW || e.reset || e.state == failed:
		return 0, syscall.EPIPE
	}
	n := min(len(p), e.room-e.unread)
	if n <= 0 {
		if len(p) == 0 {
			return 0, 0
		}
		e.nospace = true
		return 0, syscall.EAGAIN
	}
	if n > 1 && e.c.partials > 0 && e.c.rnd.IntN(e.c.partials) == 0 {
		n = 1 + e.c.rnd.IntN(n)
	}
	e.unread += n
	if n < len(p) {
		e.nospace = true
		if e.writable() {
			e.c.w.after(e.c.delay(), e.space)
		}
	}
	e.cork = append(e.cork, p[:n]...)
	if more && n == len(p) { // what did not fit makes the kernel send the rest
		e.c.w.after(200e6, e.flush)
		if e.file != nil && e.file.poller != nil {
			e.file.poller.held = append(e.file.poller.held, e)
		}
	} else {
		e.flush()
	}
	return n, 0
}

// sendWhole sends p so that it arrives at once, if there is room for it.
func (e *end) sendWhole(p []byte) bool {
	if e.err != 0 || e.state != established || e.shutW || e.reset || len(p) > e.room-e.unread {
		return false
	}
	e.flush()
	e.unread += len(p)
	e.transmit(segment{data: p})
	return true
}

// space is an edge for who found no room, once there is some.
func (e *end) space() {
	if e.nospace && e.writable() && !e.closed {
		e.nospace = false
		e.notify()
	}
}

// flush sends what was held back, in random pieces.
func (e *end) flush() {
	p := e.cork
	e.cork = nil
	for i := e.c.rnd.IntN(e.c.splits); i > 0 && len(p) > 1; i-- {
		n := 1 + e.c.rnd.IntN(len(p)-1)
		e.transmit(segment{data: p[:n]})
		p = p[n:]
	}
	if len(p) > 0 {
		e.transmit(segment{data: p})
	}
}

func (e *end) transmit(s segment) {
	w := e.c.w
	e.flight = append(e.flight, s)
	e.lastAt = max(e.lastAt+1, w.now+e.c.delay())
	if e.c.latency == 0 {
		e.lastAt = w.now // in order all the same
	}
	w.at(e.lastAt, e.arrive)
}

// arrive is when the next segment gets to the peer.
func (e *end) arrive() {
	if len(e.flight) == 0 {
		return // it was dropped by a reset
	}
	s := e.flight[0]
	e.flight = e.flight[1:]
	p := e.peer()
	if p.reset || p.state == failed {
		return
	}
	e.c.w.trace("arrive", e.c.id, int64(p.side), int64(len(s.data)))
	switch {
	case s.rst:
		p.reset = true
		p.err = syscall.ECONNRESET
		if p.fin {
			p.err = syscall.EPIPE
		}
		p.flight, p.cork = nil, nil
	case p.closed:
		if len(s.data) > 0 && !e.reset {
			p.sendReset() // nobody there
		}
		return
	case s.fin:
		p.fin = true
	default:
		p.rx = append(p.rx, s.data...)
	}
	p.notify()
}

func (e *end) sendReset() {
	e.cork = nil
	if n := len(e.flight); n > 0 && e.c.latency > 0 && e.c.rnd.IntN(2) == 0 {
		e.flight = e.flight[:e.c.rnd.IntN(n)] // lost
	}
	e.transmit(segment{rst: true})
}

// read takes what has arrived.
func (e *end) read(p []byte) (int, errno) {
	if len(e.rx) > 0 {
		n := copy(p, e.rx)
		e.rx = e.rx[n:]
		s := e.peer()
		s.unread -= n
		if s.nospace && s.writable() {
			e.c.w.after(e.c.delay(), s.space)
		}
		return n, 0
	}
	switch {
	case e.fin:
		return 0, 0
	case e.err != 0:
		no := e.err
		e.err = 0
		return 0, no
	case e.reset || e.state == failed:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

// shut sends a FIN.
func (e *end) shut() {
	if e.shutW || e.state != established || e.reset {
		return
	}
	e.flush()
	e.shutW = true
	e.transmit(segment{fin: true})
}

// close lets go of e: with a FIN, or a RST when bytes were not read.
func (e *end) close(rst bool) {
	if e.closed {
		return
	}
	e.closed = true
	if e.state != established || e.reset {
		return
	}
	if rst || len(e.rx) > 0 {
		e.sendReset()
		return
	}
	e.shut()
}

// connectProxy begins a connection of the proxy to a server.
func (w *World) connectProxy(f *file, a reactor.Addr) {
	c := w.newConn()
	e, p := c.ends[0], c.ends[1]
	f.kind, f.end, e.file = connFile, e, f
	e.local = reactor.Addr{IP: proxyIP, Port: uint16(10000 + c.id%50000)}
	p.local = a
	w.trace("connect", c.id, int64(a.Port), 0)
	o := w.hostAt(a)
	d := c.delay()
	if h, ok := o.(*Host); ok {
		d += int64(h.Delay)
	}
	w.after(d, func() {
		if e.closed {
			return
		}
		switch {
		case o == nil || o.refuses():
			e.state, e.err = failed, syscall.ECONNREFUSED
		case o.silent():
			return
		default:
			e.state, p.state = established, established
			p.actor = o.accept(p)
		}
		e.notify()
	})
}

// hostAt is who is at an address, nil: nobody.
func (w *World) hostAt(a reactor.Addr) host {
	if h := w.hosts[a]; h != nil {
		return h
	}
	if o := w.origins[a]; o != nil {
		return o
	}
	return nil
}

// dial connects a client to the proxy.
func (w *World) dial(a reactor.Addr, who actor) *end {
	c := w.newConn()
	e, p := c.ends[0], c.ends[1]
	e.actor = who
	e.local = reactor.Addr{IP: clientIP, Port: uint16(1024 + c.id%60000)}
	p.local = a
	w.after(c.delay(), func() {
		if e.closed {
			return
		}
		var group []*file
		for _, f := range w.files {
			if f != nil && f.kind == listenFile && f.listening && f.addr == a {
				group = append(group, f)
			}
		}
		if len(group) == 0 {
			e.state, e.err = failed, syscall.ECONNREFUSED
			e.notify()
			return
		}
		f := group[c.rnd.IntN(len(group))]
		e.state, p.state = established, established
		f.backlog = append(f.backlog, p)
		f.edge()
		e.notify()
	})
	return e
}
