package stream_test

import (
	"fmt"
	"testing"
	"time"
)

// The line of "option logasap" is of the moment when the response, or the tunnel,
// begins, and the only one.
func TestLogAsSoonAsPossible(t *testing.T) {
	const format = " log-format \"%b/%s %TR/%Tw/%Tc/%Tr/%Ta/%Tt/%Tu %ST %tsc %B\"\n option logasap"
	for _, how := range []string{"ends", "breaks off"} {
		eachSide(t, format, func(t *testing.T, p *pair, server string) {
			p.ask(0)
			p.asked(server)
			p.s.Pass(time.Second)
			if p.hv != nil {
				p.hv.send(p.vid, false, ":status", "200", "content-length", "4")
				p.hv.WriteData(p.vid, false, []byte("so"))
			} else {
				p.v.Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nso")
			}
			p.s.Pass(time.Second)
			n := len("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
			if p.hv != nil {
				n = len("HTTP/2.0 200 \r\ncontent-length: 4\r\n\r\n")
			}
			if p.hc == nil {
				n += len("so") // it goes in one packet with the head
			}
			size := fmt.Sprintf("+%d", n)
			wantLines(t, p.s, "x/s1 0/0/0/1000/+1000/+1000/+1000 200 ---- "+size)
			switch {
			case how == "breaks off":
				p.v.Close()
			case p.hv != nil:
				p.hv.WriteData(p.vid, true, []byte("me"))
			default:
				p.v.Send("me")
			}
			p.s.Pass(15 * time.Second)
			wantLines(t, p.s)
			if n := p.s.Backend("x").Counters[0].Status[2].Load(); n != 1 {
				t.Errorf("counted %d times", n)
			}
		})
	}
}

// What is normal when it begins may still be logged for how it ends.
func TestLogAbnormalAtTheEnd(t *testing.T) {
	s := stage(t, "option logasap\n option dontlog-normal")
	h := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	c.Send(get)
	v := h.Accept()
	v.Head()
	v.Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nso")
	c.Expect("so")
	s.Pass(time.Second)
	wantLines(t, s)
	v.Close()
	c.Rest()
	wantLines(t, s, "x/s1 0/0/0/0/+1000 200 SD-- 0")
}

func TestLogTunnelAsItBegins(t *testing.T) {
	s := stage(t, "mode tcp\n option logasap\n log-format \"%b/%s %Tw/%Tc/%Tt %ts %B\"")
	h := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	h.Accept().Send("banner")
	c.Expect("banner")
	wantLines(t, s, "x/s1 0/0/+0 -- +0")
	c.Close()
	s.Pass(30 * time.Second)
	wantLines(t, s)
}
