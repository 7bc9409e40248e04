package ssl

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// index is which certificate is for whom, on one bind line. It is immutable.
type index struct {
	served   []*Served
	exact    map[string]*candidates // by name
	wild     map[string]*candidates // ".example.com" for "*.example.com"
	defaults candidates

	uses  map[used]bool
	plans map[*Settings]*plan
	by    map[Entry]*Served
}

// candidates are the certificates for one name, in their order.
type candidates struct {
	list []*Served
	// first are those that count unless some exclude names: one a kind of key.
	first  [3]*Served
	except bool
}

func (c *candidates) add(s *Served) {
	c.list = append(c.list, s)
	if a := s.Pair.Algorithm(); c.first[a] == nil {
		c.first[a] = s
	}
	c.except = c.except || s.not != nil
}

// build makes the index of b as it is with a change. What stays the same is
// taken from the present one.
func (b *Bind) build(p pending) (*index, error) {
	ix := &index{exact: map[string]*candidates{}, wild: map[string]*candidates{}, uses: map[used]bool{}, plans: map[*Settings]*plan{}, by: map[Entry]*Served{}}
	x := &building{b: b, p: p, ix: ix, old: b.index.Load()}
	x.keep()
	if b.forge != nil { // what it makes is for the line itself
		if _, err := x.plan(nil); err != nil {
			return nil, err
		}
	}
	for _, list := range b.lists {
		for i, e := range p.of(list) {
			s, err := x.serve(e)
			if err != nil {
				return nil, e.fail(err)
			}
			// The very first one is a default even if it does not say so.
			implicit := list.standard || len(ix.defaults.list) == 0 && i == 0
			ix.add(s, implicit)
		}
	}
	return ix, nil
}

// building is an index that is being made; old is the present one.
type building struct {
	b       *Bind
	p       pending
	ix, old *index
	kept    bool // the plans of old hold on
}

// keep takes over what certificates do not change. Authorities are part of the plans.
func (x *building) keep() {
	_, isCert := x.p.entry.(*certs.Cert)
	x.kept = x.old != nil && (x.p.entry == nil || isCert)
	if !x.kept {
		return
	}
	for e := range x.old.uses {
		if _, ok := e.(*certs.Cert); !ok {
			x.ix.uses[e] = true
		}
	}
}

// plan gives the plan of settings.
func (x *building) plan(set *Settings) (*plan, error) {
	pl := x.ix.plans[set]
	if pl == nil && x.kept {
		pl = x.old.plans[set]
	}
	if pl == nil {
		var err error
		if pl, err = x.b.newPlan(set, x.p, x.ix); err != nil {
			return nil, err
		}
	}
	x.ix.plans[set] = pl
	return pl, nil
}

// serve gives what serves an entry.
func (x *building) serve(e Entry) (*Served, error) {
	pl, err := x.plan(e.Set)
	if err != nil {
		return nil, err
	}
	pair := value(x.p, e.Cert)
	if x.old != nil {
		if s := x.old.by[e]; s != nil && s.Pair == pair && s.plan == pl {
			return s, nil
		}
	}
	return pl.serve(e, pair)
}

// add puts s into the index.
func (ix *index) add(s *Served, implicit bool) {
	ix.served = append(ix.served, s)
	ix.by[s.Entry] = s
	ix.uses[s.Cert] = true
	if s.Default || implicit {
		ix.defaults.add(s)
	}
	for _, n := range s.Names {
		into := ix.exact
		switch {
		case n == "*" || n[0] == '!':
			continue
		case n[0] == '*':
			into, n = ix.wild, n[1:]
		}
		c := into[n]
		if c == nil {
			c = &candidates{}
			into[n] = c
		}
		c.add(s)
	}
}

// find gives the certificate for the name that a client asks for, nil if there
// is none.
func (ix *index) find(hello *tls.ClientHelloInfo) *Served {
	if hello.ServerName == "" {
		return nil
	}
	name := strings.ToLower(hello.ServerName)
	var wild *candidates
	if dot := strings.IndexByte(name, '.'); dot >= 0 {
		wild = ix.wild[name[dot:]]
	}
	return pick(ix.exact[name], wild, name, hello)
}

// fallback gives the default certificate, nil if there is none.
func (ix *index) fallback(hello *tls.ClientHelloInfo) *Served {
	return pick(&ix.defaults, nil, "", hello)
}

// pick chooses by kind of key: the certificate for the name itself before one
// for all names at its place, and of both kinds the one that the client can do.
func pick(exact, wild *candidates, name string, hello *tls.ClientHelloInfo) *Served {
	var found [3]*Served
	if exact != nil {
		found = exact.first
	}
	if wild != nil {
		for a, s := range wild.best(name) {
			if found[a] == nil {
				found[a] = s
			}
		}
	}
	rsa, ecdsa, other := found[certs.RSA], found[certs.ECDSA], found[certs.Other]
	if rsa == nil && other == nil {
		return ecdsa
	}
	if ecdsa == nil && other == nil {
		return rsa
	}
	canRSA, canECDSA := abilities(hello)
	switch {
	case canECDSA && ecdsa != nil:
		return ecdsa
	case canRSA && rsa != nil:
		return rsa
	case other != nil:
		return other
	case ecdsa != nil:
		return ecdsa
	}
	return rsa
}

// best gives the first of each kind of key that does not exclude name.
func (c *candidates) best(name string) [3]*Served {
	if !c.except {
		return c.first
	}
	var found [3]*Served
	for _, s := range c.list {
		if a := s.Pair.Algorithm(); found[a] == nil && !s.not[name] {
			found[a] = s
		}
	}
	return found
}

// abilities tells which certificates a client can do, as far as it says.
func abilities(hello *tls.ClientHelloInfo) (rsa, ecdsa bool) {
	if len(hello.SignatureSchemes) == 0 {
		return true, false // older than TLS 1.2
	}
	for _, s := range hello.SignatureSchemes {
		switch {
		case s&0xff == 1, s == tls.PSSWithSHA256, s == tls.PSSWithSHA384, s == tls.PSSWithSHA512:
			rsa = true
		case s&0xff == 3:
			ecdsa = true
		}
	}
	return rsa, ecdsa && slices.ContainsFunc(hello.CipherSuites, func(id uint16) bool {
		return id>>8 == 0x13 || suites[id].has("aECDSA")
	})
}

// commonNames gives all common names of a subject.
func commonNames(c *x509.Certificate) []string {
	var list []string
	for _, n := range c.Subject.Names {
		if n.Type.Equal(oidCommonName) {
			list = append(list, fmt.Sprint(n.Value))
		}
	}
	return list
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// Served gives all that b serves, in the order of its lines.
func (b *Bind) Served() []*Served {
	if ix := b.index.Load(); ix != nil {
		return ix.served
	}
	return nil
}

// IsDefault tells whether an entry is a default certificate of b.
func (b *Bind) IsDefault(e Entry) bool {
	ix := b.index.Load()
	return ix != nil && slices.ContainsFunc(ix.defaults.list, func(s *Served) bool { return s.Entry == e })
}
