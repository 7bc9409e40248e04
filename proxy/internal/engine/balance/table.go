package balance

import (
	"math/bits"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// table is what "hash-type map-based" and static-rr choose from: each server stands
// in it as often as its configured weight says, in an order that gives weight its
// due at every point. Weights set at run time do not change it: that is what makes
// it static.
type table struct {
	list    []*server.Server
	weights []int // that it was filled by
	slots   []*server.Server
	pos     *turn
}

func newTable(set Set, old Picker) *table {
	t := &table{list: set.Active, weights: share(set), pos: new(turn)}
	o, ok := old.(*table)
	if ok && slices.Equal(o.list, t.list) && slices.Equal(o.weights, t.weights) {
		t.slots = o.slots
	} else {
		t.slots = spread(t.list, t.weights)
	}
	if ok && len(t.slots) > 0 && len(o.slots) > 0 {
		// HAProxy goes on at the same place, or begins again if that is gone.
		if at := o.pos.Load() % uint64(len(o.slots)); at < uint64(len(t.slots)) {
			t.pos.Store(at)
		}
	}
	return t
}

func (t *table) Len() int { return len(t.list) }

// Pick gives the server of a key whether it is full or not: no other one will do.
func (t *table) Pick(q Query) *server.Server {
	n := uint64(len(t.slots))
	if n == 0 {
		return nil
	}
	if q.Keyed {
		return t.slots[uint64(q.Hash)%n]
	}
	return t.pos.next(t.slots, q.Avoid, t.list)
}

// share gives the weights of the servers that are active, divided by the greatest
// common divisor of all: also of those that are down, on which the order must not
// depend.
func share(set Set) []int {
	g := 0
	for _, s := range set.All {
		g = gcd(g, s.Settings().Weight)
	}
	g = max(g, 1)
	weights := make([]int, len(set.Active))
	for i, s := range set.Active {
		weights[i] = max(s.Settings().Weight/g, 1)
	}
	return weights
}

// spread fills the table as HAProxy does: at each place every server is credited
// its weight, the first of those with most credit takes the place, and pays the sum
// of all weights. Credit counts in whole sums, so that a server's rises only at few
// places; looking at those alone makes the work one of weights, not of weights
// times servers.
func spread(list []*server.Server, weights []int) []*server.Server {
	total := 0
	for _, w := range weights {
		total += w
	}
	slots := make([]*server.Server, total)
	if total == 1 {
		slots[0] = list[0]
		return slots
	}
	// rises are the servers whose credit rises at each place, one list after the
	// other; ends are where they end.
	ends := make([]int32, total+1)
	for _, w := range weights {
		for k := 1; k <= w; k++ {
			ends[(k*total+w-1)/w]++
		}
	}
	for t := 1; t <= total; t++ {
		ends[t] += ends[t-1]
	}
	rises := make([]int32, total)
	for i := len(list) - 1; i >= 0; i-- {
		for k := weights[i]; k >= 1; k-- {
			t := (k*total + weights[i] - 1) / weights[i]
			ends[t]--
			rises[ends[t]] = int32(i)
		}
	}
	// Now ends[t] is where the list of t begins.
	credit := make([]int, len(list)) // plus one: it is never below -1
	var levels []marks
	enter := func(i, c int) {
		for len(levels) <= c {
			levels = append(levels, newMarks(len(list)))
		}
		credit[i] = c
		levels[c].set(i)
	}
	for i := range list {
		enter(i, 1)
	}
	for t := 1; t <= total; t++ {
		end := len(rises)
		if t < total {
			end = int(ends[t+1])
		}
		for _, i := range rises[ends[t]:end] {
			levels[credit[i]].clear(int(i))
			enter(int(i), credit[i]+1)
		}
		top := len(levels) - 1
		for levels[top].n == 0 {
			top--
		}
		i := levels[top].first()
		slots[t-1] = list[i]
		levels[top].clear(i)
		enter(i, top-1)
	}
	return slots
}

// marks is a set of small numbers that knows its lowest.
type marks struct {
	words, groups []uint64
	n             int
}

func newMarks(n int) marks {
	words := (n + 63) / 64
	return marks{words: make([]uint64, words), groups: make([]uint64, (words+63)/64)}
}

func (m *marks) set(i int) {
	m.words[i/64] |= 1 << (i % 64)
	m.groups[i/4096] |= 1 << (i / 64 % 64)
	m.n++
}

func (m *marks) clear(i int) {
	if m.words[i/64] &^= 1 << (i % 64); m.words[i/64] == 0 {
		m.groups[i/4096] &^= 1 << (i / 64 % 64)
	}
	m.n--
}

func (m *marks) first() int {
	for g, w := range m.groups {
		if w != 0 {
			k := g*64 + bits.TrailingZeros64(w)
			return k*64 + bits.TrailingZeros64(m.words[k])
		}
	}
	return -1
}
