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
	"reflect"
	"strings"
	"testing"
	"time"
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

// What HAProxy 2.6 prints.
const (
	showCert = `Filename: /c/a.pem
Status: Used
Serial: 03169D88
notBefore: Nov  3 05:34:21 2026 GMT
notAfter: Dec 23 05:34:21 2026 GMT
Subject Alternative Name: DNS:a.example.com, DNS:*.a.example.com
Algorithm: EC256
SHA1 FingerPrint: 1AC62B39
Subject: /CN=a.example.com
Issuer: /CN=ca: x
Chain Subject: /CN=ca
Chain Issuer: /CN=root
Chain Subject: /CN=root
Chain Issuer: /CN=root
OCSP Response Key: `
	showCA = `Filename: /ca.pem
Status: Unused
 
Certificate #1:
Serial: 01
Subject: /CN=one
 
Certificate #2:
Serial: 02
Subject: /CN=two
`
	showCRL = `Filename: /crl.pem
Status: Used
 
Certificate Revocation List #1:
Version 2
Signature Algorithm: ecdsa-with-SHA256
Issuer: /C=FR/CN=CA
Last Update: Nov 23 06:05:55 2026 GMT
Next Update: Dec 23 06:05:55 2026 GMT
Revoked Certificates:
    Serial Number: 0102
        Revocation Date: Nov  1 00:00:00 2026 GMT
    Serial Number: 0A
        Revocation Date: Nov  2 00:00:00 2026 GMT
 
Certificate Revocation List #2:
Version 1
No Revoked Certificates.
`
)

func TestShow(t *testing.T) {
	files := ParseFiles("# transaction\n*/t.pem\n# filename\n/ca.pem - 1 certificate(s)\n/a - b.pem\n")
	if want := []CA{{"/ca.pem", "/ca.pem", "1"}, {"/a - b.pem", "/a - b.pem", ""}}; !reflect.DeepEqual(files, want) {
		t.Errorf("%+v", files)
	}
	c := ParseCertificate(showCert)
	if c.StorageName != "/c/a.pem" || c.Status != "Used" || c.Issuers != "/CN=ca: x" || c.ChainSubject != "/CN=ca" || c.ChainIssuer != "/CN=root" ||
		c.NotBefore.Format(time.RFC3339) != "2026-11-03T05:34:21Z" || c.SHA1 != "1AC62B39" {
		t.Errorf("%+v", c)
	}
	ca, list := ParseCA(showCA)
	if ca.Count != "2" || ca.StorageName != "/ca.pem" || len(list) != 2 || list[1].Serial != "02" || list[1].Subject != "/CN=two" || list[0].Status != "Unused" {
		t.Errorf("%+v %+v", ca, list)
	}
	want := []CRL{
		{"/crl.pem", "Used", "2", "ecdsa-with-SHA256", "/C=FR/CN=CA", "2026-11-23", "2026-12-23", []Revoked{{"0102", "2026-11-01"}, {"0A", "2026-11-02"}}},
		{StorageName: "/crl.pem", Status: "Used", Version: "1"},
	}
	if got := ParseCRL(showCRL); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	entries, err := ParseEntries("# /l.txt\n/c/a.pem:1 [alpn h2  ssl-min-ver TLSv1.2] a.example.com !x.a.example.com\n/c/b.pem:3\n\n")
	if err != nil || len(entries) != 2 || entries[0].Line != 1 || entries[0].File != "/c/a.pem" || entries[0].Options != "alpn h2 ssl-min-ver TLSv1.2" ||
		entries[1].Line != 3 || len(entries[0].Filters) != 2 {
		t.Errorf("%+v %v", entries, err)
	}
	if got := ParseNames("# x\n/l.txt\n\n"); !reflect.DeepEqual(got, []string{"/l.txt"}) {
		t.Errorf("%q", got)
	}
}

// Whatever a proxy prints: no panic.
func FuzzShow(f *testing.F) {
	for _, s := range []string{showCert, showCA, showCRL, "# /l\n/a:1 [x] b\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ParseFiles(s)
		ParseCertificate(s)
		ParseCA(s)
		ParseCRL(s)
		ParseEntries(s)
		Describe([]byte(s))
	})
}
