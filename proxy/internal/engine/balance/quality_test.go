package balance

import (
	_ "embed"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// drive runs streams one after the other through a picker: each goes to the server
// that is picked, and the oldest of those that are open ends. It gives how many
// each server took.
func drive(p Picker, streams, open int, rnd *rand.Rand) map[*server.Server]int {
	took := map[*server.Server]int{}
	var under []*server.Server
	for range streams {
		s := p.Pick(Query{Random: rnd.Uint64()})
		s.Cur.Add(1)
		took[s]++
		if under = append(under, s); len(under) > open {
			under[0].Cur.Add(-1)
			under = under[1:]
		}
	}
	for _, s := range under {
		s.Cur.Add(-1)
	}
	return took
}

// Two draws prefer the less loaded: with one server at a hundred streams and the
// others idle, it is taken only if both draws are it.
func TestRandomPrefersTheLessLoaded(t *testing.T) {
	for _, c := range []struct {
		draws     int
		low, high float64 // share of the loaded server, of four
	}{{1, 0.22, 0.28}, {2, 0.04, 0.085}, {3, 0.005, 0.03}} {
		list := servers(1, 1, 1, 1)
		list[2].Cur.Store(100)
		p, rnd, n := build("random", c.draws, list), rand.New(rand.NewPCG(1, uint64(c.draws))), 0
		const picks = 20000
		for range picks {
			if p.Pick(Query{Random: rnd.Uint64()}) == list[2] {
				n++
			}
		}
		if share := float64(n) / picks; share < c.low || share > c.high {
			t.Errorf("%d draws: the loaded server took %.3f of the streams, want %.3f to %.3f", c.draws, share, c.low, c.high)
		}
	}
}

// Load is what a server has for its weight.
func TestLoadIsForTheWeight(t *testing.T) {
	for _, algorithm := range []string{"leastconn", "random"} {
		list := servers(10, 1)
		list[0].Cur.Store(50)
		list[1].Cur.Store(6) // more for its weight
		p, rnd, n := build(algorithm, 8, list), rand.New(rand.NewPCG(1, 2)), 0
		for range 1000 {
			if p.Pick(Query{Random: rnd.Uint64()}) == list[0] {
				n++
			}
		}
		if n < 990 {
			t.Errorf("%s: the less loaded server took %d of 1000", algorithm, n)
		}
	}
}

// All algorithms but "first" share streams of equal length by weight.
func TestSharesUnderLoad(t *testing.T) {
	for _, algorithm := range []string{"roundrobin", "static-rr", "leastconn", "random"} {
		for _, weights := range [][]int{{1, 1, 1}, {100, 50, 10}, {256, 1}, {3, 2, 2, 1}} {
			list := servers(weights...)
			total := 0
			for _, w := range weights {
				total += w
			}
			const streams = 30000
			took := drive(build(algorithm, 2, list), streams, 64, rand.New(rand.NewPCG(3, 4)))
			for i, s := range list {
				want := float64(streams*weights[i]) / float64(total)
				if d := math.Abs(float64(took[s]) - want); d > streams/50+want/10 {
					t.Errorf("%s %v: server %d took %d, want about %.0f", algorithm, weights, i, took[s], want)
				}
			}
		}
	}
}

// Random draws never leave the servers as uneven as one draw does.
func TestRandomEvensOut(t *testing.T) {
	spread := func(draws int) int64 {
		list := servers(1, 1, 1, 1, 1, 1, 1, 1)
		p, rnd := build("random", draws, list), rand.New(rand.NewPCG(5, 6))
		for range 8000 { // all stay
			p.Pick(Query{Random: rnd.Uint64()}).Cur.Add(1)
		}
		low, high := int64(math.MaxInt64), int64(0)
		for _, s := range list {
			low, high = min(low, s.Cur.Load()), max(high, s.Cur.Load())
		}
		return high - low
	}
	if one, two := spread(1), spread(2); two > 20 || one < 3*two {
		t.Errorf("servers differ by %d streams after single draws, by %d after two", one, two)
	}
}

// leastconn is as even as can be, always.
func TestLeastconnIsEven(t *testing.T) {
	list := servers(2, 1, 1)
	p := build("leastconn", 0, list)
	for n := 1; n <= 400; n++ {
		p.Pick(Query{}).Cur.Add(1)
		for _, s := range list {
			if d := float64(s.Cur.Load())/float64(s.Weight()) - float64(n)/4; math.Abs(d) > 1 {
				t.Fatalf("after %d streams %s is off by %.2f for its weight", n, s.Name, d)
			}
		}
	}
}

// Round robin is smooth: a server of weight w of a total of W waits for its next
// turn about W/w picks, and never twice as long, also right after weights change
// and servers come back.
func TestRoundRobinIsSmooth(t *testing.T) {
	for _, algorithm := range []string{"roundrobin", "static-rr"} {
		list := servers(4, 3, 2, 1)
		p := build(algorithm, 0, list)
		check := func(when string) {
			t.Helper()
			total := 0
			for _, s := range list {
				total += s.Weight()
			}
			last := map[*server.Server]int{}
			for n := 1; n <= 5*total; n++ {
				s := p.Pick(Query{})
				last[s] = n
				for _, o := range list {
					if o.Weight() > 0 && n-last[o] > 2*total/o.Weight()+1 {
						t.Fatalf("%s, %s: %s of weight %d of %d has waited for %d picks", algorithm, when, o.Name, o.Weight(), total, n-last[o])
					}
				}
			}
		}
		check("at first")
		change := func(when string, f func()) {
			f()
			p = build(algorithm, 0, list, p)
			check(when)
		}
		weigh := func(i, w int) func() {
			return func() { // by the configuration: that of static-rr cannot be changed otherwise
				set := *list[i].Settings()
				set.Weight = w
				list[i].Replace(time.Now(), &set)
			}
		}
		change("after more weight", weigh(3, 9))
		change("after less weight", weigh(0, 1))
		change("after a server left", func() { list[1].SetAdmin(time.Now(), server.ForcedMaint, 0, "") })
		change("after it came back", func() { list[1].SetAdmin(time.Now(), 0, server.ForcedMaint, "") })
	}
}

// A server that comes back takes its share, not all that comes: round robin and
// random know no debt. What leastconn gives it ends when it has as much as the
// others.
func TestNoFloodAfterRecovery(t *testing.T) {
	for _, c := range []struct {
		algorithm string
		most      int // of the first 100
	}{{"roundrobin", 34}, {"static-rr", 34}, {"random", 65}, {"leastconn", 67}} {
		list := servers(1, 1, 1)
		rnd := rand.New(rand.NewPCG(7, 8))
		list[2].SetAdmin(time.Now(), server.ForcedMaint, 0, "")
		p := build(c.algorithm, 2, list)
		for range 100 { // 50 streams stay on each of the two
			p.Pick(Query{Random: rnd.Uint64()}).Cur.Add(1)
		}
		list[2].SetAdmin(time.Now(), 0, server.ForcedMaint, "")
		back := build(c.algorithm, 2, list, p)
		n := 0
		for range 100 {
			s := back.Pick(Query{Random: rnd.Uint64()})
			s.Cur.Add(1)
			if s == list[2] {
				n++
			}
		}
		if n > c.most || n < 30 {
			t.Errorf("%s: the server that came back took %d of 100, want 30 to %d", c.algorithm, n, c.most)
		}
	}
}

// "first" fills a server before it touches the next, in the order of the servers.
func TestFirstFills(t *testing.T) {
	list := servers(1, 1, 1)
	for _, s := range list {
		s.Update(time.Now(), "", func(st *server.State) { st.MaxConn = 10 })
	}
	p := build("first", 0, list)
	for n := range 30 {
		s := p.Pick(Query{})
		if s != list[n/10] {
			t.Fatalf("stream %d goes to %s", n, s.Name)
		}
		s.Cur.Add(1)
	}
	if p.Pick(Query{}) != nil {
		t.Error("all are full")
	}
	list[0].Cur.Add(-1)
	if s := p.Pick(Query{}); s != list[0] {
		t.Errorf("the first has room, %s was taken", s.Name)
	}
}

// Full servers and the one to avoid are passed by, whatever the algorithm, as long
// as there is another.
func TestFullAndAvoided(t *testing.T) {
	for _, algorithm := range algorithms {
		list := servers(256, 1, 1)
		list[0].Update(time.Now(), "", func(st *server.State) { st.MaxConn = 1 })
		list[0].Cur.Store(1)
		p, rnd := build(algorithm, 2, list), rand.New(rand.NewPCG(9, 10))
		for range 2000 {
			if s := p.Pick(Query{Avoid: list[1], Random: rnd.Uint64()}); s != list[2] {
				t.Fatalf("%s: %s was taken", algorithm, s.Name)
			}
		}
	}
}

// sequences are whom HAProxy 3.4 chose of five servers for thirty requests, one
// after the other: algorithm, weights, servers that are down, choices.
//
//go:embed testdata/sequences.tsv
var sequences string

// TestSequencesAsHAProxy: the choices are the same, but that with unequal weights
// roundrobin only chooses each server as often, whatever the order within a round.
func TestSequencesAsHAProxy(t *testing.T) {
	weights := map[string][]int{"eq": {1, 1, 1, 1, 1}, "inc": {10, 20, 30, 40, 50}, "mix": {1, 256, 3, 0, 100}}
	for l := range strings.Lines(sequences) {
		f := strings.Split(strings.TrimSpace(l), "\t")
		list := servers(weights[f[1]]...)
		for _, down := range strings.Fields(strings.ReplaceAll(f[2], "s", " ")) {
			if down != "-" {
				list[down[0]-'1'].SetAdmin(time.Now(), server.ForcedMaint, 0, "")
			}
		}
		p := build(f[0], 0, list)
		got := ""
		for range 30 {
			s := p.Pick(Query{})
			got += string(s.Name[0] - 'a' + '1')
		}
		if f[1] == "eq" || f[0] != "roundrobin" {
			if got != f[3] {
				t.Errorf("%s %s %s: %s, want %s", f[0], f[1], f[2], got, f[3])
			}
			continue
		}
		for c := '1'; c <= '5'; c++ {
			n, want := strings.Count(got, string(c)), strings.Count(f[3], string(c))
			if n-want > 1 || want-n > 1 {
				t.Errorf("%s %s %s: server %c %d times in %s, HAProxy %d times in %s", f[0], f[1], f[2], c, n, got, want, f[3])
			}
		}
	}
}

// Of equally loaded servers each gets its turn.
func TestLeastconnTakesTurns(t *testing.T) {
	if got := picks(build("leastconn", 0, servers(1, 1, 1)), 7); got != "abcabca" {
		t.Errorf("%s", got)
	}
}

// A picker that replaces another goes on where that one was: else each change of a
// weight would begin with the first server.
func TestFollow(t *testing.T) {
	for _, algorithm := range []string{"roundrobin", "static-rr", "leastconn"} {
		list := servers(1, 1, 1)
		old := build(algorithm, 0, list)
		picks(old, 2)
		p := build(algorithm, 0, list, old)
		if got := picks(p, 3); got != "cab" {
			t.Errorf("%s goes on with %s", algorithm, got)
		}
		build(algorithm, 0, list, build("first", 0, list)) // which has no position
	}
}

// Who stands behind a server that is full has its own share only.
func TestSharesBesideAFullServer(t *testing.T) {
	for name, build := range map[string]Builder{"roundrobin": RoundRobin, "static-rr": StaticRR} {
		var list []*server.Server
		for i := range 4 {
			set := &server.Settings{Addr: reactor.Addr{IP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Port: 80}, Weight: 1, MaxConn: 1}
			if i > 0 {
				set.MaxConn = 0
			}
			list = append(list, server.New("b", strconv.Itoa(i), i+1, 1, set, time.Now()))
		}
		list[0].Cur.Store(1)
		p := build(&Config{}, Set{list, Active(list, false)}, nil)
		got := map[string]int{}
		for range 300 {
			got[p.Pick(Query{}).Name]++
		}
		if got["1"] != 100 || got["2"] != 100 || got["3"] != 100 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
