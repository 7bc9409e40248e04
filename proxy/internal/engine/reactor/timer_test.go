package reactor

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Timers that are set, moved to and fro, unset and removed in any order fire at
// their time: never before it, and with the first turn of the loop after it.
func TestTimersFireAtTheirTime(t *testing.T) {
	const n, span = 60, 1000
	for seed := range uint64(40) {
		c := &setClock{Linux, 1e9}
		r, err := New(0, c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		var timers [n]Timer
		var want [n]int64 // when each has to fire, 0: not at all
		for i := range timers {
			timers[i].Fire = FireFunc(func() {
				switch {
				case want[i] == 0:
					t.Errorf("seed %d: timer %d fires, which is not set", seed, i)
				case want[i] > c.now:
					t.Errorf("seed %d: timer %d fires %d too early", seed, i, want[i]-c.now)
				}
				want[i] = 0
			})
		}
		for range 2000 {
			i := rnd.IntN(n)
			switch rnd.IntN(8) {
			case 0:
				timers[i].Unset()
				want[i] = 0
			case 1:
				r.Remove(&timers[i])
				want[i] = 0
			case 2:
				c.now += rnd.Int64N(span / 10)
				r.Turn(0) // the time is read at its end
				r.Turn(0)
				for k, at := range want {
					if at != 0 && at <= c.now {
						t.Fatalf("seed %d: timer %d has not fired %d after its time", seed, k, c.now-at)
					}
				}
			default:
				want[i] = c.now + 1 + rnd.Int64N(span)
				r.Set(&timers[i], want[i])
			}
			if err := r.timersOrdered(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		r.Close()
	}
}

// timersOrdered looks whether the heap is one, and every timer knows its place.
func (r *Reactor) timersOrdered() error {
	for i, t := range r.timers {
		if int(t.pos) != i+1 {
			return fmt.Errorf("the timer at %d takes itself to be at %d", i, t.pos-1)
		}
		if p := (i - 1) / 4; i > 0 && r.timers[p].key > t.key {
			return fmt.Errorf("the timer at %d comes before the one above it", i)
		}
		if t.when != 0 && t.when < t.key {
			return fmt.Errorf("the timer at %d stands too far behind", i)
		}
	}
	return nil
}
