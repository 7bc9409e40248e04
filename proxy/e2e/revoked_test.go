package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// What a command or a reload takes away from a client counts from its next
// handshake on, also from one that takes an older session up; and what is given
// again is given.
func TestRevokedMeanwhile(t *testing.T) {
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	good, bad := ca.Issue(t, "good", certtest.Client()), ca.Issue(t, "bad", certtest.Client())
	dir, addr := scratch(t), address(t)
	certtest.Write(t, dir, "site.pem", ca.Issue(t, "site", certtest.Names("localhost")).PEM(t))
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	crlFile := certtest.Write(t, dir, "crl.pem", ca.CRL(t))
	p := serveIn(t, forebay, dir, preface+fmt.Sprintf(`
frontend web
    bind %s ssl crt @DIR@/site.pem ca-file %s crl-file %s verify required
    http-request return status 200
`, addr, caFile, crlFile), "-W")

	// Clients of both versions, with sessions of their own.
	type client struct {
		name string
		c    *http.Client
	}
	var goods, bads []client
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, who := range []*certtest.Pair{good, bad} {
			x := who.TLS()
			cfg := &tls.Config{
				RootCAs: ca.Pool(), ServerName: "localhost", MaxVersion: v, ClientSessionCache: tls.NewLRUClientSessionCache(4),
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &x, nil },
			}
			l := &goods
			if who == bad {
				l = &bads
			}
			*l = append(*l, client{tls.VersionName(v), &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}})
		}
	}
	check := func(when string, list []client, want bool) {
		t.Helper()
		for _, x := range list {
			for _, try := range []string{"first", "second"} {
				res, err := x.c.Get("https://" + addr)
				if err == nil {
					res.Body.Close()
				}
				if (err == nil) != want {
					t.Errorf("%s, %s, %s try: %v, want %v", when, x.name, try, err, want)
				}
			}
		}
	}
	set := func(kind, file string, data []byte) {
		t.Helper()
		for _, cmd := range []string{"set ssl " + kind + " " + file + " <<\n" + string(data) + "\n", "commit ssl " + kind + " " + file} {
			if r := p.ask(cmd); !strings.Contains(r, "ransaction") && !strings.Contains(r, "Success") {
				t.Fatalf("%.40q: %s", cmd, r)
			}
		}
	}
	check("at first", goods, true)
	check("at first", bads, true)
	set("crl-file", crlFile, ca.CRL(t, bad))
	check("revoked by command", bads, false)
	check("another revoked by command", goods, true)
	set("crl-file", crlFile, ca.CRL(t))
	check("no longer revoked", bads, true)
	certtest.Write(t, dir, "crl.pem", ca.CRL(t, bad))
	p.reload()
	check("revoked by reload", bads, false)
	check("another revoked by reload", goods, true)
	certtest.Write(t, dir, "crl.pem", ca.CRL(t))
	p.reload()
	check("no longer revoked after another reload", bads, true)
	set("ca-file", caFile, other.CertPEM())
	check("the authority is not trusted any more", goods, false)
	set("ca-file", caFile, ca.CertPEM())
	check("the authority is trusted again", goods, true)
}
