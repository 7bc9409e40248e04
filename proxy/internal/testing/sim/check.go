package sim

import (
	"slices"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// checkStep looks at what must hold at any time.
func (w *World) checkStep() {
	for _, v := range w.scene.servers {
		cur, idle, used := v.Cur.Load(), v.Idle.Load(), v.Used.Load()
		if n := v.Queued.Load(); n < 0 {
			w.failf("server %s: %d in its queue", v.Name, n)
		}
		if private := v.Private.Load(); cur < 0 || idle < 0 || used < 0 || private < 0 || private > idle {
			w.failf("server %s: cur %d, idle %d, private %d, used %d", v.Name, cur, idle, private, used)
		}
		if h := w.scene.highest[v]; h > 0 && cur > h {
			w.failf("server %s: %d streams, maxconn is %d", v.Name, cur, h)
		}
		pooled := 0
		for i := range v.Pools {
			pooled += v.Pools[i].Len()
		}
		shared := 0
		for i := range v.Pools {
			shared += v.Pools[i].Shared()
		}
		if int64(shared) > used {
			w.failf("server %s: %d connections carry streams, %d are in use", v.Name, shared, used)
		}
		if private := v.Private.Load(); int64(pooled)+private != idle {
			w.failf("server %s: %d connections in the pools and %d of clients, %d counted", v.Name, pooled, private, idle)
		}
	}
	for _, b := range w.scene.backends {
		if n := b.Queue.Len.Load(); n < 0 || b.Cur.Load() < 0 {
			w.failf("backend %s: %d in the queue, cur %d", b.Name, n, b.Cur.Load())
		}
	}
	var sum int64
	for _, f := range w.all {
		n := f.fs.Cur.Load()
		sum += n
		if limit := w.scene.limits[f.fs]; n < 0 || limit > 0 && n > limit {
			w.failf("frontend %s: %d connections of %d", f.name, n, limit)
		}
		if limit := int64(f.bind.MaxConn); limit > 0 && f.l.Cur.Load() > limit {
			w.failf("listener %s: %d connections of %d", f.name, f.l.Cur.Load(), limit)
		}
	}
	if w.stopped && w.listens() {
		sum++ // SoftStop counts itself until the listeners are closed
	}
	if n := w.worker.Curr.Load(); n != sum {
		w.failf("%d connections counted, frontends have %d", n, sum)
	}
	for _, r := range w.rs {
		if r.Panics.Load() > 0 {
			w.failf("a coroutine of reactor %d panicked", r.Index)
		}
	}
}

// listens tells whether the proxy has a listening socket.
func (w *World) listens() bool {
	for _, f := range w.files {
		if f != nil && f.kind == listenFile {
			return true
		}
	}
	return false
}

// done tells whether all has ended: clients, connections, and what is kept for
// later use.
func (w *World) done() bool {
	if !w.stopped || w.clients > 0 || w.worker.Curr.Load() > 0 {
		return false
	}
	if w.endBy == 0 {
		w.endBy = w.now + int64(3*time.Minute)
		w.warmBy = w.now + int64(longestWarmup+time.Second)
	}
	switch {
	case w.opened > 0: // idle connections and pipes are given back little by little
		return w.now > w.endBy
	case w.warming():
		return w.now > w.warmBy
	}
	return true
}

// warming tells whether the slow start of a server is still looked after: every
// second, until one finds that it has ended, or that the server went down.
func (w *World) warming() bool {
	slow := false
	for _, v := range w.scene.servers {
		slow = slow || v.Settings().SlowStart > 0 && v.State().Op != server.Running
	}
	return slow && slices.ContainsFunc(w.rs, func(r *reactor.Reactor) bool { return r.Timers() != 1 })
}

// checkEnd looks at what must hold when all has ended.
func (w *World) checkEnd() {
	if !w.drained {
		w.failf("nobody was told that the worker is drained")
	}
	if w.opened > 0 {
		w.failf("%d descriptors are left", w.opened)
	}
	for _, v := range w.scene.servers {
		for i := range v.Pools {
			if n := v.Pools[i].Shared() + v.Pools[i].Len(); n != 0 {
				w.failf("server %s at the end: %d connections in the pool of reactor %d", v.Name, n, i)
			}
		}
		if c, i, u, q := v.Cur.Load(), v.Idle.Load(), v.Used.Load(), v.Queued.Load(); c != 0 || i != 0 || u != 0 || q != 0 {
			w.failf("server %s at the end: cur %d, idle %d, used %d, queue %d", v.Name, c, i, u, q)
		}
	}
	for _, b := range w.scene.backends {
		if c, n, all := b.Cur.Load(), b.Queue.Len.Load(), b.Queue.Waiting(); c != 0 || n != 0 || all != 0 {
			w.failf("backend %s at the end: cur %d, queue %d, waiting %d", b.Name, c, n, all)
		}
	}
	for _, f := range w.all {
		if n := f.fs.Cur.Load(); n != 0 {
			w.failf("frontend %s at the end: cur %d", f.name, n)
		}
		if n := f.l.Cur.Load(); n != 0 {
			w.failf("listener %s at the end: cur %d", f.name, n)
		}
		if f.mode == stream.TCP {
			if n := f.fs.Counters.Sum(sessions); n != int64(w.sessions) && !(w.scene.nulls[f.fs] && n > int64(w.sessions)) {
				w.failf("frontend %s: %d sessions, %d logged", f.name, n, w.sessions)
			}
		}
	}
	for _, f := range w.all {
		if n := f.fs.Counters.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.H2.Lost }); n != 0 {
			w.failf("frontend %s at the end: %d bytes of clients' windows were not given back", f.name, n)
		}
	}
	for _, b := range w.scene.backends {
		if n := b.Counters.Sum(func(c *stream.BackCounters) *counter.Int { return &c.H2.Lost }); n != 0 {
			w.failf("backend %s at the end: %d bytes of servers' windows were not given back", b.Name, n)
		}
	}
	for i, f := range w.scene.filters {
		if f.Begun != f.Ended {
			w.failf("filter %d took part in %d streams, and was told of the end of %d", i, f.Begun, f.Ended)
		}
	}
	for i, r := range w.rs {
		if n := w.worker.Counters[i].Streams.Load(); n != 0 {
			w.failf("reactor %d at the end: %d streams", i, n)
		}
		if n := r.Descriptors(); n != 0 {
			w.failf("reactor %d at the end: %d descriptors", i, n)
		}
		if n := r.Coroutines(); n != 0 {
			w.failf("reactor %d at the end: %d coroutines", i, n)
		}
		if n := r.Lent(); n != 0 {
			w.failf("reactor %d at the end: %d buffers and pipes are not given back", i, n)
		}
		if n := r.Timers(); n != 1 { // its own
			w.failf("reactor %d at the end: %d timers", i, n)
		}
	}
	for _, t := range w.truths {
		if t.method != "TCP" && !t.bad && (len(t.attempts) > 0 || t.answered) && t.logs != 1 {
			w.failf("request %d was logged %d times", t.id, t.logs)
		}
	}
}

var _ reactor.Poller = (*poller)(nil)

func sessions(c *stream.FrontCounters) *counter.Int { return &c.Sessions }
