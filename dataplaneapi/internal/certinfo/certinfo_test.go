package certinfo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// issue makes a certificate and its key, in PEM.
func issue(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "*." + name}, IPAddresses: []net.IP{{192, 0, 2, 1}},
		NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), SubjectKeyId: []byte{1, 2},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kd, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kd})
}

func TestDescribe(t *testing.T) {
	cert, key := issue(t, "a.example")
	other, otherKey := issue(t, "ca.example")
	c, err := Describe([]byte(string(cert) + string(other) + string(key)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "CN=a.example" || c.Issuers != "CN=a.example" || c.Serial != "1234" || c.Domains != "a.example,*.a.example" || c.IPs != "192.0.2.1" ||
		c.Names != "DNS:a.example, DNS:*.a.example, IP:192.0.2.1" || c.Algorithm != "EC256" || len(c.SHA1) != 40 || len(c.SHA256) != 64 ||
		c.SubjectKey != "0102" || c.ChainSubject != "CN=ca.example" || c.NotAfter.Format(time.RFC3339) != "2027-01-02T03:04:05Z" {
		t.Errorf("%+v", c)
	}
	if c, err := Describe(key); err != nil || c.Algorithm != "EC256" || c.Subject != "" {
		t.Errorf("a key alone: %+v %v", c, err)
	}
	for text, want := range map[string]string{
		"":                              ErrEmpty.Error(),
		"zork":                          ErrEmpty.Error(),
		string(cert) + string(otherKey): "not that of the certificate",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n":                        "certificate 1",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n":    "it is encrypted",
		string(cert) + "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n": "private key: ",
	} {
		if _, err := Describe([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	f.Add([]byte("\x00\x05\x00\x03abc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"a.pem", "a.pem.ocsp", "a.pem.sctl"} {
			if c, err := File(name, data); (c == nil) == (err == nil) {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
		}
	})
}

// Files that stand beside a certificate, and revocation lists.
func TestFile(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: at, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	staple, err := ocsp.CreateResponse(ca, ca, ocsp.Response{Status: ocsp.Good, SerialNumber: big.NewInt(0x77), ThisUpdate: at, NextUpdate: at.Add(time.Hour)}, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at, NextUpdate: at.Add(time.Hour)}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	crl := string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list}))
	cert, _ := issue(t, "a.example")
	for _, c := range []struct {
		name, data, want string // subject, issuer, serial and the hour that it ends
		err              string
	}{
		{name: "a.pem.ocsp", data: string(staple), want: "  77 04:04"},
		{name: "a.pem.ocsp", data: string(cert), err: "OCSP response"},
		{name: "a.pem.ocsp", data: string(staple) + "x", err: "OCSP response"},
		{name: "a.pem", data: string(staple), err: ErrEmpty.Error()},
		{name: "a.pem.sctl", data: "\x00\x05\x00\x03abc", want: "   "},
		{name: "a.pem.sctl", data: "\x00\x05\x00\x04abc", err: "timestamps"},
		{name: "a.pem.sctl", data: "\x00\x05\x00\x03abcd", err: "timestamps"},
		{name: "a.pem.sctl", data: "\x00\x00", err: "timestamps"},
		{name: "a.pem.sctl", err: "timestamps"},
		{name: "crl.pem", data: crl, want: " CN=ca  04:04"},
		{name: "crl.pem", data: string(cert) + crl, want: "CN=a.example CN=a.example 1234 03:04"},
		{name: "crl.pem", data: "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", err: "revocation list"},
	} {
		got, err := File(c.name, []byte(c.data))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %.20q: %v, want %q", c.name, c.data, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		end := ""
		if got.NotAfter != nil {
			end = got.NotAfter.Format("15:04")
		}
		if text := strings.Join([]string{got.Subject, got.Issuers, got.Serial, end}, " "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}
