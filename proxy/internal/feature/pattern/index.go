package pattern

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// index is the entries of a version by one shape of their keys.
type index struct {
	shape shape
	table table
	lens  lengths
	odds  atomic.Pointer[odd] // in the order of the entries
	last  *odd
}

// odd is an entry that no table can have: a range of numbers, a mask with gaps, a
// regular expression.
type odd struct {
	next       atomic.Pointer[odd]
	e          *Entry
	low, high  int64
	addr, mask uint32
	re         *Regexp
	must       literal
}

func (x *index) add(e *Entry, p parsed) {
	if p.odd == nil {
		x.lens.add(p.length)
		x.table.add(p.norm, e)
		return
	}
	p.odd.e = e
	if x.last == nil {
		x.odds.Store(p.odd)
	} else {
		x.last.next.Store(p.odd)
	}
	x.last = p.odd
}

// fill adds the entries of a file to an index that nobody reads yet. It goes
// backwards, so that what comes first is in front without a search.
func (x *index) fill(entries []Entry, names lookup) {
	var short [ofIPv6 + 129]int // how many normal forms there are of a length
	into := &room{chunk: min(8*len(entries), maxChunk)}
	items := x.table.fresh(len(entries))
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		p, err := e.form(x.shape, nil, into)
		if err != nil { // a name that was resolved; all else was refused before
			if p, err = e.form(x.shape, names, into); err != nil {
				continue
			}
			kept := p
			e.special = &kept
		}
		switch {
		case p.odd != nil:
			p.odd.e = e
			p.odd.next.Store(x.odds.Load())
			x.odds.Store(p.odd)
			if x.last == nil {
				x.last = p.odd
			}
			continue
		case p.length < len(short):
			short[p.length]++
		default:
			x.lens.addMany(p.length, 1)
		}
		x.table.push(&items[i], p.norm, e)
	}
	for n, count := range short {
		if count > 0 {
			x.lens.addMany(n, count)
		}
	}
	x.lens.publish()
}

// remove takes an entry out, if it is there.
func (x *index) remove(e *Entry) {
	if x.shape == asRegexp || x.shape == asRegexpFolded {
		x.removeOdd(e)
	} else if p, err := e.form(x.shape, nil, nil); err == nil && p.odd != nil {
		x.removeOdd(e)
	} else if err == nil && x.table.remove(p.norm, e) {
		x.lens.remove(p.length)
	}
}

func (x *index) removeOdd(e *Entry) {
	var before *odd
	for o := x.odds.Load(); o != nil; before, o = o, o.next.Load() {
		if o.e != e {
			continue
		}
		if before == nil {
			x.odds.Store(o.next.Load())
		} else {
			before.next.Store(o.next.Load())
		}
		if x.last == o {
			x.last = before
		}
		return
	}
}

const (
	few    = 8   // entries that are compared one by one rather than looked up
	folded = 512 // bytes of a value that are folded to be looked up
)

// text gives the entry that b, a text, matches: of those whose key b begins with
// the one with the longest key if the case is minded, otherwise the first one.
func (x *index) text(m Method, v *version, b []byte) *Entry {
	n := int(v.n.Load())
	if n <= few {
		return x.scan(m, v, b)
	}
	lens := x.lens.list()
	if len(lens) == 0 {
		return nil
	}
	if most := lens[len(lens)-1]; m == Beg && len(b) > most {
		b = b[:most]
	}
	// What it takes, in steps of a few nanoseconds.
	probes := len(lens)
	switch m {
	case Sub:
		probes *= len(b) + 1
	case Dir, Dom:
		probes *= 1 + parts(b, x.shape.delims())
	}
	if m != Str && n*(2+len(b)/32) < probes*4 {
		return x.scan(m, v, b)
	}
	if !x.shape.folded() {
		return x.probe(m, b, lens)
	}
	if len(b) > folded {
		return x.scan(m, v, b)
	}
	var low [folded]byte
	for i, c := range b {
		low[i] = lower(c)
	}
	return x.probe(m, low[:len(b)], lens)
}

func parts(b []byte, delims string) (n int) {
	for _, c := range b {
		if strings.IndexByte(delims, c) >= 0 {
			n++
		}
	}
	return n
}

// scan compares b with one entry after the other.
func (x *index) scan(m Method, v *version, b []byte) (best *Entry) {
	fold := x.shape.folded()
	for e := v.head.Load(); e != nil; e = e.next.Load() {
		if !matches(m, fold, b, e.Key) {
			continue
		}
		if m != Beg || fold {
			return e
		}
		if best == nil || len(e.Key) > len(best.Key) {
			best = e
		}
	}
	return best
}

// probe looks up every part of b that may be a key.
func (x *index) probe(m Method, b []byte, lens []int) *Entry {
	switch m {
	case Str:
		return x.lookup(b)
	case Beg:
		return x.beginning(b, lens)
	case End:
		return x.ending(b, lens)
	case Sub:
		return x.inside(b, lens)
	case Dir, Dom:
		return x.between(b, lens, x.shape.delims())
	}
	return nil
}

// beginning looks for the longest key that b begins with.
func (x *index) beginning(b []byte, lens []int) (best *Entry) {
	for i := len(lens) - 1; i >= 0; i-- {
		if lens[i] > len(b) {
			continue
		}
		if e := x.lookup(b[:lens[i]]); e != nil && !x.shape.folded() {
			return e
		} else if e.before(best) {
			best = e
		}
	}
	return best
}

func (x *index) ending(b []byte, lens []int) (best *Entry) {
	for _, n := range lens {
		if n > len(b) {
			break
		}
		if e := x.lookup(b[len(b)-n:]); e.before(best) {
			best = e
		}
	}
	return best
}

func (x *index) inside(b []byte, lens []int) (best *Entry) {
	for _, n := range lens {
		for i := 0; i+n <= len(b); i++ {
			if e := x.lookup(b[i : i+n]); e.before(best) {
				best = e
			}
		}
	}
	return best
}

// between looks for keys that stand between delimiters, or the ends of b.
func (x *index) between(b []byte, lens []int, delims string) (best *Entry) {
	delimits := func(i int) bool { return i < 0 || i >= len(b) || strings.IndexByte(delims, b[i]) >= 0 }
	for i := 0; i <= len(b); i++ {
		if !delimits(i - 1) {
			continue
		}
		for _, n := range lens {
			if i+n > len(b) {
				break
			}
			if !delimits(i + n) {
				continue
			}
			if e := x.lookup(b[i : i+n]); e.before(best) {
				best = e
			}
		}
	}
	return best
}

func (x *index) lookup(norm []byte) *Entry { return x.table.find(maphash.Bytes(seed, norm), norm) }

func (x *index) number(n int64) *Entry {
	var best *Entry
	if len(x.lens.list()) > 0 {
		k := numberKey(n)
		best = x.lookup(k[:])
	}
	for o := x.odds.Load(); o != nil; o = o.next.Load() {
		if o.low <= n && n <= o.high {
			if o.e.before(best) {
				best = o.e
			}
			break
		}
	}
	return best
}

// addr gives the entry of the longest prefix that an address is in (7.1.6).
func (x *index) addr(v *sample.Value) *Entry {
	a := v.Addr
	switch v.Type {
	case sample.Addr:
	case sample.Str:
		var err error
		// Only the error, which goes, keeps the text.
		if a, err = netip.ParseAddr(unsafe.String(unsafe.SliceData(v.Bytes), len(v.Bytes))); err != nil {
			return nil
		}
	default:
		return nil
	}
	if e := x.covering(a); e != nil {
		return e
	}
	other, ok := netip.AddrFrom16(a.As16()), true // of IPv6 patterns, with ::ffff: in front
	if a.Is6() {
		other, ok = inside(a)
	}
	if ok {
		if e := x.covering(other); e != nil {
			return e
		}
	}
	if a.Is6() {
		if !ok {
			return nil
		}
		a = other
	}
	return x.masked(a)
}

func (x *index) covering(a netip.Addr) *Entry {
	lens := x.lens.list()
	for i := len(lens) - 1; i >= 0; i-- {
		if a.Is6() != (lens[i] >= ofIPv6) {
			continue
		}
		k, n := addrKey(a, lens[i]%ofIPv6)
		if e := x.lookup(k[:n]); e != nil {
			return e
		}
	}
	return nil
}

func (x *index) masked(a netip.Addr) *Entry {
	if x.odds.Load() == nil || !a.Is4() {
		return nil
	}
	four := a.As4()
	n := uint32(four[0])<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
	for o := x.odds.Load(); o != nil; o = o.next.Load() {
		if n&o.mask == o.addr {
			return o.e
		}
	}
	return nil
}

func (x *index) regexp(b []byte) *odd {
	for o := x.odds.Load(); o != nil; o = o.next.Load() {
		if o.must.possible(b) && o.re.Match(b) {
			return o
		}
	}
	return nil
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// matches compares b with a key.
func matches(m Method, fold bool, b []byte, key string) bool {
	switch m {
	case Str:
		return len(b) == len(key) && equal(b, key, fold)
	case Beg:
		return len(b) >= len(key) && equal(b[:len(key)], key, fold)
	case End:
		return len(b) >= len(key) && equal(b[len(b)-len(key):], key, fold)
	case Sub:
		if !fold {
			return bytes.Contains(b, unsafe.Slice(unsafe.StringData(key), len(key)))
		}
		for i := 0; i+len(key) <= len(b); i++ {
			if equal(b[i:i+len(key)], key, fold) {
				return true
			}
		}
		return false
	case Dir, Dom:
		return between(b, key, shapeOf(m, fold).delims(), fold)
	}
	return false
}

// equal compares texts of the same length.
func equal(b []byte, key string, fold bool) bool {
	if !fold {
		return string(b) == key
	}
	for i, c := range b {
		if lower(c) != lower(key[i]) {
			return false
		}
	}
	return true
}

// between tells whether key stands in b between delimiters or the ends.
func between(b []byte, key, delims string, fold bool) bool {
	key = strings.Trim(key, delims)
	for i := 0; i+len(key) <= len(b); i++ {
		if i > 0 && strings.IndexByte(delims, b[i-1]) < 0 {
			continue
		}
		if end := i + len(key); end < len(b) && strings.IndexByte(delims, b[end]) < 0 {
			continue
		}
		if equal(b[i:i+len(key)], key, fold) {
			return true
		}
	}
	return false
}
