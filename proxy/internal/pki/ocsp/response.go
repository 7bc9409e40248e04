package ocsp

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	_ "crypto/sha256" // names of issuers may be hashed with these
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Response is a response, taken apart. Nothing in it is verified: see
// [Response.Check].
type Response struct {
	// DER is the whole of it.
	DER []byte
	// Status is that of the response itself; unless it is 0 there is no more.
	Status int

	kind  asn1.ObjectIdentifier
	basic basicResponse
}

// The forms of RFC 6960 4.2.1.
type response struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	} `asn1:"explicit,tag:0,optional"`
}

type basicResponse struct {
	Data               responseData
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          asn1.BitString
	Certificates       []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type responseData struct {
	Version     int `asn1:"optional,default:0,explicit,tag:0"`
	ResponderID asn1.RawValue
	ProducedAt  time.Time `asn1:"generalized"`
	Responses   []single
	Extensions  []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

type single struct {
	ID         certID
	Good       asn1.Flag        `asn1:"tag:0,optional"`
	Revoked    revocation       `asn1:"tag:1,optional"`
	Unknown    asn1.Flag        `asn1:"tag:2,optional"`
	ThisUpdate time.Time        `asn1:"generalized"`
	NextUpdate time.Time        `asn1:"generalized,explicit,tag:0,optional"`
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

type certID struct {
	Hash     pkix.AlgorithmIdentifier
	NameHash []byte
	KeyHash  []byte
	Serial   *big.Int
}

type revocation struct {
	Time   time.Time       `asn1:"generalized"`
	Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"`
}

var (
	oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidSHA1  = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
)

var hashes = []struct {
	id   asn1.ObjectIdentifier
	hash crypto.Hash
	name string
}{
	{oidSHA1, crypto.SHA1, "sha1"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256, "sha256"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384, "sha384"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512, "sha512"},
}

// Errors of [Parse] and [Response.Check], in HAProxy's words.
var (
	ErrParse     = errors.New("Unable to parse OCSP response")
	ErrStatus    = errors.New("OCSP response status not successful")
	ErrBasic     = errors.New("Failed to get basic response from OCSP Response")
	ErrUnknown   = errors.New("OCSP single response: certificate status is unknown")
	ErrNoNext    = errors.New("OCSP single response: missing nextupdate")
	ErrExpired   = errors.New("OCSP single response: no longer valid.")
	ErrOther     = errors.New("OCSP single response: Certificate ID does not match certificate and issuer")
	ErrSignature = errors.New("OCSP response: its signature is not the issuer's")
)

// Parse takes a response apart. The error is [ErrParse] or [ErrBasic].
func Parse(der []byte) (*Response, error) {
	var in response
	if rest, err := asn1.Unmarshal(der, &in); err != nil || len(rest) > 0 {
		return nil, ErrParse
	}
	r := &Response{DER: der, Status: int(in.Status), kind: in.Bytes.Type}
	if r.Status != 0 {
		return r, nil
	}
	if !r.kind.Equal(oidBasic) {
		return nil, ErrBasic
	}
	if rest, err := asn1.Unmarshal(in.Bytes.Response, &r.basic); err != nil || len(rest) > 0 {
		return nil, ErrBasic
	}
	return r, nil
}

// skew is how long before its end a response is not used any more, and how far
// the clock of a responder may be ahead: as long as HAProxy has it.
const skew = 5 * time.Minute

// Expires is when the response is not to be used any more.
func (r *Response) Expires() time.Time {
	if len(r.basic.Data.Responses) == 0 {
		return time.Time{}
	}
	return r.basic.Data.Responses[0].NextUpdate.Add(-skew)
}

// Produced is when the response was made.
func (r *Response) Produced() time.Time { return r.basic.Data.ProducedAt }

// Valid tells whether the response could be used for some certificate: that it is
// one answer, which says something, and is good at that time (manual 5.1, "crt").
func (r *Response) Valid(now time.Time) error {
	if r.Status != 0 {
		return ErrStatus
	}
	list := r.basic.Data.Responses
	if len(list) != 1 {
		return fmt.Errorf("OCSP response ignored because contains multiple single responses (%d)", len(list))
	}
	s := &list[0]
	switch {
	case bool(s.Unknown):
		return ErrUnknown
	case s.NextUpdate.IsZero():
		return ErrNoNext
	case s.ThisUpdate.After(now.Add(skew)) || !now.Before(r.Expires()):
		return ErrExpired
	}
	return nil
}

// About tells whether the response is about a certificate.
func (r *Response) About(leaf, issuer *x509.Certificate) bool {
	if len(r.basic.Data.Responses) == 0 {
		return false
	}
	id := &r.basic.Data.Responses[0].ID
	for _, h := range hashes {
		if id.Hash.Algorithm.Equal(h.id) {
			return id.Serial.Cmp(leaf.SerialNumber) == 0 &&
				bytes.Equal(id.NameHash, sum(h.hash, issuer.RawSubject)) && bytes.Equal(id.KeyHash, sum(h.hash, publicKey(issuer)))
		}
	}
	return false
}

// Check tells whether the response may be stapled to a certificate: that it is
// valid, about this certificate, and signed by its issuer or by whom the issuer
// has entrusted with that (RFC 6960 4.2.2.2).
func (r *Response) Check(leaf, issuer *x509.Certificate, now time.Time) error {
	if err := r.Valid(now); err != nil {
		return err
	}
	if !r.About(leaf, issuer) {
		return ErrOther
	}
	// Without an issuer the signature is verified with the certificate that comes
	// along, if any. That may be the issuer's own, which nobody has to vouch for.
	in, err := ocsp.ParseResponse(r.DER, nil)
	if err != nil {
		return ErrSignature
	}
	switch by := in.Certificate; {
	case by == nil:
		err = in.CheckSignatureFrom(issuer)
	case bytes.Equal(by.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo):
	case !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || now.Before(by.NotBefore) || now.After(by.NotAfter):
		return ErrSignature
	default:
		err = issuer.CheckSignature(by.SignatureAlgorithm, by.RawTBSCertificate, by.Signature)
	}
	if err != nil {
		return ErrSignature
	}
	return nil
}

func sum(h crypto.Hash, data []byte) []byte {
	s := h.New()
	s.Write(data)
	return s.Sum(nil)
}

// publicKey gives the bits of a certificate's key.
func publicKey(c *x509.Certificate) []byte {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil // impossible: crypto/x509 has read it
	}
	return info.Key.RightAlign()
}

// ID identifies a certificate as HAProxy does: by a CertID with hashes by SHA-1,
// in DER.
type ID []byte

// hashID is the AlgorithmIdentifier of SHA-1.
var hashID = pkix.AlgorithmIdentifier{Algorithm: oidSHA1, Parameters: asn1.NullRawValue}

// IDOf gives the ID of a certificate.
func IDOf(leaf, issuer *x509.Certificate) ID {
	name, key := sha1.Sum(issuer.RawSubject), sha1.Sum(publicKey(issuer))
	der, err := asn1.Marshal(certID{hashID, name[:], key[:], leaf.SerialNumber})
	if err != nil {
		return nil // impossible: all parts can be written
	}
	return der
}

// Append appends what the ID says, as "show ssl ocsp-response" does.
func (id ID) Append(dst []byte) []byte {
	var c certID
	if _, err := asn1.Unmarshal(id, &c); err != nil {
		return dst
	}
	return fmt.Appendf(dst, " Certificate ID:\n   Issuer Name Hash: %X\n   Issuer Key Hash: %X\n   Serial Number: %s\n", c.NameHash, c.KeyHash, serial(c.Serial))
}

// serial writes a number as OpenSSL's i2a_ASN1_INTEGER does.
func serial(n *big.Int) string {
	s := fmt.Sprintf("%X", new(big.Int).Abs(n))
	if len(s)%2 == 1 {
		s = "0" + s
	}
	if n.Sign() < 0 {
		s = "-" + s
	}
	return s
}
