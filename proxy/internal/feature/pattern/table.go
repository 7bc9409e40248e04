package pattern

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
	"unsafe"
)

var seed = maphash.MakeSeed()

// item is an entry in a table, under its normal form.
type item struct {
	next atomic.Pointer[item]
	hash uint64
	norm string
	e    *Entry
}

type slots []atomic.Pointer[item]

func (s slots) at(hash uint64) *atomic.Pointer[item] { return &s[hash&uint64(len(s)-1)] }

// table finds entries by their normal form. One writer at a time changes it, while
// any number read. It grows and shrinks by and by: each change copies a few slots
// of the old array to the new one, and readers look into both until that is done.
type table struct {
	slots atomic.Pointer[arrays]
	n     int
	moved int // slots of the old array that were copied
}

// arrays are the slots that are filled, and those that they take the place of. An
// item is in old, in cur, or, while it moves, in both.
type arrays struct{ cur, old slots }

const (
	leastSlots = 16
	step       = 8 // slots that move with each change
)

// fresh makes room for n items of one file, and the items.
func (t *table) fresh(n int) []item {
	size := leastSlots
	for size < n {
		size *= 2
	}
	t.slots.Store(&arrays{cur: make(slots, size)})
	return make([]item, n)
}

// push puts an item in front of all others of its slot, as long as nobody reads the
// table: plain stores do not wait for one another.
func (t *table) push(it *item, norm string, e *Entry) {
	it.hash, it.norm, it.e = maphash.String(seed, norm), norm, e
	slot := plain(t.slots.Load().cur.at(it.hash))
	*plain(&it.next) = *slot
	*slot = it
	t.n++
}

// plain is a pointer without its atomic clothes.
func plain(p *atomic.Pointer[item]) **item { return (**item)(unsafe.Pointer(p)) }

// find gives the first entry of a normal form, nil if there is none.
func (t *table) find(hash uint64, norm []byte) *Entry {
	a := t.slots.Load()
	if a == nil {
		return nil
	}
	// The old ones first: what is not there any more is among the new ones already.
	if a.old != nil {
		if e := a.old.find(hash, norm); e != nil {
			return e
		}
	}
	return a.cur.find(hash, norm)
}

func (s slots) find(hash uint64, norm []byte) *Entry {
	for it := s.at(hash).Load(); it != nil; it = it.next.Load() {
		if it.hash == hash && it.norm == string(norm) {
			return it.e
		}
	}
	return nil
}

// all gives the entries of a normal form, the oldest first.
func (t *table) all(norm string) (list []*Entry) {
	a := t.slots.Load()
	if a == nil {
		return nil
	}
	hash := maphash.String(seed, norm)
	for _, s := range []slots{a.old, a.cur} {
		if s == nil {
			continue
		}
		for it := s.at(hash).Load(); it != nil; it = it.next.Load() {
			if it.hash == hash && it.norm == norm && !slices.Contains(list, it.e) {
				list = append(list, it.e)
			}
		}
	}
	return list
}

// add puts an entry in, behind older ones of its normal form.
func (t *table) add(norm string, e *Entry) {
	a := t.slots.Load()
	if a == nil {
		t.fresh(0)
		a = t.slots.Load()
	}
	if t.n++; t.n > len(a.cur) && a.old == nil {
		a = t.resize(2 * len(a.cur))
	}
	a.cur.put(&item{hash: maphash.String(seed, norm), norm: norm, e: e})
	t.move()
}

// put links an item into its chain, behind those of its normal form that are
// older.
func (s slots) put(it *item) {
	p := s.at(it.hash)
	for o := p.Load(); o != nil; o = o.next.Load() {
		if o.hash == it.hash && o.e.id < it.e.id {
			p = &o.next
		}
	}
	it.next.Store(p.Load())
	p.Store(it)
}

// remove takes an entry out. It returns false if it was not there.
func (t *table) remove(norm string, e *Entry) bool {
	a := t.slots.Load()
	if a == nil {
		return false
	}
	hash := maphash.String(seed, norm)
	gone := a.cur.remove(hash, e)
	if a.old != nil && a.old.remove(hash, e) {
		gone = true
	}
	if !gone {
		return false
	}
	t.n--
	switch {
	case t.n == 0:
		t.fresh(0)
	case a.old == nil && len(a.cur) > leastSlots && t.n < len(a.cur)/8:
		t.resize(len(a.cur) / 4)
	}
	t.move()
	return true
}

func (s slots) remove(hash uint64, e *Entry) bool {
	p := s.at(hash)
	for it := p.Load(); it != nil; it = p.Load() {
		if it.e == e {
			p.Store(it.next.Load())
			return true
		}
		p = &it.next
	}
	return false
}

func (t *table) resize(size int) *arrays {
	a := &arrays{cur: make(slots, size), old: t.slots.Load().cur}
	t.slots.Store(a)
	t.moved = 0
	return a
}

// move copies some slots to the new array. The old one stays as it is for those
// who read it.
func (t *table) move() {
	a := t.slots.Load()
	if a.old == nil {
		return
	}
	for range step {
		if t.moved == len(a.old) {
			t.slots.Store(&arrays{cur: a.cur})
			return
		}
		for it := a.old[t.moved].Load(); it != nil; it = it.next.Load() {
			a.cur.put(&item{hash: it.hash, norm: it.norm, e: it.e})
		}
		t.moved++
	}
}

// lengths are the lengths that normal forms have, in ascending order: only what
// has one of them need be looked up.
type lengths struct {
	used  atomic.Pointer[[]int]
	count map[int]int
}

func (l *lengths) list() []int {
	if p := l.used.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *lengths) add(n int) {
	if l.count == nil {
		l.count = make(map[int]int)
	}
	if l.count[n]++; l.count[n] == 1 {
		l.publish()
	}
}

func (l *lengths) addMany(n, times int) {
	if l.count == nil {
		l.count = make(map[int]int)
	}
	l.count[n] += times
}

func (l *lengths) remove(n int) {
	if l.count[n]--; l.count[n] == 0 {
		delete(l.count, n)
		l.publish()
	}
}

func (l *lengths) publish() {
	list := make([]int, 0, len(l.count))
	for n := range l.count {
		list = append(list, n)
	}
	slices.Sort(list)
	l.used.Store(&list)
}
