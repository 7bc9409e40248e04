package stream_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// Where the algorithm says which server it is, the same one is tried until the
// last attempt.
func TestAttemptsOfADeterministicAlgorithm(t *testing.T) {
	s := stage(t, "balance uri\n option redispatch\n server s1 10.2.0.1:80\n server s2 10.2.0.2:80\n server s3 10.2.0.3:80\n")
	hosts := []*sim.Host{s.Listen("10.2.0.1:80"), s.Listen("10.2.0.2:80"), s.Listen("10.2.0.3:80")}
	for _, h := range hosts {
		h.Refuse = true
	}
	start := s.Now()
	c := s.Dial(front)
	c.Send(get)
	c.Head()
	most := 0
	for _, h := range hosts {
		most = max(most, len(h.Tried))
	}
	if took := s.Now() - start; most < 3 || took < 2*time.Second {
		t.Errorf("a server was tried %d times at most, in %v", most, took)
	}
}

// The time in the queue is not in the time to connect.
func TestTimesOfServers(t *testing.T) {
	s := stage(t, "timeout queue 9s\n http-reuse never\n server s1 10.2.0.1:80 maxconn 1")
	h := s.Listen("10.2.0.1:80")
	h.Delay = 300 * time.Millisecond
	first, second := s.Dial(front), s.Dial(front)
	first.Send(get)
	v := h.Accept()
	v.Head()
	second.Send(get)
	s.Pass(2 * time.Second)
	const bye = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
	v.Send(bye)
	v.Close()
	first.Expect("ok")
	v = h.Accept()
	v.Head()
	s.Pass(500 * time.Millisecond)
	v.Send(bye)
	v.Close()
	second.Expect("ok")
	s.Pass(0)
	b := s.Backend("x")
	bc, sc := &b.Counters[0], &b.Server("s1").Counters[0]
	want := "queue 2000 connect 600 response 2500 total 5100"
	for who, got := range map[string]string{
		"backend": fmt.Sprintf("queue %d connect %d response %d total %d", bc.SumQueue.Load(), bc.SumConnect.Load(), bc.SumResp.Load(), bc.SumTotal.Load()),
		"server":  fmt.Sprintf("queue %d connect %d response %d total %d", sc.SumQueue.Load(), sc.SumConnect.Load(), sc.SumResp.Load(), sc.SumTotal.Load()),
	} {
		if got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
}

// "option dontlog-normal" logs what went well at the second attempt.
func TestRetriesAreNotNormal(t *testing.T) {
	s := stage(t, "option dontlog-normal")
	h := s.Listen("10.2.0.1:80")
	h.Serve(func(string) string { return ok })
	h.Refuse = true
	s.After(500*time.Millisecond, func() { h.Refuse = false })
	c := s.Dial(front)
	c.Send(get)
	c.Expect("ok")
	s.Pass(0)
	wantLines(t, s, "x/s1 0/0/1000/0/1000 200 ---- 1")
	c.Send(get)
	c.Expect("ok")
	s.Pass(0)
	wantLines(t, s)
}

// After max-reuse reuses a connection has had its time.
func TestMaxReuse(t *testing.T) {
	for reuses, want := range map[int]int{0: 7, 1: 4, 2: 3, 5: 2, 6: 1, -1: 1} {
		s := stage(t, fmt.Sprintf("http-reuse always\n server s1 10.2.0.1:80 max-reuse %d", reuses))
		h := s.Listen("10.2.0.1:80")
		h.Serve(func(string) string { return ok })
		c := s.Dial(front)
		for range 7 {
			c.Send(get)
			c.Expect("ok")
			s.Pass(time.Millisecond)
		}
		if len(h.Conns) != want {
			t.Errorf("max-reuse %d: 7 requests over %d connections, want %d", reuses, len(h.Conns), want)
		}
	}
}

// An idle connection to where the server was is not used any more.
func TestAddressChanges(t *testing.T) {
	const conf = "http-reuse always\n server s1 "
	s := stage(t, conf+"10.2.0.1:80")
	was, is := s.Listen("10.2.0.1:80"), s.Listen("10.2.0.2:80")
	was.Serve(func(string) string { return ok })
	is.Serve(func(string) string { return ok })
	c := s.Dial(front)
	c.Send(get)
	c.Expect("ok")
	s.Backend("x").Server("s1").Update(time.Now(), "address", func(st *server.State) {
		st.Addr = reactor.Addr{IP: netip.MustParseAddr("10.2.0.2"), Port: 80}
	})
	c.Send(get)
	c.Expect("ok")
	if len(was.Conns) != 1 || len(is.Conns) != 1 {
		t.Errorf("%d and %d connections", len(was.Conns), len(is.Conns))
	}
}

// A server that says something nobody asked for is not asked on that connection
// again: the next client would take it for an answer.
func TestServerSpeaksOutOfTurn(t *testing.T) {
	s := stage(t, "http-reuse always")
	h := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	c.Send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345")
	v := h.Accept()
	v.Expect("12345")
	v.Send(ok)
	c.Expect("ok") // an early answer: the request goes on
	s.Pass(time.Second)
	v.Send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")
	s.Pass(time.Second)
	c.Send("67890")
	v.Expect("67890")
	s.Pass(time.Second)
	next := s.Dial(front)
	next.Send(get)
	v = h.Accept()
	v.Head()
	v.Send(ok)
	if got := next.Head(); got != "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

// Idle connections to a server that is down are of no use: they are closed long
// before their time.
func TestIdleConnectionsOfServersThatAreDown(t *testing.T) {
	s := stage(t, "server s1 10.2.0.1:80 pool-purge-delay 1h")
	h := s.Listen("10.2.0.1:80")
	h.Serve(func(string) string { return ok })
	c := s.Dial(front)
	c.Send(get)
	c.Expect("ok")
	s.Pass(5 * time.Second)
	srv := s.Backend("x").Server("s1")
	if n := srv.Idle.Load(); n != 1 || h.Conns[0].Ended() {
		t.Fatalf("%d idle connections", n)
	}
	srv.Update(time.Now(), "down", func(st *server.State) { st.Admin |= server.ForcedMaint })
	s.Pass(5 * time.Second)
	if n := srv.Idle.Load(); n != 0 || !h.Conns[0].Ended() {
		t.Errorf("%d idle connections", n)
	}
}

func TestMonitorURIIsNotLogged(t *testing.T) {
	s := stage(t, "monitor-uri /m")
	c := s.Dial(front)
	c.Send("GET /m HTTP/1.1\r\nhost: a\r\n\r\n")
	if got := c.Head(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
	}
	s.Pass(time.Second)
	c.Close()
	s.Pass(time.Second)
	wantLines(t, s)
}
