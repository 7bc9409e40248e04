package snapshot

import (
	"fmt"
	"slices"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	RegisterCarrier(Carrier{Name: "process", Prepare: process})
	RegisterCarrier(Carrier{Name: "frontends", Prepare: frontends})
	RegisterCarrier(Carrier{Name: "backends", Obstacles: renumbered, Prepare: backends})
}

// process carries the limits of the process: what was set at run time stays,
// unless the configuration says something new about it.
func process(t *Transition) (Steps, error) {
	return Steps{Commit: func() {
		w, g := t.Worker, t.New.Global
		if t.Old == nil || t.Old.Global.MaxConn != g.MaxConn {
			w.MaxConn.Store(int64(g.MaxConn))
		}
		if t.Old != nil && stream.TLSSettings.Value(t.Old.Global).MaxRate != stream.TLSSettings.Value(g).MaxRate {
			w.SetMaxTLSRate(-1)
		}
	}}, nil
}

// frontends gives frontends the state that lives under their name, or a new one.
func frontends(t *Transition) (Steps, error) {
	before := t.before()
	for i, p := range t.New.Proxies {
		if !p.Frontend {
			continue
		}
		if o := before[i]; o != nil && o.Frontend {
			if p.FE != o.FE { // it is p's already if p is taken over
				p.FE = o.FE
			}
		} else {
			p.FE = stream.NewFrontState(p.Name, len(t.Worker.Reactors))
		}
	}
	if !conf.MadeFrom(t.Old, t.New) { // loading has not numbered them
		for i, id := range conf.Numbers(t.Old, t.New) {
			if p := t.New.Proxies[i]; p.ID != id {
				p.ID = id
			}
		}
	}
	return Steps{Commit: func() {
		for i, p := range t.New.Proxies {
			if !p.Frontend {
				continue
			}
			o := before[i]
			limit := limitOf(p, t.New.Global)
			if o == nil || !o.Frontend || limitOf(o, t.Old.Global) != limit {
				p.FE.Limit.Store(int64(limit))
			}
		}
	}}, nil
}

// renumbered names live servers that the new configuration gives another number.
func renumbered(t *Transition) (list []string) {
	for i, o := range t.before() {
		p := t.New.Proxies[i]
		if o == nil || !o.Backend || !p.Backend || unchanged(p, o) {
			continue
		}
		for _, l := range p.ServerLines {
			if l.Settings.ID == 0 {
				continue
			}
			if s := o.BE.Server(l.Name); s != nil && s.ID != l.Settings.ID {
				list = append(list, fmt.Sprintf("server %s/%s: id %d -> %d", p.Name, l.Name, s.ID, l.Settings.ID))
			}
		}
	}
	return list
}

// plan is what must be done to backends and servers when a configuration comes
// into force. Making it changes nothing.
type plan struct {
	*Transition
	backends []backendPlan
	deleted  []*server.Server // that nothing refers to afterwards
	balance  []func(now time.Time)

	// The servers that there were, and how many changes of servers were counted
	// before, with those that the plan has made to backends that are new.
	seen    []seen
	changes int64
}

type seen struct {
	be   *stream.BackState
	list []*server.Server
}

type backendPlan struct {
	proxy *stream.Proxy
	old   *stream.Proxy // nil: the backend is new
	list  []*server.Server
	set   map[*server.Server]*stream.ServerSettings // of those that live already
}

// backends gives backends and servers the state that lives under their name, or a
// new one.
func backends(t *Transition) (Steps, error) {
	pl := newPlan(t)
	return Steps{Stale: pl.stale, Commit: pl.commit, After: pl.after}, nil
}

func newPlan(t *Transition) *plan {
	pl := &plan{Transition: t, changes: stream.ServerChanges()}
	n := len(t.Worker.Reactors)
	t.changed = nil
	stay := 0 // of the backends that there were
	if t.Old != nil {
		pl.seen = make([]seen, 0, len(t.Old.Backends))
	}
	for i, o := range t.before() {
		p := t.New.Proxies[i]
		if !p.Backend {
			continue
		}
		bp := backendPlan{proxy: p}
		if o != nil && o.Backend {
			stay++
			bp.old = o
			pl.seen = append(pl.seen, seen{o.BE, o.BE.Servers()})
			if p.BE != o.BE {
				p.BE = o.BE
			}
			if unchanged(p, o) {
				continue
			}
		} else {
			p.BE = stream.NewBackState(p.Name, n, t.Now)
			p.BE.Clock = t.Worker.Reactors[0]
		}
		bp.set = make(map[*server.Server]*stream.ServerSettings)
		pl.servers(&bp, n)
		if bp.old == nil {
			pl.changes += bp.begin()
		}
		pl.backends = append(pl.backends, bp)
		t.changed = append(t.changed, p)
	}
	if t.Old != nil && stay < len(t.Old.Backends) {
		for name, p := range t.Old.Backends {
			if t.New.Backends[name] == nil {
				list := p.BE.Servers()
				pl.seen = append(pl.seen, seen{p.BE, list})
				pl.deleted = append(pl.deleted, list...)
			}
		}
	}
	return pl
}

// unchanged tells whether a configuration says of a backend what the one before
// said, and no server was added or removed since: what commands have set stays
// then, and there is nothing to do.
func unchanged(p, o *stream.Proxy) bool {
	return o.Made != 0 && o.Made == p.Made && o.FullConn == p.FullConn && o.BE.Untouched()
}

// stale tells whether servers were added or deleted since the plan was made.
func (pl *plan) stale() bool {
	if stream.ServerChanges() == pl.changes {
		return false // as nearly always: nothing need be looked at under the lock
	}
	return slices.ContainsFunc(pl.seen, func(s seen) bool { return !slices.Equal(s.be.Servers(), s.list) })
}

// servers lists the servers of a backend: those that live keep their state,
// whether they came from a file or were added at run time.
func (pl *plan) servers(bp *backendPlan, reactors int) {
	live := make(map[string]*server.Server)
	used := make(map[int]bool)
	for _, s := range bp.proxy.BE.Servers() {
		live[s.Name] = s
	}
	for _, l := range bp.proxy.ServerLines {
		if s := live[l.Name]; s != nil {
			used[s.ID] = true
		} else if l.Settings.ID != 0 {
			used[l.ID] = true
		}
	}
	next := 1
	for _, l := range bp.proxy.ServerLines {
		s := live[l.Name]
		if s != nil {
			bp.set[s] = l.Settings
			delete(live, l.Name)
		} else {
			id := l.ID
			if l.Settings.ID == 0 && used[id] {
				for used[next] {
					next++
				}
				id = next
			}
			used[id] = true
			s = server.New(bp.proxy.Name, l.Name, id, reactors, l.Settings, pl.Now)
			s.Dynamic = bp.old != nil
		}
		bp.list = append(bp.list, s)
	}
	for _, s := range live {
		pl.deleted = append(pl.deleted, s)
	}
}

// begin gives a new backend, which nobody sees yet, its servers: a balancer over
// many takes its time, and commit holds a lock. It gives how many changes of servers
// that was.
func (bp *backendPlan) begin() int64 {
	p := bp.proxy
	p.BE.SetFullConn(p.FullConn)
	p.BE.SetBalance(p.Balance, p.Has(stream.AllBackups))
	p.BE.SetServers(bp.list)
	p.BE.Applied()
	return 1
}

// commit does it, but for balancing over the servers, which can take milliseconds
// for a backend: reactors may wait for the lock that is held. Only a backend that
// has lost half of its servers or more is balanced at once: the others would have to
// bear it.
func (pl *plan) commit() {
	for i := range pl.backends {
		bp := &pl.backends[i]
		if bp.old == nil {
			continue
		}
		p, all := bp.proxy, bp.proxy.Has(stream.AllBackups)
		p.BE.SetFullConn(p.FullConn)
		choice := p.BE.Choice()
		balance := p.BE.Change(func() {
			for s, set := range bp.set {
				s.Replace(pl.Now, set)
			}
			p.BE.SetServers(bp.list)
			if !p.Balance.Same(&bp.old.Balance) || all != bp.old.Has(stream.AllBackups) {
				p.BE.SetBalance(p.Balance, all)
			}
		})
		gone := 0
		for _, s := range choice {
			if bp.set[s] == nil || !s.Usable() {
				gone++
			}
		}
		if 2*gone < len(choice) {
			pl.balance = append(pl.balance, balance)
		} else {
			balance(pl.Now)
		}
		p.BE.Applied()
	}
	for _, s := range pl.deleted {
		s.MarkDeleted()
	}
}

func limitOf(p *stream.Proxy, g *stream.Global) int {
	if p.MaxConn > 0 {
		return p.MaxConn
	}
	return g.MaxConn
}

// after does what needs no lock.
func (pl *plan) after() {
	for _, balance := range pl.balance {
		balance(pl.Now)
	}
	pl.bury()
}

// bury closes the idle connections of servers that are gone. Streams that use
// one finish.
func (pl *plan) bury() {
	for _, r := range pl.Worker.Reactors {
		if len(pl.deleted) > 0 {
			r.Post(func() { purge(r, pl.deleted) })
		}
	}
}

func purge(r *reactor.Reactor, list []*server.Server) {
	for _, s := range list {
		s.Pools[r.Index].Purge(true)
	}
}
