package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// Control is one end of the socket between the master and a worker. Each message
// is one packet whose first byte says what it is.
type Control struct{ c *net.UnixConn }

// What messages are.
const (
	ready   = 'R' // worker: it serves
	line    = 'L' // worker: a message of its console, before it is ready
	connect = 'C' // master: a descriptor to serve Runtime commands on
)

// maxLine bounds a console message in bytes; longer ones are cut.
const maxLine = 32 << 10

// ControlPair makes a socket: the master's end, and the file that becomes a
// descriptor of the worker.
func ControlPair() (*Control, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a socket pair: %w", err)
	}
	other := os.NewFile(uintptr(fds[1]), "worker")
	c, err := OpenControl(fds[0])
	if err != nil {
		other.Close()
		return nil, nil, err
	}
	return c, other, nil
}

// OpenControl takes over a descriptor.
func OpenControl(fd int) (*Control, error) {
	f := os.NewFile(uintptr(fd), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a UNIX socket")
	}
	return &Control{u}, nil
}

// descriptor gives the number of this end, which stays the Control's.
func (c *Control) descriptor() (fd int, err error) {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

// Duplicate gives another descriptor of this end, which is the caller's: the
// Control's own is closed, and its number another's, as soon as the worker has
// ended.
func (c *Control) Duplicate() (fd int, err error) {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return 0, e
	}
	return fd, err
}

// Close closes this end.
func (c *Control) Close() { c.c.Close() }

// Ready tells the master that the worker serves, and which version it is.
func (c *Control) Ready(version string) error { return c.send(ready, version) }

// Line shows the master a message of the console.
func (c *Control) Line(text string) error { return c.send(line, text[:min(len(text), maxLine)]) }

func (c *Control) send(kind byte, text string) error {
	_, err := c.c.Write(append([]byte{kind}, text...))
	return err
}

// Connect makes a connection for Runtime commands to the worker.
func (c *Control) Connect() (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "cli")
	defer f.Close()
	defer unix.Close(fds[1])
	if _, _, err := c.c.WriteMsgUnix([]byte{connect}, unix.UnixRights(fds[1]), nil); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// Follow reads what the worker says until it is gone: onLine for its messages,
// onReady once, with its version.
func (c *Control) Follow(onLine, onReady func(string)) {
	buf := make([]byte, maxLine+1)
	for {
		n, err := c.c.Read(buf)
		if err != nil || n == 0 {
			return
		}
		switch buf[0] {
		case line:
			onLine(string(buf[1:n]))
		case ready:
			onReady(string(buf[1:n]))
		}
	}
}

// serve reads what the master says until it is gone: attach gets descriptors of
// connections, on r, which does not give its processor up for long enough that
// the runtime's own poller would be prompt.
func (c *Control) serve(r *reactor.Reactor, attach func(fd int), gone func()) error {
	own, err := c.descriptor()
	if err != nil {
		return err
	}
	fd, e := r.Sys.Adopt(own)
	if e != 0 {
		return e
	}
	failed := make(chan error)
	r.Post(func() {
		h := &orders{attach: attach, gone: gone}
		err := r.Open(&h.FD, fd, h)
		if err != nil {
			r.Sys.Close(fd)
		}
		failed <- err
	})
	return <-failed
}

// orders are the worker's end of the control, on a reactor.
type orders struct {
	reactor.FD
	attach func(fd int)
	gone   func()
}

// Readable takes the connections that came.
func (o *orders) Readable() {
	r := o.Reactor()
	for {
		switch fd, e := r.Sys.ReceiveFD(o.Fd()); e {
		case 0:
			o.attach(fd)
		case syscall.EINTR, syscall.ECONNABORTED: // not what was expected: the next one may be
		case syscall.EAGAIN:
			return
		default:
			o.Close()
			o.gone()
			return
		}
	}
}
