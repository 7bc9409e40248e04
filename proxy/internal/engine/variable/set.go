package variable

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Value is what a variable holds. Type is one of package sample's; it tells which
// of the fields counts.
type Value struct {
	Type  uint8
	Bool  bool
	Int   int64
	Addr  netip.Addr
	Bytes []byte
}

// Overhead is what a variable takes besides its text, as it is counted against the
// limits of "tune.vars".
const Overhead = 80

// Size is what a variable of this value takes.
func (v *Value) Size() int { return Overhead + len(v.Bytes) }

// entry is one variable of a set.
type entry struct {
	id    int32
	value Value
	own   []byte // memory that is kept for the text, see Set.Put
}

// Set is the variables of one scope: few, so that they are searched in order. The
// zero value is an empty set.
type Set struct {
	list []entry
	// Size is what is counted against the limit of the scope, those of finer scopes
	// included; Charged is how much of it was charged to the process.
	Size, Charged int
}

// Len is how many variables there are.
func (s *Set) Len() int { return len(s.list) }

// Get gives the value of a variable, nil if it is not set.
func (s *Set) Get(n Name) *Value {
	for i := range s.list {
		if s.list[i].id == n.id {
			return &s.list[i].value
		}
	}
	return nil
}

// Each calls f for all variables.
func (s *Set) Each(f func(n Name, v *Value)) {
	for i := range s.list {
		f(byID(s.list[i].id), &s.list[i].value)
	}
}

// Put sets a variable. The text must live as long as the set.
func (s *Set) Put(n Name, v Value) { s.entry(n).value = v }

// Keep sets a variable whose text is copied into memory of the set's own.
func (s *Set) Keep(n Name, v Value) {
	e := s.entry(n)
	e.own = append(e.own[:0], v.Bytes...)
	v.Bytes = e.own
	e.value = v
}

func (s *Set) entry(n Name) *entry {
	for i := range s.list {
		if s.list[i].id == n.id {
			return &s.list[i]
		}
	}
	s.list = append(s.list, entry{id: n.id})
	return &s.list[len(s.list)-1]
}

// Unset removes a variable.
func (s *Set) Unset(n Name) {
	for i := range s.list {
		if s.list[i].id == n.id {
			last := len(s.list) - 1
			s.list[i] = s.list[last]
			s.list[last] = entry{}
			s.list = s.list[:last]
			return
		}
	}
}

// Clear removes all variables, and keeps the room for as many.
func (s *Set) Clear() {
	if len(s.list) > 0 {
		clear(s.list)
		s.list = s.list[:0]
	}
	s.Size, s.Charged = 0, 0
}

// Table is the variables of a process, for all threads. Values are never changed
// once they are in it: who sets a variable puts another one in its place.
type Table struct {
	mu    sync.Mutex // of who sets
	cells atomic.Pointer[map[int32]*atomic.Pointer[Value]]
	// Size is what all variables take together that are counted, those of sessions
	// and streams included.
	Size atomic.Int64
}

// Get gives the value of a variable, nil if it is not set. It takes no lock.
func (t *Table) Get(n Name) *Value {
	if c := t.cell(n); c != nil {
		return c.Load()
	}
	return nil
}

// Each calls f for all variables that are set.
func (t *Table) Each(f func(n Name, v *Value)) {
	m := t.cells.Load()
	if m == nil {
		return
	}
	for id, c := range *m {
		if v := c.Load(); v != nil {
			f(byID(id), v)
		}
	}
}

func (t *Table) cell(n Name) *atomic.Pointer[Value] {
	if m := t.cells.Load(); m != nil {
		return (*m)[n.id]
	}
	return nil
}

// Lock keeps others from setting variables, until Unlock.
func (t *Table) Lock() { t.mu.Lock() }

// Unlock ends [Table.Lock].
func (t *Table) Unlock() { t.mu.Unlock() }

// Put sets a variable, or unsets it if v is nil. The caller has locked the table.
func (t *Table) Put(n Name, v *Value) {
	c := t.cell(n)
	if c == nil {
		next := map[int32]*atomic.Pointer[Value]{}
		if m := t.cells.Load(); m != nil {
			maps.Copy(next, *m)
		}
		c = new(atomic.Pointer[Value])
		next[n.id] = c
		t.cells.Store(&next)
	}
	c.Store(v)
}
