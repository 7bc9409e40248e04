// Package slot lets features hang values of their own on the objects of the
// engine: on a proxy, a bind line, a server, a stream. The object knows of none
// of them, the feature needs no look-up by name, and both keep their types.
//
// A slot is reserved once, in a package variable that says what is hung where:
//
//	var sets = slot.New[*stream.Proxy, Set]()
//
//	sets.Make(p).add(x) // while the configuration is read
//	sets.Of(p)          // *Set; nil if nothing was said
//
// [New] is for objects that one thread at a time changes: what a configuration
// says (Global, Proxy, Bind, a server's settings), and what belongs to one reactor
// (Session, Stream). [NewLive] is for what any thread may look at: the worker, and
// the state of frontends, backends and servers.
package slot

import (
	"reflect"
	"sync"
	"sync/atomic"
)

// Owner is a kind of object that values hang on: a pointer, so that each kind
// numbers its slots by itself.
type Owner interface{ Slots() *Values }

// Values are what hangs on one object, the size of a pointer. The zero Values are
// empty. A copy of the object shares the values, and has its own set of them: what
// is hung on it does not show at the other, but what is changed through a pointer
// that [Slot.Of] gave does; see [Slot.Edit] and [Values.Clone].
type Values struct{ list *[]box }

// box is a value of any slot.
type box interface {
	clone() box
	reset()
}

type value[T any] struct{ v T }

// Cloner is a value that copies itself for [Values.Clone]: it has slices or maps
// that are added to.
type Cloner[T any] interface{ Clone() *T }

// Resetter is a value that hangs on pooled objects: Reset empties it for the next
// use, and keeps its memory.
type Resetter interface{ Reset() }

func (b *value[T]) clone() box {
	if c, ok := any(&b.v).(Cloner[T]); ok {
		return &value[T]{*c.Clone()}
	}
	return &value[T]{b.v}
}

func (b *value[T]) reset() {
	if r, ok := any(&b.v).(Resetter); ok {
		r.Reset()
		return
	}
	var zero T
	b.v = zero
}

// Clone gives copies of the values: by a value's Clone method ([Cloner]), or as
// they are.
func (l Values) Clone() Values {
	if l.list == nil {
		return Values{}
	}
	out := make([]box, len(*l.list))
	for i, b := range *l.list {
		if b != nil {
			out[i] = b.clone()
		}
	}
	return Values{&out}
}

// Reset empties the values of a pooled object ([Resetter]; others become zero).
func (l Values) Reset() {
	if l.list == nil {
		return
	}
	for _, b := range *l.list {
		if b != nil {
			b.reset()
		}
	}
}

func (l Values) get(n int) box {
	if l.list != nil && n < len(*l.list) {
		return (*l.list)[n]
	}
	return nil
}

// with gives a set that has b too: l is not changed, copies may share it.
func (l Values) with(n int, b box) Values {
	size := n + 1
	if l.list != nil {
		size = max(size, len(*l.list))
	}
	out := make([]box, size)
	if l.list != nil {
		copy(out, *l.list)
	}
	out[n] = b
	return Values{&out}
}

// reserved counts the slots of each kind of owner.
var reserved = make(map[reflect.Type]int)

func reserve[O any]() int {
	t := reflect.TypeFor[O]()
	reserved[t]++
	return reserved[t] - 1
}

// Slot is the place of a T in each O.
type Slot[O Owner, T any] struct{ n int }

// New reserves a slot, in a package variable.
func New[O Owner, T any]() Slot[O, T] { return Slot[O, T]{reserve[O]()} }

// Of gives o's value, nil if it has none.
func (s Slot[O, T]) Of(o O) *T {
	if b := o.Slots().get(s.n); b != nil {
		return &b.(*value[T]).v
	}
	return nil
}

// Value gives o's value, the zero one if it has none.
func (s Slot[O, T]) Value(o O) (v T) {
	if p := s.Of(o); p != nil {
		v = *p
	}
	return v
}

// Make gives o's value, making it if need be.
func (s Slot[O, T]) Make(o O) *T {
	if v := s.Of(o); v != nil {
		return v
	}
	var zero T
	return s.put(o, zero)
}

// Edit gives a copy of o's value, or a new one, in the place of the one there: o
// may share that with what it was copied from.
func (s Slot[O, T]) Edit(o O) *T {
	var t T
	if v := s.Of(o); v != nil {
		t = *v
	}
	return s.put(o, t)
}

// Set hangs a value on o, in place of any other.
func (s Slot[O, T]) Set(o O, v T) { s.put(o, v) }

// first is an object's first value, with the list that has it: one allocation for
// objects that are many, as sessions are.
type first[T any] struct {
	value[T]
	list []box
	room [2]box
}

func (s Slot[O, T]) put(o O, v T) *T {
	l := o.Slots()
	if l.list == nil && s.n < len(first[T]{}.room) {
		f := &first[T]{value: value[T]{v}}
		f.room[s.n] = &f.value
		f.list = f.room[:s.n+1]
		l.list = &f.list
		return &f.v
	}
	b := &value[T]{v}
	*l = l.with(s.n, b)
	return &b.v
}

// LiveOwner is a kind of object that values hang on for its whole life, whichever
// thread asks.
type LiveOwner interface{ LiveSlots() *Live }

// Live are the values of one object. The zero Live is empty.
type Live struct {
	mu   sync.Mutex
	list atomic.Pointer[[]box]
}

// LiveSlot is the place of a T in each O.
type LiveSlot[O LiveOwner, T any] struct{ n int }

// NewLive reserves a slot, in a package variable.
func NewLive[O LiveOwner, T any]() LiveSlot[O, T] { return LiveSlot[O, T]{reserve[O]()} }

// In gives o's value, the same one for the life of o; it is zero at first. Any
// thread may call it, and T says who may use what it gives.
func (s LiveSlot[O, T]) In(o O) *T {
	l := o.LiveSlots()
	if b := (Values{l.list.Load()}).get(s.n); b != nil {
		return &b.(*value[T]).v
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := Values{l.list.Load()}
	if b := now.get(s.n); b != nil {
		return &b.(*value[T]).v
	}
	b := new(value[T])
	l.list.Store(now.with(s.n, b).list)
	return &b.v
}
