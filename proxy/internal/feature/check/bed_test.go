package check

import (
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// heard collects the messages of all workers, by the names in them.
var heard = struct {
	sync.Mutex
	change *sync.Cond
	lines  []string
}{}

func TestMain(m *testing.M) {
	heard.change = sync.NewCond(&heard.Mutex)
	os.Exit(m.Run())
}

// hear is the [stream.Worker.Announce] of these tests.
func hear(severity int, text string) {
	heard.Lock()
	heard.lines = append(heard.lines, levels[logs.Level(severity)]+" "+text)
	heard.change.Broadcast()
	heard.Unlock()
}

var levels = map[logs.Level]string{logs.Emerg: "emerg", logs.Alert: "alert", logs.Notice: "notice"}

var duration = regexp.MustCompile(`duration: \d+ms`)

// await gives the messages that name a backend once there are n of them.
func await(t *testing.T, backend string, n int) []string {
	t.Helper()
	stop := time.AfterFunc(20*time.Second, func() {
		heard.Lock()
		heard.change.Broadcast()
		heard.Unlock()
	})
	defer stop.Stop()
	end := time.Now().Add(20 * time.Second)
	heard.Lock()
	defer heard.Unlock()
	for {
		var out []string
		for _, l := range heard.lines {
			if about(l, backend) {
				out = append(out, duration.ReplaceAllString(l, "duration: Nms"))
			}
		}
		if len(out) >= n {
			return out
		}
		if !time.Now().Before(end) {
			t.Fatalf("%d of %d messages about %s: %q", len(out), n, backend, out)
		}
		heard.change.Wait()
	}
}

func about(line, backend string) bool {
	return strings.Contains(line, " "+backend+"/") || strings.Contains(line, "'"+backend+"'")
}

// forget drops what was heard about a backend.
func forget(backend string) {
	heard.Lock()
	defer heard.Unlock()
	heard.lines = slices.DeleteFunc(heard.lines, func(l string) bool { return about(l, backend) })
}

// Time only passes where a test is about it: the machine may be busy.
const defaults = `
global
  max-spread-checks 10
defaults
  mode http
  timeout connect 20s
  timeout check 20s
  timeout server 1s
  timeout client 1s
  default-server inter 20s fastinter 20ms downinter 20ms fall 2 rise 2
`

// start runs a worker with a configuration.
func start(t *testing.T, text string) *stream.Worker {
	t.Helper()
	return startOn(t, 2, text)
}

func startOn(t *testing.T, threads int, text string) *stream.Worker {
	t.Helper()
	snap := bed.MustLoad(t, threads, text)
	w := bed.StartSnapshot(t, snap, func(w *stream.Worker) { w.Announce = hear })
	t.Cleanup(func() {
		StopAll(w)
		w.OnAll(func(*reactor.Reactor) {}) // what was posted has run
		for _, r := range w.Reactors {
			if n := r.Descriptors(); n > 0 {
				t.Errorf("%d descriptors are still open", n)
			}
		}
		for name := range snap.Backends {
			forget(name)
		}
	})
	return w
}

// peer is a server that does with each connection what it is told.
type peer struct {
	l    net.Listener
	addr string
	mu   sync.Mutex
	do   func(net.Conn)
	seen chan string // requests, as far as there is room
}

func newPeer(t *testing.T, do func(net.Conn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{l: l, addr: l.Addr().String(), do: do, seen: make(chan string, 1000)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			do := p.do
			p.mu.Unlock()
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				n, _ := c.Read(buf)
				select {
				case p.seen <- string(buf[:n]):
				default:
				}
				do(c)
			}()
		}
	}()
	return p
}

func (p *peer) set(do func(net.Conn)) {
	p.mu.Lock()
	p.do = do
	p.mu.Unlock()
}

func says(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text) } }

func resets(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

// silent waits until the other side gives up.
func silent(c net.Conn) { io.Copy(io.Discard, c) }

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func checkLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got[:min(len(got), len(want))], want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
