//go:build !race

package counter

import "sync/atomic"

// Int is a counter with one writer: the reactor that it belongs to. Anybody may
// read it at any time. Counting is a plain addition, not a locked one: fifty of
// them are in each request. An aligned word is written whole on every machine
// that Go knows, so that a reader sees some recent value; builds for the race
// detector use atomic operations.
type Int struct{ v int64 }

// Add counts n more. Only the owner may call it.
func (i *Int) Add(n int64) { i.v += n }

// Load reads the counter.
func (i *Int) Load() int64 { return atomic.LoadInt64(&i.v) }

// Store sets the counter. What the owner counts at the same moment may win.
func (i *Int) Store(n int64) { atomic.StoreInt64(&i.v, n) }

// Raise makes the counter at least n, for highest values. Only the owner may call
// it.
func (i *Int) Raise(n int64) {
	if n > i.v {
		i.v = n
	}
}
