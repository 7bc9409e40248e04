package ssl

import (
	"crypto/tls"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// hello is what is kept of a ClientHello for "tune.ssl.capture-buffer-size": lists
// one after the other, cut where the room ends.
type hello struct {
	data    []byte
	ends    [helloParts]uint16
	xxh     uint64 // of the whole list of ciphers
	version uint16 // the one of the old field
}

// Parts of a hello, in the order in which they take the room.
const (
	helloCiphers = iota
	helloExtensions
	helloGroups
	helloFormats
	helloVersions
	helloSigAlgs
	helloParts
)

// part gives one list.
func (h *hello) part(n int) []byte {
	from := uint16(0)
	if n > 0 {
		from = h.ends[n-1]
	}
	return h.data[from:h.ends[n]]
}

// capture keeps size bytes of a ClientHello.
func capture(info *tls.ClientHelloInfo, t *transport.TLS, size int) *hello {
	h := &hello{version: tls.VersionTLS12}
	list := make([]byte, 0, 2*len(info.CipherSuites))
	for _, n := range info.CipherSuites {
		list = binary.BigEndian.AppendUint16(list, n)
	}
	h.xxh = xxhash.Sum64(list)
	room := func(b []byte) []byte { return b[:min(len(b), size-len(h.data))] }
	whole := func(n uint16) {
		if size-len(h.data) >= 2 {
			h.data = binary.BigEndian.AppendUint16(h.data, n)
		}
	}
	h.data = make([]byte, 0, min(size, len(list)+2*(len(info.Extensions)+len(info.SupportedCurves)+len(info.SupportedVersions)+len(info.SignatureSchemes))+len(info.SupportedPoints)))
	h.data = append(h.data, room(list)...)
	versions := false
	h.ends[helloCiphers] = uint16(len(h.data))
	for _, n := range info.Extensions {
		whole(n)
		versions = versions || n == extSupportedVersions
	}
	h.ends[helloExtensions] = uint16(len(h.data))
	for _, n := range info.SupportedCurves {
		whole(uint16(n))
	}
	h.ends[helloGroups] = uint16(len(h.data))
	h.data = append(h.data, room(info.SupportedPoints)...)
	h.ends[helloFormats] = uint16(len(h.data))
	if versions { // otherwise crypto/tls made the list up
		for _, n := range info.SupportedVersions {
			whole(n)
		}
	}
	h.ends[helloVersions] = uint16(len(h.data))
	for _, n := range info.SignatureSchemes {
		whole(uint16(n))
	}
	h.ends[helloSigAlgs] = uint16(len(h.data))
	if b := t.Hello(); len(b) >= versionAt+2 {
		h.version = binary.BigEndian.Uint16(b[versionAt:])
	}
	return h
}

const (
	extStatusRequest     = 5     // RFC 6066 8
	extSupportedVersions = 43    // RFC 8446 4.2
	versionAt            = 5 + 4 // after the heads of the record and of the message
)

// isGrease tells whether a number is one of those that clients send at random to
// keep servers tolerant (RFC 8701).
func isGrease(a, b byte) bool { return a == b && a&0x0f == 0x0a }
