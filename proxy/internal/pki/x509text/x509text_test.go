package x509text

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// value is an attribute's value with a tag of its own.
func value(tag int, s string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(s)} }

func attr(id string, v any) pkix.AttributeTypeAndValue {
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(append([]byte{6, byte(len(identifier(id)))}, identifier(id)...), &oid); err != nil {
		panic(err)
	}
	return pkix.AttributeTypeAndValue{Type: oid, Value: v}
}

// name makes a distinguished name of sets of attributes.
func name(sets ...[]pkix.AttributeTypeAndValue) []byte {
	var seq pkix.RDNSequence
	for _, s := range sets {
		seq = append(seq, s)
	}
	der, err := asn1.Marshal(seq)
	if err != nil {
		panic(err)
	}
	return der
}

type set = []pkix.AttributeTypeAndValue

var dns = map[string][]byte{
	"usual":        name(set{attr("2.5.4.6", "FR")}, set{attr("2.5.4.8", "Ile-de-France")}, set{attr("2.5.4.10", "Example, Inc.")}, set{attr("2.5.4.11", "a")}, set{attr("2.5.4.11", "b")}, set{attr("2.5.4.3", "www.example.com")}),
	"UTF-8":        name(set{attr("2.5.4.3", value(12, "Zoë Müller 漢字"))}),
	"multi-valued": name(set{attr("2.5.4.10", "x")}, set{attr("2.5.4.3", "a"), attr("2.5.4.5", "42")}, set{attr("1.2.840.113549.1.9.1", value(22, "a@b.c"))}),
	"escapes":      name(set{attr("2.5.4.3", value(12, ` #a"+,;<>\=b `))}, set{attr("2.5.4.4", value(12, "#"))}, set{attr("2.5.4.42", value(12, " "))}, set{attr("2.5.4.12", value(12, "a\x01\x7f\n"))}),
	"BMP":          name(set{attr("2.5.4.3", value(30, "\x00Z\x00o\x00\xeb\x6f\x22"))}),
	"universal":    name(set{attr("2.5.4.3", value(28, "\x00\x00\x00Z\x00\x01\xf6\x00"))}),
	"T61":          name(set{attr("2.5.4.3", value(20, "Zo\xeb"))}),
	"no string":    name(set{attr("2.5.4.3", value(4, "ab"))}, set{attr("2.5.4.45", value(3, "\x00ab"))}),
	"unknown":      name(set{attr("1.2.3.4.5", value(12, "x"))}, set{attr("0.9.2342.19200300.100.1.25", value(22, "example"))}, set{attr("2.999.7", value(12, "y"))}),
	"empty value":  name(set{attr("2.5.4.3", value(12, ""))}),
	"empty":        name(),
}

// run gives the output of openssl.
func run(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = strings.NewReader(string(stdin))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// refused are names that crypto/x509 does not take, and what OpenSSL makes of
// them.
var refused = map[string]string{
	"universal": `CN=Z\F0\9F\98\80`,
	"no string": "x500UniqueIdentifier=#0303006162,CN=#04026162",
}

// Names are written as OpenSSL writes them.
func TestRFC2253(t *testing.T) {
	for what, dn := range dns {
		if want := refused[what]; want != "" {
			if got := string(AppendRFC2253(nil, dn)); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
			continue
		}
		c := certtest.SelfSigned(t, "a", certtest.Template(func(c *x509.Certificate) { c.RawSubject = dn }))
		want := strings.TrimSuffix(run(t, c.CertPEM(), "x509", "-noout", "-subject", "-nameopt", "RFC2253"), "\n")
		want = strings.TrimPrefix(strings.TrimPrefix(want, "subject="), "subject=")
		if got := string(AppendRFC2253(nil, c.Cert.RawSubject)); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for what, want := range map[string]string{
		"usual":        "/C=FR/ST=Ile-de-France/O=Example, Inc./OU=a/OU=b/CN=www.example.com",
		"UTF-8":        "/CN=Zoë Müller 漢字",
		"multi-valued": "/O=x/CN=a/serialNumber=42/emailAddress=a@b.c",
		"BMP":          "/CN=\x00Z\x00o\x00\xeb\x6f\x22",
		"unknown":      "/1.2.3.4.5=x/DC=example/2.999.7=y",
		"empty value":  "/CN=",
		"empty":        "",
	} {
		if got := string(AppendDN(nil, dns[what])); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	// What separates names cannot be mistaken.
	if got := string(appendOneLine(nil, name([]pkix.AttributeTypeAndValue{attr("2.5.4.10", "a/CN=b+c")}))); got != `/O=a\/CN=b\+c` {
		t.Error(got)
	}
	for _, bad := range [][]byte{nil, {0x30}, {0x30, 5, 1}, {0x31, 0}, {0x30, 2, 0x31, 9}} {
		if got := AppendDN(AppendRFC2253(nil, bad), bad); len(got) > 0 {
			t.Errorf("%x: %q", bad, got)
		}
	}
}

func TestEntry(t *testing.T) {
	for _, k := range []struct {
		entry string
		n     int
		want  string
		ok    bool
	}{
		{"CN", 1, "www.example.com", true}, {"cn", -1, "www.example.com", true}, {"OU", 1, "a", true}, {"OU", 2, "b", true},
		{"OU", -1, "b", true}, {"OU", -2, "a", true}, {"OU", 3, "", false}, {"OU", -3, "", false}, {"OU", 0, "", false}, {"L", 1, "", false},
		{"commonName", 1, "", false},
	} {
		got := Entry(dns["usual"], k.entry, k.n)
		if string(got) != k.want || (got != nil) != k.ok {
			t.Errorf("%s %d: %q", k.entry, k.n, got)
		}
	}
	if got := string(Entry(dns["unknown"], "1.2.3.4.5", 1)); got != "x" {
		t.Errorf("%q", got)
	}
}

// other makes an alternative name of another kind.
func other(id string, v asn1.RawValue) asn1.RawValue {
	inner, _ := asn1.Marshal(v)
	outer, _ := asn1.Marshal(asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: inner})
	oid, _ := asn1.Marshal(asn1.RawValue{Tag: asn1.TagOID, Bytes: identifier(id)})
	return asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: append(oid, outer...)}
}

func TestSAN(t *testing.T) {
	uri, _ := url.Parse("http://example.com/2.7/")
	c := certtest.SelfSigned(t, "a", certtest.Template(func(c *x509.Certificate) {
		c.DNSNames = []string{"ca.example.com", "*.example.com"}
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP("2001:db8::1")}
		c.EmailAddresses = []string{"a@example.com"}
		c.URIs = []*url.URL{uri}
	}))
	rare, err := asn1.Marshal([]asn1.RawValue{
		{Class: 2, Tag: 8, Bytes: identifier("1.2.3.4")},
		{Class: 2, Tag: 4, IsCompound: true, Bytes: dns["multi-valued"]},
		{Class: 2, Tag: 2, Bytes: []byte("x")},
		other("1.3.6.1.4.1.311.20.2.3", value(asn1.TagUTF8String, "zoë@example.com")),
		other("1.3.6.1.5.5.7.8.7", value(asn1.TagIA5String, "_srv.example.com")),
		other("1.2.3.4", value(asn1.TagUTF8String, "x")),
		other("1.2.3.4", value(asn1.TagInteger, "\x05")),
	})
	if err != nil {
		t.Fatal(err)
	}
	odd := certtest.SelfSigned(t, "a", certtest.Template(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: rare}}
	}))
	for _, c := range []*certtest.Pair{c, odd} {
		_, want, _ := strings.Cut(run(t, c.CertPEM(), "x509", "-noout", "-ext", "subjectAltName"), "\n")
		if got := string(AppendSAN(nil, c.Cert)); got != strings.TrimSpace(want) {
			t.Errorf("%q, want %q", got, strings.TrimSpace(want))
		}
	}
	if got := AppendSAN(nil, certtest.NewCA(t, "ca").Cert); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestAlgorithms(t *testing.T) {
	ca := certtest.NewCA(t, "rsa", certtest.RSA(2048))
	for _, k := range []struct {
		c        *certtest.Pair
		key, sig string
	}{
		{ca, "rsaEncryption", "RSA-SHA256"},
		{ca.Issue(t, "a"), "id-ecPublicKey", "RSA-SHA256"},
		{ca.Issue(t, "a", certtest.Template(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS })), "id-ecPublicKey", "RSASSA-PSS"},
		{certtest.NewCA(t, "ec"), "id-ecPublicKey", "ecdsa-with-SHA256"},
		{certtest.NewCA(t, "ec", certtest.ECDSA(elliptic.P384())), "id-ecPublicKey", "ecdsa-with-SHA384"},
		{certtest.NewCA(t, "ed", certtest.Ed25519()), "ED25519", "ED25519"},
	} {
		if key, sig := KeyAlgorithm(k.c.Cert), SignatureAlgorithm(k.c.Cert); key != k.key || sig != k.sig {
			t.Errorf("%s %s, want %s %s", key, sig, k.key, k.sig)
		}
	}
	if KeyAlgorithm(&x509.Certificate{})+SignatureAlgorithm(&x509.Certificate{}) != "" {
		t.Error("algorithms of nothing")
	}
}

func TestTimesAndSerials(t *testing.T) {
	for _, k := range []struct {
		t    time.Time
		want string
		ok   bool
	}{
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "260102030405Z", true},
		{time.Date(2051, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), "510102020405Z", true},
		{time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC), "", false},
		{time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "", false},
	} {
		if got, ok := AppendTime(nil, k.t); string(got) != k.want || ok != k.ok {
			t.Errorf("%v: %q %v", k.t, got, ok)
		}
	}
	long := new(big.Int).Lsh(big.NewInt(1), 600)
	for n, want := range map[*big.Int]string{big.NewInt(0): "\x00", big.NewInt(255): "\xff", big.NewInt(-3): "\x03", big.NewInt(0x1234): "\x12\x34", long: string(long.Bytes())} {
		if got := string(AppendSerial(nil, &x509.Certificate{SerialNumber: n})); got != want {
			t.Errorf("%v: %x", n, got)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	c := certtest.SelfSigned(t, "a", certtest.Template(func(c *x509.Certificate) { c.RawSubject = dns["usual"] })).Cert
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(10, func() {
		b := AppendDN(buf, c.RawSubject)
		b = AppendRFC2253(b, c.RawSubject)
		b = append(b, Entry(c.RawSubject, "CN", 1)...)
		b = AppendSAN(b, c)
		b, _ = AppendTime(b, c.NotAfter)
		b = AppendSerial(b, c)
		_ = append(append(b, KeyAlgorithm(c)...), SignatureAlgorithm(c)...)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzName(f *testing.F) {
	for _, dn := range dns {
		f.Add(dn)
	}
	san, _ := asn1.Marshal([]asn1.RawValue{other("1.2.3.4", value(asn1.TagUTF8String, "x")), {Class: 2, Tag: 4, IsCompound: true, Bytes: dns["usual"]}})
	f.Add(san)
	f.Fuzz(func(t *testing.T, dn []byte) {
		for _, c := range AppendRFC2253(nil, dn) {
			if c < ' ' || c >= 0x7f {
				t.Errorf("%x: %x is not escaped", dn, c)
			}
		}
		AppendDN(nil, dn)
		Entry(dn, "CN", 1)
		Entry(dn, "CN", -1)
		AppendSAN(nil, &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: dn}}})
	})
}
