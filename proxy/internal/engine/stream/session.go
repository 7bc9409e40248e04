package stream

import (
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// Session is a client's connection, whatever it speaks and over whatever it came.
type Session struct {
	conn     front // what it is
	r        *reactor.Reactor
	timer    reactor.Timer
	Listener *Listener
	// FE is the frontend's name's newest form; it is refreshed from the snapshot
	// at each exchange.
	FE       *Proxy
	Src      reactor.Addr   // the client: as a PROXY protocol header has it, if there was one
	relay    *Relayed       // of whom another proxy told, nil: nobody
	TLS      *transport.TLS // the secure layer, nil in clear
	Accepted int64          // reactor time
	Requests int32          // exchanges begun on it
	// HandshakeMs is how many milliseconds passed until it was established.
	HandshakeMs int32
	st          *Stream
	front       *FrontState   // where it is counted
	vars        *variable.Set // nil: none was set
	priv        *ServerConn   // server connections that only this client uses, see keepConn
	open        bool          // not closed
	busy        bool          // a coroutine has it although there is no stream
	counted     bool          // in the numbers of connections
	ready       bool          // established: what comes before requests is done
	greeted     bool          // it has said what it has to say first
	greeting    Greeting      // what the client has to say first, and did not yet
	admitted    bool          // the rules on new connections were run, or there are none
	slots       slot.Values
}

// Reactor is the reactor that the session lives on.
func (s *Session) Reactor() *reactor.Reactor { return s.r }

// IsOpen tells whether the connection was not closed.
func (s *Session) IsOpen() bool { return s.open }

// Socket is what the connection came over, nil if it has no socket of its own.
func (s *Session) Socket() *transport.Conn {
	if s.conn == nil {
		return nil
	}
	return s.conn.socket()
}

// Fd is the number of the socket, -1 if there is none.
func (s *Session) Fd() int {
	if c := s.Socket(); c != nil {
		return c.Fd()
	}
	return -1
}

// ResetOnClose makes the connection end without a word to the client.
func (s *Session) ResetOnClose() {
	if c := s.Socket(); c != nil {
		c.ResetOnClose()
	}
}

// Prompt makes whatever is sent leave at once, until it is called with false.
func (s *Session) Prompt(on bool) {
	if c := s.Socket(); c != nil {
		c.Prompt(on)
	}
}

// AcceptDate is the time of day when the connection was accepted.
func (s *Session) AcceptDate() time.Time {
	return s.r.Wall().Add(-time.Duration(s.r.Now() - s.Accepted))
}

// established makes a session of the connection: what comes before requests is
// done. false: a rule has closed it.
func (s *Session) established() bool {
	s.HandshakeMs = int32((s.r.Now() - s.Accepted) / 1e6)
	s.ready = true
	if !s.passes(s.FE.SessionRules) {
		return false
	}
	i := s.r.Index
	s.Listener.worker.Counters[i].Sessions.Add(1)
	s.front.Counters[i].Sessions.Add(1)
	return true
}

// armRequest sets the time until which the first request must begin.
func (s *Session) armRequest() {
	t := s.FE.Timeouts.HTTPRequest
	if t == 0 {
		t = s.FE.Timeouts.Client
	}
	s.arm(t)
}

// leavingSoon is how long a connection is idle that is to end: what is on its way has
// come by then.
const leavingSoon = time.Second

// idleTimeout is how long a client may wait before its next request, 0 for ever.
func (s *Session) idleTimeout() time.Duration {
	t := s.FE.Timeouts.HTTPKeepAlive
	if t == 0 {
		t = s.FE.Timeouts.HTTPRequest
	}
	if t == 0 {
		t = s.FE.Timeouts.Client
	}
	if s.Listener.worker.Stopping.Load() {
		t = leavingSoon
	}
	return t
}

// handshakeTimeout is how long a client may take for its handshakes.
func (p *Proxy) handshakeTimeout() time.Duration {
	if t := p.Timeouts.ClientHS; t > 0 {
		return t
	}
	return p.Timeouts.Client
}

// failed ends a connection that was not established.
func (s *Session) failed(err error) {
	if err != reactor.ErrKilled {
		s.logFailure(err)
	}
	s.close()
}

// logFailure has logged why the connection, or what was on it, came to nothing.
func (s *Session) logFailure(err error) {
	if s.FE.LogFail != nil {
		s.FE.LogFail(s, err)
	}
}

func (s *Session) arm(d time.Duration) {
	if d > 0 {
		r := s.r
		r.Set(&s.timer, r.Now()+int64(d))
	} else {
		s.timer.Unset()
	}
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
	st.leaveServer(false)
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
	if !s.ready {
		s.failed(s.late())
		return
	}
	s.conn.expired()
}

// Run answers a client that never sent a request, in a coroutine.
func (t *sessionTimer) Run() { (*Session)(t).timedOut() }

// Panicked is told by the reactor that Fire or Run died.
func (t *sessionTimer) Panicked() { (*Session)(t).panicked() }

// panicked gives the session up.
func (s *Session) panicked() {
	if st := s.st; st != nil {
		s.st = nil // not pooled: nobody knows its shape
		st.abandon()
	}
	s.close()
}

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
	r, w := s.r, s.Listener.worker
	st := w.streams[r.Index].get()
	st.W, st.R, st.Sess = w, r, s
	st.client = s.conn.carry(st)
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
	w := s.Listener.worker
	s.open = false
	s.conn.shut()
	s.leaveConns()
	s.endVars()
	s.r.Remove(&s.timer)
	s.Listener.Cur.Add(-1)
	if s.counted {
		s.counted = false
		s.front.Cur.Add(-1)
		if w.Curr.Add(-1) == 0 && w.Stopping.Load() && w.OnDrained != nil {
			w.OnDrained()
		}
	}
}

// lingering is how long, in nanoseconds, an error reply waits for the client to
// take it before the connection is reset by what the client still sends.
const lingering = 1e9

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
		s, ok := h.(*ClientConn)
		if !ok || s.st != nil || s.busy || !s.counted {
			return
		}
		if !s.conn.finish() {
			return // closed by whoever ends last
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
		if s, ok := h.(*ClientConn); ok && s.st == nil && !s.busy {
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
