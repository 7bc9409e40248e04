package ladder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

// ErrNotLive says that the running proxy cannot take a change of a file over by commands: the next rung has to.
var ErrNotLive = errors.New("no Runtime commands for this change")

// Live takes a change of a file over to the running proxy. Any error sends the change to the next rung, and means that
// nothing has changed in the proxy.
type Live func(ctx context.Context, c *runtime.Client) error

// File runs one change of a file that the configuration may name: a certificate, a list of them. edit gets its content, nil
// when there is none, and returns the new one, nil to take the file away, and how the proxy takes it over by commands (nil:
// it cannot). The file is written first, and goes back to what it was when the proxy refuses.
func (l *Ladder) File(ctx context.Context, opt Options, path string, edit func(old []byte) ([]byte, Live, error)) (Result, error) {
	l.change.Lock()
	defer l.change.Unlock()
	old, err := store.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Result{}, err
	}
	data, live, err := edit(old)
	if err != nil {
		return Result{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if bytes.Equal(old, data) && (old == nil) == (data == nil) && !opt.ForceReload {
		return l.again(ctx, opt, path, live)
	}
	unmark, err := l.markUnapplied()
	if err != nil {
		return Result{}, err
	}
	if err := store.Put(path, data); err != nil {
		return Result{}, errors.Join(err, unmark())
	}
	result, err := l.climbWith(ctx, opt, path, live)
	if err != nil {
		l.Log.Error("the proxy refused the change, the file goes back", "file", path, "error", err)
		if back := store.Put(path, old); back != nil && !errors.Is(back, fs.ErrNotExist) {
			return Result{}, errors.Join(err, fmt.Errorf("and the file could not be restored: %w", back))
		}
		return Result{}, errors.Join(err, unmark())
	}
	if result.ReloadID == "" {
		if err := unmark(); err != nil {
			return Result{}, err
		}
	}
	l.Log.Info("file changed", "file", path, "how", result.How, "reload", result.ReloadID)
	return result, nil
}

// again takes a file that is as it was to the proxy, which may have another content of it in memory: it was written with
// SkipReload, or not by the API. Where there are no commands for it, the proxy is taken to have the file.
func (l *Ladder) again(ctx context.Context, opt Options, path string, live Live) (Result, error) {
	none := Result{How: "none"}
	if live == nil || opt.SkipReload {
		return none, nil
	}
	text, _, err := l.Store.Text()
	if err != nil {
		return Result{}, err
	}
	c := l.Runtime(config.Parse(l.Store.Path, text))
	if c == nil {
		return none, nil
	}
	switch err := live(ctx, c); {
	case err == nil:
		return Result{How: "runtime"}, nil
	case errors.Is(err, ErrNotLive), errors.Is(err, runtime.ErrUnreachable):
		return none, nil
	}
	return l.climbWith(ctx, opt, path, nil)
}

// markUnapplied notes that the proxy may not have all files as they are, so that a start after a crash takes them to it. The
// note is taken back by unmark.
func (l *Ladder) markUnapplied() (unmark func() error, err error) {
	text, _, err := l.Store.Text()
	if err != nil {
		return nil, err
	}
	if same, _ := l.Store.Applied(text); !same { // there is a note already, of a change before
		return func() error { return nil }, nil
	}
	return func() error { return l.Store.MarkApplied(text) }, l.Store.MarkApplied([]byte("a file is being changed"))
}

// climbWith takes a change of a file to the proxy.
func (l *Ladder) climbWith(ctx context.Context, opt Options, path string, live Live) (Result, error) {
	if opt.SkipReload {
		return Result{How: "none"}, nil
	}
	text, _, err := l.Store.Text()
	if err != nil {
		return Result{}, err
	}
	used, err := l.uses(text, path)
	if err != nil {
		return Result{}, err
	}
	if opt.ForceReload {
		if err := l.Validate(ctx, text); err != nil {
			return Result{}, err
		}
		if err := l.reloadNow(ctx); err != nil {
			return Result{}, &Refused{"reload: " + err.Error()}
		}
		return Result{How: "reload"}, l.applied(text)
	}
	down := false
	c := l.Runtime(config.Parse(l.Store.Path, text))
	if c != nil && live != nil {
		err := live(ctx, c)
		if err == nil {
			return Result{How: "runtime"}, nil
		}
		l.Log.Info("Runtime commands do not cover the change", "file", path, "error", err)
		down = errors.Is(err, runtime.ErrUnreachable)
	}
	if !used {
		return Result{How: "none"}, nil
	}
	// What the running proxy would take may be nothing that a new one could start with.
	if err := l.Validate(ctx, text); err != nil {
		return Result{}, err
	}
	if c != nil && !down && !l.reloadPending() {
		err := l.apply(ctx, c, text)
		if err == nil {
			return Result{How: "in place"}, l.applied(text)
		}
		var refused *Refused
		if errors.As(err, &refused) {
			return Result{}, err
		}
		l.Log.Debug("not applied in place", "error", err)
		down = errors.Is(err, runtime.ErrUnreachable)
	}
	return l.lastRung(ctx, down, nil, text)
}

// named is a file that the configuration names.
type named struct {
	path string // as it is written, joined to a base
	dir  string // of the file that names it
}

// each calls f with every file of the configuration, and with what each of them names. text is that of the store's file.
func (l *Ladder) each(text []byte, source func(path string, data []byte) error, f func(named) error) error {
	bases := map[string]string{}
	for _, path := range l.files() {
		data := text
		if path != l.Store.Path {
			var err error
			if data, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		if source != nil {
			if err := source(path, data); err != nil {
				return err
			}
		}
		dir := filepath.Dir(path)
		for _, n := range l.Names.Find(config.Parse(path, data), bases, func(list string) []byte { return load(list, dir)[list] }) {
			if err := f(named{n, dir}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Uses tells whether the configuration names a file.
func (l *Ladder) Uses(path string) (yes bool, err error) {
	text, _, err := l.Store.Text()
	if err != nil {
		return false, err
	}
	err = l.each(text, nil, func(n named) error {
		yes = yes || n.is(path)
		return nil
	})
	return yes, err
}

// uses tells whether the configuration names a file, or the folder that it is in.
func (l *Ladder) uses(text []byte, path string) (yes bool, err error) {
	err = l.each(text, nil, func(n named) error {
		yes = yes || n.is(path) || n.is(filepath.Dir(path))
		return nil
	})
	return yes, err
}

// is tells whether a name stands for the file at a path.
func (n named) is(path string) bool { return Same(n.path, n.dir, path) }

// Same tells whether a name that stands in a file of the folder dir is the file at an absolute path.
func Same(name, dir, path string) bool {
	if filepath.IsAbs(name) {
		return filepath.Clean(name) == path
	}
	return filepath.Join(dir, name) == path
}
