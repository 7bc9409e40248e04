package proxyproto

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

func TestAppendV1(t *testing.T) {
	for _, c := range []struct {
		src, dst reactor.Addr
		want     string
	}{
		{ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n"},
		{ip("2001:db8::1", 1000), ip("::1", 0), "PROXY TCP6 2001:db8::1 ::1 1000 0\r\n"},
		{ip("1.2.3.4", 1), ip("::1", 2), "PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n"},
		{ip("::1", 1), ip("1.2.3.4", 2), "PROXY TCP6 ::1 ::ffff:1.2.3.4 1 2\r\n"},
		{ip("::ffff:1.2.3.4", 1), ip("::ffff:5.6.7.8", 2), "PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1 2\r\n"},
		{ip("fe80::1%eth0", 1), ip("fe80::2%eth0", 2), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
		{reactor.Addr{}, reactor.Addr{Path: "/s"}, "PROXY UNKNOWN\r\n"},
		{ip("1.2.3.4", 1), reactor.Addr{}, "PROXY UNKNOWN\r\n"},
	} {
		got := string(AppendV1([]byte("x"), c.src, c.dst))
		if got != "x"+c.want {
			t.Errorf("%v %v: %q", c.src, c.dst, got)
		}
		if n, p, err := whole(Parse)([]byte(c.want)); n != len(c.want) || p == nil || err != nil {
			t.Errorf("%q: %d, %v, %v", c.want, n, p, err)
		}
	}
}

func TestAppendV2(t *testing.T) {
	local := v2(0x20, 0)
	for _, c := range []struct {
		src, dst reactor.Addr
		local    bool
		want     string
	}{
		{ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), false, v2(0x21, 0x11, four)},
		{ip("2001:db8::1", 1000), ip("2001:db8::2", 2000), false, v2(0x21, 0x21, six)},
		{ip("1.2.3.4", 1000), ip("::1", 2000), false, v2(0x21, 0x21, strings.Repeat("\x00", 10)+"\xff\xff\x01\x02\x03\x04"+strings.Repeat("\x00", 15)+"\x01\x03\xe8\x07\xd0")},
		{ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), true, local},
		{reactor.Addr{}, reactor.Addr{Path: "/s"}, false, local},
	} {
		if got := string(beginV2([]byte("x"), c.src, c.dst, c.local).end()); got != "x"+c.want {
			t.Errorf("%v %v: %q", c.src, c.dst, got)
		}
	}
}

// TestFields makes headers with fields and reads them again.
func TestFields(t *testing.T) {
	w := beginV2([]byte("before"), ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), false)
	w.checksum()
	w.field(typeALPN, "h2")
	at := w.openSSL(clientSSL|clientCertSess, 1)
	w.field(subVersion, "TLSv1.3")
	w.field(subCN, "me")
	w.close(at)
	head := w.end()[len("before"):]
	n, p, err := whole(Parse)(head)
	if err != nil || n != len(head) || p.Src != ip("1.2.3.4", 1000) {
		t.Fatal(n, p, err)
	}
	for typ, want := range map[byte]string{
		typeALPN: "h2", subVersion: "TLSv1.3", subCN: "me",
		typeSSL: "\x05\x00\x00\x00\x01" + field2(subVersion, "TLSv1.3") + field2(subCN, "me"),
	} {
		if v, _ := find(p.TLVs, typ, 0); string(v) != want {
			t.Errorf("%#x: %q", typ, v)
		}
	}
	for i := range head { // the checksum notices any change but that of its own type
		bad := []byte(string(head))
		if bad[i] ^= 0x40; i == headV2+12 {
			continue
		}
		if n, p, err := whole(Parse)(bad); p != nil && p.Relayed && len(p.TLVs) > 0 && err == nil {
			t.Errorf("byte %d changed: %d, %+v", i, n, p)
		}
	}
}

// TestFieldsThatDoNotFit are left out, and what comes after them is not.
func TestFieldsThatDoNotFit(t *testing.T) {
	w := beginV2(nil, ip("1.2.3.4", 1000), ip("5.6.7.8", 2000), false)
	w.field(0xe0, strings.Repeat("a", 1<<16))
	w.field(0xe1, strings.Repeat("b", 40000))
	w.field(0xe2, strings.Repeat("c", 40000))
	w.field(0xe3, "d")
	if got, want := string(w.end()), v2(0x21, 0x11, four, field2(0xe1, strings.Repeat("b", 40000)), field2(0xe3, "d")); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}
