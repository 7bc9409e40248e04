package cookie_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// get is a request of a client, with a cookie.
func get(path, cookie string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: h\r\nCookie: SRV=" + cookie + "\r\n\r\n"
}

// Who waits for its server goes on waiting while that is drained, and chooses another
// when it is down, or in maintenance, unless it may not.
func TestWaits(t *testing.T) {
	for _, c := range []struct {
		lines  string
		admin  server.Admin
		served string
		logged string
	}{
		{"", server.ForcedDrain, "10.2.0.1:80", "s1 --VN 0"},
		{"option redispatch", server.ForcedDrain, "10.2.0.1:80", "s1 --VN 0"},
		{"", server.ForcedMaint, "10.2.0.2:80", "s2 --DI +0"},
		{"option redispatch", server.ForcedMaint, "10.2.0.2:80", "s2 --DI +0"},
		{"option persist", server.ForcedMaint, "10.2.0.2:80", "s2 --DI +0"},
		{"force-persist if TRUE", server.ForcedMaint, "10.2.0.1:80", "s1 --VN 0"},
		{"", 0, "10.2.0.2:80", "s2 --VN 0"}, // down
		{"option redispatch", 0, "10.2.0.2:80", "s2 --DI +0"},
		{"option redispatch\n option persist", 0, "10.2.0.1:80", "s1 --VN 0"},
	} {
		s := sim.NewStage(t, head+" timeout queue 20s\nlisten b\n bind 10.0.0.1:80\n log {log} local0\n log-format \"%HU %s %tsc %rc\"\n cookie SRV insert\n "+c.lines+"\n server s1 10.2.0.1:80 cookie c1 maxconn 1\n server s2 10.2.0.2:80 cookie c2\n", nil)
		hosts := map[string]*sim.Host{"10.2.0.1:80": s.Listen("10.2.0.1:80"), "10.2.0.2:80": s.Listen("10.2.0.2:80")}
		first, second := s.Dial("10.0.0.1:80"), s.Dial("10.0.0.1:80")
		first.Send(get("/first", "c1"))
		held := hosts["10.2.0.1:80"].Accept()
		held.Head()
		second.Send(get("/second", "c1"))
		s.Pass(time.Second)
		srv := s.Backend("b").Server("s1")
		if n := srv.Queued.Load(); n != 1 {
			t.Fatalf("%d wait", n)
		}
		if c.admin != 0 {
			srv.SetAdmin(s.Worker.Reactors[0].Wall(), c.admin, 0, "test")
		} else {
			srv.Update(s.Worker.Reactors[0].Wall(), "test", func(st *server.State) { st.Op = server.Stopped })
		}
		s.Pass(time.Second)
		want := hosts[c.served]
		if c.served == "10.2.0.1:80" || c.lines == "" && c.admin == 0 { // nobody has let go of it
			if n := srv.Queued.Load(); n != 1 {
				t.Errorf("%q, %d: %d wait", c.lines, c.admin, n)
			}
			if c.lines == "" && c.admin == 0 { // it waits until it may not any more
				srv.Update(s.Worker.Reactors[0].Wall(), "test", func(st *server.State) { st.Op = server.Running })
				c.logged, want = "s1 --VN 0", hosts["10.2.0.1:80"]
			}
			held.Send(ok)
			held.Close()
		}
		v := want.Accept()
		v.Head()
		v.Send(ok)
		second.Head()
		s.Pass(time.Second)
		if got := strings.Join(s.Lines(), "\n"); !strings.Contains(got, "/second "+c.logged) {
			t.Errorf("%q, %d: no %q in\n%s", c.lines, c.admin, c.logged, got)
		}
	}
}

// A full queue makes a client leave its server only if it may.
func TestFullQueue(t *testing.T) {
	for lines, want := range map[string]string{"": "503 b s1 SQVN 0", "option redispatch": "200 b s2 --DI +0", "option redispatch\n force-persist if TRUE": "503 b s1 SQVN 0"} {
		s := sim.NewStage(t, head+"listen b\n bind 10.0.0.1:80\n log {log} local0\n log-format \"%HU %ST %b %s %tsc %rc\"\n cookie SRV insert\n "+lines+"\n server s1 10.2.0.1:80 cookie c1 maxconn 1 maxqueue 1\n server s2 10.2.0.2:80 cookie c2\n", nil)
		s.Listen("10.2.0.1:80")
		s.Listen("10.2.0.2:80").Serve(func(string) string { return ok })
		for _, path := range []string{"/a", "/b"} {
			s.Dial("10.0.0.1:80").Send(get(path, "c1"))
			s.Pass(time.Millisecond)
		}
		c := s.Dial("10.0.0.1:80")
		c.Send(get("/c", "c1"))
		c.Head()
		s.Pass(time.Second)
		if got := strings.Join(s.Lines(), "\n"); !strings.Contains(got, "/c "+want) {
			t.Errorf("%q: no %q in\n%s", lines, want, got)
		}
	}
}

// The dates in a cookie count on the clock.
func TestTimePasses(t *testing.T) {
	s := sim.NewStage(t, head+"listen b\n bind 10.0.0.1:80\n log {log} local0\n log-format \"= %s %tsc\"\n balance first\n cookie SRV insert maxidle 30m maxlife 1h\n server s1 10.2.0.1:80 cookie c1\n server s2 10.2.0.2:80 cookie c2\n", nil)
	for _, a := range []string{"10.2.0.1:80", "10.2.0.2:80"} {
		s.Listen(a).Serve(func(string) string { return ok })
	}
	c := s.Dial("10.0.0.1:80")
	jar := "c2"
	ask := func(want string) {
		t.Helper()
		if c.Ended() {
			c = s.Dial("10.0.0.1:80")
		}
		c.Send(get("/", jar))
		for _, f := range fields(c.Head(), "Set-Cookie") {
			jar = regexp.MustCompile(`SRV=([^;]*)`).FindStringSubmatch(f)[1]
		}
		s.Pass(time.Second)
		lines := s.Lines()
		if got := lines[len(lines)-1]; !strings.HasSuffix(got, "= "+want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	ask("s2 --VU") // a date is set
	ask("s2 --VN")
	s.Pass(20 * time.Minute)
	ask("s2 --VU")
	s.Pass(20 * time.Minute)
	ask("s2 --VU")
	first := strings.Split(jar, "|")[2]
	s.Pass(15 * time.Minute)
	ask("s2 --VU")
	if strings.Split(jar, "|")[2] != first {
		t.Errorf("the first date has changed: %s", jar)
	}
	s.Pass(6 * time.Minute)
	ask("s1 --OI")
	s.Pass(31 * time.Minute)
	ask("s1 --EI")
}

// An RDP cookie names the address of a server.
func TestRDP(t *testing.T) {
	s := sim.NewStage(t, strings.Replace(head, "mode http", "mode tcp", 1)+"listen b\n bind 10.0.0.1:80\n tcp-request inspect-delay 5s\n tcp-request content accept if { req.rdp_cookie(msts) -m found }\n persist rdp-cookie\n balance first\n server s1 10.2.0.1:3389\n server s2 10.2.0.2:3389\n server s3 10.2.0.3:3389 disabled\n", nil)
	hosts := []*sim.Host{s.Listen("10.2.0.1:3389"), s.Listen("10.2.0.2:3389"), s.Listen("10.2.0.3:3389")}
	request := func(addr string) string {
		return "\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: msts=" + addr + "\r\n"
	}
	// 10.2.0.2 is 0x0200020a the other way round, 3389 is 15629.
	for cookie, want := range map[string]int{"33554954.15629.0000": 1, "50332170.15629.0000": 0, "33554954.15630.0000": 0, "x.15629.0000": 0, "33554954.15629": 0, "99999999999.1.0000": 0} {
		s.Dial("10.0.0.1:80").Send(request(cookie))
		s.Pass(6 * time.Second)
		for i, h := range hosts {
			if !h.Idle() {
				if h.Accept(); i != want {
					t.Errorf("%s: server %d", cookie, i+1)
				}
				want = -1
			}
		}
		if want >= 0 {
			t.Errorf("%s: no server", cookie)
		}
	}
}

// Commands change dynamic cookies; what they have changed lives on until the
// configuration says something new, and is told of.
func TestCommands(t *testing.T) {
	text := func(line, key string) string {
		return head + "backend b\n cookie SRV insert " + line + "\n dynamic-cookie-key " + key + "\n server s1 127.0.0.1:36201\n server s2 127.0.1.2:36202 cookie c2\n"
	}
	w := bed.Start(t, 1, text("dynamic", "secretkey"))
	cookie := func(object string) string {
		for _, l := range strings.Split(bed.Ask(t, w, "show stat typed"), "\n") {
			if strings.HasPrefix(l, object) && strings.Contains(l, ".74.cookie.") {
				return l[strings.LastIndex(l, ":")+1:]
			}
		}
		return ""
	}
	is := func(want string) {
		t.Helper()
		if got := cookie("S.2.1."); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	ask := func(line, want string) {
		t.Helper()
		if got := strings.TrimSpace(bed.Ask(t, w, line)); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	const one = "c23f822e427cf64e"
	is(one)
	if cookie("B.2.0.") != "SRV" || cookie("S.2.2.") != "c2" {
		t.Error(cookie("B.2.0."), cookie("S.2.2."))
	}
	for line, want := range map[string]string{
		"disable dynamic-cookie backend": "A backend name is expected.", "enable dynamic-cookie backend": "A backend name is expected.", "set dynamic-cookie-key backend": "A backend name is expected.",
		"disable dynamic-cookie backend x": "No such backend.", "enable dynamic-cookie backend x": "No such backend.", "set dynamic-cookie-key backend x k": "No such backend.", "set dynamic-cookie-key backend b": "String value expected.",
	} {
		ask(line, want)
	}
	ask("disable dynamic-cookie backend b", "")
	is("")
	ask("show config runtime", "= backend b: dynamic cookies disabled (set at run time)")
	ask("enable dynamic-cookie backend b", "")
	is(one)
	ask("show config runtime", "")
	ask("set dynamic-cookie-key backend b other", "")
	other := cookie("S.2.1.")
	if other == one || len(other) != 16 {
		t.Error(other)
	}
	ask("show config runtime", "= backend b: another key of dynamic cookies (set at run time)")
	bed.Apply(t, w, text("dynamic nocache", "secretkey"))
	is(other)
	changes := fmt.Sprint(bed.Apply(t, w, text("dynamic", "third")))
	if !strings.Contains(changes, "- backend b: another key of dynamic cookies") {
		t.Error(changes)
	}
	if third := cookie("S.2.1."); third == other || third == one || third == "" {
		t.Error(third)
	}
	bed.Apply(t, w, text("dynamic", "secretkey"))
	is(one)
	// A server that moves has another cookie, and so has one that is added.
	bed.Ask(t, w, "set server b/s1 addr 127.0.1.2 port 36202")
	is("752014a4a552f2cf")
	bed.Ask(t, w, "add server b/s3 127.0.1.3:36203")
	bed.Ask(t, w, "add server b/s4 127.0.1.3:36204 cookie c4")
	if a, b := cookie("S.2.3."), cookie("S.2.4."); a != "704cc47dca6b6384" || b != "c4" {
		t.Error(a, b)
	}
	bed.Apply(t, w, text("", "secretkey"))
	is("")
}

// Inserting a cookie, and finding its server, allocates nothing.
func TestNoAllocation(t *testing.T) {
	origin := tcptest.Serve(t, func(c net.Conn) {
		out := []byte("HTTP/1.1 200 OK\r\nETag: x\r\nSet-Cookie: a=1\r\nContent-Length: 5\r\n\r\nhello")
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(out)
		}
	})
	port := tcptest.Reserve(t)
	bed.Start(t, 1, fmt.Sprintf("%slisten b\n bind %s\n balance first\n cookie SRV insert indirect nocache maxidle 30m httponly dynamic\n dynamic-cookie-key k\n server s1 %s\n server s2 %s cookie c2\n", head, port, origin, origin))
	for _, cookie := range []string{"SRV=x; a=1", "a=1; SRV=c2|ZVPxA; b=2", "a=1; SRV=c2; b=2"} {
		c, err := net.Dial("tcp", port.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		request := []byte("GET / HTTP/1.1\r\nHost: h\r\nCookie: " + cookie + "\r\n\r\n")
		buf := make([]byte, 4096)
		size := 0
		one := func() {
			c.Write(request)
			if size == 0 {
				size, err = c.Read(buf)
			} else {
				_, err = io.ReadFull(c, buf[:size])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			one()
		}
		if !strings.Contains(string(buf[:size]), "set-cookie: SRV=") {
			t.Errorf("%s", buf[:size])
		}
		if n := testing.AllocsPerRun(500, one); n >= 0.5 {
			t.Errorf("%s: %v allocations per request", cookie, n)
		}
	}
}

// The examples of the page load, without a word of complaint, and do what it says.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	snap := bed.Sound(t, bed.Examples(t, "README.md"))
	if p := snap.Backends["app"]; p == nil || len(p.OnChoose) != 1 || len(p.OnEnter) != 1 || !p.CookieState {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(string(page), "dynamic-cookie-key") {
		t.Error("nothing about dynamic cookies")
	}
}
