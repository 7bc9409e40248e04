package stream

import (
	"sync"
	"testing"
)

func TestLimiter(t *testing.T) {
	for _, limit := range []int{1, 3, 10, 1000} {
		var l limiter
		now := int64(5 * second)
		var times []int64
		for range 5 * limit {
			for {
				d := l.wait(now, limit)
				if d == 0 {
					break
				}
				if d < 0 || d > second {
					t.Fatalf("limit %d: wait of %d ns", limit, d)
				}
				now += d
			}
			l.count(now)
			times = append(times, now)
		}
		// Never more than the limit in the seconds counted, and the rate is used.
		perSecond := map[int64]int{}
		for _, at := range times {
			perSecond[(at-times[0])/second]++
		}
		for s, n := range perSecond {
			if n > limit {
				t.Errorf("limit %d: %d in second %d", limit, n, s)
			}
		}
		if took := times[len(times)-1] - times[0]; took < 3*second || took > 10*second {
			t.Errorf("limit %d: %d events took %d ns", limit, len(times), took)
		}
	}
	var l limiter
	if l.wait(1, 1) != 0 || l.wait(3*second, 1) != 0 {
		t.Error("nothing has happened yet")
	}
}

func TestLimiterCountsWhatAllReactorsDo(t *testing.T) {
	var l limiter
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 1000 {
				l.count(7*second + int64(i)) // clocks differ a little
			}
		})
	}
	wg.Wait()
	if n := window(l.state.Load()).cur(); n != 4000 {
		t.Errorf("%d events of 4000", n)
	}
	l.count(8 * second)
	l.count(8*second - 1) // a clock behind does not bring the last second back
	if w := window(l.state.Load()); w.cur() != 2 || w.last() != 4000 {
		t.Errorf("%d events, %d in the second before", w.cur(), w.last())
	}
	if d := l.wait(8*second, 4000); d <= 0 {
		t.Error("the share of the last second is forgotten")
	}
	if d := l.wait(10*second, 1); d != 0 {
		t.Errorf("two seconds later: %d ns", d)
	}
	l.state.Store(uint64(newWindow(10, countMax, 0)))
	if l.count(10 * second); window(l.state.Load()).cur() != countMax {
		t.Error("counted past the end")
	}
}
