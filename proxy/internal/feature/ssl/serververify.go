package ssl

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// VerifyError is a certificate of a peer that was not accepted.
type VerifyError struct {
	// Code is OpenSSL's number (X509_V_ERR_…), Depth the place in the chain, 0
	// for the peer's own certificate.
	Code, Depth int
	Err         error // more about it, or nil
	asked       bool  // of hostMismatch: the server was asked for the name
}

// Numbers of OpenSSL that package certs has no use for.
const (
	unspecified  = 1
	hostMismatch = 62
	keyTooSmall  = 66
)

var verifyTexts = map[int]string{
	certs.NoIssuer:           "unable to get issuer certificate",
	certs.NoCRL:              "unable to get certificate CRL",
	certs.BadSignature:       "certificate signature failure",
	certs.BadCRLSignature:    "CRL signature failure",
	certs.NotYetValid:        "certificate is not yet valid",
	certs.Expired:            "certificate has expired",
	certs.CRLNotYetValid:     "CRL is not yet valid",
	certs.CRLExpired:         "CRL has expired",
	certs.SelfSigned:         "self-signed certificate",
	certs.SelfSignedInChain:  "self-signed certificate in certificate chain",
	certs.NoLocalIssuer:      "unable to get local issuer certificate",
	certs.NoLeafIssuer:       "unable to verify the first certificate",
	certs.ChainTooLong:       "certificate chain too long",
	certs.Revoked:            "certificate revoked",
	certs.PathTooLong:        "path length constraint exceeded",
	certs.BadPurpose:         "unsuitable certificate purpose",
	certs.UnhandledExtension: "unhandled critical extension",
	certs.PermittedViolation: "permitted subtree violation",
	certs.InvalidCA:          "invalid CA certificate",
	hostMismatch:             "hostname mismatch",
	keyTooSmall:              "EE certificate key too weak",
}

// Error words it as OpenSSL does, with what is known of the reason.
func (e *VerifyError) Error() string {
	text := verifyTexts[e.Code]
	if text == "" {
		text = "unspecified certificate verification error"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return "certificate verify failed (" + text + ")"
}

func (e *VerifyError) Unwrap() error { return e.Err }

// Verdict implements [tlserr.Verdict].
func (e *VerifyError) Verdict() (code, depth int) { return e.Code, e.Depth }

// WrongName implements [tlserr.Misnamed].
func (e *VerifyError) WrongName() (wrong, asked bool) { return e.Code == hostMismatch, e.asked }

var errNoAuthorities = errors.New("verify is enabled by default but no CA file specified. If you're running on a LAN where you're certain to trust the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side verifications by default.")

// trusted is a certificate that was verified, and against what: crypto/tls gives
// the same certificate again for the same bytes.
type trusted struct {
	leaf  *x509.Certificate
	roots *certs.CA
	crls  *certs.CRL
	until time.Time
}

// trustFor is how long a verification holds at most.
const trustFor = time.Minute

// verifier gives the callback of handshakes that ask for a name. It runs for
// resumed sessions as well: what is not trusted any more is not resumed.
func (u *Upstream) verifier(sni string) func(tls.ConnectionState) error {
	name := sni
	if name == "" {
		name = u.host
	}
	var known atomic.Pointer[trusted]
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return &VerifyError{Code: unspecified, Err: errors.New("the server has no certificate")}
		}
		f := u.files.Load()
		t := trusted{leaf: s.PeerCertificates[0], roots: f.ca.Load()}
		if f.crl != nil {
			t.crls = f.crl.Load()
		}
		now := time.Now()
		if k := known.Load(); k != nil && k.leaf == t.leaf && k.roots == t.roots && k.crls == t.crls && now.Before(k.until) {
			return nil
		}
		if err := t.verify(s.PeerCertificates, now); err != nil {
			return err
		}
		if !keyFits(t.leaf, u.params) {
			return &VerifyError{Code: keyTooSmall}
		}
		if name != "" && !matchesHost(t.leaf, name) {
			return &VerifyError{Code: hostMismatch, Err: fmt.Errorf("the certificate is not for '%s'", name), asked: sni != ""}
		}
		known.Store(&t)
		return nil
	}
}

func (t *trusted) verify(peer []*x509.Certificate, now time.Time) error {
	v := certs.Verification{Roots: t.roots, CRLs: t.crls, Usage: x509.ExtKeyUsageServerAuth, Now: now}
	bad := &VerifyError{}
	if v.Verify(peer, func(code, depth int) bool { bad.Code, bad.Depth = code, depth; return false }) != certs.OK {
		return bad
	}
	t.until = now.Add(trustFor)
	for _, c := range peer {
		if c.NotAfter.Before(t.until) {
			t.until = c.NotAfter
		}
	}
	return nil
}

// keyFits tells whether a certificate's key is as large as the level of security
// demands.
func keyFits(c *x509.Certificate, p *Params) bool {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= p.RSABits
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= p.ECBits
	}
	return true
}

// matchesHost tells whether a certificate is for a name: one of its alternative
// names is, or its common name.
func matchesHost(c *x509.Certificate, name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		for _, a := range c.IPAddresses {
			if b, ok := netip.AddrFromSlice(a); ok && b.Unmap() == ip.Unmap() {
				return true
			}
		}
	}
	for _, pattern := range c.DNSNames {
		if matchesName(pattern, name) {
			return true
		}
	}
	return matchesName(c.Subject.CommonName, name)
}

// matchesName tells whether a pattern is for a name. One "*" may stand in its
// first label, for one or more characters of that label (RFC 6125 6.4.3).
func matchesName(pattern, name string) bool {
	if pattern == "" {
		return false
	}
	star := strings.IndexByte(pattern, '*')
	if star < 0 {
		return strings.EqualFold(pattern, name)
	}
	dot, nameDot := strings.IndexByte(pattern, '.'), strings.IndexByte(name, '.')
	if dot < star || nameDot < 0 || !strings.EqualFold(pattern[dot:], name[nameDot:]) {
		return false
	}
	before, after, label := pattern[:star], pattern[star+1:dot], name[:nameDot]
	if strings.Contains(after, "*") || len(label) < dot {
		return false
	}
	return strings.EqualFold(label[:len(before)], before) && strings.EqualFold(label[len(label)-len(after):], after)
}
