package snapshot

import (
	"errors"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// ErrNeedsReload tells that a configuration cannot be applied to the running
// process. The changes say why.
var ErrNeedsReload = errors.New("the changes marked '!' need a reload")

// ErrOutdated tells that another configuration came into force since this one was
// loaded with [Input].Base: it has to be loaded again.
var ErrOutdated = errors.New("another configuration was applied meanwhile")

// applying orders whole applications; the worker's own lock is only held for the
// moment of the swap, because reactors take it.
var applying sync.Mutex

// Changes tells what [Apply] would do, with what it could not do marked '!'.
func Changes(w *stream.Worker, new *stream.Snapshot) []Change {
	return transition(w, new).changes()
}

func transition(w *stream.Worker, new *stream.Snapshot) *Transition {
	return &Transition{Worker: w, Old: w.Snapshot(), New: new, Now: w.Reactors[0].Sys.Wall()}
}

func (t *Transition) changes() []Change {
	return t.judge(Diff(t.Old, t.New))
}

// Start puts the first configuration in force: it opens the listeners, of which
// some may be inherited from another process, and begins to accept when the
// reactors run. On errors, which name every address that failed, nothing stays
// open but what is inherited, and Start can be called again.
func Start(w *stream.Worker, snap *stream.Snapshot, inherited stream.Inherited) error {
	applying.Lock()
	defer applying.Unlock()
	t := transition(w, snap)
	t.Old, t.inherited = nil, inherited
	return t.carry(func() {
		if snap.Version == 0 {
			snap.Version = 1
		}
		w.SetSnapshot(snap)
	})
}

// Apply puts a configuration in force in place of the present one. Either all of
// it is done or nothing: the error is [ErrNeedsReload], with the reasons among
// the changes, or says which addresses could not be bound. It must not be called
// on a reactor. What was set at run time and stays is listed behind the changes.
func Apply(w *stream.Worker, new *stream.Snapshot) ([]Change, error) {
	applying.Lock()
	defer applying.Unlock()
	t := transition(w, new)
	if !conf.Follows(t.Old, new) {
		return nil, ErrOutdated
	}
	changes := t.changes()
	for _, c := range changes {
		if c.Kind == '!' {
			return changes, ErrNeedsReload
		}
	}
	err := t.carry(func() {
		if new.Version == 0 {
			new.Version = t.Old.Version + 1
		}
		w.SetSnapshot(new)
	})
	if err != nil {
		return refused(changes, err)
	}
	w.Reactors[0].Post(w.Reactors[0].GiveBack)
	return append(changes, kept(w)...), nil
}
