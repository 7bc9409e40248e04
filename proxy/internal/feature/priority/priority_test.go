package priority_test

import (
	"strings"
	"testing"
	"time"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature/priority"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

const text = `defaults
    mode http
    timeout client 1m
    timeout server 1m
    timeout connect 5s
    timeout queue 20s
listen x
    bind 10.0.0.1:80
    log {log} local0
    log-format "%HU %sq/%bq %ts %ST"
    http-request set-priority-class req.hdr(x-class) if { req.hdr(x-class) -m found }
    http-request set-priority-offset req.hdr(x-offset) if { req.hdr(x-offset) -m found }
    balance hdr(x-key)
    server s1 10.2.0.1:80 maxconn 1 maxqueue 4
`

// Who waits is served in the order of class, offset and arrival, and one more than
// maxqueue is refused at once.
func TestPriorities(t *testing.T) {
	s := sim.NewStage(t, text, nil)
	h := s.Listen("10.2.0.1:80")
	send := func(path, fields string) *sim.Peer {
		c := s.Dial("10.0.0.1:80")
		c.Send("GET " + path + " HTTP/1.1\r\nHost: h\r\nX-Key: k\r\n" + fields + "\r\n")
		s.Pass(10 * time.Millisecond)
		return c
	}
	send("/serving", "")
	v := h.Accept()
	v.Head()
	send("/a", "")
	send("/late", "X-Offset: 5000\r\n")
	send("/high", "X-Class: -9999999999\r\n")
	send("/b", "X-Offset: -5000\r\n")
	if n := s.Backend("x").Server("s1").Queued.Load(); n != 4 {
		t.Errorf("%d wait for the server", n)
	}
	full := send("/full", "")
	if head := full.Head(); !strings.Contains(head, "503") {
		t.Errorf("%q", head)
	}
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	for _, want := range []string{"/high", "/b", "/a", "/late"} {
		v.Send(ok)
		v.Close()
		v = h.Accept()
		if head := v.Head(); !strings.HasPrefix(head, "GET "+want+" ") {
			t.Errorf("%q, want %s", head, want)
		}
	}
	v.Send(ok)
	s.Pass(time.Second)
	got := strings.Join(s.Lines(), "\n")
	for _, want := range []string{"/full 0/0 SQ 503", "/serving 0/0 -- 200", "/high 1/0 -- 200", "/b 2/0 -- 200", "/a 3/0 -- 200", "/late 4/0 -- 200"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// "timeout queue" ends a wait with 503.
func TestTimeoutQueue(t *testing.T) {
	s := sim.NewStage(t, text, nil)
	h := s.Listen("10.2.0.1:80")
	one := s.Dial("10.0.0.1:80")
	one.Send("GET /one HTTP/1.1\r\nHost: h\r\nX-Key: k\r\n\r\n")
	h.Accept().Head()
	two := s.Dial("10.0.0.1:80")
	start := s.Now()
	two.Send("GET /two HTTP/1.1\r\nHost: h\r\nX-Key: k\r\n\r\n")
	if head := two.Head(); !strings.Contains(head, "503") || s.Now()-start != 20*time.Second {
		t.Errorf("after %v: %q", s.Now()-start, head)
	}
	s.Pass(time.Second)
	if got := strings.Join(s.Lines(), "\n"); !strings.Contains(got, "/two 1/0 sQ 503") {
		t.Errorf("%s", got)
	}
}
