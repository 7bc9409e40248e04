package stream

import (
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// ClientConn is a client's connection over a socket: a session, and what carries it.
type ClientConn struct {
	Session
	Conn transport.Conn
}

// OpenClient makes a client's connection of a socket, with which nothing happens yet.
// It begins as what connections of the mode begin as.
func OpenClient(r *reactor.Reactor, n int, m Mode) (*ClientConn, error) {
	c := &ClientConn{Session: Session{r: r, Accepted: r.Now(), open: true}}
	c.speak(m)
	return c, r.Open(&c.Conn.FD, n, c)
}

// begin starts the life of an accepted connection. In mode http it waits for
// the first byte without a coroutine or a buffer.
func (c *ClientConn) begin() {
	c.timer.Fire = (*sessionTimer)(&c.Session)
	if len(c.FE.ConnRules) > 0 || len(c.FE.SessionRules) > 0 {
		c.busy = true
		c.r.Start(c)
		return
	}
	c.admission()
	if c.FE.Mode == TCP {
		c.r.Start(c)
		return
	}
	c.await()
}

// admission is what follows when no rule is against the connection.
func (c *ClientConn) admission() {
	c.admitted = true
	if c.FE.Has(ClitcpKA) {
		c.r.Sys.SetsockoptInt(c.Conn.Fd(), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	}
	if c.FE.Has(NoLinger) {
		c.Conn.ResetOnClose()
	}
	if w := c.Listener.worker; c.Listener.Bind.Load().TLS != nil && w.MaxTLSRate() > 0 {
		w.tlsRate.count(c.r.Now())
	}
	if c.FE.RateLimit > 0 {
		c.front.limiter.count(c.r.Now())
	}
	if c.greeting == 0 && c.Listener.Bind.Load().TLS == nil {
		c.established()
	}
}

// await sets the time that the client has to begin.
func (c *ClientConn) await() {
	if c.ready {
		c.armRequest()
	} else {
		c.arm(c.FE.handshakeTimeout())
	}
}

// establish does what comes before the first request: the greeting and the TLS
// handshake.
func (c *ClientConn) establish() bool {
	if c.ready {
		return true
	}
	if c.r.Refuse() {
		c.close()
		return false
	}
	c.busy = true
	var deadline int64
	if t := c.FE.handshakeTimeout(); t > 0 {
		deadline = c.Accepted + int64(t)
	}
	err := c.Secure(deadline)
	c.busy = false
	if err != nil {
		c.failed(err)
		return false
	}
	return c.established()
}

// Secure is what comes before the first request, in a coroutine: the client's
// greeting and the TLS handshake, as far as the listener asks for them. deadline
// is on the reactor's clock (0: none).
func (c *ClientConn) Secure(deadline int64) error {
	if err := c.greet(deadline); err != nil {
		return err
	}
	b, r := c.Listener.Bind.Load(), c.r
	if b.TLS == nil {
		return nil
	}
	w := c.Listener.worker
	if err := w.mayTLS(); err != nil {
		return err
	}
	c.Conn.Server(b.TLS)
	c.TLS = c.Conn.TLS
	w.beginTLS(c.TLS)
	n := &w.Counters[r.Index]
	err := c.Conn.Handshake(deadline)
	if c.front != nil { // no Runtime socket
		c.front.Counters[r.Index].TLS.Count(err != nil, c.TLS.Resumed(), c.TLS.Staple)
		if l := c.Listener.counters(r.Index); l != nil {
			l.TLS.Count(err != nil, c.TLS.Resumed(), c.TLS.Staple)
		}
	}
	if err != nil {
		n.TLSFrontFailed.Add(1)
		return err
	}
	n.TLSFront.Add(1)
	if c.TLS.Resumed() {
		n.TLSFrontReused.Add(1)
	}
	return nil
}

// Readable is called by the reactor when the connection has something to say that
// no coroutine waits for.
func (c *ClientConn) Readable() { c.conn.readable() }

// Writable is called by the reactor when the connection takes bytes again.
func (c *ClientConn) Writable() { c.conn.writable() }

// wake starts a coroutine for an idle connection that has something to say.
func (c *ClientConn) wake() {
	if c.st == nil && !c.busy {
		c.r.Start(c)
	}
}

// Run is the life of the connection from here to its end or to the next idle
// wait.
func (c *ClientConn) Run() {
	c.timer.Unset()
	if !c.admitted {
		if !c.passes(c.FE.ConnRules) {
			return
		}
		c.busy = false
		if c.admission(); !c.open {
			return
		}
		if c.FE.Mode == HTTP && !c.Conn.CanRead() {
			c.await()
			return
		}
	}
	if !c.establish() {
		return
	}
	if c.conn.protocol().Mode != c.FE.Mode {
		c.speak(c.FE.Mode) // it was changed
	}
	if c.Requests == 0 {
		if p := c.agreed(); p != nil && p != c.conn.protocol() {
			p.front(c, nil)
			return
		}
	}
	c.conn.serve()
}

// speak makes the connection what one of the mode begins as.
func (c *ClientConn) speak(m Mode) {
	if m == TCP {
		c.conn = (*rawFront)(c)
	} else {
		c.conn = (*h1Front)(c)
	}
}

// agreed is the protocol that was agreed on before the connection says anything:
// by "proto", or by TLS. nil: none.
func (c *ClientConn) agreed() *Protocol {
	switch name := c.Listener.Bind.Load().Proto; {
	case name != "":
		return ProtocolNamed(name)
	case c.TLS != nil && c.FE.Mode == HTTP:
		return protocolOf(c.TLS.Protocol())
	}
	return nil
}

// Panicked is told by the reactor that Run or a callback died: the connection is
// given up.
func (c *ClientConn) Panicked() {
	defer c.Conn.Close() // whatever else comes to grief
	c.panicked()
}

// Close ends a connection that a [Bind.Handler] took over.
func (c *ClientConn) Close() { c.close() }
