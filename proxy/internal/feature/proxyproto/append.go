package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// AppendV1 appends a header of version 1 for a connection from src to dst. When
// only one of them is of IPv4, it is written as IPv6; other than IP addresses
// make it say UNKNOWN.
func AppendV1(dst []byte, src, to reactor.Addr) []byte {
	from, at, ok := sameFamily(src, to)
	if !ok {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	if from.Is4() {
		dst = append(dst, "PROXY TCP4 "...)
	} else {
		dst = append(dst, "PROXY TCP6 "...)
	}
	dst = append(from.AppendTo(dst), ' ')
	dst = append(at.AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(src.Port), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(to.Port), 10)
	return append(dst, "\r\n"...)
}

// sameFamily gives both addresses in one family. ok is false if one of them is
// not an IP address.
func sameFamily(a, b reactor.Addr) (x, y netip.Addr, ok bool) {
	x, y = a.IP.WithZone(""), b.IP.WithZone("")
	switch {
	case !x.IsValid() || !y.IsValid():
		return x, y, false
	case x.Is4() != y.Is4():
		x, y = netip.AddrFrom16(x.As16()), netip.AddrFrom16(y.As16())
	}
	return x, y, true
}

// builder makes a header of version 2 at the end of a buffer.
type builder struct {
	b   []byte
	at  int // where the header begins
	crc int // where its checksum is, 0: it has none
}

// beginV2 begins a header. With local, or for other than IP addresses, it tells
// no addresses.
func beginV2(dst []byte, src, to reactor.Addr, local bool) *builder {
	w := &builder{b: dst, at: len(dst)}
	w.b = append(w.b, signature...)
	from, at, ok := sameFamily(src, to)
	if local || !ok {
		w.b = append(w.b, 0x20, 0, 0, 0)
		return w
	}
	family := byte(0x11)
	if !from.Is4() {
		family = 0x21
	}
	w.b = append(w.b, 0x21, family, 0, 0)
	if from.Is4() {
		x, y := from.As4(), at.As4()
		w.b = append(append(w.b, x[:]...), y[:]...)
	} else {
		x, y := from.As16(), at.As16()
		w.b = append(append(w.b, x[:]...), y[:]...)
	}
	w.b = binary.BigEndian.AppendUint16(w.b, src.Port)
	w.b = binary.BigEndian.AppendUint16(w.b, to.Port)
	return w
}

// open begins a field whose value the caller appends to w.b; the result is for
// close.
func (w *builder) open(typ byte) int {
	w.b = append(w.b, typ, 0, 0)
	return len(w.b)
}

// close ends a field. One that does not fit into a header is left out.
func (w *builder) close(at int) {
	n := len(w.b) - at
	if n > 0xffff || len(w.b)-w.at-headV2 > 0xffff {
		w.b = w.b[:at-tlvHead]
		return
	}
	binary.BigEndian.PutUint16(w.b[at-2:], uint16(n))
}

func (w *builder) field(typ byte, value string) {
	at := w.open(typ)
	w.b = append(w.b, value...)
	w.close(at)
}

// checksum makes room for the checksum, which end fills in.
func (w *builder) checksum() {
	w.crc = w.open(typeCRC32C)
	w.b = append(w.b, 0, 0, 0, 0)
	w.close(w.crc)
}

// end completes the header and gives the buffer.
func (w *builder) end() []byte {
	h := w.b[w.at:]
	binary.BigEndian.PutUint16(h[14:], uint16(len(h)-headV2))
	if w.crc != 0 {
		at := w.crc - w.at
		binary.BigEndian.PutUint32(h[at:], checksum(h, at))
	}
	return w.b
}
