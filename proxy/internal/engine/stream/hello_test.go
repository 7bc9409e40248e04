package stream_test

import (
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// To add a protocol, of clients and of servers: hello_protocol_test.go is all of one.
// The configuration has it by its name, on either side, and on both.
func TestHelloProtocol(t *testing.T) {
	const (
		h1Get  = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
		h1Post = "POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
		h1Head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
	)
	for _, c := range []struct {
		client, server string
		// An exchange without a body of the request, and one with: what the client
		// sends, the server gets and answers, and the client gets.
		exchanges [2][4]string
		lines     []string
	}{
		{"", "hello", [2][4]string{
			{h1Get, "GET /a\n0\r\n\r\n", "200\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
			{h1Post, "POST /b\n4\r\nbody\r\n0\r\n\r\n", "404\n0\r\n\r\n", "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
		}, []string{"x/s1 0/0/0/1/1 200 ---- 0", "x/s1 0/0/0/1/1 404 ---- 0"}},
		{"hello", "", [2][4]string{
			{"GET /a\n0\r\n\r\n", "GET /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", h1Head + "ok", "200\n2\r\nok\r\n0\r\n\r\n"},
			{"POST /b\n4\r\nbody\r\n0\r\n\r\n", "POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", h1Head + "ok", "200\n2\r\nok\r\n0\r\n\r\n"},
		}, []string{"x/s1 0/0/0/1/1 200 ---- 0", "x/s1 0/0/0/1/1 200 ---- 0"}},
		{"hello", "hello", [2][4]string{
			{"GET /a\n0\r\n\r\n", "GET /a\n0\r\n\r\n", "200\n2\r\nok\r\n0\r\n\r\n", "200\n2\r\nok\r\n0\r\n\r\n"},
			{"POST /b\n4\r\nbody\r\n0\r\n\r\n", "POST /b\n4\r\nbody\r\n0\r\n\r\n", "404\n0\r\n\r\n", "404\n0\r\n\r\n"},
		}, []string{"x/s1 0/0/0/1/1 200 ---- 0", "x/s1 0/0/0/1/1 404 ---- 0"}},
	} {
		t.Run(c.client+" to "+c.server, func(t *testing.T) {
			proto := func(name string) string {
				if name == "" {
					return ""
				}
				return " proto " + name
			}
			s := stage(t, "listen x\n bind "+front+proto(c.client)+"\n server s1 10.2.0.1:80"+proto(c.server))
			host := s.Listen("10.2.0.1:80")
			client := s.Dial(front)
			var server *sim.Peer
			for _, x := range c.exchanges { // over the same two connections
				client.Send(x[0])
				if server == nil {
					server = host.Accept()
				}
				s.Pass(time.Millisecond)
				if got := server.Expect(x[1]); got != x[1] {
					t.Errorf("the server got %q, want %q", got, x[1])
				}
				server.Send(x[2])
				if got := client.Expect(x[3]); got != x[3] {
					t.Errorf("the client got %q, want %q", got, x[3])
				}
			}
			server.Send("x") // out of turn
			client.Close()
			s.Pass(time.Millisecond)
			if !server.Ended() {
				t.Error("the server's connection is left")
			}
			wantLines(t, s, c.lines...)
		})
	}
	if p := stream.ProtocolNamed("hello"); !p.ForClients() || !p.ForServers() {
		t.Error("the protocol lacks a side")
	}
}

// Health checks speak it as well.
func TestHelloProtocolOfChecks(t *testing.T) {
	for _, options := range []string{"proto hello", "proto h2 check-proto hello"} {
		s := stage(t, "option httpchk GET /alive\n http-check expect string fine\n server s1 10.2.0.1:80 check inter 1s fall 1 rise 1 "+options)
		host := s.Listen("10.2.0.1:80")
		srv := s.Backend("x").Server("s1")
		for _, c := range []struct {
			answer string
			up     bool
		}{
			{"200\n4\r\nfine\r\n0\r\n\r\n", true}, {"200\n2\r\nno\r\n0\r\n\r\n", false},
			{"200\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", true}, {"never\n", false},
		} {
			v := host.Accept()
			if got, want := v.Expect("0\r\n\r\n"), "GET /alive\n0\r\n\r\n"; got != want {
				t.Errorf("%s: the server got %q, want %q", options, got, want)
			}
			v.Send(c.answer)
			s.Pass(100 * time.Millisecond)
			if srv.Usable() != c.up {
				t.Errorf("%s: usable %v after %q", options, srv.Usable(), c.answer)
			}
		}
	}
}
