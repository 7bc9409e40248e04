package ssl

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
	"github.com/forebay-lb/forebay/proxy/internal/pki/x509text"
)

// certKind has the words of the commands about certificates.
var certKind = &kind[certs.Pair]{
	word: "cert", thing: "certificate", title: "Certificate", short: "certificate",
	of: func(s *certs.Store) *certs.Kind[certs.Pair] { return &s.Certs }, ready: certReady,
}

func init() {
	certKind.register()
	runtimeapi.Register(
		runtimeapi.Command{
			Words: "set ssl cert", Level: runtimeapi.Admin, Usage: "<certfile> <payload>", Help: "replace a certificate file",
			Payload: true, MaxPayload: maxCertPayload, Run: setCert,
		},
		runtimeapi.Command{
			Words: "show ssl cert", Level: runtimeapi.Operator, Usage: "[<certfile>]",
			Help: "display the SSL certificates used in memory, or the details of a file", Run: showCert,
		},
		runtimeapi.Command{
			Words: "dump ssl cert", Level: runtimeapi.Admin, Usage: "<certfile>",
			Help: "dump a certificate with its key and its chain, in PEM", Run: dumpCert,
		},
	)
}

// listed tells whether a certificate stands in a crt-list.
func listed(g *stream.Global, name string) bool {
	return slices.ContainsFunc(CrtListsOf(g).All(), func(l *CrtList) bool {
		return slices.ContainsFunc(l.Entries(), func(e Entry) bool { return e.Cert.Name == name })
	})
}

// certReady tells whether a certificate may be served. A response of OCSP that does
// not fit is left out, with a warning.
func certReady(s *certs.Store, name string, p *certs.Pair) (warning string, err error) {
	switch err := p.Check(); {
	case errors.Is(err, certs.ErrIncomplete):
		return "", errors.New("The transaction must contain at least a certificate and a private key!")
	case errors.Is(err, certs.ErrMismatch):
		return "", fmt.Errorf("inconsistencies between private key and certificate loaded '%s'.", name)
	case err != nil:
		return "", fmt.Errorf("'%s': %w.", name, err)
	}
	if p.OCSP == nil {
		return "", nil
	}
	if bad := p.CheckOCSP(p.OCSP, time.Now()); bad != nil {
		warning = fmt.Sprintf("Loading: %s. Content will be ignored.\n", bad)
		_, err = s.Certs.Set(name, func(p *certs.Pair) (*certs.Pair, error) { return p.WithOCSP(nil), nil })
	}
	return warning, err
}

// certFile finds the certificate that a name in "set ssl cert" is about, and which
// of its files: "" for the certificate itself.
func certFile(s *certs.Store, d *Defaults, name string) (cert, ext string) {
	if s.Cert(name) != nil {
		return name, ""
	}
	for _, x := range certs.Extensions {
		base, ok := strings.CutSuffix(name, x)
		if !ok {
			continue
		}
		if d.ExtraDelExt && s.Cert(base) == nil && s.Cert(base+".crt") != nil {
			return base + ".crt", x
		}
		return base, x
	}
	return name, ""
}

func setCert(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" || !c.HasPayload {
		return runtimeapi.Errorf("'set ssl cert expects a filename and a certificate as a payload\n")
	}
	payload := []byte(c.Payload)
	d := DefaultsOf(c.Worker.Snapshot().Global)
	return reserved(c, "update the certificate", func(s *certs.Store) (string, error) {
		cert, ext := certFile(s, d, args[0])
		return certKind.set(s, cert, func(p *certs.Pair) (*certs.Pair, error) {
			next, err := with(p, cert, ext, payload)
			if err != nil {
				return nil, runtimeapi.Errorf("%s\nCan't load the payload\nCan't update %s!\n", err, args[0])
			}
			return next, nil
		})
	})
}

// with puts a payload in the place of a file.
func with(p *certs.Pair, cert, ext string, payload []byte) (*certs.Pair, error) {
	switch ext {
	case ".ocsp":
		der, err := decode(payload)
		if err != nil {
			return nil, errors.New("Error reading OCSP response in base64 format")
		}
		r, err := ocsp.Parse(der)
		if err == nil {
			err = r.Valid(time.Now())
		}
		if err != nil {
			return nil, fmt.Errorf("%w.", err)
		}
		payload = der
	case ".sctl":
		// There is no form for payloads that may hold anything: take both.
		if der, err := decode(payload); err == nil {
			payload = der
		}
	}
	next, err := p.With(ext, payload)
	switch {
	case err == nil:
		return next, nil
	case ext == ".issuer":
		return nil, fmt.Errorf("'%s' cannot be read or parsed'.", cert)
	case errors.Is(err, certs.ErrNoKey):
		return nil, fmt.Errorf("unable to load private key from file '%s'.", cert)
	}
	for _, e := range []error{certs.ErrCertificate, certs.ErrChain, certs.ErrKey, certs.ErrSCTL} {
		if errors.Is(err, e) {
			return nil, fmt.Errorf("%w from file '%s'%s.", e, cert, strings.TrimPrefix(err.Error(), e.Error()))
		}
	}
	return nil, err
}

// decode reads base64, in one line or several.
func decode(text []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
}

var errNoCert = runtimeapi.Errorf("Can't display the certificate: Not found or the certificate is a bundle!\n")

func showCert(c *runtimeapi.Conn, args []string) error {
	name := first(args)
	if name == "" {
		return certKind.list(c, func(*certs.Pair) string { return "" })
	}
	s := storeOf(c)
	e, p, transaction := certKind.wanted(s, name)
	if e == nil {
		base, ok := strings.CutSuffix(name, ".ocsp")
		if ok {
			e, p, _ = certKind.wanted(s, base)
		}
		if e == nil {
			return errNoCert
		}
		if p == nil || p.OCSP == nil {
			return nil
		}
		return writeResponse(c, p.OCSP)
	}
	if p != nil && p.Leaf == nil { // a key alone: there is no certificate
		certKind.header(c, e, nil, transaction)
		return c.Printf("OCSP Response Key: \n")
	}
	if err := certKind.header(c, e, p, transaction); err != nil {
		return err
	}
	var key []byte
	if p != nil {
		b := appendCert(nil, p.Leaf)
		for _, x := range p.Chain {
			b = appendChain(b, x)
		}
		c.Write(b)
		if on, _ := OCSPUpdate(c.Worker.Snapshot().Global, e.Name); on || p.Stapled {
			key = p.OCSPID()
		}
	}
	return c.Printf("OCSP Response Key: %x\n", key)
}

func appendChain(b []byte, x *x509.Certificate) []byte {
	b = x509text.AppendDN(append(b, "Chain Subject: "...), x.RawSubject)
	b = x509text.AppendDN(append(b, "\nChain Issuer: "...), x.RawIssuer)
	return append(b, '\n')
}

// writeResponse prints a response in words.
func writeResponse(c *runtimeapi.Conn, der []byte) error {
	r, err := ocsp.Parse(der)
	if err != nil {
		return runtimeapi.Errorf("%s.\n", err)
	}
	_, err = c.Write(r.Text())
	return err
}

func dumpCert(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" {
		return runtimeapi.Errorf("'dump ssl cert' expects a certificate name\n")
	}
	e, p, _ := certKind.wanted(storeOf(c), args[0])
	if e == nil {
		return errNoCert
	}
	if p == nil {
		return nil
	}
	if p.Key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(p.Key)
		if err != nil {
			return runtimeapi.Errorf("Can't dump the key: %s\n", err)
		}
		c.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	if p.Leaf == nil {
		return nil
	}
	_, err := c.Write(p.PEM())
	return err
}
