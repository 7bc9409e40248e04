package check

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	snapshot.RegisterAfter("check", func(t *snapshot.Transition) { follow(t.Worker, t.Changed()) })
	runtimeapi.OnServerAdded(Start)
	runtimeapi.OnServerRemoved(func(w *stream.Worker, _ *stream.Proxy, s *server.Server) { Stop(w, s) })
}

// checks are the checks of one worker.
type checks struct {
	mu   sync.Mutex
	of   map[*server.Server]*checker
	next int // reactor of the next server
	said voices
}

var running = slot.NewLive[*stream.Worker, checks]()

// checker makes the checks of one server, on one reactor.
type checker struct {
	w       *stream.Worker
	srv     *server.Server
	r       *reactor.Reactor
	timer   reactor.Timer
	co      *reactor.Coro // while a check is made
	stopped bool
}

// spreadFrom is the interval from which on checks are spread over it: shorter
// ones begin at once.
const spreadFrom = time.Second

// Sync makes the checks follow the snapshot in force: servers that are new begin
// to be checked, spread over the shortest interval, and those that are gone or
// not checked any more cease. Any thread may call it; it waits for no reactor.
func Sync(w *stream.Worker) {
	if snap := w.Snapshot(); snap != nil {
		follow(w, snap.Proxies)
	}
}

// follow is Sync when nothing but these proxies has changed.
func follow(w *stream.Worker, changed []*stream.Proxy) {
	snap := w.Snapshot()
	c := running.In(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := make(map[*server.Server]bool)
	looked := make(map[string]bool)
	var fresh []*server.Server
	var shortest time.Duration
	for _, p := range changed {
		if !p.Backend || p.BE == nil {
			continue
		}
		looked[p.Name] = true
		c.listen(w, p.BE)
		for _, s := range p.BE.Servers() {
			k := s.Settings().Check
			if !k.Enabled || p.Disabled {
				continue
			}
			wanted[s] = true
			if c.of[s] != nil {
				continue
			}
			fresh = append(fresh, s)
			if k.Inter >= spreadFrom && (shortest == 0 || k.Inter < shortest) {
				shortest = k.Inter
			}
		}
	}
	for _, s := range c.servers(func(s *server.Server) bool {
		return !wanted[s] && (looked[s.Backend] || snap.Backends[s.Backend] == nil || s.Deleted())
	}) {
		c.drop(s, c.of[s])
	}
	c.said.keep(snap)
	for i, s := range fresh {
		span := max(shortest, first(s))
		if m := spreadOf(snap.Global).most; m > 0 {
			span = min(span, m)
		}
		c.start(w, s, span*time.Duration(i)/time.Duration(len(fresh)))
	}
}

// first is the interval that an unchecked server has.
func first(s *server.Server) time.Duration {
	k, st := s.Settings().Check, s.State()
	return interval(&k, &st)
}

// Start begins to check a server that was added at run time, if it is to be
// checked. Nothing is sent before "enable health".
func Start(w *stream.Worker, p *stream.Proxy, s *server.Server) {
	c := running.In(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listen(w, p.BE)
	if k := &s.Settings().Check; k.Enabled && c.of[s] == nil {
		c.start(w, s, k.Inter)
	}
}

// Stop ends the checks of a server.
func Stop(w *stream.Worker, s *server.Server) {
	c := running.In(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.of[s]; x != nil {
		c.drop(s, x)
	}
}

// StopAll ends all checks of a worker.
func StopAll(w *stream.Worker) {
	c := running.In(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.servers(func(*server.Server) bool { return true }) {
		c.drop(s, c.of[s])
	}
}

// servers gives those that are checked and that which is true for, in an order that
// does not change from run to run.
func (c *checks) servers(which func(*server.Server) bool) []*server.Server {
	var list []*server.Server
	for s := range c.of {
		if which(s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *server.Server) int {
		return cmp.Or(cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// listen makes the transitions of a backend's servers be told.
func (c *checks) listen(w *stream.Worker, b *stream.BackState) {
	b.OnState(func(s *server.Server, old, cur server.State, reason string) {
		changed(w, &c.said, b, s, old, cur, reason)
		w.Marked(b, s, old, cur)
	})
}

// start is called with the lock held.
func (c *checks) start(w *stream.Worker, s *server.Server, after time.Duration) {
	x := &checker{w: w, srv: s, r: w.Reactors[c.next%len(w.Reactors)]}
	c.next++
	if c.of == nil {
		c.of = make(map[*server.Server]*checker)
	}
	c.of[s] = x
	x.timer.Fire = x
	x.r.Post(func() { x.again(after) })
}

// drop is called with the lock held.
func (c *checks) drop(s *server.Server, x *checker) {
	delete(c.of, s)
	x.r.Post(x.stop)
}

func (x *checker) stop() {
	x.stopped = true
	x.r.Remove(&x.timer)
	if x.co != nil {
		x.co.Kill()
	}
}

// again sets the time of the next check. It may be called on the reactor only.
func (x *checker) again(after time.Duration) {
	if !x.stopped {
		x.r.Set(&x.timer, x.r.Now()+max(int64(after), 1))
	}
}

// Fire begins a check when its time has come, unless it is switched off.
func (x *checker) Fire() {
	if x.stopped || x.w.Stopping.Load() || x.srv.Deleted() {
		x.stopped = true
		return
	}
	k, st := &x.srv.Settings().Check, x.srv.State()
	if x.proxy() == nil || st.CheckPaused || st.Admin&server.Maint != 0 {
		x.again(k.Inter)
		return
	}
	x.r.Start(x)
}

// proxy is the backend as it is configured now.
func (x *checker) proxy() *stream.Proxy {
	p := x.w.Snapshot().Backends[x.srv.Backend]
	if p == nil || p.Disabled {
		return nil
	}
	return p
}

// Run makes one check, in a coroutine.
func (x *checker) Run() {
	r, px := x.r, x.proxy()
	if px == nil || x.stopped {
		x.again(x.srv.Settings().Check.Inter)
		return
	}
	x.co = r.Current()
	since := r.Now()
	p := &probe{w: x.w, r: r, srv: x.srv, px: px, set: x.srv.Settings(), own: rules.Of(px), node: conf.Node(x.w.Snapshot().Global), c: x.w.NewClient(r)}
	out, killed := p.run()
	x.co = nil
	if killed || x.stopped {
		return
	}
	conclude(x.w, px, x.srv, out, time.Duration(r.Now()-since), r.Wall())
	x.again(x.pause())
}

// Panicked goes on after a check that ended in a panic.
func (x *checker) Panicked() {
	x.co = nil
	x.again(x.srv.Settings().Check.Inter)
}

// pause is the time until the next check, with some noise if the configuration
// says so ("spread-checks").
func (x *checker) pause() time.Duration {
	k, st := x.srv.Settings().Check, x.srv.State()
	d := interval(&k, &st)
	if n := spreadOf(x.w.Snapshot().Global).percent; n > 0 {
		noise := d * time.Duration(n) / 100
		d += noise - time.Duration(2*x.r.Rand.Float64()*float64(noise))
	}
	return d
}
