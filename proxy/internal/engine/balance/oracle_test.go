package balance

import (
	_ "embed"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// choices are what HAProxy 3.4 chose of five servers, keys the keys that it was
// given: see the comment at their top.
var (
	//go:embed testdata/choices.tsv
	choices string
	//go:embed testdata/keys.tsv
	keys string
)

// hashType reads the arguments of "hash-type".
func hashType(text string) (h HashType) {
	w := strings.Fields(text)
	if text == "-" {
		return h
	}
	h.Consistent = w[0] == "consistent"
	h.Avalanche = h.Consistent && len(w) == 1 || len(w) == 3
	if len(w) > 1 {
		h.Sum = Functions[w[1]]
	}
	return h
}

// five are the servers of the recorded choices.
func five(weights []int, by HashKey, down, guid string) []*server.Server {
	var list []*server.Server
	for i, w := range weights {
		set := &server.Settings{
			Addr: reactor.Addr{IP: netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), Port: uint16(36101 + i)}, Weight: w, HashKey: by, GUID: guid + strconv.Itoa(i+1),
			Disabled: strings.Contains(down, "s"+strconv.Itoa(i+1)),
		}
		list = append(list, server.New("b", strconv.Itoa(i+1), i+1, 1, set, time.Now()))
	}
	return list
}

var weightsOf = map[string][]int{"eq": {1, 1, 1, 1, 1}, "inc": {10, 20, 30, 40, 50}, "mix": {1, 256, 3, 0, 100}}

// unescape undoes the escapes of the recorded files.
func unescape(t *testing.T, s string) []byte {
	t.Helper()
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func TestSameServerForTheSameKey(t *testing.T) {
	sets := map[string][][]byte{}
	for l := range strings.Lines(keys) {
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		sets[f[0]] = append(sets[f[0]], unescape(t, f[2]))
	}
	factors := map[string]int{"hash-balance-factor 125": 125, "hash-balance-factor 200": 200}
	rows := 0
	for l := range strings.Lines(choices) {
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		if strings.HasPrefix(l, "#") || f[0] == "balance" {
			continue
		}
		c := &Config{Hash: hashType(f[1]), Factor: factors[f[3]]}
		by := HashKey(max(slices.Index([]string{"id", "addr", "addr-port", "id32", "guid"}, f[2]), 0))
		list := five(weightsOf[f[4]], by, f[5], "g"+strings.ReplaceAll(f[1], " ", "")+f[4]+strings.Trim(f[5], "-")+"-s")
		p := ByKey(c, Set{list, Active(list, false)}, nil)
		got := ""
		pick := func(q Query) { got += p.Pick(q).Name }
		if f[6] == "seq" { // the header is missing
			for range 30 {
				pick(Query{})
			}
		}
		for _, k := range sets[f[6]] {
			n := c.Hash.Hash(k)
			if f[0] == "source" {
				text, _, _ := strings.Cut(string(k), " ")
				n = c.Hash.Address(netip.MustParseAddr(text))
			}
			pick(Query{Hash: n, Keyed: true})
		}
		if got != f[7] {
			t.Errorf("%s: %s, HAProxy %s", strings.Join(f[:7], " | "), got, f[7])
		}
		rows++
	}
	if rows < 300 {
		t.Errorf("only %d rows", rows)
	}
}

// A ring that was changed step by step is the ring that would be made at once, and the
// places of servers that do not count are passed by.
func TestRingAfterChanges(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	c := &Config{Hash: HashType{Consistent: true}}
	var list []*server.Server
	add := func(id int) {
		set := &server.Settings{Addr: reactor.Addr{IP: netip.AddrFrom4([4]byte{10, 0, byte(id >> 8), byte(id)}), Port: 80}, Weight: 1 + rnd.IntN(30), GUID: strconv.Itoa(id), HashKey: HashKey(rnd.IntN(5))}
		list = append(list, server.New("b", strconv.Itoa(id), id, 1, set, time.Now()))
	}
	for id := range 20 {
		add(id + 1)
	}
	var p Picker
	shared := 0
	for step := range 200 {
		s := list[rnd.IntN(len(list))]
		switch rnd.IntN(6) {
		case 0:
			s.SetAdmin(time.Now(), server.ForcedMaint, 0, "")
		case 1, 2:
			s.SetAdmin(time.Now(), 0, server.ForcedMaint, "")
		case 3:
			s.Update(time.Now(), "", func(st *server.State) { st.UserWeight = rnd.IntN(60) })
		case 4:
			s.Update(time.Now(), "", func(st *server.State) { st.Addr.Port++ })
		case 5:
			if k := rnd.IntN(len(list)); len(list) > 10 && rnd.IntN(2) == 0 {
				list = slices.Delete(slices.Clone(list), k, k+1)
			} else {
				list = slices.Clone(list)
				add(100 + step)
			}
		}
		set := Set{list, Active(list, false)}
		old := p
		p = ByKey(c, set, old)
		if o, ok := old.(*ring); ok && len(o.places) > 0 && &o.places[0] == &p.(*ring).places[0] {
			shared++
		}
		fresh := ByKey(c, set, nil)
		for range 100 {
			q := Query{Hash: rnd.Uint32(), Keyed: true}
			if a, b := p.Pick(q), fresh.Pick(q); a != b {
				t.Fatalf("step %d: key %d goes to %s, and to %s on a new ring", step, q.Hash, a.Name, b.Name)
			}
		}
	}
	if shared < 50 {
		t.Errorf("the places were made anew by all but %d of 200 changes", shared)
	}
}

// A server that leaves takes only its own keys with it.
func TestConsistency(t *testing.T) {
	list := five([]int{10, 10, 10, 10, 10}, server.ByID, "-", "")
	c := &Config{Hash: HashType{Consistent: true}}
	p := ByKey(c, Set{list, list}, nil)
	list[2].SetAdmin(time.Now(), server.ForcedMaint, 0, "")
	without := ByKey(c, Set{list, Active(list, false)}, p)
	for n := uint32(0); n < 1<<32-1<<20; n += 1 << 20 {
		a, b := p.Pick(Query{Hash: n, Keyed: true}), without.Pick(Query{Hash: n, Keyed: true})
		if a != list[2] && a != b || b == list[2] {
			t.Fatalf("key %d goes from %s to %s", n, a.Name, b.Name)
		}
	}
}

// Saturated servers are passed by as hash-preserve-affinity says.
func TestAffinity(t *testing.T) {
	for _, c := range []struct {
		affinity       Affinity
		cur, queued, q int64
		leaves         bool
	}{
		{Always, 5, 9, 9, false}, {IfMaxConn, 4, 0, 0, false}, {IfMaxConn, 5, 0, 0, true},
		{IfMaxQueue, 5, 8, 9, false}, {IfMaxQueue, 5, 9, 9, true}, {IfMaxQueue, 5, 9, 0, false},
	} {
		list := five([]int{1, 1, 1, 1, 1}, server.ByID, "-", "")
		p := ByKey(&Config{Hash: HashType{Consistent: true}, Affinity: c.affinity}, Set{list, list}, nil)
		q := Query{Hash: 12345, Keyed: true}
		s := p.Pick(q)
		for _, o := range list {
			set := *o.Settings()
			set.MaxConn, set.MaxQueue = 5, int(c.q)
			o.Replace(time.Now(), &set)
		}
		s.Cur.Store(c.cur)
		s.Queued.Store(c.queued)
		if left := p.Pick(q) != s; left != c.leaves {
			t.Errorf("%+v: left %v", c, left)
		}
		for _, o := range list {
			o.Cur.Store(c.cur)
			o.Queued.Store(c.queued)
		}
		if p.Pick(q) == nil {
			t.Errorf("%+v: none, though the key may wait", c)
		}
	}
}

func TestKeyedPickDoesNotAllocate(t *testing.T) {
	list := five([]int{10, 20, 30, 40, 50}, server.ByID, "-", "")
	key := []byte("/a/b")
	for _, consistent := range []bool{false, true} {
		c := &Config{Hash: HashType{Consistent: consistent}, Factor: 150}
		p := ByKey(c, Set{list, list}, nil)
		if n := testing.AllocsPerRun(100, func() { p.Pick(Query{Hash: c.Hash.Hash(key), Keyed: true}) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkRing1000(b *testing.B) {
	list := servers(slices.Repeat([]int{100}, 1000)...)
	c := &Config{Hash: HashType{Consistent: true}}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			ByKey(c, Set{list, list}, nil)
		}
	})
	p := ByKey(c, Set{list, list}, nil)
	b.Run("server down", func(b *testing.B) {
		for b.Loop() {
			ByKey(c, Set{list, list[1:]}, p)
		}
	})
	more := append(slices.Clone(list), servers(100)...)
	more[1000].ID = 1001
	b.Run("server added", func(b *testing.B) {
		for b.Loop() {
			ByKey(c, Set{more, more}, p)
		}
	})
	b.Run("pick", func(b *testing.B) {
		n := uint32(0)
		for b.Loop() {
			n += 2654435761
			p.Pick(Query{Hash: n, Keyed: true})
		}
	})
	b.Run("table new", func(b *testing.B) {
		for b.Loop() {
			ByKey(&Config{}, Set{list, list}, nil)
		}
	})
}
