package pattern

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Entry is a pattern, with its value in maps.
type Entry struct {
	Key string

	place int    // among the patterns of the configuration, from 1; 0: a command or a rule has added it
	id    uint64 // in the order of the list
	value atomic.Pointer[string]
	next  atomic.Pointer[Entry]

	// of the writer
	prev    *Entry
	gone    bool
	changed bool // the value is not the file's
	special *parsed
}

// form reads the key for a shape. That of a name that was resolved, and of what an
// operator made, is kept.
func (e *Entry) form(s shape, names lookup, into *room) (parsed, error) {
	if e.special != nil && (s == asNumber || s == asAddr) {
		p := *e.special
		if o := p.odd; o != nil {
			p.odd = &odd{low: o.low, high: o.high, addr: o.addr, mask: o.mask}
		}
		return p, nil
	}
	return s.parse(e.Key, names, into)
}

// ID tells the entry from all others of its list, those that were there before
// included.
func (e *Entry) ID() uint64 { return e.id }

// Value is what a map has for the key, "" in lists of one column.
func (e *Entry) Value() string {
	if v := e.value.Load(); v != nil {
		return *v
	}
	return ""
}

// before tells whether e, if there is one, comes before o in the list.
func (e *Entry) before(o *Entry) bool { return e != nil && (o == nil || e.id < o.id) }

// version is the entries of a list that become visible together. Those that read
// go along next; an entry that was taken out still leads on.
type version struct {
	number uint32
	head   atomic.Pointer[Entry]
	last   *Entry
	n      atomic.Int64
	by     [shapes]atomic.Pointer[index]
}

func (v *version) count() int { return int(v.n.Load()) }

// store is what lives of a list, from one configuration to the next.
type store struct {
	cur atomic.Pointer[version]

	mu      sync.Mutex
	next    uint32 // the number of the version that was prepared last
	waiting map[uint32]*version
	lastID  uint64
	changed bool // it is not what the file says
	build   struct {
		v  *version // that gets an index, nil: none does
		x  *index
		at *Entry // the next one for it
	}
}

func newStore() *store {
	// Numbers begin anywhere, so that one of another process tells no entry.
	s := &store{waiting: make(map[uint32]*version), lastID: rand.Uint64N(1 << 46)}
	v := &version{}
	v.by[asText].Store(&index{shape: asText})
	s.cur.Store(v)
	return s
}

// empty makes a version without entries that is looked up in the same ways.
func (s *store) empty(number uint32) *version {
	v := &version{number: number}
	for i := range s.cur.Load().by {
		if s.cur.Load().by[i].Load() != nil {
			v.by[i].Store(&index{shape: shape(i)})
		}
	}
	return v
}

// version gives the one of a number, which may be made.
func (s *store) version(number uint32, make bool) *version {
	v := s.cur.Load()
	if number == v.number {
		return v
	}
	if v = s.waiting[number]; v == nil && make {
		v = s.empty(number)
		s.waiting[number] = v
	}
	return v
}

// check reads a key for each of the ways in which the list is looked up.
func (s *store) check(e *Entry, names lookup, forms *[shapes]parsed) (err error) {
	v := s.cur.Load()
	for i := range v.by {
		if v.by[i].Load() == nil {
			continue
		}
		if forms[i], err = e.form(shape(i), names, nil); err != nil {
			return err
		}
	}
	return nil
}

// add appends an entry. It is called with the lock held.
func (s *store) add(v *version, e *Entry, forms *[shapes]parsed) {
	s.lastID++
	e.id = s.lastID
	for i := range v.by {
		if x := v.by[i].Load(); x != nil {
			x.add(e, forms[i])
		}
	}
	// It can be found before it is in the row: who changes it holds the lock.
	if e.prev = v.last; e.prev == nil {
		v.head.Store(e)
	} else {
		e.prev.next.Store(e)
	}
	v.last = e
	v.n.Add(1)
	if s.build.v == v && s.build.at == nil {
		s.build.at = e
	}
}

// remove takes an entry out. It is called with the lock held.
func (s *store) remove(v *version, e *Entry) {
	if e.gone {
		return
	}
	e.gone = true
	for i := range v.by {
		if x := v.by[i].Load(); x != nil {
			x.remove(e)
		}
	}
	next := e.next.Load()
	if s.build.v == v {
		s.build.x.remove(e)
		if s.build.at == e {
			s.build.at = next
		}
	}
	if e.prev == nil {
		v.head.Store(next)
	} else {
		e.prev.next.Store(next)
	}
	if next == nil {
		v.last = e.prev
	} else {
		next.prev = e.prev
	}
	v.n.Add(-1)
}

// batch is how many entries are indexed while writers wait.
const batch = 512

// index makes the list be looked up in one more way. Entries come and go meanwhile.
// It may take long: it is not for reactors.
func (s *store) index(sh shape) error {
	if sh == shapeless {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := s.without(sh); v != nil; v = s.without(sh) {
		x := &index{shape: sh}
		s.build.v, s.build.x, s.build.at = v, x, v.head.Load()
		for n := 1; s.build.at != nil; n++ {
			e := s.build.at
			p, err := e.form(sh, nil, nil)
			if err != nil {
				s.build.v = nil
				return err
			}
			x.add(e, p)
			s.build.at = e.next.Load()
			if n%batch == 0 {
				s.mu.Unlock()
				s.mu.Lock()
			}
		}
		s.build.v = nil
		v.by[sh].Store(x)
	}
	return nil
}

// without gives a version that has no index of a shape.
func (s *store) without(sh shape) *version {
	if v := s.cur.Load(); v.by[sh].Load() == nil {
		return v
	}
	for _, v := range s.waiting {
		if v.by[sh].Load() == nil {
			return v
		}
	}
	return nil
}

// keep forgets the indexes of all other shapes.
func (s *store) keep(used *[shapes]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	forget := func(v *version) {
		for i := range v.by {
			if !used[i] && shape(i) != asText {
				v.by[i].Store(nil)
			}
		}
	}
	forget(s.cur.Load())
	for _, v := range s.waiting {
		forget(v)
	}
}
