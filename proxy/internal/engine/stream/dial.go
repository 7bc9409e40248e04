package stream

import (
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"golang.org/x/sys/unix"
)

// Dial opens a socket on r and begins to connect it. [reactor.FD.WaitWrite] and
// then [Connected] tell the outcome. source may be invalid.
func Dial(r *reactor.Reactor, fd *reactor.FD, idle reactor.Handler, to, source reactor.Addr) error {
	domain := syscall.AF_INET
	switch {
	case to.IsUnix():
		domain = syscall.AF_UNIX
	case to.IP.Is6():
		domain = syscall.AF_INET6
	}
	n, e := r.Sys.Socket(domain, syscall.SOCK_STREAM, 0)
	if e != 0 {
		return e
	}
	if domain != syscall.AF_UNIX {
		r.Sys.SetsockoptInt(n, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if source.IsValid() {
		if source.Port == 0 {
			r.Sys.SetsockoptInt(n, syscall.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
		if e := r.Sys.Bind(n, source); e != 0 {
			r.Sys.Close(n)
			return e
		}
	}
	e = r.Sys.Connect(n, to)
	if e != 0 && e != syscall.EINPROGRESS {
		r.Sys.Close(n)
		return e
	}
	if err := r.Open(fd, n, idle); err != nil {
		r.Sys.Close(n)
		return err
	}
	if e == syscall.EINPROGRESS {
		fd.NotWritable()
	}
	return nil
}

// Connect is [Dial], and waits until the connection is made. A deadline of 0 leaves it
// all the time it takes.
func Connect(r *reactor.Reactor, fd *reactor.FD, idle reactor.Handler, to, source reactor.Addr, deadline int64) error {
	if err := Dial(r, fd, idle, to, source); err != nil {
		return err
	}
	for !fd.CanWrite() {
		if err := fd.WaitWrite(deadline); err != nil {
			return err
		}
	}
	return Connected(fd)
}

// Connected tells whether the connection that became writable was made.
func Connected(fd *reactor.FD) error {
	if !fd.IsOpen() {
		return reactor.ErrClosed
	}
	if !fd.Broken() {
		return nil // an error would have been reported with the event
	}
	if v, e := fd.Reactor().Sys.GetsockoptInt(fd.Fd(), syscall.SOL_SOCKET, syscall.SO_ERROR); e != 0 {
		return e
	} else if v != 0 {
		return syscall.Errno(v)
	}
	return nil
}
