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

	"github.com/forebay-lb/forebay/proxy/internal/conf"
)

// verifier verifies certificates of servers (manual 5.2, "verify").
type verifier struct {
	roots func() *x509.CertPool
	crls  func() *revocations // nil: revocation is not looked at
	host  string              // verifyhost
	bits  *Params
}

// VerifyError is a certificate of a peer that was not accepted.
type VerifyError struct {
	// Code is OpenSSL's number (X509_V_ERR_…), Depth the place in the chain, 0
	// for the peer's own certificate.
	Code, Depth int
	Err         error
}

// Numbers of x509_vfy.h.
const (
	vNoCRL         = 3
	vNotYetValid   = 9
	vExpired       = 10
	vCRLExpired    = 12
	vSelfSigned    = 18
	vSelfSignedTop = 19
	vNoIssuer      = 20
	vRevoked       = 23
	vBadPurpose    = 26
	vHostMismatch  = 62
	vKeyTooSmall   = 66
	vUnspecified   = 1
)

var verifyText = map[int]string{
	vNoCRL:         "unable to get certificate CRL",
	vNotYetValid:   "certificate is not yet valid",
	vExpired:       "certificate has expired",
	vCRLExpired:    "CRL has expired",
	vSelfSigned:    "self-signed certificate",
	vSelfSignedTop: "self-signed certificate in certificate chain",
	vNoIssuer:      "unable to get local issuer certificate",
	vRevoked:       "certificate revoked",
	vBadPurpose:    "unsuitable certificate purpose",
	vHostMismatch:  "hostname mismatch",
	vKeyTooSmall:   "EE certificate key too weak",
}

// Error words it as OpenSSL does, with what is known of the reason.
func (e *VerifyError) Error() string {
	text := verifyText[e.Code]
	if text == "" {
		text = "unspecified certificate verification error"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return "certificate verify failed (" + text + ")"
}

func (e *VerifyError) Unwrap() error { return e.Err }

// WrongName tells that the certificate is good, but another host's.
func (e *VerifyError) WrongName() bool { return e.Code == vHostMismatch }

func newVerifier(c *conf.Ctx, d *Defaults, l *serverLine, p *Params) (*verifier, error) {
	if l.ca == "" {
		return nil, errors.New("verify is enabled by default but no CA file specified. If you're running on a LAN where you're certain to trust the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side verifications by default.")
	}
	v := &verifier{host: l.host, bits: p}
	var err error
	if v.roots, err = authorities(c, Path(d.CABase, l.ca)); err != nil {
		return nil, err
	}
	if l.crl != "" {
		v.crls, err = revocationList(c, Path(d.CABase, l.crl))
	}
	return v, err
}

// forName gives the callback of handshakes that ask for a name. It runs for
// resumed sessions as well: what is not trusted any more is not resumed.
func (v *verifier) forName(sni string) func(tls.ConnectionState) error {
	name := sni
	if name == "" {
		name = v.host
	}
	var known atomic.Pointer[trusted]
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return &VerifyError{Code: vUnspecified, Err: errors.New("the server has no certificate")}
		}
		t := &trusted{leaf: s.PeerCertificates[0], roots: v.roots()}
		if v.crls != nil {
			t.crls = v.crls()
		}
		now := time.Now()
		if k := known.Load(); k != nil && k.leaf == t.leaf && k.roots == t.roots && k.crls == t.crls && now.Before(k.until) {
			return nil
		}
		err := v.verify(s.PeerCertificates, t, name, now)
		if err == nil {
			known.Store(t)
		}
		return err
	}
}

// trusted is a certificate that was verified: crypto/tls gives the same one
// again for the same bytes.
type trusted struct {
	leaf  *x509.Certificate
	roots *x509.CertPool
	crls  *revocations
	until time.Time
}

// trustFor is how long a verification holds at most.
const trustFor = time.Minute

func (v *verifier) verify(chain []*x509.Certificate, t *trusted, name string, now time.Time) error {
	leaf := chain[0]
	opts := x509.VerifyOptions{Roots: t.roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	paths, err := leaf.Verify(opts)
	if err != nil {
		return classify(err, chain, now)
	}
	if t.crls != nil {
		if err := t.crls.anyPath(paths, now); err != nil {
			return err
		}
	}
	if !keyFits(leaf, v.bits) {
		return &VerifyError{Code: vKeyTooSmall}
	}
	if name != "" && !matchesHost(leaf, name) {
		return &VerifyError{Code: vHostMismatch, Err: fmt.Errorf("the certificate is not for '%s'", name)}
	}
	t.until = now.Add(trustFor)
	for _, c := range paths[0] {
		if c.NotAfter.Before(t.until) {
			t.until = c.NotAfter
		}
	}
	return nil
}

// classify gives the number that OpenSSL has for an error of crypto/x509.
func classify(err error, chain []*x509.Certificate, now time.Time) error {
	e := &VerifyError{Code: vUnspecified, Err: err}
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		top := chain[len(chain)-1]
		selfSigned := string(top.RawSubject) == string(top.RawIssuer)
		switch {
		case selfSigned && len(chain) == 1:
			e.Code = vSelfSigned
		case selfSigned:
			e.Code, e.Depth = vSelfSignedTop, len(chain)-1
		default:
			e.Code = vNoIssuer
		}
		e.Err = nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Code, e.Err = vExpired, nil
		for i, c := range chain {
			if c == invalid.Cert || c.Equal(invalid.Cert) {
				e.Depth = i
			}
		}
		if invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
			e.Code = vNotYetValid
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		e.Code, e.Err = vBadPurpose, nil
	}
	return e
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

// revocations are lists of revoked certificates, by issuer.
type revocations struct{ by map[string]*revocation }

type revocation struct {
	list    *x509.RevocationList
	serials map[string]bool
	signer  atomic.Pointer[x509.Certificate] // whose signature was verified
}

// signedBy tells whether the list is the issuer's.
func (r *revocation) signedBy(issuer *x509.Certificate) bool {
	if r.signer.Load() == issuer {
		return true
	}
	if r.list.CheckSignatureFrom(issuer) != nil {
		return false
	}
	r.signer.Store(issuer)
	return true
}

func newRevocations(lists []*x509.RevocationList) *revocations {
	r := &revocations{by: make(map[string]*revocation)}
	for _, l := range lists {
		issuer := string(l.RawIssuer)
		if o := r.by[issuer]; o != nil && o.list.ThisUpdate.After(l.ThisUpdate) {
			continue // the newest list of an issuer counts
		}
		one := &revocation{list: l, serials: make(map[string]bool, len(l.RevokedCertificateEntries))}
		for _, e := range l.RevokedCertificateEntries {
			one.serials[string(e.SerialNumber.Bytes())] = true
		}
		r.by[issuer] = one
	}
	return r
}

// anyPath looks for a path whose certificates are all known not to be revoked.
func (r *revocations) anyPath(paths [][]*x509.Certificate, now time.Time) error {
	var first error
	for _, p := range paths {
		err := r.path(p, now)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (r *revocations) path(path []*x509.Certificate, now time.Time) error {
	for i, c := range path {
		issuer := path[min(i+1, len(path)-1)]
		one := r.by[string(c.RawIssuer)]
		switch {
		case one == nil || !one.signedBy(issuer):
			return &VerifyError{Code: vNoCRL, Depth: i}
		case !one.list.NextUpdate.IsZero() && now.After(one.list.NextUpdate):
			return &VerifyError{Code: vCRLExpired, Depth: i}
		case one.serials[string(c.SerialNumber.Bytes())]:
			return &VerifyError{Code: vRevoked, Depth: i}
		}
	}
	return nil
}
