package certs

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/sandbox"
)

// System gives the authorities that the system trusts, or those of the file that
// the variable SSL_CERT_FILE names; what cannot be read as a certificate is left
// out. The file is read once for the life of the process.
var System = sync.OnceValues(func() (*CA, error) {
	data, err := systemData()
	if err != nil {
		return nil, err
	}
	return NewCA(readable(data)), nil
})

func init() {
	// A configuration that is applied later may want them.
	sandbox.Before(func() { systemData() })
}

// readable gives the certificates that crypto/x509 can read.
func readable(data []byte) []*x509.Certificate {
	var list []*x509.Certificate
	for len(list) < maxAuthorities {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if c, err := x509.ParseCertificate(b.Bytes); err == nil && b.Type == "CERTIFICATE" {
			list = append(list, c)
		}
	}
	return list
}

// systemFiles are where systems keep their authorities, in one file.
var systemFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

var systemData = sync.OnceValues(func() ([]byte, error) {
	files := systemFiles
	if f := os.Getenv("SSL_CERT_FILE"); f != "" {
		files = []string{f}
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil {
			return data, nil
		}
	}
	return nil, fmt.Errorf("the system has no authorities: %w", fs.ErrNotExist)
})
