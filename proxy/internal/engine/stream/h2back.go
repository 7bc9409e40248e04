package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// negotiatedH2 tells whether a new connection to a server speaks HTTP/2 because
// the server chose it (ALPN).
func (c *ServerConn) negotiatedH2(set *server.Settings) bool {
	return set.Proto == "" && c.TLS != nil && c.TLS.Protocol() == "h2"
}

// h2Back is a connection of HTTP/2 to a server.
type h2Back struct {
	mux
	c *ServerConn
}

// NewStream refuses what a server begins.
func (b *h2Back) NewStream(*http2.Stream) *message.Request { return nil }

// Request is of [http2.Owner].
func (b *h2Back) Request(*http2.Stream) {}

// left, drained, violated, pinged, close and Panicked are of muxEnd.

func (b *h2Back) left()          { b.c.left() }
func (b *h2Back) drained()       { b.close() }
func (b *h2Back) violated(error) {}
func (b *h2Back) pinged()        {}
func (b *h2Back) close()         { b.c.closeMux() }

// Panicked is of muxEnd.
func (b *h2Back) Panicked() { b.c.Panicked() }

func (b *h2Back) limit() int { return b.Streams() + b.Available() }

// startH2 makes a new connection HTTP/2, and st its first user.
func (c *ServerConn) startH2(st *Stream) {
	c.mux = &h2Back{c: c}
	c.mux.init(st.W, st.R, &c.Conn, false, c.mux, &st.BE.BE.Counters[st.R.Index].H2)
	c.mux.Secure = c.security != nil
	c.reuse = st.BE.Reuse
	c.begin(st.Sess)
}

// begin puts the connection among those that carry streams.
func (c *ServerConn) begin(s *Session) {
	c.owner = s
	c.srv.Pools[c.Reactor().Index].Begin(c)
}

// shareMux takes a connection that carries streams already, of HTTP/2: one that
// carries those of the same client, or any when anyone's may be mixed. One that
// is being made is waited for, and for its server to say how many streams it
// takes at once: it refuses those above, and a request whose body is on its way
// cannot be sent again.
func (st *Stream) shareMux(any bool) bool {
	pool := &st.Srv.Pools[st.R.Index]
	n := pool.Shared()
	if n == 0 {
		return false
	}
	name := st.serverName()
	set := st.Srv.Settings()
	waited := false
	for i := n - 1; i >= 0; i-- {
		c := pool.SharedAt(i).(*ServerConn)
		if !any && c.owner != st.Sess || c.private && c.owner != st.Sess || c.mux.Available() <= c.mux.waiting || c.mux.dying || !c.fits(st.Srv, name) ||
			set.MaxReuse >= 0 && int(c.uses) > set.MaxReuse {
			continue
		}
		if !c.mux.PeerSettings() {
			if waited {
				continue // those above the limit make connections of their own
			}
			waited = true
			st.awaitSettings(c)
			if c.mux.connecting || c.mux.Available() == 0 || c.mux.dying || set.MaxReuse >= 0 && int(c.uses) > set.MaxReuse {
				c.left()
				i = pool.Shared()
				continue
			}
		}
		c.uses++
		st.up, st.last = c, c
		st.Reused = true
		st.serverCounters().Reuses.Add(1)
		st.BE.BE.Counters[st.R.Index].Reuses.Add(1)
		return true
	}
	return false
}

// awaitSettings waits until the server's settings have come, or never will, at
// most as long as making a connection may take.
func (st *Stream) awaitSettings(c *ServerConn) {
	m := c.mux
	deadline := deadlineIn(st.R, int64(st.BE.Timeouts.Connect))
	m.waiting++
	for !m.PeerSettings() && !m.Draining() {
		m.flush()
		m.awaitSettings = append(m.awaitSettings, &st.server)
		if st.server.read.Wait(st.R, deadline) != nil {
			break
		}
	}
	m.waiting--
}

// leaveServer ends the stream's part of a connection of HTTP/2.
func (st *Stream) leaveServer(c *ServerConn) {
	if st.server.on() {
		st.server.close()
	} else {
		c.left() // no stream was opened
	}
}

// left is told that one of the connection's streams has ended: after the last
// one it is idle, or of no more use.
func (c *ServerConn) left() {
	m := c.mux
	if m.Streams() > 0 || m.waiting > 0 || m.connecting || m.gone {
		return
	}
	srv := c.srv
	set := srv.Settings()
	pool := &srv.Pools[m.r.Index]
	if m.dying || m.Draining() || m.Available() == 0 || c.HungUp() || srv.Deleted() || srv.Down() || c.mux.w.Stopping.Load() ||
		set.MaxReuse >= 0 && int(c.uses) > set.MaxReuse ||
		c.keptPrivate() && !(c.owner.IsOpen() && c.owner.mayKeepConn()) || !c.keptPrivate() && c.superfluous() {
		m.drain()
		m.flush()
		c.closeMux()
		return
	}
	pool.End(c)
	srv.Used.Add(-1)
	if c.keptPrivate() {
		c.owner.keepConn(c)
		c.setIdle(true)
		m.ping(set.IdlePing)
		return
	}
	c.owner = nil
	c.setIdle(true)
	pool.Put(c)
	m.ping(set.IdlePing)
}

// keptPrivate tells whether only one client's requests may use the connection.
func (c *ServerConn) keptPrivate() bool { return c.reuse == ReuseNever || c.private || c.kept }

// closeMux closes a connection of HTTP/2.
func (c *ServerConn) closeMux() {
	m := c.mux
	if m.gone {
		return
	}
	pool := &c.srv.Pools[m.r.Index]
	if c.idle {
		c.setIdle(false)
		pool.Remove(c)
	} else {
		pool.End(c)
		c.srv.Used.Add(-1)
	}
	c.leaveOwner()
	m.closed()
	c.Conn.Close()
}

// Panicked is told by the reactor that a callback died: the connection is given up.
func (c *ServerConn) Panicked() {
	defer c.Conn.Close() // whatever else comes to grief
	switch {
	case c.mux != nil:
		c.closeMux()
	case c.idle:
		c.setIdle(false)
		c.leavePool()
		c.leaveOwner()
	}
}

// Writable is called by the reactor when the connection takes bytes again.
func (c *ServerConn) Writable() {
	if c.mux != nil {
		c.mux.flush()
	}
}

// sendRequestH2 is the phase "send" to a server that speaks HTTP/2.
func (st *Stream) sendRequestH2() (again, ok bool) {
	up := st.up
	if st.Req.Upgrade != nil {
		st.Req.Upgrade = st.upgradesTo()
	}
	if st.Req.Upgrade != nil && !st.awaitConnect(up) {
		switch {
		case st.Term.Cause != 0:
			return false, false
		case up.mux.Draining():
			return st.elsewhere() // the server closes: another connection may do
		case st.extended || st.webSocket():
			st.ErrText = "the server takes no extended CONNECT"
			st.fail(502, 'S', 'H')
			return false, false
		}
		st.Req.Upgrade = nil // the client is served without
	}
	whole := (st.Req.Framing == message.NoBody || st.reqData == nil) && st.Req.Upgrade == nil
	st.Res.Reset()
	hs, err := up.mux.Open(&st.Req, &st.Res, &st.server, whole)
	if err != nil {
		return st.elsewhere()
	}
	st.server = h2Side{st: st, m: &up.mux.mux, s: hs}
	st.ReqOut += int64(hs.HeadOut)
	up.mux.touch()
	st.asked = st.R.Now()
	if whole || st.Req.Framing == message.Tunnel || st.Req.Upgrade != nil {
		return false, true
	}
	st.bodyStarted = true
	st.upload.start(st, st.reqData, &st.server)
	return false, true
}

// awaitConnect waits for the server's settings, and tells whether they allow an
// extended CONNECT.
func (st *Stream) awaitConnect(up *ServerConn) bool {
	st.awaitSettings(up)
	return up.mux.PeerExtendedConnect() && !up.mux.Draining()
}

// elsewhere has a request that no server has seen sent on a new connection.
func (st *Stream) elsewhere() (again, ok bool) {
	if st.Retries < st.BE.Retries {
		st.noReuse = true
		return st.countRetry(), false
	}
	st.ErrText = "the server opens no more streams"
	st.fail(502, 'S', 'H')
	return false, false
}

// countRetry counts one more attempt.
func (st *Stream) countRetry() bool {
	st.Retries++
	st.BE.BE.Counters[st.R.Index].Retries.Add(1)
	st.serverCounters().Retries.Add(1)
	return true
}

// readResponseH2 is the phase "response" of a server that speaks HTTP/2.
func (st *Stream) readResponseH2() (ok, again bool) {
	l, be := &st.server, st.BE
	for {
		if l.s.HasHead() {
			st.ResIn += int64(st.Res.Size() + len("HTTP/2.0 200 \r\n\r\n"))
			if st.Res.Status < 200 {
				st.answered()
				if !st.interim() {
					return false, false
				}
				l.s.NextHead()
				continue
			}
			if st.Req.Upgrade != nil && st.Res.Status < 300 {
				st.upgradeAccepted()
			}
			st.answered()
			st.gotResponse()
			return true, false
		}
		err := l.s.Err()
		if err == nil {
			if st.upload.broke() {
				st.uploadFailed()
				return false, false
			}
			if err = st.awaitServerH2(); err == nil {
				continue
			}
		}
		if st.Term.Cause != 0 {
			return false, false
		}
		switch {
		case err == reactor.ErrTimeout:
			st.badAnswer(504, 's')
		case err == errClientLeft:
			st.clientBroke('D')
		case isRefused(err) && st.replayableBody() && st.Retries < be.Retries:
			st.noReuse = true
			return false, st.countRetry()
		case isLost(err) && st.Reused && l.s.ID > 1: // 1: it waited for the connection, which never served anyone
			return false, st.retryReused()
		default:
			st.ErrText = err.Error()
			if l.s.Malformed() {
				st.badAnswer(502, 'P')
			} else {
				st.badAnswer(502, 'S')
			}
		}
		return false, false
	}
}

// isLost tells whether the connection to the server ended.
func isLost(err error) bool { return isReset(err) || err == reactor.ErrClosed }

// replayableBody tells whether nothing of the request's body was consumed.
func (st *Stream) replayableBody() bool { return !st.bodyStarted }

// awaitServerH2 is [Stream.awaitServer] for a server that speaks HTTP/2.
func (st *Stream) awaitServerH2() error {
	l := &st.server
	for {
		watch := !st.upload.running && st.aborts()
		if watch {
			if quiet, _ := st.client.left(); quiet {
				return errClientLeft
			}
			st.client.watch(st.co)
		}
		uploading := st.upload.running
		err := l.read.Wait(st.R, st.headDeadline())
		if watch {
			st.client.watch(nil)
		}
		if err != nil || l.s.HasHead() || l.s.Err() != nil || uploading != st.upload.running {
			return err
		}
	}
}
