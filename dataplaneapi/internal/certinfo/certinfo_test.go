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
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := Describe(data); (c == nil) == (err == nil) {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
