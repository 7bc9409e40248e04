package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// Which timer runs when, and which stands in for one that is not set. Each scene
// plays until something ends, and tells after how many milliseconds.
func TestTimeouts(t *testing.T) {
	const all = "timeout client 11s\n timeout server 13s\n timeout connect 17s\n"
	ended := func(p *sim.Peer, since time.Duration) int64 {
		p.Rest()
		return (p.EndedAt() - since).Milliseconds()
	}
	exchange := func(s *sim.Stage) *sim.Peer {
		s.Listen("10.2.0.1:80").Serve(func(string) string { return ok })
		p := s.Dial(front)
		p.Send(get)
		p.Expect("ok")
		return p
	}
	scenes := map[string]func(t *testing.T, s *sim.Stage) int64{
		"silent client": func(t *testing.T, s *sim.Stage) int64 {
			return ended(s.Dial(front), 0)
		},
		"head begins after 2 s": func(t *testing.T, s *sim.Stage) int64 {
			p := s.Dial(front)
			s.Pass(2 * time.Second)
			p.Send("GET /")
			return ended(p, 0)
		},
		"head in drips": func(t *testing.T, s *sim.Stage) int64 {
			p := s.Dial(front)
			p.Drip(strings.Repeat("GET / HTTP/1.1\r\nx: ", 1)+strings.Repeat("y", 40), time.Second)
			return ended(p, 0)
		},
		"between requests": func(t *testing.T, s *sim.Stage) int64 {
			p := exchange(s)
			return ended(p, s.Now())
		},
		"second head begins after 2 s": func(t *testing.T, s *sim.Stage) int64 {
			p := exchange(s)
			since := s.Now()
			s.Pass(2 * time.Second)
			p.Send("GET /")
			return ended(p, since)
		},
		"between requests of HTTP/2": func(t *testing.T, s *sim.Stage) int64 {
			s.Listen("10.2.0.1:80").Serve(func(string) string { return ok })
			p := s.Dial(front)
			h := startH2Peer(t, p, false)
			h.ask("GET", "/", true)
			h.head()
			since := s.Now()
			return ended(p, since)
		},
		"HTTP/2 without a request": func(t *testing.T, s *sim.Stage) int64 {
			p := s.Dial(front)
			startH2Peer(t, p, false)
			return ended(p, 0)
		},
		"queue": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			s.Dial(front).Send(get)
			h.Accept()
			p := s.Dial(front)
			since := s.Now()
			p.Send(get)
			p.Expect("503")
			return (s.Now() - since).Milliseconds()
		},
		"connect": func(t *testing.T, s *sim.Stage) int64 {
			s.Listen("10.2.0.1:80").Swallow = true
			p := s.Dial(front)
			p.Send(get)
			p.Expect("503")
			return s.Now().Milliseconds()
		},
		"server silent": func(t *testing.T, s *sim.Stage) int64 {
			s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send(get)
			p.Expect("504")
			return s.Now().Milliseconds()
		},
		"body pauses": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send(get)
			v := h.Accept()
			v.Head()
			v.Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
			s.Pass(2 * time.Second)
			v.Send("def")
			return ended(p, 0)
		},
		"client does not read": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Pause()
			p.Send(get)
			v := h.Accept()
			v.Head()
			v.Send("HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + strings.Repeat("x", 3000000))
			return ended(v, 0)
		},
		"tunnel": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			v := h.Accept()
			p.Send("a")
			v.Expect("a")
			s.Pass(2 * time.Second)
			v.Send("b")
			return ended(p, 0)
		},
		"tunnel, the client ended": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			v := h.Accept()
			s.Pass(2 * time.Second)
			p.Shut()
			v.Rest()
			return ended(p, 0)
		},
		"tunnel, the server ended": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			v := h.Accept()
			s.Pass(2 * time.Second)
			v.Shut()
			p.Rest()
			return ended(v, 0)
		},
		"upgrade": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
			v := h.Accept()
			v.Head()
			v.Send("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
			return ended(p, 0)
		},
		"check is silent": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			v := h.Accept()
			since := s.Now()
			return ended(v, since)
		},
		"check in drips": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			v := h.Accept()
			since := s.Now()
			v.Head()
			v.Drip("HTTP/1.1 200 OK\r\nx: "+strings.Repeat("y", 100), 500*time.Millisecond)
			return ended(v, since)
		},
		"check connects": func(t *testing.T, s *sim.Stage) int64 {
			h := s.Listen("10.2.0.1:80")
			h.Swallow = true
			s.Pass(time.Minute)
			if len(h.Tried) < 2 {
				t.Fatal("one check")
			}
			return (h.Tried[1] - h.Tried[0]).Milliseconds() // the pause begins when a check has ended
		},
	}
	const checked = "option httpchk\n timeout server 13s\n timeout client 11s\n server s1 10.2.0.1:80 check inter 7s"
	for _, c := range []struct {
		scene, conf string
		ms          int64
	}{
		{"silent client", all, 11000},
		{"silent client", all + "timeout http-request 3s", 3000},
		{"silent client", all + "timeout http-keep-alive 5s", 11000},
		{"head begins after 2 s", all, 13000},
		{"head begins after 2 s", all + "timeout http-request 3s", 3000},
		{"head in drips", all + "timeout http-request 3s", 3000},
		{"between requests", all, 11000},
		{"between requests", all + "timeout http-request 3s", 3000},
		{"between requests", all + "timeout http-request 3s\n timeout http-keep-alive 5s", 5000},
		{"second head begins after 2 s", all + "timeout http-request 3s\n timeout http-keep-alive 5s", 5000},
		{"second head begins after 2 s", all + "timeout http-keep-alive 5s", 13000},
		{"between requests of HTTP/2", all, 11000},
		{"between requests of HTTP/2", all + "timeout http-request 3s", 3000},
		{"between requests of HTTP/2", all + "timeout http-request 3s\n timeout http-keep-alive 5s", 5000},
		{"HTTP/2 without a request", all, 11000},
		{"HTTP/2 without a request", all + "timeout http-request 3s\n timeout http-keep-alive 5s", 3000},
		{"queue", "timeout connect 3s\n server s1 10.2.0.1:80 maxconn 1", 3000},
		{"queue", "timeout connect 3s\n timeout queue 4s\n server s1 10.2.0.1:80 maxconn 1", 4000},
		{"connect", all + "retries 0", 17000},
		{"server silent", all, 13000},
		{"body pauses", all, 15000},
		{"client does not read", all, 11000},
		{"tunnel", "mode tcp\n" + all, 13000}, // of the client: the server's would be 15000
		{"tunnel", "mode tcp\n" + all + "timeout tunnel 19s", 21000},
		{"tunnel, the client ended", "mode tcp\n" + all, 15000}, // only the server may still say something
		{"tunnel, the client ended", "mode tcp\n" + all + "timeout tunnel 19s", 21000},
		{"tunnel, the client ended", "mode tcp\n" + all + "timeout tunnel 19s\n timeout server-fin 3s", 5000},
		{"tunnel, the server ended", "mode tcp\n" + all, 13000},
		{"tunnel, the server ended", "mode tcp\n" + all + "timeout tunnel 19s\n timeout client-fin 4s", 6000},
		{"upgrade", all, 11000},
		{"upgrade", all + "timeout tunnel 19s", 19000},
		{"check is silent", checked, 7000},
		{"check is silent", checked + "\n timeout check 2s", 2000},
		{"check in drips", checked, 7000},
		{"check in drips", checked + "\n timeout check 2s", 2000},
		{"check connects", checked + "\n timeout connect 2s\n timeout check 1s", 9000},
	} {
		t.Run(c.scene+"/"+strings.ReplaceAll(strings.TrimPrefix(c.conf, all), "\n", ","), func(t *testing.T) {
			s := stage(t, c.conf)
			if ms := scenes[c.scene](t, s); ms/10 != c.ms/10 {
				t.Errorf("after %d ms, want %d", ms, c.ms)
			}
		})
	}
}
