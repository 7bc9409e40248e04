package server

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// A limit is on the ramp from minconn to maxconn while the backend is not full.
func TestLimitFollowsLoad(t *testing.T) {
	s := New("b", "s", 1, 1, &Settings{Addr: reactor.Addr{Path: "/x"}, Weight: 1, MinConn: 10, MaxConn: 100}, time.Now())
	if n := s.Slots(); n != 100 {
		t.Errorf("%d slots without a backend", n)
	}
	var cur atomic.Int64
	load := &Load{Cur: &cur}
	load.Full.Store(1000)
	s.Follow(load)
	for at, want := range map[int64]int64{0: 10, 50: 10, 100: 10, 110: 11, 500: 50, 999: 99, 1000: 100, 5000: 100} {
		if cur.Store(at); s.Slots() != want {
			t.Errorf("%d slots at %d streams, want %d", s.Slots(), at, want)
		}
	}
	cur.Store(0)
	s.Update(time.Now(), "", func(st *State) { st.SetMaxConn(5) })
	if n := s.Slots(); n != 10 {
		t.Errorf("%d slots: a command has moved minconn", n)
	}
	fixed := New("b", "t", 2, 1, &Settings{Addr: reactor.Addr{Path: "/x"}, Weight: 1, MaxConn: 7}, time.Now())
	fixed.Follow(load)
	fixed.Update(time.Now(), "", func(st *State) { st.SetMaxConn(9) })
	if n := fixed.Slots(); n != 9 {
		t.Errorf("%d slots of a limit that follows nothing", n)
	}
}

// A server that was down takes its time; one that never was does not, nor one whose
// weight does not change while it is up.
func TestSlowStart(t *testing.T) {
	now := time.Unix(1000, 0)
	set := &Settings{Addr: reactor.Addr{Path: "/x"}, Weight: 10, MaxConn: 50, SlowStart: 10 * time.Second}
	s := New("b", "s", 1, 1, set, now)
	if s.Effective() != 160 || s.Slots() != 50 || s.State().Op != Running {
		t.Errorf("at the start: weight %d/16, %d slots", s.Effective(), s.Slots())
	}
	s.SetAdmin(now, ForcedMaint, 0, "")
	s.SetAdmin(now, 0, ForcedMaint, "")
	told := 0
	s.OnState = func(*Server, State, State, string) { told++ }
	for _, c := range []struct{ after, weight, slots, throttle int }{{0, 10, 1, 7}, {1, 20, 5, 13}, {5, 90, 25, 57}, {9, 150, 45, 94}} {
		if s.Warm(now.Add(time.Duration(c.after) * time.Second)) {
			t.Errorf("it has warmed up after %d seconds", c.after)
		}
		if s.Effective() != c.weight || s.Slots() != int64(c.slots) || s.Throttle() != c.throttle || s.State().Op != Starting {
			t.Errorf("after %d seconds: weight %d/16, %d slots, %d %%, want %+v", c.after, s.Effective(), s.Slots(), s.Throttle(), c)
		}
	}
	if !s.Warm(now.Add(10*time.Second)) || s.Effective() != 160 || s.Slots() != 50 || s.State().Op != Running || told != 0 || !s.State().LastChange.Equal(now) {
		t.Errorf("at the end: weight %d/16, %d slots, told %d times", s.Effective(), s.Slots(), told)
	}
	var cur atomic.Int64
	load := &Load{Cur: &cur}
	load.Static.Store(true)
	s.Follow(load)
	s.SetAdmin(now, ForcedMaint, 0, "")
	s.SetAdmin(now, 0, ForcedMaint, "")
	if s.Effective() != 160 || s.Slots() != 1 {
		t.Errorf("of a static algorithm: weight %d/16, %d slots", s.Effective(), s.Slots())
	}
}
