package proxyproto

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Errors of headers, as the manual numbers and names them (fc_err_str).
var (
	errEmpty     = &stream.ConnError{ID: 11, Name: "PRX_EMPTY", Text: "Connection closed while waiting for PROXY protocol header"}
	errAbort     = &stream.ConnError{ID: 12, Name: "PRX_ABORT", Text: "Connection error while waiting for PROXY protocol header"}
	errTimeout   = &stream.ConnError{ID: 13, Name: "PRX_TIMEOUT", Text: "Timeout while waiting for PROXY protocol header"}
	errTruncated = &stream.ConnError{ID: 14, Name: "PRX_TRUNCATED", Text: "Truncated PROXY protocol header received"}
	errNotHeader = &stream.ConnError{ID: 15, Name: "PRX_NOT_HDR", Text: "Received something which does not look like a PROXY protocol header"}
	errBadHeader = &stream.ConnError{ID: 16, Name: "PRX_BAD_HDR", Text: "Received an invalid PROXY protocol header"}
	errBadProto  = &stream.ConnError{ID: 17, Name: "PRX_BAD_PROTO", Text: "Received an unhandled protocol in the PROXY protocol header"}
)

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	headV2    = 16  // bytes before the addresses of version 2
	maxV1     = 107 // bytes of the longest line of version 1
	minV1     = len("PROXY UNKNOWN\r\n")
	unixPath  = 108 // bytes of a UNIX socket's path in version 2

	// MaxHeader is how many bytes a header may have, as HAProxy's buffer has by
	// default.
	MaxHeader = 16384
	// MaxValue is how many bytes the value of a field may have (manual,
	// fc_pp_tlv).
	MaxValue = 1024
	// limits of fields that have their own (specification 2.2.5, RFC 1035)
	maxAuthority = 255
	maxUniqueID  = 128
)

// Parse reads a header of version 1 or 2 from the front of b.
//
// n is the header's length. If n > len(b), b is the beginning of a header that has n
// bytes at least: exactly that many may be read without taking a byte of what
// follows. What is told of the header is then nothing. Errors are those of
// [stream.ConnError] from 14 to 17.
func Parse(b []byte) (n int, h Header, err error) {
	switch {
	case len(b) == 0:
		return minV1, h, nil
	case b[0] == signature[0]:
		return parseV2(b)
	}
	return parseV1(b)
}

// parseV1 reads the line of version 1 (specification 2.1).
func parseV1(b []byte) (int, Header, error) {
	if k := min(len(b), len("PROXY ")); string(b[:k]) != "PROXY "[:k] {
		return 0, Header{}, errNotHeader
	}
	if len(b) < minV1 {
		return minV1, Header{}, nil
	}
	end := bytes.IndexByte(b[:min(len(b), maxV1-1)], '\r')
	if end < 0 || end == len(b)-1 {
		n, err := moreV1(b)
		return n, Header{}, err
	}
	if b[end+1] != '\n' {
		return 0, Header{}, errBadHeader
	}
	line := b[len("PROXY "):end]
	h, err := lineV1(unsafe.String(unsafe.SliceData(line), len(line))) // nothing keeps it
	if err != nil {
		return 0, Header{}, err
	}
	return end + 2, h, nil
}

// moreV1 tells how many bytes a line that is not complete has at least.
func moreV1(b []byte) (int, error) {
	if len(b) >= maxV1 {
		return 0, errBadHeader
	}
	if b[len(b)-1] == '\r' {
		return len(b) + 1, nil
	}
	// The shortest form of each word that is still to come, with what separates
	// it from the one before; the last has CRLF behind it.
	var shortest [4]int
	switch rest := b[len("PROXY "):]; {
	case bytes.HasPrefix(rest, []byte("TCP4 ")):
		shortest = [4]int{len("0.0.0.0"), len(" 0.0.0.0"), len(" 0"), len(" 0")}
	case bytes.HasPrefix(rest, []byte("TCP6 ")):
		shortest = [4]int{len("::"), len(" ::"), len(" 0"), len(" 0")}
	case bytes.HasPrefix(rest, []byte("UNKNOWN")): // with anything behind it
		return len(b) + len("\r\n"), nil
	default:
		return 0, errBadProto
	}
	rest := b[len("PROXY TCP4 "):]
	last := bytes.Count(rest, []byte(" "))
	if last >= len(shortest) {
		return 0, errBadHeader
	}
	had := len(rest)
	if last > 0 {
		had -= bytes.LastIndexByte(rest, ' ')
	}
	n := len(b) + max(shortest[last]-had, 0) + len("\r\n")
	for _, k := range shortest[last+1:] {
		n += k
	}
	return n, nil
}

// lineV1 reads what stands between "PROXY " and the end of the line.
func lineV1(line string) (Header, error) {
	h := Header{Version: 1}
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "UNKNOWN": // the rest is ignored
		return h, nil
	case "TCP4", "TCP6":
	default:
		return Header{}, errBadProto
	}
	if strings.Count(rest, " ") != 3 {
		return Header{}, errBadHeader
	}
	src, rest, _ := strings.Cut(rest, " ")
	dst, rest, _ := strings.Cut(rest, " ")
	srcPort, dstPort, _ := strings.Cut(rest, " ")
	var ok [4]bool
	h.Src.IP, ok[0] = addressV1(src, kind == "TCP4")
	h.Dst.IP, ok[1] = addressV1(dst, kind == "TCP4")
	h.Src.Port, ok[2] = portV1(srcPort)
	h.Dst.Port, ok[3] = portV1(dstPort)
	if ok != [4]bool{true, true, true, true} {
		return Header{}, errBadHeader
	}
	h.Relayed = true
	return h, nil
}

func addressV1(s string, v4 bool) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s) // refuses leading zeros
	return a, err == nil && a.Is4() == v4 && a.Zone() == ""
}

func portV1(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && (s[0] != '0' || len(s) == 1)
}

// parseV2 reads a header of version 2 (specification 2.2).
func parseV2(b []byte) (int, Header, error) {
	if k := min(len(b), len(signature)); string(b[:k]) != signature[:k] {
		return 0, Header{}, errNotHeader
	}
	if len(b) < headV2 {
		return headV2, Header{}, nil
	}
	if b[12]>>4 != 2 || b[12]&15 > 1 {
		return 0, Header{}, errBadHeader
	}
	n := headV2 + int(binary.BigEndian.Uint16(b[14:]))
	if n > MaxHeader {
		return 0, Header{}, errTruncated
	}
	if len(b) < n {
		return n, Header{}, nil
	}
	b = b[:n]
	h := Header{Version: 2}
	if b[12]&15 == 0 { // LOCAL: everything else is to be discarded
		return n, h, nil
	}
	used, err := addressesV2(b[13], b[headV2:], &h)
	if err != nil {
		return 0, Header{}, err
	}
	tlvs := b[headV2+used:]
	if b[13]>>4 == 0 && !wellFormed(tlvs) {
		return n, h, nil // addresses of no known family, which are to be ignored
	}
	if err := checkTLVs(b, tlvs); err != nil {
		return 0, Header{}, err
	}
	h.TLVs = tlvs
	return n, h, nil
}

// addressesV2 reads the addresses and tells how many bytes they take.
func addressesV2(family byte, b []byte, h *Header) (int, error) {
	if family>>4 > 3 || family&15 > 2 {
		return 0, errBadProto
	}
	size := [...]int{0, 12, 36, 2 * unixPath}[family>>4]
	if len(b) < size {
		return 0, errBadHeader
	}
	// Datagrams are nothing that a stream connection could have carried: like
	// what is not specified, they leave the connection its own addresses.
	h.Relayed = family&15 == 1 && family>>4 != 0
	if !h.Relayed {
		return size, nil
	}
	switch family >> 4 {
	case 1:
		h.Src = reactor.Addr{IP: netip.AddrFrom4([4]byte(b)), Port: binary.BigEndian.Uint16(b[8:])}
		h.Dst = reactor.Addr{IP: netip.AddrFrom4([4]byte(b[4:])), Port: binary.BigEndian.Uint16(b[10:])}
	case 2:
		h.Src = reactor.Addr{IP: netip.AddrFrom16([16]byte(b)), Port: binary.BigEndian.Uint16(b[32:])}
		h.Dst = reactor.Addr{IP: netip.AddrFrom16([16]byte(b[16:])), Port: binary.BigEndian.Uint16(b[34:])}
	case 3:
		h.Src = reactor.Addr{Path: unixAddr(b[:unixPath])}
		h.Dst = reactor.Addr{Path: unixAddr(b[unixPath : 2*unixPath])}
	}
	return size, nil
}

// unixAddr gives the path of a sockaddr_un: an abstract one keeps its NUL.
func unixAddr(b []byte) string {
	if b[0] == 0 {
		if b = bytes.TrimRight(b[1:], "\x00"); len(b) == 0 {
			return ""
		}
		return "\x00" + string(b)
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
