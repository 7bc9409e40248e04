package ladder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtimetest"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
)

const base = `# _version=1
global
    stats socket %s level admin
defaults
    default-server inter 3s
backend app
    default-server check
    errorfile 503 %s
    server s1 127.0.0.1:80 weight 5
    server s2 127.0.0.1:81
`

// bench is a ladder with a fake proxy.
type bench struct {
	*Ladder
	proxy   *runtimetest.Forebay
	socket  *runtimetest.Server
	replies map[string]string                            // of commands that are not about a bundle
	answer  func(command string) (reply string, ok bool) // comes before replies; may be nil
	text    string
	reloads string // file that the reload command appends to
	errfile string
}

func newBench(t *testing.T, inPlace bool) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{proxy: &runtimetest.Forebay{}, replies: map[string]string{}, reloads: filepath.Join(dir, "reloads"), errfile: filepath.Join(dir, "503.http")}
	b.socket = runtimetest.New(t, func(command, payload string) string {
		if inPlace {
			if reply, ok := b.proxy.Handle(command, payload); ok {
				return reply
			}
		}
		if b.answer != nil {
			if reply, ok := b.answer(command); ok {
				return reply
			}
		}
		for prefix, reply := range b.replies {
			if strings.HasPrefix(command, prefix) {
				return reply
			}
		}
		return "Unknown command: '" + command + "'"
	})
	b.text = fmt.Sprintf(base, b.socket.Path, b.errfile)
	api, err := resource.Load(apispec.Files)
	if err != nil {
		t.Fatal(err)
	}
	names, err := resource.LoadNames(apispec.Files)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "h.cfg")
	for p, text := range map[string]string{path: b.text, b.errfile: "HTTP/1.0 503 x\r\n\r\n"} {
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	st, err := store.Open(&store.Store{Path: path, Dir: filepath.Join(dir, "state"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b.Ladder = &Ladder{API: api, Names: names, Store: st, Log: log, CommandTime: 10 * time.Second, Retention: time.Hour,
		ReloadDelay: time.Hour, ReloadCmd: []string{"sh", "-c", "echo reload >> " + b.reloads}}
	t.Cleanup(b.Close)
	return b
}

func anyVersion(int64) error { return nil }

// change replaces text in the file by the ladder.
func (b *bench) change(t *testing.T, opt Options, old, new string) (Result, error) {
	t.Helper()
	return b.Do(t.Context(), opt, anyVersion, func(text []byte) ([]byte, error) {
		if !strings.Contains(string(text), old) {
			t.Fatalf("%q is not in the file", old)
		}
		return []byte(strings.Replace(string(text), old, new, 1)), nil
	})
}

func (b *bench) file(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(b.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (b *bench) reloaded() int {
	data, _ := os.ReadFile(b.reloads)
	return strings.Count(string(data), "reload")
}

var good2 = map[string]string{
	"add server": "New server registered.", "enable ": "", "set server app/s1 weight": "", "set server app/s1 state": "", "set maxconn": "",
	"set server app/s2 state maint": "", "wait ": "Done.", "del server": "Server deleted.",
	"set server app/s1 addr": "IP changed from '127.0.0.1' to '127.0.0.2', no need to change the port by 'stats socket command'",
}

func TestRungs(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new string
		inPlace  bool
		how      string
		commands []string // of the first rung
	}{
		{"add a server", "127.0.0.1:81\n", "127.0.0.1:81\n    server s3 127.0.0.1:82 weight 2\n", false, "runtime", []string{
			"add server app/s3 127.0.0.1:82 inter 3s check weight 2", "enable health app/s3", "enable server app/s3"}},
		{"add one in maintenance", "127.0.0.1:81\n", "127.0.0.1:81\n    server s3 127.0.0.1:82 no-check disabled\n", false, "runtime", []string{
			"add server app/s3 127.0.0.1:82 inter 3s disabled"}},
		{"delete a server", "    server s2 127.0.0.1:81\n", "", false, "runtime", []string{
			"set server app/s2 state maint", "wait 2s srv-removable app/s2", "del server app/s2"}},
		{"change a weight", "weight 5", "weight 7", false, "runtime", []string{"set server app/s1 weight 7"}},
		{"change an address", "127.0.0.1:80", "127.0.0.2:80", false, "runtime", []string{"set server app/s1 addr 127.0.0.2 port 80"}},
		{"change address and port", "127.0.0.1:80", "127.0.0.2:90", false, "runtime", []string{"set server app/s1 addr 127.0.0.2 port 90"}},
		{"state and maxconn", "weight 5", "weight 5 maxconn 9 disabled", false, "runtime", []string{"set server app/s1 state maint", "set maxconn server app/s1 9"}},
		{"a comment", "global\n", "global\n    # a word\n", false, "runtime", nil},
		{"a weight goes: no command says that", " weight 5", "", false, "reload", nil},
		{"an unknown word", "weight 5", "weight 5 zork", false, "reload", nil},
		{"a server in front", "    server s1", "    server s0 127.0.0.1:79\n    server s1", false, "reload", nil},
		{"a setting that has no command", "weight 5", "weight 5 check-ssl", false, "reload", nil},
		{"a new backend", "backend app", "backend x\n\nbackend app", false, "reload", nil},
		{"a new backend, in place", "backend app", "backend x\n\nbackend app", true, "in place", nil},
		{"a default for the servers", "default-server check", "default-server check fall 9", true, "in place", nil},
	} {
		b := newBench(t, c.inPlace)
		for k, v := range good2 {
			b.replies[k] = v
		}
		got, err := b.change(t, Options{}, c.old, c.new)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := strings.Replace(strings.Replace(b.text, c.old, c.new, 1), "=1", "=2", 1)
		if b.file(t) != want || got.How != c.how || got.Version != 2 || (got.ReloadID != "") != (c.how == "reload") {
			t.Errorf("%s: %+v\n%s", c.name, got, b.file(t))
		}
		if c.how == "runtime" && !reflect.DeepEqual(b.socket.Seen(), c.commands) {
			t.Errorf("%s: commands %q", c.name, b.socket.Seen())
		}
		if c.how == "in place" {
			// The bundle has the file and what it names.
			bundle := b.proxy.Bundles[0]
			if bundle[b.Store.Path] != want || !strings.HasPrefix(bundle[b.errfile], "HTTP/1.0 503") {
				t.Errorf("%s: bundle %q", c.name, bundle)
			}
		}
		if same, _ := b.Store.Applied([]byte(want)); same != (c.how != "reload") {
			t.Errorf("%s: applied %v", c.name, same)
		}
		if b.proxy.Open() > 0 {
			t.Errorf("%s: a version is left open", c.name)
		}
	}
}

// A command that the proxy refuses sends the change to the next rung.
func TestNextRung(t *testing.T) {
	b := newBench(t, true)
	b.replies["set server"] = "Require a dynamic algorithm"
	got, err := b.change(t, Options{}, "weight 5", "weight 7")
	if err != nil || got.How != "in place" {
		t.Errorf("%+v, %v", got, err)
	}
	b.proxy.Answer = "  ! global nbthread 2 -> 4: needs a reload\nNot applied: the changes marked '!' need a reload"
	if got, err = b.change(t, Options{}, "global\n", "global\n    nbthread 4\n"); err != nil || got.How != "reload" {
		t.Errorf("%+v, %v", got, err)
	}
	if b.proxy.Open() > 0 {
		t.Error("the version that needs a reload is left open")
	}
	// What comes before the reload joins it: commands alone would leave the proxy with half of it.
	id := got.ReloadID
	if got, err = b.change(t, Options{}, "weight 7", "weight 8"); err != nil || got.ReloadID != id {
		t.Errorf("%+v, %v", got, err)
	}
	if b.reloaded() != 0 {
		t.Error("reloaded before the delay")
	}
	if got, err = b.change(t, Options{ForceReload: true}, "weight 8", "weight 9"); err != nil || got.ReloadID != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if r := b.Reloads(); b.reloaded() != 1 || len(r) != 1 || r[0].ID != id || r[0].Status != ReloadSucceeded {
		t.Errorf("%d reloads: %+v", b.reloaded(), r)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(b *bench)
		opt   Options
	}{
		{"by the check", func(b *bench) {
			b.ValidateCmd = []string{"sh", "-c", "echo \"[ALERT] (1) : config : parsing [$0:3] : no.\"; echo '[ALERT] (1) : config : the end.'; exit 1", "{file}"}
		}, Options{}},
		{"in place", func(b *bench) { b.proxy.Answer = "[ALERT] config : no\nFatal errors found in configuration" }, Options{}},
		{"by the reload", func(b *bench) { b.ReloadCmd = []string{"sh", "-c", "echo broken; exit 3"} }, Options{ForceReload: true}},
		{"nobody reloads", func(b *bench) {
			b.ReloadCmd = nil
			b.proxy.Answer = "Not applied: the changes marked '!' need a reload"
		}, Options{}},
	} {
		b := newBench(t, true)
		c.spoil(b)
		var events []Event
		b.Notify = func(e Event) { events = append(events, e) }
		_, err := b.change(t, c.opt, "backend app", "backend x\nbackend app")
		var refused *Refused
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", c.name, err)
		}
		if b.file(t) != b.text {
			t.Errorf("%s: the file is\n%s", c.name, b.file(t))
		}
		if c.name == "by the check" {
			if want := "the proxy does not accept the configuration: config : parsing [h.cfg:3] : no; config : the end"; refused.Text != want {
				t.Errorf("%q", refused.Text)
			}
		} else if len(events) != 1 || events[0].Event != "failed" {
			t.Errorf("%s: events %+v", c.name, events)
		}
	}
}

// A delayed reload that fails brings the file back to what the proxy runs.
func TestDelayedReloadFails(t *testing.T) {
	b := newBench(t, false)
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.ReloadDelay = 0
	b.ReloadCmd = []string{"sh", "-c", "exit 1"}
	failed := make(chan Event, 1)
	b.Notify = func(e Event) { failed <- e }
	got, err := b.change(t, Options{}, "backend app", "backend x\nbackend app")
	if err != nil || got.ReloadID == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if e := <-failed; e.Event != "failed" || e.ReloadID != got.ReloadID {
		t.Errorf("%+v", e)
	}
	b.Close() // waits for the end of it
	if want := strings.Replace(b.text, "=1", "=3", 1); b.file(t) != want {
		t.Errorf("the file is\n%s", b.file(t))
	}
}

// What a person wrote into the file survives a reload that fails, whenever it was
// written: before the change, between two changes that wait, or after them.
func TestHandEditSurvivesFailedReload(t *testing.T) {
	const edit = "# by hand\n"
	for _, c := range []struct {
		name      string
		after     int    // how many changes
		want, not string // what is in the file at the end
	}{
		{"before", 0, "", "backend x"},
		{"between", 1, "backend x\nbackend y", ""},
		{"after", 2, "backend x\nbackend y", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, false)
			b.ReloadCmd = []string{"sh", "-c", "exit 1"}
			failed := make(chan Event, 1)
			b.Notify = func(e Event) { failed <- e }
			hand := func(n int) {
				if n == c.after {
					if err := os.WriteFile(b.Store.Path, []byte(b.file(t)+edit), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			hand(0)
			for i, name := range []string{"backend x\n", "backend y\n"} {
				if got, err := b.change(t, Options{}, "backend app", name+"backend app"); err != nil || got.ReloadID == "" {
					t.Fatalf("%+v, %v", got, err)
				}
				hand(i + 1)
			}
			b.Close() // the reload is done now
			if e := <-failed; e.Event != "failed" {
				t.Errorf("%+v", e)
			}
			text := b.file(t)
			if !strings.HasSuffix(text, edit) || !strings.Contains(text, c.want) || c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("the file is\n%s", text)
			}
		})
	}
}

// A change that wants its reload at once, and is taken back when that fails, does
// not take along the one that waited: its changes are in the file, and reach the
// proxy later.
func TestForcedReloadFailsWhileOneWaits(t *testing.T) {
	b := newBench(t, false)
	ok, broken := b.ReloadCmd, []string{"sh", "-c", "exit 1"}
	first, err := b.change(t, Options{}, "backend app", "backend x\nbackend app")
	if err != nil || first.ReloadID == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	before := b.file(t)
	b.ReloadCmd = broken
	var refused *Refused
	if _, err := b.change(t, Options{ForceReload: true}, "backend app", "backend y\nbackend app"); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if b.file(t) != before {
		t.Errorf("the file is\n%s", b.file(t))
	}
	if r := b.Reloads(); len(r) != 1 || r[0].ID != first.ReloadID || r[0].Status != ReloadInProgress {
		t.Errorf("%+v", r)
	}
	b.ReloadCmd = ok
	// What comes now joins it.
	if got, err := b.change(t, Options{}, "weight 5", "weight 6"); err != nil || got.ReloadID != first.ReloadID {
		t.Errorf("%+v, %v", got, err)
	}
	b.Close()
	text := b.file(t)
	if r := b.Reloads(); b.reloaded() != 1 || len(r) != 1 || r[0].Status != ReloadSucceeded || !strings.Contains(text, "weight 6") || !strings.Contains(text, "backend x") {
		t.Errorf("%d reloads: %+v\n%s", b.reloaded(), r, text)
	}
	if same, _ := b.Store.Applied([]byte(text)); !same {
		t.Error("it is not noted that the proxy has the file")
	}
}

func TestSkipReload(t *testing.T) {
	b := newBench(t, true)
	got, err := b.change(t, Options{SkipReload: true}, "weight 5", "weight 7")
	if err != nil || got.How != "none" || len(b.socket.Seen()) > 0 {
		t.Errorf("%+v, %v, %q", got, err, b.socket.Seen())
	}
}

// Nothing changes: no version, no command.
func TestNoChange(t *testing.T) {
	b := newBench(t, true)
	got, err := b.change(t, Options{}, "weight 5", "weight 5")
	if err != nil || got.Version != 1 || got.How != "none" || b.file(t) != b.text {
		t.Errorf("%+v, %v", got, err)
	}
}

// A proxy that does not run gets the file at its next start.
func TestProxyDown(t *testing.T) {
	b := newBench(t, true)
	b.ReloadCmd = nil
	b.RuntimeSocket = b.Store.Path + ".nobody"
	got, err := b.change(t, Options{}, "weight 5", "weight 7")
	if err != nil || got.How != "none" || !strings.Contains(b.file(t), "weight 7") {
		t.Errorf("%+v, %v", got, err)
	}
}

// A crash between the file and the proxy: the next start brings the proxy to the file.
func TestReconcile(t *testing.T) {
	b := newBench(t, true)
	if err := b.Reconcile(t.Context()); err != nil || len(b.socket.Seen()) > 0 {
		t.Fatalf("without a past: %v, %q", err, b.socket.Seen())
	}
	next := strings.Replace(b.text, "=1", "=2", 1)
	if err := b.Store.Write(1, []byte(next)); err != nil {
		t.Fatal(err)
	}
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.proxy.Bundles) != 1 || b.proxy.Bundles[0][b.Store.Path] != next {
		t.Errorf("bundles %q", b.proxy.Bundles)
	}
	if err := b.Reconcile(t.Context()); err != nil || len(b.proxy.Bundles) != 1 {
		t.Errorf("applied twice: %v", err)
	}
	// One that is not valid is left alone.
	if err := b.Store.Write(2, []byte(strings.Replace(b.text, "=1", "=3", 1))); err != nil {
		t.Fatal(err)
	}
	b.ValidateCmd = []string{"false"}
	if err := b.Reconcile(t.Context()); err != nil || len(b.proxy.Bundles) != 1 {
		t.Errorf("an invalid file was applied: %v", err)
	}
}

func TestMasterSocket(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		procs       []string
		ok          bool
	}{
		{"3.x", "Success=1\n--\nall good", nil, true},
		{"3.x fails", "Success=0\n--\n[ALERT] no", nil, false},
		{"2.6", "", []string{"11", "11", "12"}, true},
		{"2.6 fails", "", []string{"11", "11", ""}, false},
	} {
		b := newBench(t, false)
		n := 0
		m := runtimetest.New(t, func(command, _ string) string {
			if command == "reload" {
				return c.reply
			}
			pid := "11"
			if len(c.procs) > 0 {
				pid = c.procs[min(n, len(c.procs)-1)]
				n++
			}
			if pid != "" {
				pid += "   worker  0\n"
			}
			return "#<PID> <type>\n1 master\n# workers\n" + pid + "# old workers\n"
		})
		b.ReloadCmd, b.MasterSocket = nil, m.Path
		_, err := b.reload(t.Context())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNotifier(t *testing.T) {
	got := make(chan Event, 10)
	tries := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // the first try fails
			return
		}
		var e Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		got <- e
	}))
	defer srv.Close()
	n := NewNotifier(srv.URL, slog.New(slog.NewTextHandler(io.Discard, nil)))
	defer n.Close()
	n.Send(Event{Event: "applied", Version: 7})
	if e := <-got; e.Version != 7 || e.Event != "applied" {
		t.Errorf("%+v", e)
	}
}

// A receiver that never answers does not hold anybody up, and the newest events are kept.
func TestNotifierSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := &Notifier{log: slog.New(slog.NewTextHandler(io.Discard, nil)), queue: make(chan Event, 4), cancel: cancel}
		for i := range int64(10) {
			n.Send(Event{Version: i})
		}
		if e := <-n.queue; e.Version != 6 || ctx.Err() != nil {
			t.Errorf("%+v", e)
		}
	})
}
