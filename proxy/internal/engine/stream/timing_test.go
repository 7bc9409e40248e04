package stream_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// stageHead is what configurations on the simulated clock begin with. The log
// line says who was asked, the timers, the status, the termination and the tries.
const stageHead = `
global
  nbthread 1
  log {log} local0
defaults
  mode http
  log global
  log-format "%b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %tsc %rc"
  timeout client 10s
  timeout server 10s
  timeout connect 2s
`

const (
	front = "10.0.0.1:80"
	get   = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
	ok    = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
)

// stage starts a configuration with one server at 10.2.0.1:80 unless it names
// others; "listen x" and its bind line are there.
func stage(t *testing.T, text string) *sim.Stage {
	t.Helper()
	if !strings.Contains(text, "listen ") && !strings.Contains(text, "frontend ") {
		text = "listen x\n bind " + front + "\n" + text
	}
	if !regexp.MustCompile(`(?m)^ *server `).MatchString(text) {
		text += "\n server s1 10.2.0.1:80\n"
	}
	return sim.NewStage(t, stageHead+text+"\n", nil)
}

func wantLines(t *testing.T, s *sim.Stage, want ...string) {
	t.Helper()
	got := s.Lines()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestStage(t *testing.T) {
	s := stage(t, "")
	h := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	c.Send(get)
	v := h.Accept()
	v.Head()
	s.Pass(time.Second)
	v.Send(ok)
	c.Expect("ok")
	wantLines(t, s, "x/s1 0/0/0/1000/1000 200 ---- 0")
	c.Send(get)
	v.Head()
	s.Pass(10 * time.Second)
	c.Expect("504")
	wantLines(t, s, "x/s1 0/0/0/-1/10000 504 sH-- 0")
}

// counts gives what a server or backend counted of failed attempts.
func counts(s *sim.Stage, names ...string) (out string) {
	b := s.Backend("x")
	c := &b.Counters[0]
	out = fmt.Sprintf("x retr %d redisp %d econ %d cli %d srv %d", c.Retries.Load(), c.Redisp.Load(), c.ConnErrors.Load(), c.ClientAborts.Load(), c.ServerAborts.Load())
	for _, n := range names {
		c := &b.Server(n).Counters[0]
		out += fmt.Sprintf("; %s retr %d redisp %d econ %d", n, c.Retries.Load(), c.Redisp.Load(), c.ConnErrors.Load())
	}
	return out
}

// Which server is tried next, and after which wait: HAProxy 2.6 and 3.4 agree.
func TestAttempts(t *testing.T) {
	const three = " server d1 10.2.0.1:80\n server d2 10.2.0.2:80\n server s3 10.2.0.3:80\n"
	const backup = " server d1 10.2.0.1:80\n server b 10.2.0.3:80 backup\n"
	for _, c := range []struct {
		name, conf string
		swallow    bool // instead of refusing
		line       string
		counts     string
		tried      string // seconds, of each server in turn
	}{
		{"another at once", "option redispatch\n" + three, false,
			"x/s3 0/0/0/0/0 200 ---- +2", "x retr 0 redisp 2 econ 0 cli 0 srv 0; d1 retr 0 redisp 1 econ 0; d2 retr 0 redisp 1 econ 0", "0;0"},
		{"static-rr", "balance static-rr\n option redispatch\n" + three, false,
			"x/s3 0/0/0/0/0 200 ---- +2", "x retr 0 redisp 2 econ 0 cli 0 srv 0; d1 retr 0 redisp 1 econ 0; d2 retr 0 redisp 1 econ 0", "0;0"},
		{"leastconn", "balance leastconn\n option redispatch -1\n retries 5\n" + three, false,
			"x/s3 0/0/0/0/0 200 ---- +2", "x retr 0 redisp 2 econ 0 cli 0 srv 0; d1 retr 0 redisp 1 econ 0; d2 retr 0 redisp 1 econ 0", "0;0"},
		{"interval", "option redispatch 1\n" + three, false,
			"x/s3 0/0/0/0/0 200 ---- +2", "x retr 0 redisp 2 econ 0 cli 0 srv 0; d1 retr 0 redisp 1 econ 0; d2 retr 0 redisp 1 econ 0", "0;0"},
		{"the last retry fails", "option redispatch\n retries 1\n" + three, false,
			"x/d2 0/0/-1/-1/0 503 SC-- +1", "x retr 0 redisp 1 econ 1 cli 0 srv 0; d1 retr 0 redisp 1 econ 0; d2 retr 0 redisp 0 econ 1", "0;0"},
		{"off", "no option redispatch\n" + three, false,
			"x/d1 0/0/-1/-1/3000 503 SC-- 3", "x retr 3 redisp 0 econ 1 cli 0 srv 0; d1 retr 3 redisp 0 econ 1; d2 retr 0 redisp 0 econ 0", "0 1 2 3;"},
		{"off, a short timeout connect", "timeout connect 200ms\n retries 2\n" + three, false,
			"x/d1 0/0/-1/-1/400 503 SC-- 2", "x retr 2 redisp 0 econ 1 cli 0 srv 0; d1 retr 2 redisp 0 econ 1; d2 retr 0 redisp 0 econ 0", "0 0.2 0.4;"},
		{"timeouts need no pause", "retries 2\n" + three, true,
			"x/d1 0/0/-1/-1/6000 503 sC-- 2", "x retr 2 redisp 0 econ 1 cli 0 srv 0; d1 retr 2 redisp 0 econ 1; d2 retr 0 redisp 0 econ 0", "0 2 4;"},
		{"another after a timeout", "option redispatch\n" + three, true,
			"x/s3 0/4000/0/0/4000 200 ---- +2", "x retr 0 redisp 2 econ 0 cli 0 srv 0; d1 retr 0 redisp 1 econ 0; d2 retr 0 redisp 1 econ 0", "0;2"},
		{"no retries", "option redispatch\n retries 0\n" + three, false,
			"x/d1 0/0/-1/-1/0 503 SC-- 0", "x retr 0 redisp 0 econ 1 cli 0 srv 0; d1 retr 0 redisp 0 econ 1; d2 retr 0 redisp 0 econ 0", "0;"},
		{"a backup is no other server", "option redispatch\n retries 1\n" + backup, false,
			"x/d1 0/1000/-1/-1/1000 503 SC-- 1", "x retr 1 redisp 0 econ 1 cli 0 srv 0; d1 retr 1 redisp 0 econ 1", "0 1;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stage(t, c.conf)
			d1, d2, ok3 := s.Listen("10.2.0.1:80"), s.Listen("10.2.0.2:80"), s.Listen("10.2.0.3:80")
			for _, h := range []*sim.Host{d1, d2} {
				h.Refuse, h.Swallow = !c.swallow, c.swallow
			}
			ok3.Serve(func(string) string { return ok })
			cl := s.Dial(front)
			start := s.Now()
			cl.Send(get)
			cl.Head()
			wantLines(t, s, c.line)
			names := []string{"d1"}
			if strings.Contains(c.conf, "d2") {
				names = append(names, "d2")
			}
			if got := counts(s, names...); got != c.counts {
				t.Errorf("%s\nwant %s", got, c.counts)
			}
			var tried []string
			for _, h := range []*sim.Host{d1, d2} {
				var at []string
				for _, d := range h.Tried {
					at = append(at, strconv.FormatFloat((d-start).Seconds(), 'g', -1, 64))
				}
				tried = append(tried, strings.Join(at, " "))
			}
			if got := strings.Join(tried, ";"); got != c.tried {
				t.Errorf("tried at %s, want %s", got, c.tried)
			}
		})
	}
}

func TestRedispatchInterval(t *testing.T) {
	// One server: the pause stays, but each attempt counts as on the same.
	s := stage(t, "option redispatch 2\n retries 4")
	h := s.Listen("10.2.0.1:80")
	h.Refuse = true
	c := s.Dial(front)
	c.Send(get)
	c.Head()
	wantLines(t, s, "x/s1 0/4000/-1/-1/4000 503 SC-- 4")
	if got := counts(s, "s1"); got != "x retr 4 redisp 0 econ 1 cli 0 srv 0; s1 retr 4 redisp 0 econ 1" {
		t.Error(got)
	}
}

// A client that leaves during the pause is not waited for.
func TestLeavesDuringTurnAround(t *testing.T) {
	for _, abort := range []bool{true, false} {
		conf := "option abortonclose"
		if !abort {
			conf = "no option abortonclose"
		}
		s := stage(t, conf)
		h := s.Listen("10.2.0.1:80")
		h.Refuse = true
		c := s.Dial(front)
		c.Send(get)
		s.Pass(1500 * time.Millisecond)
		c.Close()
		s.Pass(5 * time.Second)
		if abort {
			wantLines(t, s, "x/s1 0/0/-1/-1/1500 -1 CC-- 2")
		} else {
			wantLines(t, s, "x/s1 0/0/-1/-1/3000 503 SC-- 3")
		}
	}
}

// A client that leaves before its request was sent gets no answer, and is no
// error of ours; one that only ends its side right behind the request is answered.
func TestLeavesEarly(t *testing.T) {
	t.Run("in the queue", func(t *testing.T) {
		s := stage(t, "server s1 10.2.0.1:80 maxconn 1")
		h := s.Listen("10.2.0.1:80")
		first := s.Dial(front)
		first.Send(get)
		v := h.Accept()
		v.Head()
		c := s.Dial(front)
		c.Send(get)
		s.Pass(time.Second)
		c.Shut()
		if got := c.Rest(); got != "" {
			t.Errorf("%q", got)
		}
		wantLines(t, s, "x/<NOSRV> 0/1000/-1/-1/1000 -1 CQ-- 0")
		v.Send(ok)
		first.Expect("ok")
		if got := counts(s, "s1"); got != "x retr 0 redisp 0 econ 0 cli 1 srv 0; s1 retr 0 redisp 0 econ 0" {
			t.Error(got)
		}
	})
	t.Run("while connecting", func(t *testing.T) {
		for _, how := range []string{"close", "shut", "reset"} {
			s := stage(t, "")
			h := s.Listen("10.2.0.1:80")
			h.Swallow = true
			c := s.Dial(front)
			c.Send(get)
			s.Pass(time.Second)
			switch how {
			case "close":
				c.Close()
			case "shut":
				c.Shut()
			case "reset":
				c.Reset()
			}
			s.Pass(0)
			wantLines(t, s, "x/s1 0/0/-1/-1/1000 -1 CC-- 0")
			if got := counts(s, "s1"); got != "x retr 0 redisp 0 econ 0 cli 1 srv 0; s1 retr 0 redisp 0 econ 0" {
				t.Error(how, got)
			}
		}
	})
	t.Run("ends its side at once", func(t *testing.T) {
		for _, d := range []time.Duration{0, 50 * time.Millisecond, 99 * time.Millisecond} {
			s := stage(t, "")
			h := s.Listen("10.2.0.1:80")
			h.Delay = d
			h.Serve(func(string) string { return ok })
			c := s.Dial(front)
			c.Send(get)
			c.Shut()
			if got := c.Rest(); !strings.HasSuffix(got, "ok") {
				t.Errorf("%v: %q", d, got)
			}
			if l := s.Lines(); len(l) != 1 || !strings.HasSuffix(l[0], " 200 ---- 0") {
				t.Errorf("%v: %q", d, l)
			}
		}
	})
}

// Without "timeout tarpit" that of connections holds, and without any nobody waits.
func TestTarpit(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"timeout tarpit 4s", 4 * time.Second},
		{"", 2 * time.Second}, // the head's "timeout connect"
		{"timeout tarpit 0", 2 * time.Second},
		{"timeout connect 0", 0},
		{"timeout connect 0\n timeout tarpit 3s", 3 * time.Second},
	} {
		s := stage(t, "listen x\n bind "+front+"\n "+c.text+"\n http-request tarpit\n")
		p := s.Dial(front)
		p.Send(get)
		if head := p.Head(); !strings.HasPrefix(head, "HTTP/1.1 500 ") || s.Now() != c.want {
			t.Errorf("%q: %q after %v, want %v", c.text, head, s.Now(), c.want)
		}
	}
}

// Small messages through a tunnel are passed on without waking its coroutines: none is
// lost, be there room for a part of one only, and all are counted, in both directions.
func TestRelayOfSmallMessages(t *testing.T) {
	for _, first := range []string{"client", "server"} {
		s := stage(t, "mode tcp\n")
		host := s.Listen("10.2.0.1:80")
		c := s.Dial(front)
		o := host.Accept()
		from, to := c, o
		if first == "server" {
			from, to = o, c
		}
		from.Send("begin")
		to.Expect("begin")
		s.Pass(time.Second)
		to.Pause()
		const size, pieces = 1000, 300 // more than there is room for
		for i := range pieces {
			from.Send(fmt.Sprintf("%-*d", size, i))
			s.Pass(0)
			if i == 262 {
				s.Pass(time.Second) // a part of this one went
				to.Resume()
				to.Expect(fmt.Sprintf("%-*d", size, i))
				to.Pause()
			}
		}
		to.Resume()
		to.Expect(fmt.Sprintf("%-*d", size, pieces-1))
		to.Send("back")
		from.Expect("back")
		from.Shut()
		to.Rest()
		to.Shut()
		from.Rest()
		s.Pass(time.Second)
		n, back := int64(size*pieces+len("begin")), int64(len("back"))
		if first == "server" {
			n, back = back, n
		}
		for what, k := range map[string]*counter.Traffic{"frontend": &s.Frontend("x").Traffic, "backend": &s.Backend("x").Counters[0].Traffic} {
			if k.ReqIn.Load() != n || k.ReqOut.Load() != n || k.ResIn.Load() != back || k.ResOut.Load() != back {
				t.Errorf("%s first, %s: %d, %d, %d, %d bytes, want %d and %d", first, what, k.ReqIn.Load(), k.ReqOut.Load(), k.ResIn.Load(), k.ResOut.Load(), n, back)
			}
		}
	}
}

// "option dontlog-normal" leaves out what went well, not an error that a rule answers
// with.
func TestDontLogNormal(t *testing.T) {
	s := stage(t, "option dontlog-normal\n http-request return status 503 if { path /503 }\n http-request return status 500 if { path /500 }\n http-request return status 404 if { path /404 }\n http-request return status 200\n")
	for _, path := range []string{"/", "/503", "/404", "/500", "/"} {
		p := s.Dial(front)
		p.Send("GET " + path + " HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
		p.Rest()
	}
	wantLines(t, s, "x/<NOSRV> 0/-1/-1/-1/0 503 LR-- 0", "x/<NOSRV> 0/-1/-1/-1/0 500 LR-- 0")
}
