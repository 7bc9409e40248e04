package http2

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// The code of RFC 7541 appendix B is canonical and has no code of 9 bits: those
// of at most rootBits are found in one table, longer ones by their length.
const (
	rootBits = 8
	minLong  = 10
	maxLong  = 30
)

// symbol is an entry of the root table; bits is 0 where a longer code begins.
type symbol struct{ char, bits uint8 }

var huffRoot [1 << rootBits]symbol

// huffLong has the codes of each length: the first of them, and their symbols in
// order.
var huffLong [maxLong + 1]struct {
	first uint32
	chars []byte
}

func init() {
	for c := range 256 {
		s := string([]byte{byte(c), byte(c), byte(c), byte(c), byte(c), byte(c), byte(c), byte(c)})
		n := uint(hpack.HuffmanEncodeLength(s)) // 8 times as many bits: just as many bytes
		b := hpack.AppendHuffmanString(nil, s)
		code := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if n <= rootBits {
			for i := range 1 << (rootBits - n) {
				huffRoot[int(code>>24)&^(1<<(rootBits-n)-1)|i] = symbol{byte(c), uint8(n)}
			}
			continue
		}
		l := &huffLong[n]
		l.chars = append(l.chars, byte(c))
		if code >>= 32 - n; len(l.chars) == 1 {
			l.first = code
		}
	}
}

// appendHuffman appends what src stands for (RFC 7541 5.2). It fails on padding
// that is longer than 7 bits or not all ones, and on the end-of-string symbol.
func appendHuffman(dst, src []byte) ([]byte, bool) {
	dst = slices.Grow(dst, len(src)*8/5+1)
	var acc uint64 // the next bits, from the top
	var have uint
	for {
		if have < maxLong {
			if len(src) >= 8 {
				acc |= binary.BigEndian.Uint64(src) >> have // more than are counted, which is of no harm
				n := (63 - have) / 8
				have += n * 8
				src = src[n:]
			} else {
				for ; have <= 56 && len(src) > 0; src = src[1:] {
					acc |= uint64(src[0]) << (56 - have)
					have += 8
				}
			}
		}
		s := huffRoot[acc>>(64-rootBits)]
		if s.bits == 0 {
			s.char, s.bits = longSymbol(acc)
		}
		if s.bits == 0 || uint(s.bits) > have {
			break
		}
		dst = append(dst, s.char)
		acc <<= s.bits
		have -= uint(s.bits)
	}
	return dst, have < 8 && acc>>(64-have) == 1<<have-1 && len(src) == 0
}

// longSymbol finds the code at the top of acc among the long ones; n is 0 when
// there is none.
func longSymbol(acc uint64) (c, n uint8) {
	for n := uint8(minLong); n <= maxLong; n++ {
		l := &huffLong[n]
		if i := uint32(acc>>(64-n)) - l.first; i < uint32(len(l.chars)) {
			return l.chars[i], n
		}
	}
	return 0, 0
}
