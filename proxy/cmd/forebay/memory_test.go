package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
)

// anonymous gives the memory of a process that is its own, in MiB, at its peak
// since the last call.
func anonymous(t *testing.T, pid string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "RssAnon:" {
			n, _ := strconv.Atoi(f[1])
			return n >> 10
		}
	}
	t.Fatalf("no RssAnon:\n%s", b)
	return 0
}

// field gives a value of "show info".
func (s *site) field(name string) int {
	s.t.Helper()
	for _, l := range strings.Split(s.ask(s.stats, "show info"), "\n") {
		if v, ok := strings.CutPrefix(l, name+": "); ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				s.t.Fatal(l)
			}
			return n
		}
	}
	s.t.Fatalf("no %s", name)
	return 0
}

// plain gives the program as it is built for users: the race detector takes
// several times the memory.
func plain(t *testing.T) string {
	t.Helper()
	if !race.Enabled {
		return "/proc/self/exe"
	}
	path := filepath.Join(t.TempDir(), "forebay")
	c := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// TestMemoryLimit fills a worker with far more than "-m" gives it: what is too
// much is refused, the worker stays near its limit, and serves again once those
// who held the memory have gone.
func TestMemoryLimit(t *testing.T) {
	const limit = 64
	path := plain(t)
	for _, c := range []struct {
		name string
		tls  bool
		fill func(c net.Conn)
	}{
		// a buffer and a coroutine each
		{"heads", false, func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 8000)) }},
		{"tls", true, func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 8000)) }},
		// bodies that nobody takes
		{"h2", false, func(c net.Conn) { h2Upload(c, 60000) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			o, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and reads nothing
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			opt := ""
			dial := func() (net.Conn, error) { return net.DialTimeout("tcp", s.addr, patience) }
			if c.tls {
				opt = certificate(t, s)
				dial = func() (net.Conn, error) { return dialTLS(s.addr) }
			}
			s.timeouts = "10m" // those who came first are still there at the end
			s.global = "  nbthread 2\n  maxconn 8000\n  tune.h2.fe.rxbuf 16m\n  tune.h2.fe.initial-window-size 1048576"
			s.extra = "frontend more\n  bind " + freePort(t) + opt + "\n  use_backend hole if { path /hole }\n  default_backend app\nbackend hole\n  server h " + o.Addr().String() + "\n"
			s.write()
			web := s.addr
			s.addr = strings.Fields(s.extra[strings.Index(s.extra, "bind "):])[1]
			cmd := command("-W", "-S", s.control, "-m", strconv.Itoa(limit), "-f", s.cfg)
			cmd.Path = path
			p := launch(t, cmd)
			p.await(1, "Loading success.")
			now, _ := s.workers()
			pid := one(t, now)
			if got := s.field("Memmax_MB"); got != limit {
				t.Errorf("Memmax_MB: %d", got)
			}
			if got := s.field("PoolFailed"); got != 0 {
				t.Errorf("PoolFailed: %d at the beginning", got)
			}
			var held []net.Conn
			defer func() {
				for _, c := range held {
					c.Close()
				}
			}()
			peak := 0
			for i := 0; i < 6000 && s.failedBelow(i, 200); i++ {
				conn, err := dial()
				if err != nil {
					continue // refused
				}
				c.fill(conn)
				held = append(held, conn)
				if i%100 == 0 {
					peak = max(peak, anonymous(t, pid))
				}
			}
			if got := s.field("PoolFailed"); got == 0 {
				t.Errorf("nothing was refused with %d connections and %d MB in use", len(held), anonymous(t, pid))
			}
			if peak = max(peak, anonymous(t, pid)); peak > limit*5/4 {
				t.Errorf("%d MB were in use", peak)
			}
			t.Logf("%d connections, at most %d MB, %d refused", len(held), peak, s.field("PoolFailed"))
			for _, c := range held {
				c.Close()
			}
			held = nil
			for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
				if err := s.get(web); err == nil {
					break
				} else if time.Now().After(end) {
					t.Fatalf("does not serve again: %v", err)
				}
			}
			if after, _ := s.workers(); one(t, after) != pid {
				t.Error("the worker died")
			}
		})
	}
}

// failedBelow tells now and then whether fewer than n were refused.
func (s *site) failedBelow(i, n int) bool { return i%50 != 49 || s.field("PoolFailed") < n }

// TestTooLittleMemory: what does not even hold the program is no limit to work
// with.
func TestTooLittleMemory(t *testing.T) {
	s := newSite(t)
	for _, mode := range []string{"-db", "-W"} {
		out, err := command(mode, "-m", "2", "-f", s.cfg).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "'-m 2' leaves no room for connections") {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}

// TestRequestsWithoutMemory: clients that are there already get an answer.
func TestRequestsWithoutMemory(t *testing.T) {
	s := newSite(t)
	s.timeouts = "10m"
	s.global = "  nbthread 1\n  maxconn 8000"
	s.write()
	p := launch(t, command("-W", "-S", s.control, "-m", "64", "-f", s.cfg))
	p.await(1, "Loading success.")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func() int {
		t.Helper()
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		return r.StatusCode
	}
	if got := ask(); got != 200 {
		t.Fatal(got)
	}
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for i := 0; i < 6000 && s.failedBelow(i, 50); i++ {
		h, err := net.Dial("tcp", s.addr)
		if err != nil {
			continue
		}
		io.WriteString(h, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 8000))
		held = append(held, h)
	}
	if got := ask(); got != 503 {
		t.Errorf("status %d", got)
	}
}

// TestAffordableConnections: where nobody says how many connections there may be,
// memory does, and TLS takes more of it.
func TestAffordableConnections(t *testing.T) {
	most := func(memory, extra string) int {
		s := newSite(t)
		s.extra = strings.ReplaceAll(extra, "@CERT@", certificate(t, s))
		s.write()
		p := launch(t, command("-W", "-S", s.control, "-m", memory, "-f", s.cfg))
		p.await(1, "Loading success.")
		return s.field("Maxconn")
	}
	clear := most("64", "")
	double := most("128", "")
	front := most("64", "frontend t\n  bind "+freePort(t)+" @CERT@\n")
	both := most("64", "frontend t\n  bind "+freePort(t)+" @CERT@\nbackend b\n  server s 127.0.0.1:1 ssl verify none\n")
	if clear < 500 || clear > 1500 || double < 2*clear || front >= clear || both >= front {
		t.Errorf("64 MB: %d, 128: %d, TLS: %d, on both sides: %d", clear, double, front, both)
	}
}
