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
	once     bool     // speaks HTTP/1 for a WebSocket, and something else for anything else
	reuse    Reuse    // how the backend shares connections
	sni      string   // the name that was asked for under TLS
	security Security // how it was secured
	back     back     // what it speaks
}

// Readable is called by the reactor when the connection has something to say that no
// coroutine waits for.
func (c *ServerConn) Readable() { c.back.readable() }

// Writable is called by the reactor when the connection takes bytes again.
func (c *ServerConn) Writable() { c.back.writable() }

// Panicked is told by the reactor that a callback died: the connection is given up.
func (c *ServerConn) Panicked() {
	defer c.Conn.Close() // whatever else comes to grief
	c.back.panicked()
}

// leavePool takes an idle connection away from where other sessions find it.
func (c *ServerConn) leavePool() {
	if !c.kept {
		c.srv.Pools[c.Reactor().Index].Remove(c)
	}
}

// Discard closes an idle connection that was taken out of its pool.
func (c *ServerConn) Discard() { c.back.discard() }

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

// abandon closes a connection that could not be made.
func (c *ServerConn) abandon() {
	c.back.abandoned()
	c.closed()
	c.Conn.Close()
}

// closed accounts for a connection in use that was closed.
func (c *ServerConn) closed() { c.srv.Used.Add(-1) }
