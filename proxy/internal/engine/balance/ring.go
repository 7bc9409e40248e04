package balance

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

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
	places  []place
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
		r.places, r.pos = o.places, o.pos
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
	from := map[*server.Server]int{} // plus one
	var index []int                  // of o's members in r, plus one
	if o != nil {
		for i := range o.members {
			from[o.members[i].s] = i + 1
		}
		index = make([]int, len(o.members))
	}
	var fresh []place
	total := 0
	for i := range r.members {
		m, have := &r.members[i], 0
		if k := from[m.s]; k > 0 && o.members[k-1].key == m.key {
			have = o.members[k-1].made
			index[k-1] = i + 1
		}
		total += m.made
		for n := have; n < m.made; n++ {
			fresh = append(fresh, place{Avalanche(m.key + uint32(n)), uint32(i), uint32(n)})
		}
	}
	fresh = sortPlaces(fresh)
	r.places = make([]place, 0, total)
	if o != nil {
		for _, p := range o.places {
			i := index[p.member] - 1
			if i < 0 || int(p.nth) >= r.members[i].made {
				continue
			}
			p.member = uint32(i)
			for len(fresh) > 0 && fresh[0].compare(p) < 0 {
				r.places, fresh = append(r.places, fresh[0]), fresh[1:]
			}
			r.places = append(r.places, p)
		}
	}
	r.places = append(r.places, fresh...)
	for i := 1; i < len(r.places); i++ { // places in the same spot stand in the order of the servers, which may have changed
		for k := i; k > 0 && r.places[k].compare(r.places[k-1]) < 0; k-- {
			r.places[k], r.places[k-1] = r.places[k-1], r.places[k]
		}
	}
}

// sortPlaces sorts places, which are spread evenly, in linear time.
func sortPlaces(list []place) []place {
	if len(list) < 64 {
		slices.SortFunc(list, place.compare)
		return list
	}
	shift := 32 - min(bits.Len(uint(len(list)))-2, 20)
	ends := make([]int, 1<<(32-shift)+1)
	for _, p := range list {
		ends[p.at>>shift+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	out := make([]place, len(list))
	for _, p := range list {
		b := p.at >> shift
		out[ends[b]] = p
		ends[b]++
	}
	start := 0
	for _, end := range ends[:len(ends)-1] {
		slices.SortFunc(out[start:end], place.compare)
		start = end
	}
	return out
}

// keyOf is where a server's places are derived from.
func keyOf(s *server.Server) uint32 {
	key := uint32(0)
	a := s.Addr()
	switch by := s.Settings().HashKey; {
	case by == server.ByID || !a.IP.IsValid():
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
	lo, hi := 0, len(r.places)
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
