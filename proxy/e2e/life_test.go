package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTunnel sends bytes through mode tcp, in both directions and to the end.
func TestTunnel(t *testing.T) {
	t.Parallel()
	in, echo := address(t), newEcho(t)
	log := collect(t)
	p := serve(t, strings.Replace(preface, "nbthread 2", "nbthread 2\n    log "+log.addr+" local0", 1)+fmt.Sprintf("listen t\n    mode tcp\n    log global\n    option tcplog\n    bind %s\n    server e %s\n", in, echo))
	c := dialLine(t, in)
	c.echo("one")
	const size = 64 << 20
	go func() {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = byte(i)
		}
		for range size / len(b) {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		c.Conn.(*net.TCPConn).CloseWrite()
	}()
	var n int
	b := make([]byte, 1<<16)
	for {
		m, err := c.r.Read(b)
		for i, v := range b[:m] {
			if v != byte(n+i) {
				t.Fatalf("byte %d is wrong", n+i)
			}
		}
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != size {
		t.Errorf("%d bytes came back of %d", n, size)
	}
	lines := log.next(t, "t t/e")
	if l := lines[len(lines)-1]; !regexp.MustCompile(fmt.Sprintf(`\]: 127\.0\.0\.1:\d+ \[.*\] t t/e \d+/\d+/\d+ %d -- 1/1/0/0/0 0/0$`, size+4)).MatchString(l) {
		t.Errorf("log: %s", l)
	}
	p.awaitStat("t", "FRONTEND", "scur", "0")
}

// TestQueue lets a server with maxconn 1 take one request at a time.
func TestQueue(t *testing.T) {
	t.Parallel()
	web, release := address(t), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	arrived := make(chan int, 16)
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			arrived <- n
			go func() {
				defer c.Close()
				<-release
				c.Read(make([]byte, 4096))
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			}()
		}
	}()
	p := serve(t, preface+fmt.Sprintf("listen q\n    bind %s\n    server s1 %s maxconn 1\n", web, l.Addr()))
	results := make(chan error, 5)
	for range 5 {
		go func() {
			status, _, err := get(web, "/")
			if err == nil && status != 200 {
				err = fmt.Errorf("status %d", status)
			}
			results <- err
		}()
	}
	<-arrived
	p.awaitStat("q", "BACKEND", "qcur", "4")
	if n := len(arrived); n != 0 {
		t.Errorf("%d more requests arrived", n)
	}
	close(release)
	for range 5 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := p.statInt("q", "s1", "smax"); n != 1 {
		t.Errorf("%d at once", n)
	}
}

// TestChecks ends a server and starts it again.
func TestChecks(t *testing.T) {
	t.Parallel()
	web, at := address(t), address(t)
	one, two := newOriginAt(t, "one", at), newOrigin(t, "two")
	p := serve(t, preface+fmt.Sprintf("frontend web\n    bind %s\n    default_backend app\nbackend app\n    option httpchk GET /\n    default-server check inter 50ms rise 2 fall 2\n    server s1 %s\n    server s2 %s backup\n", web, one.addr, two.addr), "-W")
	p.awaitStat("app", "s1", "check_status", "L7OK")
	mustGet(t, web, "/", "one")
	one.srv.Close()
	p.awaitStat("app", "s1", "status", "DOWN")
	mustGet(t, web, "/", "two")
	p.await(1, "Server app/s1 is DOWN, reason: Layer4 connection problem")
	newOriginAt(t, "again", at)
	p.awaitStat("app", "s1", "status", "UP")
	mustGet(t, web, "/", "again")
	p.await(1, "Server app/s1 is UP, reason: Layer7 check passed")
	// A reload keeps what is known of the servers.
	two.srv.Close()
	p.awaitStat("app", "s2", "status", "DOWN")
	configure(t, p.dir, strings.Replace(read(t, p.file), "timeout server  30s", "timeout server 31s", 1))
	p.reload()
	if s := p.stat("app", "s2", "status"); !strings.HasPrefix(s, "DOWN") {
		t.Errorf("s2 is %s after the reload", s)
	}
}

// TestWorkerIsConfined looks at the running worker from outside: no file
// open, no capability but to bind ports below 1024 (a configuration that is applied
// later may name one), no way to get more; and its user.
func TestWorkerIsConfined(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: changing the user needs root")
	}
	app := newOrigin(t, "app")
	text := strings.Replace(shop{web: address(t), origin: app.addr, threads: 2, timeout: 30}.text(), "global\n", "global\n    user nobody\n    group nogroup\n", 1)
	p := serve(t, text, "-W")
	pid := p.worker()
	status := read(t, "/proc/"+pid+"/status")
	for _, want := range []string{`(?m)^NoNewPrivs:\s+1$`, `(?m)^CapEff:\s+0+400$`, `(?m)^CapPrm:\s+0+400$`, `(?m)^CapBnd:\s+0+$`, `(?m)^Uid:\s+65534\s+65534\s+65534\s+65534$`, `(?m)^Gid:\s+65534\s+65534`} {
		if !regexp.MustCompile(want).MatchString(status) {
			t.Errorf("no %s in\n%s", want, status)
		}
	}
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks { // each thread has its own
		if s := read(t, task); !regexp.MustCompile(`(?m)^NoNewPrivs:\s+1$`).MatchString(s) || !regexp.MustCompile(`(?m)^CapEff:\s+0+400$`).MatchString(s) {
			t.Errorf("%s:\n%s", task, s)
		}
	}
	links, err := filepath.Glob("/proc/" + pid + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		to, err := os.Readlink(l)
		// Go's runtime reads the limits of its own cgroup.
		if err == nil && strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/dev/") && !strings.HasPrefix(to, "/sys/fs/cgroup/") {
			t.Errorf("the worker holds %s", to)
		}
	}
	// A reload works all the same.
	configure(t, p.dir, strings.Replace(read(t, p.file), "timeout server 30s", "timeout server 31s", 1))
	p.reload()
	if p.worker() != pid {
		t.Error("another worker")
	}
}

// TestStops sends the signals that end it: TERM at once, USR1 when the last
// connection is done, or after hard-stop-after.
func TestStops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		args   []string
		signal syscall.Signal
		hard   string
		held   bool // a connection stays open
	}{
		{"TERM alone", nil, syscall.SIGTERM, "", true},
		{"TERM to the master", []string{"-W"}, syscall.SIGTERM, "", true},
		{"USR1 alone", nil, syscall.SIGUSR1, "", false},
		{"USR1 to the master", []string{"-W"}, syscall.SIGUSR1, "", false},
		{"hard-stop-after", nil, syscall.SIGUSR1, "    hard-stop-after 200ms\n", true},
		{"hard-stop-after with a master", []string{"-W"}, syscall.SIGUSR1, "    hard-stop-after 200ms\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, echo := address(t), newEcho(t)
			p := serve(t, strings.Replace(preface, "global\n", "global\n"+c.hard, 1)+fmt.Sprintf("listen t\n    mode tcp\n    bind %s\n    server e %s\n", in, echo), c.args...)
			l := dialLine(t, in)
			l.echo("here")
			p.signal(c.signal)
			if !c.held {
				until(t, "it stops to listen", func() bool {
					n, err := net.Dial("tcp", in)
					if err == nil {
						n.Close()
					}
					return err != nil
				})
				l.echo("still here")
				l.Close()
			}
			code := p.exit()
			want := 0
			if c.signal == syscall.SIGTERM && c.args == nil {
				want = 128 + int(syscall.SIGTERM)
			}
			if code != want && !(c.args != nil && code == 128+int(c.signal)) {
				t.Errorf("exit code %d, want %d", code, want)
			}
			if c.held {
				if _, err := l.r.ReadByte(); err == nil {
					t.Error("the connection goes on")
				}
			}
		})
	}
}

// TestTakeOver replaces a process by another one under load, with the sockets
// of the old one (-x) and a word to it (-sf).
func TestTakeOver(t *testing.T) {
	app := newOrigin(t, "app")
	s := shop{web: address(t), origin: app.addr, threads: 2, timeout: 30}
	old := serve(t, s.text())
	l := startLoad(old, s.web, 16)
	for range 5 {
		p := &proxy{dir: old.dir, file: old.file, stats: old.stats}
		p.program = start(t, forebay, "-f", old.file, "-x", old.stats, "-sf", strconv.Itoa(old.cmd.Process.Pid))
		if code := old.exit(); code != 0 {
			t.Errorf("the old process ended with %d", code)
		}
		p.awaitReady()
		if pid := p.info("Pid"); pid != strconv.Itoa(p.cmd.Process.Pid) {
			t.Errorf("process %s answers", pid)
		}
		old = p
	}
	l.finish()
}

// TestNotifies follows what systemd is told with -Ws.
func TestNotifies(t *testing.T) {
	t.Parallel()
	app, dir := newOrigin(t, "app"), scratch(t)
	s := shop{web: address(t), origin: app.addr, threads: 1, timeout: 30}
	file := configure(t, dir, s.text())
	socket := filepath.Join(dir, "notify")
	n, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c := exec.Command(forebay, "-Ws", "-f", file, "-S", filepath.Join(dir, "m"))
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	p := launch(t, c)
	hear := func(want string) {
		t.Helper()
		n.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 4096)
		var all string
		for !strings.Contains(all, want) {
			m, _, err := n.ReadFrom(b)
			if err != nil {
				t.Fatalf("no %s, but %q", want, all)
			}
			all += string(b[:m]) + "\n"
		}
	}
	hear("READY=1")
	mustGet(t, s.web, "/", "app")
	p.signal(syscall.SIGUSR2)
	hear("RELOADING=1")
	hear("READY=1")
	p.signal(syscall.SIGTERM)
	hear("STOPPING=1")
}

// TestFields compares the names of "show info" and the first columns of "show
// stat" with HAProxy's: those of 2.6 have to be there, in its order.
func TestFields(t *testing.T) {
	t.Parallel()
	haproxy := tool(t, "haproxy")
	app := newOrigin(t, "app")
	ours := serve(t, shop{web: address(t), origin: app.addr, threads: 1, timeout: 30}.text())
	theirs := serveWith(t, haproxy, shop{web: address(t), origin: app.addr, threads: 1, timeout: 30}.text())
	header := func(p *proxy) []string {
		line, _, _ := strings.Cut(p.ask("show stat"), "\n")
		return strings.Split(strings.Trim(line, "# ,"), ",")
	}
	names := func(p *proxy) (out []string) {
		for l := range strings.Lines(p.ask("show info")) {
			if name, _, is := strings.Cut(l, ":"); is {
				out = append(out, name)
			}
		}
		return out
	}
	inOrder := func(what string, ours, theirs []string) {
		i := 0
		for _, n := range ours {
			if i < len(theirs) && theirs[i] == n {
				i++
			}
		}
		if i < len(theirs) {
			t.Errorf("%s: %q is missing or out of order in\n%v", what, theirs[i], ours)
		}
	}
	// At the end the columns are those of modules, which differ by version.
	stat := header(theirs)
	for i, n := range stat {
		if n == "ssl_sess" || strings.HasPrefix(n, "h2_") || strings.HasPrefix(n, "h3_") || strings.HasPrefix(n, "h1_") {
			stat = stat[:i]
			break
		}
	}
	inOrder("show stat", header(ours), stat)
	info := names(theirs)
	for i, n := range info { // their names have no counterpart in 3.4
		if strings.HasPrefix(n, "node") {
			info = info[:i]
			break
		}
	}
	inOrder("show info", names(ours), info)
}
