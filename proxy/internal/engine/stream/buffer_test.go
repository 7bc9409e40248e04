package stream_test

import (
	"strings"
	"testing"
	"time"
)

// With "option http-buffer-request" no server is asked before the body is there,
// and the time that it took is the request's.
func TestBufferedRequest(t *testing.T) {
	for _, length := range []int{30, -1} {
		eachSide(t, "option http-buffer-request\n timeout http-request 5s\n timeout client 1s", func(t *testing.T, p *pair, server string) {
			p.ask(length)
			for i := range 5 {
				p.s.Pass(900 * time.Millisecond)
				if !p.host.Idle() {
					t.Fatal("a server is asked")
				}
				p.upload("sixsix", i == 4)
			}
			p.asked(server)
			switch {
			case p.hv != nil:
			case length > 0 && p.hc == nil:
				p.v.Expect(strings.Repeat("sixsix", 5))
			default:
				p.v.Expect("0\r\n\r\n")
			}
			p.answer()
			if s := p.answered(); s != "200" {
				t.Errorf("status %s", s)
			}
			wantLines(t, p.s, "x/s1 4500/0/0/0/4500 200 ---- 0")
			// The connection is as usable as ever.
			p.ask(0)
			p.asked(server)
			p.answer()
			p.answered()
			wantLines(t, p.s, "x/s1 0/0/0/0/0 200 ---- 0")
		})
	}
}

// A body that does not come is the client's fault, and no server's business. The
// timeout is that of the section that waits.
func TestBufferedRequestStalls(t *testing.T) {
	const option = "option http-buffer-request\n"
	for _, x := range []struct{ conf, line string }{
		{option + "timeout http-request 2s\n timeout client 7s", "x/<NOSRV> -1/-1/-1/-1/2000 408 cR-- 0"},
		{option + "timeout client 3s", "x/<NOSRV> -1/-1/-1/-1/4000 408 cR-- 0"}, // anew at each byte
		{"frontend f\n bind " + front + "\n timeout http-request 2s\n timeout client 7s\n default_backend x\nbackend x\n timeout http-request 4s\n " + option,
			"x/<NOSRV> -1/-1/-1/-1/4000 408 cR-- 0"},
	} {
		for _, length := range []int{30, -1} {
			eachSide(t, x.conf, func(t *testing.T, p *pair, server string) {
				p.ask(length)
				p.s.Pass(time.Second)
				p.upload("some", false)
				if s := p.answered(); s != "408" {
					t.Errorf("status %s", s)
				}
				wantLines(t, p.s, x.line)
				if !p.host.Idle() {
					t.Error("a server was asked")
				}
			})
		}
	}
}

func TestBufferedRequestBreaksOff(t *testing.T) {
	for _, length := range []int{30, -1} {
		for _, how := range []string{"shut", "close", "reset"} {
			eachSide(t, "option http-buffer-request", func(t *testing.T, p *pair, server string) {
				p.ask(length)
				p.upload("some", false)
				p.s.Pass(500 * time.Millisecond)
				line := "x/<NOSRV> -1/-1/-1/-1/500 400 CR-- 0"
				if p.breakOff(how); p.hc != nil {
					line = "x/<NOSRV> -1/-1/-1/-1/500 -1 CR-- 0"
				}
				p.s.Pass(0)
				wantLines(t, p.s, line)
				if how == "shut" && p.hc == nil && p.answered() != "400" {
					t.Error("not told")
				}
				if !p.host.Idle() {
					t.Error("a server was asked")
				}
			})
		}
	}
	t.Run("malformed", func(t *testing.T) {
		p := newPair(t, "h1", "h1", "option http-buffer-request")
		p.ask(-1)
		p.c.Send("5\r\n123")
		p.s.Pass(time.Second)
		p.c.Send("45xx")
		if s := p.answered(); s != "400" {
			t.Errorf("status %s", s)
		}
		wantLines(t, p.s, "x/<NOSRV> -1/-1/-1/-1/1000 400 PR-- 0")
	})
}

// What fills the buffer is waited for no longer.
func TestBufferedRequestIsFull(t *testing.T) {
	full := func(piece, pieces int) func(t *testing.T, p *pair, server string) {
		return func(t *testing.T, p *pair, server string) {
			p.ask(-1)
			for i := range pieces {
				if !p.host.Idle() {
					t.Fatal("a server is asked after", i)
				}
				p.upload(strings.Repeat("x", piece), false)
				p.s.Pass(time.Second)
			}
			p.asked(server)
			p.upload("end", true)
			p.answer()
			if s := p.answered(); s != "200" {
				t.Errorf("status %s", s)
			}
		}
	}
	eachSide(t, "option http-buffer-request", full(8192, 2))
}

// Who waits for a 100 before the body gets it, once, and no server is asked for one.
func TestBufferedRequestContinues(t *testing.T) {
	for _, conf := range []string{
		"option http-buffer-request",
		"frontend f\n bind " + front + "\n option http-buffer-request\n default_backend x\nbackend x\n option http-buffer-request",
	} {
		p := newPair(t, "h1", "h1", conf)
		p.c.Send("POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
		if h := p.c.Head(); h != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("%q", h)
		}
		p.c.Send("body")
		p.v = p.host.Accept()
		if h := p.v.Head(); strings.Contains(h, "expect") {
			t.Errorf("%q", h)
		}
		p.v.Expect("body")
		p.answer()
		if s := p.answered(); s != "200" {
			t.Errorf("status %s", s)
		}
		p = newPair(t, "h2", "h1", conf)
		id := p.hc.next
		p.hc.next += 2
		p.hc.send(id, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x", "expect", "100-continue")
		if _, f, end := p.hc.head(); f[":status"] != "100" || end {
			t.Fatalf("%q", f)
		}
		p.hc.WriteData(id, true, []byte("body"))
		p.v = p.host.Accept()
		if h := p.v.Head(); strings.Contains(h, "expect") {
			t.Errorf("%q", h)
		}
		p.answer()
		if s := p.answered(); s != "200" {
			t.Errorf("status %s", s)
		}
	}
}
