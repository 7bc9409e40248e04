package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// ErrNeedsReload tells that a configuration cannot be applied to the running
// process. The changes say why.
var ErrNeedsReload = errors.New("the changes marked '!' need a reload")

type hook struct {
	name string
	f    func(w *stream.Worker, old, new *stream.Snapshot)
}

var (
	hooks     []hook
	obstacles []func(w *stream.Worker, old, new *stream.Snapshot) []string

	// applying orders whole applications; the worker's own lock is only held for
	// the moment of the swap, because reactors take it.
	applying sync.Mutex
)

// RegisterApply makes f be called after each configuration came into force: with
// old nil for the first one. It runs on no reactor and without the worker's
// lock, before the next configuration can be applied; it may wait for reactors,
// but for the first configuration they do not run yet.
func RegisterApply(name string, f func(w *stream.Worker, old, new *stream.Snapshot)) {
	hooks = append(hooks, hook{name, f})
}

// RegisterObstacle makes f be asked, before anything is changed, for what in a
// configuration cannot be applied to the running process. Each text becomes a
// line marked "!": "log unix socket /dev/log".
func RegisterObstacle(f func(w *stream.Worker, old, new *stream.Snapshot) []string) {
	obstacles = append(obstacles, f)
}

// Changes tells what [Apply] would do, with what it could not do marked '!'.
func Changes(w *stream.Worker, new *stream.Snapshot) []Change {
	old := w.Snapshot()
	out := Diff(old, new)
	need := func(format string, args ...any) {
		out = append(out, Change{'!', fmt.Sprintf(format, args...) + ": needs a reload"})
	}
	w.Mu.Lock()
	for _, x := range wanted(w, new) {
		if text := x.obstacle(w); text != "" {
			need("%s %s", x.title(), text)
		}
	}
	w.Mu.Unlock()
	for _, p := range new.Proxies {
		o := old.Backends[p.Name]
		if o == nil || !p.Backend {
			continue
		}
		for _, l := range p.ServerLines {
			if s := o.BE.Server(l.Name); s != nil && l.Settings.ID != 0 && s.ID != l.Settings.ID {
				need("server %s/%s: id %d -> %d", p.Name, l.Name, s.ID, l.Settings.ID)
			}
		}
	}
	for _, f := range obstacles {
		for _, text := range f(w, old, new) {
			need("%s", text)
		}
	}
	return out
}

// Start puts the first configuration in force: it opens the listeners, of which
// some may be inherited from another process, and begins to accept when the
// reactors run. On errors, which name every address that failed, nothing stays
// open but what is inherited, and Start can be called again.
func Start(w *stream.Worker, snap *stream.Snapshot, inherited stream.Inherited) error {
	applying.Lock()
	defer applying.Unlock()
	plan := prepare(w, nil, snap)
	opened, errs := openAll(w, wanted(w, snap), inherited)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	closeAll(inherited) // of addresses that are not used any more
	w.Mu.Lock()
	if snap.Version == 0 {
		snap.Version = 1
	}
	plan.commit(w)
	w.SetSnapshot(snap)
	for key, l := range opened {
		w.Listeners[key] = l
		l.Start()
	}
	w.Mu.Unlock()
	for _, h := range hooks {
		h.f(w, nil, snap)
	}
	return nil
}

// Apply puts a configuration in force in place of the present one. Either all of
// it is done or nothing: the error is [ErrNeedsReload], with the reasons among
// the changes, or says which addresses could not be bound. It must not be called
// on a reactor. What was set at run time and stays is listed behind the changes.
func Apply(w *stream.Worker, new *stream.Snapshot) ([]Change, error) {
	applying.Lock()
	defer applying.Unlock()
	old := w.Snapshot()
	changes := Changes(w, new)
	for _, c := range changes {
		if c.Kind == '!' {
			return changes, ErrNeedsReload
		}
	}
	plan := prepare(w, old, new)
	w.Mu.Lock()
	if plan.stale() {
		plan = prepare(w, old, new) // commands that change servers have the lock, too
	}
	want := wanted(w, new)
	lack := missing(w, want)
	copies, err := duplicates(w, lack)
	if err != nil {
		w.Mu.Unlock()
		return changes, err
	}
	opened, errs := openAll(w, lack, copies)
	if len(errs) > 0 {
		w.Mu.Unlock()
		closeAll(copies)
		return refused(changes, errs)
	}
	plan.commit(w)
	if new.Version == 0 {
		new.Version = old.Version + 1
	}
	gone := replace(w, want, opened)
	w.SetSnapshot(new)
	for _, l := range opened {
		l.Start()
	}
	for _, l := range gone {
		l.Close(nil)
	}
	w.Mu.Unlock()
	w.Refresh()
	plan.bury(w)
	for _, h := range hooks {
		h.f(w, old, new)
	}
	return append(changes, kept(w)...), nil
}

// bindError is an address that could not be had.
type bindError struct {
	wish
	err error
}

// Error words it as HAProxy does.
func (e *bindError) Error() string {
	return fmt.Sprintf("Binding [%s] for %s: %s", e.bind.Pos, e.owner(), e.err)
}

func (e *bindError) Unwrap() error { return e.err }

// refused turns errors of binding into the answer: if rights are all that lacks,
// a new process can do it.
func refused(changes []Change, errs []error) ([]Change, error) {
	for _, err := range errs {
		if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
			return changes, errors.Join(errs...)
		}
	}
	for _, err := range errs {
		changes = append(changes, Change{'!', err.Error() + ": needs a reload"})
	}
	return changes, ErrNeedsReload
}

// openAll opens listeners, all or none. What it used of inherited is taken out of
// it, and put back on errors.
func openAll(w *stream.Worker, want []wish, inherited stream.Inherited) (map[string]*stream.Listener, []error) {
	opened := make(map[string]*stream.Listener)
	lent := make(map[string]bool)
	var errs []error
	for _, x := range pathsLast(want) {
		key := x.bind.Key()
		if a := x.bind.Addr; len(errs) > 0 && a.IsUnix() {
			// Whose path it is now keeps it. What can be told without taking it, is.
			if err := unix.Access(filepath.Dir(a.Path), unix.W_OK); a.Path[0] != 0 && len(inherited[key]) == 0 && err != nil {
				errs = append(errs, &bindError{x, fmt.Errorf("cannot bind socket (%w) for [%s]", err, a)})
			}
			continue
		}
		lent[key] = len(inherited[key]) > 0
		l, err := w.OpenListener(x.bind, x.proxy, inherited)
		if err != nil {
			errs = append(errs, &bindError{x, err})
			continue
		}
		opened[key] = l
	}
	if len(errs) == 0 {
		return opened, nil
	}
	for key, l := range opened {
		if lent[key] {
			inherited[key] = l.GiveBack()
		} else {
			l.Discard()
		}
	}
	return nil, errs
}

// pathsLast puts UNIX sockets behind the others: making one takes the path away
// from who had it, so it is done when all else has succeeded.
func pathsLast(want []wish) []wish {
	out := slices.Clone(want)
	slices.SortStableFunc(out, func(a, b wish) int {
		return cmp.Compare(btoi(a.bind.Addr.IsUnix()), btoi(b.bind.Addr.IsUnix()))
	})
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// replace updates the worker's listeners to what is wanted and gives those that
// are not wanted any more. The caller holds the worker's lock.
func replace(w *stream.Worker, want []wish, opened map[string]*stream.Listener) (gone []*stream.Listener) {
	keep := make(map[string]bool)
	for _, x := range want {
		key := x.bind.Key()
		keep[key] = true
		live := w.Listeners[key]
		switch {
		case live == nil:
			w.Listeners[key] = opened[key]
		case opened[key] != nil: // it serves another protocol now
			gone = append(gone, live)
			w.Listeners[key] = opened[key]
		default:
			live.Replace(x.bind, x.proxy)
		}
	}
	for key, l := range w.Listeners {
		if !keep[key] {
			gone = append(gone, l)
			delete(w.Listeners, key)
		}
	}
	return gone
}

// runtimeFront is the frontend that Runtime sockets belong to.
const runtimeFront = "GLOBAL"

// runtimeProxy gives the frontend of the Runtime sockets, the same one for the
// life of the worker.
func runtimeProxy(w *stream.Worker) *stream.Proxy {
	for _, l := range w.Listeners {
		if p := l.Front.Load(); p != nil && p.Name == runtimeFront && p.Kind == "" {
			return p
		}
	}
	return &stream.Proxy{Name: runtimeFront, Frontend: true, FE: stream.NewFrontState(runtimeFront, len(w.Reactors))}
}
