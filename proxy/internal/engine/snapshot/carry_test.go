package snapshot

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// What a configuration says anew of the balance is in force at once.
func TestApplyBalance(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)[0]
	one, two := origin(t, "one"), origin(t, "two")
	text := func(balance, options string) string {
		return head + fmt.Sprintf("listen app\n bind 127.0.0.1:%d\n balance %s\n%s server a %s\n server b %s\n", p, balance, options, one, two)
	}
	seen := func() string {
		var all []string
		for range 4 {
			all = append(all, dial(t, p).get())
		}
		return strings.Join(all, " ")
	}
	b.start(text("roundrobin", ""))
	if got := seen(); got != "one two one two" {
		t.Errorf("roundrobin: %s", got)
	}
	b.apply(text("first", ""))
	if got := seen(); got != "one one one one" {
		t.Errorf("first: %s", got)
	}
	backups := func(options string) string {
		return strings.NewReplacer("server a "+one, "server a "+one+" backup", "server b "+two, "server b "+two+" backup").Replace(text("roundrobin", options))
	}
	b.apply(backups(""))
	if got := seen(); got != "one one one one" {
		t.Errorf("backups: %s", got)
	}
	b.apply(backups(" option allbackups\n"))
	if got := seen(); got != "one two one two" && got != "two one two one" {
		t.Errorf("allbackups: %s", got)
	}
}

// Balancing over many servers takes its time: it is done without the worker's lock,
// which reactors may wait for, unless there would be too few servers until then.
func TestBalancesWithoutLock(t *testing.T) {
	b := newBed(t, 1)
	ports := freePorts(t, 1)
	text := func(servers string) string {
		return head + fmt.Sprintf("listen app\n bind 127.0.0.1:%d\n", ports[0]) + servers
	}
	b.start(text(" server a 127.0.0.1:1\n server b 127.0.0.1:2\n server c 127.0.0.1:3\n"))
	for _, c := range []struct {
		what, servers string
		locked        bool
	}{
		{"a weight", " server a 127.0.0.1:1 weight 5\n server b 127.0.0.1:2\n server c 127.0.0.1:3\n", false},
		{"one more", " server a 127.0.0.1:1\n server b 127.0.0.1:2\n server c 127.0.0.1:3\n server d 127.0.0.1:4\n", false},
		{"one less", " server a 127.0.0.1:1\n server c 127.0.0.1:3\n server d 127.0.0.1:4\n", false},
		{"one disabled", " server a 127.0.0.1:1\n server c 127.0.0.1:3\n server d 127.0.0.1:4 disabled\n", false},
		{"another one disabled", " server a 127.0.0.1:1 disabled\n server c 127.0.0.1:3\n server d 127.0.0.1:4 disabled\n", true},
		{"others", " server x 127.0.0.1:1\n server y 127.0.0.1:2\n", true},
		{"one of two", " server x 127.0.0.1:1\n", true},
	} {
		var locked []bool
		snap := b.load(text(c.servers))
		how := &snap.Backends["app"].Balance
		how.Algorithm = c.what
		how.New = func(conf *balance.Config, set balance.Set, old balance.Picker) balance.Picker {
			free := b.w.Mu.TryLock()
			if free {
				b.w.Mu.Unlock()
			}
			locked = append(locked, !free)
			return balance.RoundRobin(conf, set, old)
		}
		if _, err := Apply(b.w, snap); err != nil {
			t.Fatal(err)
		}
		if len(locked) != 1 || locked[0] != c.locked {
			t.Errorf("%s: balanced under the lock: %v, want %v", c.what, locked, c.locked)
		}
		how.New = balance.RoundRobin
		if got, want := b.w.Snapshot().Backends["app"].BE.Picker().Len(), strings.Count(c.servers, "server")-strings.Count(c.servers, "disabled"); got != want {
			t.Errorf("%s: balanced over %d servers, not %d", c.what, got, want)
		}
	}
}

// A number that a proxy asks for is not another's any more.
func TestNumbersOfProxies(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 3)
	fe := func(name string, port int, more string) string {
		return fmt.Sprintf("frontend %s\n bind 127.0.0.1:%d\n%s", name, port, more)
	}
	b.start(head + fe("a", p[0], "") + fe("b", p[1], ""))
	was := b.w.Snapshot().Frontends["b"].ID
	b.apply(head + fe("a", p[0], "") + fe("b", p[1], "") + fe("c", p[2], fmt.Sprintf(" id %d\n", was)))
	s := b.w.Snapshot()
	a, bb, c := s.Frontends["a"].ID, s.Frontends["b"].ID, s.Frontends["c"].ID
	if c != was || bb == c || a == bb || a == c {
		t.Errorf("a %d, b %d, c %d; c asked for %d", a, bb, c, was)
	}
}

// The idle connections to a server that is gone are closed, all of them.
func TestIdleConnectionsOfServersThatAreGone(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)[0]
	text := func(servers string) string {
		return head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\nbackend app\n http-reuse always\n", p) + servers
	}
	one, two := " server s1 "+origin(t, "one")+"\n", " server s2 "+origin(t, "two")+"\n"
	b.start(text(one))
	if got := dial(t, p).get(); got != "one" {
		t.Fatal(got)
	}
	b.sync()
	s := b.w.Snapshot().Backends["app"].BE.Server("s1")
	if n := s.Idle.Load(); n != 1 {
		t.Fatalf("%d idle connections", n)
	}
	b.apply(text(two))
	b.sync()
	if n := s.Idle.Load(); n != 0 {
		t.Errorf("%d idle connections to a server that is gone", n)
	}
}

// A frontend that was shut down by command stays so.
func TestShutDownFrontendStays(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 2)
	text := func(more string) string {
		return head + "global\n stats socket " + b.sock + " level admin\n" + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n%sfrontend other\n bind 127.0.0.1:%d\n", p[0], more, p[1])
	}
	b.start(text(""))
	if got := b.command("shutdown frontend web"); got != "" {
		t.Fatal(got)
	}
	b.apply(text(" maxconn 7\n"))
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p[0])); err == nil {
		c.Close()
		t.Error("it listens again")
	}
}

// Making a UNIX socket takes its path away from who had it: it is left alone when
// something else cannot be opened.
func TestPathStaysWhenAnotherAddressFails(t *testing.T) {
	b := newBed(t, 1)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	path := filepath.Join(t.TempDir(), "own")
	theirs, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	snap := b.load(head + "frontend web\n bind " + path + "\n bind " + busy.Addr().String() + "\n")
	if err := Start(b.w, snap, nil); err == nil {
		t.Fatal("it started")
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(before, now) {
		t.Errorf("the path is another's now: %v", err)
	}
}

// A UNIX socket that came from another process needs no path any more: it is not
// among what could not be had.
func TestInheritedPathIsNotAnError(t *testing.T) {
	b := newBed(t, 1)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	inherited, lost := filepath.Join(gone, "one"), filepath.Join(gone, "two")
	theirs, err := net.Listen("unix", inherited)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	f, err := theirs.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	snap := b.load(head + "frontend web\n bind " + inherited + "\n bind " + lost + "\n bind " + busy.Addr().String() + "\n")
	in := stream.Inherited{inherited: {dup(t, f)}}
	err = Start(b.w, snap, in)
	if err == nil || strings.Contains(err.Error(), inherited) || !strings.Contains(err.Error(), lost) || !strings.Contains(err.Error(), busy.Addr().String()) {
		t.Error(err)
	}
	if len(in[inherited]) != 1 {
		t.Error("the socket is not given back")
	}
}
