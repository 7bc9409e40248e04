package stream

import "sync/atomic"

// limiter counts what happens in a second that slides along, from the present
// second and the share of the last one that it still covers. The zero limiter
// has seen nothing. All reactors use it, without a lock; as they look before they
// count, they can go beyond a limit by one each. It fills a cache line, so that
// counting does not slow down who reads what stands beside it.
type limiter struct {
	state atomic.Uint64 // a window
	_     [56]byte
}

// window is a second of reactor time and what happened in it and in the one
// before: 24 bits of the second's number (it takes half a year to come again), and
// twice 20 bits, which is as far as it counts.
type window uint64

const (
	second   = 1e9
	countMax = 1<<20 - 1
)

func newWindow(number, cur, last int64) window {
	return window(number&(1<<24-1))<<40 | window(cur)<<20 | window(last)
}

func (w window) cur() int64  { return int64(w >> 20 & countMax) }
func (w window) last() int64 { return int64(w & countMax) }

// at is the window at a time. A reactor whose clock is a little behind stays in the
// second that another one has begun.
func (w window) at(now int64) window {
	number := now / second
	switch ahead := int32(uint32(number)-uint32(w>>40)) << 8 >> 8; {
	case ahead == 0, ahead == -1:
		return w
	case ahead == 1:
		return newWindow(number, 0, w.cur())
	default:
		return newWindow(number, 0, 0)
	}
}

// count notes one event.
func (l *limiter) count(now int64) {
	for {
		old := window(l.state.Load())
		w := old.at(now)
		if w.cur() < countMax {
			w += 1 << 20
		}
		if l.state.CompareAndSwap(uint64(old), uint64(w)) {
			return
		}
	}
}

// wait gives how many nanoseconds must pass before another event keeps to limit
// per second, 0 if it does now.
func (l *limiter) wait(now int64, limit int) int64 {
	w := window(l.state.Load()).at(now)
	age, room := now%second, int64(limit)-w.cur()
	switch {
	case room <= 0:
		return second - age
	case w.last()*(second-age)/second < room:
		return 0
	}
	// The last second's share falls below what is left at this age.
	return max(second-room*second/w.last()-age, 1)
}
