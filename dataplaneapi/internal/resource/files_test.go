package resource

import (
	"slices"
	"testing"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/proxy/config"
)

// The files of a configuration with certificates: bases, lists, stores, and what may stand beside a certificate.
func TestNames(t *testing.T) {
	n, err := LoadNames(apispec.Files)
	if err != nil {
		t.Fatal(err)
	}
	f := config.Parse("t", []byte(`global
    crt-base /crt
    ca-base /ca
    issuers-chain-path /chain
    httpclient.ssl.ca-file own.pem
crt-store web
    crt-base /web
    key-base /keys
    load crt site.pem key site.key ocsp site.ocsp alias site
frontend f
    bind :443 ssl crt a.crt crt @web/site crt-list /l/list ca-file clients.pem tls-ticket-keys /tickets
    http-request set-header x %[src,map_ip(/maps/m.map,none)] key zork
    ssl-f-use crt f.pem key f.key
`))
	bases := map[string]string{}
	got := n.Find(f, bases, func(path string) []byte {
		if path != "/l/list" {
			t.Errorf("%s was read", path)
		}
		return []byte("# c\nin.pem [ca-file listca.pem key in.key] in.example\n/abs.pem\n")
	})
	for _, want := range []string{"/chain", "own.pem", "/web/site.pem", "/keys/site.key", "/web/site.ocsp", "/crt/a.crt", "/crt/a.crt.key", "/crt/a.key",
		"/crt/a.crt.rsa", "/crt/a.crt.ecdsa.ocsp", "/l/list", "/ca/clients.pem", "/tickets", "/maps/m.map", "/crt/f.pem", "f.key",
		"/crt/in.pem", "/ca/listca.pem", "in.key", "/abs.pem", "/abs.pem.issuer"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, not := range []string{"@web/site", "zork", "/crt/site.pem", "in.example", "site.pem"} {
		if slices.Contains(got, not) {
			t.Errorf("%s is not a file", not)
		}
	}
	if bases["crt-base"] != "/crt" || bases["key-base"] != "" {
		t.Errorf("bases %v", bases)
	}
}
