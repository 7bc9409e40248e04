package balance

import (
	"slices"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// limit gives each of list room for n streams, and a queue.
func limit(list []*server.Server, n, queue int) {
	for _, s := range list {
		set := *s.Settings()
		set.MaxConn, set.MaxQueue = n, queue
		s.Replace(time.Now(), &set)
	}
}

// "first" goes by the numbers of the servers, wherever they stand in the file.
func TestFirstGoesByNumbers(t *testing.T) {
	list := servers(1, 1, 1)
	limit(list, 1, 0)
	slices.Reverse(list)
	p := build("first", 0, list)
	for _, want := range []string{"a", "b", "c"} {
		s := p.Pick(Query{})
		if s.Name != want {
			t.Fatalf("%s, want %s", s.Name, want)
		}
		s.Cur.Add(1)
	}
}

// Those who wait for a server are its load, too.
func TestLeastconnCountsWhoWaits(t *testing.T) {
	list := servers(1, 1)
	list[0].Cur.Store(2)
	list[1].Cur.Store(1)
	list[1].Queued.Store(3)
	p := build("leastconn", 0, list)
	for range 4 {
		if s := p.Pick(Query{}); s != list[0] {
			t.Fatalf("%s, for which three wait", s.Name)
		}
	}
}

// A server that somebody waits for is full, though a slot has just come free:
// whoever comes now must not overtake.
func TestNobodyOvertakes(t *testing.T) {
	for _, algorithm := range algorithms {
		list := servers(1, 1)
		limit(list, 2, 0)
		for _, s := range list {
			s.Cur.Store(1)
		}
		list[0].Queued.Store(1)
		p := build(algorithm, 2, list)
		for n := range uint64(8) {
			if s := p.Pick(Query{Random: n * 0x9e3779b97f4a7c15}); s != list[1] {
				t.Fatalf("%s: %s, which somebody waits for", algorithm, s.Name)
			}
		}
	}
}

// With a maxqueue a stream may choose to wait for a server, but not one that
// waits for the backend already: it leaves its queue for a slot only.
func TestLeastconnWaits(t *testing.T) {
	list := servers(1, 1)
	limit(list, 2, 3)
	list[0].Cur.Store(2)
	list[0].Queued.Store(1)
	list[1].Cur.Store(2)
	list[1].Queued.Store(2)
	p := build("leastconn", 0, list)
	if s := p.Pick(Query{}); s != list[0] {
		t.Errorf("%v, want the one with the shorter queue", s)
	}
	if s := p.Pick(Query{Now: true}); s != nil {
		t.Errorf("%s, which has no slot", s.Name)
	}
	list[1].Cur.Store(1)
	list[1].Queued.Store(0)
	if s := p.Pick(Query{Now: true}); s != list[1] {
		t.Errorf("%v, want the one with a slot", s)
	}
}

// The table is that of all servers, whoever is down: the turn goes on at the same
// place of it when one comes back.
func TestTableDependsOnNobodysState(t *testing.T) {
	list := servers(3, 2, 2)
	down := build("static-rr", 0, list[1:])
	down = StaticRR(&Config{}, Set{All: list, Active: list[1:]}, down)
	if got := picks(down, 3); got != "bcb" {
		t.Fatalf("%s", got)
	}
	back := StaticRR(&Config{}, Set{All: list, Active: list}, down)
	all := picks(StaticRR(&Config{}, Set{All: list, Active: list}, nil), 7)
	if got, want := picks(back, 7), all[3:]+all[:3]; got != want {
		t.Errorf("goes on with %s, want %s", got, want)
	}
}

// The places of weight that is gone are dropped some day: who looks for a place
// passes a bounded number by.
func TestPlacesAreDropped(t *testing.T) {
	list := servers(256, 256, 1)
	c := &Config{Hash: HashType{Consistent: true}}
	r := newRing(c, Set{All: list, Active: list}, nil)
	before := len(r.places)
	for _, s := range list[:2] {
		set := *s.Settings()
		set.Weight = 1
		s.Replace(time.Now(), &set)
	}
	r = newRing(c, Set{All: list, Active: list}, r)
	if most := idle * 3 * server.Scale; len(r.places) > most {
		t.Errorf("%d places (%d before), want at most %d", len(r.places), before, most)
	}
	fresh := newRing(c, Set{All: list, Active: list}, nil)
	for n := range uint32(1000) {
		q := Query{Hash: Avalanche(n), Keyed: true}
		if a, b := r.Pick(q), fresh.Pick(q); a != b {
			t.Fatalf("key %d goes to %s, on a new ring to %s", n, a.Name, b.Name)
		}
	}
}

// hash-balance-factor: no server takes much more than the average, however many
// ask with its key.
func TestRingIsBounded(t *testing.T) {
	list := servers(1, 1, 1, 1)
	p := ByKey(&Config{Hash: HashType{Consistent: true}, Factor: 150}, Set{All: list, Active: list}, nil)
	for range 100 {
		p.Pick(Query{Hash: 4711, Keyed: true}).Cur.Add(1)
	}
	for _, s := range list {
		if n := s.Cur.Load(); n > 38 {
			t.Errorf("%s took %d of 100, want at most one and a half of 25", s.Name, n)
		}
	}
}
