package ssl

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// serverFiles are the files that a server's security is made of. What they hold
// is looked up at each handshake, so that there is nothing to be made anew when
// one changes.
type serverFiles struct {
	title string
	ca    *certs.CAFile  // nil: servers are not verified
	crl   *certs.CRLFile // nil: revocation is not looked at
	crt   *certs.Cert    // nil: there is no certificate to show
	// signs are the algorithms that the certificate may sign with, nil: any.
	signs []tls.SignatureScheme
	own   atomic.Pointer[ownCertificate]
}

// ownCertificate is a certificate in the form that crypto/tls takes.
type ownCertificate struct {
	of   *certs.Pair
	cert *tls.Certificate
}

// loadServerFiles loads what a line names. verify tells whether the authorities
// are needed.
func loadServerFiles(c *conf.Ctx, l *serverLine, d *Defaults, p *Params, verify bool, title string) (*serverFiles, error) {
	f := &serverFiles{title: title, signs: p.Signatures}
	if l.ca == "" && l.crl == "" && l.crt == "" {
		return f, nil
	}
	load := loaderOf(c)
	if l.ca != "" {
		ca, err := load.LoadCA(Path(d.CABase, l.ca))
		if err != nil {
			return nil, fmt.Errorf("'ca-file' : %w.", err)
		}
		if verify {
			f.ca = ca
		}
	}
	if l.crl != "" {
		crl, err := load.LoadCRL(Path(d.CABase, l.crl))
		if err != nil {
			return nil, fmt.Errorf("'crl-file' : %w.", err)
		}
		if verify {
			f.crl = crl
		}
	}
	if l.crt != "" {
		name := Path(d.CrtBase, l.crt)
		list, err := load.Load(name)
		if err != nil {
			return nil, fmt.Errorf("%s.", strings.TrimSuffix(err.Error(), "."))
		}
		if len(list) > 1 {
			return nil, fmt.Errorf("'crt' : '%s' is a bundle, which is for bind lines only.", name)
		}
		f.crt = list[0]
	}
	f.use()
	return f, nil
}

// Renew implements [certs.User].
func (f *serverFiles) Renew(_, next any) (func(), error) {
	if p, ok := next.(*certs.Pair); ok {
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.title, err)
		}
	}
	return func() {}, nil
}

// Title implements [certs.User].
func (f *serverFiles) Title() string { return f.title }

// use tells the files that there is a server that has them.
func (f *serverFiles) use() {
	if f.ca != nil {
		f.ca.Use(f)
	}
	if f.crl != nil {
		f.crl.Use(f)
	}
	if f.crt != nil {
		f.crt.Use(f)
	}
}

// drop gives up the files of a server that is gone.
func (f *serverFiles) drop() {
	if f.ca != nil {
		f.ca.Drop(f)
	}
	if f.crl != nil {
		f.crl.Drop(f)
	}
	if f.crt != nil {
		f.crt.Drop(f)
	}
}

func init() {
	gone := func(set *server.Settings) {
		if l := serverLines.Of(set); l != nil && l.built != nil {
			l.built.files.Load().drop()
		}
	}
	runtimeapi.OnServerRemoved(func(_ *stream.Worker, _ *stream.Proxy, s *server.Server) { gone(s.Settings()) })
	runtimeapi.OnServerRefused(gone)
}

// leaf is our own certificate as it is now, nil if there is none.
func (f *serverFiles) leaf() *x509.Certificate {
	if f.crt != nil {
		if p := f.crt.Load(); p != nil {
			return p.Leaf
		}
	}
	return nil
}

// certificate is the one to show to a server. Without one it is empty: that says
// so.
func (f *serverFiles) certificate() (*tls.Certificate, error) {
	if f.crt == nil {
		return new(tls.Certificate), nil
	}
	p := f.crt.Load()
	if p == nil {
		return new(tls.Certificate), nil
	}
	if o := f.own.Load(); o != nil && o.of == p {
		return o.cert, nil
	}
	cert := p.TLS(false)
	cert.SupportedSignatureAlgorithms = f.signs
	f.own.Store(&ownCertificate{p, cert})
	return cert, nil
}
