package snapshot

import (
	"errors"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Transition is a configuration that takes the place of another, or the first
// one of a worker.
type Transition struct {
	Worker *stream.Worker
	Old    *stream.Snapshot // nil: there was none
	New    *stream.Snapshot
	Now    time.Time // of day

	inherited stream.Inherited // sockets of another process
	changed   []*stream.Proxy
	earlier   []*stream.Proxy
}

// before gives for each proxy of t.New the one of its name in t.Old, nil if there is
// none.
func (t *Transition) before() []*stream.Proxy {
	if t.earlier == nil {
		t.earlier = conf.Before(t.Old, t.New)
	}
	return t.earlier
}

// Changed gives the backends that are new or say something new, or whose servers
// commands have added or deleted: what follows servers has nothing to do for the
// others, but for those that are gone ([server.Server.Deleted]). It is known to
// who prepares behind the engine's own carriers.
func (t *Transition) Changed() []*stream.Proxy { return t.changed }

// Carrier takes one kind of things that live (servers, sockets, tables) from the
// configuration in force to the next one.
type Carrier struct {
	Name string
	// Obstacles names what cannot be done in the running process, without changing
	// anything: each text becomes a line marked "!". It is asked before Prepare, not
	// for the first configuration, and also by who only wants to know.
	Obstacles func(t *Transition) []string
	// Losses names what was changed at run time and does not go over, since the new
	// configuration says something else. Each text becomes a line marked "-". It is
	// asked when Obstacles is.
	Losses func(t *Transition) []string
	// Prepare gives t.New the things that live, or makes those that are new, so that
	// they are there when the first request sees t.New. It changes nothing that
	// t.Old uses. An error refuses the configuration: what was prepared is undone,
	// and all is as it was. A [Refusal] is an error that a new process would not
	// have. Nothing of the steps need be there.
	//
	// It runs on no reactor and without the worker's lock.
	Prepare func(t *Transition) (Steps, error)
}

// Steps is how what was prepared goes on: it is undone, or else committed and
// then finished.
type Steps struct {
	// Undo gives back what was taken.
	Undo func()
	// Stale tells whether commands have changed meanwhile what was prepared for. Then
	// it is undone and prepared again. It runs under the worker's lock.
	Stale func() bool
	// Commit hands the settings to the living, right before t.New is visible. It runs
	// under the worker's lock, which reactors may wait for, and cannot fail.
	Commit func()
	// After runs when t.New is visible, before the next configuration can be applied,
	// on no reactor and without the lock. It may wait for reactors; for the first
	// configuration they do not run yet.
	After func()
}

// Refusal is an error of [Carrier.Prepare] that needs a new process: its lines are
// told, marked "!".
type Refusal []string

// Error gives the first reason.
func (r Refusal) Error() string { return r[0] }

// carriers are in the order of registration: those of the engine before those of
// features. Undoing goes the other way.
var carriers []Carrier

// RegisterCarrier adds a kind of things that outlive configurations.
func RegisterCarrier(c Carrier) { carriers = append(carriers, c) }

// RegisterAfter makes f be called after each configuration came into force: see
// [Steps.After].
func RegisterAfter(name string, f func(t *Transition)) {
	RegisterCarrier(Carrier{Name: name, Prepare: func(t *Transition) (Steps, error) {
		return Steps{After: func() { f(t) }}, nil
	}})
}

// judge adds what the carriers have to say of the transition.
func (t *Transition) judge(changes []Change) []Change {
	for _, c := range carriers {
		if c.Losses != nil {
			for _, text := range c.Losses(t) {
				changes = append(changes, Change{'-', text})
			}
		}
		if c.Obstacles != nil {
			for _, text := range c.Obstacles(t) {
				changes = append(changes, needsReload(text))
			}
		}
	}
	return changes
}

// carry does the whole: with an error nothing is changed. swap makes the new
// configuration the one in force; it runs under the worker's lock.
func (t *Transition) carry(swap func()) error {
	for {
		steps, err := t.prepare()
		if err != nil {
			return err
		}
		t.Worker.Mu.Lock()
		if steps.stale() {
			t.Worker.Mu.Unlock()
			steps.undo()
			continue
		}
		for _, s := range steps {
			if s.Commit != nil {
				s.Commit()
			}
		}
		swap()
		t.Worker.Mu.Unlock()
		for _, s := range steps {
			if s.After != nil {
				s.After()
			}
		}
		return nil
	}
}

type stepList []Steps

func (t *Transition) prepare() (stepList, error) {
	var steps stepList
	for _, c := range carriers {
		if c.Prepare == nil {
			continue
		}
		s, err := c.Prepare(t)
		if err != nil {
			steps.undo()
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (l stepList) undo() {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].Undo != nil {
			l[i].Undo()
		}
	}
}

func (l stepList) stale() bool {
	for _, s := range l {
		if s.Stale != nil && s.Stale() {
			return true
		}
	}
	return false
}

// refused adds the reasons of a refusal to the changes.
func refused(changes []Change, err error) ([]Change, error) {
	var r Refusal
	if !errors.As(err, &r) {
		return changes, err
	}
	for _, text := range r {
		changes = append(changes, needsReload(text))
	}
	return changes, ErrNeedsReload
}

func needsReload(text string) Change { return Change{'!', text + ": needs a reload"} }
