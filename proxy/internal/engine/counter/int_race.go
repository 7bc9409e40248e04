//go:build race

package counter

import "sync/atomic"

// Int is a counter with one writer, see the other build.
type Int struct{ v atomic.Int64 }

// Add counts n more. Only the owner may call it.
func (i *Int) Add(n int64) { i.v.Add(n) }

// Load reads the counter.
func (i *Int) Load() int64 { return i.v.Load() }

// Store sets the counter.
func (i *Int) Store(n int64) { i.v.Store(n) }

// Raise makes the counter at least n.
func (i *Int) Raise(n int64) {
	if n > i.v.Load() {
		i.v.Store(n)
	}
}
