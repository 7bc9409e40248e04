package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// half is a client in the middle of a request that nothing in the configuration
// ends.
type half struct {
	t *testing.T
	net.Conn
}

// begin sends half a request and waits until it has reached the backend.
func (s *site) begin() *half {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	for !strings.Contains(s.ask(s.stats, "show sess"), "be=app") {
	}
	return &half{s.t, c}
}

// cut waits for the end of the connection: all other limits are hours away.
func (h *half) cut() {
	h.t.Helper()
	h.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(h)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		h.t.Error("the connection was not cut")
	}
	if len(b) > 0 {
		h.t.Errorf("the client was told %q", b)
	}
}

// finish sends the other half and wants the answer.
func (h *half) finish() {
	h.t.Helper()
	h.SetDeadline(time.Now().Add(patience))
	io.WriteString(h, "finish")
	r, err := http.ReadResponse(bufio.NewReader(h), nil)
	if err != nil {
		h.t.Errorf("the request was not finished: %v", err)
		return
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); string(b) != "hello\n" {
		h.t.Errorf("%s %q", r.Status, b)
	}
}

// patient gives a site where timeouts are hours away.
func patient(t *testing.T) *site {
	s := newSite(t)
	s.timeouts = "1h"
	s.write()
	return s
}

// TestStopAtOnce: each way to stop at once ends requests that are being served,
// and each way to stop softly lets them finish.
func TestStopAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		hard bool
		code int // of the process that stops, -1: it is a worker's
		args []string
		do   func(s *site, p *program)
	}{
		{"SIGTERM", true, 143, []string{"-db"}, func(_ *site, p *program) { p.signal(syscall.SIGTERM) }},
		{"SIGINT", true, 130, []string{"-db"}, func(_ *site, p *program) { p.signal(syscall.SIGINT) }},
		{"SIGUSR1", false, 0, []string{"-db"}, func(_ *site, p *program) { p.signal(syscall.SIGUSR1) }},
		{"SIGUSR1, then SIGTERM", true, 143, []string{"-db"}, func(s *site, p *program) {
			p.signal(syscall.SIGUSR1)
			p.await(1, "Proxy web stopped")
			p.signal(syscall.SIGTERM)
		}},
		{"SIGTERM to the master", true, 0, []string{"-W"}, func(_ *site, p *program) { p.signal(syscall.SIGTERM) }},
		{"SIGUSR1 to the master", false, 0, []string{"-W"}, func(_ *site, p *program) { p.signal(syscall.SIGUSR1) }},
		{"hard-reload", true, -1, []string{"-W"}, func(s *site, _ *program) { s.ask(s.control, "hard-reload") }},
		{"reload in a new worker", false, -1, []string{"-W"}, func(s *site, _ *program) {
			s.global = "  nbthread 1"
			s.write()
			s.ask(s.control, "reload")
		}},
		{"-st", true, 143, []string{"-db"}, func(s *site, p *program) { s.successor(p, "-st") }},
		{"-sf", false, 0, []string{"-db"}, func(s *site, p *program) { s.successor(p, "-sf") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := patient(t)
			args := append(c.args, "-f", s.cfg)
			if c.args[0] == "-W" {
				args = append(args, "-S", s.control)
			}
			p := launch(t, command(args...))
			awaitServing(t, p, s)
			h := s.begin()
			c.do(s, p)
			if c.hard {
				h.cut()
			} else {
				h.finish()
			}
			if c.code < 0 {
				p.await(1, "Former worker")
				s.mustGet(s.addr)
			} else if got := p.exit(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
		})
	}
}

// successor starts a process that makes p leave.
func (s *site) successor(p *program, option string) {
	s.t.Helper()
	next := launch(s.t, command("-db", "-f", s.cfg, "-x", s.stats, option, strconv.Itoa(p.cmd.Process.Pid)))
	pid := fmt.Sprintf("\nPid: %d\n", next.cmd.Process.Pid)
	for end := time.Now().Add(patience); ; { // p closes what it had accepted
		got, err := s.try(s.stats, "show info")
		if strings.Contains(got, pid) {
			break
		}
		if errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(end) {
			s.t.Fatalf("%v after %q", err, got)
		}
	}
	s.mustGet(s.addr)
}

// TestHardStopAfter: a soft stop waits as long as it says, not less, and then
// ends what is left; without it, it waits.
func TestHardStopAfter(t *testing.T) {
	const patienceOf = 1500 * time.Millisecond
	s := patient(t)
	s.global = "  hard-stop-after 1500ms"
	s.write()
	p := launch(t, command("-db", "-f", s.cfg))
	awaitServing(t, p, s)
	h := s.begin()
	began := time.Now()
	p.signal(syscall.SIGUSR1)
	p.await(1, "Proxy app stopped")
	h.cut()
	if took := time.Since(began); took < patienceOf {
		t.Errorf("ended after %s", took)
	}
	if code := p.exit(); code != 0 || !strings.Contains(p.output(), "performing a hard-stop") {
		t.Errorf("exit code %d", code)
	}
}
