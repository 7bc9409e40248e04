// Package pattern matches values against lists of patterns, see chapter 7.1 of
// the manual: exact strings, beginnings, substrings, regular expressions,
// numbers and addresses.
//
// A [List] is compiled once and matched without allocation. Exact strings are in
// a map and addresses sorted, so that long lists cost no more than short ones.
// The package knows no exchange and no configuration.
package pattern

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// Method is a way of matching ("-m").
type Method string

// Methods.
const (
	Found Method = "found"
	Bool  Method = "bool"
	Int   Method = "int"
	IP    Method = "ip"
	Bin   Method = "bin"
	Len   Method = "len"
	Str   Method = "str"
	Beg   Method = "beg"
	Sub   Method = "sub"
	Dir   Method = "dir"
	Dom   Method = "dom"
	End   Method = "end"
	Reg   Method = "reg"
)

// Valid tells whether m is a method.
func (m Method) Valid() bool {
	switch m {
	case Found, Bool, Int, IP, Bin, Len, Str, Beg, Sub, Dir, Dom, End, Reg:
		return true
	}
	return false
}

// Default is the method for values of a type when nothing else is said, if there
// is one.
func Default(t sample.Type) (Method, bool) {
	switch t {
	case sample.Bool:
		return Bool, true
	case sample.Int:
		return Int, true
	case sample.Addr:
		return IP, true
	case sample.Str, sample.Meth:
		return Str, true
	}
	return "", false
}

// List is a compiled list of patterns.
type List struct {
	method Method
	fold   bool
	n      int

	exact    map[string]struct{}
	texts    [][]byte
	regs     []*regexp.Regexp
	ranges   []span
	prefixes []addrRange
	sorted   bool
}

type span struct{ low, high int64 }

// addrRange is an address prefix as the range of addresses that it covers.
type addrRange struct{ low, high netip.Addr }

// New makes an empty list. fold ignores case ("-i").
func New(m Method, fold bool) *List {
	return &List{method: m, fold: fold, exact: map[string]struct{}{}}
}

// Method is the way that the list matches.
func (l *List) Method() Method { return l.method }

// Len is the number of patterns.
func (l *List) Len() int { return l.n }

// Add adds a pattern. A mistake in it is returned.
func (l *List) Add(p string) error {
	l.n++
	switch l.method {
	case Found, Bool:
		return nil
	case Int, Len:
		s, err := parseSpan(p)
		if err != nil {
			return err
		}
		l.ranges = append(l.ranges, s)
	case IP:
		r, err := parsePrefix(p)
		if err != nil {
			return err
		}
		l.prefixes = append(l.prefixes, r)
		l.sorted = false
	case Reg:
		flags := ""
		if l.fold {
			flags = "(?i)"
		}
		re, err := regexp.Compile(flags + p)
		if err != nil {
			return fmt.Errorf("regex '%s' is invalid: %v (the syntax is RE2's: look-around and back references cannot be used)", p, err)
		}
		l.regs = append(l.regs, re)
	case Bin:
		b, err := parseHex(p)
		if err != nil {
			return err
		}
		l.exact[string(b)] = struct{}{}
	case Str:
		if l.fold {
			p = strings.ToLower(p)
		}
		l.exact[p] = struct{}{}
	default:
		if l.fold {
			p = strings.ToLower(p)
		}
		l.texts = append(l.texts, []byte(p))
	}
	return nil
}

// AddOperator adds a comparison of numbers: "ge", "500".
func (l *List) AddOperator(op, number string) error {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("'%s' is neither a number nor a supported operator", number)
	}
	const most, least = 1<<63 - 1, -1 << 63
	s := span{least, most}
	switch op {
	case "eq":
		s = span{n, n}
	case "ge":
		s.low = n
	case "gt":
		if n == most {
			s = span{1, 0}
		} else {
			s.low = n + 1
		}
	case "le":
		s.high = n
	case "lt":
		if n == least {
			s = span{1, 0}
		} else {
			s.high = n - 1
		}
	}
	l.n++
	l.ranges = append(l.ranges, s)
	return nil
}

// IsOperator tells whether a word compares numbers.
func IsOperator(w string) bool {
	switch w {
	case "eq", "ge", "gt", "le", "lt":
		return true
	}
	return false
}

func parseSpan(p string) (span, error) {
	low, high, ranged := strings.Cut(p, ":")
	s := span{-1 << 63, 1<<63 - 1}
	var err error
	if low != "" {
		if s.low, err = strconv.ParseInt(low, 10, 64); err != nil {
			return s, fmt.Errorf("'%s' is not a number", p)
		}
	}
	switch {
	case !ranged && low != "":
		s.high = s.low
	case !ranged:
		return s, fmt.Errorf("'%s' is not a number", p)
	case high != "":
		if s.high, err = strconv.ParseInt(high, 10, 64); err != nil {
			return s, fmt.Errorf("'%s' is not a number", p)
		}
		if s.low > s.high {
			return s, fmt.Errorf("'%s' is not a valid number range", p)
		}
	}
	return s, nil
}

func parsePrefix(p string) (addrRange, error) {
	host, mask, masked := strings.Cut(p, "/")
	a, err := netip.ParseAddr(host)
	if err != nil {
		// The zeros in the middle may be left away: "127.1" (7.1.6).
		if head, last, ok := cutLast(host); ok && strings.Count(host, ".") < 3 {
			a, err = netip.ParseAddr(head + strings.Repeat("0.", 3-strings.Count(host, ".")) + last)
		}
		if err != nil || a.Zone() != "" {
			return addrRange{}, fmt.Errorf("'%s' is not a valid IPv4 or IPv6 address", p)
		}
	}
	bits := a.BitLen()
	if masked {
		if n, err := strconv.Atoi(mask); err == nil {
			bits = n
		} else if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && a.Is4() {
			v := m.As4()
			x := uint32(v[0])<<24 | uint32(v[1])<<16 | uint32(v[2])<<8 | uint32(v[3])
			bits = 0
			for x&(1<<31) != 0 {
				bits++
				x <<= 1
			}
			if x != 0 {
				return addrRange{}, fmt.Errorf("'%s' is not a mask of leading bits", mask)
			}
		} else {
			bits = -1
		}
	}
	pre, err := a.Prefix(bits)
	if err != nil {
		return addrRange{}, fmt.Errorf("'%s' is not a valid IPv4 or IPv6 address", p)
	}
	return addrRange{pre.Addr(), lastOf(pre)}, nil
}

// cutLast cuts "10.12" into "10." and "12".
func cutLast(host string) (head, last string, ok bool) {
	if strings.ContainsAny(host, ":%") || host == "" {
		return "", "", false
	}
	i := strings.LastIndexByte(host, '.') + 1
	return host[:i], host[i:], true
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func parseHex(p string) ([]byte, error) {
	if len(p)%2 != 0 {
		return nil, fmt.Errorf("'%s' has an odd number of hexadecimal digits", p)
	}
	out := make([]byte, len(p)/2)
	for i := range out {
		n, err := strconv.ParseUint(p[2*i:2*i+2], 16, 8)
		if err != nil {
			return nil, fmt.Errorf("'%s' is not hexadecimal", p)
		}
		out[i] = byte(n)
	}
	return out, nil
}

// Finish must be called once after the last [List.Add].
func (l *List) Finish() {
	if l.sorted || len(l.prefixes) == 0 {
		return
	}
	sort.Slice(l.prefixes, func(i, j int) bool { return l.prefixes[i].low.Less(l.prefixes[j].low) })
	// Merge what overlaps: then one binary search decides.
	out := l.prefixes[:1]
	for _, p := range l.prefixes[1:] {
		last := &out[len(out)-1]
		if p.low.BitLen() == last.high.BitLen() && !last.high.Less(p.low) {
			if last.high.Less(p.high) {
				last.high = p.high
			}
			continue
		}
		out = append(out, p)
	}
	l.prefixes, l.sorted = out, true
}

// Match tells whether v matches one of the patterns.
func (l *List) Match(v *sample.Value) bool {
	switch l.method {
	case Found:
		return true
	case Bool:
		n, ok := v.Number()
		return ok && n != 0
	case Int:
		n, ok := v.Number()
		return ok && l.within(n)
	case IP:
		return l.matchAddr(v)
	case Bin:
		b := v.Bytes
		if v.Type != sample.Bin {
			b = v.Line()
		}
		_, ok := l.exact[string(b)]
		return ok
	}
	b := v.Line()
	switch l.method {
	case Len:
		return l.within(int64(len(b)))
	case Str:
		if l.fold {
			return l.matchFold(b)
		}
		_, ok := l.exact[string(b)]
		return ok
	case Reg:
		for _, re := range l.regs {
			if re.Match(b) {
				return true
			}
		}
		return false
	}
	for _, p := range l.texts {
		if l.text(b, p) {
			return true
		}
	}
	return false
}

func (l *List) within(n int64) bool {
	for _, r := range l.ranges {
		if r.low <= n && n <= r.high {
			return true
		}
	}
	return false
}

func (l *List) matchAddr(v *sample.Value) bool {
	a := v.Addr
	if v.Type == sample.Str {
		var err error
		if a, err = netip.ParseAddr(string(v.Bytes)); err != nil {
			return false
		}
	}
	if l.covered(a) {
		return true
	}
	if a.Is4() { // of IPv6 patterns, with ::ffff: in front
		return l.covered(netip.AddrFrom16(a.As16()))
	}
	if a, ok := inside(a); ok {
		return l.covered(a)
	}
	return false
}

// covered tells whether one of the ranges of the address's family has it.
func (l *List) covered(a netip.Addr) bool {
	lo, hi := 0, len(l.prefixes)
	for lo < hi { // the first whose low end is above a
		m := (lo + hi) / 2
		if a.Less(l.prefixes[m].low) {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo > 0 && l.prefixes[lo-1].low.BitLen() == a.BitLen() && !l.prefixes[lo-1].high.Less(a)
}

// inside is the IPv4 address of ::ffff:IPV4, ::IPV4 and 2002:IPV4:: (7.1.6).
func inside(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case [10]byte(b[:10]) == [10]byte{} && (b[10] == 0xff && b[11] == 0xff || b[10] == 0 && b[11] == 0):
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	return a, false
}

// matchFold looks b up in lower case.
func (l *List) matchFold(b []byte) bool {
	var buf [256]byte
	if len(b) > len(buf) {
		_, ok := l.exact[strings.ToLower(string(b))]
		return ok
	}
	for i, c := range b {
		buf[i] = lower(c)
	}
	_, ok := l.exact[string(buf[:len(b)])]
	return ok
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func (l *List) text(b, p []byte) bool {
	switch l.method {
	case Beg:
		return len(b) >= len(p) && l.equal(b[:len(p)], p)
	case End:
		return len(b) >= len(p) && l.equal(b[len(b)-len(p):], p)
	case Sub:
		return l.index(b, p) >= 0
	case Dir:
		return l.between(b, p, "/?")
	case Dom:
		return l.between(b, p, "/?.:")
	}
	return false
}

func (l *List) equal(b, p []byte) bool {
	if !l.fold {
		return bytes.Equal(b, p)
	}
	for i, c := range b {
		if lower(c) != p[i] {
			return false
		}
	}
	return true
}

func (l *List) index(b, p []byte) int {
	if !l.fold {
		return bytes.Index(b, p)
	}
	for i := 0; i+len(p) <= len(b); i++ {
		if l.equal(b[i:i+len(p)], p) {
			return i
		}
	}
	return -1
}

// between tells whether p stands in b between delimiters or the ends.
func (l *List) between(b, p []byte, delims string) bool {
	for len(p) > 0 && strings.IndexByte(delims, p[0]) >= 0 {
		p = p[1:]
	}
	for len(p) > 0 && strings.IndexByte(delims, p[len(p)-1]) >= 0 {
		p = p[:len(p)-1]
	}
	for i := 0; i+len(p) <= len(b); i++ {
		if i > 0 && strings.IndexByte(delims, b[i-1]) < 0 {
			continue
		}
		if end := i + len(p); end < len(b) && strings.IndexByte(delims, b[end]) < 0 {
			continue
		}
		if l.equal(b[i:i+len(p)], p) {
			return true
		}
	}
	return false
}
