package ring_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

const front = "defaults\n mode http\n timeout client 10s\n timeout connect 5s\n timeout server 10s\nfrontend f\n bind %s\n log ring@r1 local0\n log-format \"got %%r\"\n http-request return status 200\n"

func get(t *testing.T, addr, path string) {
	t.Helper()
	res, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// events waits until a ring shows n events.
func events(t *testing.T, w *stream.Worker, ring string, n int) []string {
	t.Helper()
	c := bed.Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.Admin})
	defer c.Close()
	io.WriteString(c, "show events "+ring+" -w\n")
	for rd, i := bufio.NewReader(c), 0; i < n; i++ {
		if l, err := rd.ReadString('\n'); err != nil {
			t.Fatalf("%q, %v: want %d events, have %d", l, err, n, i)
		}
	}
	return strings.Split(strings.TrimRight(bed.Ask(t, w, "show events "+ring), "\n"), "\n")
}

// The texts of "show events" are those of 3.4.
func TestShowEvents(t *testing.T) {
	w := bed.Start(t, 2, "ring rg1\n description \"a ring\"\nring other\n size 100000\n")
	const sinks = "Supported events sinks are listed below. Add -0(zero), -w(wait), -n(new). Any key to stop.\n" +
		"    stdout     : type=fd, 0 dropped, standard output (fd#1)\n    stderr     : type=fd, 0 dropped, standard output (fd#2)\n" +
		"    buf0       : type=buffer, 0 dropped, in-memory ring buffer\n    dpapi      : type=buffer, 0 dropped, DPAPI ring buffer\n" +
		"    rg1        : type=buffer, 0 dropped, a ring\n    other      : type=buffer, 0 dropped, other\n\n"
	for _, c := range []struct {
		level         runtimeapi.Level
		command, want string
	}{
		{runtimeapi.User, "show events", sinks},
		{runtimeapi.Admin, "show events", sinks},
		{runtimeapi.User, "show events rg1", "Permission denied\n\n"},
		{runtimeapi.Operator, "show events rg1", "\n"},
		{runtimeapi.Admin, "show events nosuch", "No such event sink\n\n"},
		{runtimeapi.Admin, "show events rg1 -n", "\n"},
		{runtimeapi.Admin, "show events rg1 -0", "\n"},
		{runtimeapi.Admin, "show events rg1 -bad", "unknown option\n\n"},
		{runtimeapi.Admin, "show events buf0", "\n"},
		{runtimeapi.Admin, "show events stdout", "Nothing to report for this sink\n\n"},
	} {
		if got := bed.AskAs(t, w, c.level, c.command); got != c.want {
			t.Errorf("%s as %v: %q, want %q", c.command, c.level, got, c.want)
		}
	}
}

// "-w" shows what comes, "-n" leaves out what there is, "-0" delimits with NUL;
// anything that the client sends, or its leaving, ends the wait and is discarded.
func TestFollow(t *testing.T) {
	addr := tcptest.Reserve(t).String()
	w := bed.Start(t, 2, "ring r1\n"+fmt.Sprintf(front, addr))
	get(t, addr, "/0")
	events(t, w, "r1", 1)
	dial := func(command string) (net.Conn, *bufio.Reader) {
		c := bed.Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.Admin, Mode: runtimeapi.Interactive})
		io.WriteString(c, command+"\n")
		return c, bufio.NewReader(c)
	}
	read := func(b *bufio.Reader, end byte) string {
		t.Helper()
		s, err := b.ReadString(end)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	all, ra := dial("show events r1 -w")
	_, rz := dial("show events r1 -w -0")
	if a, z := read(ra, '\n'), read(rz, 0); a != "got GET /0 HTTP/1.1\n" || z != "got GET /0 HTTP/1.1\x00" {
		t.Errorf("%q %q", a, z)
	}
	_, rn := dial("show version;show events r1 -wn")
	read(rn, '\n')
	read(rn, '\n') // it has begun: the events from now on are new
	for i := 1; ; i++ {
		path := fmt.Sprint("/", i)
		get(t, addr, path)
		if a, z := read(ra, '\n'), read(rz, 0); a != "got GET "+path+" HTTP/1.1\n" || z != "got GET "+path+" HTTP/1.1\x00" {
			t.Errorf("%q %q", a, z)
		}
		if i == 5 {
			break
		}
	}
	if n := read(rn, '\n'); n == "got GET /0 HTTP/1.1\n" {
		t.Errorf("%q is not new", n)
	}
	io.WriteString(all, "anything at all\n")
	if s := read(ra, '\n'); s != "\n" {
		t.Errorf("the end is %q", s)
	}
	io.WriteString(all, "show version\n")
	if s := read(ra, '\n'); strings.Contains(s, "Unknown") {
		t.Errorf("%q", s)
	}
	if got := bed.Ask(t, w, "show events r1 -w"); strings.Count(got, "got GET") != 6 || !strings.HasSuffix(got, "\n\n") {
		t.Errorf("a client that has ended its side: %q", got)
	}
}

// syslog takes what a ring is forwarded, and splits it as the protocol says.
type syslog struct {
	net.Listener
	events chan string
	conns  chan net.Conn
}

func listen(t *testing.T, addr string, counted bool) *syslog {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &syslog{l, make(chan string, 1000), make(chan net.Conn, 100)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns <- c
			go func() {
				defer c.Close()
				for b := bufio.NewReader(c); ; {
					var text string
					var err error
					if counted {
						var head string
						if head, err = b.ReadString(' '); err == nil {
							n, _ := strconv.Atoi(strings.TrimSuffix(head, " "))
							body := make([]byte, n)
							_, err = io.ReadFull(b, body)
							text = string(body)
						}
					} else {
						text, err = b.ReadString('\n')
					}
					if err != nil {
						return
					}
					s.events <- text
				}
			}()
		}
	}()
	return s
}

func (s *syslog) next(t *testing.T) string {
	t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(bed.Patience):
		t.Fatal("no event comes")
		return ""
	}
}

// A ring is sent to all its servers, in both framings, with what was in it before
// a server could be reached; formats are the ring's own.
func TestForward(t *testing.T) {
	addr := tcptest.Reserve(t).String()
	later := tcptest.Reserve(t)
	now := listen(t, "127.0.0.1:0", false)
	text := fmt.Sprintf("global\n log-tag tag\nring r1\n format rfc5424\n timeout connect 5s\n timeout server 5s\n server s1 %s\n server s2 %s log-proto octet-count\n", now.Addr(), later) +
		fmt.Sprintf(front, addr)
	w := bed.Start(t, 2, text)
	for i := range 3 {
		get(t, addr, fmt.Sprint("/", i))
	}
	form := regexp.MustCompile(`^<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[-+]\d\d:\d\d - tag \d+ - - got GET /(\d) HTTP/1\.1(\n?)$`)
	var first []string
	for range 3 {
		e := now.next(t)
		if m := form.FindStringSubmatch(e); m == nil || m[2] != "\n" {
			t.Errorf("%q", e)
		}
		first = append(first, strings.TrimSuffix(e, "\n"))
	}
	s2 := listen(t, later.String(), true)
	for range 3 {
		if e := s2.next(t); form.FindStringSubmatch(e) == nil || !slices.Contains(first, e) {
			t.Errorf("%q, want one of %q", e, first)
		}
	}
	// Another configuration: what was there stays, nothing is sent twice.
	bed.Apply(t, w, strings.Replace(text, "rfc5424", "raw\n size 50000\n description new", 1))
	get(t, addr, "/new")
	if a, b := now.next(t), s2.next(t); a != "got GET /new HTTP/1.1\n" || b != "got GET /new HTTP/1.1" {
		t.Errorf("%q %q", a, b)
	}
	if len(now.conns) != 1 {
		t.Errorf("%d connections, want the first one only", len(now.conns))
	}
	if got := events(t, w, "r1", 4); len(got) != 4 || !strings.HasPrefix(got[0], "<134>1") {
		t.Errorf("%q", got)
	}
	if got := bed.Ask(t, w, "show events"); !strings.Contains(got, "r1         : type=buffer, 0 dropped, new\n") {
		t.Error(got)
	}
	// A server of another name in its place gets all that there is; one that says
	// something else goes on.
	bed.Apply(t, w, strings.Replace(text, "server s1 "+now.Addr().String(), "server s3 "+now.Addr().String()+"\n server s4 "+now.Addr().String()+" log-proto octet-count", 1))
	for range 4 {
		now.next(t)
	}
	// Without the section there is no ring, and its connections end.
	bed.Apply(t, w, strings.ReplaceAll(fmt.Sprintf(front, addr), "ring@r1", "stdout"))
	if got := bed.Ask(t, w, "show events r1"); got != "No such event sink\n\n" {
		t.Errorf("%q", got)
	}
	(<-s2.conns).SetDeadline(time.Now().Add(bed.Patience))
}

// A server that changes its framing is not sent again what it has.
func TestServerChanges(t *testing.T) {
	addr := tcptest.Reserve(t).String()
	log := listen(t, "127.0.0.1:0", false)
	text := fmt.Sprintf("ring r1\n timeout connect 5s\n timeout server 5s\n server s1 %s\n", log.Addr()) + fmt.Sprintf(front, addr)
	w := bed.Start(t, 2, text)
	get(t, addr, "/1")
	log.next(t)
	bed.Apply(t, w, strings.Replace(text, "server s1", "timeout server 6s\n server s1", 1))
	get(t, addr, "/2")
	if e := log.next(t); e != "got GET /2 HTTP/1.1\n" || len(log.conns) != 2 {
		t.Errorf("%q over %d connections", e, len(log.conns))
	}
}

// What has not changed goes on to log to the ring that there is, whether it names
// the ring or the global section does.
func TestTakenOver(t *testing.T) {
	one, other := tcptest.Reserve(t).String(), tcptest.Reserve(t).String()
	text := "global\n log ring@r1 local0\nring r1\n size 64k\n" + fmt.Sprintf(front, one) + "frontend g\n bind " + other + "\n log global\n log-format \"and %r\"\n http-request return status 200\n" +
		"backend b\n server s 127.0.0.1:1 weight 1\n"
	w := bed.Start(t, 2, text)
	made := w.Snapshot().Frontends["g"].Made
	for i := range 3 {
		get(t, one, fmt.Sprint("/", i))
		events(t, w, "r1", 2*i+1)
		get(t, other, fmt.Sprint("/", i))
		events(t, w, "r1", 2*i+2)
		bed.Apply(t, w, strings.Replace(text, "weight 1", fmt.Sprint("weight ", i+2), 1))
	}
	if w.Snapshot().Frontends["g"].Made != made {
		t.Error("the section was read anew")
	}
	bed.Apply(t, w, strings.Replace(text, "64k", "32k", 1))
	get(t, other, "/last")
	if list := events(t, w, "r1", 7); list[6] != "and GET /last HTTP/1.1" {
		t.Errorf("%q", list)
	}
}

// "max-reuse" bounds how many events a connection carries.
func TestMaxReuse(t *testing.T) {
	addr := tcptest.Reserve(t).String()
	log := listen(t, "127.0.0.1:0", false)
	bed.Start(t, 1, fmt.Sprintf("ring r1\n timeout connect 5s\n timeout server 5s\n server s1 %s max-reuse 0\n", log.Addr())+fmt.Sprintf(front, addr))
	for i := range 2 {
		get(t, addr, fmt.Sprint("/", i))
		if e := log.next(t); e != fmt.Sprintf("got GET /%d HTTP/1.1\n", i) {
			t.Errorf("%q", e)
		}
	}
	if n := len(log.conns); n < 2 {
		t.Errorf("%d connections", n)
	}
}

const stage = "ring r1\n size 20000\n timeout connect 3s\n timeout server 4s\n server s1 10.0.1.1:514\n" +
	"defaults\n mode http\n timeout client 10s\nfrontend f\n bind 10.0.0.1:80\n log ring@r1 local0\n log-format \"got %HU\"\n http-request return status 200\n"

func request(s *sim.Stage, path string) {
	c := s.Dial("10.0.0.1:80")
	c.Send("GET " + path + " HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
	s.Pass(0)
	c.Close()
	s.Pass(0)
}

// A server that refuses is tried again every second, one that does not answer
// after "timeout connect"; nothing is lost meanwhile.
func TestReconnects(t *testing.T) {
	s := sim.NewStage(t, stage, nil)
	h := s.Listen("10.0.1.1:514")
	h.Refuse = true
	request(s, "/a")
	s.Pass(10 * time.Second)
	if n := len(h.Tried); n < 9 || n > 11 {
		t.Errorf("tried %d times in 10 s: %v", n, h.Tried)
	}
	h.Refuse, h.Swallow = false, true
	n := len(h.Tried)
	s.Pass(12 * time.Second)
	if n = len(h.Tried) - n; n < 3 || n > 4 {
		t.Errorf("tried %d times in 12 s, want after 3 s and another one", n)
	}
	h.Swallow = false
	p := h.Accept()
	s.Pass(time.Second)
	request(s, "/b")
	if got := p.Got(); got != "got /a\ngot /b\n" {
		t.Errorf("%q", got)
	}
	// It closes: the next event goes over the next connection.
	p.Close()
	s.Pass(time.Second / 2)
	request(s, "/c")
	p = h.Accept()
	s.Pass(0)
	if got := p.Got(); got != "got /c\n" {
		t.Errorf("%q", got)
	}
}

// A server that takes nothing loses the oldest events, which are counted, after
// "timeout server" the connection, and then gets what there is; requests do not
// wait for it.
func TestServerThatReadsNothing(t *testing.T) {
	s := sim.NewStage(t, "global\n tune.http.logurilen 9000\n"+strings.Replace(stage, "r1 local0", "r1 len 9000 local0", 1), nil)
	h := s.Listen("10.0.1.1:514")
	p := h.Accept()
	p.Pause()
	path := "/" + strings.Repeat("x", 8000)
	for range 200 {
		request(s, path)
	}
	if at := s.Now(); at > time.Second {
		t.Errorf("the requests took until %v", at)
	}
	s.Pass(4500 * time.Millisecond)
	if len(h.Conns) != 1 {
		t.Errorf("%d connections right after the timeout, want a pause of a second", len(h.Conns))
	}
	p = h.Accept()
	s.Pass(0)
	if got := p.Got(); strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, "got /xxx") {
		t.Errorf("%d bytes, want the two events that there is room for", len(got))
	}
}

// What is wrong with a section is told at its line.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"size 0":                                 "invalid size '0' for new sink buffer.",
		"size":                                   "invalid size '' for new sink buffer.",
		"size x":                                 "invalid size 'x' for new sink buffer.",
		"maxlen 0":                               "invalid size '0' for new sink buffer.",
		"maxlen x":                               "invalid size 'x' for new sink buffer.",
		"size 99999999999":                       "'size' expects at most 2147483648 bytes, found '99999999999'.",
		"format foo":                             "unknown format 'foo'.",
		"format":                                 "unknown format ''.",
		"description":                            "missing ring description text.",
		"backing-file /tmp/x":                    "'backing-file' : is not available: the process gives up the file system, so the ring is in memory only; let a server or 'show events' take what has to outlive it.",
		"timeout connect x":                      "unexpected character 'x' in 'timeout connect'",
		"server":                                 "'server' expects <name> and <addr>[:<port>] as arguments.",
		"server a 127.0.0.1:1 log-proto x":       "'server r/a' : 'log-proto' expects one of 'legacy' or 'octet-count' but got 'x'",
		"server a 127.0.0.1:1 log-proto":         "'server r/a' : 'log-proto' expects one of 'legacy' or 'octet-count' but got ''",
		"server a 127.0.0.1":                     "'server r/a' : expects an address with a port.",
		"server a udp@127.0.0.1:1":               "'server r/a' : dgram-type address not acceptable in 'udp@127.0.0.1:1'",
		"default-server check":                   "unknown keyword 'default-server' in 'ring' section; did you mean 'server' maybe ?",
		"size 20000 30":                          "'size' cannot handle unexpected argument '30'.",
		"size 20000\nring r":                     "sink named 'r' already exists.",
		"size 20000\nring buf0":                  "sink named 'buf0' already exists.",
		"size 20000\nglobal\n log ring@x local0": "log : there is no ring 'x'.",
	} {
		snap, d := bed.Load(1, "ring r\n "+text+"\n")
		if all := d.All(); snap != nil || !slices.ContainsFunc(all, func(x config.Diagnostic) bool { return x.Text == want && x.Severity == config.Alert }) {
			t.Errorf("%s: %v, want %s", text, all, want)
		}
	}
	for text, want := range map[string]string{
		"maxlen 20000": "config : ring 'r' event max length '20000' exceeds size, forced to size '16384'.",
		"timeout connect 1s\n timeout server 1s\n server a 127.0.0.1:1 weight 5":                                 "config : parsing [t.cfg:4] : 'server r/a' : 'weight' has no effect on a server of a 'ring' section.",
		"size 20000\nbackend b\n timeout connect 1s\n timeout server 1s\n server s 127.0.0.1:1 log-proto legacy": "config : parsing [t.cfg:6] : 'log-proto' has no effect but on a server of a 'ring' section.",
		"server a 127.0.0.1:1": "missing timeouts for ring 'r'.",
	} {
		snap, d := bed.Load(1, "ring r\n "+text+"\n")
		if all := d.All(); snap == nil || len(all) != 1 || !strings.Contains(all[0].String(), want) {
			t.Errorf("%s: %v, want %s", text, all, want)
		}
	}
}
