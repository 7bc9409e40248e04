package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

const (
	markedFront = "10.1.0.1:80"
	markedHead  = "global\n log {log} local0\ndefaults\n log global\n mode http\n option httplog\n timeout client 1m\n timeout server 1m\n timeout connect 5s\n"
	markedGet   = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
)

// exchanges gives the log lines of exchanges: server, status and termination.
func exchanges(s *sim.Stage) []string {
	var out []string
	for _, l := range s.Lines() {
		f := strings.Fields(l)
		for i, w := range f {
			switch {
			case strings.HasPrefix(w, "x/") && len(f) > i+6 && len(f[i+6]) == 4: // httplog
				out = append(out, w+" "+f[i+2]+" "+f[i+6])
			case strings.HasPrefix(w, "x/") && len(f) > i+3 && len(f[i+3]) == 2: // tcplog
				out = append(out, w+" "+f[i+3])
			}
		}
	}
	return out
}

func wantExchanges(t *testing.T, s *sim.Stage, want ...string) {
	t.Helper()
	if got := exchanges(s); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// A server that is marked down ends what it serves if it is to, and nothing else.
func TestOnMarkedDown(t *testing.T) {
	maint := func(v *server.Server) { v.SetAdmin(time.Time{}, server.ForcedMaint, 0, "") }
	down := func(v *server.Server) {
		v.Update(time.Time{}, "", func(st *server.State) { st.Op, st.Health = server.Stopped, 0 })
	}
	drain := func(v *server.Server) { v.SetAdmin(time.Time{}, server.ForcedDrain, 0, "") }
	for _, c := range []struct {
		name, conf, answer string
		how                func(*server.Server)
		want               string // "": the exchange goes on
	}{
		{"awaiting the response, maintenance", "server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "", maint, "x/s1 500 DC--"},
		{"awaiting the response, failed checks", "server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "", down, "x/s1 500 DC--"},
		{"in a body with a length", "server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", maint, "x/s1 500 DC--"},
		{"in a body in chunks", "server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", down, "x/s1 500 DC--"},
		{"in a body until the end", "server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "HTTP/1.1 200 OK\r\n\r\nabc", maint, "x/s1 500 DC--"},
		{"of default-server", "default-server on-marked-down shutdown-sessions\n server s1 10.2.0.1:80", "", maint, "x/s1 500 DC--"},
		{"not asked for", "server s1 10.2.0.1:80", "", maint, ""},
		{"drain", "server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "", drain, ""},
		{"mode tcp", "mode tcp\n option tcplog\n server s1 10.2.0.1:80 on-marked-down shutdown-sessions", "abc", maint, "x/s1 DC"},
		{"mode tcp, not asked for", "mode tcp\n option tcplog\n server s1 10.2.0.1:80", "abc", maint, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sim.NewStage(t, markedHead+"listen x\n bind "+markedFront+"\n "+c.conf+"\n", nil)
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(markedFront)
			p.Send(markedGet)
			v := h.Accept()
			v.Head()
			if c.answer != "" {
				v.Send(c.answer)
			}
			s.Pass(time.Second)
			be := s.Backend("x")
			c.how(be.Servers()[0])
			s.Pass(time.Second)
			n := len(p.Got())
			if c.want == "" {
				wantExchanges(t, s)
				v.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
				s.Pass(time.Second)
				if len(p.Got()) == n {
					t.Error("nothing more came")
				}
				return
			}
			wantExchanges(t, s, c.want)
			if be.Counters[0].ClientAborts.Load() != 0 || be.Counters[0].ServerAborts.Load() != 0 {
				t.Error("counted as an abort of a client or a server")
			}
			if n := be.Servers()[0].Cur.Load(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

// What waits for a slot of the server that goes down stays in the queue, and
// others are left alone.
func TestOnMarkedDownQueue(t *testing.T) {
	s := sim.NewStage(t, markedHead+"listen x\n bind "+markedFront+"\n server s1 10.2.0.1:80 maxconn 1 on-marked-down shutdown-sessions\n server s2 10.2.0.2:80 maxconn 1\n", nil)
	h1, h2 := s.Listen("10.2.0.1:80"), s.Listen("10.2.0.2:80")
	a, b := s.Dial(markedFront), s.Dial(markedFront)
	a.Send(markedGet)
	s.Pass(time.Millisecond)
	b.Send(markedGet)
	h1.Accept().Head()
	v2 := h2.Accept()
	v2.Head()
	q := s.Dial(markedFront)
	q.Send(markedGet)
	s.Pass(time.Second)
	s.Backend("x").Server("s1").SetAdmin(time.Time{}, server.ForcedMaint, 0, "")
	s.Pass(time.Second)
	wantExchanges(t, s, "x/s1 500 DC--")
	v2.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
	v2 = h2.Accept() // of what waited
	v2.Head()
	v2.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
	s.Pass(time.Second)
	wantExchanges(t, s, "x/s2 200 ----", "x/s2 200 ----")
}

// A server that comes up ends what backup servers of its backend serve.
func TestOnMarkedUp(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{"on-marked-up shutdown-backup-sessions", "x/b1 500 UC--"},
		{"", ""},
		{"weight 0 on-marked-up shutdown-backup-sessions", ""},
		{"backup on-marked-up shutdown-backup-sessions", ""},
	} {
		t.Run(c.options, func(t *testing.T) {
			s := sim.NewStage(t, markedHead+"listen x\n bind "+markedFront+"\n server b1 10.2.0.2:80 backup\n server s1 10.2.0.1:80 disabled "+c.options+"\n"+
				"listen y\n bind 10.1.0.2:80\n server b1 10.2.0.3:80 backup\n", nil)
			h, other := s.Listen("10.2.0.2:80"), s.Listen("10.2.0.3:80")
			p, q := s.Dial(markedFront), s.Dial("10.1.0.2:80")
			p.Send(markedGet)
			q.Send(markedGet)
			v := h.Accept()
			v.Head()
			o := other.Accept()
			o.Head()
			s.Pass(time.Second)
			s.Lines()
			s.Backend("x").Server("s1").SetAdmin(time.Time{}, 0, server.ConfigMaint, "")
			s.Pass(time.Second)
			if c.want != "" {
				wantExchanges(t, s, c.want)
			} else {
				wantExchanges(t, s)
			}
			o.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
			s.Pass(time.Second)
			if !strings.HasPrefix(q.Got(), "HTTP/1.1 200 ") {
				t.Errorf("another backend's backup: %q", q.Got())
			}
		})
	}
}

// Leaving the drain state is no coming up: the server was never down.
func TestOnMarkedUpAfterDrain(t *testing.T) {
	s := sim.NewStage(t, markedHead+"listen x\n bind "+markedFront+"\n server b1 10.2.0.2:80 backup\n server s1 10.2.0.1:80 on-marked-up shutdown-backup-sessions\n", nil)
	h := s.Listen("10.2.0.2:80")
	v := s.Backend("x").Server("s1")
	v.SetAdmin(time.Time{}, server.ForcedDrain, 0, "")
	p := s.Dial(markedFront)
	p.Send(markedGet)
	b := h.Accept()
	b.Head()
	v.SetAdmin(time.Time{}, 0, server.ForcedDrain, "")
	s.Pass(time.Second)
	wantExchanges(t, s)
	b.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
	s.Pass(time.Second)
	wantExchanges(t, s, "x/b1 200 ----")
}
