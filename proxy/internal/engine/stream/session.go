package stream

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// begin starts the life of an accepted connection. In mode http it waits for
// the first byte without a coroutine or a buffer.
func (s *Session) begin() {
	s.timer.Fire = (*sessionTimer)(s)
	if len(s.FE.ConnRules) > 0 || len(s.FE.SessionRules) > 0 {
		s.busy = true
		s.Reactor().Start(s)
		return
	}
	s.admission()
	if s.FE.Mode == TCP {
		s.Reactor().Start(s)
		return
	}
	s.await()
}

// admission is what follows when no rule is against the connection.
func (s *Session) admission() {
	s.admitted = true
	if s.FE.Has(ClitcpKA) {
		s.Reactor().Sys.SetsockoptInt(s.Fd(), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	}
	if s.FE.Has(NoLinger) {
		s.ResetOnClose()
	}
	if w := s.Listener.worker; s.Listener.Bind.Load().TLS != nil && w.MaxTLSRate() > 0 {
		w.tlsRate.count(s.Reactor().Now())
	}
	if s.FE.RateLimit > 0 {
		s.front.limiter.count(s.Reactor().Now())
	}
	if s.greeting == 0 && s.Listener.Bind.Load().TLS == nil {
		s.established()
	}
}

// established makes a session of the connection: what comes before requests is
// done. false: a rule has closed it.
func (s *Session) established() bool {
	s.HandshakeMs = int32((s.Reactor().Now() - s.Accepted) / 1e6)
	s.ready = true
	if !s.validate() {
		return false
	}
	i := s.Reactor().Index
	s.Listener.worker.Counters[i].Sessions.Add(1)
	s.front.Counters[i].Sessions.Add(1)
	return true
}

// await sets the time that the client has to begin.
func (s *Session) await() {
	if s.ready {
		s.armRequest()
	} else {
		s.arm(s.FE.handshakeTimeout())
	}
}

// armRequest sets the time until which the first request must begin.
func (s *Session) armRequest() {
	t := s.FE.Timeouts.HTTPRequest
	if t == 0 {
		t = s.FE.Timeouts.Client
	}
	s.arm(t)
}

// handshakeTimeout is how long a client may take for its handshakes.
func (p *Proxy) handshakeTimeout() time.Duration {
	if t := p.Timeouts.ClientHS; t > 0 {
		return t
	}
	return p.Timeouts.Client
}

// establish does what comes before the first request: the greeting and the TLS
// handshake.
func (s *Session) establish() bool {
	if s.ready {
		return true
	}
	if s.Reactor().Refuse() {
		s.close()
		return false
	}
	s.busy = true
	var deadline int64
	if t := s.FE.handshakeTimeout(); t > 0 {
		deadline = s.Accepted + int64(t)
	}
	err := s.Secure(deadline)
	s.busy = false
	if err != nil {
		s.failed(err)
		return false
	}
	return s.established()
}

// Secure is what comes before the first request, in a coroutine: the client's
// greeting and the TLS handshake, as far as the listener asks for them. deadline
// is on the reactor's clock (0: none).
func (s *Session) Secure(deadline int64) error {
	if err := s.greet(deadline); err != nil {
		return err
	}
	b, r := s.Listener.Bind.Load(), s.Reactor()
	if b.TLS == nil {
		return nil
	}
	w := s.Listener.worker
	if err := w.mayTLS(); err != nil {
		return err
	}
	s.Conn.Server(b.TLS)
	w.beginTLS(s.TLS)
	n := &w.Counters[r.Index]
	err := s.Handshake(deadline)
	if s.front != nil { // no Runtime socket
		s.front.Counters[r.Index].TLS.Count(err != nil, s.TLS.Resumed())
		if l := s.Listener.counters(r.Index); l != nil {
			l.TLS.Count(err != nil, s.TLS.Resumed())
		}
	}
	if err != nil {
		n.TLSFrontFailed.Add(1)
		return err
	}
	n.TLSFront.Add(1)
	if s.TLS.Resumed() {
		n.TLSFrontReused.Add(1)
	}
	return nil
}

// failed ends a connection that was not established.
func (s *Session) failed(err error) {
	if s.FE.LogFail != nil && err != reactor.ErrKilled {
		s.FE.LogFail(s, err)
	}
	s.close()
}

func (s *Session) arm(d time.Duration) {
	if d > 0 {
		r := s.Reactor()
		r.Set(&s.timer, r.Now()+int64(d))
	} else {
		s.timer.Unset()
	}
}

// Readable is called by the reactor when the idle connection has something to
// say.
func (s *Session) Readable() {
	if s.mux != nil {
		s.mux.readable()
		return
	}
	if s.st == nil && !s.busy {
		s.Reactor().Start(s)
	}
}

// Run is the life of the connection from here to its end or to the next idle
// wait.
func (s *Session) Run() {
	s.timer.Unset()
	if !s.admitted {
		if !s.admit() {
			return
		}
		s.busy = false
		if s.admission(); !s.IsOpen() {
			return
		}
		if s.FE.Mode == HTTP && !s.CanRead() {
			s.await()
			return
		}
	}
	if !s.establish() {
		return
	}
	if s.FE.Mode == TCP {
		s.serveTCP()
	} else {
		s.serveHTTP()
	}
}

// Panicked is told by the reactor that Run or a callback died: the stream is given
// up.
func (s *Session) Panicked() {
	defer s.Conn.Close() // whatever else comes to grief
	if st := s.st; st != nil {
		s.st = nil // not pooled: nobody knows its shape
		st.abandon()
	}
	s.close()
}

// abandon gives back what an exchange holds, after a panic in the middle of it.
func (st *Stream) abandon() {
	st.internal()
	st.upload.kill()
	st.detach()
	if c := st.dialing; c != nil {
		st.dialing = nil
		c.abandon()
	}
	st.dropServerConn()
	st.releaseServer()
	if st.routed {
		st.routed = false
		st.BE.BE.Cur.Add(-1)
	}
	st.leave()
}

// internal counts an error of our own.
func (st *Stream) internal() {
	i := st.R.Index
	st.FE.FE.Counters[i].Internal.Add(1)
	if l := st.Listening(); l != nil {
		l.Internal.Add(1)
	}
	if st.routed {
		st.BE.BE.Counters[i].Internal.Add(1)
	}
	if st.Srv != nil {
		st.Srv.Counters[i].Internal.Add(1)
	}
}

// sessionTimer makes the session's timeout a method of its own name.
type sessionTimer Session

func (t *sessionTimer) Fire() {
	s := (*Session)(t)
	if s.st != nil || !s.IsOpen() {
		return
	}
	if m := s.mux; m != nil {
		if m.Streams() == 0 && !m.dying {
			m.leave()
			if m.flush(); !m.dying {
				s.close()
			}
		}
		return
	}
	if !s.ready {
		s.failed(s.late())
		return
	}
	if s.Requests == 0 && s.counted {
		s.busy = true
		s.Reactor().Start((*sessionTimer)(s))
		return
	}
	s.close()
}

// Run answers a client that never sent a request, in a coroutine.
func (t *sessionTimer) Run() { (*Session)(t).timedOut() }

// Panicked is told by the reactor that Fire or Run died.
func (t *sessionTimer) Panicked() { (*Session)(t).Panicked() }

// timedOut answers a client that never sent a request.
func (s *Session) timedOut() {
	st := s.attach()
	st.Time.Begin = s.Accepted
	st.readFailed(reactor.ErrTimeout)
	if st.answering() {
		st.reply()
	}
	st.finish()
	s.detach()
	s.close()
}

// attach gives the session a stream.
func (s *Session) attach() *Stream {
	r := s.Reactor()
	if s.mux != nil {
		r = s.mux.r // the connection may be closed
	}
	w := s.Listener.worker
	st := w.streams[r.Index].get()
	st.W, st.R, st.Sess = w, r, s
	st.h1.st, st.h1.conn = st, &s.Conn
	st.client = &st.h1
	st.Snap = w.Snapshot()
	// A keep-alive connection takes the newest configuration at its next request.
	s.FE = s.Listener.Front.Load()
	st.FE, st.BE = s.FE, s.FE
	st.co = r.Current()
	st.Time.Accept = s.Accepted
	s.st = st
	st.enter()
	return st
}

// detach gives the stream back.
func (s *Session) detach() {
	st := s.st
	s.st = nil
	st.leave()
	st.h1.in.release(st.R)
	st.W.streams[st.R.Index].put(st)
}

// close ends the connection.
func (s *Session) close() {
	if !s.IsOpen() {
		return
	}
	r := s.Reactor()
	w := s.Listener.worker
	if s.mux != nil {
		s.mux.closed()
	}
	s.leaveConns()
	s.Conn.Close()
	s.endVars()
	r.Remove(&s.timer)
	s.Listener.Cur.Add(-1)
	if s.counted {
		s.counted = false
		s.front.Cur.Add(-1)
		if w.Curr.Add(-1) == 0 && w.Stopping.Load() && w.OnDrained != nil {
			w.OnDrained()
		}
	}
}

// Close ends a session that a [Bind.Handler] took over.
func (s *Session) Close() { s.close() }

// lingering is how long, in nanoseconds, an error reply waits for the client to
// take it before the connection is reset by what the client still sends.
const lingering = 1e9

// forcedH2 tells whether the connection is HTTP/2 before it says so: by "proto",
// or because TLS agreed on it.
func (s *Session) forcedH2() bool {
	if s.Requests > 0 {
		return false
	}
	switch s.Listener.Bind.Load().Proto {
	case "h2":
		return true
	case "h1":
		return false
	}
	return s.TLS != nil && s.TLS.Protocol() == "h2"
}

// streamList is one reactor's streams: those in use, and a pool.
type streamList struct {
	first *Stream
	free  []*Stream
	low   int
	seq   uint64
	// scopes and scratch are pools too, see [Session.Scope] and [Scope.Scratch].
	scopes  []*Scope
	scratch [][]byte
	_       counter.Line // each reactor's alone
}

// Number gives the exchange its number in the process. Each reactor has its own
// sequence.
func (sc *Scope) Number() {
	l := &sc.W.streams[sc.R.Index]
	sc.ID = l.seq*uint64(len(sc.W.streams)) + uint64(sc.R.Index)
	l.seq++
}

// number gives the stream its number.
func (st *Stream) number() {
	st.Number()
	st.traceBegin()
}

func (l *streamList) get() *Stream {
	if n := len(l.free); n > 0 {
		st := l.free[n-1]
		l.free[n-1] = nil
		l.free = l.free[:n-1]
		l.low = min(l.low, n-1)
		return st
	}
	st := new(Stream)
	st.Stream = st
	return st
}

func (l *streamList) put(st *Stream) {
	st.reset()
	l.free = append(l.free, st)
}

// trim frees half of the streams that were of no use since the last time.
func (l *streamList) trim() int {
	n := (l.low + 1) / 2
	rest := copy(l.free, l.free[n:])
	clear(l.free[rest:])
	l.free = l.free[:rest]
	if cap(l.free) > 64 && cap(l.free) > 4*rest {
		l.free = append(make([]*Stream, 0, 2*rest), l.free...)
	}
	l.low = rest
	return n * 4096
}

// enter puts the stream into its reactor's list.
func (st *Stream) enter() {
	l := &st.W.streams[st.R.Index]
	st.next, st.prev = l.first, nil
	if l.first != nil {
		l.first.prev = st
	}
	l.first = st
	st.W.Counters[st.R.Index].Streams.Add(1)
}

func (st *Stream) leave() {
	l := &st.W.streams[st.R.Index]
	if st.prev != nil {
		st.prev.next = st.next
	} else if l.first == st {
		l.first = st.next
	} else {
		return
	}
	if st.next != nil {
		st.next.prev = st.prev
	}
	st.prev, st.next = nil, nil
	st.W.Counters[st.R.Index].Streams.Add(-1)
}

// EachStream calls f for the streams of a reactor, on it, until f returns
// false.
func (w *Worker) EachStream(r *reactor.Reactor, f func(*Stream) bool) {
	for st := w.streams[r.Index].first; st != nil; {
		next := st.next
		if !f(st) {
			return
		}
		st = next
	}
}

// Kill ends the stream, with the cause that goes to the log: [Killed],
// [ServerDown], [ServerUp], or 'I' for a panic. Call it on the stream's reactor.
func (st *Stream) Kill(cause byte) {
	state := st.state()
	if cause != 'I' && st.Term.Cause == 0 && st.slot {
		// Its connection to the server is what is broken, however far it had come, and
		// nobody outside is to blame: that is how HAProxy has it.
		state, st.ended = 'C', true
	}
	st.end(cause, state)
	st.co.Kill()
}

// state is the second letter of the termination state for where the exchange
// is.
func (st *Stream) state() byte {
	switch {
	case st.early:
		return 'L'
	case st.HasResponse || st.Sess.FE.Mode == TCP && st.Time.Connected != 0:
		return 'D'
	case st.Time.Connected != 0:
		return 'H'
	case st.Time.Queued != 0:
		return 'C'
	case st.Time.Request != 0:
		return 'Q'
	}
	return 'R'
}

// stopIdle closes a reactor's idle connections soon; busy ones close after their
// exchange. It runs on that reactor.
func (w *Worker) stopIdle(r *reactor.Reactor) {
	r.Each(func(h reactor.Handler) {
		s, ok := h.(*Session)
		if !ok || s.st != nil || s.busy || !s.counted {
			return
		}
		if m := s.mux; m != nil {
			m.drain()
			if m.Streams() > 0 {
				return // closed by whoever ends last
			}
		}
		// Not at once: the next request may be on its way.
		r.Set(&s.timer, r.Now()+1e9+int64(r.Rand.IntN(1e9)))
	})
}

// Refresh gives idle connections the newest form of their frontend, from any
// thread: each would else keep the configuration of its last request in memory.
func (w *Worker) Refresh() {
	for _, r := range w.Reactors {
		r.Post(func() { w.refresh(r, 0) })
	}
}

// refreshBatch is how many connections are looked at before others get their turn.
const refreshBatch = 2048

func (w *Worker) refresh(r *reactor.Reactor, first int) {
	next := r.EachFrom(first, refreshBatch, func(h reactor.Handler) {
		if s, ok := h.(*Session); ok && s.st == nil && !s.busy {
			s.FE = s.Listener.Front.Load()
		}
	})
	if next > 0 {
		r.Post(func() { w.refresh(r, next) })
	}
}

// SoftStop closes the listeners and lets the connections finish. OnDrained is
// called when the last has ended. It may be called from any thread but a
// reactor's.
func (w *Worker) SoftStop() {
	if w.Stopping.Swap(true) {
		return
	}
	// Listeners may still accept until they are closed, each on its reactor: who
	// counts as drained before that would leave with connections in hand.
	w.Curr.Add(1)
	var left atomic.Int64
	left.Store(1)
	closed := func() {
		if left.Add(-1) == 0 && w.Curr.Add(-1) == 0 && w.OnDrained != nil {
			w.OnDrained()
		}
	}
	w.Mu.Lock()
	for k, l := range w.Listeners {
		if l.Bind.Load().Handler == nil {
			left.Add(1)
			l.Close(closed)
			delete(w.Listeners, k)
		}
	}
	w.Mu.Unlock()
	for _, r := range w.Reactors {
		r.Post(func() { w.stopIdle(r) })
	}
	closed()
}
