package bwlim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

const front = "10.1.0.1:80"

// stage is a listen section on the simulated clock.
func stage(t *testing.T, mode, lines string) (*sim.Stage, *sim.Host) {
	t.Helper()
	s := sim.NewStage(t, "defaults\n mode "+mode+"\n timeout client 1h\n timeout server 1h\n timeout connect 5s\nlisten x\n bind "+front+"\n "+
		strings.ReplaceAll(lines, "\n", "\n ")+"\n server s1 10.2.0.1:80\n", nil)
	return s, s.Listen("10.2.0.1:80")
}

// pace looks, once each step, how many bytes have come, and holds that to a limit:
// bytes in a period, plus one piece of what may pass at a time.
func pace(t *testing.T, s *sim.Stage, got func() int, total, limit int, period time.Duration, piece int) {
	t.Helper()
	start := s.Now()
	want := time.Duration(float64(total-piece) / float64(limit) * float64(period))
	for got() < total {
		s.Pass(period / 20)
		passed := s.Now() - start
		most := int(float64(limit)*float64(passed)/float64(period)) + piece + limit*int(20*time.Millisecond)/int(period)
		if n := got(); n > most {
			t.Fatalf("%d bytes after %v, want at most %d", n, passed, most)
		}
		if passed > 2*want+2*period {
			t.Fatalf("%d of %d bytes after %v", got(), total, passed)
		}
	}
	if passed := s.Now() - start; passed < want {
		t.Errorf("all after %v, want %v", passed, want)
	} else if passed > want+want/10+2*period {
		t.Errorf("all only after %v, want %v", passed, want)
	}
}

func response(n int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
}

// Responses, and what a server sends in mode tcp, pass as fast as the filter lets
// them.
func TestDownload(t *testing.T) {
	const total = 100_000
	for name, c := range map[string]struct {
		mode, lines string
		limit       int
		period      time.Duration
		piece       int
	}{
		"default":     {"http", "filter bwlim-out l default-limit 10000 default-period 1s\nhttp-request set-bandwidth-limit l", 10_000, time.Second, 2896},
		"response":    {"http", "filter bwlim-out l default-limit 10000 default-period 1s\nhttp-response set-bandwidth-limit l", 10_000, time.Second, 2896},
		"long period": {"http", "filter bwlim-out l default-limit 40k default-period 4s\nhttp-request set-bandwidth-limit l", 10_240, time.Second, 2896},
		"own limit":   {"http", "filter bwlim-out l default-limit 10 default-period 1s\nhttp-request set-bandwidth-limit l limit 20k", 20_480, time.Second, 2896},
		"own period":  {"http", "filter bwlim-out l default-limit 10k default-period 1s\nhttp-request set-bandwidth-limit l period 500ms", 20_480, time.Second, 2896},
		"computed":    {"http", "filter bwlim-out l default-limit 10k default-period 1s\nhttp-request set-bandwidth-limit l limit int(5000) period int(250)", 20_000, time.Second, 2896},
		"last wins":   {"http", "filter bwlim-out l default-limit 10k default-period 1s\nhttp-request set-bandwidth-limit l limit 1\nhttp-request set-bandwidth-limit l", 10_240, time.Second, 2896},
		"min-size":    {"http", "filter bwlim-out l default-limit 20000 default-period 1s min-size 10000\nhttp-request set-bandwidth-limit l", 20_000, time.Second, 10_000},
		"two":         {"http", "filter bwlim-out a default-limit 50k default-period 1s\nfilter bwlim-out b default-limit 10k default-period 1s\nhttp-request set-bandwidth-limit a\nhttp-request set-bandwidth-limit b", 10_240, time.Second, 2896},
		"content":     {"http", "filter bwlim-out l default-limit 10000 default-period 1s\ntcp-request content set-bandwidth-limit l", 10_000, time.Second, 2896},
		"tcp":         {"tcp", "filter bwlim-out l default-limit 10000 default-period 1s\ntcp-request content set-bandwidth-limit l", 10_000, time.Second, 2896},
		"tcp answer":  {"tcp", "filter bwlim-out l default-limit 10000 default-period 1s\ntcp-response content set-bandwidth-limit l", 10_000, time.Second, 2896},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := stage(t, c.mode, c.lines)
			h.Serve(func(string) string { return response(total) })
			p := s.Dial(front)
			p.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
			p.Head()
			pace(t, s, func() int { return len(p.Got()) }, total, c.limit, c.period, c.piece)
			p.Close()
		})
	}
}

// What was not enabled, and the other direction, is as fast as ever.
func TestNoLimit(t *testing.T) {
	const total = 1_000_000
	for name, lines := range map[string]string{
		"not enabled":         "filter bwlim-out l default-limit 10 default-period 1s",
		"the other direction": "filter bwlim-in l default-limit 10 default-period 1s\nhttp-request set-bandwidth-limit l",
		"condition":           "filter bwlim-out l default-limit 10 default-period 1s\nhttp-request set-bandwidth-limit l if { path /slow }",
	} {
		t.Run(name, func(t *testing.T) {
			s, h := stage(t, "http", lines)
			h.Serve(func(string) string { return response(total) })
			p := s.Dial(front)
			p.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
			p.Head()
			for len(p.Got()) < total {
				s.Pass(10 * time.Millisecond)
				if s.Now() > 30*time.Second {
					t.Fatalf("%d bytes", len(p.Got()))
				}
			}
		})
	}
}

// Requests, and what a client sends in mode tcp, likewise; a limit may come when the
// upload has begun.
func TestUpload(t *testing.T) {
	const total = 50_000
	for name, c := range map[string]struct{ mode, lines string }{
		"http": {"http", "filter bwlim-in l default-limit 10000 default-period 1s\nhttp-request set-bandwidth-limit l"},
		"tcp":  {"tcp", "filter bwlim-in l default-limit 10000 default-period 1s\ntcp-request content set-bandwidth-limit l"},
		"late": {"tcp", "filter bwlim-in l default-limit 10000 default-period 1s\ntcp-response content set-bandwidth-limit l"},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := stage(t, c.mode, c.lines)
			p := s.Dial(front)
			p.Send(fmt.Sprintf("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n", total))
			v := h.Accept()
			v.Head()
			p.Send(strings.Repeat("x", total))
			pace(t, s, func() int { return len(v.Got()) }, total, 10_000, time.Second, 2896)
		})
	}
}

// A client that leaves while its response is held back ends the exchange.
func TestClientLeaves(t *testing.T) {
	s, h := stage(t, "http", "filter bwlim-out l default-limit 1000 default-period 1s\nhttp-request set-bandwidth-limit l")
	h.Serve(func(string) string { return response(100_000) })
	p := s.Dial(front)
	p.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	p.Head()
	s.Pass(time.Second)
	p.Reset()
	s.Pass(5 * time.Second)
	if n := s.Backend("x").Cur.Load(); n != 0 {
		t.Errorf("%d streams", n)
	}
}

// What limits one exchange says nothing about the next, on the same connection or
// another.
func TestNextIsNotLimited(t *testing.T) {
	s, h := stage(t, "http", "filter bwlim-out l default-limit 1000 default-period 1s\nhttp-request set-bandwidth-limit l if { path /slow }")
	h.Serve(func(string) string { return response(20_000) })
	for range 3 {
		p := s.Dial(front)
		for _, path := range []string{"/slow", "/", "/slow"} {
			began := s.Now()
			p.Send("GET " + path + " HTTP/1.1\r\nhost: a\r\n\r\n")
			p.Head()
			p.Expect(strings.Repeat("x", 20_000))
			if took := s.Now() - began; (took > 10*time.Second) != (path == "/slow") {
				t.Errorf("%s took %v", path, took)
			}
		}
		p.Close()
	}
}
