package reactor

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
)

// Memory is what the reactors of a process may use together. Above it they
// refuse: see [Reactor.Refuse].
type Memory struct {
	// Limit is in bytes.
	Limit int64
	// Refused counts what was refused.
	Refused atomic.Int64

	next    atomic.Int64 // when to measure again, on the reactors' clock
	over    atomic.Bool
	collect atomic.Int64 // when garbage may be collected again
	samples []metrics.Sample
	// measure is for tests.
	measure func() int64
}

// Shares of the limit, in sixteenths: the collector keeps garbage from going above
// the lower one, so that what is above the higher one is in use. The rest is for
// what comes between two measurements.
const (
	collectorShare = 14
	refusalShare   = 15
)

const (
	measurePeriod = 2e6 // nanoseconds; a measurement takes a few microseconds
	collectPeriod = 1e9
)

// NewMemory makes a limit of so many bytes.
func NewMemory(limit int64) *Memory {
	m := &Memory{Limit: limit, samples: []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}}
	m.measure = m.used
	return m
}

// ForCollector is the limit to give to the garbage collector.
func (m *Memory) ForCollector() int64 { return m.Limit / 16 * collectorShare }

// Used measures what is in use, garbage included. It is not for several threads
// at a time.
func (m *Memory) Used() int64 { return m.measure() }

func (m *Memory) used() int64 {
	metrics.Read(m.samples)
	return int64(m.samples[0].Value.Uint64() - m.samples[1].Value.Uint64() - m.samples[2].Value.Uint64())
}

// Exhausted tells whether more is in use than may be.
func (m *Memory) exhausted(now int64) bool {
	next := m.next.Load()
	if now < next || !m.next.CompareAndSwap(next, now+measurePeriod) {
		return m.over.Load()
	}
	over := m.measure() >= m.Limit/16*refusalShare
	m.over.Store(over)
	if over && now >= m.collect.Load() {
		// Who is refused allocates nothing, and nothing else would find out that
		// others have gone.
		m.collect.Store(now + collectPeriod)
		go runtime.GC()
	}
	return over
}

// Exhausted tells whether the memory that the reactors may use is used up. Whoever
// is about to take some for longer asks, and does without. Without a limit it
// never is.
func (r *Reactor) Exhausted() bool {
	return r.Memory != nil && r.Memory.exhausted(r.now)
}

// Refuse is Exhausted for who will turn somebody away: it is counted.
func (r *Reactor) Refuse() bool {
	if !r.Exhausted() {
		return false
	}
	r.Memory.Refused.Add(1)
	return true
}
