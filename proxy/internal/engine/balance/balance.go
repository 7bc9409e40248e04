// Package balance chooses a server for a stream.
//
// A [Picker] is made anew whenever the set of usable servers or their weights
// change, and is then only read: choosing takes no lock, whatever the number of
// reactors. Round robin is a precomputed wheel with one shared position, so that
// the rotation is strict over all threads.
//
// The package never changes a server and keeps no count of its own but the
// wheel's position.
package balance

import (
	"container/heap"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Picker chooses among servers that take traffic.
type Picker interface {
	// Pick gives a server that is not at its maxconn, if possible not avoid. It
	// returns nil when all are full, or there are none. rnd is a random number.
	Pick(avoid *server.Server, rnd uint64) *server.Server
	// Len is the number of servers to choose from.
	Len() int
	// Follow takes the position over from the picker that it replaces.
	Follow(old Picker)
}

// Algorithms that there are, by the word of the "balance" line.
var Algorithms = []string{"roundrobin", "static-rr", "leastconn", "random", "first"}

// Dynamic tells whether servers of the algorithm may come, go and change their
// weight while it balances. Those of static-rr may not (manual 4.2, "balance").
func Dynamic(algorithm string) bool { return algorithm != "static-rr" }

// Empty has no servers.
var Empty Picker = &wheel{}

// New makes a picker of the algorithm over list, which holds usable servers of
// weight above 0. draws is the argument of random.
func New(algorithm string, draws int, list []*server.Server) Picker {
	switch algorithm {
	case "leastconn":
		return &leastconn{list: list}
	case "random":
		return newRandom(list, max(draws, 1))
	case "first":
		return &first{list}
	}
	return newWheel(list)
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

// Full tells whether s serves as many streams as it may.
func Full(s *server.Server) bool {
	limit := s.Limit.Load()
	return limit > 0 && s.Cur.Load() >= limit
}

// wheel is weighted round robin: each server stands in it as often as its
// weight says, spread evenly.
type wheel struct {
	list  []*server.Server
	slots []*server.Server
	pos   atomic.Uint64
}

// maxSlots bounds the wheel: above it weights are rounded.
const maxSlots = 1 << 14

func newWheel(list []*server.Server) *wheel {
	w := &wheel{list: list}
	if len(list) == 0 {
		return w
	}
	g, total := 0, 0
	for _, s := range list {
		g = gcd(g, s.Weight())
		total += s.Weight()
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
		k := max(s.Weight()/g, 1)
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

func (w *wheel) Follow(old Picker) {
	if o, ok := old.(*wheel); ok {
		w.pos.Store(o.pos.Load())
	}
}

func (w *wheel) Pick(avoid *server.Server, _ uint64) *server.Server {
	n := uint64(len(w.slots))
	if n == 0 {
		return nil
	}
	at := w.pos.Add(1) - 1
	return next(w.slots, int(at%n), avoid)
}

// next gives the first of list, from an index on and around, that can take a
// stream, if possible not avoid.
func next(list []*server.Server, from int, avoid *server.Server) (second *server.Server) {
	for i := range list {
		s := list[(from+i)%len(list)]
		if !s.Usable() || Full(s) {
			continue
		}
		if s != avoid {
			return s
		}
		second = s
	}
	return second
}

// leastconn gives the server with the fewest streams for its weight; among
// equals they take turns.
type leastconn struct {
	list []*server.Server
	pos  atomic.Uint64
}

func (l *leastconn) Len() int { return len(l.list) }

func (l *leastconn) Follow(old Picker) {
	if o, ok := old.(*leastconn); ok {
		l.pos.Store(o.pos.Load())
	}
}

func (l *leastconn) Pick(avoid *server.Server, _ uint64) *server.Server {
	n := uint64(len(l.list))
	if n == 0 {
		return nil
	}
	var best, second *server.Server
	var load, weight int64
	at := l.pos.Add(1) - 1
	for i := range n {
		s := l.list[(at+i)%n]
		if !s.Usable() || Full(s) {
			continue
		}
		if s == avoid {
			second = s
			continue
		}
		c, w := s.Cur.Load(), int64(s.Weight())
		if w == 0 {
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
}

func newRandom(list []*server.Server, draws int) *random {
	r := &random{list: list, draws: draws}
	sum := uint64(0)
	for _, s := range list {
		sum += uint64(s.Weight())
		r.upto = append(r.upto, sum)
	}
	return r
}

func (r *random) Len() int    { return len(r.list) }
func (*random) Follow(Picker) {}

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

func (r *random) Pick(avoid *server.Server, rnd uint64) *server.Server {
	if len(r.list) == 0 || r.upto[len(r.upto)-1] == 0 {
		return nil
	}
	var best *server.Server
	first := 0
	for i := range r.draws {
		k := r.at(rnd)
		if i == 0 {
			first = k
		}
		rnd = rnd*6364136223846793005 + 1442695040888963407 // the next number of a LCG
		rnd ^= rnd >> 29
		s := r.list[k]
		if !s.Usable() || Full(s) || s == avoid {
			continue
		}
		if best == nil || s.Cur.Load()*int64(best.Weight()) < best.Cur.Load()*int64(s.Weight()) {
			best = s
		}
	}
	if best != nil {
		return best
	}
	return next(r.list, first, avoid) // unlucky draws
}

// first fills the servers in their order.
type first struct{ list []*server.Server }

func (f *first) Len() int    { return len(f.list) }
func (*first) Follow(Picker) {}

func (f *first) Pick(avoid *server.Server, _ uint64) *server.Server {
	return next(f.list, 0, avoid)
}
