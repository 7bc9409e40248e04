package e2e

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// shop is the configuration that the tests of reloads vary.
type shop struct {
	web, origin string
	threads     int
	timeout     int // of the servers, in seconds
	more        string
}

func (s shop) text() string {
	return fmt.Sprintf(`global
    stats socket @DIR@/s level admin expose-fd listeners
    log stdout format raw local0
    nbthread %d

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    timeout connect 5s
    timeout client 30s
    timeout server %ds

frontend web
    bind %s
    default_backend app

backend app
    server s1 %s

%s`, s.threads, s.timeout, s.web, s.origin, s.more)
}

// lineConn is a TCP connection that speaks in lines.
type lineConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dialLine(t *testing.T, addr string) *lineConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	return &lineConn{t, c, bufio.NewReader(c)}
}

// echo sends a line, and wants it back.
func (c *lineConn) echo(text string) {
	c.t.Helper()
	fmt.Fprintln(c, text)
	if s, err := c.r.ReadString('\n'); err != nil || s != text+"\n" {
		c.t.Fatalf("echo of %q: %q %v", text, s, err)
	}
}

// newEcho is a TCP server that sends back what comes.
func newEcho(t *testing.T) string {
	t.Helper()
	return tcptest.Serve(t, func(c net.Conn) {
		b := make([]byte, 64<<10)
		for {
			n, err := c.Read(b)
			if n > 0 {
				c.Write(b[:n])
			}
			if err != nil {
				return
			}
		}
	})
}

// TestApplyInPlace is point 4 of what a user can do: what no Runtime command can
// change is applied to the running worker, and what it holds goes on.
func TestApplyInPlace(t *testing.T) {
	t.Parallel()
	app, echo, tunnel, web2 := newOrigin(t, "app"), newEcho(t), address(t), address(t)
	tcp := fmt.Sprintf("listen tunnel\n    mode tcp\n    bind %s\n    server e %s\n", tunnel, echo)
	s := shop{web: address(t), origin: app.addr, threads: 2, timeout: 30, more: tcp}
	p := serve(t, s.text(), "-W")
	pid := p.worker()

	k := newKeepAlive(t, s.web)
	for range 10 {
		k.get("/")
	}
	line := dialLine(t, tunnel)
	line.echo("before")

	second := newOrigin(t, "second")
	s.timeout = 44
	s.more = tcp + fmt.Sprintf("frontend web2\n    bind %s\n    default_backend other\n\nbackend other\n    server o1 %s\n", web2, second.addr)
	configure(t, p.dir, s.text())
	p.reload()

	mustGet(t, web2, "/", "second")
	for range 10 {
		k.get("/")
	}
	line.echo("after")
	if k.Dial != 1 {
		t.Errorf("the keep-alive connection was lost: %d were needed", k.Dial)
	}
	if now := p.worker(); now != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}
	if now := p.info("Pid"); now != pid {
		t.Errorf("the Runtime socket is worker %s's", now)
	}
	if n := p.statInt("web", "FRONTEND", "req_tot"); n != 20 {
		t.Errorf("the frontend counts %d requests, want 20", n)
	}
	if n := p.statInt("app", "s1", "stot"); n != 20 {
		t.Errorf("the server counts %d sessions, want 20", n)
	}
	if n := p.statInt("tunnel", "FRONTEND", "scur"); n != 1 {
		t.Errorf("the tunnel counts %d sessions, want 1", n)
	}

	// And back: what is gone does not answer any more.
	s.more = tcp
	configure(t, p.dir, s.text())
	p.reload()
	if c, err := net.Dial("tcp", web2); err == nil {
		c.Close()
		t.Error("the removed frontend still listens")
	}
	line.echo("at the end")
	if now := p.worker(); now != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}
}

// TestReloadsUnderLoad is point 5: every way to reload, in place and with a new
// worker, and not one request fails.
func TestReloadsUnderLoad(t *testing.T) {
	app := newOrigin(t, "app")
	s := shop{web: address(t), origin: app.addr, threads: 2, timeout: 30}
	p := serve(t, s.text(), "-W")
	l := startLoad(p, s.web, 32)

	pid := p.worker()
	for i := range 25 { // in place
		s.timeout = 31 + i
		configure(t, p.dir, s.text())
		if i%2 == 0 {
			p.reload()
			continue
		}
		p.hangUp(syscall.SIGUSR2)
	}
	if now := p.worker(); now != pid {
		t.Errorf("a changed timeout needed worker %s instead of %s", now, pid)
	}

	for i := range 25 { // with a new worker
		s.threads = 1 + i%2
		configure(t, p.dir, s.text())
		before := p.worker()
		if i%2 == 0 {
			p.reload()
		} else {
			p.hangUp(syscall.SIGHUP)
		}
		if p.worker() == before {
			t.Errorf("another number of threads without a new worker")
		}
	}
	until(t, "the old workers leave", func() bool { _, old := p.workers(); return len(old) == 0 })
	n := l.finish()
	t.Logf("%d requests over 50 reloads", n)
	p.noServerErrors()
}

var serverError = regexp.MustCompile(`(?m)^.* \d+/\d+/\d+/\d+/\d+ 5\d\d .*$`)

// noServerErrors wants no answer with a status of 500 or more in the log.
func (p *proxy) noServerErrors() {
	p.t.Helper()
	if l := serverError.FindAllString(p.output(), 5); l != nil {
		p.t.Errorf("logged:\n%s", strings.Join(l, "\n"))
	}
}

// hangUp sends a signal that reloads, and waits until the master did.
func (p *proxy) hangUp(s syscall.Signal) {
	p.t.Helper()
	n := strings.Count(p.output(), "Loading success.")
	p.signal(s)
	p.await(n+1, "Loading success.")
}

// TestAppliedUnderLoad applies 200 configurations while requests flow, each
// different in listeners, backends, servers and settings.
func TestAppliedUnderLoad(t *testing.T) {
	app := newOrigin(t, "app")
	s := shop{web: address(t), origin: app.addr, threads: 2, timeout: 30}
	extra := address(t)
	p := serve(t, s.text(), "-W")
	pid := p.worker()
	l := startLoad(p, s.web, 32)
	for i := range 200 {
		s.timeout = 30 + i%7
		s.more = ""
		if i%2 == 0 {
			s.more = fmt.Sprintf("frontend extra\n    bind %s\n    default_backend pool%d\n", extra, i%5)
		}
		for b := range 5 {
			s.more += fmt.Sprintf("backend pool%d\n    balance %s\n", b, []string{"roundrobin", "leastconn", "random"}[(i+b)%3])
			for n := range 1 + (i+b)%4 {
				s.more += fmt.Sprintf("    server s%d %s weight %d\n", n, app.addr, 1+(i*n)%100)
			}
		}
		configure(t, p.dir, s.text())
		p.reload()
		if i%20 == 0 {
			mustGet(t, extra, "/", "app")
		}
	}
	if now := p.worker(); now != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}
	t.Logf("%d requests over 200 configurations", l.finish())
	p.noServerErrors()
}
