package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// Connections of TLS find their servers by the name in the ClientHello, and are not
// terminated on the way.
func TestRoutingByServerName(t *testing.T) {
	t.Parallel()
	openssl := tool(t, "openssl")
	origin := func(name string) string {
		o := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "this is "+name) }))
		o.TLS = &tls.Config{Certificates: []tls.Certificate{certtest.SelfSigned(t, name).TLS()}, NextProtos: []string{"acme-tls/1", "http/1.1"}}
		o.StartTLS()
		t.Cleanup(o.Close)
		return o.Listener.Addr().String()
	}
	web := address(t)
	serve(t, fmt.Sprintf(`global
    stats socket @DIR@/s level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend tls
    bind %s
    tcp-request inspect-delay 5s
    tcp-request content reject if { req.ssl_sni -m end .forbidden.example }
    tcp-request content accept if { req.ssl_hello_type 1 }
    tcp-request content reject
    use_backend a if { req.ssl_sni -i A.example }
    use_backend b if { req.ssl_sni -m end .b.example }
    use_backend old if { req.ssl_alpn acme-tls/1 }
    default_backend rest
backend a
    server s %s
backend b
    server s %s
backend old
    server s %s
backend rest
    server s %s
`, web, origin("a.example"), origin("b.example"), origin("acme.example"), origin("rest.example")))
	for flags, want := range map[string]string{
		"-servername a.example":                      "this is a.example",
		"-servername A.EXAMPLE -tls1_2":              "this is a.example",
		"-servername www.b.example":                  "this is b.example",
		"-servername other.example":                  "this is rest.example",
		"-noservername":                              "this is rest.example",
		"-servername other.example -alpn acme-tls/1": "CN = acme.example",
		"-servername x.forbidden.example":            "!this is",
	} {
		out := sh(t, fmt.Sprintf("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | %s s_client -ign_eof -connect %s %s 2>&1 || true", openssl, web, flags))
		unwanted, not := strings.CutPrefix(want, "!")
		if not == strings.Contains(out, unwanted) {
			t.Errorf("%s: want %s:\n%s", flags, want, out)
		}
	}
	// What is no TLS is refused.
	if _, body, err := get(web, "/"); err == nil {
		t.Errorf("HTTP was answered: %s", body)
	}
}
