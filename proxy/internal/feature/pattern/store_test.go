package pattern

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// naive finds an entry by comparing with all of them.
func naive(m *Matcher, v *sample.Value) (best *Entry) {
	bits := -1
	for e := m.list.store.cur.Load().head.Load(); e != nil; e = e.Next() {
		switch m.Method {
		case Int, Len:
			n, _ := v.Number()
			if m.Method == Len {
				n = int64(len(v.Line()))
			}
			if low, high, err := parseSpan(e.Key); err == nil && low <= n && n <= high {
				return e
			}
		case IP:
			p := netip.MustParsePrefix(e.Key)
			if p.Contains(v.Addr) && p.Bits() > bits {
				best, bits = e, p.Bits()
			}
		default:
			if !matches(m.Method, m.Fold, v.Line(), e.Key) {
				continue
			}
			if m.Method != Beg || m.Fold {
				return e
			}
			if best == nil || len(e.Key) > len(best.Key) {
				best = e
			}
		}
	}
	return best
}

// word is a short text of few letters: keys and values often have parts in common.
func word(r *rand.Rand) string {
	b := make([]byte, r.IntN(7))
	for i := range b {
		b[i] = "abAB/.:?"[r.IntN(8)]
	}
	return string(b)
}

// Whatever is added, changed and taken out, the indexes find what comparing with
// all entries finds.
func TestIndexesAgreeWithComparing(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := &List{live: new(live), Pairs: true}
		l.ready()
		var ms []*Matcher
		for _, m := range []Method{Str, Beg, End, Sub, Dir, Dom} {
			ms = append(ms, l.matcher(Use{Method: m, Fold: false, Out: OutStr}), l.matcher(Use{Method: m, Fold: true, Out: OutKey}))
		}
		var keys []string
		for range 3000 {
			switch n := r.IntN(20); {
			case n < 9 && len(keys) < 40*int(seed+1):
				k := word(r)
				if err := l.Append(l.Current(), k, "v"); err != nil {
					t.Fatal(err)
				}
				keys = append(keys, k)
			case n < 14 && len(keys) > 0:
				k := keys[r.IntN(len(keys))]
				before := len(keys)
				keys = slices.DeleteFunc(keys, func(o string) bool { return o == k })
				if got := l.Delete(k); got != before-len(keys) {
					t.Fatalf("seed %d: %q deleted %d times, want %d", seed, k, got, before-len(keys))
				}
			case n == 14 && r.IntN(20) == 0:
				l.Clear(l.Current())
				keys = nil
			}
			if l.Len() != len(keys) {
				t.Fatalf("seed %d: %d entries, want %d", seed, l.Len(), len(keys))
			}
			m := ms[r.IntN(len(ms))]
			v := str(word(r) + word(r))
			if got, want := m.Find(v), naive(m, v); got != want {
				t.Fatalf("seed %d: %s fold %v of %q among %q: %v, want %v", seed, m.Method, m.Fold, v.Bytes, keys, got, want)
			}
		}
		l.checkBooks(t)
	}
}

// checkBooks holds the indexes beside the list.
func (l *List) checkBooks(t *testing.T) {
	t.Helper()
	v := l.store.cur.Load()
	n := 0
	for e := v.head.Load(); e != nil; e = e.Next() {
		n++
	}
	if int64(n) != v.n.Load() {
		t.Errorf("%d entries in the row, %d counted", n, v.n.Load())
	}
	for i := range v.by {
		x := v.by[i].Load()
		if x == nil {
			continue
		}
		odds := 0
		for o := x.odds.Load(); o != nil; o = o.next.Load() {
			odds++
		}
		lens := 0
		for _, c := range x.lens.count {
			lens += c
		}
		if x.table.n+odds != n || lens != x.table.n {
			t.Errorf("shape %d: %d in the table, %d beside it, %d lengths; %d entries", i, x.table.n, odds, lens, n)
		}
	}
}

func TestNumbersAndAddresses(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	numbers := &List{live: new(live)}
	numbers.ready()
	ints, lens := numbers.matcher(Use{Method: Int, Fold: false, Out: Nothing}), numbers.matcher(Use{Method: Len, Fold: false, Out: Nothing})
	addrs := &List{live: new(live)}
	addrs.ready()
	ips := addrs.matcher(Use{Method: IP, Fold: false, Out: Nothing})
	for range 300 {
		a := r.IntN(60)
		numbers.Append(0, fmt.Sprint(a), "")
		if r.IntN(9) == 0 {
			numbers.Append(0, fmt.Sprintf("%d:%d", a, a+r.IntN(5)), "")
		}
		var b [4]byte
		b[0], b[1] = 10, byte(r.IntN(4))
		p := netip.PrefixFrom(netip.AddrFrom4(b), r.IntN(33)).Masked()
		addrs.Append(0, p.String(), "")
		if r.IntN(3) == 0 {
			numbers.Delete(fmt.Sprint(r.IntN(60)))
			addrs.Delete(p.String())
		}
		v := &sample.Value{Type: sample.Int, Int: int64(r.IntN(70))}
		for _, m := range []*Matcher{ints, lens} {
			if got, want := m.Find(v), naive(m, v); got != want {
				t.Fatalf("%s of %d: %v, want %v", m.Method, v.Int, got, want)
			}
		}
		b[2] = byte(r.IntN(3))
		w := &sample.Value{Type: sample.Addr, Addr: netip.AddrFrom4(b)}
		got, want := ips.Find(w), naive(ips, w)
		if (got == nil) != (want == nil) || got != nil && got.Key != want.Key {
			t.Fatalf("%s: %v, want %v", w.Addr, got, want)
		}
	}
	numbers.checkBooks(t)
	addrs.checkBooks(t)
}

// A table gives back what it took, in small steps.
func TestTableGrowsAndShrinks(t *testing.T) {
	x := New(Str, false)
	const n = 20000
	for i := range n {
		x.Add(fmt.Sprint(i))
	}
	table := &x.list.store.cur.Load().by[asText].Load().table
	big := len(table.slots.Load().cur)
	if big < n/2 {
		t.Errorf("%d slots for %d entries", big, n)
	}
	for i := range n {
		if x.Find(str(fmt.Sprint(i))) == nil {
			t.Fatal(i, "is lost")
		}
	}
	for i := range n {
		listOf(x).Delete(fmt.Sprint(i))
		if i%997 == 0 && i+1 < n && x.Find(str(fmt.Sprint(n-1))) == nil {
			t.Fatal("lost while it shrinks")
		}
	}
	if s := len(table.slots.Load().cur); s > 64 {
		t.Errorf("%d slots for no entry", s)
	}
}

func TestVersions(t *testing.T) {
	x := loaded(Str, "a 1\nb 2\na 3\n")
	l := listOf(x)
	value := func(key string) string {
		if e := x.Find(str(key)); e != nil {
			return e.Value()
		}
		return "-"
	}
	if value("a") != "1" || l.Len() != 3 {
		t.Error("the first entry of a key counts", value("a"))
	}
	if err := l.Append(9, "z", "1"); err != ErrFuture {
		t.Error(err)
	}
	one, two := l.Prepare(), l.Prepare()
	l.Append(one, "n", "new")
	l.Append(two, "m", "newer")
	if cur, next, n := l.State(); cur != 0 || next != 2 || n != 5 {
		t.Error(cur, next, n)
	}
	if value("n") != "-" || value("a") != "1" {
		t.Error("a version shows before its time")
	}
	if l.Commit(3) == nil || l.Commit(0) == nil || l.Commit(one) != nil || l.Commit(one) == nil {
		t.Error("commits of what there is not")
	}
	if value("n") != "new" || value("a") != "-" {
		t.Error("the version is not in force")
	}
	if cur, next, n := l.State(); cur != 1 || next != 2 || n != 2 {
		t.Error(cur, next, n)
	}
	e := l.First(two)
	if e == nil || e.Key != "m" || l.First(77) != nil {
		t.Error("the version that waits")
	}
	if l.DeleteEntry(e) == nil || l.SetEntry(e, "x") == nil {
		t.Error("an entry of a version that waits is changed by its number")
	}
	l.Clear(two)
	if l.Commit(two) != nil || l.Len() != 0 {
		t.Error("a version that was cleared is not empty")
	}
	// A version takes those before it along, that nobody committed.
	for range 3 {
		older, newer := l.Prepare(), l.Prepare()
		l.Append(older, "x", "1")
		l.Append(newer, "y", "1")
		if l.Commit(newer) != nil || l.Commit(older) == nil || l.First(older) != nil {
			t.Error("an older version outlives the commit of a newer one")
		}
		if cur, next, n := l.State(); cur != newer || next != newer || n != 1 {
			t.Error(cur, next, n)
		}
	}
	l.Clear(l.store.cur.Load().number)
	l.Put("k", "1")
	l.Put("k", "2")
	if value("k") != "2" || l.Len() != 1 || !l.Has([]byte("k"), []byte("2")) || l.Has([]byte("k"), []byte("1")) {
		t.Error(value("k"), l.Len())
	}
}

// Values must be what those who use the list can read; nothing is changed otherwise.
func TestValuesAreChecked(t *testing.T) {
	x := loaded(Str, "a 1\n")
	l := listOf(x)
	n := l.matcher(Use{Method: Str, Fold: false, Out: OutInt})
	for _, err := range []error{l.Append(0, "b", "x"), l.Put("a", "x"), func() error { _, err := l.Set("a", "1.2"); return err }()} {
		if err == nil || !strings.HasPrefix(err.Error(), "unable to parse '") {
			t.Error(err)
		}
	}
	if n.Find(str("a")).Value() != "1" || n.Find(str("b")) != nil {
		t.Error("something was changed")
	}
}

// One more way to match is found for a list that changes all the time.
func TestIndexOfALivingList(t *testing.T) {
	l := listOf(loaded(Str, million(5000, hostname)))
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := 0; !stop.Load(); i++ {
			l.Put("a"+hostname(i%700), "x")
			l.Delete(hostname(i * 37 % 5000))
			l.Delete("a" + hostname((i+350)%700))
			l.Append(l.Current(), hostname(i*37%5000), "y")
		}
	}()
	var ms []*Matcher
	for _, m := range []Method{Dom, Dir, Len, Reg, IP} {
		if m == Len || m == IP {
			if l.store.index(shapeOf(m, false)) == nil {
				t.Error("host names are taken for", m)
			}
			continue
		}
		for _, fold := range []bool{false, true} {
			if err := l.store.index(shapeOf(m, fold)); err != nil {
				t.Fatal(err)
			}
			ms = append(ms, &Matcher{list: l.live, Method: m, Fold: fold, shape: shapeOf(m, fold)})
		}
	}
	stop.Store(true)
	wg.Wait()
	l.checkBooks(t)
	if e := ms[0].Find(str("x." + hostname(4999))); e == nil {
		t.Error("not found by domain")
	}
}

// Readers find what is there all the time, whatever is changed beside it.
func TestReadersNeverMiss(t *testing.T) {
	x := loaded(Str, million(300, hostname))
	l := listOf(x)
	beg := l.matcher(Use{Method: Beg, Fold: false, Out: OutStr})
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; !stop.Load(); i++ {
				key := hostname(i % 300)
				if x.Find(str(key)) == nil || beg.Find(str(key+":80")) == nil {
					t.Error(key, "is not found")
					return
				}
			}
		}()
	}
	for i := range 30000 {
		key := fmt.Sprint("other", i)
		if i >= 2000 {
			l.Delete(fmt.Sprint("other", i-2000))
		}
		l.Put(key, "v")
		if i%1000 == 0 {
			v := l.Prepare()
			for n := range 300 {
				l.Append(v, hostname(n), "w")
			}
			if err := l.Commit(v); err != nil {
				t.Error(err)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	l.checkBooks(t)
}

func TestFindDoesNotAllocate(t *testing.T) {
	for _, n := range []int{3, 3000} {
		for _, m := range []Method{Str, Beg, End, Sub, Dir, Dom} {
			for _, fold := range []bool{false, true} {
				x := listOf(loaded(m, million(n, hostname))).matcher(Use{Method: m, Fold: fold, Out: Nothing})
				v := str(hostname(2))
				if got := testing.AllocsPerRun(100, func() { x.Find(v) }); got > 0 || x.Find(v) == nil {
					t.Errorf("%s fold %v among %d: %v allocations", m, fold, n, got)
				}
			}
		}
		x := loaded(IP, million(n, address))
		v := str(strings.TrimSuffix(address(2), "/24"))
		if got := testing.AllocsPerRun(100, func() { x.Find(v) }); got > 0 || x.Find(v) == nil {
			t.Errorf("addresses among %d: %v allocations", n, got)
		}
	}
}

func TestMaskWithGaps(t *testing.T) {
	x := loaded(IP, "10.0.7.0/255.0.255.0 gap\n10.1.0.0/16 net\n")
	for a, want := range map[string]string{"10.9.7.1": "gap", "10.1.7.1": "net", "10.9.8.1": "", "::ffff:10.9.7.1": "gap"} {
		got := ""
		if e := x.Find(str(a)); e != nil {
			got = e.Value()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", a, got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string][2]int64{
		"5": {5, 5}, "1:3": {1, 3}, "1-3": {1, 3}, ":3": {least, 3}, "-3": {least, 3}, "3:": {3, most}, "3-": {3, most}, ":-1": {least, -1}, "0:-1": {}, "": {}, ":": {}, "x": {}, "+5": {}, "1:+2": {}, "3:1": {},
	} {
		low, high, err := parseSpan(text)
		if (err != nil) != (want == [2]int64{}) || err == nil && [2]int64{low, high} != want {
			t.Errorf("%q: %d to %d, %v", text, low, high, err)
		}
	}
}

// The text that an expression needs is looked for first; it never hides a match.
func TestRequired(t *testing.T) {
	for expr, want := range map[string]string{
		"^/api/v[0-9]+/": "^/api/v", "abc": "abc", "(?i)abc": "", "a|b": "", "[0-9]+\\.php$": ".php", "^(foo)?bar": "bar", "x*": "", "\uFFFDx": "",
	} {
		l := required(expr)
		got := string(l.text)
		if l.first {
			got = "^" + got
		}
		if got != want {
			t.Errorf("%s needs %q, want %q", expr, got, want)
		}
	}
}

// FuzzLines: any file is read or refused, and what was read is found again.
func FuzzLines(f *testing.F) {
	f.Add("a 1\n# c\n  b\t2  \r\n", true, uint8(0))
	f.Add("10.0.0.0/8\n::1\n", false, uint8(1))
	f.Add("1:5\n-3\n", false, uint8(2))
	f.Add("^a+$ x\n", true, uint8(3))
	f.Add("00ff\n/a/ x", true, uint8(4))
	methods := []Method{Str, IP, Int, Reg, Bin, Dom, Beg, Len}
	f.Fuzz(func(t *testing.T, content string, pairs bool, method uint8) {
		m := methods[int(method)%len(methods)]
		l := &List{live: new(live), Name: "f", Pairs: pairs, content: content}
		x := l.matcher(Use{Method: m, Fold: false, Out: OutStr})
		if l.validate(x, content, nil) != nil {
			return
		}
		n := 0
		lines(content, pairs, func(_ int, key, _ string) error { n++; return nil })
		l.ready()
		if l.Len() != n {
			t.Fatalf("%d of %d entries", l.Len(), n)
		}
		l.checkBooks(t)
		for e := l.First(0); e != nil; e = e.Next() {
			if m == Str && x.Find(str(e.Key)) == nil {
				t.Fatalf("%q is not found", e.Key)
			}
			l.DeleteEntry(e)
		}
		if l.Len() != 0 {
			t.Fatal("entries stay")
		}
		l.checkBooks(t)
	})
}
