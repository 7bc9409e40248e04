package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// mux is an HTTP/2 connection with a client or a server. It needs no coroutine
// of its own: what comes in is handled by callbacks, what goes out is gathered
// and sent at the end of the reactor's turn, so that the answers of many streams
// share a system call.
type mux struct {
	http2.Conn
	conn  *transport.Conn
	w     *Worker
	r     *reactor.Reactor
	end   muxEnd
	timer reactor.Timer
	// Those who wait for the peer's settings, and for room for a head.
	awaitSettings []*h2Side
	awaitRoom     []*h2Side
	waiting       int   // streams that will be opened once the peer's settings have come
	connecting    bool  // the connection is being made: nothing is sent yet
	dirty         bool  // in the list of those to be flushed
	dying         bool  // nothing but the end is awaited
	until         int64 // for how long, on the reactor's clock
	pinger        *pinger
	gone          bool // the connection is closed
}

// muxEnd is whose connection a mux is: a client's or a server's.
type muxEnd interface {
	http2.Owner
	// left is told when a stream has ended, of a connection that is not closed.
	left()
	// drained is told when the last one has that the connection will have.
	drained()
	// violated is told of what the peer did wrong.
	violated(err error)
	// pinged is told when an idle peer has answered, and is asked again.
	pinged()
	// close closes the connection, unless that was done.
	close()
	// Panicked gives it up.
	Panicked()
}

// muxes is one reactor's connections that have something to send.
type muxes struct {
	dirty, spare []*mux
	fe, be       *http2.Config // of the settings that conf was made from
	feOf, beOf   *Global
	_            counter.Line // each reactor's alone
}

// config gives the settings of HTTP/2 in force, made once for each
// configuration and reactor.
func (w *Worker) h2config(r *reactor.Reactor, server bool) *http2.Config {
	g := w.Snapshot().Global
	x := &w.muxes[r.Index]
	h := g.http2()
	have, of, set := &x.fe, &x.feOf, &h.Front
	if !server {
		have, of, set = &x.be, &x.beOf, &h.Back
	}
	if *of != g {
		*of = g
		*have = &http2.Config{
			Server:          server,
			InitialWindow:   uint32(set.InitialWindow),
			RxBuf:           set.RxBuf,
			MaxStreams:      uint32(set.MaxStreams),
			MaxFrame:        uint32(h.MaxFrame),
			HeaderTable:     uint32(h.HeaderTable),
			MaxHeaders:      g.MaxHeaders,
			MaxHead:         r.BufSize() - g.MaxRewrite,
			MaxTotal:        set.MaxTotal,
			MaxRst:          set.MaxRst,
			MaxFrames:       set.MaxFrames,
			Glitches:        set.Glitches,
			ExtendedConnect: server && !h.NoWebSocket,
		}
	}
	return *have
}

// init makes m the connection of end. server tells that the peer opens streams.
func (m *mux) init(w *Worker, r *reactor.Reactor, conn *transport.Conn, server bool, end muxEnd, n *http2.Counters) {
	m.conn, m.w, m.r, m.end = conn, w, r, end
	m.Counters = n
	n.Conns.Add(1)
	n.OpenConns.Add(1)
	m.Init(w.h2config(r, server), end)
	m.timer.Fire = m
	m.touch()
}

// Buffer, Release, Refuse, Response and Changed are of [http2.Owner].

// Buffer gives a buffer.
func (m *mux) Buffer() []byte { return m.r.Buffer() }

// Release takes a buffer back.
func (m *mux) Release(b []byte) { m.r.Release(b) }

// Refuse tells whether more data is too much.
func (m *mux) Refuse() bool { return m.r.Refuse() }

// Response tells the stream of a response's head.
func (m *mux) Response(s *http2.Stream) { m.Changed(s) }

// Changed tells the stream that something is new.
func (m *mux) Changed(s *http2.Stream) {
	if s.User != nil {
		s.User.Changed()
	}
}

// touch has the connection flushed at the end of the turn.
func (m *mux) touch() {
	if !m.dirty {
		m.dirty = true
		x := &m.w.muxes[m.r.Index]
		x.dirty = append(x.dirty, m)
	}
}

// flushMuxes sends what was gathered during the turn.
func (w *Worker) flushMuxes(r *reactor.Reactor) {
	x := &w.muxes[r.Index]
	if len(x.dirty) == 0 {
		return
	}
	list := x.dirty
	x.dirty = x.spare[:0]
	for i, m := range list {
		list[i] = nil
		m.dirty = false
		m.flushDirty()
	}
	x.spare = list[:0]
}

func (m *mux) flushDirty() {
	defer m.r.Contain(m)
	m.flush()
}

// Panicked is told by the reactor that a callback died: the connection is given
// up.
func (m *mux) Panicked() { m.end.Panicked() }

// readsAtOnce bounds how long one connection keeps the others waiting.
const readsAtOnce = 16

// readable takes what the connection has to say.
func (m *mux) readable() {
	if m.gone || m.connecting {
		return
	}
	r := m.r
	m.Lenient = r.Usage() < m.w.Snapshot().Global.http2().GlitchUsage
	was := r.Hold(true)
	for i := 0; ; i++ {
		if i == readsAtOnce {
			r.Set(&m.timer, r.Now()+1) // the rest in the next turn
			break
		}
		n, err := m.conn.TryRead(r.Scratch)
		if n > 0 && !m.dying {
			if err = m.Feed(r.Scratch[:n]); err != nil {
				m.die(err)
			}
			m.settingsCame()
			if m.Throttled() {
				r.Set(&m.timer, r.Now()+1e6) // others first
				break
			}
			continue
		}
		if err != nil {
			m.lost(err)
		}
		if n == 0 {
			break
		}
	}
	if m.dying && !m.gone && !m.timer.IsSet() {
		r.Set(&m.timer, m.until)
	}
	r.Hold(was)
	m.touch()
}

// settingsCame tells those who wait for it that the peer's settings have come, or never
// will.
func (m *mux) settingsCame() {
	if len(m.awaitSettings) > 0 && (m.PeerSettings() || m.Draining()) {
		for _, l := range m.awaitSettings {
			l.read.Notify()
		}
		m.awaitSettings = nil
	}
}

// feed takes bytes that were read before the connection was known to speak
// HTTP/2.
func (m *mux) feed(p []byte) {
	was := m.r.Hold(true)
	if err := m.Feed(p); err != nil {
		m.die(err)
	}
	m.r.Hold(was)
	m.touch()
}

// Fire is the timer: there is more to read, or the connection took too long to
// end.
func (m *mux) Fire() {
	if m.dying && m.r.Now() >= m.until {
		m.end.close()
		return
	}
	m.readable()
}

// flush sends what is queued, as far as the socket takes it.
func (m *mux) flush() {
	if m.gone || m.connecting {
		return
	}
	r := m.r
	was := r.Hold(true)
	defer r.Hold(was)
	for {
		b := m.Out()
		if len(b) == 0 {
			break
		}
		n, err := m.conn.TryWrite(b, 0)
		if err != nil {
			m.lost(err)
			return
		}
		if n == 0 {
			return
		}
		m.Sent(n)
		m.admit()
	}
	if ok, err := m.conn.Flushed(); err != nil {
		m.lost(err)
		return
	} else if !ok {
		return
	}
	if m.Streams() == 0 {
		switch {
		case m.dying:
			m.conn.CloseWrite() // the peer reads the GOAWAY before the connection is reset
		case m.Draining():
			m.end.drained()
		}
	}
}

// admit tells those who wait for it that there is room for heads again.
func (m *mux) admit() {
	if len(m.awaitRoom) == 0 || m.Full() {
		return
	}
	for _, l := range m.awaitRoom {
		l.write.Notify()
	}
	clear(m.awaitRoom)
	m.awaitRoom = m.awaitRoom[:0]
}

// die ends the connection after a violation of the protocol: a GOAWAY says why.
func (m *mux) die(err error) {
	if m.dying {
		return
	}
	m.end.violated(err)
	m.quit(err)
}

// quit ends the connection with the GOAWAY that is queued.
func (m *mux) quit(err error) {
	m.linger()
	was := m.r.Hold(true)
	m.Abort(err)
	m.r.Hold(was)
	m.touch()
}

// linger gives the peer some time to read the rest and to close.
func (m *mux) linger() {
	m.dying = true
	m.until = m.r.Now() + lingering
	m.r.Set(&m.timer, m.until)
}

// lost ends a connection that the peer closed or that broke.
func (m *mux) lost(err error) {
	if m.gone {
		return
	}
	m.dying = true
	m.Abort(err)
	m.end.close()
}

// streamLeft is told when a stream has ended.
func (m *mux) streamLeft() {
	m.touch()
	if m.gone {
		if m.Streams() == 0 {
			m.Free()
		}
		return
	}
	m.end.left()
}

// closed is told when the connection was closed.
func (m *mux) closed() {
	if m.gone {
		return
	}
	m.gone, m.dying = true, true
	m.Counters.OpenConns.Add(-1)
	m.r.Remove(&m.timer)
	if m.pinger != nil {
		m.r.Remove(&m.pinger.timer)
	}
	was := m.r.Hold(true)
	m.Abort(reactor.ErrClosed)
	m.settingsCame()
	m.r.Hold(was)
	if m.Streams() == 0 {
		m.Free()
	}
}

// drain lets the streams end, and those that are on their way: a client is told
// to open no others, to a server none are opened.
func (m *mux) drain() {
	if !m.Draining() {
		m.LeaveSoon()
		m.touch()
	}
}
