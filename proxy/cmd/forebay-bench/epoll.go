package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// poller is a level-triggered epoll set with what belongs to each descriptor.
type poller[T any] struct {
	ep     int
	of     []*T
	events []unix.EpollEvent
}

func newPoller[T any]() (*poller[T], error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poller[T]{ep: ep, events: make([]unix.EpollEvent, 256)}, err
}

func (p *poller[T]) add(fd int, events uint32, t *T) error {
	for fd >= len(p.of) {
		p.of = append(p.of, make([]*T, 1024)...)
	}
	p.of[fd] = t
	return unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (p *poller[T]) modify(fd int, events uint32) {
	unix.EpollCtl(p.ep, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (p *poller[T]) close(fd int) {
	p.of[fd] = nil
	unix.Close(fd)
}

// wait calls f for what is ready, within ms milliseconds (-1: no limit).
func (p *poller[T]) wait(ms int, f func(fd int, events uint32, t *T)) {
	n, _ := unix.EpollWait(p.ep, p.events, ms)
	for i := range max(n, 0) {
		ev := &p.events[i]
		if t := p.of[ev.Fd]; t != nil {
			f(int(ev.Fd), ev.Events, t)
		}
	}
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// listen opens a listening socket on a free port, on all addresses of the
// loopback.
func listen() (fd int, addr netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, addr, err
	}
	if err = unix.Bind(fd, sockaddr(netip.MustParseAddrPort("0.0.0.0:0"))); err != nil {
		return 0, addr, err
	}
	if err = unix.Listen(fd, 65535); err != nil {
		return 0, addr, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, addr, err
	}
	return fd, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port)), nil
}

// connect begins a connection. turn picks one of several source addresses, so
// that ports do not run out.
func connect(to netip.AddrPort, turn int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	src := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(1 + turn%200)}}
	if err = unix.Bind(fd, src); err == nil {
		if err = unix.Connect(fd, sockaddr(to)); err == unix.EINPROGRESS {
			err = nil
		}
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// thread gives a loop a kernel thread of its own.
func thread(f func()) {
	go func() {
		runtime.LockOSThread()
		f()
	}()
}

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "forebay-bench: "+format+"\n", args...)
	os.Exit(1)
}
