package ladder

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
)

const newPage = "HTTP/1.0 503 new\r\n\r\n"

// put writes the file that the configuration names by the ladder.
func (b *bench) put(t *testing.T, opt Options, live Live) (Result, error) {
	t.Helper()
	return b.File(t.Context(), opt, b.errfile, func([]byte) ([]byte, Live, error) { return []byte(newPage), live, nil })
}

func TestFile(t *testing.T) {
	taken := func(context.Context, *runtime.Client) error { return nil }
	not := func(context.Context, *runtime.Client) error { return ErrNotLive }
	for _, c := range []struct {
		name    string
		inPlace bool
		answer  string // to "commit config"
		opt     Options
		live    Live
		how     string // empty: refused
		applied bool
		bundles int
		reloads int
	}{
		{name: "commands", inPlace: true, live: taken, how: "runtime", applied: true},
		{name: "in place", inPlace: true, live: not, how: "in place", applied: true, bundles: 1},
		{name: "no commands", inPlace: true, how: "in place", applied: true, bundles: 1},
		{name: "reload", live: not, how: "reload"},
		{name: "refused", inPlace: true, live: not, answer: "[ALERT] (1) : no\nFatal errors found in configuration.", applied: true},
		{name: "skipped", inPlace: true, live: taken, opt: Options{SkipReload: true}, how: "none", applied: true},
		{name: "forced", inPlace: true, live: taken, opt: Options{ForceReload: true}, how: "reload", applied: true, reloads: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.inPlace)
			b.proxy.Answer = c.answer
			if err := b.Reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			old, _ := os.ReadFile(b.errfile)
			want := newPage
			result, err := b.put(t, c.opt, c.live)
			var refused *Refused
			if c.how == "" {
				want = string(old)
				if !errors.As(err, &refused) {
					t.Errorf("%v is no refusal", err)
				}
			} else if err != nil || result.How != c.how {
				t.Errorf("%+v, %v", result, err)
			}
			if (result.ReloadID != "") != (c.how == "reload" && c.reloads == 0) {
				t.Errorf("reload %q", result.ReloadID)
			}
			if got, _ := os.ReadFile(b.errfile); string(got) != want {
				t.Errorf("the file has %q", got)
			}
			if same, _ := b.Store.Applied([]byte(b.text)); same != c.applied {
				t.Errorf("applied: %v", same)
			}
			if len(b.proxy.Bundles) != c.bundles || b.reloaded() != c.reloads {
				t.Errorf("%d bundles, %d reloads", len(b.proxy.Bundles), b.reloaded())
			}
		})
	}
}

// A content that the file has already: the proxy may have another one in memory.
func TestFileAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		opt     Options
		live    error
		no      bool // there are no commands at all
		how     string
		told    bool
		bundles int
	}{
		{name: "commands", how: "runtime", told: true},
		{name: "not in memory", live: ErrNotLive, how: "none", told: true},
		{name: "refused", live: errors.New("no"), how: "in place", told: true, bundles: 1},
		{name: "no commands", no: true, how: "none"},
		{name: "skipped", opt: Options{SkipReload: true}, how: "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, true)
			told := false
			live := func(context.Context, *runtime.Client) error {
				told = true
				return c.live
			}
			if c.no {
				live = nil
			}
			result, err := b.File(t.Context(), c.opt, b.errfile, func(old []byte) ([]byte, Live, error) { return old, live, nil })
			if err != nil || result.How != c.how || told != c.told || len(b.proxy.Bundles) != c.bundles {
				t.Errorf("%+v %v, told %v, %d bundles", result, err, told, len(b.proxy.Bundles))
			}
		})
	}
}

// What the running proxy would take, but could not start with, is refused.
func TestFileInvalid(t *testing.T) {
	b := newBench(t, true)
	b.ValidateCmd = []string{"sh", "-c", `echo "[ALERT] (1) : no such file"; exit 1`}
	old, _ := os.ReadFile(b.errfile)
	_, err := b.put(t, Options{}, nil)
	var refused *Refused
	if !errors.As(err, &refused) || !strings.Contains(refused.Text, "no such file") {
		t.Errorf("%v", err)
	}
	if got, _ := os.ReadFile(b.errfile); string(got) != string(old) || len(b.proxy.Bundles) > 0 {
		t.Errorf("the file has %q, and %d bundles were applied", got, len(b.proxy.Bundles))
	}
}

// A file that is not there yet, and one that goes; a change that an edit refuses; a file that nothing names.
func TestFileEdits(t *testing.T) {
	b := newBench(t, true)
	other := b.errfile + ".new"
	edit := func(want, data string) error {
		_, err := b.File(t.Context(), Options{}, other, func(old []byte) ([]byte, Live, error) {
			if string(old) != want || (old == nil) != (want == "") {
				t.Errorf("the old content is %q, want %q", old, want)
			}
			if data == "" {
				return nil, nil, nil
			}
			return []byte(data), nil, nil
		})
		return err
	}
	for _, step := range [][2]string{{"", "one"}, {"one", "two"}, {"two", ""}, {"", ""}} {
		if err := edit(step[0], step[1]); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(other); string(got) != step[1] || (err != nil) != (step[1] == "") {
			t.Errorf("%q %v", got, err)
		}
	}
	no := errors.New("no")
	if _, err := b.File(t.Context(), Options{}, other, func([]byte) ([]byte, Live, error) { return []byte("x"), nil, no }); err != no {
		t.Error(err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a refused edit wrote the file")
	}
	if len(b.proxy.Bundles) > 0 {
		t.Error("the proxy was told of a file that it does not use")
	}
}

// A crash between the file and the proxy: the next start brings the proxy to the file.
func TestFileCrash(t *testing.T) {
	b := newBench(t, true)
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { recover() }()
		b.put(t, Options{}, func(context.Context, *runtime.Client) error { panic("a crash") })
	}()
	if len(b.proxy.Bundles) > 0 {
		t.Fatal("it was applied")
	}
	for range 2 { // once, and not again
		if err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(b.proxy.Bundles) != 1 || strings.TrimSpace(b.proxy.Bundles[0][b.errfile]) != strings.TrimSpace(newPage) {
			t.Errorf("bundles %q", b.proxy.Bundles)
		}
	}
}
