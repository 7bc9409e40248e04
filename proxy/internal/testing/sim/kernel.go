package sim

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

type errno = syscall.Errno

const eagain = syscall.EAGAIN

type kind uint8

const (
	freshFile kind = iota // a socket that was not connected nor listened on
	connFile
	listenFile
	pipeReader
	pipeWriter
	datagramFile
)

// file is an open descriptor of the proxy.
type file struct {
	num     int
	kind    kind
	end     *end
	pipe    *pipe
	addr    reactor.Addr // bound to
	share   bool         // SO_REUSEPORT
	linger0 bool         // reset on close

	listening bool
	backlog   []*end // accepted by the kernel, not by the proxy

	poller *poller
	tag    uint64
	queued bool // in the poller's list
}

// pipe is what data is spliced through.
type pipe struct {
	data []byte
	size int
}

// poller is an edge-triggered epoll: a descriptor enters the list on every
// event, and is reported with all that is true of it at the time of the wait.
type poller struct {
	w     *World
	ready []*file
	again bool   // the last wait had events: their reactor turns again before it sleeps
	held  []*end // that keep bytes back because more was promised
}

// NewPoller makes a poller.
func (w *World) NewPoller() (reactor.Poller, error) {
	p := &poller{w: w}
	w.pollers = append(w.pollers, p)
	return p, nil
}

// Add begins to watch a descriptor. What is ready already is an event.
func (p *poller) Add(fd int, tag uint64) errno {
	f := p.w.file(fd)
	if f == nil {
		return syscall.EBADF
	}
	if f.poller != nil {
		p.w.failf("descriptor %d is added to a poller twice", fd)
		return syscall.EEXIST
	}
	f.poller, f.tag = p, tag
	if f.mask() != 0 {
		f.edge()
	}
	return 0
}

// AddShared is Add: no world has copies of descriptors.
func (p *poller) AddShared(fd int, tag uint64) errno { return p.Add(fd, tag) }

// RemoveShared has nothing to do, since no descriptor has copies.
func (p *poller) RemoveShared(int) {}

// edge tells the poller that something happened to f.
func (f *file) edge() {
	if f.poller != nil && !f.queued {
		f.queued = true
		f.poller.ready = append(f.poller.ready, f)
	}
}

// Wait reports what is ready, in random order. It never waits: the driver moves
// the clock.
func (p *poller) Wait(out []reactor.Ready, _ int64) int {
	for _, e := range p.held {
		if e.file != nil && len(e.cork) > 0 {
			p.w.failf("connection %d, side %d: the reactor waits, and %d bytes are kept back", e.c.id, e.side, len(e.cork))
		}
	}
	p.held = p.held[:0]
	p.w.rnd.Shuffle(len(p.ready), func(i, j int) { p.ready[i], p.ready[j] = p.ready[j], p.ready[i] })
	n, used := 0, 0
	for _, f := range p.ready {
		if n == len(out) {
			break
		}
		used++
		f.queued = false
		if f.poller != p { // closed meanwhile
			continue
		}
		if m := f.mask(); m != 0 {
			out[n] = reactor.Ready{Tag: f.tag, Ev: m}
			n++
		}
	}
	p.ready = append(p.ready[:0], p.ready[used:]...)
	p.again = n > 0
	return n
}

func (p *poller) Wake()  {}
func (p *poller) Close() {}

// mask is what epoll would say of f (tcp_poll of Linux).
func (f *file) mask() (m reactor.Event) {
	switch f.kind {
	case listenFile:
		if len(f.backlog) > 0 {
			m = reactor.EventRead
		}
		if !f.listening {
			m |= reactor.EventHup | reactor.EventReadHup | reactor.EventRead
		}
	case connFile:
		m = f.end.mask()
	}
	return m
}

func (w *World) file(fd int) *file {
	if fd < 0 || fd >= len(w.files) {
		return nil
	}
	return w.files[fd]
}

// open gives a descriptor the lowest free number, as a kernel does.
func (w *World) open(k kind) *file {
	f := &file{kind: k}
	w.opened++
	for i := 3; i < len(w.files); i++ {
		if w.files[i] == nil {
			f.num = i
			w.files[i] = f
			return f
		}
	}
	for len(w.files) < 3 {
		w.files = append(w.files, nil)
	}
	f.num = len(w.files)
	w.files = append(w.files, f)
	return f
}

// Now is the simulated clock.
func (w *World) Now() int64 { return w.now }

// Wall is the simulated time of day.
func (w *World) Wall() time.Time { return epoch.Add(time.Duration(w.now)) }

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Seed gives a random number.
func (w *World) Seed() uint64 { return w.rnd.Uint64() }

// Socket makes a socket.
func (w *World) Socket(_, typ, _ int) (int, errno) {
	if w.chance(w.faults.noSockets) {
		return -1, syscall.EMFILE
	}
	k := freshFile
	if typ&0xf == syscall.SOCK_DGRAM {
		k = datagramFile
	}
	return w.open(k).num, 0
}

// Bind names a socket.
func (w *World) Bind(fd int, a reactor.Addr) errno {
	f := w.file(fd)
	if f == nil {
		return syscall.EBADF
	}
	f.addr = a
	return 0
}

// Listen makes a socket accept, also again after it was shut down.
func (w *World) Listen(fd, _ int) errno {
	f := w.file(fd)
	if f == nil {
		return syscall.EBADF
	}
	if f.kind == freshFile {
		for _, g := range w.files {
			if g != nil && g.kind == listenFile && g.addr == f.addr && !(g.share && f.share) {
				return syscall.EADDRINUSE
			}
		}
		f.kind = listenFile
	}
	if f.kind != listenFile {
		return syscall.EINVAL
	}
	f.listening = true
	return 0
}

// Accept takes a connection.
func (w *World) Accept(fd int) (int, reactor.Addr, errno) {
	f := w.file(fd)
	switch {
	case f == nil:
		return -1, reactor.Addr{}, syscall.EBADF
	case f.kind != listenFile || !f.listening:
		return -1, reactor.Addr{}, syscall.EINVAL
	case len(f.backlog) == 0:
		return -1, reactor.Addr{}, syscall.EAGAIN
	case w.chance(w.faults.noSockets):
		return -1, reactor.Addr{}, syscall.EMFILE
	}
	e := f.backlog[0]
	f.backlog = f.backlog[1:]
	if e.reset && w.stage == nil && w.chance(2) {
		e.closed = true
		return -1, reactor.Addr{}, syscall.ECONNABORTED
	}
	g := w.open(connFile)
	g.end, e.file = e, g
	w.trace("accept", e.c.id, int64(e.side), 0)
	return g.num, e.peer().local, 0
}

// Connect begins a connection.
func (w *World) Connect(fd int, a reactor.Addr) errno {
	f := w.file(fd)
	if f == nil {
		return syscall.EBADF
	}
	if f.kind == datagramFile {
		f.addr = a
		return 0
	}
	if f.kind != freshFile {
		return syscall.EISCONN
	}
	if w.chance(w.faults.noRoute) {
		return syscall.ENETUNREACH
	}
	w.connectProxy(f, a)
	return syscall.EINPROGRESS
}

// SetsockoptInt knows what changes the behaviour of the network.
func (w *World) SetsockoptInt(fd, level, opt, _ int) errno {
	f := w.file(fd)
	if f == nil {
		return syscall.EBADF
	}
	if level == syscall.IPPROTO_TCP && opt == syscall.TCP_NODELAY && f.end != nil {
		f.end.flush()
	}
	if level == syscall.SOL_SOCKET {
		switch opt {
		case syscall.SO_LINGER:
			f.linger0 = true
		case unix.SO_REUSEPORT:
			f.share = true
		}
	}
	return 0
}

// GetsockoptInt knows SO_ERROR.
func (w *World) GetsockoptInt(fd, level, opt int) (int, errno) {
	f := w.file(fd)
	if f == nil {
		return 0, syscall.EBADF
	}
	if level == syscall.SOL_SOCKET && opt == syscall.SO_ERROR && f.end != nil {
		e := f.end.err
		f.end.err = 0
		return int(e), 0
	}
	return 0, 0
}

// SetsockoptString has no effect.
func (w *World) SetsockoptString(fd, _, _ int, _ string) errno {
	if w.file(fd) == nil {
		return syscall.EBADF
	}
	return 0
}

// Getsockname gives the local address.
func (w *World) Getsockname(fd int) (reactor.Addr, errno) {
	f := w.file(fd)
	switch {
	case f == nil:
		return reactor.Addr{}, syscall.EBADF
	case f.end != nil:
		return f.end.local, 0
	}
	return f.addr, 0
}

// conn gives the connection of a descriptor.
func (w *World) conn(fd int, what string) (*end, errno) {
	f := w.file(fd)
	if f == nil {
		w.failf("%s on descriptor %d, which is closed", what, fd)
		return nil, syscall.EBADF
	}
	if f.kind != connFile {
		return nil, syscall.ENOTCONN
	}
	return f.end, 0
}

// Read reads what has arrived.
func (w *World) Read(fd int, p []byte) (int, errno) {
	e, no := w.conn(fd, "read")
	if no != 0 {
		return -1, no
	}
	if w.chance(w.faults.interrupts) {
		return -1, syscall.EINTR
	}
	n, no := e.read(p)
	if no != 0 {
		return -1, no
	}
	w.trace("read", e.c.id, int64(e.side), int64(n))
	return n, 0
}

// Send sends what fits.
func (w *World) Send(fd int, p []byte, flags int) (int, errno) {
	if f := w.file(fd); w.stage != nil && f != nil && f.kind == datagramFile {
		w.stage.datagram(f.addr, p)
		return len(p), 0
	}
	e, no := w.conn(fd, "send")
	if no != 0 {
		return -1, no
	}
	if w.chance(w.faults.interrupts) {
		return -1, syscall.EINTR
	}
	n, no := e.send(p, flags&syscall.MSG_MORE != 0)
	if no != 0 {
		return -1, no
	}
	w.trace("send", e.c.id, int64(e.side), int64(n))
	return n, 0
}

// Sendv sends a and b.
func (w *World) Sendv(fd int, a, b []byte, flags int) (int, errno) {
	return w.Send(fd, append(append([]byte(nil), a...), b...), flags)
}

// SendTo sends a datagram, which is lost.
func (w *World) SendTo(fd int, _ []byte, _ reactor.Addr) errno {
	if w.file(fd) == nil {
		return syscall.EBADF
	}
	return 0
}

// Shutdown closes one direction; a listener stops listening.
func (w *World) Shutdown(fd, how int) errno {
	f := w.file(fd)
	switch {
	case f == nil:
		return syscall.EBADF
	case f.kind == listenFile:
		f.listening = false
		f.refuse()
		f.edge()
		return 0
	case f.kind != connFile || f.end.state != established:
		return syscall.ENOTCONN
	}
	if how == syscall.SHUT_WR || how == syscall.SHUT_RDWR {
		f.end.shut()
		w.trace("shut", f.end.c.id, int64(f.end.side), 0)
	}
	f.edge() // the kernel wakes whoever polls it
	return 0
}

// Close frees a descriptor.
func (w *World) Close(fd int) errno {
	f := w.file(fd)
	if f == nil {
		w.failf("descriptor %d is closed twice", fd)
		return syscall.EBADF
	}
	w.files[fd] = nil
	w.opened--
	f.poller = nil
	switch f.kind {
	case connFile:
		f.end.file = nil
		f.end.close(f.linger0)
		w.trace("close", f.end.c.id, int64(f.end.side), 0)
	case listenFile:
		f.listening = false
		f.refuse()
	}
	return 0
}

// refuse resets what nobody will accept.
func (f *file) refuse() {
	for _, e := range f.backlog {
		e.close(true)
	}
	f.backlog = nil
}

// Pipe makes a pipe.
func (w *World) Pipe(size int) (int, int, errno) {
	if w.chance(w.faults.noPipes) {
		return -1, -1, syscall.EMFILE
	}
	if w.stage == nil && w.chance(3) {
		size = 4096 << w.rnd.IntN(5)
	}
	p := &pipe{size: size}
	r, wr := w.open(pipeReader), w.open(pipeWriter)
	r.pipe, wr.pipe = p, p
	return r.num, wr.num, 0
}

// Splice moves bytes between a connection and a pipe.
func (w *World) Splice(from, to int, n int, more bool) (int, errno) {
	f, t := w.file(from), w.file(to)
	if f == nil || t == nil {
		w.failf("splice from %d to %d, of which one is closed", from, to)
		return -1, syscall.EBADF
	}
	switch {
	case f.kind == connFile && t.kind == pipeWriter:
		p := t.pipe
		room := min(n, p.size-len(p.data))
		if room <= 0 {
			return -1, syscall.EAGAIN
		}
		if w.stage == nil {
			room = 1 + w.rnd.IntN(room)
		}
		buf := make([]byte, min(room, max(len(f.end.rx), 1)))
		k, no := f.end.read(buf)
		if no != 0 {
			return -1, no
		}
		p.data = append(p.data, buf[:k]...)
		w.trace("splice in", f.end.c.id, int64(f.end.side), int64(k))
		return k, 0
	case f.kind == pipeReader && t.kind == connFile:
		p := f.pipe
		if len(p.data) == 0 {
			return -1, syscall.EAGAIN
		}
		k, no := t.end.send(p.data[:min(n, len(p.data))], more)
		if no != 0 {
			return -1, no
		}
		p.data = p.data[k:]
		w.trace("splice out", t.end.c.id, int64(t.end.side), int64(k))
		return k, 0
	}
	return -1, syscall.EINVAL
}

// Adopt is not simulated: a world has one process.
func (w *World) Adopt(int) (int, errno) { return -1, syscall.ENOSYS }

// ReceiveFD is not simulated either.
func (w *World) ReceiveFD(int) (int, errno) { return -1, syscall.ENOSYS }
