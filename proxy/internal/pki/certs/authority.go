package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ErrNothing: a file has neither a certificate nor a revocation list.
var ErrNothing = errors.New("no certificate or crl found")

// CA is a set of trusted authorities, with revocation lists if the file has any.
// It is immutable.
type CA struct {
	Certs []*x509.Certificate
	// Pool holds Certs, to verify with crypto/x509.
	Pool *x509.CertPool
	Sum  [sha256.Size]byte // of the certificates: equal sums are equal sets

	bySubject map[string][]*x509.Certificate
}

// maxAuthorities bounds the certificates of one set.
const maxAuthorities = 100000

// NewCA makes a set of certificates.
func NewCA(list []*x509.Certificate) *CA {
	ca := &CA{Certs: list, Pool: x509.NewCertPool(), bySubject: make(map[string][]*x509.Certificate, len(list))}
	h := sha256.New()
	for _, c := range list {
		ca.Pool.AddCert(c)
		ca.bySubject[string(c.RawSubject)] = append(ca.bySubject[string(c.RawSubject)], c)
		h.Write(c.Raw)
	}
	ca.Sum = [sha256.Size]byte(h.Sum(nil))
	return ca
}

// ParseCA reads the authorities of a PEM file. The error is [ErrNothing] or what
// crypto/x509 says of a certificate.
func ParseCA(data []byte) (*CA, error) {
	list, err := certificates(data, maxAuthorities)
	if err == nil && len(list) == 0 {
		err = ErrNothing
	}
	if err != nil {
		return nil, err
	}
	return NewCA(list), nil
}

// Add gives ca and more authorities in one set; ca may be nil.
func (ca *CA) Add(more *CA) *CA {
	var list []*x509.Certificate
	if ca != nil {
		list = append(list, ca.Certs...)
	}
	return NewCA(append(list, more.Certs...))
}

// errTrustSettings: to leave them out could be to trust what they reject.
var errTrustSettings = errors.New("a TRUSTED CERTIFICATE with settings of what it is trusted for: 'openssl x509' writes it without them")

// certificates reads the certificates of a PEM file.
func certificates(data []byte, max int) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for len(list) < max {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" && b.Type != "X509 CERTIFICATE" && b.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		if b.Type == "TRUSTED CERTIFICATE" {
			var bare cryptobyte.String
			rest := cryptobyte.String(b.Bytes)
			if rest.ReadASN1Element(&bare, asn1.SEQUENCE) && len(rest) > 0 {
				return nil, errTrustSettings
			}
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// CRL is a set of revocation lists. It is immutable.
type CRL struct {
	Lists []*x509.RevocationList
	Sum   [sha256.Size]byte

	byIssuer map[string]*revocations
}

// revocations is the newest list of one issuer.
type revocations struct {
	list    *x509.RevocationList
	revoked map[string]bool                  // serial numbers
	signer  atomic.Pointer[x509.Certificate] // whose signature was verified
}

// ParseCRL reads the revocation lists of a PEM file. The error is [ErrNothing] or
// what crypto/x509 says of a list.
func ParseCRL(data []byte) (*CRL, error) {
	r := &CRL{byIssuer: make(map[string]*revocations)}
	h := sha256.New()
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type != "X509 CRL" {
			continue
		}
		l, err := parseList(b.Bytes)
		if err != nil {
			return nil, err
		}
		h.Write(l.Raw)
		r.Lists = append(r.Lists, l)
		if old := r.byIssuer[string(l.RawIssuer)]; old != nil && old.list.ThisUpdate.After(l.ThisUpdate) {
			continue
		}
		one := &revocations{list: l, revoked: make(map[string]bool, len(l.RevokedCertificateEntries))}
		for _, e := range l.RevokedCertificateEntries {
			one.revoked[string(e.SerialNumber.Bytes())] = true
		}
		r.byIssuer[string(l.RawIssuer)] = one
	}
	if len(r.Lists) == 0 {
		return nil, ErrNothing
	}
	r.Sum = [sha256.Size]byte(h.Sum(nil))
	return r, nil
}

// parseList reads a revocation list. crypto/x509 reads those of version 2 only; one
// of version 1, as the openssl program makes unless it is told to number them, is
// one without extensions that does not say its version (RFC 5280 5.1).
func parseList(der []byte) (*x509.RevocationList, error) {
	in := cryptobyte.String(der)
	var whole, signed, list cryptobyte.String
	if !in.ReadASN1(&whole, asn1.SEQUENCE) || !whole.ReadASN1Element(&signed, asn1.SEQUENCE) {
		return x509.ParseRevocationList(der)
	}
	in = signed
	if in.ReadASN1(&list, asn1.SEQUENCE); list.PeekASN1Tag(asn1.INTEGER) {
		return x509.ParseRevocationList(der)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1) // version 2
			b.AddBytes(list)
		})
		b.AddBytes(whole) // the rest: the signature
	})
	second, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	l, err := x509.ParseRevocationList(second)
	if err == nil {
		l.Raw, l.RawTBSRevocationList = der, signed
	}
	return l, err
}

// judge tells what the lists have against a certificate that ca issued.
func (r *CRL) judge(c, ca *x509.Certificate, now time.Time) (codes []int) {
	one := r.byIssuer[string(c.RawIssuer)]
	if one == nil {
		return []int{NoCRL}
	}
	if one.signer.Load() != ca {
		if one.list.CheckSignatureFrom(ca) != nil {
			return []int{BadCRLSignature}
		}
		one.signer.Store(ca)
	}
	if now.Before(one.list.ThisUpdate) {
		codes = append(codes, CRLNotYetValid)
	}
	if !one.list.NextUpdate.IsZero() && now.After(one.list.NextUpdate) {
		codes = append(codes, CRLExpired)
	}
	if one.revoked[string(c.SerialNumber.Bytes())] {
		codes = append(codes, Revoked)
	}
	return codes
}
