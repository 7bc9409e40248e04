package ssl

import (
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
)

// status is a certificate whose state is stapled, or is to be. Several entries of
// the store may be the same certificate: they share one.
type status struct {
	id      ocsp.ID
	certs   []*certs.Cert // the first one gives the name
	pair    *certs.Pair   // of the first one
	renewed bool          // ocsp-update on
}

// statuses gives those of a configuration, by name of the certificate.
func statuses(g *stream.Global) []*status {
	var list []*status
	by := map[string]*status{}
	for _, e := range StoreOf(g).Certs.All() {
		p := e.Load()
		if p == nil || p.Leaf == nil {
			continue
		}
		on, _ := OCSPUpdate(g, e.Name)
		on = on && len(p.Leaf.OCSPServer) > 0
		if !on && !p.Stapled {
			continue
		}
		id := p.OCSPID()
		if id == nil {
			continue // its issuer is not known
		}
		s := by[string(id)]
		if s == nil {
			s = &status{id: id, pair: p}
			by[string(id)] = s
			list = append(list, s)
		}
		s.certs = append(s.certs, e)
		s.renewed = s.renewed || on
	}
	return list
}

// response gives the one that is stapled, nil if none is.
func (s *status) response() []byte {
	for _, e := range s.certs {
		if p := e.Load(); p != nil && p.OCSP != nil {
			return p.OCSP
		}
	}
	return nil
}

// staple puts a response in force, for all that are the same certificate; nil takes
// it away. It must not be called on a reactor.
func (s *status) staple(response []byte) error {
	for _, e := range s.certs {
		err := e.Update(func(p *certs.Pair) *certs.Pair {
			if p == nil || p.Leaf == nil || !p.Leaf.Equal(s.pair.Leaf) {
				return nil // it was replaced in the meantime
			}
			return p.WithOCSP(response)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// newest are the responses that were fetched or set last, by ID. They outlive
// configurations, whose files are older: clients may insist on a response, so
// there is one from the first handshake on.
var newest struct {
	mu sync.Mutex
	by map[string][]byte
}

// put staples a response that is not from a file.
func (s *status) put(response []byte) error {
	newest.mu.Lock()
	if newest.by == nil {
		newest.by = make(map[string][]byte)
	}
	newest.by[string(s.id)] = response
	newest.mu.Unlock()
	return s.staple(response)
}

// adopt staples what was put if it is later than what a file had. It must not be
// called on a reactor.
func (s *status) adopt(now time.Time) {
	newest.mu.Lock()
	response := newest.by[string(s.id)]
	newest.mu.Unlock()
	if response != nil && later(response, s.response()) && s.pair.CheckOCSP(response, now) == nil {
		s.staple(response)
	}
}

// forget drops responses that have ended.
func forget(now time.Time) {
	newest.mu.Lock()
	defer newest.mu.Unlock()
	for id, response := range newest.by {
		if !now.Before(expires(response)) {
			delete(newest.by, id)
		}
	}
}

// later tells whether response a was made after b, which may be nil.
func later(a, b []byte) bool {
	if b == nil {
		return true
	}
	x, err := ocsp.Parse(a)
	if err != nil {
		return false
	}
	y, err := ocsp.Parse(b)
	return err != nil || x.Produced().After(y.Produced())
}

// expires tells when a response is not good any more.
func expires(response []byte) time.Time {
	r, err := ocsp.Parse(response)
	if err != nil {
		return time.Time{}
	}
	return r.Expires()
}
