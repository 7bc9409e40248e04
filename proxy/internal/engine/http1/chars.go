package http1

import (
	"encoding/binary"
	"math/bits"
)

// lower maps the characters of a token (RFC 9110 5.6.2) to lower case, and all
// others to 0.
var lower = func() (t [256]byte) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" {
		t[c] = byte(c)
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c + 'a' - 'A')
	}
	return t
}()

// hexval is the value of a hexadecimal digit, 0xff for all others.
var hexval = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = byte(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = byte(10+i), byte(10+i)
	}
	return t
}()

// inAuthority tells of the characters that host, port and user are made of: all
// that RFC 3986 3.2 has but for brackets and the comma.
var inAuthority = func() (t [256]bool) {
	for _, c := range "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+;=:%" {
		t[c] = true
	}
	return t
}()

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// ones has a 1 in each byte of a word.
const ones = 0x0101010101010101

// plain returns the index of the first byte from i on that may end a value or
// is forbidden in one: CR, LF or NUL. It returns len(b) when there is none.
//
// A word is looked at as a whole for bytes below 0x0e; of those only tabs are
// common, and they just go on.
func plain(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		m := (x - 0x0e*ones) &^ x & (0x80 * ones)
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if c := b[i]; c == '\r' || c == '\n' || c == 0 {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '\r' || c == '\n' || c == 0 {
			return i
		}
	}
	return i
}

// trim cuts blanks off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// element takes the next element off a comma-separated list: it returns the
// element without blanks around it (it may be empty) and what is left, nil at
// the end.
func element(list []byte) (elem, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}
