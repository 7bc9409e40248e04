package balance

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"net/netip"
)

// HashType is what "hash-type" says: how a key becomes a number, and how the
// number a server.
type HashType struct {
	Consistent bool
	// Sum is the function; nil is sdbm.
	Sum func(key []byte) uint32
	// Avalanche mixes the bits of the sum.
	Avalanche bool
	// Function is the function's name.
	Function string
}

// Functions are the functions of "hash-type". The key of "none" is text that
// begins with the number.
var Functions = map[string]func([]byte) uint32{"sdbm": SDBM, "djb2": DJB2, "wt6": WT6, "crc32": crc32.ChecksumIEEE, "none": number}

// Hash gives the number of a key.
func (h *HashType) Hash(key []byte) uint32 {
	var n uint32
	if h.Sum == nil {
		n = SDBM(key)
	} else {
		n = h.Sum(key)
	}
	if h.Avalanche {
		n = Avalanche(n)
	}
	return n
}

// Address gives the number of a client's address. It is folded, whatever the
// function: HAProxy asks none for "balance source".
func (h *HashType) Address(a netip.Addr) uint32 {
	var n uint32
	if a.Is4() {
		b := a.As4()
		n = binary.BigEndian.Uint32(b[:])
	} else {
		b := a.As16()
		for i := 0; i < len(b); i += 4 {
			n ^= binary.BigEndian.Uint32(b[i:])
		}
	}
	if h.Avalanche {
		n = Avalanche(n)
	}
	return n
}

// SDBM is the function of the sdbm library.
func SDBM(key []byte) (h uint32) {
	for _, c := range key {
		h = uint32(c) + h<<6 + h<<16 - h
	}
	return h
}

// DJB2 is Dan Bernstein's function.
func DJB2(key []byte) uint32 {
	h := uint32(5381)
	for _, c := range key {
		h = h<<5 + h + uint32(c)
	}
	return h
}

// WT6 is the function that HAProxy's author designed.
func WT6(key []byte) uint32 {
	h0, h1 := uint32(0xa53c965a), uint32(0x5ca6953a)
	step0, step1 := 6, 18
	for _, c := range key {
		h0 = ^(h0 ^ uint32(c))
		h1 = ^(h1 + uint32(c))
		h0, h1 = h1<<step0|h1>>(32-step0), h0<<step1|h0>>(32-step1)
		t := (h0>>16 ^ h1) & 0xffff
		step0, step1 = int(t&31), int(t>>11)
	}
	return h0 ^ h1
}

// Avalanche is one of Bob Jenkins's functions that make every bit depend on every
// other, spread over the ring by a large prime.
func Avalanche(n uint32) uint32 {
	n = n + 0x7ed55d16 + n<<12
	n = n ^ 0xc761c23c ^ n>>19
	n = n + 0x165667b1 + n<<5
	n = (n + 0xd3a2646c) ^ n<<9
	n = n + 0xfd7046c5 + n<<3
	n = n ^ 0xb55a4f09 ^ n>>16
	return n * 3221225473
}

// number reads the number that text begins with, 0 if it does not.
func number(key []byte) uint32 {
	var n uint64
	negative := false
	if len(key) > 0 && (key[0] == '-' || key[0] == '+') {
		negative = key[0] == '-'
		key = key[1:]
	}
	for _, c := range key {
		if c < '0' || c > '9' {
			break
		}
		if n = n*10 + uint64(c-'0'); n > math.MaxInt64 {
			n = math.MaxInt64 // as many bits as HAProxy reads
			if negative {
				n++
			}
			break
		}
	}
	if negative {
		n = -n
	}
	return uint32(n)
}

// xxh32 is XXH32, by which an IPv6 address finds its place on the ring.
func xxh32(b []byte, seed uint32) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	rotl := func(x uint32, n int) uint32 { return x<<n | x>>(32-n) }
	h := seed + p5
	size := uint32(len(b))
	if len(b) >= 16 {
		v := [4]uint32{seed + p1, seed + p2, seed, seed}
		v[0] += p2
		v[3] -= p1
		for ; len(b) >= 16; b = b[16:] {
			for i := range v {
				v[i] = rotl(v[i]+binary.LittleEndian.Uint32(b[4*i:])*p2, 13) * p1
			}
		}
		h = rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18)
	}
	h += size
	for ; len(b) >= 4; b = b[4:] {
		h = rotl(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = rotl(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
