package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// h2Back is a connection of HTTP/2 to a server.
type h2Back struct {
	mux
	c *ServerConn
}

// startH2Back makes a connection to a server HTTP/2, and st its first user: others may
// wait for it already.
func startH2Back(c *ServerConn, st *Stream) {
	b := &h2Back{c: c}
	b.init(st.W, st.R, &c.Conn, false, b, &st.BE.BE.Counters[st.R.Index].H2)
	b.Secure = c.security != nil
	b.connecting = true
	c.back = b
	b.resumed(st.Sess)
}

// The following are of back.

func (b *h2Back) protocol() *Protocol { return h2Protocol }
func (b *h2Back) glitches() int       { return b.Glitches() }
func (b *h2Back) limit() int          { return b.Streams() + b.Available() }
func (b *h2Back) streams() int        { return b.Streams() }
func (b *h2Back) writable()           { b.flush() }
func (b *h2Back) vacant() bool        { return !b.c.HungUp() && b.Available() > 0 }
func (b *h2Back) panicked()           { b.close() }

func (b *h2Back) carry(st *Stream) serverSide {
	st.h2srv = h2Server{h2Side: h2Side{st: st, m: &b.mux}, b: b}
	return &st.h2srv
}

func (b *h2Back) connected() {
	b.connecting = false
	b.touch()
}

func (b *h2Back) abandoned() {
	b.pool().End(b.c)
	b.c.owner = nil
	b.closed()
}

// resumed puts the connection among those that carry streams.
func (b *h2Back) resumed(s *Session) {
	b.c.owner = s
	b.pool().Begin(b.c)
}

func (b *h2Back) discard() {
	b.drain()
	b.flush() // which closes it
	b.close()
}

// share is of back. A connection that is being made is waited for, and for its server
// to say how many streams it takes at once: it refuses those above, and a request
// whose body is on its way cannot be sent again.
func (b *h2Back) share(st *Stream, wait bool) (ok, waited bool) {
	switch {
	case b.Available() <= b.waiting || b.dying:
		return false, false
	case b.PeerSettings():
		return true, false
	case !wait:
		return false, false // those above the limit make connections of their own
	}
	b.awaitSettingsFor(st)
	if b.connecting || b.Available() == 0 || b.dying || b.c.spent() {
		b.left()
		return false, true
	}
	return true, true
}

// awaitSettingsFor waits until the server's settings have come, or never will, at
// most as long as making a connection may take.
func (b *h2Back) awaitSettingsFor(st *Stream) {
	deadline := deadlineIn(st.R, int64(st.BE.Timeouts.Connect))
	b.waiting++
	for !b.PeerSettings() && !b.Draining() {
		b.flush()
		b.awaitSettings = append(b.awaitSettings, &st.h2srv.h2Side)
		if st.h2srv.read.Wait(st.R, deadline) != nil {
			break
		}
	}
	b.waiting--
}

// NewStream refuses what a server begins.
func (b *h2Back) NewStream(*http2.Stream) *message.Request { return nil }

// Request is of [http2.Owner].
func (b *h2Back) Request(*http2.Stream) {}

// The following are of muxEnd.

func (b *h2Back) drained()       { b.close() }
func (b *h2Back) violated(error) {}
func (b *h2Back) pinged()        {}

// Panicked is of muxEnd.
func (b *h2Back) Panicked() { b.c.Panicked() }

// left is of muxEnd: after its last stream the connection is idle, or of no more use.
func (b *h2Back) left() {
	c := b.c
	if b.Streams() > 0 || b.waiting > 0 || b.connecting || b.gone {
		return
	}
	if b.dying || b.Draining() || b.Available() == 0 || !c.rest(b.w, c.owner) {
		b.discard()
		return
	}
	b.pool().End(c)
	b.ping(c.srv.Settings().IdlePing)
}

// close is of muxEnd.
func (b *h2Back) close() {
	c := b.c
	if b.gone {
		return
	}
	if c.idle {
		c.setIdle(false)
		b.pool().Remove(c)
	} else {
		b.pool().End(c)
		c.closed()
	}
	c.leaveOwner()
	b.closed()
	c.Conn.Close()
}

// pool is where others find the connection.
func (b *h2Back) pool() *server.Pool { return &b.c.srv.Pools[b.r.Index] }

// h2Server is the server's side of an exchange over HTTP/2.
type h2Server struct {
	h2Side
	b *h2Back
	// given tells that st.Res has a head that was given.
	given bool
}

// source is of side.
func (l *h2Server) source(*message.Header) Source {
	l.st.bodies = true
	l.done = l.s.RecvEnd()
	return l
}

// sink is of side.
func (l *h2Server) sink(message.Framing) sink { return l }

// send is of serverSide.
func (l *h2Server) send() step {
	st := l.st
	if st.Req.Upgrade != nil {
		st.Req.Upgrade = st.upgradesTo()
	}
	if st.Req.Upgrade != nil && !l.mayConnect() {
		switch {
		case st.Term.Cause != 0:
			return stop
		case l.b.Draining():
			return l.another() // the server closes: another connection may do
		case st.extended || st.webSocket():
			st.ErrText = "the server takes no extended CONNECT"
			st.fail(502, 'S', 'H')
			return stop
		}
		st.Req.Upgrade = nil // the client is served without
	}
	whole := (st.Req.Framing == message.NoBody || st.reqData == nil) && st.Req.Upgrade == nil
	st.Res.Reset()
	s, err := l.b.Open(&st.Req, &st.Res, l, whole)
	if err != nil {
		return l.another()
	}
	l.s = s
	st.ReqOut += int64(s.HeadOut)
	l.m.touch()
	st.asked = st.R.Now()
	if !whole && st.Req.Framing != message.Tunnel && st.Req.Upgrade == nil {
		st.bodyStarted = true
		st.upload.start(st, st.reqData, l)
	}
	return next
}

// mayConnect waits for the server's settings, and tells whether they allow an
// extended CONNECT.
func (l *h2Server) mayConnect() bool {
	l.b.awaitSettingsFor(l.st)
	return l.b.PeerExtendedConnect() && !l.b.Draining()
}

// another has a request that was not sent go over a new connection.
func (l *h2Server) another() step {
	to, ok := l.st.elsewhere()
	if !ok {
		l.st.ErrText = "the server opens no more streams"
		l.st.fail(502, 'S', 'H')
	}
	return to
}

// head is of serverSide.
func (l *h2Server) head() (bool, error) {
	st := l.st
	if l.given {
		l.given = false
		l.s.NextHead() // the one before was interim
	}
	if !l.s.HasHead() {
		return false, l.s.Err()
	}
	l.given = true
	st.ResIn += int64(st.Res.Size() + len("HTTP/2.0 200 \r\n\r\n"))
	if st.Req.Upgrade != nil && st.Res.Status >= 200 && st.Res.Status < 300 {
		st.upgradeAccepted()
	}
	return true, nil
}

// wait is of serverSide.
func (l *h2Server) wait(deadline int64) error { return l.read.Wait(l.st.R, deadline) }

// finish is of serverSide: a stream can only be reset.
func (l *h2Server) finish() bool { return false }

// fault is of serverSide.
func (l *h2Server) fault(err error) (fault, string) {
	switch {
	case isRefused(err):
		return refused, err.Error()
	case (isReset(err) || err == reactor.ErrClosed) && l.st.Reused && l.s.ID > 1: // 1: it waited for the connection, which never served anyone
		return dead, ""
	case l.s.Malformed():
		return malformed, err.Error()
	}
	return broken, err.Error()
}

// used is of serverSide.
func (l *h2Server) used() {}

// received is of serverSide.
func (l *h2Server) received() int {
	if l.s == nil {
		return 0
	}
	return l.s.Queued()
}

// arrived is of serverSide.
func (l *h2Server) arrived() (bool, error) {
	s := l.s
	return s.EndReceived() || s.Err() != nil || s.Queued() >= l.st.R.BufSize()-l.st.Snap.Global.MaxRewrite || s.WindowUsed(), nil
}

// more is of serverSide.
func (l *h2Server) more(deadline int64) error {
	if t := l.st.readDeadline(false); t > 0 {
		deadline = min(deadline, t)
	}
	return l.read.Wait(l.st.R, deadline)
}

// cut is of serverSide.
func (l *h2Server) cut() { l.abort() }

// abort is of serverSide.
func (l *h2Server) abort() { l.reset(http2.Cancel) }

// leave is of serverSide. What the stream leaves behind tells whether the connection
// can be used again.
func (l *h2Server) leave(bool) {
	if l.s != nil {
		l.close()
	} else {
		l.b.left() // no stream was opened
	}
}
