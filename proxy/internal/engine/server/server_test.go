package server

import (
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
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

// A value that the configuration says anew wins over what was set at run time,
// one that it merely repeats does not.
func TestReplaceAfterCommands(t *testing.T) {
	y, z := reactor.Addr{Path: "/y"}, reactor.Addr{Path: "/z"}
	s := New("b", "s", 1, 1, settings(func(x *Settings) { x.MaxConn = 5 }), start)
	s.Update(start, "", func(st *State) {
		st.MaxConn, st.MaxByUser = 9, true
		st.Addr, st.AddrByUser = y, true
	})
	s.Replace(start, settings(func(x *Settings) { x.MaxConn, x.Weight = 5, 20 }))
	if s.Limit.Load() != 9 || *s.Addr() != y {
		t.Errorf("maxconn %d, address %v: what was set is lost", s.Limit.Load(), s.Addr())
	}
	s.Replace(start, settings(func(x *Settings) { x.MaxConn, x.Addr = 6, z }))
	if s.Limit.Load() != 6 || *s.Addr() != z {
		t.Errorf("maxconn %d, address %v: want what the file says anew", s.Limit.Load(), s.Addr())
	}
	s.Replace(start, settings(func(x *Settings) { x.MaxConn = 7 }))
	if s.Limit.Load() != 7 || s.Addr().Path != "/x" {
		t.Errorf("maxconn %d, address %v: the command came back", s.Limit.Load(), s.Addr())
	}
}

// A server that comes back is one failed check short of down, as a new one is.
func TestHealthWhenItComesBack(t *testing.T) {
	set := settings(func(s *Settings) { s.Check.Enabled = true })
	s := New("b", "s", 1, 1, set, start)
	if h := s.State().Health; h != set.Check.Rise {
		t.Errorf("a new server has health %d, want %d", h, set.Check.Rise)
	}
	s.Update(start, "", func(st *State) { st.Health = 4 })
	s.SetAdmin(start, ForcedMaint, 0, "")
	if h := s.State().Health; h != 0 {
		t.Errorf("in maintenance: health %d", h)
	}
	s.SetAdmin(start, 0, ForcedMaint, "")
	if h := s.State().Health; h != set.Check.Rise {
		t.Errorf("after maintenance: health %d, want %d", h, set.Check.Rise)
	}
	// A configuration that asks for less keeps health in its bounds.
	s.Update(start, "", func(st *State) { st.Health = 4 })
	s.Replace(start, settings(func(x *Settings) { x.Check = Check{Enabled: true, Rise: 1, Fall: 1} }))
	if h := s.State().Health; h != 1 {
		t.Errorf("rise 1 fall 1: health %d", h)
	}
}

// What is not needed any more goes, by and by; what is needed stays.
func TestSpareConnections(t *testing.T) {
	s := New("b", "s", 1, 1, settings(nil), start)
	for range 8 {
		s.Use()
	}
	s.Used.Add(-6)
	s.Idle.Store(6)
	if s.Spare() {
		t.Error("8 were in use just now, and 2 + 6 are too many")
	}
	s.Idle.Store(7)
	if !s.Spare() {
		t.Error("2 + 7 are not too many for 8 in use at a time")
	}
	for i, want := range []int64{8, 5, 3, 2, 2} {
		s.Estimate()
		s.Idle.Store(want - 2)
		if s.Spare() {
			t.Errorf("after %d periods: 2 + %d are too many", i+1, want-2)
		}
		s.Idle.Store(want - 1)
		if !s.Spare() {
			t.Errorf("after %d periods: 2 + %d are not too many", i+1, want-1)
		}
	}
}

type conn struct {
	name      string
	discarded bool
}

func (c *conn) Discard() { c.discarded = true }

// pool fills a pool, oldest first.
func pool(names string) (*Pool, map[string]*conn) {
	p, all := &Pool{}, make(map[string]*conn)
	for _, n := range names {
		c := &conn{name: string(n)}
		all[c.name] = c
		p.Put(c)
	}
	return p, all
}

func (p *Pool) names() (s string) {
	for i := range p.Len() {
		s += p.At(i).(*conn).name
	}
	return s
}

func TestPoolTakesTheNewest(t *testing.T) {
	p, all := pool("abc")
	if p.Take() != Pooled(all["c"]) {
		t.Error("not the newest first")
	}
	p.TakeAt(0)
	if p.names() != "b" {
		t.Errorf("%s is left", p.names())
	}
	if !p.Remove(all["b"]) || p.Remove(all["b"]) || p.Take() != nil {
		t.Error("removal")
	}
}

// A purge takes half of what lay idle all the time since the last one, oldest
// first: what was taken and came back is needed.
func TestPurge(t *testing.T) {
	p, all := pool("abcdefgh")
	if n := p.Purge(false); n != 0 {
		t.Errorf("purged %d that have just come", n)
	}
	var used []Pooled
	for range 4 {
		used = append(used, p.Take())
	}
	for _, c := range used {
		p.Put(c)
	}
	if n := p.Purge(false); n != 2 || p.names() != "cdhgfe" || !all["a"].discarded || !all["b"].discarded {
		t.Errorf("purged %d, %s is left: 4 of 8 were not needed", n, p.names())
	}
	if n := p.Purge(false); n != 3 || p.names() != "gfe" {
		t.Errorf("purged %d, %s is left: none of 6 was needed", n, p.names())
	}
	p.TakeAt(1)
	if n := p.Purge(false); n != 1 || p.names() != "e" {
		t.Errorf("purged %d, %s is left: 2 lay idle", n, p.names())
	}
	if n := p.Purge(true); n != 1 || p.Len() != 0 || !all["e"].discarded {
		t.Error("purging everything left something")
	}
	if all["f"].discarded {
		t.Error("discarded one that was taken")
	}
	if !p.Due(100, 50) || p.Due(120, 50) || !p.Due(151, 50) {
		t.Error("the period between purges")
	}
}

// Connections that carry streams are found until they end.
func TestSharedConnections(t *testing.T) {
	var p Pool
	a, b, c := &conn{name: "a"}, &conn{name: "b"}, &conn{name: "c"}
	for _, x := range []*conn{a, b, c} {
		p.Begin(x)
	}
	p.End(b)
	p.End(b)
	if p.Shared() != 2 || p.SharedAt(0) != Pooled(a) || p.SharedAt(1) != Pooled(c) {
		t.Errorf("%d are shared", p.Shared())
	}
	p.End(c)
	p.End(a)
	if p.Shared() != 0 {
		t.Errorf("%d are shared", p.Shared())
	}
}
