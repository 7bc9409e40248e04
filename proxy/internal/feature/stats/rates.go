package stats

import (
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// second is the period of the sampler in nanoseconds.
const second = 1e9

// window is how many requests the average times are over.
const window = 1024

// samplers are those of the workers of this process (one, but for tests).
var samplers sync.Map // *stream.Worker → *sampler

// sampler looks at all counters once a second. It runs on the first reactor.
type sampler struct {
	w        *stream.Worker
	r        *reactor.Reactor
	timer    reactor.Timer
	last     int64 // when the previous sample was taken
	idleNs   int64
	bytesOut int64
	idle     atomic.Int64 // percent of the last second
	outRate  atomic.Int64
	// tls are handshakes with clients, begun; keys are complete ones that did not
	// resume a session, with clients and with servers.
	tls, frontKeys, backKeys counter.Rate
	resumed                  atomic.Int64 // percent of those with clients

	mu    sync.Mutex
	times map[any]*times // by *stream.BackState or *server.Server
	round int
}

// times are the average times of one object in milliseconds.
type times struct {
	Queue, Connect, Resp, Total float64
	n                           float64 // requests in the averages, up to window
	sums                        sums
	round                       int
}

// sums are what the shards of an object have counted, and its longest times.
type sums struct {
	queue, connect, resp, total, n int64
	max                            [4]int64
}

func init() { life.OnServe(start) }

// start begins to sample w's counters, once a second. It may be called from any
// thread; a second call does nothing.
func start(w *stream.Worker) {
	s := &sampler{w: w, r: w.Reactors[0], times: map[any]*times{}, idle: atomic.Int64{}}
	s.idle.Store(100)
	if _, taken := samplers.LoadOrStore(w, s); taken {
		return
	}
	s.timer.Fire = s
	s.r.Post(func() {
		s.last = s.r.Now()
		for _, r := range w.Reactors {
			s.idleNs += r.IdleNs.Load()
		}
		s.r.Set(&s.timer, s.last+second)
	})
}

// samplerOf gives w's sampler; one that has seen nothing if there is none.
func samplerOf(w *stream.Worker) *sampler {
	if s, ok := samplers.Load(w); ok {
		return s.(*sampler)
	}
	s := &sampler{w: w}
	s.idle.Store(100)
	return s
}

// process gives the percentage of idle time and the bytes sent in the last
// second.
func (s *sampler) process() (idle, bytesOut int64) { return s.idle.Load(), s.outRate.Load() }

// Fire takes a sample.
func (s *sampler) Fire() {
	now := s.r.Now()
	s.sample(now)
	s.r.Set(&s.timer, now+second)
}

func (s *sampler) sample(now int64) {
	w := s.w
	var idle, conns, sessions, out int64
	var front, frontNew, backNew int64
	for i, r := range w.Reactors {
		idle += r.IdleNs.Load()
		c := &w.Counters[i]
		conns += c.Conns.Load()
		sessions += c.Sessions.Load()
		out += c.BytesOut.Load()
		front += c.TLSFront.Load() + c.TLSFrontFailed.Load()
		frontNew += c.TLSFront.Load() - c.TLSFrontReused.Load()
		backNew += c.TLSBack.Load() - c.TLSBackReused.Load()
	}
	if span := (now - s.last) * int64(len(w.Reactors)); span > 0 {
		s.idle.Store(min(max((idle-s.idleNs)*100/span, 0), 100))
	}
	s.outRate.Store(out - s.bytesOut)
	s.last, s.idleNs, s.bytesOut = now, idle, out
	w.ConnRate.Tick(conns)
	w.SessRate.Tick(sessions)
	s.tls.Tick(front)
	s.frontKeys.Tick(frontNew)
	s.backKeys.Tick(backNew)
	s.resumed.Store(0)
	if all := s.tls.Cur.Load(); all > 0 {
		s.resumed.Store(max(all-s.frontKeys.Cur.Load(), 0) * 100 / all)
	}
	snap := w.Snapshot()
	if snap == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.round++
	for _, p := range snap.Proxies {
		if p.FE != nil && p.Frontend {
			k := p.FE.Counters
			p.FE.ConnRate.Tick(k.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Conns }))
			p.FE.SessRate.Tick(k.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Sessions }))
			p.FE.ReqRate.Tick(k.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Requests }))
		}
		if p.BE == nil || !p.Backend {
			continue
		}
		p.BE.SessRate.Tick(p.BE.Counters.Sum(func(c *stream.BackCounters) *counter.Int { return &c.Sessions }))
		s.average(p.BE, backSums(p.BE))
		for _, srv := range p.BE.Servers() {
			srv.SessRate.Tick(srv.Counters.Sum(func(c *server.Counters) *counter.Int { return &c.Sessions }))
			s.average(srv, serverSums(srv))
		}
	}
	for k, t := range s.times {
		if t.round != s.round {
			delete(s.times, k)
		}
	}
}

func backSums(b *stream.BackState) (t sums) {
	for i := range b.Counters {
		c := &b.Counters[i]
		t.add(&c.SumQueue, &c.SumConnect, &c.SumResp, &c.SumTotal, &c.Timed)
		t.raise(&c.MaxQueue, &c.MaxConnect, &c.MaxResp, &c.MaxTotal)
	}
	return t
}

func serverSums(s *server.Server) (t sums) {
	for i := range s.Counters {
		c := &s.Counters[i]
		t.add(&c.SumQueue, &c.SumConnect, &c.SumResp, &c.SumTotal, &c.Timed)
		t.raise(&c.MaxQueue, &c.MaxConnect, &c.MaxResp, &c.MaxTotal)
	}
	return t
}

func (t *sums) add(q, c, r, total, n *counter.Int) {
	t.queue += q.Load()
	t.connect += c.Load()
	t.resp += r.Load()
	t.total += total.Load()
	t.n += n.Load()
}

func (t *sums) raise(list ...*counter.Int) {
	for i, c := range list {
		t.max[i] = max(t.max[i], c.Load())
	}
}

// average moves the averages of key to its sums.
func (s *sampler) average(key any, now sums) {
	t := s.times[key]
	if t == nil {
		t = &times{}
		s.times[key] = t
	}
	t.round = s.round
	t.move(now)
}

// move takes what came since the last sums into the averages: as if over the
// last 1024 requests, with all requests of one second weighing the same.
func (t *times) move(now sums) {
	n := float64(now.n - t.sums.n)
	if n > 0 {
		t.n = min(t.n+n, window)
		share := min(n/t.n, 1)
		mix := func(avg *float64, d int64) { *avg += (float64(d)/n - *avg) * share }
		mix(&t.Queue, now.queue-t.sums.queue)
		mix(&t.Connect, now.connect-t.sums.connect)
		mix(&t.Resp, now.resp-t.sums.resp)
		mix(&t.Total, now.total-t.sums.total)
	}
	t.sums = now
}

// averages gives the averages of key up to now.
func (s *sampler) averages(key any, now sums) times {
	s.mu.Lock()
	defer s.mu.Unlock()
	var t times
	if old := s.times[key]; old != nil {
		t = *old
	}
	if now.n < t.sums.n { // counters were cleared
		t = times{}
	}
	t.move(now)
	return t
}

// forget drops the averages: the counters they came from were cleared.
func (s *sampler) forget() {
	s.mu.Lock()
	clear(s.times)
	s.mu.Unlock()
}
