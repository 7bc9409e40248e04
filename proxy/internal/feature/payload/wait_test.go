package payload_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

const front = "10.1.0.1:80"

// stage is a frontend and a backend on the simulated clock, with lines of their own.
func stage(t *testing.T, mode, ofFrontend, ofBackend string) (*sim.Stage, *sim.Host) {
	t.Helper()
	format := "option tcplog"
	if mode == "http" {
		format = "option httplog"
	}
	s := sim.NewStage(t, "global\n log {log} local0\ndefaults\n mode "+mode+"\n log global\n "+format+"\n timeout client 10s\n timeout server 10s\n timeout connect 5s\n"+
		"frontend f\n bind "+front+"\n default_backend b\n "+strings.ReplaceAll(ofFrontend, "\n", "\n ")+
		"\nbackend b\n "+strings.ReplaceAll(ofBackend, "\n", "\n ")+"\n server s1 10.2.0.1:80\n", nil)
	return s, s.Listen("10.2.0.1:80")
}

const delay = "tcp-request inspect-delay 3s\n"

// logs lets the exchange end: there is one line of the log, which contains want.
func logs(t *testing.T, s *sim.Stage, want string) {
	t.Helper()
	var lines []string
	for len(lines) == 0 && s.Now() < time.Minute {
		s.Pass(10 * time.Millisecond)
		lines = append(lines, s.Lines()...)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

// A rule that cannot be decided waits for more, a piece at a time, until it is, or
// nothing can change any more: then what is there counts.
func TestRequestWaits(t *testing.T) {
	const get = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
	for name, c := range map[string]struct {
		mode, front, back string
		do                func(s *sim.Stage, p *sim.Peer)
		connected         time.Duration // when the server is connected, -1: never
		log               string        // what the line has
		dreq, ereq        int64
	}{
		"silent":                 {front: delay + "tcp-request content accept if { req.len gt 3 }", connected: 3 * time.Second, log: " 3000/0/"},
		"without a delay":        {front: "tcp-request content reject if { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abcdef", time.Second) }, log: " 0/0/"},
		"drips":                  {front: delay + "tcp-request content accept if { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abcdef", 500*time.Millisecond) }, connected: 1500 * time.Millisecond, log: " 1500/0/"},
		"drips are too slow":     {front: delay + "tcp-request content reject if { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abcdef", 1100*time.Millisecond) }, connected: 3 * time.Second, log: " 3000/0/"},
		"rejected":               {front: delay + "tcp-request content reject if { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abcdef", 500*time.Millisecond) }, connected: -1, log: "f/<NOSRV> -1/-1/1500 0 PR ", dreq: 1},
		"rejected by the end":    {front: delay + "tcp-request content reject if WAIT_END", connected: -1, log: "f/<NOSRV> -1/-1/3000 0 PR ", dreq: 1},
		"unless":                 {front: delay + "tcp-request content reject unless { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abcdef", 500*time.Millisecond) }, connected: 1500 * time.Millisecond, log: " 1500/0/"},
		"not":                    {front: delay + "tcp-request content reject if !{ req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("ab", 500*time.Millisecond) }, connected: -1, log: "f/<NOSRV> -1/-1/3000 0 PR ", dreq: 1},
		"decided by the other":   {front: delay + "tcp-request content reject if { src 192.0.2.1 } { req.len gt 3 }", log: " 0/0/"},
		"or":                     {front: delay + "tcp-request content accept if { req.len gt 3 } or { src 10.0.0.0/8 }", log: " 0/0/"},
		"the client has ended":   {front: delay + "tcp-request content accept if { req.len gt 3 }", do: func(s *sim.Stage, p *sim.Peer) { p.Send("ab"); s.Pass(time.Second); p.Shut() }, connected: time.Second, log: " 1000/0/"},
		"the client has left":    {front: delay + "tcp-request content accept if { req.len gt 3 }", do: func(s *sim.Stage, p *sim.Peer) { p.Send("ab"); s.Pass(time.Second); p.Reset() }, connected: -1, log: "f/<NOSRV> -1/-1/1000 0 CR ", ereq: 1},
		"timeout client":         {front: "timeout client 2s\n" + delay + "tcp-request content accept if { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Send("ab") }, connected: -1, log: "f/<NOSRV> -1/-1/2000 0 cR ", ereq: 1},
		"timeout client anew":    {front: "timeout client 2s\n" + delay + "tcp-request content accept if { req.len gt 3 }", do: func(s *sim.Stage, p *sim.Peer) { s.Pass(1500 * time.Millisecond); p.Send("ab") }, connected: 3 * time.Second, log: " 3000/0/"},
		"the buffer is full":     {front: delay + "tcp-request content accept if { req.len gt 1000000 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Send(strings.Repeat("x", 20000)) }, log: " 0/0/"},
		"both sides":             {front: delay + "tcp-request content accept if { req.len gt 1 }", back: delay + "tcp-request content accept if { req.len gt 3 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abc", time.Second) }, connected: 4 * time.Second, log: " 4000/0/"},
		"in the backend":         {back: delay + "tcp-request content reject if { req.len gt 1 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abc", time.Second) }, connected: -1, log: "b/<NOSRV> -1/-1/1000 0 PR ", dreq: 1},
		"whole rules again":      {front: delay + "tcp-request content set-var(sess.n) req.len\ntcp-request content reject if { var(sess.n) -m int 2 } { req.len gt 1 }\ntcp-request content accept if { req.len gt 2 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip("abc", time.Second) }, connected: -1, log: " -1/-1/1000 0 PR ", dreq: 1},
		"HTTP over tcp":          {front: delay + "tcp-request content reject if { path /no }\ntcp-request content accept if HTTP", do: func(_ *sim.Stage, p *sim.Peer) { p.Drip(get, 10*time.Millisecond) }, connected: time.Duration(len(get)-1) * 10 * time.Millisecond, log: "f b/s1 "},
		"HTTP over tcp rejected": {front: delay + "tcp-request content reject if { path /a }\ntcp-request content accept if HTTP", do: func(_ *sim.Stage, p *sim.Peer) { p.Send(get) }, connected: -1, log: " -1/-1/0 0 PR ", dreq: 1},
		"no HTTP at all":         {front: delay + "tcp-request content accept if HTTP", do: func(_ *sim.Stage, p *sim.Peer) { p.Send("\x00\x01\r\n\r\n") }, log: " 0/0/"},
		"silent-drop":            {front: delay + "tcp-request content silent-drop if { req.len gt 1 }", do: func(_ *sim.Stage, p *sim.Peer) { p.Send("abc") }, connected: -1, log: "f/<NOSRV> -1/-1/0 0 PR "},
		"a request is complete":  {mode: "http", front: delay + "tcp-request content accept if WAIT_END", do: func(_ *sim.Stage, p *sim.Peer) { p.Send(get) }, log: " 0/0/0/"},
		"its body":               {mode: "http", front: delay + "tcp-request content accept if { req.len gt 100 }", do: func(s *sim.Stage, p *sim.Peer) { post(s, p, 500*time.Millisecond, 40, 60) }, connected: 500 * time.Millisecond, log: " 500/0/0/"},
		"its body does not come": {mode: "http", front: delay + "tcp-request content accept if { req.len gt 100 }", do: func(s *sim.Stage, p *sim.Peer) { post(s, p, time.Hour, 40, 60) }, connected: 3 * time.Second, log: " 3000/0/0/"},
		"its body is all":        {mode: "http", front: delay + "tcp-request content accept if { req.len gt 500 }", do: func(s *sim.Stage, p *sim.Peer) { post(s, p, time.Second, 40, 60) }, connected: time.Second, log: " 1000/0/0/"},
		"its body, rejected":     {mode: "http", front: delay + "tcp-request content reject if { req.len gt 100 }", do: func(s *sim.Stage, p *sim.Peer) { post(s, p, time.Second, 40, 60) }, connected: -1, log: "f/<NOSRV> -1/-1/-1/-1/1000 -1 0 - - PR-- ", dreq: 1},
	} {
		t.Run(name, func(t *testing.T) {
			mode := c.mode
			if mode == "" {
				mode = "tcp"
			}
			s, h := stage(t, mode, c.front, c.back)
			p := s.Dial(front)
			start := s.Now()
			if c.do != nil {
				c.do(s, p)
			}
			if c.connected >= 0 {
				server := h.Accept()
				if d := s.Now() - start; d < c.connected || d > c.connected+5*time.Millisecond {
					t.Errorf("connected after %v, want %v", d, c.connected)
				}
				server.Close()
				p.Close()
			}
			logs(t, s, c.log)
			n := s.Frontend("f")
			if d, e := n.DeniedReq.Load(), n.ReqErrors.Load(); d != c.dreq || e != c.ereq {
				t.Errorf("%d denied and %d wrong, want %d and %d", d, e, c.dreq, c.ereq)
			}
			if c.connected < 0 && !h.Idle() {
				t.Error("the server was connected")
			}
		})
	}
}

// post sends a request whose body comes in two parts.
func post(s *sim.Stage, p *sim.Peer, pause time.Duration, first, second int) {
	p.Send(fmt.Sprintf("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s", first+second, strings.Repeat("x", first)))
	s.After(pause, func() { p.Send(strings.Repeat("y", second)) })
}

// The same of what a server sends, while the client's data goes to it.
func TestResponseWaits(t *testing.T) {
	const delay = "tcp-response inspect-delay 3s\n"
	head := func(n int) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n", n) }
	for name, c := range map[string]struct {
		mode, front, back string
		do                func(s *sim.Stage, server *sim.Peer)
		got               string        // what the client gets
		after             time.Duration // when its last byte, or the end, is there
		log               string
		dresp             int64
	}{
		"drips":              {back: delay + "tcp-response content accept if { res.len gt 3 }", do: drip("abcdef", 500*time.Millisecond), got: "abcdef", after: 2500 * time.Millisecond, log: " -- "},
		"too slow":           {back: delay + "tcp-response content reject if { res.len gt 3 }", do: drip("abcdef", 1100*time.Millisecond), got: "abcdef", after: 5500 * time.Millisecond, log: " -- "},
		"rejected":           {back: delay + "tcp-response content reject if { res.len gt 3 }", do: drip("abcdef", 500*time.Millisecond), after: 1500 * time.Millisecond, log: " 4 PD ", dresp: 1},
		"payload":            {back: delay + "tcp-response content reject if { res.payload(0,2) -m bin 6162 }", do: drip("abcdef", 500*time.Millisecond), after: 500 * time.Millisecond, log: " 2 PD ", dresp: 1},
		"either":             {back: delay + "tcp-response content set-var(sess.x) payload(2,1)\ntcp-response content reject if { res.len gt 2 } { var(sess.x) -m str c }", do: drip("abcdef", 500*time.Millisecond), after: time.Second, log: " 3 PD ", dresp: 1},
		"without a delay":    {back: "tcp-response content reject if { res.len gt 3 }", do: drip("abcdef", 500*time.Millisecond), got: "abcdef", after: 2500 * time.Millisecond, log: " -- "},
		"closed":             {back: delay + "tcp-response content close if { res.len gt 3 }", do: drip("abcdef", 500*time.Millisecond), got: "abcd", after: 1500 * time.Millisecond, log: " 4 -- "},
		"the server ends":    {back: delay + "tcp-response content reject if { res.len gt 3 }", do: func(s *sim.Stage, p *sim.Peer) { p.Send("ab"); s.Pass(time.Second); p.Shut() }, got: "ab", after: time.Second, log: " 2 -- "},
		"the server breaks":  {back: delay + "tcp-response content reject if { res.len gt 3 }", do: func(s *sim.Stage, p *sim.Peer) { p.Send("ab"); s.Pass(time.Second); p.Reset() }, after: time.Second, log: " SD "},
		"timeout server":     {back: "timeout server 2s\n" + delay + "tcp-response content reject if { res.len gt 3 }", do: func(s *sim.Stage, p *sim.Peer) { p.Send("ab") }, after: 2 * time.Second, log: " sD "},
		"HTTP over tcp":      {back: delay + "tcp-response content reject if { status 200 }", do: drip(head(0), 10*time.Millisecond), after: time.Duration(len(head(0))-1) * 10 * time.Millisecond, log: " PD ", dresp: 1},
		"http":               {mode: "http", back: delay + "tcp-response content accept if { res.len gt 55 }", do: answer(head(8), 500*time.Millisecond, "abcd", "efgh"), got: head(8) + "abcdefgh", after: 500 * time.Millisecond, log: " ---- "},
		"http is complete":   {mode: "http", back: delay + "tcp-response content accept if { res.len gt 700 }", do: answer(head(8), time.Second, "abcd", "efgh"), got: head(8) + "abcdefgh", after: time.Second, log: " ---- "},
		"http does not come": {mode: "http", back: delay + "tcp-response content accept if WAIT_END", do: answer(head(8), 4*time.Second, "abcd", "efgh"), got: head(8) + "abcdefgh", after: 4 * time.Second, log: " ---- "},
		"http rejected":      {mode: "http", back: delay + "tcp-response content reject if { res.len gt 55 }", do: answer(head(8), time.Second, "abcd", "efgh"), after: time.Second, log: " PD-- ", dresp: 1},
		"http broken":        {mode: "http", back: delay + "tcp-response content accept if WAIT_END", do: func(s *sim.Stage, p *sim.Peer) { p.Send(head(8) + "ab"); s.Pass(time.Second); p.Reset() }, got: "HTTP/1.1 502 Bad Gateway\r\n", after: time.Second, log: " 502 "},
		"http closed":        {mode: "http", back: delay + "tcp-response content close if { res.len gt 55 }", do: answer(head(8), time.Second, "abcd", "efgh"), got: head(8) + "abcdefgh", after: time.Second, log: " ---- "},
		"http closed early":  {mode: "http", back: delay + "tcp-response content close if { res.len gt 50 }", do: answer(head(8), time.Second, "abcd", "efgh"), got: head(8) + "abcd", log: " SD-- "},
	} {
		t.Run(name, func(t *testing.T) {
			mode := c.mode
			if mode == "" {
				mode = "tcp"
			}
			s, h := stage(t, mode, c.front, c.back)
			p := s.Dial(front)
			request := "hello"
			if mode == "http" {
				request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
			}
			p.Send(request)
			server := h.Accept()
			server.Expect(request[:5]) // it does not wait for the answer
			start := s.Now()
			c.do(s, server)
			wanted := strings.ReplaceAll(c.got, "content-length: 8\r\n", "content-length: 8\r\nconnection: close\r\n")
			for s.Now()-start < 20*time.Second && !p.Ended() && (len(p.Got()) < len(wanted) || wanted == "") {
				s.Pass(time.Millisecond)
			}
			if d := s.Now() - start; d < c.after || d > c.after+10*time.Millisecond {
				t.Errorf("after %v, want %v", d, c.after)
			}
			if got := p.Got(); !strings.HasPrefix(got, wanted) || wanted == "" && got != "" {
				t.Errorf("got %q, want %q", got, wanted)
			}
			server.Close()
			p.Close()
			logs(t, s, c.log)
			if d := s.Frontend("f").DeniedResp.Load(); d != c.dresp {
				t.Errorf("%d denied, want %d", d, c.dresp)
			}
		})
	}
}

func drip(text string, every time.Duration) func(*sim.Stage, *sim.Peer) {
	return func(_ *sim.Stage, p *sim.Peer) { p.Drip(text, every) }
}

func answer(head string, pause time.Duration, first, second string) func(*sim.Stage, *sim.Peer) {
	return func(s *sim.Stage, p *sim.Peer) {
		p.Send(head + first)
		s.After(pause, func() { p.Send(second) })
	}
}
