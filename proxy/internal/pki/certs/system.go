package certs

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
)

// System gives the authorities that the system trusts, or those of the folders
// and the file that the variables SSL_CERT_DIR and SSL_CERT_FILE name; what cannot
// be read as a certificate is left out. They are read once for the life of the
// process.
var System = sync.OnceValues(func() (*CA, error) {
	data, err := systemData()
	if err != nil {
		return nil, err
	}
	return NewCA(readable(data)), nil
})

func init() {
	// A configuration that is applied later may want them.
	life.OnSeal(func() { systemData() })
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
	return readSystem(os.Getenv("SSL_CERT_FILE"), os.Getenv("SSL_CERT_DIR"))
})

// readSystem reads the file and the folders, or if neither is named, what there is
// of the system's.
func readSystem(file, folders string) ([]byte, error) {
	var list []string
	if file != "" {
		list = append(list, file)
	}
	for _, dir := range filepath.SplitList(folders) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && isAuthorityFile(e.Name()) {
				list = append(list, filepath.Join(dir, e.Name()))
			}
		}
	}
	named := file != "" || folders != ""
	if !named {
		list = systemFiles
	}
	var all []byte
	for _, f := range list {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		all = append(append(all, data...), '\n')
		if !named {
			break // the others say the same elsewhere
		}
	}
	if all == nil {
		return nil, fmt.Errorf("the system has no authorities: %w", fs.ErrNotExist)
	}
	return all, nil
}
