package stats

import (
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// second is the period of the sampler in nanoseconds.
const second = 1e9

// window is how many requests the average times are over.
const window = 1024

// samplers hold the sampler of each worker.
var samplers = slot.NewLive[*stream.Worker, sampler]()

// sampler looks at all counters once a second. It runs on the first reactor.
type sampler struct {
	w        *stream.Worker
	r        *reactor.Reactor
	timer    reactor.Timer
	walk     *stream.Walk
	last     int64 // when the previous sample was taken
	idleNs   int64
	bytesOut int64
	started  atomic.Bool
	busy     atomic.Int64 // percent of the last second that was not idle
	outRate  atomic.Int64
	// tls are handshakes with clients, begun; keys are complete ones that did not
	// resume a session, with clients and with servers.
	tls, frontKeys, backKeys counter.Rate
	resumed                  atomic.Int64 // percent of those with clients

}

// times are the average times of a backend or a server in milliseconds: in the
// queue, to connect, to answer, in all.
type times struct {
	avg  [4]float64
	n    float64 // requests in the averages, up to window
	sums sums
}

// average are the times of one object as of the last sample.
type average struct {
	mu sync.Mutex
	t  times
}

var (
	ofBacks   = slot.NewLive[*stream.BackState, average]()
	ofServers = slot.NewLive[*server.Server, average]()
)

// sums are what the shards of an object have counted, and its longest times.
type sums struct {
	queue, connect, resp, total, n int64
	max                            [4]int64
}

func init() { life.OnServe(start) }

// start begins to sample w's counters, once a second. It may be called from any
// thread; a second call does nothing.
func start(w *stream.Worker) {
	s := samplers.In(w)
	if s.started.Swap(true) {
		return
	}
	s.w, s.r = w, w.Reactors[0]
	s.timer.Fire = s
	s.walk = stream.NewWalk(s.r, look, lookAt)
	s.r.Post(func() {
		s.last = s.r.Now()
		for _, r := range w.Reactors {
			s.idleNs += r.IdleNs.Load()
		}
		s.r.Set(&s.timer, s.last+second)
	})
}

// process gives the percentage of idle time and the bytes sent in the last
// second.
func (s *sampler) process() (idle, bytesOut int64) { return 100 - s.busy.Load(), s.outRate.Load() }

// Fire takes a sample.
func (s *sampler) Fire() {
	now := s.r.Now()
	s.sample(now)
	if snap := s.w.Snapshot(); snap != nil {
		s.walk.Begin(snap.Proxies)
	}
	s.r.Set(&s.timer, now+second)
}

// sample takes the sample of the process.
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
		s.busy.Store(100 - min(max((idle-s.idleNs)*100/span, 0), 100))
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
}

// look takes the sample of a proxy, lookAt that of a server.
func look(p *stream.Proxy) {
	if p.FE != nil && p.Frontend {
		k := p.FE.Counters
		p.FE.ConnRate.Tick(k.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Conns }))
		p.FE.SessRate.Tick(k.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Sessions }))
		p.FE.ReqRate.Tick(k.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Requests }))
	}
	if p.BE != nil {
		p.BE.SessRate.Tick(p.BE.Counters.Sum(func(c *stream.BackCounters) *counter.Int { return &c.Sessions }))
		ofBacks.In(p.BE).follow(backSums(p.BE))
	}
}

func lookAt(s *server.Server) {
	s.SessRate.Tick(s.Counters.Sum(func(c *server.Counters) *counter.Int { return &c.Sessions }))
	ofServers.In(s).follow(serverSums(s))
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

// follow moves the averages to the sums.
func (a *average) follow(now sums) {
	a.mu.Lock()
	a.t.move(now)
	a.mu.Unlock()
}

// move takes what came since the last sums into the averages: as if over the
// last 1024 requests, with all requests of one second weighing the same.
func (t *times) move(now sums) {
	n := float64(now.n - t.sums.n)
	if n > 0 {
		t.n = min(t.n+n, window)
		share := min(n/t.n, 1)
		mix := func(avg *float64, d int64) { *avg += (float64(d)/n - *avg) * share }
		mix(&t.avg[0], now.queue-t.sums.queue)
		mix(&t.avg[1], now.connect-t.sums.connect)
		mix(&t.avg[2], now.resp-t.sums.resp)
		mix(&t.avg[3], now.total-t.sums.total)
	}
	t.sums = now
}

// upTo gives the averages up to now.
func (a *average) upTo(now sums) times {
	a.mu.Lock()
	t := a.t
	a.mu.Unlock()
	if now.n < t.sums.n { // counters were cleared
		t = times{}
	}
	t.move(now)
	return t
}

func backTimes(b *stream.BackState) times { return ofBacks.In(b).upTo(backSums(b)) }

func serverTimes(s *server.Server) times { return ofServers.In(s).upTo(serverSums(s)) }

// forget drops the averages of a proxy: the counters they came from were cleared.
func forget(b *stream.BackState) {
	drop := func(a *average) {
		a.mu.Lock()
		a.t = times{}
		a.mu.Unlock()
	}
	drop(ofBacks.In(b))
	for _, s := range b.Servers() {
		drop(ofServers.In(s))
	}
}
