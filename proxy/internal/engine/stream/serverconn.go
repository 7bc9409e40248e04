package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// ServerConn is a connection to a server. While it is idle it stands in its
// server's pool, or with the one session it is private to.
type ServerConn struct {
	transport.Conn
	srv  *server.Server
	addr *reactor.Addr
	in   input
	// owner is the session that keeps the connection for itself, or whose streams a
	// connection of HTTP/2 carries.
	owner *Session
	next  *ServerConn // that the owner keeps
	kept  bool        // by its owner
	uses  int32
	idle  bool
	// private tells that only the client's own connection may use it again: its
	// header of the PROXY protocol speaks of that one, or the server took it for a
	// user's (user).
	private  bool
	user     bool
	once     bool     // speaks HTTP/1 for a WebSocket, and HTTP/2 for anything else
	reuse    Reuse    // of HTTP/2: how the backend shares connections
	sni      string   // the name that was asked for under TLS
	security Security // how it was secured
	mux      *h2Back  // of HTTP/2, nil otherwise
}

// Readable is called when an idle connection is closed by the server, or the
// server speaks out of turn: both end it.
func (c *ServerConn) Readable() {
	if c.mux != nil {
		c.mux.readable()
		return
	}
	if !c.idle {
		return
	}
	if c.TLS != nil {
		// Session tickets and the like are no answer.
		var b [1]byte
		if n, err := c.TryRead(b[:]); n == 0 && err == nil && !c.HungUp() {
			return
		}
	}
	c.leavePool()
	c.discard()
}

// leavePool takes an idle connection away from where other sessions find it.
func (c *ServerConn) leavePool() {
	if !c.kept {
		c.srv.Pools[c.Reactor().Index].Remove(c)
	}
}

// Discard closes an idle connection that was taken out of its pool.
func (c *ServerConn) Discard() { c.discard() }

// setIdle notes and counts whether the connection is idle, with that of a client
// apart from those that anyone may use.
func (c *ServerConn) setIdle(idle bool) {
	n := int64(1)
	if !idle {
		n = -1
	}
	c.idle = idle
	c.srv.Idle.Add(n)
	if c.kept {
		c.srv.Private.Add(n)
	}
}

func (c *ServerConn) discard() {
	if c.mux != nil {
		c.mux.drain()
		c.mux.flush() // which closes it
		c.closeMux()
		return
	}
	c.setIdle(false)
	c.leaveOwner()
	c.Conn.Close()
}

// abandon closes a connection that could not be made.
func (c *ServerConn) abandon() {
	if c.mux != nil {
		c.srv.Pools[c.Reactor().Index].End(c)
		c.owner = nil
		c.mux.closed()
	}
	c.closed()
	c.Conn.Close()
}

// closed accounts for a connection in use that was closed.
func (c *ServerConn) closed() { c.srv.Used.Add(-1) }
