package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// origin is the server behind the proxies: answers made in advance, one thread.
type origin struct {
	addr netip.AddrPort
	// hold is how many requests of /hold must have come before they are answered.
	hold atomic.Int64

	p       *poller[originConn]
	lfd     int
	small   []byte
	big     []byte
	waiting []int
	buf     []byte
}

type originConn struct {
	out   []byte // what is still to be sent
	waits bool   // for room to send it
}

func newOrigin() (*origin, error) {
	fd, addr, err := listen()
	if err != nil {
		return nil, err
	}
	o := &origin{addr: addr, lfd: fd, buf: make([]byte, 64<<10)}
	o.small = answer(200)
	o.big = answer(1 << 20)
	if o.p, err = newPoller[originConn](); err != nil {
		return nil, err
	}
	thread(o.run)
	return o, o.p.add(fd, unix.EPOLLIN, &originConn{})
}

func answer(size int) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: origin\r\nContent-Length: %d\r\n\r\n", size)
	return append([]byte(head), bytes.Repeat([]byte("x"), size)...)
}

func (o *origin) run() {
	for {
		o.p.wait(-1, o.event)
	}
}

func (o *origin) event(fd int, events uint32, c *originConn) {
	if fd == o.lfd {
		for {
			n, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			unix.SetsockoptInt(n, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			o.p.add(n, unix.EPOLLIN, &originConn{})
		}
	}
	if len(c.out) > 0 {
		o.write(fd, c)
		return
	}
	n, err := unix.Read(fd, o.buf)
	if err == unix.EAGAIN {
		return
	}
	if n <= 0 {
		o.p.close(fd)
		return
	}
	switch req := o.buf[:n]; {
	case bytes.HasPrefix(req, []byte("GET /big")):
		c.out = o.big
	case bytes.HasPrefix(req, []byte("GET /hold")):
		o.waiting = append(o.waiting, fd)
		if int64(len(o.waiting)) >= o.hold.Load() {
			for _, w := range o.waiting {
				if wc := o.p.of[w]; wc != nil {
					wc.out = o.small
					o.write(w, wc)
				}
			}
			o.waiting = nil
		}
		return
	default:
		c.out = o.small
	}
	o.write(fd, c)
}

func (o *origin) write(fd int, c *originConn) {
	n, err := unix.Write(fd, c.out)
	if err != nil && err != unix.EAGAIN {
		o.p.close(fd)
		return
	}
	c.out = c.out[max(n, 0):]
	if waits := len(c.out) > 0; waits != c.waits {
		c.waits = waits
		if waits {
			o.p.modify(fd, unix.EPOLLOUT)
		} else {
			o.p.modify(fd, unix.EPOLLIN)
		}
	}
}
