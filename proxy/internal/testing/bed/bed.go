// Package bed runs configurations for tests: text in, a worker that serves it on
// real sockets out, and the Runtime socket's answers. Which features there are is
// the importing test's choice.
package bed

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// Patience is how long a test waits for what must come.
const Patience = 20 * time.Second

// Input is a configuration of one file, t.cfg, which may name files of the disk.
func Input(threads int, text string) snapshot.Input {
	return snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Files: bundle.Disk{}, Threads: threads, MaxConn: 2000}
}

// Load reads a configuration; there is no snapshot when it has errors.
func Load(threads int, text string) (*stream.Snapshot, *config.Diagnostics) {
	return snapshot.Load(Input(threads, text))
}

// MustLoad is Load of what has no errors.
func MustLoad(t testing.TB, threads int, text string) *stream.Snapshot {
	t.Helper()
	s, d := Load(threads, text)
	if s == nil {
		t.Fatalf("%s\n%v", text, d.All())
	}
	return s
}

// Examples gives the examples of a manual page: its lines that are indented.
func Examples(t testing.TB, page string) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for l := range strings.Lines(string(data)) {
		if l, indented := strings.CutPrefix(l, "    "); indented {
			text.WriteString(l)
		}
	}
	return text.String()
}

// Sound is Load of what has no errors, and gives no warning.
func Sound(t testing.TB, text string) *stream.Snapshot {
	t.Helper()
	s, d := Load(1, text)
	if s == nil || len(d.All()) > 0 {
		t.Fatalf("%s\n%v", text, d.All())
	}
	return s
}

// Start runs a configuration until the test ends.
func Start(t testing.TB, threads int, text string) *stream.Worker {
	t.Helper()
	return StartSnapshot(t, MustLoad(t, threads, text))
}

// StartSnapshot is Start of what was loaded, and maybe changed, by the test, which
// may also prepare the worker.
func StartSnapshot(t testing.TB, snap *stream.Snapshot, prepare ...func(*stream.Worker)) *stream.Worker {
	t.Helper()
	w := workertest.New(t, snap.Global.Threads)
	for _, f := range prepare {
		f(w)
	}
	w.Init()
	if err := snapshot.Start(w, snap, nil); err != nil {
		t.Fatal(err)
	}
	workertest.Run(t, w)
	return w
}

// Apply puts another configuration in the place of the one that runs, from which it
// takes what has not changed.
func Apply(t testing.TB, w *stream.Worker, text string) []snapshot.Change {
	t.Helper()
	in := Input(len(w.Reactors), text)
	in.Base = w.Snapshot()
	snap, d := snapshot.Load(in)
	if snap == nil {
		t.Fatalf("%s\n%v", text, d.All())
	}
	changes, err := snapshot.Apply(w, snap)
	if err != nil {
		t.Fatalf("%s\n%v: %v", text, err, changes)
	}
	return changes
}

// Dial gives a connection to the worker's commands.
func Dial(t testing.TB, w *stream.Worker, set *runtimeapi.Set, o runtimeapi.Options) *net.UnixConn {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "client")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if o.Worker == nil {
		o.Worker = w
	}
	r := w.Reactors[len(w.Reactors)-1]
	r.Post(func() {
		if err := runtimeapi.Attach(r, fds[0], set, o, nil); err != nil {
			t.Error(err)
		}
	})
	c.SetDeadline(time.Now().Add(Patience))
	return c.(*net.UnixConn)
}

// Ask sends a line as an administrator and gives all that comes back.
func Ask(t testing.TB, w *stream.Worker, line string) string {
	t.Helper()
	return AskAs(t, w, runtimeapi.Admin, line)
}

// AskAs is Ask of somebody with a level.
func AskAs(t testing.TB, w *stream.Worker, l runtimeapi.Level, line string) string {
	t.Helper()
	return Talk(t, Dial(t, w, runtimeapi.Worker, runtimeapi.Options{Level: l}), line+"\n")
}

// Talk sends text, ends that side, and gives all that comes back. A connection that
// is reset has said what it had to say.
func Talk(t testing.TB, c *net.UnixConn, text string) string {
	t.Helper()
	go func() {
		io.WriteString(c, text)
		c.CloseWrite()
	}()
	b, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("%q: %v after %q", text, err, b)
	}
	return string(b)
}
