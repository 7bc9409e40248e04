package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func ip(text string, port uint16) reactor.Addr {
	return reactor.Addr{IP: netip.MustParseAddr(text), Port: port}
}

// v2 makes a header of version 2.
func v2(command, family byte, rest ...string) string {
	body := strings.Join(rest, "")
	b := append([]byte(signature), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

func field2(typ byte, value string) string {
	b := binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(value)))
	return string(b) + value
}

// crc completes a header whose last field is a checksum of zero.
func crc(h string) string {
	b := []byte(h)
	binary.BigEndian.PutUint32(b[len(b)-4:], checksum(b, len(b)-4))
	return string(b)
}

const (
	four = "\x01\x02\x03\x04\x05\x06\x07\x08\x03\xe8\x07\xd0"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03\xe8\x07\xd0"
)

var zeros = strings.Repeat("\x00", unixPath)

func unix(path string) string { return (path + zeros)[:unixPath] }

// headers are all kinds of input, with what they are.
var headers = []struct {
	name, in string
	src, dst reactor.Addr // invalid: the connection speaks for itself
	tlvs     string
	err      error
}{
	{name: "v1 IPv4", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n", src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000)},
	{name: "v1 longest IPv4", in: "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", src: ip("255.255.255.255", 65535), dst: ip("255.255.255.255", 65535)},
	{name: "v1 shortest", in: "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", src: ip("0.0.0.0", 0), dst: ip("0.0.0.0", 0)},
	{name: "v1 IPv6", in: "PROXY TCP6 ::1 2001:DB8::2 1000 2000\r\n", src: ip("::1", 1000), dst: ip("2001:db8::2", 2000)},
	{name: "v1 longest IPv6", in: "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		src: ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535), dst: ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)},
	{name: "v1 mapped", in: "PROXY TCP6 ::ffff:1.2.3.4 :: 1 2\r\n", src: ip("::ffff:1.2.3.4", 1), dst: ip("::", 2)},
	{name: "v1 unknown", in: "PROXY UNKNOWN\r\n"},
	{name: "v1 unknown with words", in: "PROXY UNKNOWN ffff::1 whatever\r\n"},
	{name: "v1 unknown, longest", in: "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n"},
	{name: "v1 unknown, too long", in: "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", err: errBadHeader},
	{name: "v1 unknown, no end", in: "PROXY UNKNOWN " + strings.Repeat("x", 300), err: errBadHeader},
	{name: "v1 other protocol", in: "PROXY TCP5 1.2.3.4 5.6.7.8 1000 2000\r\n", err: errBadProto},
	{name: "v1 UDP", in: "PROXY UDP4 1.2.3.4 5.6.7.8 1000 2000\r\n", err: errBadProto},
	{name: "v1 UNKNOWNX", in: "PROXY UNKNOWNX\r\n", err: errBadProto},
	{name: "v1 lower case", in: "proxy TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n", err: errNotHeader},
	{name: "v1 leading zero", in: "PROXY TCP4 01.2.3.4 5.6.7.8 1000 2000\r\n", err: errBadHeader},
	{name: "v1 leading zero in a port", in: "PROXY TCP4 1.2.3.4 5.6.7.8 01000 2000\r\n", err: errBadHeader},
	{name: "v1 port too large", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 65536\r\n", err: errBadHeader},
	{name: "v1 signed port", in: "PROXY TCP4 1.2.3.4 5.6.7.8 +100 65535\r\n", err: errBadHeader},
	{name: "v1 two spaces", in: "PROXY TCP4 1.2.3.4  5.6.7.8 1000 2000\r\n", err: errBadHeader},
	{name: "v1 space at the end", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000 \r\n", err: errBadHeader},
	{name: "v1 one word more", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000 1\r\n", err: errBadHeader},
	{name: "v1 one word less", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000\r\n", err: errBadHeader},
	{name: "v1 IPv6 as TCP4", in: "PROXY TCP4 2001::1 2001::2 1000 2000\r\n", err: errBadHeader},
	{name: "v1 IPv4 as TCP6", in: "PROXY TCP6 1.2.3.4 5.6.7.8 1000 2000\r\n", err: errBadHeader},
	{name: "v1 zone", in: "PROXY TCP6 fe80::1%eth0 fe80::2 1000 2000\r\n", err: errBadHeader},
	{name: "v1 CR alone", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\rx", err: errBadHeader},
	{name: "v1 LF alone", in: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\nGET / HTTP/1.1\r\n", err: errBadHeader},
	{name: "HTTP", in: "GET / HTTP/1.1\r\n\r\n", err: errNotHeader},
	{name: "TLS", in: "\x16\x03\x01\x02\x00\x01", err: errNotHeader},
	{name: "nearly v2", in: "\r\n\r\n\x00\r\nQUIT\r1234567", err: errNotHeader},

	{name: "v2 IPv4", in: v2(0x21, 0x11, four), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000)},
	{name: "v2 IPv6", in: v2(0x21, 0x21, six), src: ip("2001:db8::1", 1000), dst: ip("2001:db8::2", 2000)},
	{name: "v2 UNIX", in: v2(0x21, 0x31, unix("/tmp/a"), unix("/tmp/b")), src: reactor.Addr{Path: "/tmp/a"}, dst: reactor.Addr{Path: "/tmp/b"}},
	{name: "v2 abstract UNIX", in: v2(0x21, 0x31, unix("\x00a"), unix("\x00b")), src: reactor.Addr{Path: "\x00a"}, dst: reactor.Addr{Path: "\x00b"}},
	{name: "v2 UNIX, full path", in: v2(0x21, 0x31, strings.Repeat("p", unixPath), unix("/b")), src: reactor.Addr{Path: strings.Repeat("p", unixPath)}, dst: reactor.Addr{Path: "/b"}},
	{name: "v2 local", in: v2(0x20, 0)},
	{name: "v2 local with addresses", in: v2(0x20, 0x11, four)},
	{name: "v2 local with rubbish", in: v2(0x20, 0xff, "\x03\x00")},
	{name: "v2 unspecified", in: v2(0x21, 0)},
	{name: "v2 unspecified with addresses", in: v2(0x21, 0, four)},
	{name: "v2 unspecified with a field", in: v2(0x21, 0, field2(2, "a.org")), tlvs: field2(2, "a.org")},
	{name: "v2 IPv4, protocol unspecified", in: v2(0x21, 0x10, four)},
	{name: "v2 datagram", in: v2(0x21, 0x12, four)},
	{name: "v2 IPv6 datagram", in: v2(0x21, 0x22, six)},
	{name: "v2 UNIX datagram", in: v2(0x21, 0x32, zeros, zeros)},
	{name: "v2 other family", in: v2(0x21, 0x41, four), err: errBadProto},
	{name: "v2 other protocol", in: v2(0x21, 0x13, four), err: errBadProto},
	{name: "v2 other command", in: v2(0x22, 0x11, four), err: errBadHeader},
	{name: "v2 version 1", in: v2(0x11, 0x11, four), err: errBadHeader},
	{name: "v2 version 3", in: v2(0x31, 0x11, four), err: errBadHeader},
	{name: "v2 short IPv4", in: v2(0x21, 0x11, four[:11]), err: errBadHeader},
	{name: "v2 short IPv6", in: v2(0x21, 0x21, four), err: errBadHeader},
	{name: "v2 short UNIX", in: v2(0x21, 0x31, zeros), err: errBadHeader},
	{name: "v2 fields", in: v2(0x21, 0x11, four, field2(2, "a.org"), field2(5, "id")), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000), tlvs: field2(2, "a.org") + field2(5, "id")},
	{name: "v2 empty field", in: v2(0x21, 0x11, four, field2(0xe0, "")), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000), tlvs: field2(0xe0, "")},
	{name: "v2 cut field", in: v2(0x21, 0x11, four, "\x02\x00\x09ab"), err: errBadHeader},
	{name: "v2 crumb", in: v2(0x21, 0x11, four, "\x02"), err: errBadHeader},
	{name: "v2 checksum", in: crc(v2(0x21, 0x11, four, field2(3, "\x00\x00\x00\x00"))), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000),
		tlvs: crc(v2(0x21, 0x11, four, field2(3, "\x00\x00\x00\x00")))[28:]},
	{name: "v2 wrong checksum", in: v2(0x21, 0x11, four, field2(3, "abcd")), err: errBadHeader},
	{name: "v2 long checksum", in: v2(0x21, 0x11, four, field2(3, "abcde")), err: errBadHeader},
	{name: "v2 authority of 255", in: v2(0x21, 0x11, four, field2(2, strings.Repeat("a", 255))), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000), tlvs: field2(2, strings.Repeat("a", 255))},
	{name: "v2 authority of 256", in: v2(0x21, 0x11, four, field2(2, strings.Repeat("a", 256))), err: errBadHeader},
	{name: "v2 unique id of 129", in: v2(0x21, 0x11, four, field2(5, strings.Repeat("a", 129))), err: errBadHeader},
	{name: "v2 field of 1024", in: v2(0x21, 0x11, four, field2(0xe0, strings.Repeat("a", 1024))), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000), tlvs: field2(0xe0, strings.Repeat("a", 1024))},
	{name: "v2 field of 1025", in: v2(0x21, 0x11, four, field2(0xe0, strings.Repeat("a", 1025))), err: errBadHeader},
	{name: "v2 TLS", in: v2(0x21, 0x11, four, field2(0x20, "\x01\x00\x00\x00\x00"+field2(0x22, "me"))), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000),
		tlvs: field2(0x20, "\x01\x00\x00\x00\x00"+field2(0x22, "me"))},
	{name: "v2 TLS without its head", in: v2(0x21, 0x11, four, field2(0x20, "\x01\x00\x00\x00")), err: errBadHeader},
	{name: "v2 TLS with a cut field", in: v2(0x21, 0x11, four, field2(0x20, "\x01\x00\x00\x00\x00\x22\x00\x09me")), err: errBadHeader},
	{name: "v2 TLS with a crumb", in: v2(0x21, 0x11, four, field2(0x20, "\x01\x00\x00\x00\x00"+field2(0x22, "me")+"\x22"), field2(2, "a")), err: errBadHeader},
	{name: "v2 two checksums, one wrong", in: v2(0x21, 0x11, four, field2(3, "abcd"), field2(3, "abcd")), err: errBadHeader},
	{name: "v2 LOCAL with a cut field", in: v2(0x20, 0x11, four, "\x02\x00\x09ab")},
	{name: "v2 LOCAL with a wrong checksum", in: v2(0x20, 0x11, four, field2(3, "abcd"))},
	{name: "v2 padding", in: v2(0x21, 0x11, four, field2(4, strings.Repeat("a", 12000)), field2(2, "a")), src: ip("1.2.3.4", 1000), dst: ip("5.6.7.8", 2000), tlvs: field2(2, "a")},
	{name: "v2 too long", in: v2(0x21, 0x11, four, field2(4, strings.Repeat("a", MaxHeader))), err: errTruncated},
}

// whole makes a parser tell nothing of a header that is not complete, and only what
// is kept of one that is.
func whole(parse func([]byte) (int, Header, error)) func([]byte) (int, *Header, error) {
	return func(b []byte) (int, *Header, error) {
		n, h, err := parse(b)
		if err != nil && n == 0 && h.isZero() || err == nil && n > len(b) && h.isZero() {
			return n, nil, err
		}
		h.TLVs = keep(h.TLVs)
		return n, &h, err
	}
}

func (h Header) isZero() bool {
	return h.Version == 0 && !h.Relayed && h.Src == reactor.Addr{} && h.Dst == reactor.Addr{} && h.TLVs == nil
}

func parseCIP(b []byte) (int, *Header, error) {
	return whole(func(b []byte) (int, Header, error) { return ParseCIP(b, magic) })(b)
}

func TestParse(t *testing.T) {
	for _, h := range headers {
		n, p, err := whole(Parse)([]byte(h.in + "rest"))
		if h.err != nil {
			if err != h.err || p != nil {
				t.Errorf("%s: %+v, %v; want %v", h.name, p, err, h.err)
			}
			continue
		}
		if err != nil || p == nil || n != len(h.in) {
			t.Errorf("%s: %d of %d, %+v, %v", h.name, n, len(h.in), p, err)
			continue
		}
		if p.Relayed != h.src.IsValid() || p.Src != h.src || p.Dst != h.dst || string(p.TLVs) != h.tlvs {
			t.Errorf("%s: %+v", h.name, p)
		}
	}
}

// TestParseStepwise reads headers as a connection does: never more than what is
// certain to belong to them.
func TestParseStepwise(t *testing.T) {
	for _, h := range headers {
		steps, n := 0, 0
		for {
			if n > len(h.in) {
				if h.err == nil {
					t.Errorf("%s: %d bytes wanted of %d", h.name, n, len(h.in))
				}
				break
			}
			more, p, err := whole(Parse)([]byte(h.in[:n]))
			if p != nil || err != nil {
				if err != h.err || err == nil && more != len(h.in) {
					t.Errorf("%s: %d of %d, %v", h.name, more, len(h.in), err)
				}
				break
			}
			if more <= n {
				t.Fatalf("%s: %d wanted after %d", h.name, more, n)
			}
			n = more
			steps++
		}
		if steps > 60 {
			t.Errorf("%s: %d steps", h.name, steps)
		}
	}
}

// TestParsePrefixes cuts headers everywhere: what is wanted then never goes
// beyond the header.
func TestParsePrefixes(t *testing.T) {
	for _, h := range headers {
		if h.err != nil {
			continue
		}
		for k := range len(h.in) {
			n, p, err := whole(Parse)([]byte(h.in[:k]))
			if p != nil || err != nil || n <= k || n > len(h.in) {
				t.Fatalf("%s cut at %d: %d, %v, %v", h.name, k, n, p, err)
			}
		}
	}
}

func TestFind(t *testing.T) {
	ssl := field2(typeSSL, "\x01\x00\x00\x00\x00"+field2(subVersion, "TLSv1.3")+field2(subCN, "me"))
	tlvs := []byte(field2(0xe0, "one") + ssl + field2(0xe0, "two") + field2(subCN, "outer"))
	for _, c := range []struct {
		typ  byte
		n    int
		want string
		ok   bool
	}{
		{0xe0, 0, "one", true}, {0xe0, 1, "two", true}, {0xe0, 2, "", false}, {0xe1, 0, "", false},
		{subVersion, 0, "TLSv1.3", true}, {subCN, 0, "me", true}, {subCN, 1, "outer", true}, {typeSSL, 0, ssl[3:], true},
	} {
		if b, ok := find(tlvs, c.typ, c.n); ok != c.ok || string(b) != c.want {
			t.Errorf("%#x %d: %q, %v", c.typ, c.n, b, ok)
		}
	}
	if _, ok := find([]byte(field2(typeSSL, "\x01")), subCN, 0); ok {
		t.Error("found in a short SSL field")
	}
}

const (
	tcp20 = "\x03\xe8\x07\xd0\x00\x00\x00\x00\x00\x00\x00\x00\x50\x00\x00\x00\x00\x00\x00\x00"
	ip20  = "\x45\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08"
	magic = 0x0a0b0c0d
)

// cip makes a header of the legacy form.
func cip(packet string) string {
	return string(binary.BigEndian.AppendUint32([]byte("\x0a\x0b\x0c\x0d"), uint32(len(packet)))) + packet
}

func cipStandard(packet string) string {
	b := binary.BigEndian.AppendUint32([]byte("\x0a\x0b\x0c\x0d"), uint32(len(packet)+12))
	b = binary.BigEndian.AppendUint16(append(b, 0, 1), uint16(len(packet)))
	return string(b) + packet
}

func TestParseCIP(t *testing.T) {
	ip40 := "\x60\x00\x00\x00\x00\x14\x06\x40" + six[:32]
	for _, c := range []struct {
		name, in string
		src, dst reactor.Addr
		err      error
	}{
		{"legacy", cip(ip20 + tcp20), ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), nil},
		{"standard", cipStandard(ip20 + tcp20), ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), nil},
		{"legacy IPv6", cip(ip40 + tcp20), ip("2001:db8::1", 1000), ip("2001:db8::2", 2000), nil},
		{"standard IPv6", cipStandard(ip40 + tcp20), ip("2001:db8::1", 1000), ip("2001:db8::2", 2000), nil},
		{"IP options", cip("\x46" + ip20[1:] + "opts" + tcp20), ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), nil},
		{"magic", "\x0a\x0b\x0c\x0e" + cip(ip20 + tcp20)[4:], reactor.Addr{}, reactor.Addr{}, errCIPMagic},
		{"version", cip("\x30" + ip20[1:] + tcp20), reactor.Addr{}, reactor.Addr{}, errCIPProto},
		{"standard, version", cipStandard("\x30" + ip20[1:] + tcp20), reactor.Addr{}, reactor.Addr{}, errCIPProto},
		{"UDP", cip(ip20[:9] + "\x11" + ip20[10:] + tcp20), reactor.Addr{}, reactor.Addr{}, errCIPProto},
		{"UDP over IPv6", cip(ip40[:6] + "\x11" + ip40[7:] + tcp20), reactor.Addr{}, reactor.Addr{}, errCIPProto},
		{"short", cip(ip20), reactor.Addr{}, reactor.Addr{}, errCIPTruncated},
		{"short IPv6", cip(ip40), reactor.Addr{}, reactor.Addr{}, errCIPTruncated},
		{"long", cip(ip20 + strings.Repeat("x", maxCIP)), reactor.Addr{}, reactor.Addr{}, errCIPTruncated},
		{"header length", cip("\x4f" + ip20[1:] + tcp20), reactor.Addr{}, reactor.Addr{}, errCIPTruncated},
		{"header too short", cip("\x44" + ip20[1:] + tcp20), reactor.Addr{}, reactor.Addr{}, errCIPTruncated},
	} {
		in := c.in + "rest"
		n, p, err := parseCIP([]byte(in))
		if c.err != nil {
			if err != c.err {
				t.Errorf("%s: %v, %v", c.name, p, err)
			}
			continue
		}
		if err != nil || n != len(c.in) || !p.Relayed || p.Version != 0 || p.Src != c.src || p.Dst != c.dst {
			t.Errorf("%s: %d of %d, %+v, %v", c.name, n, len(c.in), p, err)
		}
		for k := range len(c.in) {
			if n, p, err := parseCIP([]byte(in[:k])); n <= k || n > len(c.in) || p != nil || err != nil {
				t.Fatalf("%s cut at %d: %d, %v, %v", c.name, k, n, p, err)
			}
		}
	}
}

// checkParse is what holds for any input.
func checkParse(t *testing.T, in []byte, parse func([]byte) (int, *Header, error)) {
	before := bytes.Clone(in)
	n, p, err := parse(in)
	var bad *stream.ConnError
	switch {
	case !bytes.Equal(before, in):
		t.Fatal("the input was changed")
	case err != nil && (p != nil || !errors.As(err, &bad)):
		t.Fatalf("%v and %v", p, err)
	case err == nil && p == nil && (n <= len(in) || n > MaxHeader+headV2):
		t.Fatalf("%d wanted after %d", n, len(in))
	case err == nil && p != nil && (n > len(in) || n <= 0):
		t.Fatalf("%d bytes of %d", n, len(in))
	}
	if p == nil {
		return
	}
	if k, again, err := parse(in[:n]); err != nil || k != n || again == nil {
		t.Fatalf("without what follows: %d, %v, %v", k, again, err)
	}
	if m, q, err := parse(in[:n-1]); q != nil || err != nil || m > n {
		t.Fatalf("one byte less: %d, %v, %v", m, q, err)
	}
	for rest := p.TLVs; len(rest) > 0; {
		_, v, more, ok := next(rest)
		if !ok || len(v) > MaxValue {
			t.Fatalf("fields %x", p.TLVs)
		}
		rest = more
	}
}

func FuzzParse(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.in + "rest"))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkParse(t, in, whole(Parse)) })
}

func FuzzParseCIP(f *testing.F) {
	f.Add([]byte(cip(ip20 + tcp20)))
	f.Add([]byte(cipStandard(ip20 + tcp20)))
	f.Fuzz(func(t *testing.T, in []byte) {
		checkParse(t, in, parseCIP)
	})
}
