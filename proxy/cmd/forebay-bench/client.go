package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	getSmall = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
	getHold  = "GET /hold HTTP/1.1\r\nHost: bench\r\n\r\n"
	getClose = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
)

// client is one connection of the load.
type client struct {
	fd   int
	sent bool
	ok   bool
	left int   // bytes of the response that are missing, 0: none is expected
	due  int64 // when its request should have been sent, ns
}

// closing makes requests over connections of their own, n at a time, and tells
// how many succeeded.
func closing(to netip.AddrPort, n int, d time.Duration) (done int64, err error) {
	p, err := newPoller[client]()
	if err != nil {
		return 0, err
	}
	defer unix.Close(p.ep)
	buf := make([]byte, 16384)
	turn, failed, open := 0, int64(0), 0
	begin := func() error {
		turn++
		fd, err := connect(to, turn)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		open++
		return p.add(fd, unix.EPOLLOUT, &client{fd: fd})
	}
	for range n {
		if err := begin(); err != nil {
			return 0, err
		}
	}
	end := time.Now().Add(d)
	over := false
	last := end.Add(5 * time.Second)
	for open > 0 && time.Now().Before(last) {
		over = over || !time.Now().Before(end)
		p.wait(100, func(fd int, _ uint32, c *client) {
			if !c.sent {
				c.sent = true
				unix.Write(fd, []byte(getClose))
				p.modify(fd, unix.EPOLLIN)
				return
			}
			k, e := unix.Read(fd, buf)
			if e == unix.EAGAIN {
				return
			}
			if k > 0 {
				c.ok = c.ok || bytes.HasPrefix(buf[:k], []byte("HTTP/1.1 200"))
				return
			}
			if c.ok {
				done++
			} else {
				failed++
			}
			p.close(fd)
			open--
			if !over {
				if e := begin(); e != nil {
					err = e
					over = true
				}
			}
		})
	}
	if err == nil && failed > done/1000 {
		err = fmt.Errorf("%d of %d requests failed", failed, failed+done)
	}
	return done, err
}

// keep is a set of keep-alive connections.
type keep struct {
	p    *poller[client]
	list []*client
	buf  []byte
}

func newKeep(to netip.AddrPort, n int) (*keep, error) {
	p, err := newPoller[client]()
	if err != nil {
		return nil, err
	}
	k := &keep{p: p, buf: make([]byte, 64<<10)}
	for i := range n {
		fd, err := connect(to, i)
		if err != nil {
			k.close()
			return nil, err
		}
		c := &client{fd: fd}
		k.list = append(k.list, c)
		if err := p.add(fd, unix.EPOLLOUT, c); err != nil {
			k.close()
			return nil, err
		}
		if i%100 == 99 { // the queue of the listener is not what is measured
			if err := k.connected(); err != nil {
				k.close()
				return nil, err
			}
		}
	}
	return k, k.connected()
}

// connected waits until all connections are made.
func (k *keep) connected() error {
	for end := time.Now().Add(20 * time.Second); ; {
		missing := slices.ContainsFunc(k.list, func(c *client) bool { return !c.ok })
		if !missing {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("connections were not made in time")
		}
		k.p.wait(100, func(fd int, ev uint32, c *client) {
			if ev&unix.EPOLLOUT != 0 && !c.ok {
				c.ok = true
				k.p.modify(fd, unix.EPOLLIN)
			}
		})
	}
}

func (k *keep) close() {
	for _, c := range k.list {
		k.p.close(c.fd)
	}
	unix.Close(k.p.ep)
}

// read takes what came for c and tells whether its response is complete.
func (k *keep) read(c *client) (bool, error) {
	n, err := unix.Read(c.fd, k.buf)
	if err == unix.EAGAIN {
		return false, nil
	}
	if n <= 0 {
		return false, fmt.Errorf("connection closed by the proxy: %v", err)
	}
	if c.left <= 0 {
		return false, fmt.Errorf("bytes that nobody asked for")
	}
	if c.sent { // the first bytes of a response: its head comes as a whole
		c.sent = false
		if !bytes.HasPrefix(k.buf[:n], []byte("HTTP/1.1 200")) {
			return false, fmt.Errorf("unexpected answer %q", k.buf[:min(n, 60)])
		}
		head := bytes.Index(k.buf[:n], []byte("\r\n\r\n"))
		i := bytes.Index(bytes.ToLower(k.buf[:max(head, 0)]), []byte("content-length: "))
		if head < 0 || i < 0 {
			return false, fmt.Errorf("unexpected head %q", k.buf[:min(n, 200)])
		}
		v := k.buf[i+16 : head]
		if e := bytes.IndexByte(v, '\r'); e >= 0 {
			v = v[:e]
		}
		length, err := strconv.Atoi(string(v))
		if err != nil {
			return false, err
		}
		c.left = head + 4 + length
	}
	c.left -= n
	return c.left == 0, nil
}

func (k *keep) ask(c *client, req string) error {
	c.sent, c.left = true, 1
	_, err := unix.Write(c.fd, []byte(req))
	return err
}

// all sends a request on every connection at once and waits for all answers.
func (k *keep) all(req string) error {
	for _, c := range k.list {
		if err := k.ask(c, req); err != nil {
			return err
		}
	}
	left := len(k.list)
	var err error
	for end := time.Now().Add(60 * time.Second); left > 0 && err == nil; {
		if time.Now().After(end) {
			return fmt.Errorf("%d answers did not come", left)
		}
		k.p.wait(100, func(_ int, _ uint32, c *client) {
			done, e := k.read(c)
			if e != nil {
				err = e
			}
			if done {
				left--
			}
		})
	}
	return err
}

// tick is how often the generator of a fixed rate looks for what is due.
const tick = 200 * time.Microsecond

// rate sends perSecond requests a second, whether the answers come or not, and
// gives the latencies from the time that each request was due.
func (k *keep) rate(perSecond int, d time.Duration) ([]time.Duration, error) {
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	every := unix.NsecToTimespec(int64(tick))
	if err := unix.TimerfdSettime(timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return nil, err
	}
	if err := k.p.add(timer, unix.EPOLLIN, &client{fd: timer}); err != nil {
		return nil, err
	}
	defer k.p.close(timer)
	total := int(float64(perSecond) * d.Seconds())
	out := make([]time.Duration, 0, total)
	free := slices.Clone(k.list)
	start := time.Now()
	gap := int64(time.Second) / int64(perSecond)
	sent := 0
	var fail error
	push := func() {
		now := int64(time.Since(start))
		for sent < total && len(free) > 0 && int64(sent)*gap <= now {
			c := free[len(free)-1]
			free = free[:len(free)-1]
			c.due = int64(sent) * gap
			sent++
			if err := k.ask(c, getSmall); err != nil {
				fail = err
			}
		}
	}
	for end := start.Add(d + 20*time.Second); len(out) < total && fail == nil; {
		if time.Now().After(end) {
			return out, fmt.Errorf("only %d of %d requests were answered", len(out), total)
		}
		k.p.wait(100, func(fd int, _ uint32, c *client) {
			if fd == timer {
				var b [8]byte
				unix.Read(timer, b[:])
				push()
				return
			}
			done, e := k.read(c)
			if e != nil {
				fail = e
			}
			if done {
				out = append(out, time.Duration(int64(time.Since(start))-c.due))
				free = append(free, c)
				push()
			}
		})
	}
	return out, fail
}

// each sends a request on one connection after the other.
func (k *keep) each(req string) error {
	all := k.list
	defer func() { k.list = all }()
	for i := 0; i < len(all); i += 50 {
		k.list = all[i:min(i+50, len(all))]
		if err := k.all(req); err != nil {
			return err
		}
	}
	return nil
}
