package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// TLS is the secure layer of a [Conn].
type TLS struct {
	// Heard tells that the peer's ClientHello was understood. Who is asked for the
	// configuration sets it.
	Heard bool
	// Staple is what became of a client's wish for the state of the certificate.
	Staple counter.Staple
	// Capture is how many bytes of the ClientHello are to be kept; it is set
	// before the handshake.
	Capture int
	// HardMaxRecord is the most bytes that one record carries, MaxRecord the same
	// for those at the beginning of a transfer; 0: as many as there is room for.
	HardMaxRecord, MaxRecord int

	conn     *tls.Conn
	wire     wire
	state    *tls.ConnectionState
	secrets  *secrets // nil: not kept
	err      error
	fault    error
	protocol string
	server   bool
	resumed  bool
	done     bool // the handshake is complete
	dry      bool // the last read found nothing
	bye      bool // close_notify was sent
	written  int  // bytes since the transfer began
	wrote    int64
	count    *atomic.Int64
	slots    slot.Values
}

// Slots are what features remember of the connection.
func (t *TLS) Slots() *slot.Values { return &t.slots }

// Count adds the connection to n until it is closed.
func (t *TLS) Count(n *atomic.Int64) {
	n.Add(1)
	t.count = n
}

func (t *TLS) uncount() {
	if t.count != nil {
		t.count.Add(-1)
		t.count = nil
	}
}

// State is what was negotiated, nil before the handshake is complete. It is
// shared: do not change it.
func (t *TLS) State() *tls.ConnectionState {
	if t.state == nil && t.done {
		s := t.conn.ConnectionState()
		t.state = &s
	}
	return t.state
}

// Protocol is the protocol agreed on by ALPN, "" when none was.
func (t *TLS) Protocol() string { return t.protocol }

// Resumed tells whether the handshake took up an older session.
func (t *TLS) Resumed() bool { return t.resumed }

// Done tells whether the handshake is complete.
func (t *TLS) Done() bool { return t.done }

// Err is why the handshake failed, nil if it did not.
func (t *TLS) Err() error { return t.err }

// Fault is what crypto/tls found wrong after the handshake, an alert of the peer
// included, nil if nothing was.
func (t *TLS) Fault() error { return t.fault }

// IsServer tells which side of the handshake is ours.
func (t *TLS) IsServer() bool { return t.server }

// Hello is the ClientHello as it was received, cut to Capture bytes, with its
// record header. It is nil when nothing was captured.
func (t *TLS) Hello() []byte { return t.wire.hello }

// Conn is the connection that t secures.
func (t *TLS) Conn() *Conn { return t.wire.c }

// Of finds the secure layer that a net.Conn of crypto/tls belongs to, for
// callbacks that are given a tls.ClientHelloInfo. It is nil for a net.Conn that
// is not ours.
func Of(c net.Conn) *TLS {
	if w, ok := c.(*wire); ok {
		return w.c.TLS
	}
	return nil
}

// tryRead is [Conn.TryRead].
func (t *TLS) tryRead(p []byte) (int, error) {
	c := t.wire.c
	if !c.IsOpen() {
		return 0, reactor.ErrClosed
	}
	if t.dry && !c.FD.CanRead() || len(p) == 0 {
		return 0, nil
	}
	n, err := t.conn.Read(p)
	if n > 0 {
		t.dry = false
		return n, nil // an error will come again
	}
	if err == errAgain {
		t.dry = true
		return 0, nil
	}
	t.dry = false // the end, or an error: whoever reads again is told again
	if err != io.EOF && err != io.ErrUnexpectedEOF && !t.wire.failed {
		t.fault = err
	}
	return 0, err
}

// encryptAtOnce is how many bytes are made into records before the socket is
// asked to take them.
const encryptAtOnce = 64 << 10

// tryWrite is [Conn.TryWrite].
func (t *TLS) tryWrite(p []byte, flags int) (int, error) {
	w := &t.wire
	if !w.c.IsOpen() {
		return 0, reactor.ErrClosed
	}
	if len(w.out) > 0 {
		if done, err := w.send(); !done {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	sent := 0
	for {
		part := p[sent:]
		limit := t.record()
		most := min(encryptAtOnce, limit*recordsAtOnce)
		more := len(part) > most
		if more {
			part = part[:most]
		}
		w.gather = len(part) > limit
		w.flags = flags
		if more {
			w.flags |= reactor.More
		}
		n, err := t.encrypt(part, limit)
		w.gather = false
		sent += n
		if err != nil {
			return sent, err
		}
		done, err := w.send()
		w.flags = 0
		if !done || !more {
			return sent, err
		}
	}
}

// maxRecord is the most bytes that one record carries (RFC 8446 5.1).
const maxRecord = 16 << 10

// recordsAtOnce bounds how many records are made before the socket is asked to
// take them: each is some bytes longer than what it carries.
const recordsAtOnce = 1024

// A transfer is at its beginning for so many bytes, and begins anew after so
// many nanoseconds without any ("tune.ssl.maxrecord").
const (
	beginning = 64 << 10
	pause     = 1e9
)

// record is the most bytes that the next record may carry.
func (t *TLS) record() int {
	n := maxRecord
	if t.HardMaxRecord > 0 {
		n = min(n, t.HardMaxRecord)
	}
	if t.MaxRecord > 0 {
		now := int64(0)
		if r := t.wire.c.Reactor(); r != nil {
			now = r.Now()
		}
		if now-t.wrote > pause {
			t.written = 0
		}
		t.wrote = now
		if t.written < beginning {
			n = min(n, t.MaxRecord)
		}
	}
	return n
}

// encrypt makes records of at most limit bytes out of p.
func (t *TLS) encrypt(p []byte, limit int) (int, error) {
	sent := 0
	for {
		part := p[sent:]
		if limit < maxRecord && len(part) > limit {
			part = part[:limit]
		}
		n, err := t.conn.Write(part)
		sent += n
		t.written += n
		if err != nil || sent == len(p) {
			return sent, err
		}
	}
}

// sayGoodbye sends a close_notify, once.
func (t *TLS) sayGoodbye() {
	if !t.done || t.bye {
		return
	}
	t.bye = true
	t.conn.CloseWrite()
	t.wire.send()
}

// errAgain tells crypto/tls that nothing can be read for now. It is temporary:
// crypto/tls goes on where it stopped at the next call.
var errAgain = again{}

type again struct{}

func (again) Error() string   { return "nothing to read for now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// errBacklog ends a connection whose peer makes us answer and does not read.
var errBacklog = errors.New("too much waits to be sent")

// wire is the socket as crypto/tls sees it. Its Write never waits, its Read only
// during the handshake.
type wire struct {
	c         *Conn
	out       []byte // encrypted, not sent yet: a buffer of reactor.Big
	sent      int    // of out
	flags     int
	gather    bool // Write fills the buffer, one send follows
	parks     bool // the handshake: Read waits
	failed    bool // the socket did, or is at its end
	deadline  int64
	hello     []byte
	capturing uint8
	begun     bool     // something was read
	refusal   *refusal // of the handshake; nil: as crypto/tls says it
}

const (
	captureOff = iota
	captureOn
	captureDone
)

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.c.FD.TryRead(p)
		if n > 0 {
			if !w.begun {
				w.begun = true
				if w.c.TLS.server && dotted(p[:n]) {
					// crypto/tls takes no name with a dot at its end (RFC 6066 3).
					w.refusal = &refusal{instead: DecodeError, alert: UnrecognizedName}
				}
			}
			if t := w.c.TLS; w.parks && t.Capture > 0 {
				w.capture(p[:n])
			} else if w.parks && t.secrets != nil && !t.server {
				t.secrets.keepHello(p[:n])
			}
			return n, nil
		}
		if err != nil {
			w.failed = true
			return 0, err
		}
		if !w.parks {
			return 0, errAgain
		}
		if len(w.out) > 0 {
			if err := w.c.flush(w.deadline); err != nil {
				return 0, err
			}
		}
		if err := w.c.FD.WaitRead(w.deadline); err != nil {
			return 0, err
		}
	}
}

// capture keeps the beginning of what the client says: its hello, if that is all
// that was asked for.
func (w *wire) capture(p []byte) {
	if w.capturing == captureDone {
		return
	}
	w.capturing = captureOn
	room := w.c.TLS.Capture + 5 - len(w.hello)
	if len(p) > room {
		p = p[:room]
	}
	w.hello = append(w.hello, p...)
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if w.capturing == captureOn {
		w.capturing = captureDone // the hello was answered
	}
	if t := w.c.TLS; w.parks && t.secrets != nil && t.server {
		t.secrets.keepHello(p)
	}
	if w.parks && w.refusal != nil {
		p = w.refusal.rewrite(p)
	}
	if len(w.out) == 0 && !w.gather {
		n, err := w.c.FD.TryWrite(p, w.flags)
		if err != nil {
			return 0, err
		}
		if n == len(p) {
			return n, nil
		}
		return len(p), w.keep(p[n:])
	}
	return len(p), w.keep(p)
}

// keep puts p into the buffer.
func (w *wire) keep(p []byte) error {
	r := w.c.Reactor()
	if r == nil {
		return reactor.ErrClosed
	}
	if w.out == nil {
		if r.Exhausted() { // a record at least; who writes more has lost the connection
			w.out = make([]byte, 0, 32<<10)
		} else {
			w.out = r.Big()[:0]
		}
	}
	if len(w.out)+len(p) > cap(w.out) {
		if w.sent > 0 {
			w.out = w.out[:copy(w.out, w.out[w.sent:])]
			w.sent = 0
		}
		if len(w.out)+len(p) > cap(w.out) {
			return errBacklog
		}
	}
	w.out = append(w.out, p...)
	return nil
}

// send sends what stands in the buffer and tells whether it is empty.
func (w *wire) send() (bool, error) {
	if len(w.out) == 0 {
		return true, nil
	}
	n, err := w.c.FD.TryWrite(w.out[w.sent:], w.flags)
	w.sent += n
	if err != nil {
		return false, err
	}
	if w.sent < len(w.out) {
		return false, nil
	}
	w.release()
	return true, nil
}

// release gives the buffer back.
func (w *wire) release() {
	if w.out != nil {
		if r := w.c.Reactor(); r != nil && cap(w.out) >= reactor.BigBuffer {
			r.ReleaseBig(w.out)
		}
		w.out, w.sent = nil, 0
	}
}

// Close implements net.Conn. The owner of the Conn closes it.
func (w *wire) Close() error { return nil }

// crypto/tls only asks for the address to find older sessions when there is no
// name; whoever keeps them does not go by it. Deadlines are the owner's.

func (w *wire) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return syscall.ENOTSUP }
func (w *wire) SetReadDeadline(time.Time) error  { return syscall.ENOTSUP }
func (w *wire) SetWriteDeadline(time.Time) error { return syscall.ENOTSUP }
