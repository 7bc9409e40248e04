package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// What is logged and counted of a response that was replaced, or that an error
// file words otherwise: what happened, not what was written.
func TestStatusOfWhatHappened(t *testing.T) {
	files := fstest.MapFS{
		"e204.http": {Data: []byte("HTTP/1.0 204 No Content\r\n\r\n")},
		"e200.http": {Data: []byte("HTTP/1.0 200 Sorry\r\ncontent-length: 2\r\n\r\nno")},
		"empty":     {},
	}
	for _, c := range []struct{ name, conf, sent, line, counters string }{
		{"error file of 204", "errorfile 503 e204.http\n retries 0", "204", "x/s1 0/0/-1/-1/0 503 SC-- 0", "fe 5xx 1, be 5xx 1, server 0 5xx 0"},
		{"error file of 200", "errorfile 503 e200.http\n retries 0", "200", "x/s1 0/0/-1/-1/0 503 SC-- 0", "fe 5xx 1, be 5xx 1, server 0 5xx 0"},
		{"empty error file", "errorfile 503 empty\n retries 0", "", "x/s1 0/0/-1/-1/0 503 SC-- 0", "fe 5xx 1, be 5xx 1, server 0 5xx 0"},
		{"error location", "errorloc302 503 http://sorry/\n retries 0", "302", "x/s1 0/0/-1/-1/0 503 SC-- 0", "fe 5xx 1, be 5xx 1, server 0 5xx 0"},
		{"set-status on an error file", "errorfile 503 e204.http\n http-after-response set-status 418\n retries 0", "418", "x/s1 0/0/-1/-1/0 418 SC-- 0", "fe 4xx 1, be 4xx 1, server 0 5xx 0"},
		{"deny with an error file", "errorfile 403 e200.http\n http-request deny", "200", "x/<NOSRV> 0/-1/-1/-1/0 403 PR-- 0", "fe 4xx 1, be 4xx 1, server 0 5xx 0"},
		{"response denied", "http-response deny", "502", "x/s1 0/0/0/1000/1000 502 PH-- 0", "fe 5xx 1, be 5xx 1, server 1 2xx 1"},
		{"response replaced", "http-response return status 201", "201", "x/s1 0/0/0/1000/1000 201 LH-- 0", "fe 2xx 1, be 2xx 1, server 1 2xx 1"},
		{"status set", "http-response set-status 503", "503", "x/s1 0/0/0/1000/1000 503 ---- 0", "fe 5xx 1, be 5xx 1, server 1 2xx 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sim.NewStage(t, stageHead+"listen x\n bind "+front+"\n "+c.conf+"\n server s1 10.2.0.1:80\n", files)
			h := s.Listen("10.2.0.1:80")
			h.Refuse = strings.Contains(c.conf, "retries 0")
			p := s.Dial(front)
			p.Send(get)
			if !h.Refuse && !strings.Contains(c.conf, "request deny") {
				v := h.Accept()
				v.Head()
				s.Pass(time.Second)
				v.Send(ok)
			}
			s.Pass(time.Millisecond)
			if got := p.Got(); c.sent != "" && !strings.HasPrefix(got, "HTTP/1.1 "+c.sent+" ") || c.sent == "" && got != "" {
				t.Errorf("%q, want %s", got, c.sent)
			}
			wantLines(t, s, c.line)
			class := func(st *[6]int64) string {
				for i, n := range st {
					if n > 0 {
						return fmt.Sprintf("%dxx %d", i, n)
					}
				}
				return "5xx 0"
			}
			var fe, be, srv [6]int64
			for i := range 6 {
				fe[i] = s.Frontend("x").Status[i].Load()
				be[i] = s.Backend("x").Counters[0].Status[i].Load()
				srv[i] = s.Backend("x").Server("s1").Counters[0].Status[i].Load()
			}
			got := fmt.Sprintf("fe %s, be %s, server %d %s", class(&fe), class(&be), s.Backend("x").Server("s1").Counters[0].Requests.Load(), class(&srv))
			if strings.Contains(c.conf, "request deny") { // a listen section counts the backend once it is entered
				got = strings.Replace(got, "be 5xx 0", "be 4xx 1", 1)
			}
			if got != c.counters {
				t.Errorf("%s, want %s", got, c.counters)
			}
		})
	}
}

// A client that leaves while its response is awaited.
func TestLeavesWhileAnswered(t *testing.T) {
	for _, c := range []struct {
		option, how string
		server      string // what the server does when it sees it
		line        string
		cli         int
	}{
		{"option abortonclose", "shut", "answers", "x/s1 0/0/0/1500/1500 200 ---- 0", 0},
		{"option abortonclose", "shut", "closes", "x/s1 0/0/0/-1/1500 400 CH-- 0", 1},
		{"option abortonclose", "shut", "waits", "x/s1 0/0/0/-1/10000 504 sH-- 0", 0},
		{"option abortonclose", "close", "closes", "x/s1 0/0/0/-1/1500 400 CH-- 0", 1},
		{"option abortonclose", "reset", "waits", "x/s1 0/0/0/-1/1000 400 CD-- 0", 1},
		{"", "shut", "answers", "x/s1 0/0/0/1500/1500 200 ---- 0", 0},
		{"", "shut", "closes", "x/s1 0/0/0/-1/1500 400 CH-- 0", 1},
		{"no option abortonclose", "shut", "answers", "x/s1 0/0/0/1500/1500 200 ---- 0", 0},
		{"no option abortonclose", "shut", "closes", "x/s1 0/0/0/-1/1500 502 SH-- 0", 0},
		{"no option abortonclose", "reset", "answers", "x/s1 0/0/0/1500/1500 200 CD-- 0", 1},
	} {
		t.Run(c.option+"/"+c.how+"/"+c.server, func(t *testing.T) {
			s := stage(t, c.option)
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send(get)
			v := h.Accept()
			v.Head()
			s.Pass(time.Second)
			switch c.how {
			case "shut":
				p.Shut()
			case "close":
				p.Close()
			case "reset":
				p.Reset()
			}
			s.Pass(0)
			if told := v.Ended(); told != !strings.HasPrefix(c.option, "no ") {
				t.Errorf("the server was told: %v", told)
			}
			s.Pass(500 * time.Millisecond)
			switch c.server {
			case "answers":
				v.Send(ok)
			case "closes":
				v.Close()
			}
			s.Pass(20 * time.Second)
			wantLines(t, s, c.line)
			if n := s.Backend("x").Counters[0].ClientAborts.Load(); n != int64(c.cli) {
				t.Errorf("%d client aborts, want %d", n, c.cli)
			}
		})
	}
	// A server of HTTP/2 cannot be told that a client ended its side: its stream is
	// reset, unless the configuration has it answer all the same.
	for _, c := range []struct{ option, how, told, line string }{
		{"", "shut", "CANCEL", "x/s1 0/0/0/-1/1000 400 CH-- 0"},
		{"option abortonclose", "shut", "CANCEL", "x/s1 0/0/0/-1/1000 400 CH-- 0"},
		{"option abortonclose", "reset", "CANCEL", "x/s1 0/0/0/-1/1000 400 CD-- 0"},
		{"no option abortonclose", "shut", "", "x/s1 0/0/0/1000/1000 200 ---- 0"},
	} {
		t.Run(c.option+"/"+c.how+"/h2", func(t *testing.T) {
			p := newPair(t, "h1", "h2", c.option)
			p.ask(0)
			p.asked("h2")
			p.s.Pass(time.Second)
			p.breakOff(c.how)
			p.s.Pass(0)
			if c.told != "" {
				if code := p.hv.reset(); code != c.told {
					t.Errorf("the server's stream is reset with %s, want %s", code, c.told)
				}
			} else {
				p.answer()
			}
			p.s.Pass(0)
			if c.how == "shut" {
				if got, want := p.answered(), strings.Fields(c.line)[2]; got != want {
					t.Errorf("answered with %s, want %s", got, want)
				}
			}
			wantLines(t, p.s, c.line)
		})
	}
	// Over HTTP/2 a client resets its stream.
	for _, server := range []string{"h1", "h2"} {
		p := newPair(t, "h2", server, "")
		p.ask(0)
		p.asked(server)
		p.s.Pass(time.Second)
		p.hc.WriteRSTStream(p.id, 8)
		p.s.Pass(time.Second)
		wantLines(t, p.s, "x/s1 0/0/0/-1/1000 400 CD-- 0")
		if got := counts(p.s); got != "x retr 0 redisp 0 econ 0 cli 1 srv 0" {
			t.Error(got)
		}
	}
}
