package balance

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// HashKey is "hash-key": what a server's places on the ring are derived from.
type HashKey = server.HashKey

// ring is what "hash-type consistent" chooses from: each server has as many places
// on it as its weight says, times sixteen, and a key goes to the closest one. The
// places depend on the server alone, so that a server that comes or goes moves only
// its own keys.
//
// The places of servers that are down, or have less weight for the moment, stay
// where they are and are passed by. So most changes make a new list of members only;
// places are made for new servers, and for more weight than ever before.
type ring struct {
	c       *Config
	list    []*server.Server // that are in force
	members []member
	places  []place // in their order
	index   index   // of them
	bound   bound
	pos     *turn // of who has no key; shared with who has the same places
}

type member struct {
	s *server.Server
	// key is where its places are derived from, made is how many there are, force
	// how many count.
	key         uint32
	made, force int
	before      int64 // weight of those before it
}

type place struct {
	at     uint32
	member uint32
	nth    uint32
}

func (p place) compare(q place) int {
	if p.at != q.at {
		return cmp.Compare(p.at, q.at)
	}
	return cmp.Compare(uint64(p.member)<<32|uint64(p.nth), uint64(q.member)<<32|uint64(q.nth))
}

// idle is how many places there may be for each that counts, before the others are
// dropped: who looks for a place passes that many by.
const idle = 8

func newRing(c *Config, set Set, old Picker) *ring {
	r := &ring{c: c, list: set.Active, members: make([]member, len(set.All)), pos: new(turn)}
	counts := make(map[*server.Server]bool, len(set.Active))
	for _, s := range set.Active {
		counts[s] = true
	}
	o, _ := old.(*ring)
	force, made := 0, 0
	for i, s := range set.All {
		m := member{s: s, key: keyOf(s), before: int64(force)}
		if counts[s] {
			m.force = s.Effective()
		}
		m.made = max(m.force, s.Settings().Weight*server.Scale)
		force += m.force
		made += m.made
		r.members[i] = m
	}
	r.bound = bound{factor: c.Factor, total: int64(force)}
	switch {
	case o != nil && r.fits(o, force):
		for i := range r.members {
			r.members[i].made = o.members[i].made
		}
		r.places, r.index, r.pos = o.places, o.index, o.pos
		return r
	case force > 0 && made > idle*force:
		for i := range r.members {
			r.members[i].made = r.members[i].force
		}
	}
	r.place(o)
	if o != nil {
		r.pos = o.pos
	}
	return r
}

// fits tells whether the places of o will do.
func (r *ring) fits(o *ring, force int) bool {
	if len(o.members) != len(r.members) || force > 0 && len(o.places) > idle*force {
		return false
	}
	for i := range r.members {
		m, p := &r.members[i], &o.members[i]
		if m.s != p.s || m.key != p.key || m.force > p.made {
			return false
		}
	}
	return true
}

// place makes the places, taking over those that o has made.
func (r *ring) place(o *ring) {
	var kept []place
	have := make([]int, len(r.members)) // how many places are taken over
	if o != nil {
		kept = r.keep(o, have)
	}
	total, missing := 0, 0
	for i := range r.members {
		total += r.members[i].made
		missing += r.members[i].made - have[i]
	}
	fresh := make([]place, 0, missing)
	for i := range r.members {
		m := &r.members[i]
		for n := have[i]; n < m.made; n++ {
			fresh = append(fresh, place{Avalanche(m.key + uint32(n)), uint32(i), uint32(n)})
		}
	}
	fresh = sortPlaces(fresh)
	switch {
	case len(kept) == 0:
		r.places = fresh
	case len(fresh) == 0:
		r.places = kept
	default:
		r.places = merge(make([]place, 0, total), kept, fresh)
	}
	r.index = newIndex(r.places)
}

// keep gives those of o's places that r has too, in their order, and notes in have how
// many of each member they are. They may be o's own.
func (r *ring) keep(o *ring, have []int) []place {
	now := make(map[*server.Server]int, len(r.members))
	for i := range r.members {
		now[r.members[i].s] = i
	}
	number := make([]uint32, len(o.members)) // in r
	count := make([]uint32, len(o.members))  // of the places that are kept
	same, inOrder, last := true, true, -1
	for k := range o.members {
		m := &o.members[k]
		if i, ok := now[m.s]; ok && r.members[i].key == m.key {
			have[i] = min(m.made, r.members[i].made)
			number[k], count[k] = uint32(i), uint32(have[i])
			inOrder = inOrder && i > last
			last = i
		}
		same = same && int(number[k]) == k && int(count[k]) == m.made
	}
	if same {
		return o.places
	}
	kept, n := make([]place, len(o.places)), 0
	for _, p := range o.places {
		if p.nth < count[p.member] {
			kept[n] = place{p.at, number[p.member], p.nth}
			n++
		}
	}
	kept = kept[:n]
	if !inOrder { // places in the same spot stand in the order of the servers
		insertionSort(kept)
	}
	return kept
}

// merge appends to out the places of a and of b, of which there are few, in their
// common order.
func merge(out, a, b []place) []place {
	for _, p := range b {
		n := 1 // the stretch of a before p ends within n
		for n < len(a) && a[n-1].compare(p) < 0 {
			n = min(2*n, len(a))
		}
		k := sort.Search(min(n, len(a)), func(i int) bool { return a[i].compare(p) > 0 })
		out = append(append(out, a[:k]...), p)
		a = a[k:]
	}
	return append(out, a...)
}

// sortPlaces sorts places, which are spread evenly, in linear time: into stretches that
// fit a processor's cache, and those one by one.
func sortPlaces(list []place) []place {
	const second = 9 // bits of a spot that a stretch is sorted by
	if len(list) < 1<<second {
		slices.SortFunc(list, place.compare)
		return list
	}
	shift := 32 - bits.Len(uint(len(list)>>second))
	ends := make([]uint32, 1<<(32-shift)+1)
	for i := range list {
		ends[list[i].at>>shift+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	other := make([]place, len(list))
	for _, p := range list {
		e := &ends[p.at>>shift]
		other[*e] = p
		*e++
	}
	start := uint32(0)
	for _, end := range ends[:len(ends)-1] {
		from, to := other[start:end], list[start:end]
		var ends [1<<second + 1]uint32
		for i := range from {
			ends[from[i].at>>(shift-second)&(1<<second-1)+1]++
		}
		for i := 1; i < len(ends); i++ {
			ends[i] += ends[i-1]
		}
		for _, p := range from {
			e := &ends[p.at>>(shift-second)&(1<<second-1)]
			to[*e] = p
			*e++
		}
		insertionSort(to)
		start = end
	}
	return list
}

// insertionSort sorts what is nearly in order.
func insertionSort(list []place) {
	for i := 1; i < len(list); i++ {
		for k := i; k > 0 && list[k].compare(list[k-1]) < 0; k-- {
			list[k], list[k-1] = list[k-1], list[k]
		}
	}
}

// index finds places: those whose spot begins with a number stand between what index
// has for it and for the next one.
type index struct {
	shift int
	first []uint32
}

// perEntry is about how many places share an entry of the index.
const perEntry = 4

func newIndex(places []place) index {
	n := max(bits.Len(uint(len(places)/perEntry)), 1)
	x := index{shift: 32 - n, first: make([]uint32, 1<<n+1)}
	e := 0
	for i := range places {
		for b := int(places[i].at >> x.shift); e <= b; e++ {
			x.first[e] = uint32(i)
		}
	}
	for ; e < len(x.first); e++ {
		x.first[e] = uint32(len(places))
	}
	return x
}

// keyOf is where a server's places are derived from.
func keyOf(s *server.Server) uint32 {
	key := uint32(0)
	a := s.Addr()
	switch by := s.Settings().HashKey; {
	case by == server.ByID32:
		return Avalanche(bits.ReverseBytes32(uint32(s.ID)))
	case by == server.ByGUID && s.Settings().GUID != "":
		return xxh32([]byte(s.Settings().GUID), 0)
	case by == server.ByID || by == server.ByGUID || !a.IP.IsValid():
		return uint32(s.ID) * 256 * server.Scale
	case by == server.ByAddrPort:
		key = Avalanche(uint32(a.Port))
	}
	if ip := a.IP.Unmap(); ip.Is4() && a.IP.Is4() {
		b := ip.As4()
		return Avalanche(key + binary.LittleEndian.Uint32(b[:]))
	}
	b := a.IP.As16()
	return xxh32(b[:], key)
}

func (r *ring) Len() int { return len(r.list) }

// at gives the member whose place number i is, nil if the place does not count.
func (r *ring) at(i int) *member {
	p := &r.places[i]
	if m := &r.members[p.member]; int(p.nth) < m.force {
		return m
	}
	return nil
}

// after gives the first place that counts from i on and around, before the last
// one up to it.
func (r *ring) after(i int) int {
	for ; ; i++ {
		if i >= len(r.places) {
			i = 0
		}
		if r.at(i) != nil {
			return i
		}
	}
}

func (r *ring) before(i int) int {
	for ; ; i-- {
		if i < 0 {
			i = len(r.places) - 1
		}
		if r.at(i) != nil {
			return i
		}
	}
}

// Pick gives the server closest to a key, whether it is full or not, unless the
// configuration wants others to be looked at then.
func (r *ring) Pick(q Query) *server.Server {
	if r.bound.total == 0 {
		return nil
	}
	if !q.Keyed {
		return r.turn(q.Avoid)
	}
	next := r.after(r.search(q.Hash))
	prev := r.before(next - 1)
	if q.Hash-r.places[prev].at <= r.places[next].at-q.Hash {
		next = prev
	}
	m := r.at(next)
	slots := r.bound.slots(r.list)
	if r.takes(m, slots, q.Avoid) {
		return m.s
	}
	// The others follow in the order of their places. Where nobody will do, that
	// need not be found out by going all around.
	for i, tried := r.after(next+1), 1; i != next; i, tried = r.after(i+1), tried+1 {
		if m = r.at(i); r.takes(m, slots, q.Avoid) {
			return m.s
		}
		if tried == enough*len(r.list) && !r.anyTakes(slots, q.Avoid) {
			break
		}
	}
	return r.at(r.before(next - 1)).s
}

// search gives the first place at or after n.
func (r *ring) search(n uint32) int {
	b := n >> r.index.shift
	lo, hi := int(r.index.first[b]), int(r.index.first[b+1])
	for lo < hi {
		if m := int(uint(lo+hi) / 2); r.places[m].at < n {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// takes tells whether a key may go to m.
func (r *ring) takes(m *member, slots int64, avoid *server.Server) bool {
	if m.s == avoid || slots > 0 && m.s.Cur.Load() >= r.bound.share(slots, m.before, int64(m.force)) {
		return false
	}
	switch r.c.Affinity {
	case IfMaxConn:
		return !Full(m.s)
	case IfMaxQueue:
		limit := int64(m.s.Settings().MaxQueue)
		return limit == 0 || m.s.Slots() == 0 || m.s.Queued.Load() < limit
	}
	return true
}

func (r *ring) anyTakes(slots int64, avoid *server.Server) bool {
	for i := range r.members {
		if m := &r.members[i]; m.force > 0 && r.takes(m, slots, avoid) {
			return true
		}
	}
	return false
}

// turn gives the servers of the places one after the other.
func (r *ring) turn(avoid *server.Server) (second *server.Server) {
	for n := range r.places {
		m := r.at(int((r.pos.Add(1) - 1) % uint64(len(r.places))))
		if m != nil && !Full(m.s) {
			if m.s != avoid {
				return m.s
			}
			second = m.s
		}
		if n == enough*len(r.list) && !anyFree(r.list, avoid) {
			break
		}
	}
	return second
}
