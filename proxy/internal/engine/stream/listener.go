package stream

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"syscall"

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

// lookAgain is how long, in nanoseconds, a connection waits at most that only a
// process was told of which ended before it accepted: of those that share a socket
// the kernel tells one.
const lookAgain = 1e9

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
		case syscall.EAGAIN:
			if s.shared && s == l.sockets[0] {
				r.Set(&s.timer, r.Now()+lookAgain)
			}
			return
		case syscall.EINVAL, syscall.EPIPE: // paused, or nobody left
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
