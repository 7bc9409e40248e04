// Package counter keeps statistics that every reactor counts on its own cache
// line, and rates derived from them. Counting takes no lock; reading adds the
// shards up. It never resets a counter by itself.
package counter

import "sync/atomic"

// Line keeps what stands before it and what comes after it in a struct on
// different cache lines.
type Line [64]byte

// Shards is one T for each reactor. T is a struct of [Int] fields, padded
// to a cache line by its owner where that matters.
type Shards[T any] []T

// New makes n shards.
func New[T any](n int) Shards[T] { return make([]T, n) }

// Sum adds up one field of all shards.
func (s Shards[T]) Sum(field func(*T) *Int) int64 {
	var n int64
	for i := range s {
		n += field(&s[i]).Load()
	}
	return n
}

// Clear zeroes one field of all shards.
func (s Shards[T]) Clear(field func(*T) *Int) {
	for i := range s {
		field(&s[i]).Store(0)
	}
}

// Rate is how often something happened in the last second. Tick is called once a
// second with the counter's total.
type Rate struct {
	last      int64
	Cur, Peak atomic.Int64
}

// Tick takes the total of now.
func (r *Rate) Tick(total int64) {
	d := total - r.last
	if d < 0 { // the counter was cleared
		d = total
	}
	r.last = total
	r.Cur.Store(d)
	Max(&r.Peak, d)
}

// Max raises m to v.
func Max(m *atomic.Int64, v int64) {
	for {
		old := m.Load()
		if v <= old || m.CompareAndSwap(old, v) {
			return
		}
	}
}
