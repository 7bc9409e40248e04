package stream_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// A connection that never asks: what is logged and counted of it, in clear and
// behind a TLS handshake. HAProxy 2.6 and 3.4 agree.
func TestNeverAsks(t *testing.T) {
	pair := certtest.SelfSigned(t, "a.test", certtest.Valid(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)))
	files := fstest.MapFS{"a.pem": {Data: pair.PEM(t)}}
	for _, c := range []struct {
		option, what string
		line         string
		errors       int64
		answer       string
	}{
		{"", "close", "x/<NOSRV> -1/-1/-1/-1/0 400 CR-- 0", 1, ""},
		{"", "shut", "x/<NOSRV> -1/-1/-1/-1/0 400 CR-- 0", 1, "400"},
		{"", "wait", "x/<NOSRV> -1/-1/-1/-1/3000 408 cR-- 0", 1, "408"},
		{"", "partial", "x/<NOSRV> -1/-1/-1/-1/0 400 CR-- 0", 1, "400"},
		{"option dontlognull", "close", "", 1, ""},
		{"option dontlognull", "shut", "", 1, "400"},
		{"option dontlognull", "wait", "", 1, "408"},
		{"option dontlognull", "partial", "x/<NOSRV> -1/-1/-1/-1/0 400 CR-- 0", 1, "400"},
		{"option http-ignore-probes", "close", "", 0, ""},
		{"option http-ignore-probes", "shut", "", 0, ""},
		{"option http-ignore-probes", "wait", "", 0, ""},
		{"option http-ignore-probes", "partial", "x/<NOSRV> -1/-1/-1/-1/0 400 CR-- 0", 1, "400"},
		{"option dontlognull\n option http-ignore-probes", "close", "", 0, ""},
		{"option dontlognull\n option http-ignore-probes", "wait", "", 0, ""},
		{"option dontlognull\n option http-ignore-probes", "partial", "x/<NOSRV> -1/-1/-1/-1/0 400 CR-- 0", 1, "400"},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%s/%v", strings.ReplaceAll(c.option, "option ", ""), c.what, secure), func(t *testing.T) {
				bind := front
				if secure {
					bind += " ssl crt a.pem alpn http/1.1"
				}
				s := sim.NewStage(t, stageHead+"listen x\n bind "+bind+"\n timeout http-request 3s\n "+c.option+"\n server s1 10.2.0.1:80\n", files)
				p := s.Dial(front)
				send, shut := p.Send, p.Shut
				var sec *tls.Conn
				if secure {
					sec = tls.Client(p, &tls.Config{InsecureSkipVerify: true})
					if err := sec.Handshake(); err != nil {
						t.Fatal(err)
					}
					send = func(text string) { sec.Write([]byte(text)) }
					shut = func() { sec.CloseWrite(); p.Shut() }
				}
				s.Pass(0)
				var got string
				switch c.what {
				case "close":
					p.Close()
				case "shut":
					shut()
				case "partial":
					send("GE")
					s.Pass(0)
					shut()
				}
				s.Pass(0)
				if c.what != "close" {
					if secure {
						b := make([]byte, 100)
						n, _ := sec.Read(b)
						got = string(b[:n])
					} else {
						got = p.Rest()
					}
					if len(got) > 12 {
						got = got[9:12]
					}
				}
				s.Pass(5 * time.Second)
				if got != c.answer {
					t.Errorf("answered %q, want %q", got, c.answer)
				}
				if c.line == "" {
					wantLines(t, s)
				} else {
					wantLines(t, s, c.line)
				}
				f := s.Frontend("x")
				if n, m, k := f.ReqErrors.Load(), f.Requests.Load(), f.Status[4].Load(); n != c.errors || m != c.errors || k != c.errors {
					t.Errorf("%d errors, %d requests, %d answers of 4xx; want %d", n, m, k, c.errors)
				}
			})
		}
	}
}

// In mode tcp a connection without a byte from the client is null.
func TestNullConnections(t *testing.T) {
	s := stage(t, "mode tcp\n option dontlognull\n log-format %ts")
	h := s.Listen("10.2.0.1:80")
	p := s.Dial(front)
	h.Accept().Send("hello")
	p.Expect("hello")
	p.Close()
	s.Pass(time.Minute)
	wantLines(t, s)
	p = s.Dial(front)
	v := h.Accept()
	p.Send("x")
	v.Expect("x")
	v.Close()
	p.Close()
	s.Pass(time.Minute)
	wantLines(t, s, "--")
	h.Refuse = true
	s.Dial(front)
	s.Pass(time.Minute)
	wantLines(t, s)
	s.Dial(front).Send("x")
	s.Pass(time.Minute)
	wantLines(t, s, "SC")
}

// Heads that are too large, as HAProxy 3.4 tells them apart.
func TestLargeHeads(t *testing.T) {
	long := strings.Repeat("a", 17000)
	for _, c := range []struct{ head, status string }{
		{"GET /" + long, "414"},
		{"GET /" + long + " HTTP/1.1\r\n\r\n", "414"},
		{"GET / HTTP/1.1\r\nhost: a\r\nx: " + long, "431"},
		{"GET / HTTP/1.1\r\nhost: a\r\nx: " + long + "\r\n\r\n", "431"},
		{"GET / HTTP/1.1\r\nhost: a\r\nx: " + long[:15500] + "\r\n\r\n", "431"},
		{"GET / HTTP/1.1\r\nhost: a\r\nx: " + long[:15000] + "\r\n\r\n", "200"},
		{"GET / x\r\n\r\n", "400"},
	} {
		s := stage(t, "")
		s.Listen("10.2.0.1:80").Serve(func(string) string { return ok })
		p := s.Dial(front)
		p.Send(c.head)
		if got := strings.Fields(p.Head())[1]; got != c.status {
			t.Errorf("%.30q…: %s, want %s", c.head, got, c.status)
		}
		if c.status != "200" {
			wantLines(t, s, "x/<NOSRV> -1/-1/-1/-1/0 "+c.status+" PR-- 0")
		}
	}
}
