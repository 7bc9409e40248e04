package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// negotiatedH2 tells whether a new connection to a server speaks HTTP/2 because
// the server chose it (ALPN).
func (c *ServerConn) negotiatedH2(set *server.Settings) bool {
	return set.Proto == "" && c.TLS != nil && c.TLS.Protocol() == "h2"
}

// startH2 makes a new connection HTTP/2, and st its first user.
func (c *ServerConn) startH2(st *Stream) {
	c.mux = newMux(st.W, st.R, &c.Conn, false)
	c.mux.up = c
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
