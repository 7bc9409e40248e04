package balance

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

func servers(weights ...int) []*server.Server {
	var list []*server.Server
	for i, w := range weights {
		set := &server.Settings{Addr: reactor.Addr{Path: "/x"}, Weight: w}
		list = append(list, server.New("b", string(rune('a'+i)), i+1, 1, set, time.Now()))
	}
	return list
}

// builders are the algorithms that need no key, by their names.
var builders = map[string]Builder{"roundrobin": RoundRobin, "static-rr": StaticRR, "leastconn": LeastConn, "random": Random, "first": First}

// algorithms are their names, in an order.
var algorithms = []string{"roundrobin", "static-rr", "leastconn", "random", "first"}

// build makes a picker over list; old, if any, is the one that it replaces.
func build(algorithm string, draws int, list []*server.Server, old ...Picker) Picker {
	set := Set{All: list, Active: Active(list, false)}
	return builders[algorithm](&Config{Draws: draws}, set, append(old, nil)[0])
}

func picks(p Picker, n int) string {
	var b strings.Builder
	for i := range n {
		s := p.Pick(Query{Random: uint64(i) * 0x9e3779b97f4a7c15})
		if s == nil {
			b.WriteByte('-')
		} else {
			b.WriteString(s.Name)
		}
	}
	return b.String()
}

func TestWheel(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    string
	}{
		{[]int{1, 1, 1}, "abcabc"},
		{[]int{100, 100}, "abab"},
		{[]int{3, 1}, "aabaaaba"},
		{[]int{1}, "aaa"},
		{nil, "--"},
	} {
		if got := picks(newWheel(servers(c.weights...)), len(c.want)); got != c.want {
			t.Errorf("weights %v: %s, want %s", c.weights, got, c.want)
		}
	}
}

func TestWheelSharesFollowWeights(t *testing.T) {
	got := picks(newWheel(servers(5, 3, 2)), 1000)
	for name, want := range map[string]int{"a": 500, "b": 300, "c": 200} {
		if n := strings.Count(got, name); n != want {
			t.Errorf("%s took %d of 1000, want %d", name, n, want)
		}
	}
}

func TestWheelIsBounded(t *testing.T) {
	w := make([]int, 1000)
	for i := range w {
		w[i] = 256 - i%2
	}
	if n := len(newWheel(servers(w...)).slots); n > 2*maxSlots {
		t.Errorf("%d slots", n)
	}
}

func TestFullAndAvoid(t *testing.T) {
	for _, alg := range algorithms {
		list := servers(1, 1, 1)
		p := build(alg, 2, list)
		for i := range 20 {
			if s := p.Pick(Query{Avoid: list[1], Random: uint64(i)<<60 + uint64(i)}); s == nil || s == list[1] {
				t.Errorf("%s: avoided server picked", alg)
			}
		}
		for _, s := range list {
			s.Limit.Store(1)
			s.Cur.Store(1)
		}
		if s := p.Pick(Query{Random: 7}); s != nil {
			t.Errorf("%s: picked a full server", alg)
		}
		list[2].Cur.Store(0)
		for i := range 20 {
			if s := p.Pick(Query{Avoid: list[2], Random: uint64(i)}); s != list[2] {
				t.Errorf("%s: the only server with room was not picked", alg)
			}
		}
	}
}

func TestLeastconn(t *testing.T) {
	list := servers(1, 2, 1)
	list[0].Cur.Store(3)
	list[1].Cur.Store(4)
	list[2].Cur.Store(9)
	if s := build("leastconn", 0, list).Pick(Query{}); s != list[1] {
		t.Errorf("picked %s, want the least loaded for its weight", s.Name)
	}
}

func TestActive(t *testing.T) {
	list := servers(1, 1, 1)
	for _, s := range list[1:] {
		set := *s.Settings()
		set.Backup = true
		s.Replace(time.Now(), &set)
	}
	if a := Active(list, false); len(a) != 1 || a[0] != list[0] {
		t.Error("a backup is used while an active server is up")
	}
	list[0].SetAdmin(time.Now(), server.ForcedMaint, 0, "")
	if a := Active(list, false); len(a) != 1 || a[0] != list[1] {
		t.Error("not the first backup")
	}
	if a := Active(list, true); len(a) != 2 {
		t.Error("not all backups")
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, alg := range algorithms {
		p := build(alg, 2, servers(1, 2, 3))
		if n := testing.AllocsPerRun(100, func() { p.Pick(Query{Random: 5}) }); n > 0 {
			t.Errorf("%s: %v allocations", alg, n)
		}
	}
}
