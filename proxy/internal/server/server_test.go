package server

import (
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/reactor"
)

var start = time.Unix(1_000_000, 0)

func settings(f func(*Settings)) *Settings {
	s := &Settings{Addr: reactor.Addr{Path: "/x"}, Weight: 10, Check: Check{Rise: 2, Fall: 3}}
	if f != nil {
		f(s)
	}
	return s
}

func TestNewServers(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    *Settings
		usable bool
		weight int
		admin  Admin
	}{
		{"plain", settings(nil), true, 10, 0},
		{"disabled", settings(func(s *Settings) { s.Disabled = true }), false, 0, ConfigMaint},
		{"no address", settings(func(s *Settings) { s.Addr = reactor.Addr{} }), false, 0, ResolveMaint},
		{"weight 0", settings(func(s *Settings) { s.Weight = 0 }), true, 0, 0},
	} {
		s := New("b", "s", 1, 2, c.set, start)
		if s.Usable() != c.usable || s.Weight() != c.weight || s.State().Admin != c.admin {
			t.Errorf("%s: usable %v, weight %d, admin %#x", c.name, s.Usable(), s.Weight(), s.State().Admin)
		}
	}
}

func TestDrainAndMaintenance(t *testing.T) {
	s := New("b", "s", 1, 1, settings(nil), start)
	changes := 0
	s.OnChange = func(*Server) { changes++ }
	s.SetAdmin(start, ForcedDrain, 0, "test")
	if s.Usable() || s.Down() || !s.State().Up() {
		t.Error("a draining server is up and takes nothing new")
	}
	s.SetAdmin(start, ForcedMaint, ForcedDrain, "test")
	if s.Usable() || !s.Down() || s.State().Op != Stopped {
		t.Error("a server in maintenance is stopped")
	}
	s.SetAdmin(start.Add(5*time.Second), 0, ForcedMaint, "test")
	st := s.State()
	if !s.Usable() || s.Weight() != 10 || st.Op != Running {
		t.Errorf("not back: %+v", st)
	}
	if st.DownTotal != 5*time.Second {
		t.Errorf("down for %v, want 5s", st.DownTotal)
	}
	if changes != 2 {
		t.Errorf("balancing was told %d times, want 2", changes)
	}
}

func TestReplaceKeepsWhatWasSetAtRunTime(t *testing.T) {
	s := New("b", "s", 1, 1, settings(nil), start)
	s.Update(start, "", func(st *State) { st.UserWeight, st.WeightByUser = 3, true })
	s.Replace(start, settings(func(x *Settings) { x.MaxConn = 7 }))
	if s.Weight() != 3 || s.Limit.Load() != 7 {
		t.Errorf("weight %d, maxconn %d; want the user's 3 and the file's 7", s.Weight(), s.Limit.Load())
	}
	s.Replace(start, settings(func(x *Settings) { x.Weight = 20 }))
	if s.Weight() != 20 || s.Limit.Load() != 0 {
		t.Errorf("weight %d, maxconn %d; want what the file says anew", s.Weight(), s.Limit.Load())
	}
	s.SetAdmin(start, ForcedMaint, 0, "")
	s.Replace(start, settings(func(x *Settings) { x.Weight = 30 }))
	if s.Usable() {
		t.Error("a new configuration ended a maintenance")
	}
}

func TestAddressByUser(t *testing.T) {
	s := New("b", "s", 1, 1, settings(nil), start)
	before := s.Addr()
	s.Update(start, "", func(st *State) { st.Addr, st.AddrByUser = reactor.Addr{Path: "/y"}, true })
	if s.Addr() == before || s.Addr().Path != "/y" {
		t.Error("the address did not change")
	}
	s.Replace(start, settings(nil))
	if s.Addr().Path != "/y" {
		t.Error("an unchanged configuration took the address back")
	}
}

type conn struct{ discarded bool }

func (c *conn) Discard() { c.discarded = true }

func TestPool(t *testing.T) {
	var p Pool
	a, b, c := &conn{}, &conn{}, &conn{}
	for _, x := range []*conn{a, b, c} {
		p.Put(x)
	}
	if p.Take() != Pooled(c) {
		t.Error("not the newest first")
	}
	if !p.Remove(a) || p.Remove(a) || p.Len() != 1 {
		t.Error("removal")
	}
	p.Put(a)
	p.Put(c)
	if n := p.Purge(false); n != 0 && n != 1 {
		t.Errorf("purged %d", n)
	}
	// Nothing was taken since: half of what there is goes, oldest first.
	left := p.Len()
	if n := p.Purge(false); n != (left+1)/2 || !b.discarded && !a.discarded {
		t.Errorf("purged %d of %d", n, left)
	}
	p.Purge(true)
	if p.Len() != 0 || !c.discarded {
		t.Error("purging everything left something")
	}
	if !p.Due(100, 50) || p.Due(120, 50) || !p.Due(151, 50) {
		t.Error("the period between purges")
	}
}
