package reactor

import (
	"io"
	"syscall"
)

// Handler is called when a descriptor that no coroutine waits on becomes
// readable or is hung up.
type Handler interface{ Readable() }

// WriteHandler is a [Handler] that is also called when a descriptor that no
// coroutine waits on takes bytes again.
type WriteHandler interface {
	Handler
	Writable()
}

// FD is a descriptor on a reactor. The zero FD is closed; it is meant to be
// embedded in what owns the connection.
type FD struct {
	r      *Reactor
	idle   Handler
	reader *Coro
	writer *Coro
	local  *Addr // see Local
	fd     int32
	state  Event
	shared bool // see OpenShared
	// promised: the last send said that more follows, and none did yet.
	promised bool
	// prompt: More is never said.
	prompt bool
}

// Open puts the descriptor n, which must be non-blocking, under the reactor's
// care. idle is called on the loop whenever n becomes readable while no coroutine
// waits for that; it may be nil.
func (r *Reactor) Open(f *FD, n int, idle Handler) error { return r.open(f, n, idle, r.poller.Add) }

// OpenShared is Open for a copy of a listening socket that other reactors have
// copies of: each connection is meant for one of them.
func (r *Reactor) OpenShared(f *FD, n int, idle Handler) error {
	err := r.open(f, n, idle, r.poller.AddShared)
	f.shared = err == nil
	return err
}

func (r *Reactor) open(f *FD, n int, idle Handler, add func(int, uint64) syscall.Errno) error {
	if n >= len(r.fds) {
		size := max(1024, 2*len(r.fds), n+1)
		fds, gens := make([]*FD, size), make([]uint32, size)
		copy(fds, r.fds)
		copy(gens, r.gens)
		r.fds, r.gens = fds, gens
	}
	f.r, f.fd, f.idle, f.state = r, int32(n), idle, EventWrite
	f.promised, f.prompt, f.local = false, false, nil
	r.gens[n]++
	r.fds[n] = f
	if e := add(n, uint64(uint32(n))|uint64(r.gens[n])<<32); e != 0 {
		r.fds[n] = nil
		f.r = nil
		return e
	}
	r.nfds++
	return nil
}

// SetIdle changes the handler of f.
func (f *FD) SetIdle(h Handler) { f.idle = h }

// IsOpen tells whether f holds a descriptor.
func (f *FD) IsOpen() bool { return f.r != nil }

// Fd is the number of the descriptor, -1 when closed.
func (f *FD) Fd() int {
	if f.r == nil {
		return -1
	}
	return int(f.fd)
}

// Local is the socket's own address, no address if there is none. The kernel is
// asked once: what was asked before f was closed is known afterwards.
func (f *FD) Local() Addr {
	if f.local == nil {
		if f.r == nil {
			return Addr{}
		}
		a, e := f.r.Sys.Getsockname(int(f.fd))
		if e != 0 {
			return Addr{}
		}
		f.local = &a
	}
	return *f.local
}

// Reactor is the reactor that owns f, nil when closed.
func (f *FD) Reactor() *Reactor { return f.r }

// Close closes the descriptor. Coroutines that wait on it are woken with
// ErrClosed. Closing twice is harmless.
func (f *FD) Close() {
	r := f.r
	if r == nil {
		return
	}
	f.detach()
	if f.shared {
		f.shared = false
		r.poller.RemoveShared(int(f.fd))
	}
	r.Sys.Close(int(f.fd))
	if f.reader != nil {
		r.wake(f.reader)
	}
	if f.writer != nil {
		r.wake(f.writer)
	}
}

func (f *FD) detach() {
	r := f.r
	r.fds[f.fd] = nil
	r.gens[f.fd]++
	r.nfds--
	f.r = nil
}

// ErrClosed is returned by operations on a closed descriptor.
var ErrClosed = io.ErrClosedPipe

func (f *FD) event(ev Event) {
	full := f.state&EventWrite == 0
	f.state |= ev
	if ev&(EventReadHup|EventHup) != 0 {
		f.state |= EventRead
		ev |= EventRead
	}
	if ev&EventHup != 0 {
		f.state |= EventWrite
		ev |= EventWrite
	}
	reader, writer := f.reader, f.writer
	if ev&EventRead != 0 {
		if reader != nil {
			if reader.relay == nil || !reader.relay.Relay() {
				f.r.wake(reader)
			}
		} else if f.idle != nil {
			f.idle.Readable()
		}
	}
	if ev&EventWrite == 0 || f.r == nil {
		return
	}
	if writer != nil {
		if writer != reader || ev&EventRead == 0 {
			f.r.wake(writer)
		}
	} else if full {
		if h, ok := f.idle.(WriteHandler); ok {
			h.Writable()
		}
	}
}

// CanRead tells whether a read may find something. True is a hint, false is
// certain.
func (f *FD) CanRead() bool { return f.state&EventRead != 0 }

// HungUp tells whether the peer is known to have closed its sending side.
func (f *FD) HungUp() bool { return f.state&(EventReadHup|EventHup) != 0 }

// Broken tells whether the connection is known to be dead in both directions.
func (f *FD) Broken() bool { return f.state&EventHup != 0 }

// TryRead reads what is there. It returns 0, nil when nothing is.
func (f *FD) TryRead(p []byte) (int, error) {
	if f.r == nil {
		return 0, ErrClosed
	}
	if f.state&EventRead == 0 || len(p) == 0 {
		return 0, nil
	}
	n, e := f.r.Sys.Read(int(f.fd), p)
	for e == syscall.EINTR {
		n, e = f.r.Sys.Read(int(f.fd), p)
	}
	switch {
	case e == syscall.EAGAIN:
		f.state &^= EventRead
		return 0, nil
	case e != 0:
		return 0, e
	case n == 0:
		f.state |= EventReadHup
		return 0, io.EOF
	}
	if n < len(p) && f.state&(EventReadHup|EventHup) == 0 {
		f.state &^= EventRead // short: the socket is empty until the next edge
	}
	return n, nil
}

// Read reads at least one byte, waiting until the deadline (0: for ever). At the
// peer's end of data it returns io.EOF.
func (f *FD) Read(p []byte, deadline int64) (int, error) {
	for {
		n, err := f.TryRead(p)
		if n > 0 || err != nil {
			return n, err
		}
		if err := f.WaitRead(deadline); err != nil {
			return 0, err
		}
	}
}

// WaitRead parks until f may be readable.
func (f *FD) WaitRead(deadline int64) error {
	if f.r == nil {
		return ErrClosed
	}
	if f.state&EventRead != 0 {
		return nil
	}
	f.reader = f.r.cur
	err := f.r.park(deadline)
	f.reader = nil
	if err == nil && f.r == nil {
		return ErrClosed
	}
	return err
}

// Relay does what a coroutine would do that waits for a descriptor to be readable.
type Relay interface {
	// Relay is called on the loop in the coroutine's place, and must not wait. It
	// tells whether that was all: the coroutine goes on waiting.
	Relay() bool
}

// WaitRelay is WaitRead that lets relay do what there is to do, as long as it can,
// without the switch to the coroutine and back. The deadline stays what it is.
func (f *FD) WaitRelay(relay Relay, deadline int64) error {
	if f.r == nil {
		return ErrClosed
	}
	co := f.r.cur
	co.relay = relay
	err := f.WaitRead(deadline)
	co.relay = nil
	return err
}

// WaitWrite parks until f may be writable.
func (f *FD) WaitWrite(deadline int64) error {
	if f.r == nil {
		return ErrClosed
	}
	if f.state&EventWrite != 0 {
		return nil
	}
	f.writer = f.r.cur
	err := f.r.park(deadline)
	f.writer = nil
	if err == nil && f.r == nil {
		return ErrClosed
	}
	return err
}

// Watch makes co be woken whenever f becomes readable or is hung up, until it is
// called with nil.
func (f *FD) Watch(co *Coro) { f.reader = co }

// CanWrite tells whether a write may succeed.
func (f *FD) CanWrite() bool { return f.state&EventWrite != 0 }

// Flags of TryWrite and Write.
const (
	// More tells that more data follows, or the end: the kernel may keep what does
	// not fill a packet until then. It is a promise for the present turn of the
	// loop: what has not followed by its end is sent without.
	More = syscall.MSG_MORE
)

// Prompt makes every write leave at once, whatever is said of more, until it is
// called with false.
func (f *FD) Prompt(on bool) { f.prompt = on }

// flags are those of a send for which the caller gave some.
func (f *FD) flags(flags int) int {
	if f.prompt {
		flags &^= More
	}
	return flags | sendFlags
}

// promise notes whether the last send that was taken as a whole said that more
// follows.
func (f *FD) promise(more bool) {
	if more && !f.promised {
		f.r.promised = append(f.r.promised, f)
	}
	f.promised = more
}

// keepPromises sends what is kept back in the kernel although nothing followed:
// it would stay there for 200 ms, and be lost if the connection is reset
// meanwhile.
func (r *Reactor) keepPromises() {
	for i, f := range r.promised {
		r.promised[i] = nil
		if f.r == r && f.promised {
			f.promised = false
			r.Sys.SetsockoptInt(int(f.fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) // which pushes
		}
	}
	r.promised = r.promised[:0]
}

const sendFlags = syscall.MSG_NOSIGNAL | syscall.MSG_DONTWAIT

// TryWrite sends what fits. It returns 0, nil when nothing does.
func (f *FD) TryWrite(p []byte, flags int) (int, error) {
	if f.r == nil {
		return 0, ErrClosed
	}
	if f.state&EventWrite == 0 {
		return 0, nil
	}
	flags = f.flags(flags)
	n, e := f.r.Sys.Send(int(f.fd), p, flags)
	for e == syscall.EINTR {
		n, e = f.r.Sys.Send(int(f.fd), p, flags)
	}
	return f.wrote(n, len(p), flags, e)
}

// TryWritev sends what fits of a then b.
func (f *FD) TryWritev(a, b []byte, flags int) (int, error) {
	if f.r == nil {
		return 0, ErrClosed
	}
	if f.state&EventWrite == 0 {
		return 0, nil
	}
	flags = f.flags(flags)
	n, e := f.r.Sys.Sendv(int(f.fd), a, b, flags)
	for e == syscall.EINTR {
		n, e = f.r.Sys.Sendv(int(f.fd), a, b, flags)
	}
	return f.wrote(n, len(a)+len(b), flags, e)
}

func (f *FD) wrote(n, want, flags int, e syscall.Errno) (int, error) {
	if e != 0 {
		if e == syscall.EAGAIN {
			f.state &^= EventWrite
			return 0, nil
		}
		return 0, e
	}
	if n < want {
		f.state &^= EventWrite // and the kernel keeps nothing back
	}
	f.promise(n == want && flags&More != 0)
	return n, nil
}

// Write sends all of p, waiting as needed until the deadline, which starts anew
// whenever something was sent: timeout is the longest time without progress in
// nanoseconds (0: none). p must not be the reactor's scratch.
func (f *FD) Write(p []byte, flags int, timeout int64) (int, error) {
	sent := 0
	for {
		n, err := f.TryWrite(p[sent:], flags)
		sent += n
		if err != nil || sent == len(p) {
			return sent, err
		}
		if err := f.WaitWrite(f.deadline(timeout)); err != nil {
			return sent, err
		}
	}
}

func (f *FD) deadline(timeout int64) int64 {
	if timeout <= 0 || f.r == nil {
		return 0
	}
	return f.r.now + timeout
}

// CloseWrite sends a FIN.
func (f *FD) CloseWrite() {
	if f.r != nil {
		f.r.Sys.Shutdown(int(f.fd), syscall.SHUT_WR)
	}
}

// ResetOnClose makes [FD.Close] send a RST instead of a FIN.
func (f *FD) ResetOnClose() {
	if f.r != nil {
		f.r.Sys.SetsockoptInt(int(f.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, lingerZero)
	}
}

// Abort closes f with a RST instead of a FIN.
func (f *FD) Abort() {
	f.ResetOnClose()
	f.Close()
}

// NotWritable tells that a write would not succeed yet: the next edge will say
// when.
func (f *FD) NotWritable() { f.state &^= EventWrite }
