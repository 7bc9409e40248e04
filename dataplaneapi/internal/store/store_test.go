package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(&Store{Path: filepath.Join(dir, "h.cfg"), Dir: filepath.Join(dir, "state"), Backups: 2, MaxOpen: 2, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		text    string
		version int64
		next    string
	}{
		{"", 1, "# _version=7\n"},
		{"global\n", 1, "# _version=7\nglobal\n"},
		{"# _version=3\nglobal\n", 3, "# _version=7\nglobal\n"},
		{"# mine\n\n# _version=12\nglobal\n", 12, "# mine\n\n# _version=7\nglobal\n"},
		{"global\n# _version=3\n", 1, "# _version=7\nglobal\n# _version=3\n"},
		{"# _version=x\n", 1, "# _version=7\n"},
		{"# _version=-4\n", 1, "# _version=7\n"},
	} {
		if v := Version([]byte(c.text)); v != c.version {
			t.Errorf("%q: version %d", c.text, v)
		}
		if got := string(WithVersion([]byte(c.text), 7)); got != c.next {
			t.Errorf("%q: %q", c.text, got)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "h.cfg")
	put(t, path, "global\n")
	s := open(t, dir)
	for v := int64(1); v < 6; v++ {
		if err := s.Write(v, WithVersion([]byte("global\n"), v+1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := content(t, path); got != "# _version=6\nglobal\n" {
		t.Errorf("file: %q", got)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	if backups, _ := filepath.Glob(filepath.Join(dir, "state/backups/*")); len(backups) != 2 || !strings.HasSuffix(backups[1], ".5") {
		t.Errorf("backups: %v", backups)
	}
	if err := s.Write(5, []byte("x")); !errors.Is(err, ErrChanged) {
		t.Errorf("an old base: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".h.cfg*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestHandEdit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "h.cfg")
	put(t, path, "# _version=4\nglobal\n")
	s := open(t, dir)
	put(t, path, "# _version=4\nglobal\n    daemon\n")
	if _, v, err := s.Text(); err != nil || v != 5 {
		t.Errorf("version %d, %v", v, err)
	}
	if got := content(t, path); got != "# _version=5\nglobal\n    daemon\n" {
		t.Errorf("file: %q", got)
	}
	// A higher version of the editor's own is kept.
	put(t, path, "# _version=9\nglobal\n")
	if _, v, _ := s.Text(); v != 9 {
		t.Errorf("version %d", v)
	}
	// The same text again is no change.
	put(t, path, "# _version=9\nglobal\n")
	if _, v, _ := s.Text(); v != 9 {
		t.Errorf("version %d", v)
	}
	// While nobody looks.
	put(t, path, "# _version=9\nglobal\n    quiet\n")
	if _, v, _ := open(t, dir).Text(); v != 10 {
		t.Errorf("version %d after a restart", v)
	}
	// Nobody's write is lost: a change in between is a conflict.
	if err := s.Write(9, []byte("x")); !errors.Is(err, ErrChanged) {
		t.Errorf("write over a hand edit: %v", err)
	}
}

// An editor that truncates the file before it writes is left alone: what it
// writes then gets a version.
func TestTruncatedForAMoment(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "h.cfg")
	put(t, path, "# _version=4\nglobal\n")
	s := open(t, dir)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := s.Text(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "" {
		t.Errorf("%q was written into what somebody else is writing", got)
	}
	if _, err := f.WriteString("global\n    daemon\n"); err != nil {
		t.Fatal(err)
	}
	if _, v, err := s.Text(); err != nil || v < 5 {
		t.Errorf("version %d, %v", v, err)
	}
	if got := content(t, path); !strings.HasSuffix(got, "global\n    daemon\n") || Version([]byte(got)) < 5 {
		t.Errorf("file: %q", got)
	}
}

// The backups that are kept are those of the newest versions, not of the last
// names.
func TestBackupsByVersion(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h.cfg"), "# _version=8\nglobal\n")
	s := open(t, dir)
	for v := int64(8); v < 12; v++ {
		if err := s.Write(v, WithVersion([]byte("global\n"), v+1)); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := filepath.Glob(filepath.Join(dir, "state/backups/*"))
	if len(got) != 2 || !strings.HasSuffix(got[0], ".10") || !strings.HasSuffix(got[1], ".11") {
		t.Errorf("backups: %v", got)
	}
}

// A link to the configuration stays one.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real.cfg")
	put(t, real, "global\n")
	if err := os.Symlink("real.cfg", filepath.Join(dir, "h.cfg")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if err := s.Write(1, []byte("# _version=2\nglobal\n")); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "h.cfg")); err != nil || to != "real.cfg" || content(t, real) != "# _version=2\nglobal\n" {
		t.Errorf("the link is %q, %v; the file %q", to, err, content(t, real))
	}
}

func TestApplied(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h.cfg"), "global\n")
	s := open(t, dir)
	if same, known := s.Applied([]byte("global\n")); same || known {
		t.Error("known without a past")
	}
	if err := s.MarkApplied([]byte("global\n")); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if same, known := s.Applied([]byte("global\n")); !same || !known {
		t.Error("forgotten over a restart")
	}
	if same, known := s.Applied([]byte("other")); same || !known {
		t.Error("another text counts as applied")
	}
}

// A killed writer leaves files that nobody reads, and the next start removes.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h.cfg"), "global\n")
	open(t, dir)
	put(t, filepath.Join(dir, ".h.cfg123456"), "half")
	put(t, filepath.Join(dir, "state", ".state.json77"), "half")
	put(t, filepath.Join(dir, "state", "validate-88.cfg"), "half")
	put(t, filepath.Join(dir, ".h.cfg.swp"), "an editor's")
	put(t, filepath.Join(dir, "state/state.json"), "{")
	open(t, dir)
	for name, want := range map[string]bool{".h.cfg123456": false, "state/.state.json77": false, "state/validate-88.cfg": false, ".h.cfg.swp": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTransactions(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h.cfg"), "# _version=3\nglobal\n")
	s := open(t, dir)
	a, err := s.Begin()
	if err != nil || a.Version != 3 || a.Status != InProgress {
		t.Fatal(a, err)
	}
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(); !errors.Is(err, ErrTooMany) {
		t.Errorf("a third one: %v", err)
	}
	if err := s.Update(a, []byte("# _version=99\nglobal\n    daemon\n")); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir) // they survive a restart
	if got, text, err := s.Transaction(a.ID); err != nil || got != a || string(text) != "# _version=3\nglobal\n    daemon\n" {
		t.Errorf("%v %q %v", got, text, err)
	}
	if err := s.End(a, Failed); err != nil {
		t.Fatal(err)
	}
	if err := s.End(b, Outdated); err != nil {
		t.Fatal(err)
	}
	for status, want := range map[string]int{"": 2, InProgress: 0, Failed: 1, Outdated: 1} {
		if list, err := s.Transactions(status); err != nil || len(list) != want {
			t.Errorf("%q: %v %v", status, list, err)
		}
	}
	if err := s.Drop(a.ID); err != nil {
		t.Error(err)
	}
	for _, id := range []string{a.ID, "", "../h.cfg", "x/../../y", strings.Repeat("a", 36)} {
		if _, _, err := s.Transaction(id); !errors.Is(err, ErrNoTransaction) {
			t.Errorf("%q: %v", id, err)
		}
		if err := s.Drop(id); !errors.Is(err, ErrNoTransaction) {
			t.Errorf("drop %q: %v", id, err)
		}
	}
}

// A transaction stays one on the version that it was taken from, whatever the file
// becomes meanwhile.
func TestTransactionKeepsItsBase(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h.cfg"), "# _version=3\nglobal\n")
	s := open(t, dir)
	a, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(3, []byte("# _version=4\nglobal\n    quiet\n")); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(a, []byte("# _version=4\nglobal\n    daemon\n")); err != nil {
		t.Fatal(err)
	}
	if got, text, err := s.Transaction(a.ID); err != nil || got.Version != 3 || string(text) != "# _version=3\nglobal\n    daemon\n" {
		t.Errorf("%+v %q %v", got, text, err)
	}
}

// Dead transactions are kept for a while, not for ever.
func TestDeadTransactionsAreBounded(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "h.cfg"), "global\n")
	s := open(t, dir)
	var last Transaction
	for range 103 {
		tx, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.End(tx, Failed); err != nil {
			t.Fatal(err)
		}
		last = tx
	}
	list, err := s.Transactions(Failed)
	if err != nil || len(list) > 100 {
		t.Errorf("%d are kept, %v", len(list), err)
	}
	if _, _, err := s.Transaction(last.ID); err != nil {
		t.Errorf("the last one: %v", err)
	}
}

// logged passes on the messages of a log.
type logged struct {
	slog.Handler
	messages chan string
}

func (l logged) Handle(_ context.Context, r slog.Record) error {
	l.messages <- r.Message
	return nil
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "h.cfg")
	put(t, path, "global\n")
	s := open(t, dir)
	h := logged{slog.NewTextHandler(io.Discard, nil), make(chan string, 10)}
	s.Log = slog.New(h)
	ctx, cancel := context.WithCancel(t.Context())
	done, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); <-done }()
	// As an editor does: beside, then renamed.
	put(t, path+"~", "global\n    daemon\n")
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-h.messages:
		if !strings.Contains(m, "by hand") {
			t.Error(m)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the change was not noticed")
	}
	if got := content(t, path); got != "# _version=2\nglobal\n    daemon\n" {
		t.Errorf("file: %q", got)
	}
}
