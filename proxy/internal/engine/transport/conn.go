package transport

import (
	"crypto/tls"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// Conn is a connection on a reactor, in clear or under TLS. The zero Conn is
// closed.
type Conn struct {
	reactor.FD
	// TLS is the secure layer, nil in clear.
	TLS *TLS
}

// Server begins TLS as the server; [Conn.Handshake] is to follow.
func (c *Conn) Server(cfg *tls.Config) {
	t := &TLS{server: true}
	t.wire.c = c
	t.conn = tls.Server(&t.wire, cfg)
	c.TLS = t
}

// Client begins TLS as the client; [Conn.Handshake] is to follow.
func (c *Conn) Client(cfg *tls.Config) {
	t := &TLS{}
	t.wire.c = c
	t.conn = tls.Client(&t.wire, t.keepSecrets(cfg))
	c.TLS = t
}

// Handshake makes the connection secure, from a coroutine. deadline is on the
// reactor's clock (0: none). The error is [reactor.ErrTimeout],
// [reactor.ErrKilled], io.EOF when the peer left, one of the socket's, or one
// of crypto/tls; [TLS.Err] keeps it.
func (c *Conn) Handshake(deadline int64) error {
	t := c.TLS
	w := &t.wire
	w.parks, w.deadline = true, deadline
	err := t.conn.Handshake()
	w.parks = false
	if err == nil {
		err = c.flush(deadline)
	}
	if w.capturing == captureOn {
		w.capturing = captureDone
	}
	if err != nil {
		t.err = err
		return err
	}
	t.done = true
	s := t.conn.ConnectionState()
	t.resumed, t.protocol = s.DidResume, s.NegotiatedProtocol
	return nil
}

// CanRead tells whether a read may find something. True is a hint, false is
// certain.
func (c *Conn) CanRead() bool {
	return c.FD.CanRead() || c.TLS != nil && !c.TLS.dry
}

// TryRead reads what is there. It returns 0, nil when nothing is.
func (c *Conn) TryRead(p []byte) (int, error) {
	if c.TLS == nil {
		return c.FD.TryRead(p)
	}
	return c.TLS.tryRead(p)
}

// Read reads at least one byte, waiting until the deadline (0: for ever). At the
// peer's end of data it returns io.EOF.
func (c *Conn) Read(p []byte, deadline int64) (int, error) {
	for {
		n, err := c.TryRead(p)
		if n > 0 || err != nil {
			return n, err
		}
		if err := c.WaitRead(deadline); err != nil {
			return 0, err
		}
	}
}

// WaitRead parks until c may be readable.
func (c *Conn) WaitRead(deadline int64) error {
	if c.TLS != nil && !c.TLS.dry && c.IsOpen() {
		return nil
	}
	return c.FD.WaitRead(deadline)
}

// TryWrite sends what fits. It returns 0, nil when nothing does. Under TLS bytes
// that it took may still stand in a buffer: see [Conn.Flushed].
func (c *Conn) TryWrite(p []byte, flags int) (int, error) {
	if c.TLS == nil {
		return c.FD.TryWrite(p, flags)
	}
	return c.TLS.tryWrite(p, flags)
}

// TryWritev is TryWrite of a then b.
func (c *Conn) TryWritev(a, b []byte, flags int) (int, error) {
	if c.TLS == nil {
		return c.FD.TryWritev(a, b, flags)
	}
	if len(b) == 0 {
		return c.TLS.tryWrite(a, flags)
	}
	n, err := c.TLS.tryWrite(a, flags|reactor.More)
	if err != nil || n < len(a) {
		return n, err
	}
	k, err := c.TLS.tryWrite(b, flags)
	return n + k, err
}

// Flushed tries to send what stands in the buffer of the secure layer and tells
// whether it is empty.
func (c *Conn) Flushed() (bool, error) {
	if c.TLS == nil {
		return true, nil
	}
	return c.TLS.wire.send()
}

// Write sends all of p, waiting as needed. timeout is the longest time without
// progress in nanoseconds (0: none). p must not be the reactor's scratch.
func (c *Conn) Write(p []byte, flags int, timeout int64) (int, error) {
	if c.TLS == nil {
		return c.FD.Write(p, flags, timeout)
	}
	sent := 0
	for {
		n, err := c.TLS.tryWrite(p[sent:], flags)
		sent += n
		if err != nil {
			return sent, err
		}
		if n == 0 || sent == len(p) {
			if err := c.Flush(timeout); err != nil {
				return sent, err
			}
		}
		if sent == len(p) {
			return sent, nil
		}
	}
}

// Flush waits until the buffer of the secure layer is empty; timeout as for
// [Conn.Write].
func (c *Conn) Flush(timeout int64) error {
	if c.TLS == nil {
		return nil
	}
	for {
		before := len(c.TLS.wire.out)
		done, err := c.TLS.wire.send()
		if done || err != nil {
			return err
		}
		if len(c.TLS.wire.out) < before {
			continue // it moves: the time begins anew
		}
		if err := c.WaitWrite(c.after(timeout)); err != nil {
			return err
		}
	}
}

// flush is Flush with a deadline.
func (c *Conn) flush(deadline int64) error {
	for {
		done, err := c.TLS.wire.send()
		if done || err != nil {
			return err
		}
		if err := c.WaitWrite(deadline); err != nil {
			return err
		}
	}
}

func (c *Conn) after(timeout int64) int64 {
	r := c.Reactor()
	if timeout <= 0 || r == nil {
		return 0
	}
	return r.Now() + timeout
}

// CloseWrite tells the peer that nothing more will come.
func (c *Conn) CloseWrite() {
	if c.TLS != nil {
		c.TLS.sayGoodbye()
	}
	c.FD.CloseWrite()
}

// Close closes the connection, under TLS after a close_notify if the socket
// takes it.
func (c *Conn) Close() {
	if t := c.TLS; t != nil && c.IsOpen() {
		if !c.Broken() {
			t.sayGoodbye()
		}
		t.wire.release()
		t.uncount()
	}
	c.FD.Close()
}

// Abort closes c with a RST instead of a FIN.
func (c *Conn) Abort() {
	c.ResetOnClose()
	if c.TLS != nil {
		c.TLS.wire.release()
		c.TLS.uncount()
	}
	c.FD.Close()
}
