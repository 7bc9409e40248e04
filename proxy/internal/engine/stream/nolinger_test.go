package stream_test

import (
	"testing"
	"time"
)

// TestNoLinger: "option nolinger" makes closes of its side's connections resets,
// and of no other's.
func TestNoLinger(t *testing.T) {
	const last = "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
	for _, mode := range []string{"http", "tcp"} {
		for _, c := range []struct {
			front, back    string
			client, server bool
		}{
			{"", "", false, false},
			{"option nolinger", "", true, false},
			{"", "option nolinger", false, true},
			{"no option nolinger", "no option nolinger", false, false},
		} {
			s := stage(t, "frontend f\n mode "+mode+"\n bind "+front+"\n default_backend x\n "+c.front+
				"\nbackend x\n mode "+mode+"\n option httpclose\n "+c.back+"\n server s1 10.2.0.1:80\n")
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send(last)
			v := h.Accept()
			v.Head()
			v.Send(ok)
			if mode == "tcp" || !c.client { // else the reset may overtake it
				p.Expect("ok")
			}
			if mode == "tcp" { // a timeout ends it: nobody has said that it is over
				s.Pass(11 * time.Second)
			}
			s.Pass(time.Second)
			if !p.Ended() || p.WasReset() != c.client || !v.Ended() || v.WasReset() != c.server {
				t.Errorf("mode %s, frontend %q, backend %q: client ended %v reset %v, server ended %v reset %v", mode, c.front, c.back,
					p.Ended(), p.WasReset(), v.Ended(), v.WasReset())
			}
		}
	}
	// Nor is there anything to wait for after an answer of ours to a client that has
	// more to say.
	s := stage(t, "listen x\n bind "+front+"\n option nolinger\n http-request deny\n")
	p := s.Dial(front)
	p.Send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n\r\n")
	s.Pass(time.Millisecond)
	if !p.WasReset() {
		t.Errorf("an answer before the end of the request: no reset at once")
	}
}
