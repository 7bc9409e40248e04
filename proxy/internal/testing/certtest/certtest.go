package certtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Pair is a certificate with its key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	// Issuer signed it; for an authority made by [NewCA] it is the Pair itself.
	Issuer *Pair
}

// Option changes the certificate that is going to be made.
type Option func(*request)

type request struct {
	template *x509.Certificate
	key      func() (crypto.Signer, error)
	signer   *Pair
}

// RSA makes the key an RSA one of so many bits. Without an option for the key it
// is ECDSA on P-256.
func RSA(bits int) Option {
	return func(r *request) { r.key = func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) } }
}

// ECDSA makes the key an ECDSA one on that curve.
func ECDSA(c elliptic.Curve) Option {
	return func(r *request) { r.key = func() (crypto.Signer, error) { return ecdsa.GenerateKey(c, rand.Reader) } }
}

// Ed25519 makes the key an Ed25519 one.
func Ed25519() Option {
	return func(r *request) {
		r.key = func() (crypto.Signer, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err }
	}
}

// Key takes a key that there is.
func Key(k crypto.Signer) Option {
	return func(r *request) { r.key = func() (crypto.Signer, error) { return k, nil } }
}

// Names sets the subject's alternative names: of hosts, or IP addresses.
func Names(names ...string) Option {
	return func(r *request) {
		r.template.DNSNames, r.template.IPAddresses = nil, nil
		for _, n := range names {
			if ip := net.ParseIP(n); ip != nil {
				r.template.IPAddresses = append(r.template.IPAddresses, ip)
			} else {
				r.template.DNSNames = append(r.template.DNSNames, n)
			}
		}
	}
}

// Subject sets the whole subject in place of the common name.
func Subject(n pkix.Name) Option { return func(r *request) { r.template.Subject = n } }

// Valid sets the time that the certificate is good for.
func Valid(from, until time.Time) Option {
	return func(r *request) { r.template.NotBefore, r.template.NotAfter = from, until }
}

// Expired makes a certificate that was good until an hour ago.
func Expired() Option { return Valid(time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)) }

// NotYet makes a certificate that will be good in a day.
func NotYet() Option { return Valid(time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)) }

// Client makes a certificate for clients only.
func Client() Option {
	return func(r *request) { r.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
}

// Serial sets the serial number.
func Serial(n int64) Option { return func(r *request) { r.template.SerialNumber = big.NewInt(n) } }

// Template lets f change everything else.
func Template(f func(*x509.Certificate)) Option { return func(r *request) { f(r.template) } }

var serial atomic.Int64

// NewCA makes an authority with that common name, signed by itself.
func NewCA(t testing.TB, name string, opts ...Option) *Pair {
	t.Helper()
	return issue(t, nil, name, append([]Option{authority}, opts...))
}

// CA makes an authority below p.
func (p *Pair) CA(t testing.TB, name string, opts ...Option) *Pair {
	t.Helper()
	return issue(t, p, name, append([]Option{authority}, opts...))
}

func authority(r *request) {
	r.template.IsCA = true
	r.template.BasicConstraintsValid = true
	r.template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	r.template.ExtKeyUsage, r.template.DNSNames = nil, nil
}

// Issue makes a certificate signed by p. Its common name and its only
// alternative name are name, unless options say otherwise.
func (p *Pair) Issue(t testing.TB, name string, opts ...Option) *Pair {
	t.Helper()
	return issue(t, p, name, opts)
}

// SelfSigned makes a certificate that is signed by itself and is no authority.
func SelfSigned(t testing.TB, name string, opts ...Option) *Pair {
	t.Helper()
	return issue(t, nil, name, opts)
}

func issue(t testing.TB, by *Pair, name string, opts []Option) *Pair {
	t.Helper()
	now := time.Now()
	r := &request{signer: by, template: &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()/1000 + serial.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-72 * time.Hour),
		NotAfter:     now.Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{name},
	}}
	ECDSA(elliptic.P256())(r)
	for _, o := range opts {
		o(r)
	}
	key, err := r.key()
	if err != nil {
		t.Fatal(err)
	}
	out := &Pair{Key: key, Issuer: by}
	parent, signer := r.template, key
	if by != nil {
		parent, signer = by.Cert, by.Key
	} else {
		out.Issuer = out
	}
	der, err := x509.CreateCertificate(rand.Reader, r.template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if out.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return out
}

// CertPEM is the certificate alone.
func (p *Pair) CertPEM() []byte { return encode("CERTIFICATE", p.Cert.Raw) }

// KeyPEM is the key, in PKCS#8.
func (p *Pair) KeyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

// ChainPEM are the authorities between p and its root, without the root.
func (p *Pair) ChainPEM() []byte {
	var b bytes.Buffer
	for _, c := range p.chain()[1:] {
		b.Write(encode("CERTIFICATE", c.Raw))
	}
	return b.Bytes()
}

// PEM is the certificate, its chain and its key: what "crt" takes.
func (p *Pair) PEM(t testing.TB) []byte {
	t.Helper()
	return bytes.Join([][]byte{p.CertPEM(), p.ChainPEM(), p.KeyPEM(t)}, nil)
}

// chain is p and what is between it and its root.
func (p *Pair) chain() []*x509.Certificate {
	out := []*x509.Certificate{p.Cert}
	for ca := p.Issuer; ca != nil && ca.Issuer != ca && ca != p; ca = ca.Issuer {
		out = append(out, ca.Cert)
	}
	return out
}

// TLS is p for a tls.Config.
func (p *Pair) TLS() tls.Certificate {
	c := tls.Certificate{PrivateKey: p.Key, Leaf: p.Cert}
	for _, x := range p.chain() {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c
}

// Pool is a pool of p alone.
func (p *Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Cert)
	return pool
}

// CRL is a revocation list by p, in PEM, that is good for a day around now.
func (p *Pair) CRL(t testing.TB, revoked ...*Pair) []byte {
	t.Helper()
	return p.CRLAt(t, time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour), revoked...)
}

// CRLAt is a revocation list that is good from one time to another.
func (p *Pair) CRLAt(t testing.TB, from, until time.Time, revoked ...*Pair) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(serial.Add(1)), ThisUpdate: from, NextUpdate: until}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.Cert.SerialNumber, RevocationTime: from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("X509 CRL", der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Write writes a file into dir and gives its path.
func Write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// OCSP is a response about p by its issuer, in DER, that is good for a day around
// now: change may make it another one.
func (p *Pair) OCSP(t testing.TB, change ...func(*ocsp.Response)) []byte {
	t.Helper()
	r := ocsp.Response{
		Status: ocsp.Good, SerialNumber: p.Cert.SerialNumber, IssuerHash: crypto.SHA1,
		ThisUpdate: time.Now().Add(-24 * time.Hour), NextUpdate: time.Now().Add(24 * time.Hour),
	}

	for _, f := range change {
		f(&r)
	}
	der, err := ocsp.CreateResponse(p.Issuer.Cert, p.Issuer.Cert, r, p.Issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
