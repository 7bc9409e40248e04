package runtimeapi

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// A stats socket serves as many connections at once as it may; others wait for
// their turn. Each has the level of its socket.
func TestStatsSocket(t *testing.T) {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := stream.NewWorker([]*reactor.Reactor{r})
	w.SetSnapshot(&stream.Snapshot{Global: &stream.Global{BufSize: 16384}})
	path := filepath.Join(t.TempDir(), "sock")
	b := &stream.Bind{Addr: reactor.Addr{Path: path}, FD: -1, Level: int(Operator), UID: -1, GID: -1, Handler: handler(&gate{max: 2}, 20*time.Second)}
	l, err := w.OpenListener(b, &stream.Proxy{FE: stream.NewFrontState("GLOBAL", 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	var wg sync.WaitGroup
	wg.Go(r.Run)
	t.Cleanup(func() { r.Stop(); wg.Wait(); r.Close() })
	dial := func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn, line, want string) {
		t.Helper()
		io.WriteString(c, line+"\n")
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("%s: got %q, %v", line, got, err)
		}
	}
	first, second, third := dial(), dial(), dial()
	say(first, "prompt i;show cli level", "\noperator\n\n")
	say(second, "prompt i;shutdown session 1", "\nPermission denied\n\n")
	io.WriteString(third, "show cli level\n")
	say(first, "echo still here", "still here\n\n")
	if n := l.Cur.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
	say(second, "quit", "")
	if b, err := io.ReadAll(third); err != nil || string(b) != "operator\n\n" {
		t.Errorf("third: %q %v", b, err)
	}
	say(first, "quit", "")
	if _, err := io.ReadAll(first); err != nil {
		t.Error(err)
	}
}

func TestGate(t *testing.T) {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	g := &gate{max: 1}
	entered, refused := 0, 0
	for range maxWaiting + 2 {
		r.Go(func() {
			if g.enter(r) {
				entered++
			} else {
				refused++
			}
		})
	}
	if entered != 1 || refused != 1 {
		t.Fatalf("%d entered, %d refused", entered, refused)
	}
	for i := range maxWaiting {
		g.leave()
		r.Turn(0)
		if entered != i+2 {
			t.Fatalf("%d entered after %d left", entered, i+1)
		}
	}
	g.leave()
	if g.inside != 0 || len(g.waiting) != 0 {
		t.Errorf("%d inside, %d wait", g.inside, len(g.waiting))
	}
}

func TestDump(t *testing.T) {
	var b strings.Builder
	dumpCommands(&b)
	for _, l := range []string{"# List of registered CLI keywords:\n", "\nhelp [MASTER] [WORKER] \n", "\nshow servers state [WORKER] \n"} {
		if !strings.Contains(b.String(), l) {
			t.Errorf("no %q in\n%s", l, b.String())
		}
	}
}
