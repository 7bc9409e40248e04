package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestParse(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	mid := ca.CA(t, "middle")
	ec, rs, ed := mid.Issue(t, "ec.test"), mid.Issue(t, "rsa.test", certtest.RSA(2048)), mid.Issue(t, "ed.test", certtest.Ed25519())
	sec1, err := x509.MarshalECPrivateKey(ec.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rs.Key.(*rsa.PrivateKey))
	dh := block("DH PARAMETERS", []byte{1, 2, 3})
	for _, x := range []struct {
		name  string
		data  []byte
		chain int
		key   bool
		err   error
		kind  certs.Algorithm
	}{
		{name: "ECDSA", data: ec.PEM(t), chain: 1, key: true, kind: certs.ECDSA},
		{name: "RSA", data: rs.PEM(t), chain: 1, key: true, kind: certs.RSA},
		{name: "Ed25519", data: ed.PEM(t), chain: 1, key: true, kind: certs.Other},
		{name: "PKCS1", data: join(rs.CertPEM(), block("RSA PRIVATE KEY", pkcs1)), key: true, kind: certs.RSA},
		{name: "SEC1 with parameters", data: join(block("EC PARAMETERS", []byte{6, 1, 1}), block("EC PRIVATE KEY", sec1), ec.CertPEM()), key: true, kind: certs.ECDSA},
		{name: "key first", data: join(ec.KeyPEM(t), ec.CertPEM(), mid.CertPEM(), ca.CertPEM()), chain: 2, key: true, kind: certs.ECDSA},
		{name: "DH parameters", data: join(ec.CertPEM(), dh, ec.KeyPEM(t)), key: true, kind: certs.ECDSA},
		{name: "no key", data: ec.CertPEM(), kind: certs.ECDSA},
		{name: "text around", data: join([]byte("Bag Attributes\n"), ec.CertPEM(), []byte("the end")), kind: certs.ECDSA},
		{name: "nothing", data: nil, err: certs.ErrCertificate},
		{name: "key only", data: ec.KeyPEM(t), err: certs.ErrCertificate},
		{name: "junk certificate", data: block("CERTIFICATE", []byte{0}), err: certs.ErrCertificate},
		{name: "junk chain", data: join(ec.CertPEM(), block("CERTIFICATE", []byte{0})), err: certs.ErrChain},
		{name: "junk key", data: join(ec.CertPEM(), block("PRIVATE KEY", []byte{0})), err: certs.ErrKey},
		{name: "encrypted key", data: join(ec.CertPEM(), block("ENCRYPTED PRIVATE KEY", []byte{0})), err: certs.ErrKey},
		{name: "long chain", data: join(ec.CertPEM(), bytes.Repeat(mid.CertPEM(), 200)), err: certs.ErrChain},
	} {
		p, err := certs.Parse(x.data)
		if !errors.Is(err, x.err) || (err == nil) != (x.err == nil) {
			t.Errorf("%s: error %v, want %v", x.name, err, x.err)
			continue
		}
		if err == nil && (len(p.Chain) != x.chain || (p.Key != nil) != x.key || p.Algorithm() != x.kind) {
			t.Errorf("%s: %d in the chain, key %v, kind %d", x.name, len(p.Chain), p.Key != nil, p.Algorithm())
		}
	}
}

// Keys under passphrases, made by OpenSSL 3.0: "openssl genpkey -aes256" and
// "openssl ecparam -genkey | openssl ec -aes128".
func TestEncryptedKeys(t *testing.T) {
	for name, text := range encryptedKeys {
		if _, err := certs.ParseKey([]byte(text)); !errors.Is(err, certs.ErrKey) {
			t.Errorf("%s without its passphrase: %v", name, err)
		}
		if _, err := certs.ParseKeyEncrypted([]byte(text), "wrong"); !errors.Is(err, certs.ErrKey) {
			t.Errorf("%s with a wrong passphrase: %v", name, err)
		}
		if k, err := certs.ParseKeyEncrypted([]byte(text), "secret"); err != nil || k == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	a, b := ca.Issue(t, "a.test"), ca.Issue(t, "b.test")
	pair := func(data []byte) *certs.Pair {
		p, err := certs.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := pair(a.PEM(t))
	with := func(p *certs.Pair, ext string, data []byte) *certs.Pair {
		n, err := p.With(ext, data)
		if err != nil {
			t.Fatalf("%s: %v", ext, err)
		}
		return n
	}
	for _, x := range []struct {
		name string
		p    *certs.Pair
		err  error
	}{
		{"good", good, nil},
		{"nothing", nil, certs.ErrIncomplete},
		{"no key", pair(a.CertPEM()), certs.ErrIncomplete},
		{"key alone", with(nil, ".key", a.KeyPEM(t)), certs.ErrIncomplete},
		{"another key", with(good, ".key", b.KeyPEM(t)), certs.ErrMismatch},
		{"its issuer", with(good, ".issuer", ca.CertPEM()), nil},
		{"another's issuer", with(good, ".issuer", other.CertPEM()), certs.ErrNotIssuer},
		{"new key, then its certificate", with(with(with(good, ".key", b.KeyPEM(t)), "", b.CertPEM()), ".key", b.KeyPEM(t)), nil},
	} {
		if err := x.p.Check(); err != x.err {
			t.Errorf("%s: %v, want %v", x.name, err, x.err)
		}
	}
	if good.Authority() != nil {
		t.Error("the issuer of a certificate without chain is known")
	}
	if got := with(good, ".issuer", ca.CertPEM()).Authority(); got == nil || !got.Equal(ca.Cert) {
		t.Error("the issuer is not known")
	}
	for ext, bad := range map[string]string{"": "x", ".key": "x", ".issuer": "x", ".sctl": "x", ".dh": "x"} {
		if _, err := good.With(ext, []byte(bad)); err == nil {
			t.Errorf("junk was taken for '%s'", ext)
		}
	}
}

func TestSCTs(t *testing.T) {
	list := []byte("\x00\x09\x00\x03abc\x00\x02de")
	p, err := (&certs.Pair{}).With(".sctl", list)
	if err != nil || len(p.SCTs) != 2 || string(p.SCTs[0]) != "abc" || string(p.SCTs[1]) != "de" {
		t.Fatalf("%q, %v", p.SCTs, err)
	}
	if !bytes.Equal(p.SCTL(), list) {
		t.Errorf("written as %q", p.SCTL())
	}
	for _, bad := range []string{"", "\x00", "\x00\x01", "\x00\x02\x00\x00", "\x00\x03\x00\x02a", "\x00\x01\x00", "\x00\x03\x00\x01ab"} {
		if _, err := (&certs.Pair{}).With(".sctl", []byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSkipRoot(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	p, err := certs.Parse(join(ca.Issue(t, "a.test").PEM(t), ca.CertPEM()))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.TLS(false).Certificate); n != 2 {
		t.Errorf("%d certificates are sent", n)
	}
	if n := len(p.TLS(true).Certificate); n != 1 {
		t.Errorf("%d certificates are sent without the root", n)
	}
	if n := strings.Count(string(p.PEM()), "BEGIN CERTIFICATE"); n != 2 {
		t.Errorf("%d certificates in PEM", n)
	}
}

// FuzzParse reads anything as PEM; nothing may panic.
func FuzzParse(f *testing.F) {
	ca := certtest.NewCA(f, "ca")
	f.Add(ca.Issue(f, "a.test").PEM(f))
	f.Add(ca.CRL(f, ca))
	f.Add([]byte("\x00\x05\x00\x03abc"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if p, err := certs.Parse(data); err == nil {
			p.Check()
			p.Authority()
		}
		certs.ParseCA(data)
		certs.ParseCRL(data)
		for _, ext := range certs.Extensions {
			(*certs.Pair)(nil).With(ext, data)
		}
	})
}
