// Package balance chooses a server for a stream.
//
// A [Picker] is made anew whenever the set of usable servers or their weights
// change, and is then only read: choosing takes no lock, whatever the number of
// reactors. Round robin is a precomputed wheel with one shared position, so that
// the rotation is strict over all threads. Servers that are chosen by a key stand
// in a table or on a ring as in HAProxy, so that the same key finds the same
// server.
//
// The package never changes a server, keeps no count of its own but the position
// of who goes round, and does not know what a key is made of.
package balance

import (
	"cmp"
	"container/heap"
	"slices"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Picker chooses among servers that take traffic.
type Picker interface {
	// Pick gives a server, if possible not the one to avoid. One that is full is
	// given only if the stream is to wait for that very server. It returns nil when
	// all are full, or there are none.
	Pick(q Query) *server.Server
	// Len is the number of servers to choose from.
	Len() int
}

// Query is a stream that needs a server.
type Query struct {
	Avoid  *server.Server
	Random uint64
	// Hash is the number of the stream's key, if it is Keyed.
	Hash  uint32
	Keyed bool
	// Now tells that the stream will wait for no server: it does so already.
	Now bool
}

// Config is what the lines of a backend say about the choice.
type Config struct {
	// Draws is the argument of random.
	Draws int
	Hash  HashType
	// Factor is "hash-balance-factor", in percent; 0: no bound.
	Factor   int
	Affinity Affinity
}

// Affinity is "hash-preserve-affinity": which servers a key does not stick to.
type Affinity uint8

// What passes a server on the ring by.
const (
	Always     Affinity = iota // nothing
	IfMaxConn                  // it has no slot
	IfMaxQueue                 // its queue is full
)

// Set are the servers of a backend.
type Set struct {
	// All are in the order of the configuration, Active those that new streams go
	// to, see [Active].
	All, Active []*server.Server
}

// Builder makes a picker. old, if not nil, is the one that it replaces, whose
// position and work it may take over.
type Builder func(c *Config, set Set, old Picker) Picker

// Empty has no servers.
var Empty Picker = &wheel{}

// RoundRobin, LeastConn, Random, First and StaticRR are algorithms that need no
// key; ByKey chooses by one, and in turn where a stream has none.
func RoundRobin(_ *Config, set Set, old Picker) Picker {
	w := newWheel(set.Active)
	if o, ok := old.(*wheel); ok && o.pos != nil {
		w.pos = o.pos
	}
	return w
}

// LeastConn makes a picker of the algorithm leastconn.
func LeastConn(_ *Config, set Set, old Picker) Picker {
	l := &leastconn{list: set.Active, pos: new(turn)}
	if o, ok := old.(*leastconn); ok {
		l.pos = o.pos
	}
	return l
}

// Random makes a picker of the algorithm random.
func Random(c *Config, set Set, _ Picker) Picker { return newRandom(c, set.Active) }

// First makes a picker of the algorithm first.
func First(_ *Config, set Set, _ Picker) Picker {
	list := slices.Clone(set.Active)
	slices.SortStableFunc(list, func(a, b *server.Server) int { return cmp.Compare(a.ID, b.ID) })
	return &first{list}
}

// StaticRR makes a picker of the algorithm static-rr.
func StaticRR(_ *Config, set Set, old Picker) Picker { return newTable(set, old) }

// ByKey makes a picker for keys: a table or a ring, as hash-type says.
func ByKey(c *Config, set Set, old Picker) Picker {
	if c.Hash.Consistent {
		return newRing(c, set, old)
	}
	return newTable(set, old)
}

// Active gives those of list that new streams go to: the active ones that are
// up, or else the first backup, or all backups.
func Active(list []*server.Server, allBackups bool) []*server.Server {
	var active, backup []*server.Server
	for _, s := range list {
		if s.Weight() == 0 {
			continue
		}
		if s.Settings().Backup {
			backup = append(backup, s)
		} else {
			active = append(active, s)
		}
	}
	if len(active) > 0 {
		return active
	}
	if !allBackups && len(backup) > 1 {
		backup = backup[:1]
	}
	return backup
}

// Full tells whether a stream would have to wait for s.
func Full(s *server.Server) bool {
	limit := s.Slots()
	return limit > 0 && (s.Cur.Load() >= limit || s.Queued.Load() > 0)
}

// turn counts round: whose turn it is, over all threads. It fills a cache line, so
// that it does not slow down who reads what stands beside it.
type turn struct {
	atomic.Uint64
	_ [56]byte
}

// wheel is weighted round robin: each server stands in it as often as its
// weight says, spread evenly.
type wheel struct {
	list  []*server.Server
	slots []*server.Server
	pos   *turn
}

// maxSlots bounds the wheel: above it weights are rounded.
const maxSlots = 1 << 14

func newWheel(list []*server.Server) *wheel {
	w := &wheel{list: list, pos: new(turn)}
	if len(list) == 0 {
		return w
	}
	g, total := 0, 0
	for _, s := range list {
		g = gcd(g, s.Effective())
		total += s.Effective()
	}
	g = max(g, 1)
	if total/g > max(maxSlots, len(list)) {
		g = total/max(maxSlots, len(list)) + 1
	}
	// Stride scheduling: the server whose next turn is earliest comes first; ties
	// keep the order of the configuration.
	h := make(strides, 0, len(list))
	n := 0
	for i, s := range list {
		k := max(s.Effective()/g, 1)
		n += k
		h = append(h, stride{s, 1 / float64(k), 1 / float64(k) / 2, i})
	}
	heap.Init(&h)
	w.slots = make([]*server.Server, 0, n)
	for range n {
		w.slots = append(w.slots, h[0].s)
		h[0].at += h[0].step
		heap.Fix(&h, 0)
	}
	return w
}

type stride struct {
	s        *server.Server
	step, at float64
	order    int
}

type strides []stride

func (h strides) Len() int { return len(h) }
func (h strides) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h strides) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *strides) Push(x any)   { *h = append(*h, x.(stride)) }
func (h *strides) Pop() any     { x := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return x }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (w *wheel) Len() int { return len(w.list) }

func (w *wheel) Pick(q Query) *server.Server {
	if len(w.slots) == 0 {
		return nil
	}
	return w.pos.next(w.slots, q.Avoid, w.list)
}

// next gives the server whose turn it is, of those that can take a stream. The turns
// of the ones before it are over: else who stands behind a server that is full would
// have its share as well.
func (t *turn) next(places []*server.Server, avoid *server.Server, list []*server.Server) *server.Server {
	at := t.Add(1) - 1
	s, passed := next(places, int(at%uint64(len(places))), avoid, list)
	if s != nil && passed > 0 {
		t.Add(uint64(passed))
	}
	return s
}

// enough is how many places are tried for each server, before it is asked whether
// there is any hope.
const enough = 8

// next gives the first in places, from an index on and around, that can take a
// stream, if possible not avoid, and how many were passed by. list are the servers that
// the places are of.
func next(places []*server.Server, from int, avoid *server.Server, list []*server.Server) (second *server.Server, passed int) {
	for i := range places {
		s := places[(from+i)%len(places)]
		if s.Usable() && !Full(s) {
			if s != avoid {
				return s, i
			}
			second, passed = s, i
		}
		if i == enough*len(list) && !anyFree(list, avoid) {
			break
		}
	}
	return second, passed
}

// anyFree tells whether any of list but avoid can take a stream.
func anyFree(list []*server.Server, avoid *server.Server) bool {
	for _, s := range list {
		if s != avoid && s.Usable() && !Full(s) {
			return true
		}
	}
	return false
}

// leastconn gives the server with the fewest streams for its weight, those that
// wait for it included; among equals they take turns. A stream may wait for a
// server that has a maxqueue.
type leastconn struct {
	list []*server.Server
	pos  *turn
}

func (l *leastconn) Len() int { return len(l.list) }

func (l *leastconn) Pick(q Query) *server.Server {
	n := uint64(len(l.list))
	if n == 0 {
		return nil
	}
	var best, second *server.Server
	var load, weight int64
	queues := int64(1)
	if q.Now {
		queues = 0
	}
	at := l.pos.Add(1) - 1
	for i := range n {
		s := l.list[(at+i)%n]
		if !s.Usable() {
			continue
		}
		c, w := s.Cur.Load()+s.Queued.Load(), int64(s.Effective())
		if limit := s.Slots(); w == 0 || limit > 0 && c >= limit+queues*int64(s.Settings().MaxQueue) {
			continue
		}
		if s == q.Avoid {
			second = s
			continue
		}
		// c/w < load/weight
		if best == nil || c*weight < load*w {
			best, load, weight = s, c, w
		}
	}
	if best == nil {
		return second
	}
	return best
}

// random draws servers by weight and takes the least loaded of the draws
// ("power of two choices").
type random struct {
	list  []*server.Server
	upto  []uint64 // running sum of weights
	draws int
	bound bound
}

func newRandom(c *Config, list []*server.Server) *random {
	r := &random{list: list, draws: max(c.Draws, 1)}
	g, sum := 0, uint64(0)
	for _, s := range list {
		g = gcd(g, s.Effective())
	}
	for _, s := range list {
		sum += uint64(s.Effective() / max(g, 1))
		r.upto = append(r.upto, sum)
	}
	r.bound = bound{factor: c.Factor, total: int64(sum)}
	return r
}

func (r *random) Len() int { return len(r.list) }

func (r *random) at(rnd uint64) int {
	x := rnd % r.upto[len(r.upto)-1]
	lo, hi := 0, len(r.upto)-1
	for lo < hi {
		m := (lo + hi) / 2
		if x < r.upto[m] {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

func (r *random) Pick(q Query) *server.Server {
	if len(r.list) == 0 || r.upto[len(r.upto)-1] == 0 {
		return nil
	}
	var best *server.Server
	first, rnd := 0, q.Random
	slots := r.bound.slots(r.list)
	for i := range r.draws {
		k := r.at(rnd)
		if i == 0 {
			first = k
		}
		rnd = rnd*6364136223846793005 + 1442695040888963407 // the next number of a LCG
		rnd ^= rnd >> 29
		s := r.list[k]
		if slots > 0 { // the next one that is not too busy already
			for n := 0; n < len(r.list) && !r.mayTake(k, slots); n++ {
				k = (k + 1) % len(r.list)
			}
			s = r.list[k]
		}
		if !s.Usable() || Full(s) || s == q.Avoid {
			continue
		}
		if best == nil || s.Cur.Load()*int64(best.Effective()) < best.Cur.Load()*int64(s.Effective()) {
			best = s
		}
	}
	if best != nil {
		return best
	}
	s, _ := next(r.list, first, q.Avoid, r.list) // unlucky draws
	return s
}

func (r *random) mayTake(k int, slots int64) bool {
	before := uint64(0)
	if k > 0 {
		before = r.upto[k-1]
	}
	return r.list[k].Cur.Load() < r.bound.share(slots, int64(before), int64(r.upto[k]-before))
}

// first fills the servers in the order of their numbers.
type first struct{ list []*server.Server }

func (f *first) Len() int { return len(f.list) }

func (f *first) Pick(q Query) *server.Server {
	s, _ := next(f.list, 0, q.Avoid, f.list)
	return s
}
