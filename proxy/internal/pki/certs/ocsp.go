package certs

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
)

// OCSPID is what responders know p by, nil if p's issuer is not known.
func (p *Pair) OCSPID() ocsp.ID {
	if p == nil || p.Leaf == nil {
		return nil
	}
	ca := p.Authority()
	if ca == nil {
		return nil
	}
	return ocsp.IDOf(p.Leaf, ca)
}

// CheckOCSP tells whether a response in DER may be stapled to p. The error is one
// of package ocsp's.
func (p *Pair) CheckOCSP(response []byte, now time.Time) error {
	r, err := ocsp.Parse(response)
	if err != nil {
		return err
	}
	ca := p.Authority()
	if ca == nil {
		return ocsp.ErrOther
	}
	return r.Check(p.Leaf, ca, now)
}
