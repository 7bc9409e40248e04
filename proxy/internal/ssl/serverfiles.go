package ssl

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/conf"
)

// systemCA stands for the authorities that the system trusts.
const systemCA = "@system-ca"

// authorities gives the certificates of a ca-file, as they are at the time of
// the call.
func authorities(c *conf.Ctx, name string) (func() *x509.CertPool, error) {
	if name == systemCA {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("'ca-file' : unable to load %s : %w.", name, err)
		}
		return func() *x509.CertPool { return pool }, nil
	}
	data, err := c.ReadFile(name)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(data) {
		err = errors.New("no certificate or crl found")
	}
	if err != nil {
		return nil, fmt.Errorf("'ca-file' : unable to load %s : %w.", name, err)
	}
	return func() *x509.CertPool { return pool }, nil
}

// revocationList gives what a crl-file says, as it is at the time of the call.
func revocationList(c *conf.Ctx, name string) (func() *revocations, error) {
	data, err := c.ReadFile(name)
	var lists []*x509.RevocationList
	for err == nil {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type == "X509 CRL" {
			var l *x509.RevocationList
			if l, err = x509.ParseRevocationList(b.Bytes); err == nil {
				lists = append(lists, l)
			}
		}
	}
	if err == nil && len(lists) == 0 {
		err = errors.New("no certificate or crl found")
	}
	if err != nil {
		return nil, fmt.Errorf("'crl-file' : unable to load %s : %w.", name, err)
	}
	r := newRevocations(lists)
	return func() *revocations { return r }, nil
}

// clientCertificate gives the callback that shows a certificate to a server, as
// it is at the time of the handshake.
func clientCertificate(c *conf.Ctx, name string, p *Params) (func(*tls.CertificateRequestInfo) (*tls.Certificate, error), error) {
	data, err := c.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("unable to stat SSL certificate from file '%s' : %w.", name, err)
	}
	cert, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate from file '%s': %w.", name, err)
	}
	cert.SupportedSignatureAlgorithms = p.Signatures
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }, nil
}
