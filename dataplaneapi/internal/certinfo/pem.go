package certinfo

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ocsp"
)

// Certificate is a file of certificates as the API shows it: the first one in it, and what is known of the file.
type Certificate struct {
	Algorithm    string     `json:"algorithm,omitempty"`
	AuthorityKey string     `json:"authority_key_id,omitempty"`
	ChainIssuer  string     `json:"chain_issuer,omitempty"`
	ChainSubject string     `json:"chain_subject,omitempty"`
	Description  string     `json:"description,omitempty"`
	Domains      string     `json:"domains,omitempty"`
	File         string     `json:"file,omitempty"`
	IPs          string     `json:"ip_addresses,omitempty"`
	Issuers      string     `json:"issuers,omitempty"`
	NotAfter     *time.Time `json:"not_after,omitempty"`
	NotBefore    *time.Time `json:"not_before,omitempty"`
	Serial       string     `json:"serial,omitempty"` // hexadecimal, as the proxy prints it
	SHA1         string     `json:"sha1_finger_print,omitempty"`
	SHA256       string     `json:"sha256_finger_print,omitempty"`
	Size         *int64     `json:"size,omitempty"` // bytes
	Status       string     `json:"status,omitempty"`
	StorageName  string     `json:"storage_name,omitempty"`
	Subject      string     `json:"subject,omitempty"`
	Names        string     `json:"subject_alternative_names,omitempty"`
	SubjectKey   string     `json:"subject_key_id,omitempty"`
}

// maxChain bounds the certificates of one file.
const maxChain = 10_000

// ErrEmpty says that there is neither a certificate nor a key in a file.
var ErrEmpty = errors.New("there is no certificate in the file")

// File describes a file by its name: one that stands beside a certificate may be no PEM.
func File(name string, data []byte) (*Certificate, error) {
	switch filepath.Ext(name) {
	case ".ocsp":
		r, err := ocsp.ParseResponse(data, nil)
		if err != nil {
			return nil, fmt.Errorf("an OCSP response in DER is expected: %w", err)
		}
		return &Certificate{Serial: serial(r.SerialNumber), NotBefore: utc(r.ThisUpdate), NotAfter: utc(r.NextUpdate)}, nil
	case ".sctl":
		if !timestamps(data) {
			return nil, errors.New("a list of signed certificate timestamps is expected")
		}
		return &Certificate{}, nil
	}
	return Describe(data)
}

// timestamps tells whether a file is a list of timestamps as TLS has it: its length and, with a length each, what is in it.
func timestamps(data []byte) bool {
	var list, one cryptobyte.String
	s := cryptobyte.String(data)
	if !s.ReadUint16LengthPrefixed(&list) || !s.Empty() || list.Empty() {
		return false
	}
	for !list.Empty() {
		if !list.ReadUint16LengthPrefixed(&one) || one.Empty() {
			return false
		}
	}
	return true
}

// Describe reads a PEM file. A key in it has to be that of the first certificate; a key alone, for a certificate in another
// file, is accepted and described by its kind, and revocation lists by the first one.
func Describe(data []byte) (*Certificate, error) {
	var chain []*x509.Certificate
	var key crypto.PublicKey
	var revoked *x509.RevocationList
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch {
		case b.Type == "CERTIFICATE" || b.Type == "TRUSTED CERTIFICATE" || b.Type == "X509 CERTIFICATE":
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
			}
			if chain = append(chain, c); len(chain) > maxChain {
				return nil, fmt.Errorf("there are more than %d certificates in the file", maxChain)
			}
		case b.Type == "X509 CRL":
			l, err := x509.ParseRevocationList(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("revocation list: %w", err)
			}
			if revoked == nil {
				revoked = l
			}
		case strings.HasSuffix(b.Type, "PRIVATE KEY") && key == nil:
			k, err := public(b)
			if err != nil {
				return nil, fmt.Errorf("private key: %w", err)
			}
			key = k
		}
	}
	switch {
	case len(chain) == 0 && key == nil && revoked != nil:
		return &Certificate{Issuers: revoked.Issuer.String(), NotBefore: utc(revoked.ThisUpdate), NotAfter: utc(revoked.NextUpdate)}, nil
	case len(chain) == 0 && key == nil:
		return nil, ErrEmpty
	case len(chain) == 0:
		return &Certificate{Algorithm: algorithm(key)}, nil
	}
	if k, ok := chain[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool }); key != nil && ok && !k.Equal(key) {
		return nil, errors.New("the private key is not that of the certificate")
	}
	return describe(chain), nil
}

func public(b *pem.Block) (crypto.PublicKey, error) {
	var key any
	var err error
	switch {
	case b.Headers["DEK-Info"] != "" || b.Type == "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("it is encrypted")
	case b.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case b.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, err
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it is not one that signs")
	}
	return s.Public(), nil
}

func describe(chain []*x509.Certificate) *Certificate {
	x := chain[0]
	s1, s256 := sha1.Sum(x.Raw), sha256.Sum256(x.Raw)
	var ips, names []string
	for _, d := range x.DNSNames {
		names = append(names, "DNS:"+d)
	}
	for _, ip := range x.IPAddresses {
		ips = append(ips, ip.String())
		names = append(names, "IP:"+ip.String())
	}
	domains := x.DNSNames
	if len(domains) == 0 && x.Subject.CommonName != "" {
		domains = []string{x.Subject.CommonName}
	}
	c := &Certificate{
		Subject: x.Subject.String(), Issuers: x.Issuer.String(), Serial: serial(x.SerialNumber),
		NotBefore: utc(x.NotBefore), NotAfter: utc(x.NotAfter),
		Domains: strings.Join(domains, ","), IPs: strings.Join(ips, ","), Names: strings.Join(names, ", "),
		Algorithm: algorithm(x.PublicKey), SHA1: fmt.Sprintf("%X", s1), SHA256: fmt.Sprintf("%X", s256),
		AuthorityKey: fmt.Sprintf("%X", x.AuthorityKeyId), SubjectKey: fmt.Sprintf("%X", x.SubjectKeyId),
	}
	if len(chain) > 1 {
		c.ChainSubject, c.ChainIssuer = chain[1].Subject.String(), chain[1].Issuer.String()
	}
	return c
}

func serial(n *big.Int) string { return fmt.Sprintf("%X", n.Bytes()) }

func utc(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}

// algorithm names a key as the proxy does: "RSA2048", "EC256".
func algorithm(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RSA" + strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC" + strconv.Itoa(k.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ED25519"
	}
	return ""
}
