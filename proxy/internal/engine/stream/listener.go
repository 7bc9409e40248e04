package stream

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

func init() {
	settings([]Number{{Name: "tune.maxaccept", Low: -1, High: math.MaxInt32, Size: true, InPlace: true, Want: "an integer argument.", Set: func(g *Global, n int) {
		switch {
		case n == 0:
			n = 4 // the documented default
		case n < 0:
			n = math.MaxInt32
		}
		g.MaxAccept = n
	}}})
}

// Listener is a bound address as it lives: one socket for each reactor, or fewer
// that reactors share ("shards"; UNIX sockets and descriptors that were handed in,
// of which the kernel cannot share the load). Its [Bind] and frontend are replaced
// when a new configuration has the same address.
type Listener struct {
	Bind  atomic.Pointer[Bind]
	Front atomic.Pointer[Proxy]
	// Stats is nil while nothing is counted.
	Stats   atomic.Pointer[ListenStats]
	worker  *Worker
	sockets []*socket

	_ counter.Line
	// Cur is the number of connections accepted here and not closed.
	Cur atomic.Int64
	_   counter.Line
}

// socket is a listening descriptor on one reactor.
type socket struct {
	reactor.FD
	l     *Listener
	n     int
	r     *reactor.Reactor
	timer reactor.Timer
	// shared tells that several reactors accept from it, copied that another one of
	// the same listener is the original.
	shared, copied bool
}

// Inherited are listening sockets handed over by another process, by
// [Bind.Key].
type Inherited map[string][]int

// take gives the sockets for a bind. Those of an address that several binds listen
// on come in one list: the first bind leaves the others their share, if there is
// enough for all. Else it takes what there is, and the others get new ones.
func (in Inherited) take(b *Bind, each int) []int {
	key := b.Key()
	fds := in[key]
	delete(in, key)
	if b.Twin > 0 || b.Twins < 2 || len(fds) < b.Twins*each {
		return fds
	}
	rest := fds[len(fds)-(b.Twins-1)*each:]
	for n := 1; n < b.Twins; n++ {
		twin := *b
		twin.Twin = n
		if key := twin.Key(); len(in[key]) == 0 {
			in[key] = rest[:each:each]
			rest = rest[each:]
		}
	}
	return append(fds[:len(fds)-(b.Twins-1)*each:len(fds)-(b.Twins-1)*each], rest...)
}

// OpenListener binds and listens. Sockets found in inherited are used instead of
// new ones, and taken out of it. Nothing is accepted before [Listener.Start].
func (w *Worker) OpenListener(b *Bind, p *Proxy, inherited Inherited) (*Listener, error) {
	l := &Listener{worker: w}
	l.Bind.Store(b)
	l.Front.Store(p)
	l.follow(p)
	rs := w.listenersOf(b)
	fds := inherited.take(b, b.shards(len(rs)))
	lent := len(fds) > 0
	sys := w.Reactors[0].Sys
	if len(fds) == 0 && b.FD >= 0 {
		n, err := adopt(sys, b)
		if err != nil {
			return nil, err
		}
		fds = append(fds, n)
	}
	if len(fds) == 0 {
		want := b.shards(len(rs))
		for range want {
			n, err := listen(sys, b)
			if err != nil {
				for _, n := range fds {
					sys.Close(n)
				}
				return nil, err
			}
			fds = append(fds, n)
		}
	}
	// Where there are fewer sockets than threads, these share them.
	for i := range max(len(fds), len(rs)) {
		s := &socket{l: l, n: fds[i%len(fds)], r: rs[i%len(rs)], shared: len(fds) < len(rs)}
		if i >= len(fds) {
			n, e := sys.Adopt(s.n)
			if e != 0 {
				if lent {
					inherited[b.Key()] = l.GiveBack()
				} else {
					l.Discard()
				}
				return nil, fmt.Errorf("cannot share listening socket (%s) for [%s]", e.Error(), b.Addr)
			}
			s.n, s.copied = n, true
		}
		l.sockets = append(l.sockets, s)
	}
	return l, nil
}

// listenersOf gives the reactors that accept connections of b ("thread").
func (w *Worker) listenersOf(b *Bind) []*reactor.Reactor {
	if b.Threads == nil {
		return w.Reactors
	}
	var out []*reactor.Reactor
	for _, i := range b.Threads {
		if i < len(w.Reactors) {
			out = append(out, w.Reactors[i])
		}
	}
	return out
}

// shards is how many sockets to make of b for so many threads: each accepts its
// part of the connections.
func (b *Bind) shards(threads int) int {
	switch {
	case b.Addr.IsUnix(): // the kernel shares the load of ports only
		return 1
	case b.Shards == 0: // by-thread
		return threads
	}
	return min(b.Shards, threads)
}

// listen makes one listening socket.
func listen(sys reactor.Sys, b *Bind) (int, error) {
	domain := syscall.AF_INET
	switch {
	case b.Addr.IsUnix():
		domain = syscall.AF_UNIX
	case b.Addr.IP.Is6():
		domain = syscall.AF_INET6
	}
	n, e := sys.Socket(domain, syscall.SOCK_STREAM, 0)
	if e != 0 {
		return 0, fmt.Errorf("cannot create listening socket (%s) for [%s]", e.Error(), b.Addr)
	}
	fail := func(what string, e syscall.Errno) (int, error) {
		sys.Close(n)
		return 0, fmt.Errorf("%s (%w) for [%s]", what, e, b.Addr)
	}
	if b.Addr.IsUnix() {
		return listenUnix(sys, b, n, fail)
	}
	sys.SetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if e := sys.SetsockoptInt(n, syscall.SOL_SOCKET, unix.SO_REUSEPORT, 1); e != 0 {
		return fail("cannot share the port", e)
	}
	if domain == syscall.AF_INET6 {
		only := 0
		if b.V6Only || !b.V4V6 && !b.Addr.IP.IsUnspecified() {
			only = 1
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, only)
	}
	if b.Interface != "" {
		if e := sys.SetsockoptString(n, syscall.SOL_SOCKET, unix.SO_BINDTODEVICE, b.Interface); e != 0 {
			return fail("cannot bind listener to device", e)
		}
	}
	// Accepted sockets inherit it: small writes must not wait for an ACK.
	sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if b.Transparent { // before bind: the address may not be ours
		sys.SetsockoptInt(n, syscall.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
	}
	tune(sys, n, b, &Bind{})
	if e := sys.Bind(n, b.Addr); e != 0 {
		return fail("cannot bind socket", e)
	}
	if e := sys.Listen(n, backlog(b)); e != 0 {
		return fail("cannot listen to socket", e)
	}
	return n, nil
}

// adopt makes a listening socket of the descriptor of b, which the process was
// started with. That one stays open as it is, so that a bind line can go and come
// back.
func adopt(sys reactor.Sys, b *Bind) (int, error) {
	n, e := sys.Adopt(b.FD)
	fail := func(e syscall.Errno) (int, error) {
		if n >= 0 {
			sys.Close(n)
		}
		return 0, fmt.Errorf("cannot use file descriptor (%w) for [%s]", e, b.Addr)
	}
	if e != 0 {
		return fail(e)
	}
	kind, e := sys.GetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if e != 0 {
		return fail(e)
	}
	if kind != syscall.SOCK_STREAM {
		return fail(syscall.ESOCKTNOSUPPORT)
	}
	if b.Pair {
		return n, nil
	}
	a, e := sys.Getsockname(n)
	if e != 0 {
		return fail(e)
	}
	switch family, _ := sys.GetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_DOMAIN); family {
	case syscall.AF_INET, syscall.AF_INET6:
		if a.Port == 0 { // the kernel would choose a port
			return fail(syscall.EINVAL)
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		tune(sys, n, b, &Bind{})
	case syscall.AF_UNIX:
	default:
		return fail(syscall.EAFNOSUPPORT)
	}
	// Where it listens already, this is a new backlog, and for sockets of systemd
	// that of the configuration.
	if e := sys.Listen(n, backlog(b)); e != 0 {
		return fail(e)
	}
	return n, nil
}

// tune sets those options of a TCP listener that can change while it listens,
// where they differ from old.
func tune(sys reactor.Sys, n int, b, old *Bind) {
	if b.DeferAccept != old.DeferAccept {
		seconds := 0
		if b.DeferAccept {
			seconds = 60
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
	}
	if b.MSS != old.MSS {
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_MAXSEG, b.MSS)
	}
	if b.TCPUserTimeout != old.TCPUserTimeout {
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, b.TCPUserTimeout)
	}
	if b.TFO != old.TFO {
		queue := 0
		if b.TFO {
			queue = max(b.Backlog, 16)
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_FASTOPEN, queue)
	}
}

// Replace puts another form of the same address in force, from any thread:
// connections that are accepted from now on follow it, and those that there are
// see it at their next exchange.
func (l *Listener) Replace(b *Bind, p *Proxy) {
	old := l.Bind.Swap(b)
	l.Front.Store(p)
	l.follow(p)
	for _, s := range l.sockets {
		s.r.Post(func() {
			if !s.IsOpen() {
				return
			}
			if !b.Addr.IsUnix() || b.FD >= 0 && !b.Pair {
				tune(s.r.Sys, s.Fd(), b, old) // of a UNIX socket, the kernel refuses it
			}
			if b.Pair {
				return
			}
			if backlog(b) != backlog(old) && !p.FE.Paused.Load() {
				s.r.Sys.Listen(s.Fd(), backlog(b))
			}
		})
	}
}

func backlog(b *Bind) int {
	if b.Backlog > 0 {
		return b.Backlog
	}
	if b.MaxConn > 0 {
		return b.MaxConn
	}
	return 4096
}

// listenUnix binds under a temporary name and renames, so that clients find
// either the old socket or the new one.
func listenUnix(sys reactor.Sys, b *Bind, n int, fail func(string, syscall.Errno) (int, error)) (int, error) {
	path := b.Addr.Path
	if path[0] == 0 {
		if e := sys.Bind(n, b.Addr); e != 0 {
			return fail("cannot bind UNIX socket", e)
		}
	} else {
		tmp := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
		os.Remove(tmp)
		if e := sys.Bind(n, reactor.Addr{Path: tmp}); e != 0 {
			return fail("cannot bind UNIX socket", e)
		}
		uid, gid := b.UID, b.GID
		if uid >= 0 || gid >= 0 {
			if err := os.Chown(tmp, uid, gid); err != nil {
				os.Remove(tmp)
				return fail("cannot change UNIX socket ownership", syscall.EPERM)
			}
		}
		if b.Mode != 0 {
			if err := os.Chmod(tmp, b.Mode); err != nil {
				os.Remove(tmp)
				return fail("cannot change UNIX socket mode", syscall.EPERM)
			}
		}
		if err := os.Rename(tmp, path); err != nil {
			os.Remove(tmp)
			return fail("cannot bind UNIX socket", syscall.EADDRINUSE)
		}
	}
	if e := sys.Listen(n, backlog(b)); e != 0 {
		return fail("cannot listen to socket", e)
	}
	return n, nil
}

// Worker gives the worker that l belongs to.
func (l *Listener) Worker() *Worker { return l.worker }

// Descriptors gives the sockets of l, to be handed to another process.
func (l *Listener) Descriptors() []int {
	var out []int
	for _, s := range l.sockets {
		if !s.copied {
			out = append(out, s.n)
		}
	}
	return out
}

// GiveBack takes a listener that was not started apart: it gives the sockets that
// it was opened with.
func (l *Listener) GiveBack() []int {
	for _, s := range l.sockets {
		if s.copied {
			s.r.Sys.Close(s.n)
		}
	}
	return l.Descriptors()
}

// Start begins to accept. It may be called from any thread.
func (l *Listener) Start() {
	for _, s := range l.sockets {
		s.r.Post(s.start)
	}
}

// Discard closes the sockets of a listener that was not started, and unlinks its
// path.
func (l *Listener) Discard() {
	for _, s := range l.sockets {
		s.r.Sys.Close(s.n)
	}
	if b := l.Bind.Load(); b.FD < 0 && b.Addr.IsUnix() && b.Addr.Path[0] != 0 {
		os.Remove(b.Addr.Path)
	}
}

// Close stops accepting and closes the sockets, from any thread. Connections
// that were accepted go on. done, if not nil, is called on a reactor when all are
// closed.
func (l *Listener) Close(done func()) {
	var left atomic.Int64
	left.Store(int64(len(l.sockets)))
	for _, s := range l.sockets {
		s.r.Post(func() {
			s.r.Remove(&s.timer)
			if s.IsOpen() {
				s.FD.Close()
			} else {
				s.r.Sys.Close(s.n)
			}
			if left.Add(-1) == 0 && done != nil {
				done()
			}
		})
	}
}

// Pause makes the kernel refuse connections, from any thread; those accepted go
// on. [Listener.Resume] undoes it.
func (l *Listener) Pause() {
	for _, s := range l.sockets {
		s.r.Post(func() {
			if s.IsOpen() && !l.Bind.Load().Pair {
				s.r.Sys.Shutdown(s.Fd(), syscall.SHUT_RD)
			}
		})
	}
}

// Resume accepts again after [Listener.Pause].
func (l *Listener) Resume() {
	for _, s := range l.sockets {
		s.r.Post(func() {
			if s.IsOpen() {
				if b := l.Bind.Load(); !b.Pair {
					s.r.Sys.Listen(s.Fd(), backlog(b))
				}
				s.Readable()
			}
		})
	}
}

func (s *socket) start() {
	s.timer.Fire = reactor.FireFunc(s.Readable)
	open := s.r.Open
	if s.shared && !s.l.Bind.Load().Pair {
		open = s.r.OpenShared
	}
	if err := open(&s.FD, s.n, s); err != nil {
		fmt.Fprintf(os.Stderr, "[ALERT] cannot poll listener %s: %v\n", s.l.Bind.Load().Addr, err)
		return
	}
	s.Readable()
}

// acceptBatch is how many connections are accepted before others get their
// turn.
const acceptBatch = 64

// retryDelay is how long, in nanoseconds, a listener rests that may not accept.
const retryDelay = 20e6

// Readable accepts what is pending, within the limits.
func (s *socket) Readable() {
	if !s.IsOpen() {
		return
	}
	w, l, r := s.l.worker, s.l, s.r
	batch := acceptBatch
	if m := w.Snapshot(); m != nil && m.Global.MaxAccept > 0 {
		batch = m.Global.MaxAccept
	}
	for range batch {
		p, b := l.Front.Load(), l.Bind.Load()
		internal := b.Handler != nil
		if !internal {
			st := p.FE
			if st.Paused.Load() || over(&w.Curr, &w.MaxConn) || over(&st.Cur, &st.Limit) || b.MaxConn > 0 && l.Cur.Load() >= int64(b.MaxConn) {
				r.Set(&s.timer, r.Now()+retryDelay)
				return
			}
			if b.TLS != nil {
				if wait := w.waitTLS(r.Now()); wait > 0 {
					r.Set(&s.timer, r.Now()+wait)
					return
				}
			}
			if p.RateLimit > 0 {
				if wait := st.limiter.wait(r.Now(), p.RateLimit); wait > 0 {
					r.Set(&s.timer, r.Now()+wait)
					return
				}
			}
		}
		n, src, e := s.accept(b)
		switch e {
		case 0:
		case syscall.EAGAIN, syscall.EINVAL, syscall.EPIPE: // nothing more, paused, or nobody left
			return
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS:
			r.Set(&s.timer, r.Now()+retryDelay)
			return
		default: // ECONNABORTED, EINTR: that connection only
			continue
		}
		if !internal && r.Refuse() {
			r.Sys.SetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_LINGER, -1)
			r.Sys.Close(n)
			continue
		}
		w.accepted(r, l, p, b, n, src)
	}
	r.Set(&s.timer, r.Now()+1) // more may be pending: next turn
}

func (s *socket) accept(b *Bind) (int, reactor.Addr, syscall.Errno) {
	if b.Pair {
		n, e := s.r.Sys.ReceiveFD(s.Fd())
		return n, reactor.Addr{}, e
	}
	return s.r.Sys.Accept(s.Fd())
}

func over(cur, limit *atomic.Int64) bool {
	m := limit.Load()
	return m > 0 && cur.Load() >= m
}

// accepted begins a session.
func (w *Worker) accepted(r *reactor.Reactor, l *Listener, p *Proxy, b *Bind, n int, src reactor.Addr) {
	mode := TCP // a master's socket has no frontend
	if p != nil {
		mode = p.Mode
	}
	s, err := OpenClient(r, n, mode)
	if err != nil {
		r.Sys.Close(n)
		return
	}
	s.Listener, s.FE, s.Src, s.greeting = l, p, src, b.Greeting
	defer r.Contain(s) // the listener goes on
	cur := l.Cur.Add(1)
	if k := l.Stats.Load(); k != nil {
		counter.Max(&k.Max, cur)
		k.Counters[r.Index].Conns.Add(1)
	}
	if b.Handler != nil {
		s.busy = true
		b.Handler(s)
		return
	}
	s.counted = true
	s.front = p.FE
	w.Curr.Add(1)
	w.Counters[r.Index].Conns.Add(1)
	st := p.FE
	counter.Max(&st.Max, st.Cur.Add(1))
	st.Counters[r.Index].Conns.Add(1)
	s.begin()
}
