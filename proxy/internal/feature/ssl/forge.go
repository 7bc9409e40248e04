package ssl

import (
	"bytes"
	"container/list"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// forge makes certificates for the names that clients ask for, signed by an
// authority that they trust (manual 5.1, "generate-certificates").
type forge struct {
	ca  *certs.Pair
	key crypto.Signer // of all certificates that are made
	max int           // how many are kept

	mu     sync.Mutex
	byName map[string]*list.Element
	order  list.List // of *forged, last used first
}

type forged struct {
	name   string
	served *Served
}

// forgedFor is how long a certificate is good for.
const forgedFor = 365 * 24 * time.Hour

func newForge(c *conf.Ctx, file, pass string, max int) (*forge, error) {
	data, err := c.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("Chain loading failed: cannot open the file '%s'.", file)
	}
	pair, err := certs.ParseEncrypted(data, pass)
	if err == nil && pair.Key == nil {
		if data, err = c.ReadFile(file + ".key"); err != nil {
			return nil, fmt.Errorf("Chain loading failed: No Private Key found in '%s.key'.", file)
		}
		if pair.Key, err = certs.ParseKeyEncrypted(data, pass); err != nil {
			return nil, fmt.Errorf("Chain loading failed: %w.", err)
		}
	}
	if err == nil {
		err = pair.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("Chain loading failed: %w.", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &forge{ca: pair, key: key, max: max, byName: map[string]*list.Element{}}, nil
}

// serve gives a certificate for a name in lower case, nil if none can be made. One
// that was made with other settings, of another ix, is made again.
func (f *forge) serve(b *Bind, ix *index, name string) *Served {
	if len(name) > maxName || !isHost(name) {
		return nil
	}
	f.mu.Lock()
	if e := f.byName[name]; e != nil && e.Value.(*forged).served.plan == ix.plans[nil] {
		f.order.MoveToFront(e)
		f.mu.Unlock()
		return e.Value.(*forged).served
	}
	f.mu.Unlock()
	pair, err := f.make(name, time.Now())
	if err != nil {
		return nil
	}
	s := &Served{Entry: Entry{Line: &Line{Name: name}}, Pair: pair, plan: ix.plans[nil], cert: pair.TLS(b.skipRoot)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.byName[name]; e != nil {
		e.Value.(*forged).served = s
	} else if f.max > 0 {
		f.byName[name] = f.order.PushFront(&forged{name, s})
		for f.order.Len() > f.max {
			delete(f.byName, f.order.Remove(f.order.Back()).(*forged).name)
		}
	}
	return s
}

// isHost tells whether a name in lower case can be that of a host.
func isHost(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// make signs a certificate.
func (f *forge) make(name string, now time.Time) (*certs.Pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-24 * time.Hour), // clocks of clients may be behind
		NotAfter:     now.Add(forgedFor),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(name) > 64 {
		t.Subject = pkix.Name{} // the longest that a common name can be (RFC 5280 A.1)
	}
	if ip := net.ParseIP(name); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, f.ca.Leaf, f.key.Public(), f.ca.Key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	// A root is not sent: clients have it. What is below it is.
	p := &certs.Pair{Leaf: leaf, Key: f.key}
	if !bytes.Equal(f.ca.Leaf.RawSubject, f.ca.Leaf.RawIssuer) {
		p.Chain = append([]*x509.Certificate{f.ca.Leaf}, f.ca.Chain...)
	}
	return p, nil
}
