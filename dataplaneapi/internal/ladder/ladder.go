package ladder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

// Ladder applies changes, one at a time.
type Ladder struct {
	API   *resource.API
	Names *resource.Names
	Store *store.Store
	Log   *slog.Logger

	// Files are all configuration files of the proxy in the order of its -f arguments; the store's file is among them.
	// Empty means the store's file alone.
	Files []string

	ValidateCmd   []string // {file} stands for the file to check
	ReloadCmd     []string
	MasterSocket  string
	ReloadDelay   time.Duration
	CommandTime   time.Duration // bounds a command that is run
	Retention     time.Duration // how long reloads are remembered
	Notify        func(Event)   // may be nil
	RuntimeSocket string        // overrides what the configuration says

	change sync.Mutex // held over a whole change

	mu      sync.Mutex // guards what follows
	reloads []*Reload
	pending *Reload
	timer   *time.Timer
	day     string
	count   int
	undo    []byte // the text before the changes that wait for a reload
	wrote   []byte // the text that waits for a reload
	closed  bool
	running sync.WaitGroup
}

// Event tells the outside what happened to the configuration.
type Event struct {
	Event    string `json:"event"` // applied, reloaded, failed
	Version  int64  `json:"version"`
	ReloadID string `json:"reload_id,omitempty"`
	How      string `json:"how,omitempty"`
	Message  string `json:"message,omitempty"`
	Time     int64  `json:"time"`
}

// Options of one change.
type Options struct {
	ForceReload bool // reload now, whatever the change is
	SkipReload  bool // leave the proxy alone
}

// Result says how a change reached the proxy.
type Result struct {
	Text     []byte
	Version  int64
	How      string // runtime, in place, reload, none
	ReloadID string // of a reload that is still to come
}

// ErrVersion says that a change was based on another version than the current one.
var ErrVersion = errors.New("version mismatch")

// A Refused error says that the proxy does not take the configuration. Nothing changed.
type Refused struct{ Text string }

func (e *Refused) Error() string { return e.Text }

// Do runs one change: edit gets the current text and returns the new one, without caring for the version line.
// check sees the current version first.
func (l *Ladder) Do(ctx context.Context, opt Options, check func(version int64) error, edit func(text []byte) ([]byte, error)) (Result, error) {
	l.change.Lock()
	defer l.change.Unlock()
	old, version, err := l.Store.Text()
	if err != nil {
		return Result{}, err
	}
	if err := check(version); err != nil {
		return Result{Version: version}, err
	}
	text, err := edit(old)
	if err != nil {
		return Result{Version: version}, err
	}
	if bytes.Equal(store.WithVersion(text, version), store.WithVersion(old, version)) && !opt.ForceReload {
		return Result{Text: old, Version: version, How: "none"}, nil
	}
	text = store.WithVersion(text, version+1)
	if err := l.Validate(ctx, text); err != nil {
		return Result{Version: version}, err
	}
	// From here on the client's patience does not count: the change is carried through.
	ctx = context.WithoutCancel(ctx)
	if err := l.Store.Write(version, text); err != nil {
		if errors.Is(err, store.ErrChanged) {
			err = fmt.Errorf("%w: %w", ErrVersion, err)
		}
		return Result{Version: version}, err
	}
	result, err := l.climb(ctx, old, text, opt)
	if err != nil {
		l.Log.Error("the proxy refused the change, the file goes back", "version", version+1, "error", err)
		if back := l.Store.Write(version+1, old); back != nil {
			return Result{}, errors.Join(err, fmt.Errorf("and the file could not be restored: %w", back))
		}
		l.notify(Event{Event: "failed", Version: version, Message: err.Error()})
		return Result{Version: version}, err
	}
	result.Text, result.Version = text, version+1
	l.Log.Info("configuration changed", "version", result.Version, "how", result.How, "reload", result.ReloadID)
	if result.ReloadID == "" && result.How != "none" {
		l.notify(Event{Event: "applied", Version: result.Version, How: result.How})
	}
	return result, nil
}

// climb takes a change that is in the file already to the proxy.
func (l *Ladder) climb(ctx context.Context, old, text []byte, opt Options) (Result, error) {
	if opt.SkipReload {
		return Result{How: "none"}, nil
	}
	if opt.ForceReload {
		if err := l.reloadNow(ctx); err != nil {
			return Result{}, &Refused{"reload: " + err.Error()}
		}
		return Result{How: "reload"}, l.applied(text)
	}
	before, after := config.Parse(l.Store.Path, old), config.Parse(l.Store.Path, text)
	down := false // nobody answers on the Runtime socket
	if !l.reloadPending() {
		// The socket of before is the one that is open.
		if c := l.Runtime(before); c != nil {
			upToDate, known := l.Store.Applied(old)
			commands, covered := l.API.Plan(before, after)
			if covered {
				err := l.send(ctx, c, commands)
				if err == nil {
					if upToDate || !known {
						err = l.applied(text)
					}
					return Result{How: "runtime"}, err
				}
				l.Log.Info("Runtime commands do not cover the change", "error", err)
			}
			err := l.apply(ctx, c, text)
			if err == nil {
				return Result{How: "in place"}, l.applied(text)
			}
			var refused *Refused
			if errors.As(err, &refused) {
				l.takeBack(ctx, c, after, before, commands)
				return Result{}, err
			}
			l.Log.Debug("not applied in place", "error", err)
			down = errors.Is(err, runtime.ErrUnreachable)
		}
	}
	return l.lastRung(ctx, down, old, text)
}

// lastRung is a reload. down tells that nobody answers on the Runtime socket, old is
// what the file goes back to if the reload fails (nil: it has not changed).
func (l *Ladder) lastRung(ctx context.Context, down bool, old, text []byte) (Result, error) {
	if down && len(l.ReloadCmd) == 0 && !l.masterAnswers(ctx) {
		l.Log.Warn("the proxy does not run: the file is written for its next start")
		return Result{How: "none"}, nil
	}
	if !l.canReload() {
		return Result{}, &Refused{"the change needs a reload, and neither reload_cmd nor master_runtime is configured"}
	}
	return Result{How: "reload", ReloadID: l.schedule(old, text)}, nil
}

// takeBack takes back Runtime commands as far as commands can, after what followed them was refused.
func (l *Ladder) takeBack(ctx context.Context, c *runtime.Client, from, to *config.File, sent []resource.Command) {
	if len(sent) == 0 {
		return
	}
	if back, ok := l.API.Plan(from, to); ok {
		for _, cmd := range back {
			if err := l.one(ctx, c, cmd); err != nil {
				l.Log.Warn("taking a Runtime command back", "command", cmd.Text, "error", err)
			}
		}
	}
}

// applied notes that the proxy runs the text.
func (l *Ladder) applied(text []byte) error { return l.Store.MarkApplied(text) }

// Runtime finds the Runtime socket, by the configuration in use.
func (l *Ladder) Runtime(f *config.File) *runtime.Client {
	if l.RuntimeSocket != "" {
		return runtime.At(l.RuntimeSocket)
	}
	return runtime.Find(f, l.MasterSocket)
}

func (l *Ladder) notify(e Event) {
	if l.Notify != nil {
		e.Time = time.Now().Unix()
		l.Notify(e)
	}
}

// Reconcile brings the proxy to the file after a start: a crash between writing the file and telling the proxy, or an edit
// by hand while this program did not run, leaves them apart.
func (l *Ladder) Reconcile(ctx context.Context) error {
	l.change.Lock()
	defer l.change.Unlock()
	text, version, err := l.Store.Text()
	if err != nil {
		return err
	}
	same, known := l.Store.Applied(text)
	if same || !known {
		// Without a past, the proxy is taken to run the file: it was started from it.
		return l.applied(text)
	}
	if err := l.Validate(ctx, text); err != nil {
		l.Log.Error("the configuration file is not valid: the proxy is left as it is", "file", l.Store.Path, "error", err)
		return nil
	}
	l.Log.Info("the proxy may not have the configuration file of this version yet: applying it", "version", version)
	if c := l.Runtime(config.Parse(l.Store.Path, text)); c != nil {
		err := l.apply(ctx, c, text)
		if err == nil {
			return l.applied(text)
		}
		l.Log.Info("not applied in place", "error", err)
		if errors.Is(err, runtime.ErrUnreachable) && len(l.ReloadCmd) == 0 && !l.masterAnswers(ctx) {
			return nil // the proxy does not run: it reads the file when it starts
		}
	}
	if l.canReload() {
		l.schedule(nil, text)
	}
	return nil
}

// Close waits for what is under way. A pending reload is done now.
func (l *Ladder) Close() {
	l.mu.Lock()
	l.closed = true
	fire := l.timer != nil && l.timer.Stop()
	l.mu.Unlock()
	if fire {
		l.fire()
	}
	l.running.Wait()
	l.change.Lock() // waits for the change under way
	defer l.change.Unlock()
	l.Log.Debug("no change is under way any more")
}
