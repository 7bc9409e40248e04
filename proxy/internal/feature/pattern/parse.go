package pattern

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"
)

const most, least = 1<<63 - 1, -1 << 63

// parsed is a key as an index takes it: a form that equal ones share, or else
// what must be compared one by one.
type parsed struct {
	norm   string
	length int // of texts; of the prefix of addresses, with ofIPv6 added for those
	odd    *odd
}

// ofIPv6 tells the lengths of prefixes of IPv6 from those of IPv4.
const ofIPv6 = 256

// lookup finds the address of a name, when a configuration is loaded.
type lookup func(name string) (netip.Addr, error)

// room is where the normal forms of a file's keys stand one behind the other: those
// of a million are few objects. Without one each is an object of its own.
type room struct {
	free  []byte
	chunk int
}

const maxChunk = 16 << 10

func (r *room) text(b []byte) string {
	if r == nil {
		return string(b)
	}
	if len(r.free) < len(b) {
		r.free = make([]byte, max(r.chunk, len(b)))
	}
	n := copy(r.free, b)
	out := unsafe.String(unsafe.SliceData(r.free), n)
	r.free = r.free[n:]
	return out
}

// parse reads a key. names and into may be nil.
func (s shape) parse(key string, names lookup, into *room) (parsed, error) {
	switch s {
	case asNumber:
		low, high, err := parseSpan(key)
		return spanOf(low, high, into), err
	case asAddr:
		pre, masked, err := parsePrefix(key, names)
		if err != nil || masked != nil {
			return parsed{odd: masked}, err
		}
		k, n := addrKey(pre.Addr(), pre.Bits())
		length := pre.Bits()
		if pre.Addr().Is6() {
			length += ofIPv6
		}
		return parsed{norm: into.text(k[:n]), length: length}, nil
	case asBytes:
		b, err := parseHex(key)
		return text(into.text(b)), err
	case asRegexp, asRegexpFolded:
		flags := ""
		if s.folded() {
			flags = "(?i)"
		}
		re, err := CompileRegexp(flags + key)
		if err != nil {
			return parsed{}, fmt.Errorf("regex '%s' is invalid: %v (the syntax is RE2's: look-around and back references cannot be used)", key, err)
		}
		return parsed{odd: &odd{re: re, must: required(flags + key)}}, nil
	}
	if s.folded() {
		key = strings.ToLower(key)
	}
	if d := s.delims(); d != "" {
		key = strings.Trim(key, d)
	}
	return text(key), nil
}

func text(norm string) parsed { return parsed{norm: norm, length: len(norm)} }

// spanOf is a range of numbers. One that holds a single number can be looked up.
func spanOf(low, high int64, into *room) parsed {
	if low != high {
		return parsed{odd: &odd{low: low, high: high}}
	}
	b := numberKey(low)
	return parsed{norm: into.text(b[:]), length: len(b)}
}

func numberKey(n int64) (b [8]byte) {
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return b
}

// IsOperator tells whether a word compares numbers.
func IsOperator(w string) bool {
	switch w {
	case "eq", "ge", "gt", "le", "lt":
		return true
	}
	return false
}

// compared is the range of the numbers that "op n" matches, and how it is shown.
func compared(op, number string) (p parsed, key string, err error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		if strings.ContainsAny(number, ":-") {
			return p, "", fmt.Errorf("'%s' is not a valid number range", number)
		}
		return p, "", fmt.Errorf("'%s' is neither a number nor a supported operator", number)
	}
	low, high := int64(least), int64(most)
	switch op {
	case "eq":
		low, high = n, n
	case "ge":
		low = n
	case "gt":
		if low = n + 1; n == most {
			low, high = 1, 0 // none
		}
	case "le":
		high = n
	case "lt":
		if high = n - 1; n == least {
			low, high = 1, 0
		}
	}
	switch {
	case low == high:
		key = strconv.FormatInt(low, 10)
	case high == most:
		key = strconv.FormatInt(low, 10) + ":"
	case low == least:
		key = ":" + strconv.FormatInt(high, 10)
	default:
		key = fmt.Sprintf("%d:%d", low, high)
	}
	return spanOf(low, high, nil), key, nil
}

// parseSpan reads "n", "low:high" and the like. A hyphen separates as a colon
// does: "-5" is all up to 5.
func parseSpan(p string) (low, high int64, err error) {
	i := strings.IndexAny(p, ":-")
	if i < 0 && p != "" {
		if low, err = strconv.ParseInt(p, 10, 64); err != nil || p[0] == '+' {
			return 0, 0, fmt.Errorf("'%s' is not a number", p)
		}
		return low, low, nil
	}
	low, high = least, most
	bad := p == "" || p == ":" || p == "-"
	if !bad && i > 0 {
		low, err = strconv.ParseInt(p[:i], 10, 64)
		bad = err != nil || p[0] == '+'
	}
	if !bad && i+1 < len(p) {
		high, err = strconv.ParseInt(p[i+1:], 10, 64)
		bad = err != nil || p[i+1] == '+'
	}
	if bad || low > high {
		return 0, 0, fmt.Errorf("'%s' is not a valid number range", p)
	}
	return low, high, nil
}

// parsePrefix reads an address with or without a mask; one with gaps is odd.
func parsePrefix(p string, names lookup) (netip.Prefix, *odd, error) {
	bad := func() (netip.Prefix, *odd, error) {
		return netip.Prefix{}, nil, fmt.Errorf("'%s' is not a valid IPv4 or IPv6 address", p)
	}
	host, mask, masked := strings.Cut(p, "/")
	a, err := parseHost(host, names)
	if err != nil || a.Zone() != "" {
		return bad()
	}
	bits := a.BitLen()
	if masked {
		n, gaps, ok := parseMask(a, mask)
		switch {
		case !ok:
			return bad()
		case gaps != nil:
			return netip.Prefix{}, gaps, nil
		}
		bits = n
	}
	pre, err := a.Prefix(bits)
	if err != nil {
		return bad()
	}
	return pre, nil, nil
}

// parseHost reads an address, or a name if there may be some.
func parseHost(host string, names lookup) (netip.Addr, error) {
	a, err := netip.ParseAddr(host)
	if err == nil {
		return a, nil
	}
	// The zeros in the middle may be left away: "127.1" (7.1.6).
	if head, last, ok := cutLast(host); ok && strings.Count(host, ".") < 3 {
		a, err = netip.ParseAddr(head + strings.Repeat("0.", 3-strings.Count(host, ".")) + last)
	}
	if err != nil && names != nil && strings.ContainsAny(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") && !strings.Contains(host, ":") {
		return names(host)
	}
	return a, err
}

// parseMask reads the mask of an address: its number of bits, or as an address. With
// bits behind a gap it is odd.
func parseMask(a netip.Addr, mask string) (bits int, gaps *odd, ok bool) {
	n, err := strconv.Atoi(mask)
	if err == nil {
		return n, nil, mask[0] != '+' && mask[0] != '-'
	}
	m, _ := netip.ParseAddr(mask)
	if !m.Is4() || !a.Is4() {
		return 0, nil, false
	}
	v := m.As4()
	x := binary.BigEndian.Uint32(v[:])
	bits = leadingOnes(x)
	if bits < 32 && x<<bits != 0 {
		four := a.As4()
		return 0, &odd{mask: x, addr: binary.BigEndian.Uint32(four[:]) & x}, true
	}
	return bits, nil, true
}

// addrKey is an address that is masked to its first bits, as the index has it.
func addrKey(a netip.Addr, bits int) (k [17]byte, n int) {
	k[0] = byte(bits)
	b, n := k[1:], 16
	if a.Is4() {
		four := a.As4()
		n = copy(b, four[:])
	} else {
		all := a.As16()
		copy(b, all[:])
	}
	if i := bits / 8; i < n {
		b[i] &= ^(0xff >> (bits % 8))
		clear(b[i+1 : n])
	}
	return k, n + 1
}

// cutLast cuts "10.12" into "10." and "12".
func cutLast(host string) (head, last string, ok bool) {
	if strings.ContainsAny(host, ":%") || host == "" {
		return "", "", false
	}
	i := strings.LastIndexByte(host, '.') + 1
	return host[:i], host[i:], true
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

func leadingOnes(x uint32) int { return bits.LeadingZeros32(^x) }
