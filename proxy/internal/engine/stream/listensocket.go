package stream

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// This file is how the sockets of a [Listener] are made, and what is set of them.

// listen makes one listening socket.
func listen(sys reactor.Sys, b *Bind) (int, error) {
	domain := syscall.AF_INET
	switch {
	case b.Addr.IsUnix():
		domain = syscall.AF_UNIX
	case b.Addr.IP.Is6():
		domain = syscall.AF_INET6
	}
	n, e := sys.Socket(domain, syscall.SOCK_STREAM, 0)
	if e != 0 {
		return 0, fmt.Errorf("cannot create listening socket (%s) for [%s]", e.Error(), b.Addr)
	}
	fail := func(what string, e syscall.Errno) (int, error) {
		sys.Close(n)
		return 0, fmt.Errorf("%s (%w) for [%s]", what, e, b.Addr)
	}
	if b.Addr.IsUnix() {
		return listenUnix(sys, b, n, fail)
	}
	sys.SetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if e := sys.SetsockoptInt(n, syscall.SOL_SOCKET, unix.SO_REUSEPORT, 1); e != 0 {
		return fail("cannot share the port", e)
	}
	if domain == syscall.AF_INET6 {
		only := 0
		if b.V6Only || !b.V4V6 && !b.Addr.IP.IsUnspecified() {
			only = 1
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, only)
	}
	if b.Interface != "" {
		if e := sys.SetsockoptString(n, syscall.SOL_SOCKET, unix.SO_BINDTODEVICE, b.Interface); e != 0 {
			return fail("cannot bind listener to device", e)
		}
	}
	// Accepted sockets inherit it: small writes must not wait for an ACK.
	sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if b.Transparent { // before bind: the address may not be ours
		sys.SetsockoptInt(n, syscall.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
	}
	tune(sys, n, b, &Bind{})
	if e := sys.Bind(n, b.Addr); e != 0 {
		return fail("cannot bind socket", e)
	}
	if e := sys.Listen(n, backlog(b)); e != 0 {
		return fail("cannot listen to socket", e)
	}
	return n, nil
}

// adopt makes a listening socket of the descriptor of b, which the process was
// started with. That one stays open as it is, so that a bind line can go and come
// back.
func adopt(sys reactor.Sys, b *Bind) (int, error) {
	n, e := sys.Adopt(b.FD)
	fail := func(e syscall.Errno) (int, error) {
		if n >= 0 {
			sys.Close(n)
		}
		return 0, fmt.Errorf("cannot use file descriptor (%w) for [%s]", e, b.Addr)
	}
	if e != 0 {
		return fail(e)
	}
	kind, e := sys.GetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if e != 0 {
		return fail(e)
	}
	if kind != syscall.SOCK_STREAM {
		return fail(syscall.ESOCKTNOSUPPORT)
	}
	if b.Pair {
		return n, nil
	}
	a, e := sys.Getsockname(n)
	if e != 0 {
		return fail(e)
	}
	switch family, _ := sys.GetsockoptInt(n, syscall.SOL_SOCKET, syscall.SO_DOMAIN); family {
	case syscall.AF_INET, syscall.AF_INET6:
		if a.Port == 0 { // the kernel would choose a port
			return fail(syscall.EINVAL)
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		tune(sys, n, b, &Bind{})
	case syscall.AF_UNIX:
	default:
		return fail(syscall.EAFNOSUPPORT)
	}
	// Where it listens already, this is a new backlog, and for sockets of systemd
	// that of the configuration.
	if e := sys.Listen(n, backlog(b)); e != 0 {
		return fail(e)
	}
	return n, nil
}

// tune sets those options of a TCP listener that can change while it listens,
// where they differ from old.
func tune(sys reactor.Sys, n int, b, old *Bind) {
	if b.DeferAccept != old.DeferAccept {
		seconds := 0
		if b.DeferAccept {
			seconds = 60
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
	}
	if b.MSS != old.MSS {
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_MAXSEG, b.MSS)
	}
	if b.TCPUserTimeout != old.TCPUserTimeout {
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, b.TCPUserTimeout)
	}
	if b.TFO != old.TFO {
		queue := 0
		if b.TFO {
			queue = max(b.Backlog, 16)
		}
		sys.SetsockoptInt(n, syscall.IPPROTO_TCP, unix.TCP_FASTOPEN, queue)
	}
}

func backlog(b *Bind) int {
	if b.Backlog > 0 {
		return b.Backlog
	}
	if b.MaxConn > 0 {
		return b.MaxConn
	}
	return 4096
}

// listenUnix binds under a temporary name and renames, so that clients find
// either the old socket or the new one.
func listenUnix(sys reactor.Sys, b *Bind, n int, fail func(string, syscall.Errno) (int, error)) (int, error) {
	path := b.Addr.Path
	if path[0] == 0 {
		if e := sys.Bind(n, b.Addr); e != 0 {
			return fail("cannot bind UNIX socket", e)
		}
	} else {
		tmp := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
		os.Remove(tmp)
		if e := sys.Bind(n, reactor.Addr{Path: tmp}); e != 0 {
			return fail("cannot bind UNIX socket", e)
		}
		uid, gid := b.UID, b.GID
		if uid >= 0 || gid >= 0 {
			if err := os.Chown(tmp, uid, gid); err != nil {
				os.Remove(tmp)
				return fail("cannot change UNIX socket ownership", syscall.EPERM)
			}
		}
		if b.Mode != 0 {
			if err := os.Chmod(tmp, b.Mode); err != nil {
				os.Remove(tmp)
				return fail("cannot change UNIX socket mode", syscall.EPERM)
			}
		}
		if err := os.Rename(tmp, path); err != nil {
			os.Remove(tmp)
			return fail("cannot bind UNIX socket", syscall.EADDRINUSE)
		}
	}
	if e := sys.Listen(n, backlog(b)); e != 0 {
		return fail("cannot listen to socket", e)
	}
	return n, nil
}
