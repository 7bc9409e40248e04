package certs

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// Numbers that OpenSSL has for what is wrong with a certificate (x509_vfy.h), as
// far as they occur here.
const (
	OK                 = 0
	NoIssuer           = 2
	NoCRL              = 3
	BadSignature       = 7
	BadCRLSignature    = 8
	NotYetValid        = 9
	Expired            = 10
	CRLNotYetValid     = 11
	CRLExpired         = 12
	SelfSigned         = 18
	SelfSignedInChain  = 19
	NoLocalIssuer      = 20
	NoLeafIssuer       = 21
	ChainTooLong       = 22
	Revoked            = 23
	PathTooLong        = 25
	BadPurpose         = 26
	NoCertSign         = 32
	UnhandledExtension = 34
	PermittedViolation = 47
	InvalidCA          = 79

	// MaxError is the highest number that OpenSSL has.
	MaxError = 94
)

// Verification is what a certificate is verified against.
type Verification struct {
	Roots *CA // nil: none
	// CRLs, unless nil, must have a list for each certificate of the chain.
	CRLs  *CRL
	Usage x509.ExtKeyUsage // what the certificate is to be used for
	Now   time.Time
}

// maxDepth bounds the chain, as OpenSSL's default does.
const maxDepth = 100

// Verify verifies a peer's certificates, its own first, in OpenSSL's order
// (X509_verify_cert(3)). For all that is wrong it calls problem with the number
// and the place in the chain (0: the peer's own certificate), which returns
// whether to go on. It returns the number that ended it, or [OK].
func (v *Verification) Verify(peer []*x509.Certificate, problem func(code, depth int) bool) int {
	chain, trusted, code := v.build(peer)
	top := len(chain) - 1
	if code != OK && !problem(code, top) {
		return code
	}
	for _, check := range []func(chain []*x509.Certificate, trusted bool, problem func(code, depth int) bool) int{
		v.uses, v.revoked, v.signatures, v.names,
	} {
		if code := check(chain, trusted, problem); code != OK {
			return code
		}
	}
	return OK
}

// build looks for a path to a trusted authority. Without one it gives the longest
// there is.
func (v *Verification) build(peer []*x509.Certificate) (chain []*x509.Certificate, trusted bool, code int) {
	chain = []*x509.Certificate{peer[0]}
	rest := slices.Clone(peer[1:])
	for len(chain) <= maxDepth {
		c := chain[len(chain)-1]
		if v.Roots != nil {
			if self := v.Roots.find(c); self != nil && selfIssued(c) {
				return chain, true, OK
			}
			if ca := v.Roots.issuer(c, v.Now); ca != nil && !selfIssued(c) {
				chain = append(chain, ca)
				trusted = true
				if selfIssued(ca) {
					return chain, true, OK
				}
				continue
			}
		}
		if selfIssued(c) {
			if len(chain) == 1 {
				return chain, trusted, SelfSigned
			}
			return chain, trusted, SelfSignedInChain
		}
		if trusted {
			return chain, true, NoIssuer
		}
		i := slices.IndexFunc(rest, func(ca *x509.Certificate) bool { return issued(ca, c) })
		if i < 0 {
			return chain, false, NoLocalIssuer
		}
		chain = append(chain, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return chain, trusted, ChainTooLong
}

// Root gives the authority that the path of a verified peer ends with, nil if
// there is none.
func (v *Verification) Root(peer []*x509.Certificate) *x509.Certificate {
	chain, trusted, _ := v.build(peer)
	if !trusted {
		return nil
	}
	return chain[len(chain)-1]
}

func selfIssued(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && issued(c, c)
}

// find tells whether c itself is in the set.
func (ca *CA) find(c *x509.Certificate) *x509.Certificate {
	for _, o := range ca.bySubject[string(c.RawSubject)] {
		if o.Equal(c) {
			return o
		}
	}
	return nil
}

// issuer finds the authority of c in the set, one that is valid now if there is
// a choice.
func (ca *CA) issuer(c *x509.Certificate, now time.Time) *x509.Certificate {
	var found *x509.Certificate
	for _, o := range ca.bySubject[string(c.RawIssuer)] {
		if !issued(o, c) {
			continue
		}
		if found == nil || !now.Before(o.NotBefore) && !now.After(o.NotAfter) {
			found = o
		}
	}
	return found
}

// uses checks what the certificates may be used for.
func (v *Verification) uses(chain []*x509.Certificate, _ bool, problem func(code, depth int) bool) int {
	below := 0 // authorities below, without those that issued themselves
	for i, c := range chain {
		ca := i == 0 || isAuthority(c)
		for _, x := range []struct {
			bad  bool
			code int
		}{
			{len(c.UnhandledCriticalExtensions) > 0, UnhandledExtension},
			{!ca, InvalidCA},
			{!ca || !hasUsage(c, v.Usage), BadPurpose},
			{i > 0 && c.BasicConstraintsValid && (c.MaxPathLen > 0 || c.MaxPathLenZero) && below > c.MaxPathLen, PathTooLong},
		} {
			if x.bad && !problem(x.code, i) {
				return x.code
			}
		}
		if i > 0 && !selfIssued(c) {
			below++
		}
	}
	return OK
}

// isAuthority tells whether c may sign certificates. Those of version 1 may if
// they issued themselves: old roots are such.
func isAuthority(c *x509.Certificate) bool {
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return false
	}
	if c.BasicConstraintsValid {
		return c.IsCA
	}
	return c.Version < 3 && selfIssued(c)
}

func hasUsage(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// revoked looks every certificate up in the revocation lists.
func (v *Verification) revoked(chain []*x509.Certificate, _ bool, problem func(code, depth int) bool) int {
	if v.CRLs == nil {
		return OK
	}
	for i, c := range chain {
		ca := chain[min(i+1, len(chain)-1)]
		for _, code := range v.CRLs.judge(c, ca, v.Now) {
			if !problem(code, i) {
				return code
			}
		}
	}
	return OK
}

// signatures verifies signatures and times, from the top down.
func (v *Verification) signatures(chain []*x509.Certificate, trusted bool, problem func(code, depth int) bool) int {
	top := len(chain) - 1
	if top == 0 && !trusted && !selfIssued(chain[0]) && !problem(NoLeafIssuer, 0) {
		return NoLeafIssuer
	}
	for i := top; i >= 0; i-- {
		c := chain[i]
		if i < top {
			if u := chain[i+1].KeyUsage; u != 0 && u&x509.KeyUsageCertSign == 0 && !problem(NoCertSign, i+1) {
				return NoCertSign
			}
			if err := chain[i+1].CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil && !problem(BadSignature, i) {
				return BadSignature
			}
		}
		code := OK
		switch {
		case v.Now.Before(c.NotBefore):
			code = NotYetValid
		case v.Now.After(c.NotAfter):
			code = Expired
		}
		if code != OK && !problem(code, i) {
			return code
		}
	}
	return OK
}

// names checks constraints of names, where authorities have any.
func (v *Verification) names(chain []*x509.Certificate, _ bool, problem func(code, depth int) bool) int {
	constrained := func(c *x509.Certificate) bool {
		return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
			len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
	}
	if len(chain) < 2 || !slices.ContainsFunc(chain[1:], constrained) {
		return OK
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: v.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	o.Roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	// Whatever it is: what could not be checked is not allowed.
	if _, err := chain[0].Verify(o); err != nil && !problem(PermittedViolation, 0) {
		return PermittedViolation
	}
	return OK
}
