package proxyproto

import (
	"encoding/binary"
	"net/netip"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

var (
	errCIPEmpty     = &stream.ConnError{ID: 18, Name: "CIP_EMPTY", Text: "Connection closed while waiting for NetScaler Client IP header"}
	errCIPAbort     = &stream.ConnError{ID: 19, Name: "CIP_ABORT", Text: "Connection error while waiting for NetScaler Client IP header"}
	errCIPTimeout   = &stream.ConnError{ID: 20, Name: "CIP_TIMEOUT", Text: "Timeout while waiting for a NetScaler Client IP header"}
	errCIPTruncated = &stream.ConnError{ID: 21, Name: "CIP_TRUNCATED", Text: "Truncated NetScaler Client IP header received"}
	errCIPMagic     = &stream.ConnError{ID: 22, Name: "CIP_BAD_MAGIC", Text: "Received an invalid NetScaler Client IP magic number"}
	errCIPProto     = &stream.ConnError{ID: 23, Name: "CIP_BAD_PROTO", Text: "Received an unhandled protocol in the NetScaler Client IP header"}
)

const (
	protoTCP = 6
	minTCP   = 20 // bytes of a TCP header without options
	// maxCIP is how many bytes of packet headers there may be: IPv4 and TCP with
	// all their options are 120.
	maxCIP = 512
)

// ParseCIP reads a NetScaler Client IP header from the front of b: a magic
// number, a length, and the IP and TCP headers of the client's first packet. Its
// standard form has a version (0), a type and a second length in between, the
// legacy form does not. The results are as for [Parse].
func ParseCIP(b []byte, magic uint32) (n int, h Header, err error) {
	if len(b) < 4 {
		return 4, h, nil
	}
	if binary.BigEndian.Uint32(b) != magic {
		return 0, h, errCIPMagic
	}
	if len(b) < 12 {
		return 12, h, nil
	}
	at, size := 8, int64(binary.BigEndian.Uint32(b[4:]))
	switch {
	case b[8] == 0:
		at, size = 12, int64(binary.BigEndian.Uint16(b[10:]))
	case b[8]>>4 != 4 && b[8]>>4 != 6:
		return 0, h, errCIPProto
	}
	if size < 20+minTCP || size > maxCIP {
		return 0, h, errCIPTruncated
	}
	if n = at + int(size); len(b) < n {
		return n, h, nil
	}
	ip := b[at:n]
	h.Relayed = true
	var tcp int
	var proto byte
	switch ip[0] >> 4 {
	case 4:
		tcp, proto = int(ip[0]&15)*4, ip[9]
		h.Src.IP, h.Dst.IP = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	case 6:
		if len(ip) < 40+minTCP {
			return 0, Header{}, errCIPTruncated
		}
		tcp, proto = 40, ip[6]
		h.Src.IP, h.Dst.IP = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	default:
		return 0, Header{}, errCIPProto
	}
	if proto != protoTCP {
		return 0, Header{}, errCIPProto
	}
	if tcp < 20 || tcp+minTCP > len(ip) {
		return 0, Header{}, errCIPTruncated
	}
	h.Src.Port = binary.BigEndian.Uint16(ip[tcp:])
	h.Dst.Port = binary.BigEndian.Uint16(ip[tcp+2:])
	return n, h, nil
}
