package ssl

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// clients verifies certificates of clients (manual 5.1, "verify").
type clients struct {
	required bool
	names    *certs.CA // sent to clients
	roots    *certs.CA
	crl      *certs.CRL
	bits     *Params

	crtIgnore, caIgnore *ignored
}

// loadClients reads the files that settings name, so that [Bind.newClients] finds
// them.
func loadClients(c *conf.Ctx, set *Settings) error {
	loader := loaderOf(c)
	for _, f := range []struct{ word, name string }{{"ca-file", set.CAFile}, {"ca-verify-file", set.CAVerifyFile}, {"crl-file", set.CRLFile}} {
		var err error
		switch {
		case f.name == "":
		case f.word == "crl-file":
			_, err = loader.LoadCRL(f.name)
		default:
			_, err = loader.LoadCA(f.name)
		}
		if err != nil {
			return conf.About(f.word, conf.Causef("%w", err))
		}
	}
	return nil
}

// newClients makes the verification that settings ask for.
func (b *Bind) newClients(set *Settings, bits *Params, p pending, ix *index) *clients {
	v := &clients{bits: bits, required: set.Verify == VerifyRequired, crtIgnore: &b.crtIgnore, caIgnore: &b.caIgnore}
	if e := b.store.CA(set.CAFile); e != nil {
		ix.uses[e] = true
		v.names = value(p, e)
	}
	v.roots = v.names
	if e := b.store.CA(set.CAVerifyFile); e != nil {
		ix.uses[e] = true
		v.roots = v.names.Add(value(p, e))
	}
	if e := b.store.CRL(set.CRLFile); e != nil {
		ix.uses[e] = true
		v.crl = value(p, e)
	}
	return v
}

// digest writes what makes one verification different from another.
func (v *clients) digest(w io.Writer) {
	if v.roots != nil {
		w.Write(v.roots.Sum[:])
	}
	if v.crl != nil {
		w.Write(v.crl.Sum[:])
	}
}

// into sets what asks for a certificate. It is verified by VerifyConnection, not
// by crypto/tls: some errors may be ignored.
func (v *clients) into(c *tls.Config, set *Settings) {
	c.ClientAuth = tls.RequestClientCert
	if v.required {
		c.ClientAuth = tls.RequireAnyClientCert
	}
	if v.names != nil && !set.NoCANames {
		c.ClientCAs = v.names.Pool
	}
}

// verify judges the client of a handshake. The results of a resumed session were
// in its ticket.
func (v *clients) verify(s *tls.ConnectionState, info *Info, now time.Time) error {
	if s.DidResume {
		return nil
	}
	info.CErr, info.CAErr, info.CADepth, info.Verify = 0, 0, 0, 0
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	depth := 0
	check := certs.Verification{Roots: v.roots, CRLs: v.crl, Usage: x509.ExtKeyUsageClientAuth, Now: now}
	problem := func(code, at int) bool {
		depth, info.Verify = at, code
		if at > 0 {
			if info.CAErr == 0 {
				info.CAErr, info.CADepth = code, at
			}
			return v.caIgnore.has(code)
		}
		if info.CErr == 0 {
			info.CErr = code
		}
		return v.crtIgnore.has(code)
	}
	code := check.Verify(s.PeerCertificates, problem)
	if code == certs.OK && !keyFits(s.PeerCertificates[0], v.bits) && !problem(keyTooSmall, 0) {
		code = keyTooSmall
	}
	if code != certs.OK {
		return &VerifyError{Code: code, Depth: depth}
	}
	return nil
}

// results are what a session keeps of the verification: see [Info.restore].
func (i *Info) results() []byte {
	return []byte{'v', byte(i.CErr), byte(i.CAErr), byte(i.CADepth), byte(i.Verify)}
}

// restore takes the results of a resumed session, and what identifies it.
func (i *Info) restore(extra [][]byte) {
	for _, b := range extra {
		switch {
		case len(b) == 5 && b[0] == 'v':
			i.CErr, i.CAErr, i.CADepth, i.Verify = int(b[1]), int(b[2]), int(b[3]), int(b[4])
		case len(b) == 1+sessionID && b[0] == 'i':
			i.session = b[1:]
		}
	}
}

// alertOf is the alert that OpenSSL sends for an error of the verification
// (SSL_CTX_set_verify(3), "X509_V_ERR_…").
func alertOf(code int) transport.Alert {
	switch code {
	case certs.Expired, certs.CRLExpired:
		return transport.CertificateExpired
	case certs.Revoked:
		return transport.CertificateRevoked
	case certs.NoIssuer, certs.NoCRL, certs.SelfSigned, certs.SelfSignedInChain, certs.NoLocalIssuer, certs.NoLeafIssuer, certs.ChainTooLong, certs.PathTooLong, certs.InvalidCA:
		return transport.UnknownCA
	case certs.BadSignature, certs.BadCRLSignature:
		return transport.DecryptError
	case certs.BadPurpose:
		return transport.UnsupportedCertificate
	case certs.NotYetValid, certs.CRLNotYetValid, keyTooSmall:
		return transport.BadCertificate
	}
	return transport.CertificateUnknown
}
