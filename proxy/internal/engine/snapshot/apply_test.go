package snapshot

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"golang.org/x/net/http2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Packages above have keywords that need another process.
func init() {
	for _, name := range []string{"chroot", "daemon"} {
		conf.Register(conf.Keyword{Name: name, In: conf.Global, Max: 1, Parse: func(*conf.Ctx) error { return nil }})
	}
}

// Servers that commands add and delete while a configuration is about to be applied
// are noticed.
func TestPlanIsStale(t *testing.T) {
	b := newBed(t, 1)
	text := head + "backend app\n server s1 127.0.0.1:1\n server s2 127.0.0.1:1\nbackend gone\n"
	b.start(text)
	old := b.w.Snapshot()
	plan := newPlan(transition(b.w, b.load(strings.Replace(text, "backend gone\n", "", 1))))
	if plan.stale() {
		t.Error("nothing has changed")
	}
	app := old.Backends["app"].BE
	added := server.New("gone", "s", 1, 1, app.Servers()[0].Settings(), time.Now())
	old.Backends["gone"].BE.Add(added)
	if !plan.stale() {
		t.Error("a server was added")
	}
	old.Backends["gone"].BE.Remove(added)
	plan = newPlan(transition(b.w, b.load(text)))
	app.Remove(app.Server("s1"))
	if !plan.stale() {
		t.Error("a server was deleted")
	}
}

func TestApplyKeepsConnectionsAndCounters(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 2)
	one, two := origin(t, "one"), origin(t, "two")
	web := fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\n", p[0])
	b.start(head + web + "backend app\n server s1 " + one + "\n")
	c := dial(t, p[0])
	if got := c.get(); got != "one" {
		t.Fatal(got)
	}
	first := b.w.Snapshot()
	listener := b.w.Listeners[fmt.Sprintf("127.0.0.1:%d", p[0])]
	changes := b.apply(head + web + "backend app\n timeout server 6s\n server s2 " + two + "\n" + fmt.Sprintf("frontend fe2\n bind 127.0.0.1:%d\n default_backend app\n", p[1]))
	if want := "~ backend app: timeout server unset -> 6s\n+ server app/s2\n- server app/s1\n+ frontend fe2\n"; lines(changes) != want {
		t.Errorf("%s", lines(changes))
	}
	// The connection lives, and its next request sees the new configuration.
	if got := c.get(); got != "two" {
		t.Error(got)
	}
	if got := dial(t, p[1]).get(); got != "two" {
		t.Error(got)
	}
	s := b.w.Snapshot()
	if s == first || s.Version != 2 || s.Frontends["web"].FE != first.Frontends["web"].FE || s.Backends["app"].BE != first.Backends["app"].BE {
		t.Error("state was not carried over")
	}
	if b.w.Listeners[fmt.Sprintf("127.0.0.1:%d", p[0])] != listener {
		t.Error("the listener was opened anew")
	}
	count := s.Frontends["web"].FE.Counters.Sum(requests)
	if count != 2 {
		t.Errorf("%d requests counted", count)
	}
	if len(Diff(s, s)) != 0 {
		t.Error("a configuration differs from itself")
	}
}

func TestRemovedFrontendFinishes(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 2)
	arrived, answer := make(chan bool), make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-answer
		io.WriteString(w, "at last")
	}))
	t.Cleanup(slow.Close)
	other := fmt.Sprintf("frontend other\n bind 127.0.0.1:%d\n", p[1])
	b.start(head + other + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\nbackend app\n server s ", p[0]) + slow.Listener.Addr().String() + "\n")
	be := b.w.Snapshot().Backends["app"].BE
	srv := be.Server("s")
	c := dial(t, p[0])
	io.WriteString(c.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	b.apply(head + other)
	b.sync()
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p[0])); err == nil {
		conn.Close()
		t.Error("the address still listens")
	}
	answer <- true
	if got := c.response(); got != "at last" {
		t.Error(got)
	}
	if !srv.Deleted() {
		t.Error("the server of a removed backend is not marked")
	}
	if n := srv.Idle.Load(); n != 0 {
		t.Errorf("%d idle connections are kept", n)
	}
}

// A connection that is idle, or has not asked for anything yet, keeps no old
// configuration in memory.
func TestIdleConnectionsLetGo(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 1)
	text := func(timeout string) string {
		return head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\nbackend app\n timeout server %s\n server s ", p[0], timeout) + origin(t, "one") + "\n"
	}
	b.start(text("5s"))
	var idle []*client
	for range 4 {
		idle = append(idle, dial(t, p[0]), dial(t, p[0]))
		idle[len(idle)-1].get()
	}
	old := weak.Make(b.w.Snapshot().Frontends["web"])
	b.apply(text("6s"))
	b.sync()
	for end := time.Now().Add(10 * time.Second); old.Value() != nil; {
		if time.Now().After(end) {
			t.Fatal("the old configuration is still there")
		}
		runtime.GC()
	}
	for _, c := range idle {
		if got := c.get(); got != "one" {
			t.Error(got)
		}
	}
}

// Settings of HTTP/2 count for connections that begin after the configuration
// came into force.
func TestApplyHTTP2Settings(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := func(global string) string {
		return "global\n" + global + head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n", p[0])
	}
	announced := func(id http2.SettingID) uint32 {
		c := dial(t, p[0]).c
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		first, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		n, _ := first.(*http2.SettingsFrame).Value(id)
		return n
	}
	b.start(text(""))
	streams, webSockets := announced(http2.SettingMaxConcurrentStreams), announced(http2.SettingEnableConnectProtocol)
	if streams != 100 || webSockets != 1 {
		t.Errorf("%d streams, WebSockets %d", streams, webSockets)
	}
	b.apply(text(" tune.h2.fe.max-concurrent-streams 7\n h2-workaround-bogus-websocket-clients\n"))
	streams, webSockets = announced(http2.SettingMaxConcurrentStreams), announced(http2.SettingEnableConnectProtocol)
	if streams != 7 || webSockets != 0 {
		t.Errorf("%d streams, WebSockets %d after the change", streams, webSockets)
	}
}

func requests(c *stream.FrontCounters) *counter.Int { return &c.Requests }

// sync waits until all that was posted to the reactors is done.
func (b *bed) sync() {
	for range 2 {
		b.w.OnAll(func(*reactor.Reactor) {})
	}
}

func TestRefusedApplyChangesNothing(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 2)
	one := origin(t, "one")
	web := fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\n", p[0])
	b.start(head + web + "backend app\n server s1 " + one + "\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := b.w.Snapshot()
	be := before.Backends["app"].BE
	_, err = Apply(b.w, b.load(head+web+fmt.Sprintf("frontend f2\n bind 127.0.0.1:%d\n bind %s\n", p[1], taken.Addr())+"backend app\n server s2 "+one+"\nbackend new\n"))
	want := fmt.Sprintf("Binding [t.cfg:12] for frontend f2: cannot bind socket (address already in use) for [%s]", taken.Addr())
	if err == nil || err.Error() != want {
		t.Fatalf("%v, want %s", err, want)
	}
	b.sync()
	if b.w.Snapshot() != before || len(b.w.Listeners) != 1 || be.Server("s1") == nil || be.Server("s2") != nil {
		t.Error("something was changed")
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p[1])); err == nil {
		conn.Close()
		t.Error("a listener of the refused configuration is open")
	}
	if got := dial(t, p[0]).get(); got != "one" {
		t.Error(got)
	}
}

func TestNeedsReload(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := func(global, bind string) string {
		return "global\n stats socket " + b.sock + " mode 600\n" + global + head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n", p[0]) + bind + "backend b\n server s 192.0.2.1:1 id 3\n"
	}
	b.start(text("", ""))
	b.w.Confined.Store(true)
	before := b.w.Snapshot()
	for _, c := range []struct{ text, want string }{
		{text(" chroot /x\n", ""), "! global chroot unset -> /x: needs a reload\n"},
		{text("", " bind /tmp/new.sock\n"), "+ bind web//tmp/new.sock\n! bind web//tmp/new.sock is a new UNIX socket, which the process cannot make any more: needs a reload\n"},
		{strings.ReplaceAll(text("", ""), "mode 600", "mode 660"), "~ stats socket " + b.sock + ": mode 600 -> mode 660\n! stats socket " + b.sock + " changes the rights of the socket: needs a reload\n"},
		{strings.ReplaceAll(text("", ""), "id 3", "id 4"), "~ server b/s: id 3 -> id 4\n! server b/s: id 3 -> 4: needs a reload\n"},
	} {
		changes, err := Apply(b.w, b.load(c.text))
		if !errors.Is(err, ErrNeedsReload) || lines(changes) != c.want {
			t.Errorf("%v\ngot  %q\nwant %q", err, lines(changes), c.want)
		}
	}
	if b.w.Snapshot() != before {
		t.Error("something was applied")
	}
}

// TestRuntimeChangesStay checks that what was set at run time survives, unless
// the configuration says something new about it.
func TestRuntimeChangesStay(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := func(fe, servers string) string {
		return "global\n stats socket " + b.sock + " level admin\n" + head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n maxconn %s\n", p[0], fe) + "backend b\n" + servers
	}
	const s1, s2, s3 = " server s1 192.0.2.1:1 weight 10\n", " server s2 192.0.2.1:2\n", " server s3 192.0.2.1:3\n"
	b.start(text("50", s1+s2))
	for _, cmd := range []string{
		"set server b/s1 state drain", "set server b/s1 weight 5", "set maxconn frontend web 7", "set maxconn global 99",
		"add server b/s3 192.0.2.1:3", "add server b/s4 192.0.2.1:4",
	} {
		if out := b.command(cmd); strings.Contains(out, "No such") || strings.Contains(out, "denied") {
			t.Fatal(cmd, out)
		}
	}
	be, fe := b.w.Snapshot().Backends["b"].BE, b.w.Snapshot().Frontends["web"].FE
	live1, live3, live4 := be.Server("s1"), be.Server("s3"), be.Server("s4")
	b.apply(text("50", s1+s2+s3))
	if st := be.Server("s1").State(); st.Admin&server.ForcedDrain == 0 || st.UserWeight != 5 || be.Server("s1") != live1 {
		t.Errorf("%+v", st)
	}
	if be.Server("s3") != live3 || be.Server("s3").State().Admin&server.ForcedMaint == 0 {
		t.Error("a server that was added is not found again")
	}
	if be.Server("s4") != nil || !live4.Deleted() {
		t.Error("a server that the file does not have is still there")
	}
	if fe.Limit.Load() != 7 || b.w.MaxConn.Load() != 99 {
		t.Error(fe.Limit.Load(), b.w.MaxConn.Load())
	}
	b.apply(text("60", strings.ReplaceAll(s1, "10", "20")))
	if fe.Limit.Load() != 60 || be.Server("s1").State().UserWeight != 20 {
		t.Error(fe.Limit.Load(), be.Server("s1").State())
	}
	// IDs: those that live keep theirs, whatever the order in the file.
	b.apply(text("60", s3+s2+s1))
	if live1.ID != 1 || be.Server("s3").ID == live1.ID || be.Server("s2").ID == live1.ID || be.Server("s2").ID == be.Server("s3").ID {
		t.Error(live1.ID, be.Server("s2").ID, be.Server("s3").ID)
	}
}

// TestChangeOfMode lets the sockets live on under a new listener: connections
// keep the protocol that they speak.
func TestChangeOfMode(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 1)
	one := origin(t, "one")
	text := func(mode string) string {
		return head + fmt.Sprintf("frontend web\n mode %s\n bind 127.0.0.1:%d\n default_backend app\nbackend app\n mode %s\n server s ", mode, p[0], mode) + one + "\n"
	}
	b.start(text("http"))
	c := dial(t, p[0])
	if got := c.get(); got != "one" {
		t.Fatal(got)
	}
	b.apply(text("tcp"))
	b.sync()
	if got := dial(t, p[0]).get(); got != "one" {
		t.Error(got)
	}
	if n := b.w.Snapshot().Frontends["web"].FE.Counters.Sum(requests); n != 1 {
		t.Errorf("%d HTTP requests: the new connection was not served in mode tcp", n)
	}
	if got := c.get(); got != "one" {
		t.Error(got)
	}
	if n := b.w.Snapshot().Frontends["web"].FE.Counters.Sum(requests); n != 2 {
		t.Errorf("%d HTTP requests: the old connection was not served in mode http", n)
	}
}

func TestStartAllOrNothing(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("frontend a\n bind 127.0.0.1:%d\nfrontend b\n bind %s\n bind %s/no/such\n", p[0], taken.Addr(), t.TempDir())
	err = Start(b.w, b.load(head+text), nil)
	if err == nil || strings.Count(err.Error(), "Binding [") != 2 {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p[0])); err == nil {
		conn.Close()
		t.Error("an address of the failed start listens")
	}
	// A second try, with the address free.
	taken.Close()
	if err := Start(b.w, b.load(head+strings.ReplaceAll(text, "/no/such", "/x")), nil); err != nil {
		t.Fatal(err)
	}
}

// TestInherited takes over a socket that another process opened: what waits in
// it is served.
func TestInherited(t *testing.T) {
	b := newBed(t, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	port := l.Addr().(*net.TCPAddr).Port
	c := dial(t, port) // waits in the queue of the old socket
	unused, _ := os.Open("/dev/null")
	in := stream.Inherited{l.Addr().String(): {dup(t, f)}, "127.0.0.1:1": {dup(t, unused)}}
	fds := []int{in["127.0.0.1:1"][0]}
	text := head + fmt.Sprintf("frontend a\n bind 127.0.0.1:%d\n default_backend b\nbackend b\n server s ", port) + origin(t, "one") + "\n"
	if err := Start(b.w, b.load(strings.Replace(text, " default", " bind "+t.TempDir()+"/no/such\n default", 1)), in); err == nil {
		t.Fatal("an address that cannot be bound")
	}
	if len(in) != 2 {
		t.Fatal("sockets were lost on a failed start", in)
	}
	l.Close()
	if err := Start(b.w, b.load(text), in); err != nil {
		t.Fatal(err)
	}
	if got := c.get(); got != "one" {
		t.Error(got)
	}
	if isOpen(fds[0]) {
		t.Error("a socket that is not used stays open")
	}
}

// TestRandomApplies changes the configuration 200 times while traffic flows:
// nothing fails, and the state is what the configuration says.
func TestRandomApplies(t *testing.T) {
	b := newBed(t, 2)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	p := freePorts(t, 5)
	var origins []string
	for i := range 4 {
		origins = append(origins, origin(t, fmt.Sprint("o", i)))
	}
	random := func() (text string, servers map[string]bool, keys map[string]bool) {
		servers, keys = map[string]bool{}, map[string]bool{fmt.Sprintf("127.0.0.1:%d", p[0]): true}
		var s strings.Builder
		s.WriteString(head)
		if rnd.IntN(2) == 0 {
			fmt.Fprintf(&s, "global\n maxconn %d\n", 1000+rnd.IntN(1000))
		}
		fmt.Fprintf(&s, "frontend web\n bind 127.0.0.1:%d backlog %d\n default_backend app\n timeout client %ds\n maxconn %d\n", p[0], 500+rnd.IntN(500), 10+rnd.IntN(10), 500+rnd.IntN(100))
		for i, port := range p[1:] {
			if rnd.IntN(2) == 0 {
				fmt.Fprintf(&s, "frontend f%d\n bind 127.0.0.1:%d\n default_backend app\n", i, port)
				keys[fmt.Sprintf("127.0.0.1:%d", port)] = true
			}
		}
		fmt.Fprintf(&s, "backend app\n balance %s\n timeout server %ds\n", []string{"roundrobin", "leastconn", "random"}[rnd.IntN(3)], 10+rnd.IntN(5))
		for len(servers) == 0 {
			for i, o := range origins {
				if rnd.IntN(3) > 0 {
					fmt.Fprintf(&s, " server s%d %s weight %d\n", i, o, 1+rnd.IntN(5))
					servers[fmt.Sprint("s", i)] = true
				}
			}
		}
		if rnd.IntN(2) == 0 {
			fmt.Fprintf(&s, "backend b%d\n server x 192.0.2.1:1\n", rnd.IntN(5))
		}
		return s.String(), servers, keys
	}
	text, _, _ := random()
	b.start(text)
	var stop atomic.Bool
	var done atomic.Int64
	var wg sync.WaitGroup
	url := fmt.Sprintf("http://127.0.0.1:%d/", p[0])
	for i := range 4 {
		wg.Go(func() {
			tr := &http.Transport{DisableKeepAlives: i%2 == 0}
			defer tr.CloseIdleConnections()
			hc := http.Client{Transport: tr, Timeout: 20 * time.Second}
			for !stop.Load() {
				res, err := hc.Get(url)
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != 200 || len(body) != 2 {
					t.Errorf("seed %d: %v %s %q", seed, err, res.Status, body)
					return
				}
				done.Add(1)
			}
		})
	}
	last := int64(0)
	for i := range 200 {
		text, servers, keys := random()
		b.apply(text)
		s := b.w.Snapshot()
		if s.Version != i+2 {
			t.Fatalf("version %d", s.Version)
		}
		be := s.Backends["app"].BE
		if len(be.Servers()) != len(servers) {
			t.Fatalf("seed %d: %d servers for\n%s", seed, len(be.Servers()), text)
		}
		for _, x := range be.Servers() {
			if !servers[x.Name] || x.Deleted() || !x.Usable() {
				t.Fatalf("seed %d: server %s in\n%s", seed, x.Name, text)
			}
		}
		if len(b.w.Listeners) != len(keys) {
			t.Fatalf("seed %d: listeners %v in\n%s", seed, b.w.Listeners, text)
		}
		n := s.Frontends["web"].FE.Counters.Sum(requests)
		if n < last {
			t.Fatalf("seed %d: requests went from %d to %d", seed, last, n)
		}
		last = n
	}
	// Every client gets at least one more answer.
	for target := done.Load() + 8; done.Load() < target && !t.Failed(); {
		b.sync()
	}
	stop.Store(true)
	wg.Wait()
	b.sync()
	if n := b.w.Snapshot().Frontends["web"].FE.Counters.Sum(requests); n != done.Load() {
		t.Errorf("seed %d: %d requests made, %d counted", seed, done.Load(), n)
	}
}

// TestRateLimit lets more connections come than the rate allows: they wait in
// the queue of the socket, and are served.
func TestRateLimit(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 1)
	b.start(head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n rate-limit sessions 20\n monitor-uri /\n", p[0]))
	var list []*client
	for range 30 {
		list = append(list, dial(t, p[0]))
	}
	for _, c := range list {
		c.get()
	}
}
