package ssl_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// kinds of clients, by what they can do.
var clientKinds = []struct {
	name string
	cfg  *tls.Config
}{
	{"any", &tls.Config{}},
	{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}},
	{"RSA", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}},
	{"ECDSA", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}},
}

// answer is the common name and number of the certificate that a client is served,
// or that it was refused.
func answer(t *testing.T, addr string, cfg *tls.Config) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify = true
	var leaf *x509.Certificate
	cfg.VerifyConnection = func(s tls.ConnectionState) error { leaf = s.PeerCertificates[0]; return nil }
	if err := tls.Client(c, cfg).Handshake(); leaf == nil {
		if err != nil && strings.Contains(err.Error(), "unrecognized name") {
			return "unrecognized_name"
		}
		return "refused"
	}
	return fmt.Sprintf("%s/%v", leaf.Subject.CommonName, leaf.SerialNumber)
}

var namesToAskFor = []string{
	"", "a.test", "A.Test", "b.test", "www.b.test", "x.www.b.test", "b.test.", "both.test", "www.both.test", "mixed.test",
	"x.mixed.test", "secure.wild.test", "SECURE.wild.test", "other.wild.test", "a.b.wild.test", "wild.test", "nowhere.example", "127.0.0.1",
	"cn.test", "san1.test", "san2.test", "localhost", "filtered.test", "unfiltered.test", "e.test", "star.other", "xn--bcher-kva.test", "_under.test", ".test", "*.wild.test",
}

// TestSelectionLikeHAProxy asks both programs for the same names and compares
// what they serve.
func TestSelectionLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	rsa := certtest.RSA(2048)
	n := int64(0)
	write := func(file, cn string, opts ...certtest.Option) {
		n++
		certtest.Write(t, dir, file, ca.Issue(t, cn, append([]certtest.Option{certtest.Serial(n)}, opts...)...).PEM(t))
	}
	write("a.pem", "a.test")
	write("b.pem", "b.test", certtest.Names("b.test", "*.b.test"))
	write("both.pem.rsa", "both.test", certtest.Names("both.test", "www.both.test"), rsa)
	write("both.pem.ecdsa", "both.test", certtest.Names("both.test", "www.both.test"))
	write("mixed-exact.pem", "mixed.test", rsa)
	write("mixed-wild.pem", "*.test", certtest.Names("*.test"))
	write("mixed-wild-rsa.pem", "*.mixed.test", certtest.Names("*.mixed.test"), rsa)
	write("wild.pem", "*.wild.test", certtest.Names("*.wild.test"))
	write("wild2.pem", "second", certtest.Names("*.wild.test"))
	write("san.pem", "cn.test", certtest.Names("san1.test", "SAN2.test"))
	write("ed.pem", "e.test", certtest.Ed25519())
	write("dir/10.pem", "wild.test")
	write("dir/05.pem", "www.b.test")
	write("dir/20.pem", "xn--bcher-kva.test")
	certtest.Write(t, dir, "dir/junk.key", []byte("no certificate"))
	certtest.Write(t, dir, "dir/.hidden", []byte("no certificate"))
	list := func(name, text string) string {
		return certtest.Write(t, dir, name, []byte(strings.ReplaceAll(text, "DIR", dir)))
	}
	cases := []struct{ name, options string }{
		{"one", "crt a.pem"},
		{"several", "crt a.pem crt b.pem crt san.pem"},
		{"other order", "crt san.pem crt b.pem crt a.pem"},
		{"strict", "crt a.pem crt b.pem strict-sni"},
		{"wildcards", "crt a.pem crt wild.pem crt mixed-wild.pem"},
		{"both kinds", "crt a.pem crt both.pem"},
		{"both kinds, mixed", "crt a.pem crt mixed-exact.pem crt mixed-wild.pem crt mixed-wild-rsa.pem"},
		{"two for a name", "crt a.pem crt wild.pem crt wild2.pem"},
		{"Ed25519", "crt a.pem crt ed.pem"},
		{"folder", "crt dir"},
		{"folder and file", "crt a.pem crt dir"},
		{"list", "crt-list " + list("1.list", "a.pem\nb.pem\n")},
		{"filters", "crt-list " + list("2.list", "a.pem\nb.pem filtered.test\nsan.pem *.wild.test !secure.wild.test\n")},
		{"filters in two lines", "crt-list " + list("3.list", "# one\na.pem\n\nwild.pem *.wild.test !secure.wild.test\nwild2.pem *.wild.test !OTHER.wild.test\n")},
		{"exclusions by kind", "crt-list " + list("4.list", "a.pem\nmixed-exact.pem *.wild.test !secure.wild.test\nwild.pem *.wild.test\n")},
		{"exclusions of wildcards", "crt-list " + list("5.list", "a.pem\nwild.pem *.wild.test !*.wild.test !a.test\n")},
		{"case", "crt-list " + list("6.list", "a.pem\nb.pem B.TEST *.Wild.TEST\n")},
		{"list and files", "crt a.pem crt-list " + list("7.list", "b.pem filtered.test\n") + " crt san.pem"},
		{"the same twice", "crt-list " + list("8.list", "a.pem\nb.pem filtered.test\nb.pem unfiltered.test\nb.pem\n")},
		{"bundle in a list", "crt a.pem crt-list " + list("9.list", "both.pem *.test\n")},
		{"strict list", "strict-sni crt-list " + list("10.list", "a.pem filtered.test\nb.pem *.wild.test !secure.wild.test\n")},
	}
	var text strings.Builder
	fmt.Fprintf(&text, "global\n crt-base %s\n ssl-default-bind-options ssl-min-ver TLSv1.2\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n", dir)
	for i, c := range cases {
		fmt.Fprintf(&text, "frontend f%d\n bind {c%d} ssl %s\n http-request return status 200\n", i, i, c.options)
	}
	text.WriteString("frontend ready\n bind {ready}\n http-request return status 200\n")
	sides := oracle.Run(t, text.String())
	for i, c := range cases {
		for _, kind := range clientKinds {
			for _, name := range namesToAskFor {
				cfg := kind.cfg.Clone()
				cfg.ServerName = strings.TrimSuffix(name, ".") // crypto/tls sends no trailing dot
				addr := fmt.Sprintf("c%d", i)
				ours, theirs := answer(t, sides[0].Addr(addr), cfg), answer(t, sides[1].Addr(addr), cfg)
				if ours != theirs {
					t.Errorf("%s (%s), client %s, name %q: %s, HAProxy: %s", c.name, c.options, kind.name, name, ours, theirs)
				}
			}
		}
	}
	if os.Getenv("SHOW") != "" {
		t.Log(text.String())
	}
}
