package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	RegisterCarrier(Carrier{Name: "listeners", Obstacles: unbindable, Prepare: listeners})
}

// unbindable names the addresses that cannot be had as they are wanted.
func unbindable(t *Transition) (list []string) {
	w := t.Worker
	w.Mu.Lock()
	defer w.Mu.Unlock()
	for _, x := range wanted(w, t.New) {
		if text := x.obstacle(w); text != "" {
			list = append(list, x.title()+" "+text)
		}
	}
	return list
}

// listeners opens what the new configuration listens on and the old one does not.
func listeners(t *Transition) (Steps, error) {
	w := t.Worker
	w.Mu.Lock()
	want := wanted(w, t.New)
	lack, lent := want, t.inherited
	var err error
	if t.Old != nil {
		lack = missing(w, want)
		lent, err = duplicates(w, lack)
	}
	w.Mu.Unlock()
	if err != nil {
		return Steps{}, err
	}
	undo := func() {
		if t.Old != nil {
			closeAll(lent)
		}
	}
	opened, errs := openAll(w, lack, lent)
	if len(errs) > 0 {
		undo()
		return Steps{}, bindErrors(t, errs)
	}
	var gone []*stream.Listener
	return Steps{
		Undo: func() { giveBack(opened, lent); undo() },
		Stale: func() bool {
			now := wanted(w, t.New)
			return !sameKeys(now, want) || t.Old != nil && !sameKeys(missing(w, now), lack)
		},
		Commit: func() { gone = replace(w, want, opened) },
		After: func() {
			closeAll(lent) // of addresses that are not used any more
			w.Mu.Lock()
			for key, l := range opened {
				if w.Listeners[key] == l.Listener { // no command has closed it meanwhile
					l.Start()
				}
			}
			for _, l := range gone {
				l.Close(nil)
			}
			w.Mu.Unlock()
			w.Refresh()
		},
	}, nil
}

func sameKeys(a, b []wish) bool {
	return slices.EqualFunc(a, b, func(x, y wish) bool { return x.bind == y.bind })
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

// bindErrors turns errors of binding into one: if rights are all that lacks, a new
// process can do it.
func bindErrors(t *Transition, errs []error) error {
	lacking := make(Refusal, 0, len(errs))
	for _, err := range errs {
		if t.Old == nil || !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
			return errors.Join(errs...)
		}
		lacking = append(lacking, err.Error())
	}
	return lacking
}

// opening is a listener that does not accept yet; lent tells that its sockets are
// another process's or another listener's.
type opening struct {
	*stream.Listener
	lent bool
}

// openAll opens listeners, all or none. What it used of inherited is taken out of
// it, and put back on errors.
func openAll(w *stream.Worker, want []wish, inherited stream.Inherited) (map[string]opening, []error) {
	opened := make(map[string]opening)
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
		lent := len(inherited[key]) > 0
		l, err := w.OpenListener(x.bind, x.proxy, inherited)
		if err != nil {
			errs = append(errs, &bindError{x, err})
			continue
		}
		opened[key] = opening{l, lent}
	}
	if len(errs) > 0 {
		giveBack(opened, inherited)
		return nil, errs
	}
	return opened, nil
}

// giveBack undoes openAll.
func giveBack(opened map[string]opening, inherited stream.Inherited) {
	for key, l := range opened {
		if l.lent {
			inherited[key] = l.GiveBack()
		} else {
			l.Discard()
		}
	}
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
func replace(w *stream.Worker, want []wish, opened map[string]opening) (gone []*stream.Listener) {
	keep := make(map[string]bool)
	for _, x := range want {
		key := x.bind.Key()
		keep[key] = true
		live := w.Listeners[key]
		switch {
		case live == nil:
			w.Listeners[key] = opened[key].Listener
		case opened[key].Listener != nil: // it serves another protocol now
			gone = append(gone, live)
			w.Listeners[key] = opened[key].Listener
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
