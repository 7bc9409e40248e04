package snapshot

import (
	"slices"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// plan is what must be done to the state when a configuration comes into force.
// Making it changes nothing.
type plan struct {
	old, new *stream.Snapshot
	now      time.Time
	backends []backendPlan
	deleted  []*server.Server // that nothing refers to afterwards
	seen     map[*stream.BackState][]*server.Server
}

// stale tells whether servers were added or deleted since the plan was made.
func (pl *plan) stale() bool {
	for be, list := range pl.seen {
		if !slices.Equal(be.Servers(), list) {
			return true
		}
	}
	return false
}

type backendPlan struct {
	proxy *stream.Proxy
	old   *stream.Proxy // nil: the backend is new
	list  []*server.Server
	set   map[*server.Server]*stream.ServerSettings // of those that live already
}

// prepare gives the proxies of a configuration their state: the one that lives
// under their name, or a new one.
func prepare(w *stream.Worker, old, new *stream.Snapshot) *plan {
	pl := &plan{old: old, new: new, now: w.Reactors[0].Sys.Wall(), seen: make(map[*stream.BackState][]*server.Server)}
	if old != nil {
		for _, p := range old.Backends {
			pl.seen[p.BE] = p.BE.Servers()
		}
	}
	n := len(w.Reactors)
	for _, p := range new.Proxies {
		if p.Frontend {
			if o := oldProxy(old, p.Name, true); o != nil {
				p.FE = o.FE
			} else {
				p.FE = stream.NewFrontState(p.Name, n)
			}
		}
		if p.Backend {
			bp := backendPlan{proxy: p, old: oldProxy(old, p.Name, false), set: make(map[*server.Server]*stream.ServerSettings)}
			if bp.old != nil {
				p.BE = bp.old.BE
			} else {
				p.BE = stream.NewBackState(p.Name, n, pl.now)
			}
			pl.servers(&bp, n)
			pl.backends = append(pl.backends, bp)
		}
	}
	keepNumbers(old, new)
	if old == nil {
		return pl
	}
	for name, p := range old.Backends {
		if new.Backends[name] == nil {
			pl.deleted = append(pl.deleted, p.BE.Servers()...)
		}
	}
	return pl
}

func oldProxy(s *stream.Snapshot, name string, frontend bool) *stream.Proxy {
	switch {
	case s == nil:
		return nil
	case frontend:
		return s.Frontends[name]
	}
	return s.Backends[name]
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
			s = server.New(bp.proxy.Name, l.Name, id, reactors, l.Settings, pl.now)
			s.Dynamic = bp.old != nil
		}
		bp.list = append(bp.list, s)
	}
	for _, s := range live {
		pl.deleted = append(pl.deleted, s)
	}
}

// keepNumbers lets proxies that live on keep the number they have in the
// statistics, unless the configuration says another.
func keepNumbers(old, new *stream.Snapshot) {
	if old == nil {
		return
	}
	used := make(map[int]bool)
	for _, p := range new.Proxies {
		if p.ForcedID {
			used[p.ID] = true
		}
	}
	var fresh []*stream.Proxy
	for _, p := range new.Proxies {
		if p.ForcedID {
			continue
		}
		o := oldProxy(old, p.Name, p.Frontend)
		if o == nil || used[o.ID] {
			fresh = append(fresh, p)
			continue
		}
		p.ID = o.ID
		used[p.ID] = true
	}
	next := 2
	for _, p := range fresh {
		for used[next] {
			next++
		}
		p.ID = next
		used[next] = true
	}
}

// commit does it. The caller holds the worker's lock; nothing here can fail.
func (pl *plan) commit(w *stream.Worker) {
	oldMax := 0
	if pl.old != nil {
		oldMax = pl.old.Global.MaxConn
	}
	// What was set at run time stays, unless the configuration says something
	// new about it.
	if pl.old == nil || oldMax != pl.new.Global.MaxConn {
		w.MaxConn.Store(int64(pl.new.Global.MaxConn))
	}
	if pl.old != nil && pl.old.Global.TLS.MaxRate != pl.new.Global.TLS.MaxRate {
		w.SetMaxTLSRate(-1)
	}
	for _, p := range pl.new.Proxies {
		if !p.Frontend {
			continue
		}
		o := oldProxy(pl.old, p.Name, true)
		limit := limitOf(p, pl.new.Global)
		if o == nil || limitOf(o, pl.old.Global) != limit {
			p.FE.Limit.Store(int64(limit))
		}
	}
	for _, s := range pl.deleted {
		s.MarkDeleted()
	}
	for i := range pl.backends {
		bp := &pl.backends[i]
		p, all := bp.proxy, bp.proxy.Has(stream.AllBackups)
		if bp.old == nil {
			p.BE.SetBalance(p.Balance, all)
			p.BE.SetServers(bp.list)
			continue
		}
		p.BE.Batch(pl.now, func() {
			for s, set := range bp.set {
				s.Replace(pl.now, set)
			}
			p.BE.SetServers(bp.list)
			if p.Balance.Algorithm != bp.old.Balance.Algorithm || p.Balance.Draws != bp.old.Balance.Draws || all != bp.old.Has(stream.AllBackups) {
				p.BE.SetBalance(p.Balance, all)
			}
		})
	}
}

func limitOf(p *stream.Proxy, g *stream.Global) int {
	if p.MaxConn > 0 {
		return p.MaxConn
	}
	return g.MaxConn
}

// bury closes the idle connections of servers that are gone. Streams that use
// one finish.
func (pl *plan) bury(w *stream.Worker) {
	for _, r := range w.Reactors {
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
