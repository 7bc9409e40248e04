package ladder

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
)

const (
	oldSection = "backend app"
	newSection = "backend x\nbackend app"
)

// pending makes a change that waits for its reload, which is how everything
// begins here.
func (b *bench) pending(t *testing.T) Result {
	t.Helper()
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := b.change(t, Options{}, oldSection, newSection)
	if err != nil || got.How != "reload" || got.ReloadID == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	return got
}

// A change while a reload waits joins it: a command would reach a proxy that does
// not have what came before. When the reload fails, all that waited is taken back,
// under a version of its own.
func TestChangesThatWaitFailTogether(t *testing.T) {
	b := newBench(t, false)
	b.replies = good2
	first := b.pending(t)
	b.ReloadCmd = []string{"sh", "-c", "echo broken; exit 1"}
	second, err := b.change(t, Options{}, "weight 5", "weight 7")
	if err != nil || second.ReloadID != first.ReloadID || second.How != "reload" {
		t.Errorf("%+v, %v; want to be a part of %s", second, err, first.ReloadID)
	}
	for _, c := range b.socket.Seen() {
		if strings.HasPrefix(c, "set server") {
			t.Errorf("%q went past the reload that waits", c)
		}
	}
	var events []Event
	b.Notify = func(e Event) { events = append(events, e) }
	b.Close()
	if want := strings.Replace(b.text, "=1", "=4", 1); b.file(t) != want {
		t.Errorf("the file is\n%s", b.file(t))
	}
	if list := b.Reloads(); len(list) != 1 || list[0].Status != ReloadFailed || !strings.Contains(list[0].Response, "broken") {
		t.Errorf("%+v", list)
	}
	if len(events) != 1 || events[0].Event != "failed" {
		t.Errorf("%+v", events)
	}
	// The proxy runs what it ran: a change that commands cover goes by commands again.
	if same, _ := b.Store.Applied([]byte(b.file(t))); !same {
		t.Error("the restored file is not known as what the proxy runs")
	}
}

// A hand edit after a change that waits is not taken back with it.
func TestHandEditBeforeTheReloadFails(t *testing.T) {
	b := newBench(t, false)
	b.pending(t)
	b.ReloadCmd = []string{"sh", "-c", "exit 1"}
	edited := strings.Replace(b.file(t), "weight 5", "weight 6", 1)
	if err := os.WriteFile(b.Store.Path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Close()
	text, version, err := b.Store.Text()
	if err != nil || version != 3 || string(text) != string(store.WithVersion([]byte(edited), 3)) || b.file(t) != string(text) {
		t.Errorf("version %d, %v:\n%s", version, err, text)
	}
	// Nor is it taken for what the proxy runs.
	if same, known := b.Store.Applied(text); same || !known {
		t.Errorf("applied: %v, known: %v", same, known)
	}
}

// A reload that is forced takes the one that waits along, and no second one
// follows.
func TestForcedReloadTakesTheWaitingOneAlong(t *testing.T) {
	b := newBench(t, false)
	first := b.pending(t)
	got, err := b.change(t, Options{ForceReload: true}, "weight 5", "weight 7")
	if err != nil || got.How != "reload" || got.ReloadID != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if list := b.Reloads(); len(list) != 1 || list[0].ID != first.ReloadID || list[0].Status != ReloadSucceeded {
		t.Errorf("%+v", list)
	}
	if b.reloadPending() {
		t.Error("a reload waits still")
	}
	b.Close()
	if n := b.reloaded(); n != 1 {
		t.Errorf("%d reloads", n)
	}
	if same, _ := b.Store.Applied([]byte(b.file(t))); !same {
		t.Error("what was reloaded is not known as what the proxy runs")
	}
}

// The reload comes once for all that waited, and commands go on afterwards.
func TestReloadComesOnce(t *testing.T) {
	b := newBench(t, false)
	b.replies = good2
	b.pending(t)
	if _, err := b.change(t, Options{}, "weight 5", "weight 7"); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.timer.Reset(0)
	b.mu.Unlock()
	b.running.Wait()
	if n := b.reloaded(); n != 1 {
		t.Errorf("%d reloads", n)
	}
	got, err := b.change(t, Options{}, "weight 7", "weight 8")
	if err != nil || got.How != "runtime" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Commands that went out before the whole was refused are taken back.
func TestCommandsAreTakenBack(t *testing.T) {
	b := newBench(t, true)
	b.replies = map[string]string{"set server app/s1 addr": "", "set server app/s1 weight": "Backend is using a static LB algorithm"}
	b.proxy.Answer = "[ALERT] config : no\nFatal errors found in configuration"
	_, err := b.Do(t.Context(), Options{}, anyVersion, func(text []byte) ([]byte, error) {
		return []byte(strings.Replace(string(text), "127.0.0.1:80 weight 5", "127.0.0.2:80 weight 7", 1)), nil
	})
	var refused *Refused
	if !errors.As(err, &refused) {
		t.Fatalf("%v", err)
	}
	var addrs []string
	for _, c := range b.socket.Seen() {
		if _, a, ok := strings.Cut(c, "set server app/s1 addr "); ok {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) != 2 || addrs[0] != "127.0.0.2 port 80" || addrs[1] != "127.0.0.1 port 80" {
		t.Errorf("addresses that were set: %q, of %q", addrs, b.socket.Seen())
	}
	if b.file(t) != b.text {
		t.Errorf("the file is\n%s", b.file(t))
	}
}

// A client that leaves once its change is under way does not stop it half way.
func TestClientLeaves(t *testing.T) {
	b := newBench(t, false)
	b.replies = good2
	ctx, leave := context.WithCancel(t.Context())
	got, err := b.Do(ctx, Options{}, anyVersion, func(text []byte) ([]byte, error) {
		leave()
		return []byte(strings.Replace(string(text), "weight 5", "weight 7", 1)), nil
	})
	if err != nil || got.How != "runtime" || got.Version != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A server that is in use still is asked again.
func TestCommandIsTriedAgain(t *testing.T) {
	b := newBench(t, false)
	b.replies = map[string]string{"set server app/s2 state maint": "", "wait ": "Unknown command: 'wait'"}
	asked := 0
	b.answer = func(command string) (string, bool) {
		if !strings.HasPrefix(command, "del server") {
			return "", false
		}
		if asked++; asked < 3 {
			return "Server still has connections attached to it, cannot remove it.", true
		}
		return "Server deleted.", true
	}
	got, err := b.change(t, Options{}, "    server s2 127.0.0.1:81\n", "")
	if err != nil || got.How != "runtime" || asked != 3 {
		t.Errorf("%+v, %v, asked %d times", got, err, asked)
	}
}

// Reloads are remembered as long as the settings say.
func TestReloadsAreForgotten(t *testing.T) {
	b := newBench(t, true)
	for range 2 {
		if _, err := b.change(t, Options{ForceReload: true}, "weight 5", "weight 5"); err != nil {
			t.Fatal(err)
		}
	}
	b.mu.Lock()
	b.Ladder.reloads[0].Timestamp -= int64(2 * b.Retention / time.Second)
	b.mu.Unlock()
	if _, err := b.change(t, Options{ForceReload: true}, "weight 5", "weight 5"); err != nil {
		t.Fatal(err)
	}
	if list := b.Reloads(); len(list) != 2 {
		t.Errorf("%+v", list)
	}
}

// A command that covers a change says nothing of what the proxy was not given
// before: it is still to come.
func TestCommandsDoNotBringTheProxyUpToDate(t *testing.T) {
	b := newBench(t, true)
	b.replies = map[string]string{"set server app/s1 weight": ""}
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Store.Write(1, []byte(strings.Replace(b.text, "=1", "=2", 1))); err != nil {
		t.Fatal(err)
	}
	got, err := b.change(t, Options{}, "weight 5", "weight 7")
	if err != nil || got.How != "runtime" {
		t.Fatalf("%+v, %v", got, err)
	}
	if same, known := b.Store.Applied([]byte(b.file(t))); same || !known {
		t.Errorf("taken to be applied: %v, %v", same, known)
	}
	if err := b.Reconcile(t.Context()); err != nil || len(b.proxy.Bundles) != 1 {
		t.Errorf("%d bundles: %v", len(b.proxy.Bundles), err)
	}
}
