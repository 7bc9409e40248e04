package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// origin is a server behind the proxies: answers made in advance, one thread, in
// a process of its own (this program again).
type origin struct {
	addr netip.AddrPort

	p       *poller[originConn]
	lfd     int
	small   []byte
	big     []byte
	page    []byte
	waiting []int
	buf     []byte
}

type originConn struct {
	out   []byte // what is still to be sent
	waits bool   // for room to send it
}

// originVariable makes this program an origin.
const originVariable = "FOREBAY_BENCH_ORIGIN"

// firstVariable makes an origin go before all other threads of the machine.
const firstVariable = "FOREBAY_BENCH_FIRST"

// first makes the calling thread go before those of the other processes, if that is
// allowed: what delays requests is the proxy then, or the machine.
func first() {
	unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
}

// serveOrigin prints its address and serves until its input ends.
func serveOrigin() {
	o, err := newOrigin()
	if err != nil {
		fatal("%v", err)
	}
	fmt.Println(o.addr)
	io.Copy(io.Discard, os.Stdin)
}

// lifelines are the inputs of the origins: each serves until its own is closed, by
// our end or the collector.
var lifelines []io.Closer

// startOrigin runs an origin that lives as long as this process.
func startOrigin(env ...string) (netip.AddrPort, error) {
	self, err := os.Executable()
	if err != nil {
		return netip.AddrPort{}, err
	}
	cmd := exec.Command(self)
	cmd.Env = slices.Concat(os.Environ(), []string{originVariable + "=1", "GOMAXPROCS=1"}, env)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return netip.AddrPort{}, err
	}
	lifelines = append(lifelines, in)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return netip.AddrPort{}, err
	}
	if err := cmd.Start(); err != nil {
		return netip.AddrPort{}, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("origin: %w", err)
	}
	return netip.ParseAddrPort(strings.TrimSpace(line))
}

func newOrigin() (*origin, error) {
	fd, addr, err := listen()
	if err != nil {
		return nil, err
	}
	o := &origin{addr: addr, lfd: fd, buf: make([]byte, 64<<10)}
	o.small = answer(200)
	o.big = answer(1 << 20)
	o.page = page(20 << 10)
	if o.p, err = newPoller[originConn](); err != nil {
		return nil, err
	}
	thread(func() {
		if os.Getenv(firstVariable) != "" {
			first()
		}
		o.run()
	})
	return o, o.p.add(fd, unix.EPOLLIN, &originConn{})
}

// held is how many requests of /hold must have come before they are answered.
const held = 9000

func answer(size int) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: origin\r\nContent-Length: %d\r\n\r\n", size)
	return append([]byte(head), bytes.Repeat([]byte("x"), size)...)
}

// page is an answer with a body that is compressed to a fifth or a quarter, as text
// with marks in it is.
func page(size int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 400)
	for i := range words {
		for range 2 + rnd.IntN(8) {
			words[i] += string(rune('a' + rnd.IntN(26)))
		}
	}
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, "<tr class=\"row\"><td>%d</td><td>", rnd.IntN(1e6))
		for range 3 + rnd.IntN(8) {
			b.WriteString(words[min(rnd.IntN(400), rnd.IntN(400))] + " ")
		}
		b.WriteString("</td></tr>\n")
	}
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nServer: origin\r\nContent-Length: %d\r\n\r\n", size)
	return append([]byte(head), b.Bytes()[:size]...)
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
	case bytes.HasPrefix(req, []byte("GET /page")):
		c.out = o.page
	case bytes.HasPrefix(req, []byte("GET /hold")):
		o.waiting = append(o.waiting, fd)
		if len(o.waiting) >= held {
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
