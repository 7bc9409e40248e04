package certs_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// TestSystem names authorities by variables of the environment.
func TestSystem(t *testing.T) {
	dir := t.TempDir()
	for name, file := range map[string]string{"one": "cas/1.pem", "two": "cas/2.crt", "three": "more/3.cer", "four": "4", "hidden": "cas/.5.pem", "text": "cas/readme.txt"} {
		certtest.Write(t, dir, file, certtest.NewCA(t, name).CertPEM())
	}
	for _, x := range []struct{ file, folders, want string }{
		{"", "DIR/cas", "one two"},
		{"", "DIR/cas:DIR/none:DIR/more", "one two three"},
		{"DIR/4", "", "four"},
		{"DIR/4", "DIR/cas", "four one two"},
		{"DIR/none", "DIR/more", "three"},
		{"DIR/none", "", ""},
		{"", "DIR/none", ""},
	} {
		at := strings.NewReplacer("DIR", dir)
		data, err := certs.ReadSystem(at.Replace(x.file), at.Replace(x.folders))
		var got []string
		if err == nil {
			ca, err := certs.ParseCA(data)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range ca.Certs {
				got = append(got, c.Subject.CommonName)
			}
		}
		if strings.Join(got, " ") != x.want || (err != nil) != (x.want == "") {
			t.Errorf("SSL_CERT_FILE=%s SSL_CERT_DIR=%s: %q, %v", x.file, x.folders, got, err)
		}
	}
}
