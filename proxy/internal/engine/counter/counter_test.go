package counter

import (
	"sync/atomic"
	"testing"
)

func TestRate(t *testing.T) {
	var r Rate
	for i, c := range []struct{ total, cur, peak int64 }{
		{5, 5, 5},
		{8, 3, 5},
		{8, 0, 5},
		{20, 12, 12},
		{4, 4, 12}, // cleared, and four more since
		{6, 2, 12},
	} {
		r.Tick(c.total)
		if r.Cur.Load() != c.cur || r.Peak.Load() != c.peak {
			t.Errorf("%d: %d in the last second, at most %d; want %d, %d", i, r.Cur.Load(), r.Peak.Load(), c.cur, c.peak)
		}
	}
}

func TestShards(t *testing.T) {
	type two struct{ a, b Int }
	s := New[two](3)
	for i := range s {
		s[i].a.Add(int64(i + 1))
		s[i].b.Add(10)
	}
	a := func(t *two) *Int { return &t.a }
	b := func(t *two) *Int { return &t.b }
	if s.Sum(a) != 6 || s.Sum(b) != 30 {
		t.Errorf("sums %d, %d", s.Sum(a), s.Sum(b))
	}
	s.Clear(a)
	if s.Sum(a) != 0 || s.Sum(b) != 30 {
		t.Errorf("after clearing one: %d, %d", s.Sum(a), s.Sum(b))
	}
	s[1].b.Raise(12)
	s[1].b.Raise(11)
	if n := s[1].b.Load(); n != 12 {
		t.Errorf("raised to %d", n)
	}
}

func TestMax(t *testing.T) {
	var m atomic.Int64
	for _, v := range []int64{3, 7, 5} {
		Max(&m, v)
	}
	if m.Load() != 7 {
		t.Errorf("highest %d", m.Load())
	}
}
