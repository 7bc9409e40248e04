package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/youmark/pkcs8"
)

// Pair is a certificate with its key and what is sent along with it. It is
// immutable. While a transaction builds it parts may be missing: see
// [Pair.Check].
type Pair struct {
	Leaf *x509.Certificate
	// Chain is what is sent behind Leaf.
	Chain []*x509.Certificate
	Key   crypto.Signer
	// Issuer is what ".issuer" gave, nil if nothing did: see [Pair.Authority].
	Issuer *x509.Certificate
	// OCSP is a response to be stapled, in DER; nil for none. Stapled tells that
	// there is to be one, even if it has not come yet.
	OCSP    []byte
	Stapled bool
	// SCTs are signed certificate timestamps (RFC 6962 3.3).
	SCTs [][]byte
	// Completed tells that Chain is from issuers-chain-path.
	Completed bool
}

// Algorithm is the kind of a certificate's key, as far as choosing between
// certificates is concerned.
type Algorithm uint8

// Kinds of keys.
const (
	Other Algorithm = iota // Ed25519
	RSA
	ECDSA
)

// Algorithm tells the kind of the key.
func (p *Pair) Algorithm() Algorithm {
	switch p.Leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return RSA
	case *ecdsa.PublicKey:
		return ECDSA
	}
	return Other
}

// Authority is the certificate that issued Leaf, as far as it is known: from
// ".issuer", or from the chain. It is nil if it is not.
func (p *Pair) Authority() *x509.Certificate {
	if p.Issuer != nil {
		return p.Issuer
	}
	for _, c := range p.Chain {
		if issued(c, p.Leaf) {
			return c
		}
	}
	return nil
}

// issued tells whether ca's name stands in c as its issuer, and the identifiers
// of their keys do not contradict. No signature is verified.
func issued(ca, c *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, c.RawIssuer) &&
		(len(c.AuthorityKeyId) == 0 || len(ca.SubjectKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, ca.SubjectKeyId))
}

// TLS gives p in crypto/tls's form. skipRoot leaves out an authority that issued
// itself (ssl-skip-self-issued-ca).
func (p *Pair) TLS(skipRoot bool) *tls.Certificate {
	c := &tls.Certificate{
		Certificate: [][]byte{p.Leaf.Raw}, PrivateKey: p.Key, Leaf: p.Leaf,
		OCSPStaple: p.OCSP, SignedCertificateTimestamps: p.SCTs,
	}
	for _, x := range p.Chain {
		if skipRoot && bytes.Equal(x.RawSubject, x.RawIssuer) {
			continue
		}
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c
}

// PEM writes the certificate and its chain, without the key.
func (p *Pair) PEM() []byte {
	var b bytes.Buffer
	for _, c := range append([]*x509.Certificate{p.Leaf}, p.Chain...) {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.Bytes()
}

// Texts of what is wrong with files; [Loader] adds their names.
var (
	ErrCertificate = errors.New("unable to load certificate")
	ErrChain       = errors.New("unable to load certificate chain")
	ErrKey         = errors.New("unable to load private key")
	ErrNoKey       = errors.New("no private key")
	ErrMismatch    = errors.New("inconsistencies between private key and certificate")
	ErrOCSP        = errors.New("unable to load the OCSP response")
	ErrIssuer      = errors.New("unable to load the issuer")
	ErrNotIssuer   = errors.New("it is not the issuer")
	ErrSCTL        = errors.New("unable to load the SCT list")
	ErrIncomplete  = errors.New("it must contain at least a certificate and a private key")
	ErrWeakKey     = errors.New("the key is too small for Go's crypto/tls (RSA keys have 1024 to 8192 bits)")
)

// maxChain bounds the certificates of one file.
const maxChain = 100

// Parse reads a certificate, its chain and its key from PEM, in any order but for
// the certificate, which is the first one. The key may be missing. Parameters of
// Diffie-Hellman and curves are skipped.
func Parse(data []byte) (*Pair, error) { return ParseEncrypted(data, "") }

// ParseEncrypted is [Parse] for a key under a passphrase; "" is none.
func ParseEncrypted(data []byte, pass string) (*Pair, error) {
	p := &Pair{}
	for len(data) > 0 {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch b.Type {
		case "CERTIFICATE", "X509 CERTIFICATE":
			c, err := x509.ParseCertificate(b.Bytes)
			switch {
			case p.Leaf == nil && err != nil:
				return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
			case err != nil:
				return nil, fmt.Errorf("%w: %w", ErrChain, err)
			case p.Leaf == nil:
				p.Leaf = c
			case len(p.Chain) == maxChain:
				return nil, fmt.Errorf("%w: more than %d certificates", ErrChain, maxChain)
			default:
				p.Chain = append(p.Chain, c)
			}
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			if p.Key != nil {
				continue // the first one counts
			}
			key, err := parseKey(b, pass)
			if err != nil {
				return nil, err
			}
			p.Key = key
		}
	}
	if p.Leaf == nil {
		return nil, ErrCertificate
	}
	return p, nil
}

// ParseKey reads the first key of a PEM file.
func ParseKey(data []byte) (crypto.Signer, error) { return ParseKeyEncrypted(data, "") }

// ParseKeyEncrypted is [ParseKey] for a key under a passphrase.
func ParseKeyEncrypted(data []byte, pass string) (crypto.Signer, error) {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return nil, ErrNoKey
		}
		switch b.Type {
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			return parseKey(b, pass)
		}
	}
}

// errEncrypted: the proxy asks nobody for a passphrase.
var errEncrypted = errors.New("it is encrypted")

func parseKey(b *pem.Block, pass string) (crypto.Signer, error) {
	var key any
	var err error
	der := b.Bytes
	encrypted := b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["Proc-Type"] != ""
	switch {
	case encrypted && pass == "":
		err = errEncrypted
	case b.Type == "ENCRYPTED PRIVATE KEY":
		key, err = pkcs8.ParsePKCS8PrivateKey(der, []byte(pass))
	case encrypted:
		//lint:ignore SA1019 the form is weak, but files in it are what users have
		der, err = x509.DecryptPEMBlock(b, []byte(pass))
	}
	switch {
	case err != nil || key != nil:
	case b.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case b.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	default:
		key, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < 1024 || n > 8192 {
			return nil, fmt.Errorf("%w: %w", ErrKey, ErrWeakKey)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("%w: Go's crypto/tls has no signatures by %T", ErrKey, key)
}

// Check tells whether p can be served: the error is [ErrIncomplete] or
// [ErrMismatch].
func (p *Pair) Check() error {
	if p == nil || p.Leaf == nil || p.Key == nil {
		return ErrIncomplete
	}
	if k, ok := p.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(p.Leaf.PublicKey) {
		return ErrMismatch
	}
	if p.Issuer != nil && !issued(p.Issuer, p.Leaf) {
		return ErrNotIssuer
	}
	return nil
}

// Extensions are the kinds of files that there may be beside a certificate.
var Extensions = []string{".key", ".ocsp", ".issuer", ".sctl"}

// With gives p with what a file of that extension says in place of what it had;
// ext "" is the certificate with its chain and key. p may be nil. The result is
// not checked: see [Pair.Check].
func (p *Pair) With(ext string, data []byte) (*Pair, error) {
	var n Pair
	if p != nil {
		n = *p
	}
	var err error
	switch ext {
	case "", ".crt":
		var in *Pair
		if in, err = Parse(data); err == nil {
			n = *in // what belongs to the old certificate says nothing of the new one
		}
	case ".key":
		n.Key, err = ParseKey(data)
	case ".issuer":
		var list []*x509.Certificate
		if list, err = certificates(data, 1); err != nil || len(list) == 0 {
			return nil, ErrIssuer
		}
		n.Issuer = list[0]
	case ".ocsp":
		n.OCSP, n.Stapled = slices.Clone(data), true
		if len(data) == 0 {
			n.OCSP = nil
		}
	case ".sctl":
		n.SCTs, err = parseSCTs(data)
	default:
		err = fmt.Errorf("unknown extension '%s'", ext)
	}
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// WithOCSP gives p with another OCSP response, which the caller has checked.
func (p *Pair) WithOCSP(response []byte) *Pair {
	n := *p
	n.OCSP, n.Stapled = response, true
	return &n
}

// parseSCTs reads a SignedCertificateTimestampList (RFC 6962 3.3).
func parseSCTs(data []byte) ([][]byte, error) {
	if len(data) < 2 || int(binary.BigEndian.Uint16(data)) != len(data)-2 {
		return nil, ErrSCTL
	}
	var list [][]byte
	for data = data[2:]; len(data) > 0; {
		if len(data) < 2 {
			return nil, ErrSCTL
		}
		n := int(binary.BigEndian.Uint16(data))
		if n == 0 || n > len(data)-2 {
			return nil, ErrSCTL
		}
		list = append(list, slices.Clone(data[2:2+n]))
		data = data[2+n:]
	}
	return list, nil
}

// SCTL gives SCTs in the form of a ".sctl" file.
func (p *Pair) SCTL() []byte {
	var b []byte
	for _, s := range p.SCTs {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}
