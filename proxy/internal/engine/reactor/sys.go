package reactor

import (
	"syscall"
	"time"
)

// Event tells what a poller saw of a descriptor.
type Event uint8

// What a poller reports. EventHup is a full hang-up or an error, EventReadHup
// the peer's FIN.
const (
	EventRead Event = 1 << iota
	EventWrite
	EventReadHup
	EventHup
)

// Ready is one descriptor that a [Poller] reports, with the tag it was added
// with.
type Ready struct {
	Tag uint64
	Ev  Event
}

// Poller waits for readiness, edge-triggered: an event is reported once for each
// time that a descriptor becomes ready.
type Poller interface {
	Add(fd int, tag uint64) syscall.Errno
	// AddShared watches a copy of a listening socket that other pollers have copies
	// of: what comes wakes one of them, not all.
	AddShared(fd int, tag uint64) syscall.Errno
	// RemoveShared ends that. Closing the descriptor does not while there are
	// copies, and what goes on to be woken takes the turn of others.
	RemoveShared(fd int)
	// Wait fills out with what is ready. timeout is in nanoseconds: 0 returns at
	// once, a negative one waits until something happens.
	Wait(out []Ready, timeout int64) int
	// Wake makes a Wait in progress, or else the next one, return. It is the
	// only method that other threads may call.
	Wake()
	Close()
}

// Sys is the world below a reactor: clock, randomness and network. Linux is the
// real one; the simulation has another. All calls are non-blocking.
type Sys interface {
	// Now is the monotonic clock in nanoseconds.
	Now() int64
	// Wall is the time of day.
	Wall() time.Time
	// Seed gives a random 64-bit number.
	Seed() uint64

	NewPoller() (Poller, error)

	Socket(domain, typ, proto int) (int, syscall.Errno)
	Bind(fd int, a Addr) syscall.Errno
	Listen(fd, backlog int) syscall.Errno
	Accept(fd int) (int, Addr, syscall.Errno)
	Connect(fd int, a Addr) syscall.Errno
	SetsockoptInt(fd, level, opt, val int) syscall.Errno
	GetsockoptInt(fd, level, opt int) (int, syscall.Errno)
	SetsockoptString(fd, level, opt int, val string) syscall.Errno
	Getsockname(fd int) (Addr, syscall.Errno)
	Read(fd int, p []byte) (int, syscall.Errno)
	Send(fd int, p []byte, flags int) (int, syscall.Errno)
	// Sendv sends a then b in one call.
	Sendv(fd int, a, b []byte, flags int) (int, syscall.Errno)
	SendTo(fd int, p []byte, a Addr) syscall.Errno
	Shutdown(fd, how int) syscall.Errno
	Close(fd int) syscall.Errno

	// Adopt duplicates a descriptor that came from outside, or that another
	// reactor has too. The copy does not outlive exec, and neither of them blocks.
	Adopt(fd int) (int, syscall.Errno)
	// ReceiveFD takes a connection that is passed over a UNIX socket. EPIPE tells
	// that nobody is left to pass one.
	ReceiveFD(fd int) (int, syscall.Errno)

	// Pipe makes a pipe of about the given size, for Splice.
	Pipe(size int) (r, w int, err syscall.Errno)
	// Splice moves up to n bytes from one descriptor to another, of which one
	// is a pipe's end.
	Splice(from, to int, n int, more bool) (int, syscall.Errno)
}
