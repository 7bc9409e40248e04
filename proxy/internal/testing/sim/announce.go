package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// route is where a client's connection comes from and goes to, as servers have to
// be told; the zero route is one that has no IP addresses.
type route struct{ src, dst netip.AddrPort }

func addrPort(a reactor.Addr) netip.AddrPort {
	if !a.IP.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.IP, a.Port)
}

const ppSignature = "\r\n\r\n\x00\r\nQUIT\n"

// introduce gives what a client's connection to a frontend begins with, and notes
// for its requests where servers have to believe that they come from.
func (w *World) introduce(rnd *rand.Rand, f *front, e *end, reqs ...*truth) []byte {
	own := route{addrPort(e.local), addrPort(e.peer().local)}
	var header []byte
	if f.accept {
		if !w.calm && rnd.IntN(12) == 0 {
			header = malformedHeader(rnd)
			for _, t := range reqs {
				t.banned = true
			}
		} else if rnd.IntN(2) == 0 {
			header, own = headerV1(rnd, own)
		} else {
			header, own = headerV2(rnd, own)
		}
	}
	for _, t := range reqs {
		t.client, t.route = e.c.id, own
	}
	return header
}

// somewhere is a random route.
func somewhere(rnd *rand.Rand, v6 bool) route {
	one := func() netip.AddrPort {
		var b [16]byte
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		ip := netip.AddrFrom4([4]byte(b[:4]))
		if v6 {
			b[0] = 0x20
			ip = netip.AddrFrom16(b)
		}
		return netip.AddrPortFrom(ip, uint16(rnd.Uint32()))
	}
	return route{one(), one()}
}

func headerV1(rnd *rand.Rand, own route) ([]byte, route) {
	k := rnd.IntN(4)
	if k == 0 {
		return []byte("PROXY UNKNOWN\r\n"), own
	}
	if k == 1 {
		return fmt.Appendf(nil, "PROXY UNKNOWN %s\r\n", content(1, saltFill, rnd.IntN(90))), own
	}
	r, proto := somewhere(rnd, k == 2), "TCP4"
	if k == 2 {
		proto = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %v %v %d %d\r\n", proto, r.src.Addr(), r.dst.Addr(), r.src.Port(), r.dst.Port()), r
}

func headerV2(rnd *rand.Rand, own route) ([]byte, route) {
	var b []byte
	r, command, family := own, byte(0x21), byte(0)
	switch rnd.IntN(6) {
	case 0: // LOCAL: all the rest means nothing
		return frameV2(0x20, byte(rnd.Uint32()), content(1, saltFill, rnd.IntN(300))), own
	case 1: // no addresses
	case 2: // datagrams
		family, b = 0x12, make([]byte, 12)
	case 3: // UNIX sockets
		family, b, r = 0x31, make([]byte, 216), route{}
		copy(b, "/a")
		copy(b[108:], "/b")
	default:
		r, family = somewhere(rnd, false), 0x11
		if rnd.IntN(2) == 0 {
			r, family = somewhere(rnd, true), 0x21
		}
		b = append(append(b, r.src.Addr().AsSlice()...), r.dst.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, r.src.Port())
		b = binary.BigEndian.AppendUint16(b, r.dst.Port())
	}
	crc := -1
	for range rnd.IntN(4) {
		typ, value := byte(0xe0+rnd.IntN(16)), content(2, saltFill, rnd.IntN(100))
		switch rnd.IntN(4) {
		case 0: // padding
			typ = 4
		case 1:
			typ = 5
		case 2:
			if crc < 0 {
				typ, value = 3, make([]byte, 4)
				crc = 16 + len(b) + 3
			}
		}
		b = append(binary.BigEndian.AppendUint16(append(b, typ), uint16(len(value))), value...)
	}
	b = frameV2(command, family, b)
	if crc >= 0 {
		binary.BigEndian.PutUint32(b[crc:], crc32.Checksum(b, castagnoli))
	}
	return b, r
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func frameV2(command, family byte, rest []byte) []byte {
	b := append([]byte(ppSignature), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(rest))), rest...)
}

// malformedHeader is a header that ends the connection, or none at all.
func malformedHeader(rnd *rand.Rand) []byte {
	tlv := []byte{3, 0, 4, 1, 2, 3, 4}
	bad := [][]byte{
		nil,
		[]byte("PROXY\r\n"),
		[]byte("PROXY TCP4 1.2.3.4 1.2.3.4 80\r\n"),
		[]byte("PROXY TCP4 ::1 ::1 1 2\r\n"),
		[]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
		[]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"),
		[]byte("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"),
		[]byte("PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n"),
		[]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n"),
		[]byte("\r\n\r\n\x00\r\nQUIT\r\n\r\n\r\n"),
		frameV2(0x31, 0x11, make([]byte, 12)),
		frameV2(0x22, 0x11, make([]byte, 12)),
		frameV2(0x21, 0x41, make([]byte, 12)),
		frameV2(0x21, 0x11, make([]byte, 11)),
		frameV2(0x21, 0x11, append(make([]byte, 12), tlv...)),
		frameV2(0x21, 0x11, append(make([]byte, 12), tlv[:5]...)),
		frameV2(0x21, 0x11, make([]byte, 65535)),
	}
	return bad[rnd.IntN(len(bad))]
}

// announced is a server's part in a connection until the PROXY protocol's header
// is complete.
type announced struct {
	o   *origin
	e   *end
	rnd *rand.Rand
	buf []byte
	waker
}

func (a *announced) wake(*end) {
	if !a.e.closed {
		a.soon(a.o.w, a.rnd, a.run)
	}
}

func (a *announced) run() {
	var p [1]byte
	for !a.e.closed {
		n, no := a.e.read(p[:])
		switch {
		case no == 11:
			return
		case no != 0 || n == 0:
			a.e.close(false)
			return
		}
		a.buf = append(a.buf, p[0])
		r, ok, err := a.o.parseHeader(a.buf)
		if err != nil {
			a.o.w.failf("server %s, conn %d: header %q: %v", a.o.addr, a.e.c.id, a.buf, err)
			return
		}
		if ok {
			a.o.w.note("server %s conn %d: from %v to %v", a.o.addr, a.e.c.id, r.src, r.dst)
			a.e.actor = a.o.serve(a.e, a.rnd, &r)
			a.e.actor.wake(a.e)
			return
		}
	}
}

var errHeader = errors.New("it is malformed")

// parseHeader reads the header of the version that the server expects, if it is
// complete.
func (o *origin) parseHeader(b []byte) (r route, ok bool, err error) {
	if o.pp == 1 {
		line, found := bytes.CutSuffix(b, []byte("\r\n"))
		if !found {
			if len(b) > 107 {
				err = errHeader
			}
			return r, false, err
		}
		word := strings.Split(string(line), " ")
		if string(line) == "PROXY UNKNOWN" {
			return r, true, nil
		}
		if len(word) != 6 || word[0] != "PROXY" || word[1] != "TCP4" && word[1] != "TCP6" {
			return r, false, errHeader
		}
		for i, to := range []*netip.AddrPort{&r.src, &r.dst} {
			ip, e1 := netip.ParseAddr(word[2+i])
			port, e2 := strconv.ParseUint(word[4+i], 10, 16)
			if e1 != nil || e2 != nil || ip.Is4() != (word[1] == "TCP4") {
				return r, false, errHeader
			}
			*to = netip.AddrPortFrom(ip, uint16(port))
		}
		return r, true, nil
	}
	if n := min(len(b), 12); string(b[:n]) != ppSignature[:n] {
		return r, false, errHeader
	}
	if len(b) < 16 || len(b) < 16+int(binary.BigEndian.Uint16(b[14:])) {
		return r, false, nil
	}
	command, family, rest := b[12], b[13], b[16:]
	size := map[byte]int{0x11: 4, 0x21: 16, 0: 0}[family]
	if command == 0x20 && family != 0 || command != 0x20 && (command != 0x21 || size == 0) || len(rest) < 2*size {
		return r, false, errHeader
	}
	if size > 0 {
		src, _ := netip.AddrFromSlice(rest[:size])
		dst, _ := netip.AddrFromSlice(rest[size : 2*size])
		rest = rest[2*size:]
		if len(rest) < 4 {
			return r, false, errHeader
		}
		r.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(rest))
		r.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(rest[2:]))
		rest = rest[4:]
	}
	// The one field is the checksum.
	if len(rest) != 7 || rest[0] != 3 || rest[1] != 0 || rest[2] != 4 {
		return r, false, errHeader
	}
	whole := bytes.Clone(b)
	clear(whole[len(whole)-4:])
	if binary.BigEndian.Uint32(rest[3:]) != crc32.Checksum(whole, castagnoli) {
		return r, false, fmt.Errorf("its checksum is wrong")
	}
	return r, true, nil
}

// toldBy compares what a connection's header said with what is known of a
// request on it.
func (t *truth) toldBy(from *route) error {
	if from != nil && *from != t.route {
		return fmt.Errorf("request %d: the header of the connection says %v, the client's is %v", t.id, *from, t.route)
	}
	return nil
}
