package stream

import "sync"

// limiter counts what happens in a second that slides along, from the present
// second and the share of the last one that it still covers. The zero limiter
// has seen nothing. All reactors use it; as they look before they count, they
// can go beyond a limit by one each.
type limiter struct {
	mu        sync.Mutex
	start     int64 // of the present second, in reactor time
	cur, last int64
}

const second = 1e9

func (l *limiter) turn(now int64) {
	switch age := now - l.start; {
	case age < second:
	case age < 2*second:
		l.start, l.last, l.cur = l.start+second, l.cur, 0
	default:
		l.start, l.last, l.cur = now, 0, 0
	}
}

// count notes one event.
func (l *limiter) count(now int64) {
	l.mu.Lock()
	l.turn(now)
	l.cur++
	l.mu.Unlock()
}

// wait gives how many nanoseconds must pass before another event keeps to limit
// per second, 0 if it does now.
func (l *limiter) wait(now int64, limit int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	age, room := now-l.start, int64(limit)-l.cur
	switch {
	case room <= 0:
		return second - age
	case l.last*(second-age)/second < room:
		return 0
	}
	// The last second's share falls below what is left at this age.
	return max(second-room*second/l.last-age, 1)
}
