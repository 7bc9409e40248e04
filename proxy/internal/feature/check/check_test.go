package check

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

const ok200 = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// The texts are those of HAProxy for the same servers.
func TestOutcomes(t *testing.T) {
	const failed, passed = `failed, reason: %s, check duration: Nms, status: 0/2 DOWN.`, `succeeded, reason: %s, check duration: Nms, status: 2/2 UP.`
	for i, c := range []struct {
		rules string
		peer  func(net.Conn)
		want  string
		how   string
	}{
		{"", says(""), "Layer4 check passed", passed},
		{"", nil, `Layer4 connection problem, info: "Connection refused"`, failed},
		{"option httpchk", nil, `Layer4 connection problem, info: "Connection refused"`, failed},
		{"option httpchk", says(ok200), "Layer7 check passed, code: 200", passed},
		{"option httpchk", says("HTTP/1.1 100 Continue\r\n\r\n" + ok200), "Layer7 check passed, code: 200", passed},
		{"option httpchk", says("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "Layer7 check passed, code: 302", passed},
		{"option httpchk", says("HTTP/1.1 503 Nope and more\r\nContent-Length: 3\r\n\r\nbad"), `Layer7 wrong status, code: 503, info: "Nope and more"`, failed},
		{"option httpchk", says("HTTP/1.1 500 a\"b\xff\r\n\r\n"), `Layer7 wrong status, code: 500, info: "a<22>b<FF>"`, failed},
		{"option httpchk\n timeout check 100ms", silent, "Layer7 timeout", failed},
		{"option httpchk", says(""), "Layer7 invalid response", failed},
		{"option httpchk", says("SSH-2.0 foo bar\r\n\r\n"), "Layer7 invalid response", failed},
		{"option httpchk", says("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 20000)), "Layer7 invalid response", failed},
		{"option httpchk", resets, `Socket error, info: "Connection reset by peer"`, failed},
		{"option httpchk\n http-check expect string nope", says(ok200), `Layer7 invalid response, info: "HTTP content check did not match"`, failed},
		{"option httpchk\n http-check expect string hell", says(ok200), "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check expect string hello", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check expect string 3", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), `Layer7 invalid response, info: "HTTP content check did not match"`, failed},
		{"option httpchk\n http-check expect ! string hello", says(ok200), `Layer7 invalid response, info: "HTTP check matched unwanted content"`, failed},
		{"option httpchk\n http-check expect ! string nope", says(ok200), "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check expect string a", says("HTTP/1.0 204 No Content\r\n\r\n"), `Layer7 invalid response, info: "HTTP content check could not find a response body"`, failed},
		{"option httpchk\n http-check expect string hello", says("HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", 40000) + "hello"), `Layer7 invalid response, info: "HTTP content check did not match"`, failed},
		{"option httpchk\n http-check expect rstring ^h.l", says(ok200), "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check expect rstatus ^4", says(ok200), `Layer7 wrong status, code: 200, info: "OK"`, failed},
		{"option httpchk\n http-check expect ! status 100-299", says(ok200), `Layer7 wrong status, code: 200, info: "OK"`, failed},
		{"option httpchk\n http-check expect status 404,200-201", says(ok200), "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check expect comment two status 404", says(ok200), `Layer7 wrong status, code: 200, info: "OK comment: two"`, failed},
		{"option httpchk\n http-check comment two\n http-check expect status 404", says(ok200), `Layer7 wrong status, code: 200, info: "OK comment: two"`, failed},
		{"option httpchk\n http-check expect hdr name x-foo value -m beg bar", says(ok200), `Layer7 wrong status, code: 200, info: "OK"`, failed},
		{"option httpchk\n http-check expect hdr name -m beg X-F value b", says("HTTP/1.1 200 OK\r\nx-Foo: a, b\r\n\r\n"), "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check expect fhdr name x-foo value b", says("HTTP/1.1 200 OK\r\nx-foo: a, b\r\n\r\n"), `Layer7 wrong status, code: 200, info: "OK"`, failed},
		{"option ssl-hello-chk", says("\x16\x03\x00\x00\x2a\x02"), "Layer6 check passed", passed},
		{"option ssl-hello-chk", says("\x15\x03\x00\x00\x02\x02\x28"), "Layer6 check passed", passed},
		{"option httpchk\n option ssl-hello-chk", says("\x16\x03\x00"), "Layer6 check passed", passed},
		{"option ssl-hello-chk\n option httpchk", says(ok200), "Layer7 check passed, code: 200", passed},
		{"option ssl-hello-chk", says(ok200), "Layer6 invalid response", failed},
		{"option ssl-hello-chk", says("HTT"), "Layer6 invalid response", failed},
		{"option ssl-hello-chk", says(""), `Layer6 invalid response, info: "TCPCHK got an empty response at step 2"`, failed},
		{"option ssl-hello-chk\n timeout check 100ms", silent, "Layer6 timeout", failed},
		{"option ssl-hello-chk", resets, `Socket error, info: "Connection reset by peer"`, failed},
		{"option ssl-hello-chk", nil, `Layer4 connection problem, info: "Connection refused"`, failed},
		{"option httpchk\n http-check expect error-status L4CON status 404", says(ok200), `Layer4 connection problem, info: "OK"`, failed},
		{"option httpchk\n http-check expect tout-status L4TOUT status 404\n timeout check 100ms", silent, "Layer4 timeout", failed},
		{"option httpchk\n http-check connect\n http-check send uri /a\n http-check expect status 200\n http-check connect\n http-check send uri /b\n http-check expect status 404", says(ok200), `Layer7 wrong status, code: 200, info: "OK"`, failed},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			addr := closedPort(t)
			if c.peer != nil {
				addr = newPeer(t, c.peer).addr
			}
			name := fmt.Sprintf("out%d", i)
			start(t, defaults+"backend "+name+"\n option log-health-checks\n "+c.rules+"\n server s "+addr+" check\n")
			got := await(t, name, 1)
			checkLines(t, got, []string{"notice Health check for server " + name + "/s " + fmt.Sprintf(c.how, c.want)})
		})
	}
}

// Checks go where "addr" and "port" say: names are resolved, and a port of its own
// wins over the one in the address.
func TestCheckAddress(t *testing.T) {
	for i, c := range []struct{ server, rules string }{
		{"127.0.0.1:1 check addr localhost port PORT", "option httpchk"},
		{"127.0.0.1:1 check addr localhost:PORT", "option httpchk"},
		{"127.0.0.1:1 check addr 127.0.0.1:2 port PORT", "option httpchk"},
		{"127.0.0.1 check addr 127.0.0.1:PORT", "option httpchk"},
		{"127.0.0.1:1 check", "option httpchk\n http-check connect addr localhost:PORT\n http-check send uri /"},
		{"127.0.0.1:1 check port PORT", "option httpchk\n http-check connect addr localhost\n http-check send uri /"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			_, port, _ := net.SplitHostPort(newPeer(t, says(ok200)).addr)
			name := fmt.Sprintf("addr%d", i)
			text := strings.ReplaceAll("backend "+name+"\n option log-health-checks\n "+c.rules+"\n server s "+c.server+"\n", "PORT", port)
			start(t, defaults+text)
			checkLines(t, await(t, name, 1), []string{"notice Health check for server " + name + "/s succeeded, reason: Layer7 check passed, code: 200, check duration: Nms, status: 2/2 UP."})
		})
	}
}

func TestDownAndUp(t *testing.T) {
	t.Parallel()
	p := newPeer(t, says("HTTP/1.1 500 no\r\n\r\n"))
	w := startOn(t, 1, defaults+"backend updown\n option httpchk\n server a "+p.addr+" check\n server b "+p.addr+" check backup\n")
	be := w.Snapshot().Backends["updown"].BE
	got := await(t, "updown", 3)
	first, second := `Server updown/a is DOWN`, `Backup Server updown/b is DOWN`
	if !strings.Contains(got[0], first) {
		first, second = second, first
	}
	for i, part := range []string{first, second} {
		if !strings.Contains(got[i], part+`, reason: Layer7 wrong status, code: 500, info: "no", check duration: Nms. `) || !strings.HasPrefix(got[i], "alert ") {
			t.Errorf("message %d: %s", i, got[i])
		}
	}
	if want := ". 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."; !strings.HasSuffix(got[1], want) {
		t.Errorf("%s\nwant %s", got[1], want)
	}
	checkLines(t, got[2:], []string{"emerg backend 'updown' has no server available!"})
	if n := be.Picker().Len(); n != 0 {
		t.Errorf("%d servers take traffic", n)
	}
	st := be.Server("a").State()
	if st.Health != 0 || st.CheckStatus != "L7STS" || st.CheckCode != 500 || st.Downs != 1 || st.CheckResult != 2 {
		t.Errorf("%+v", st)
	}
	p.set(says(ok200))
	for _, line := range await(t, "updown", 5)[3:5] {
		if !strings.Contains(line, "is UP, reason: Layer7 check passed, code: 200, check duration: Nms. ") || !strings.HasPrefix(line, "notice ") {
			t.Error(line)
		}
	}
	st = be.Server("a").State()
	if be.Picker().Len() == 0 || st.Op != server.Running || st.Health != 3 {
		t.Errorf("%+v", st)
	}
}

// As set_server_check_status counts in HAProxy: the first failure takes down a
// server that was never checked, and what is half way falls back at once.
func TestHealthCounter(t *testing.T) {
	t.Parallel()
	w := start(t, defaults+"backend count\n server a 127.0.0.1:1 disabled check rise 2 fall 3\n")
	px := w.Snapshot().Backends["count"]
	set := *px.BE.Server("a").Settings()
	set.Disabled = false
	// fails and downs are what "chkfail" and "chkdown" of the statistics have at the
	// end: failures of a server that is down with no success since do not count.
	for _, c := range []struct {
		outcomes, healths, ops string
		fails, downs           int64
	}{
		{"F", "0", "D", 1, 1},
		{"FFF", "000", "DDD", 1, 1},
		{"P", "4", "U", 0, 0},
		{"PFFF", "4320", "UUUD", 3, 1},
		{"PFFFF", "43200", "UUUDD", 3, 1},
		{"PFFPF", "43243", "UUUUU", 3, 0},
		{"FPPF", "0143", "DDUU", 2, 1},
		{"FPFPP", "01014", "DDDDU", 2, 1},
		{"FPPFFF", "014320", "DDUUUD", 4, 2},
		{"PCPCF", "44443", "USUSS", 1, 0},
		{"FCC", "014", "DDD", 1, 1},
	} {
		s := server.New("count", "x", 9, 2, &set, time.Now())
		for i, o := range c.outcomes {
			out := outcome{status: map[rune]string{'F': "L4CON", 'P': "L7OK", 'C': "L7OKC"}[o]}
			conclude(w, px, s, out, 0, time.Now())
			st := s.State()
			op := map[server.Op]byte{server.Stopped: 'D', server.Running: 'U', server.Stopping: 'S'}[st.Op]
			if st.Health != int(c.healths[i]-'0') || op != c.ops[i] {
				t.Errorf("%s: after %d: health %d, %c", c.outcomes, i+1, st.Health, op)
			}
		}
		if st := s.State(); st.CheckFails != c.fails || st.Downs != c.downs || st.Checks != int64(len(c.outcomes)) {
			t.Errorf("%s: %d checks, %d failed while up, %d times down", c.outcomes, st.Checks, st.CheckFails, st.Downs)
		}
	}
}

func TestNotFoundStops(t *testing.T) {
	t.Parallel()
	p := newPeer(t, says("HTTP/1.0 404 Not Found\r\n\r\n"))
	start(t, defaults+"backend soft\n option httpchk\n http-check disable-on-404\n http-check send-state\n server a "+p.addr+" check inter 1s\n")
	checkLines(t, await(t, "soft", 2), []string{
		"notice Server soft/a is stopping, reason: Layer7 check conditionally passed, code: 404, check duration: Nms. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		"emerg backend 'soft' has no server available!",
	})
	for state := "UP 1/2"; ; state = "NOLB" {
		req := <-p.seen
		if !strings.Contains(req, "\r\nx-haproxy-server-state: "+state+"; address=127.0.0.1; port=") || !strings.Contains(req, "; name=soft/a; node=") || !strings.Contains(req, "; scur=0/0; qcur=0\r\n") {
			t.Errorf("%q", req)
		}
		if state == "NOLB" {
			break
		}
	}
	p.set(says(ok200))
	checkLines(t, await(t, "soft", 3)[2:], []string{"notice Server soft/a is UP, reason: Layer7 check passed, code: 200, check duration: Nms. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."})
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	p := newPeer(t, says(""))
	w := start(t, defaults+"listen adm\n server a "+p.addr+"\n server b "+p.addr+"\n")
	a, b := w.Snapshot().Backends["adm"].BE.Server("a"), w.Snapshot().Backends["adm"].BE.Server("b")
	now := time.Now()
	op := func(s *server.Server, op server.Op) {
		s.Update(now, "changed from CLI", func(st *server.State) { st.Op = op })
	}
	op(a, server.Stopped)
	a.SetAdmin(now, server.ForcedMaint, 0, "")
	a.SetAdmin(now, 0, server.ForcedMaint, "")
	a.SetAdmin(now, server.ForcedDrain, 0, "")
	a.SetAdmin(now, 0, server.ForcedDrain, "")
	op(b, server.Stopping)
	b.SetAdmin(now, server.ForcedMaint, 0, "")
	a.SetAdmin(now, server.ForcedMaint, 0, "")
	checkLines(t, await(t, "adm", 8), []string{
		"alert Server adm/a is DOWN, changed from CLI. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
		"notice Server adm/a was DOWN and now enters maintenance.",
		"notice Server adm/a is UP/READY (leaving forced maintenance).",
		"notice Server adm/a enters drain state. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		"notice Server adm/a is UP (leaving forced drain).",
		"notice Server adm/b is stopping, changed from CLI. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		"notice Server adm/b is going DOWN for maintenance. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
		"alert Server adm/a is going DOWN for maintenance. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
	})
	checkLines(t, await(t, "adm", 9)[8:], []string{"emerg proxy 'adm' has no server available!"})
}

func TestFollowsConfiguration(t *testing.T) {
	t.Parallel()
	p, q := newPeer(t, says(ok200)), newPeer(t, says(ok200))
	conf := defaults + "backend follow\n option httpchk GET /%s\n server a " + p.addr + "%s\n server b " + q.addr + "%s\n"
	w := start(t, fmt.Sprintf(conf, "one", " check", ""))
	if req := <-p.seen; !strings.HasPrefix(req, "GET /one HTTP/1.0\r\n") {
		t.Errorf("%q", req)
	}
	if _, err := snapshot.Apply(w, bed.MustLoad(t, 2, fmt.Sprintf(conf, "two", "", " check"))); err != nil {
		t.Fatal(err)
	}
	if req := <-q.seen; !strings.HasPrefix(req, "GET /two ") {
		t.Errorf("%q", req)
	}
	c := running.In(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.of) != 1 || len(p.seen) > 0 && strings.HasPrefix(<-p.seen, "GET /two") {
		t.Errorf("%d servers are checked", len(c.of))
	}
}

func TestPausedAndMaintenance(t *testing.T) {
	t.Parallel()
	p := newPeer(t, says(ok200))
	w := start(t, defaults+"backend pause\n option httpchk\n server a "+p.addr+" check inter 500ms\n")
	s := w.Snapshot().Backends["pause"].BE.Server("a")
	<-p.seen
	px := w.Snapshot().Backends["pause"]
	s.Update(time.Now(), "", func(st *server.State) { st.CheckPaused = true })
	before := s.State()
	conclude(w, px, s, outcome{status: "L4CON"}, 0, time.Now()) // that was under way
	if st := s.State(); st.Health != before.Health || st.CheckStatus == "L4CON" {
		t.Errorf("%+v", st)
	}
	s.Update(time.Now(), "", func(st *server.State) { st.CheckPaused = false })
	for len(p.seen) > 0 {
		<-p.seen
	}
	<-p.seen // it goes on
}

func TestInterval(t *testing.T) {
	k := server.Check{Inter: 10, FastInter: 2, DnInter: 5, Rise: 2, Fall: 3}
	plain := server.Check{Inter: 10, Rise: 2, Fall: 3}
	for _, c := range []struct {
		k    server.Check
		st   server.State
		want time.Duration
	}{
		{k, server.State{Op: server.Running, Health: 4}, 10},
		{k, server.State{Op: server.Running, Health: 3}, 2},
		{k, server.State{Op: server.Running, Health: 2}, 2},
		{k, server.State{Op: server.Stopped, Health: 1}, 2},
		{k, server.State{Op: server.Stopped, Health: 0}, 5},
		{plain, server.State{Op: server.Running, Health: 3}, 10},
		{plain, server.State{Op: server.Stopped, Health: 0}, 10},
	} {
		if got := interval(&c.k, &c.st); got != c.want {
			t.Errorf("%+v: %v, want %v", c.st, got, c.want)
		}
	}
}

func TestRequests(t *testing.T) {
	for _, c := range []struct{ rules, want string }{
		{"option httpchk", "OPTIONS / HTTP/1.0\r\n\r\n"},
		{"option httpchk /x", "OPTIONS /x HTTP/1.0\r\n\r\n"},
		{"option httpchk GET /x HTTP/1.1", "GET /x HTTP/1.1\r\nconnection: close\r\n\r\n"},
		{"option httpchk GET /x HTTP/1.1 www", "GET /x HTTP/1.1\r\nhost: www\r\nconnection: close\r\n\r\n"},
		{"option httpchk GET /x\n http-check send meth POST hdr Host foo hdr X-A \"b c\" ver HTTP/1.1 body hello", "POST /x HTTP/1.1\r\nhost: foo\r\nx-a: b c\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"},
		{"http-check send hdr Content-Length 9 hdr Connection keep-alive ver HTTP/1.1\n option httpchk", "OPTIONS / HTTP/1.1\r\n\r\n"},
		{"option httpchk\n http-check send meth GET uri / ver HTTP/1.1\\r\\nHost:\\ foo", "GET / HTTP/1.1\r\nhost: foo\r\nconnection: close\r\n\r\n"},
	} {
		s, d := bed.Load(2, defaults+"backend b\n "+c.rules+"\n")
		if s == nil {
			t.Errorf("%s: %v", c.rules, d.All())
			continue
		}
		own := rules.Of(s.Backends["b"])
		got, err := onTheWire(&own.http.sequence[1].request)
		if got != c.want || err != nil {
			t.Errorf("%s: %q, %v", c.rules, got, err)
		}
	}
	r := request{method: "GET", uri: "/", version: "HTTP/1.0"}
	if err := r.hidden("Host: foo\r\nX: y%\r\n\r\nbody"); err != nil {
		t.Error(err)
	}
	if got, err := onTheWire(&r); got != "GET / HTTP/1.0\r\nhost: foo\r\nx: y%\r\ncontent-length: 4\r\n\r\nbody" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// onTheWire is a request as a server of HTTP/1 is sent it.
func onTheWire(r *request) (string, error) {
	var q message.Request
	body, err := r.fill(&q, new(stream.Scope), "")
	q.ContentLength = -1
	if len(body) > 0 {
		q.Framing, q.ContentLength = message.Length, int64(len(body))
	}
	return string(http1.AppendRequest(nil, &q, http1.WriteOptions{Close: !q.KeepAlive})) + string(body), err
}

func TestInheritance(t *testing.T) {
	s := bed.MustLoad(t, 2, defaults+" option httpchk GET /d\n http-check expect status 204\nbackend a\nbackend b\n http-check expect status 205\nbackend c\n option httpchk GET /c\n")
	for name, want := range map[string]string{"a": "/d 204", "b": "/d 205", "c": "/c 204"} {
		q := rules.Of(s.Backends[name]).http.sequence
		if got := fmt.Sprintf("%s %d", q[1].uri, q[2].ranges[0][0]); got != want || len(q) != 3 {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"server s 127.0.0.1:80 check inter", "'server b/s' : 'inter' expects a delay as argument."},
		{"server s 127.0.0.1:80 check inter x", "'server b/s' : unexpected character 'x' in 'inter' argument of server s."},
		{"server s 127.0.0.1:80 check fastinter 0", "'server b/s' : invalid value 0 for argument 'fastinter' of server s."},
		{"server s 127.0.0.1:80 check downinter 99d", "maximum value is 2147483647 ms (~24.8 days)."},
		{"server s 127.0.0.1:80 check rise 0", "'server b/s' : 'rise' has to be > 0."},
		{"server s 127.0.0.1:80 check fall", "'server b/s' : 'fall' expects an integer argument."},
		{"server s 127.0.0.1:80 check fall 1x", "'server b/s' : 'fall' has to be > 0."},
		{"server s 127.0.0.1:80 check port 0", "'server b/s' : 'port' expects a number from 1 to 65535, found '0'."},
		{"server s 127.0.0.1:80 check addr foo.invalid", "'addr' : invalid address: 'foo.invalid' in 'foo.invalid'"},
		{"server s 127.0.0.1 check", "config: backend 'b': server 's' has neither service port nor check port."},
		{"option httpchk GET / HTTP/1.1 host x", "'option httpchk' cannot handle unexpected argument 'x'."},
		{"option httpchk GET / HTTP/2", "version 'HTTP/2' is not supported"},
		{"http-check", "'http-check' only supports "},
		{"http-check foo", "but got 'foo'"},
		{"http-check send foo", "'http-check send' : expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got 'foo' as argument."},
		{"http-check send hdr A", "'http-check send' : 'hdr' expects <name> and <value> as arguments."},
		{"http-check send hdr A %[path]", "needs 'HTTP request headers' which is not available here"},
		{"http-check send hdr A:b c", "invalid header name 'A:b'"},
		{"http-check send meth", "'http-check send' : 'meth' expects a string as argument."},
		{"http-check send uri \"/a b\"", "invalid character"},
		{"http-check send uri /\n http-check send uri /", "'http-check send' : unable to add http-check send rule at step 2 (missing connect rule)."},
		{"http-check send uri /\n http-check connect", "first step MUST also be a 'connect'"},
		{"http-check connect via-socks4", "not supported by Forebay yet"},
		{"http-check connect port 0", "expects a valid TCP port (from range 1 to 65535) or a sample expression, got 0."},
		{"http-check send-state x", "cannot handle unexpected argument 'x'."},
		{"http-check expect", "'http-check expect' : expects at least a matching pattern as arguments."},
		{"http-check expect status", "'http-check expect' : 'status' expects a <pattern> as argument."},
		{"http-check expect status 2xx", "invalid character 'x' in the list of status codes."},
		{"http-check expect status 200-100", "invalid list of status codes"},
		{"http-check expect status 200 foo", "or comment but got 'foo' as argument."},
		{"http-check expect rstatus [", "regex '[' is invalid"},
		{"http-check expect hdr value x", "'hdr' expects at the name keyword as first argument followed by a pattern."},
		{"http-check expect ok-status FOO status 200", "'ok-status' only supports 'L4OK', 'L6OK', 'L7OK' or 'L7OKC' status (got 'FOO')."},
		{"option httpchk GET / HTTP/1.1\\r\\nHost:\\ foo", "hiding headers or body at the end of the version string is not supported anymore"},
		{"http-check send ver \"HTTP/1.1\\r\\nnonsense\"", "'ver' : invalid header 'nonsense'"},
		{"no option httpchk", "negation/default is not supported for option 'httpchk'."},
	} {
		s, d := bed.Load(2, defaults+"backend b\n "+c.line+"\n")
		text := fmt.Sprint(d.All())
		if s != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s\nwant %s", c.line, text, c.want)
		}
	}
	_, d := bed.Load(2, defaults+"backend b\n http-check expect status 200\n")
	if text := fmt.Sprint(d.All()); !strings.Contains(text, "backend 'b' uses http-check rules without 'option httpchk', so the rules are ignored.") {
		t.Error(text)
	}
}
