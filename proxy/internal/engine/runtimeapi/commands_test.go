package runtimeapi_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

func expect(t *testing.T, w *stream.Worker, line, want string) {
	t.Helper()
	if got := bed.Ask(t, w, line); got != want {
		t.Errorf("%s: got %q, want %q", line, got, want)
	}
}

func TestDynamicServer(t *testing.T) {
	w := newBed(t, 2)
	be := w.Snapshot().Backends["app"].BE
	expect(t, w, "add server app/s9 127.0.0.1:80 weight 5", "New server registered.\n\n")
	s := be.Server("s9")
	if s == nil || !s.Dynamic || s.ID != 4 || s.Usable() || s.State().UserWeight != 5 {
		t.Fatalf("server %+v", s)
	}
	expect(t, w, "enable server app/s9", "\n")
	if !s.Usable() {
		t.Error("not usable after it was enabled")
	}
	s.Used.Add(1)
	expect(t, w, "disable server app/s9;del server app/s9", "\nServer still has connections attached to it, cannot remove it.\n\n")
	expect(t, w, "wait 30ms srv-removable app/s9", "Wait delay expired.\n\n")
	c := bed.Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.Admin})
	io.WriteString(c, "echo now;wait 10s srv-removable app/s9;del server app/s9\n")
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	s.Used.Add(-1)
	if rest, err := io.ReadAll(c); err != nil || string(rest) != "Done.\n\nServer deleted.\n\n" {
		t.Errorf("%q %v", rest, err)
	}
	if be.Server("s9") != nil || !s.Deleted() {
		t.Error("still there")
	}
	expect(t, w, "wait 10s srv-removable app/s9", "No such server.\n\n")
	expect(t, w, "wait 10s srv-removable app/s1", "Only servers in maintenance mode can be deleted.\n\n")
	expect(t, w, "wait 2ms", "Done.\n\n")
	expect(t, w, "wait x", "Invalid duration.\n\n")
	if got := bed.Ask(t, w, "add server help"); !strings.HasPrefix(got, "List of keywords supported for dynamic servers:\n") || !strings.Contains(got, "  weight <arg>\n") {
		t.Errorf("help: %q", got)
	}
}

// Commands from many connections at once leave a list of servers that is whole.
func TestConcurrentServers(t *testing.T) {
	w := newBed(t, 2)
	done := make(chan string)
	for i := range 8 {
		c := bed.Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.Admin})
		go func() {
			name := "app/n" + string(rune('0'+i))
			var b strings.Builder
			b.WriteString("prompt i\n")
			for range 20 {
				b.WriteString("add server " + name + " 127.0.0.1:80\nenable server " + name + "\ndisable server " + name + "\ndel server " + name + "\nshow stat\n")
			}
			io.WriteString(c, b.String())
			c.CloseWrite()
			out, _ := io.ReadAll(c)
			done <- string(out)
		}()
	}
	for range 8 {
		out := <-done
		if strings.Count(out, "New server registered.") != 20 || strings.Count(out, "Server deleted.") != 20 {
			t.Errorf("%d added, %d deleted", strings.Count(out, "New server registered."), strings.Count(out, "Server deleted."))
		}
	}
	if n := len(w.Snapshot().Backends["app"].BE.Servers()); n != 3 {
		t.Errorf("%d servers are left", n)
	}
}

func TestHooks(t *testing.T) {
	w := newBed(t, 1)
	var mu sync.Mutex
	var got []string
	note := func(what string) runtimeapi.ServerFunc {
		return func(hw *stream.Worker, p *stream.Proxy, s *server.Server) {
			if hw == w {
				mu.Lock()
				got = append(got, what+" "+p.Name+"/"+s.Name)
				mu.Unlock()
			}
		}
	}
	runtimeapi.OnServerAdded(note("added"))
	runtimeapi.OnServerRemoved(note("removed"))
	runtimeapi.OnServerChanged(note("changed"))
	bed.Ask(t, w, "add server app/h 127.0.0.1:80;disable health app/s1;set server app/s1 addr 127.0.0.9;set server app/s1 check-port 5;del server app/h")
	mu.Lock()
	defer mu.Unlock()
	if s := strings.Join(got, ","); s != "added app/h,changed app/s1,changed app/s1,changed app/s1,removed app/h" {
		t.Error(s)
	}
}

func TestMaxconn(t *testing.T) {
	w := newBed(t, 1)
	expect(t, w, "set maxconn frontend fe1 7;set maxconn global 9;set maxconn server app/s2 3", "\n\n\n")
	if n := w.Snapshot().Frontends["fe1"].FE.Limit.Load(); n != 7 {
		t.Errorf("frontend %d", n)
	}
	if n := w.MaxConn.Load(); n != 9 {
		t.Errorf("global %d", n)
	}
	if n := w.Snapshot().Backends["app"].BE.Server("s2").Limit.Load(); n != 3 {
		t.Errorf("server %d", n)
	}
	expect(t, w, "set maxconn global 0", "\n")
	if n := w.MaxConn.Load(); n != 2000 {
		t.Errorf("global %d", n)
	}
}

func TestRateLimit(t *testing.T) {
	w := newBed(t, 1)
	const only = "'set rate-limit' only supports :\n   - 'ssl-sessions global' to set the per-process maximum SSL session rate\n\n"
	for _, c := range []struct {
		args, want string
		limit      int
	}{
		{"", only, 0},
		{"sessions global 5", "'set rate-limit sessions global' of HAProxy 3.4 is not supported by Forebay yet.\n\n", 0},
		{"ssl-sessions local 5", only, 0},
		{"ssl-sessions global 5", "\n", 5},
		{"ssl-sessions global x", "Expects an integer value.\n\n", 5},
		{"ssl-sessions global 7x", "Expects an integer value.\n\n", 5},
		{"ssl-sessions global -1", "Value out of range.\n\n", 5},
		{"ssl-sessions global 99999999999", "\n", 1<<31 - 1},
		{"ssl-sessions global 0", "\n", 0},
	} {
		expect(t, w, "set rate-limit "+c.args, c.want)
		if n := w.MaxTLSRate(); n != c.limit {
			t.Errorf("%q: the limit is %d, want %d", c.args, n, c.limit)
		}
	}
	if got := bed.AskAs(t, w, runtimeapi.Operator, "set rate-limit ssl-sessions global 5"); got != "Permission denied\n\n" {
		t.Errorf("%q", got)
	}
}

// listen opens a listener of fe1 on a port of the kernel's choice.
func listen(t *testing.T, w *stream.Worker, b *stream.Bind) *stream.Listener {
	t.Helper()
	l, err := w.OpenListener(b, w.Snapshot().Frontends["fe1"], nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Mu.Lock()
	w.Listeners[b.Key()] = l
	w.Mu.Unlock()
	l.Start()
	return l
}

func TestFrontend(t *testing.T) {
	w := newBed(t, 1)
	b := &stream.Bind{Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: freePort(t)}, FD: -1}
	listen(t, w, b)
	addr := b.Addr.AddrPort().String()
	reachable := func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	if !reachable() {
		t.Fatal("not reachable")
	}
	expect(t, w, "disable frontend fe1;disable frontend fe1", "\nAll sockets are already disabled.\n\n")
	if reachable() {
		t.Error("reachable while disabled")
	}
	if got := bed.Ask(t, w, "show stat fe1 1 -1"); !strings.Contains(got, ",PAUSED,") {
		t.Errorf("status: %s", got)
	}
	expect(t, w, "enable frontend fe1;enable frontend fe1", "\nAll sockets are already enabled.\n\n")
	if !reachable() {
		t.Error("not reachable after it was enabled")
	}
	expect(t, w, "shutdown frontend fe1;shutdown frontend fe1;enable frontend fe1",
		"\nFrontend was already shut down.\n\nFrontend was previously shut down, cannot enable.\n\n")
	if reachable() {
		t.Error("reachable after it was shut down")
	}
	if got := bed.Ask(t, w, "show stat"); strings.Contains(got, "fe1") {
		t.Errorf("still shown: %s", got)
	}
}

// The listening sockets arrive at the peer as HAProxy's -x expects them.
func TestGetSockets(t *testing.T) {
	w := newBed(t, 2)
	l := listen(t, w, &stream.Bind{Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1")}, FD: -1})
	if got := bed.Talk(t, bed.Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.Admin}), "_getsocks\n"); got != "" {
		t.Errorf("without the right: %q", got)
	}
	c := bed.Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.User, ExposeFD: true})
	io.WriteString(c, "_getsocks\n")
	var count [4]byte
	if _, err := io.ReadFull(c, count[:]); err != nil {
		t.Fatal(err)
	}
	want := len(l.Descriptors())
	if n := binary.NativeEndian.Uint32(count[:]); n != uint32(want) {
		t.Fatalf("%d sockets announced", n)
	}
	data, oob := make([]byte, 4096), make([]byte, 4096)
	n, on, _, _, err := c.ReadMsgUnix(data, oob)
	if err != nil || n != 6*want {
		t.Fatalf("%d bytes, %v", n, err)
	}
	msgs, err := syscall.ParseSocketControlMessage(oob[:on])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("%d messages, %v", len(msgs), err)
	}
	fds, err := syscall.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != want {
		t.Fatalf("%d descriptors, %v", len(fds), err)
	}
	for i, fd := range fds {
		a, _ := unix.Getsockname(fd)
		b, _ := unix.Getsockname(l.Descriptors()[i])
		if a.(*unix.SockaddrInet4).Port != b.(*unix.SockaddrInet4).Port {
			t.Errorf("descriptor %d is another socket", i)
		}
		syscall.Close(fd)
	}
	c.Write(count[:])
	if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
		t.Errorf("%q %v", rest, err)
	}
}

func TestShowServersConn(t *testing.T) {
	w := newBed(t, 2)
	got := bed.Ask(t, w, "show servers conn app")
	want := "# bkname/svname bkid/svid addr port - purge_delay served used_cur used_max need_est idle_sess unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[2]\n" +
		"app/s1 3/1 127.0.0.1 1 - 5000 0 0 0 0 0 0 0 -1 0 0 0\n" +
		"app/s2 3/2 127.0.0.1 1 - 5000 0 0 0 0 0 0 0 -1 0 0 0\n" +
		"app/s3 3/3 127.0.0.1 1 - 5000 0 0 0 0 0 0 0 -1 0 0 0\n\n"
	if got != want {
		t.Errorf("got %s", got)
	}
	// What was needed lately, and at most ever, outlives the present moment.
	s := w.Snapshot().Backends["app"].BE.Server("s2")
	for range 4 {
		s.Use()
	}
	s.Used.Add(-3)
	for _, c := range []struct{ column, value string }{{" 1 4 4 0 ", "4"}, {" 1 4 4 0 ", "4"}, {" 1 4 2 0 ", "2"}, {" 1 4 1 0 ", "1"}} {
		if got := bed.Ask(t, w, "show servers conn app"); !strings.Contains(got, "app/s2 3/2 127.0.0.1 1 - 5000 0"+c.column) {
			t.Errorf("want %q in %s", c.column, got)
		}
		rows := table(bed.Ask(t, w, "show stat app 4 2"))
		if got := rows[1][slices.Index(rows[0], "need_conn_est")]; got != c.value {
			t.Errorf("need_conn_est %s, want %s", got, c.value)
		}
		s.Estimate()
	}
}

// Idle connections that only one client uses are counted apart from the others.
func TestPrivateIdle(t *testing.T) {
	w := newBed(t, 2)
	s := w.Snapshot().Backends["app"].BE.Server("s2")
	s.Idle.Add(5)
	s.Private.Add(3)
	defer func() { s.Idle.Add(-5); s.Private.Add(-3) }()
	rows := table(bed.Ask(t, w, "show stat app 4 2"))
	for name, want := range map[string]string{"srv_icur": "2", "idle_conn_cur": "0", "safe_conn_cur": "2", "priv_idle_cur": "3"} {
		if got := rows[1][slices.Index(rows[0], name)]; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	lines := strings.Split(bed.Ask(t, w, "show servers conn app"), "\n")
	if f := strings.Fields(lines[2]); f[0] != "app/s2" || f[10] != "3" {
		t.Errorf("idle_sess: %q", lines[2])
	}
}

// Streams are listed, described and killed from any reactor.
func TestSessions(t *testing.T) {
	w := newBed(t, 2)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := silent.Addr().(*net.TCPAddr).Port
	li := w.Snapshot().Frontends["l1"]
	li.Timeouts = stream.Timeouts{Client: time.Minute, Server: time.Minute, Connect: time.Minute}
	bed.Ask(t, w, "set server l1/x addr 127.0.0.2;set server l1/x addr 127.0.0.1 port "+strconv.Itoa(port))
	b := &stream.Bind{Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: freePort(t)}, FD: -1}
	l, err := w.OpenListener(b, li, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	var clients []net.Conn
	for range 6 {
		c, err := net.Dial("tcp", b.Addr.AddrPort().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
		s, err := silent.Accept() // the stream is up
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	list := strings.TrimSpace(bed.Ask(t, w, "show sess"))
	lines := strings.Split(list, "\n")
	if len(lines) != 6 || !strings.Contains(lines[0], " fe=l1 be=l1 srv=x ts=00 ") || !strings.HasPrefix(lines[0], "0x") {
		t.Fatalf("list:\n%s", list)
	}
	for line, n := range map[string]int{"show sess server l1/x": 6, "show sess frontend fe1": 0, "show sess backend l1": 6, "show sess older 100": 0} {
		if got := strings.Count(bed.Ask(t, w, line), "proto=tcpv4"); got != n {
			t.Errorf("%s: %d streams", line, got)
		}
	}
	id, _, _ := strings.Cut(lines[2], ":")
	if got := bed.Ask(t, w, "show sess "+id); !strings.HasPrefix(got, id+": [") || !strings.Contains(got, "  server=x (id=1) addr=127.0.0.1:"+strconv.Itoa(port)) {
		t.Errorf("one: %s", got)
	}
	expect(t, w, "shutdown session "+id, "\n")
	left := 5
	dead := make(chan int, len(clients))
	for i, c := range clients {
		go func() {
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			c.Read(make([]byte, 1))
			dead <- i
		}()
	}
	<-dead
	expect(t, w, "shutdown session "+id, "No such session (use 'show sess').\n\n")
	if got := strings.Count(bed.Ask(t, w, "show sess"), "proto=tcpv4"); got != left {
		t.Errorf("%d streams are left", got)
	}
	expect(t, w, "shutdown sessions server l1/x", "\n")
	for range left {
		<-dead
	}
	done := make(chan struct{})
	l.Close(func() { close(done) })
	<-done
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	return tcptest.Reserve(t).Port()
}
