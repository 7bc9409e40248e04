package stream

import "testing"

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
