package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

func challenge(status int, field, value string) string {
	return fmt.Sprintf("HTTP/1.1 %d no\r\n%s: %s\r\ncontent-length: 0\r\n\r\n", status, field, value)
}

// A server connection that carries a user is that client's from then on.
func TestConnectionsOfUsers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		private      bool
	}{
		{"NTLM", challenge(401, "WWW-Authenticate", "NTLM"), true},
		{"lower case", challenge(401, "www-authenticate", "ntlm abc"), true},
		{"Negotiate", challenge(401, "WWW-Authenticate", "Negotiate"), true},
		{"Nego2", challenge(401, "WWW-Authenticate", "nEGO2 x=y"), true},
		{"second field", "HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: NTLM\r\ncontent-length: 0\r\n\r\n", true},
		{"second of a list", challenge(401, "WWW-Authenticate", `Basic realm="a, NTLM", Negotiate`), true},
		{"proxy", challenge(407, "Proxy-Authenticate", "NTLM"), true},
		{"Basic", challenge(401, "WWW-Authenticate", `Basic realm="NTLM, Negotiate"`), false},
		{"proxy's field in a 401", challenge(401, "Proxy-Authenticate", "NTLM"), false},
		{"another status", challenge(403, "WWW-Authenticate", "NTLM"), false},
	} {
		for _, reuse := range []string{"safe", "aggressive", "always", "never"} {
			t.Run(c.name+"/"+reuse, func(t *testing.T) {
				s := stage(t, "http-reuse "+reuse)
				h := s.Listen("10.2.0.1:80")
				h.ServeEach(func(conn int, head string) string {
					if strings.HasPrefix(head, "GET /auth") {
						return c.answer
					}
					return fmt.Sprintf("HTTP/1.1 200 OK\r\nconn: %d\r\ncontent-length: 0\r\n\r\n", conn)
				})
				a, b := s.Dial(front), s.Dial(front)
				ask := func(c *sim.Peer, path string) (conn string) {
					t.Helper()
					c.Send("GET " + path + " HTTP/1.1\r\nhost: a\r\n\r\n")
					_, after, _ := strings.Cut(c.Head(), "conn: ")
					conn, _, _ = strings.Cut(after, "\r")
					return conn
				}
				users := ask(a, "/")
				ask(a, "/auth")
				shared := 0
				for range 4 {
					if ask(b, "/") == users {
						shared++
					}
				}
				private := c.private || reuse == "never"
				if private != (shared == 0) {
					t.Errorf("%d of another client's requests went over the user's connection", shared)
				}
				for range 3 { // the user's goes on, as often as it likes
					if n := ask(a, "/"); c.private && n != users {
						t.Errorf("connection %s, want %s", n, users)
					}
					s.Pass(time.Second)
				}
				n := len(h.Conns)
				ask(s.Dial(front), "/")
				if v := h.Conns[0]; c.private && len(h.Conns) == n && reuse == "never" {
					t.Errorf("%d connections, %v", n, v)
				}
				a.Close()
				s.Pass(time.Millisecond)
				if private != h.Conns[0].Ended() {
					t.Errorf("the client left, its connection has ended: %v, want %v", !private, private)
				}
			})
		}
	}
}

// The same with servers and clients of HTTP/2, and with several servers: the
// client goes on with the one that knows the user.
func TestServersOfUsers(t *testing.T) {
	const conf = " http-reuse always\n balance roundrobin\n server s1 10.2.0.1:80%s\n server s2 10.2.0.2:80%[1]s\n server s3 10.2.0.3:80%[1]s\n"
	serve := func(name string) func(int, string) string {
		return func(conn int, head string) string {
			if strings.HasPrefix(head, "GET /auth") {
				return challenge(401, "WWW-Authenticate", "Negotiate")
			}
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nconn: %s%d\r\ncontent-length: 0\r\n\r\n", name, conn)
		}
	}
	t.Run("stays", func(t *testing.T) {
		s := stage(t, fmt.Sprintf(conf, ""))
		for i, n := range []string{"a", "b", "c"} {
			s.Listen(fmt.Sprintf("10.2.0.%d:80", i+1)).ServeEach(serve(n))
		}
		c, d := s.Dial(front), s.Dial(front)
		ask := func(c *sim.Peer, path string) (conn string) {
			t.Helper()
			c.Send("GET " + path + " HTTP/1.1\r\nhost: a\r\n\r\n")
			_, after, _ := strings.Cut(c.Head(), "conn: ")
			conn, _, _ = strings.Cut(after, "\r")
			return conn
		}
		var got []string
		for range 3 {
			got = append(got, ask(c, "/"))
		}
		ask(c, "/auth") // a
		for range 3 {
			got = append(got, ask(c, "/"), ask(d, "/"))
		}
		// The other client goes round as ever, on connections of its own at a.
		if s := strings.Join(got, " "); s != "a1 b1 c1 a1 b1 a1 c1 a1 a2" {
			t.Error(s)
		}
	})
	t.Run("waits for its server", func(t *testing.T) {
		s := stage(t, fmt.Sprintf(conf, " maxconn 1"))
		var hosts []*sim.Host
		for i := range 3 {
			hosts = append(hosts, s.Listen(fmt.Sprintf("10.2.0.%d:80", i+1)))
		}
		c := s.Dial(front)
		c.Send(get)
		mine := hosts[0].Accept()
		mine.Head()
		mine.Send(challenge(401, "WWW-Authenticate", "NTLM"))
		c.Head()
		// Others take all the slots; the user's next request waits for the first to
		// be free, although another server is free before it.
		d, e, f := s.Dial(front), s.Dial(front), s.Dial(front)
		d.Send(get) // s2
		other2 := hosts[1].Accept()
		e.Send(get) // s3
		hosts[2].Accept()
		f.Send(get) // s1
		other1 := hosts[0].Accept()
		c.Send(get)
		s.Pass(500 * time.Millisecond)
		other2.Head()
		other2.Send(ok)
		d.Expect("ok")
		s.Pass(500 * time.Millisecond)
		if !hosts[1].Idle() || mine.Got() != "" {
			t.Fatal("the user's request went elsewhere")
		}
		other1.Head()
		other1.Send(ok)
		f.Expect("ok")
		mine.Head()
		mine.Send(ok)
		c.Expect("ok")
		if l := s.Lines(); !strings.Contains(l[len(l)-1], "x/s1 0/1000/") {
			t.Errorf("%q", l)
		}
	})
	t.Run("its server goes down", func(t *testing.T) {
		s := stage(t, fmt.Sprintf(conf, ""))
		for i, n := range []string{"a", "b", "c"} {
			s.Listen(fmt.Sprintf("10.2.0.%d:80", i+1)).ServeEach(serve(n))
		}
		c := s.Dial(front)
		c.Send("GET /auth HTTP/1.1\r\nhost: a\r\n\r\n")
		c.Head()
		s.Backend("x").Server("s1").SetAdmin(time.Now(), server.ForcedMaint, 0, "test")
		c.Send(get)
		if h := c.Head(); strings.Contains(h, "conn: a") {
			t.Errorf("%q", h)
		}
	})
}

// How many connections a client keeps for itself.
func TestSessionConns(t *testing.T) {
	for _, c := range []struct {
		line string
		kept int
	}{{"", 5}, {"max-session-srv-conns 2", 2}, {"max-session-srv-conns 0", 0}} {
		var b strings.Builder
		for i := range 7 {
			fmt.Fprintf(&b, " server s%d 10.2.0.%d:80\n", i, i+1)
		}
		s := stage(t, c.line+"\n http-reuse never\n"+b.String())
		var hosts []*sim.Host
		for i := range 7 {
			h := s.Listen(fmt.Sprintf("10.2.0.%d:80", i+1))
			h.Serve(func(string) string { return ok })
			hosts = append(hosts, h)
		}
		p := s.Dial(front)
		for range 14 {
			p.Send(get)
			p.Expect("ok")
		}
		s.Pass(time.Millisecond)
		open := 0
		for _, h := range hosts {
			for _, v := range h.Conns {
				if !v.Ended() {
					open++
				}
			}
		}
		counted := func() (private, idle int64) {
			for _, v := range s.Backend("x").Servers() {
				private += v.Private.Load()
				idle += v.Idle.Load()
			}
			return private, idle
		}
		if private, idle := counted(); private != int64(c.kept) || idle != private {
			t.Errorf("%q: %d private idle connections of %d are counted", c.line, private, idle)
		}
		if open != c.kept {
			t.Errorf("%q: %d connections are kept, want %d", c.line, open, c.kept)
		}
		p.Close()
		s.Pass(time.Millisecond)
		if private, idle := counted(); private != 0 || idle != 0 {
			t.Errorf("%q: %d private idle connections of %d are counted when nobody is there", c.line, private, idle)
		}
		for _, h := range hosts {
			for _, v := range h.Conns {
				if !v.Ended() {
					t.Errorf("%q: one is left", c.line)
				}
			}
		}
	}
}

// A connection of HTTP/2 that carries a user takes no other client's streams, even
// while it carries those that began before.
func TestUsersOverH2(t *testing.T) {
	for _, client := range []string{"h1", "h2"} {
		s := stage(t, "http-reuse always\n server s1 10.2.0.1:80 proto h2")
		h := s.Listen("10.2.0.1:80")
		type asker func() (answered func())
		dial := func() asker {
			p := s.Dial(front)
			if client == "h1" {
				return func() func() {
					p.Send(get)
					return func() { p.Head() }
				}
			}
			c := startH2Peer(t, p, false)
			return func() func() {
				c.ask("GET", "/x", true)
				return func() { c.head() }
			}
		}
		a, b := dial(), dial()
		answer := a()
		v := startH2Peer(t, h.Accept(), true)
		first, _, _ := v.head()
		other := b() // shares the connection
		second, _, _ := v.head()
		v.send(first, true, ":status", "401", "www-authenticate", "NTLM")
		answer()
		third := b()
		if client == "h1" {
			v.send(second, true, ":status", "204")
			other()
		}
		w := startH2Peer(t, h.Accept(), true) // does not share it any more
		id, _, _ := w.head()
		w.send(id, true, ":status", "204")
		third()
		if client == "h2" {
			v.send(second, true, ":status", "204")
			other()
		}
		for range 3 {
			answer = a()
			id, _, _ = v.head()
			v.send(id, true, ":status", "204")
			answer()
		}
		if !h.Idle() {
			t.Errorf("%s: one connection more", client)
		}
	}
}

// What a client keeps for itself stays with it, whatever another configuration
// says of sharing.
func TestKeptAcrossConfigurations(t *testing.T) {
	for _, proto := range []string{"", " proto h2"} {
		conf := func(reuse string) string {
			return stageHead + "listen x\n bind " + front + "\n http-reuse " + reuse + "\n server s1 10.2.0.1:80" + proto + "\n"
		}
		s := sim.NewStage(t, conf("never"), nil)
		h := s.Listen("10.2.0.1:80")
		a, b := s.Dial(front), s.Dial(front)
		var v *sim.Peer
		var hv *h2peer
		exchange := func(c *sim.Peer, between func()) {
			t.Helper()
			c.Send(get)
			if v == nil {
				if v = h.Accept(); proto != "" {
					hv = startH2Peer(t, v, true)
				}
			}
			if hv != nil {
				id, _, _ := hv.head()
				between()
				hv.send(id, true, ":status", "204")
			} else {
				v.Head()
				between()
				v.Send("HTTP/1.1 204 no\r\n\r\n")
			}
			c.Head()
		}
		exchange(a, func() {})
		exchange(a, func() { s.Apply(conf("always")) })
		exchange(a, func() {})
		first := v
		v, hv = nil, nil
		exchange(b, func() {})
		first.Close()
		s.Pass(time.Second)
		v.Close()
		s.Pass(time.Second)
		if sv := s.Backend("x").Server("s1"); sv.Idle.Load() != 0 || sv.Used.Load() != 0 || sv.Pools[0].Len() != 0 || sv.Pools[0].Shared() != 0 {
			t.Errorf("%q: %d idle, %d used, %d and %d in the pool", proto, sv.Idle.Load(), sv.Used.Load(), sv.Pools[0].Len(), sv.Pools[0].Shared())
		}
	}
}
