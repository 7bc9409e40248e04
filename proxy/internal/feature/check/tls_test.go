package check

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// tlsPeer is a server under TLS that answers requests with the name and protocol
// that it was asked for.
func tlsPeer(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	return tcptest.Serve(t, func(c net.Conn) {
		s := tls.Server(c, cfg)
		if s.Handshake() != nil {
			return
		}
		if _, err := bufio.NewReader(s).ReadString('\n'); err != nil {
			return
		}
		st := s.ConnectionState()
		fmt.Fprintf(s, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len("name=/alpn=.")+len(st.ServerName)+len(st.NegotiatedProtocol))
		fmt.Fprintf(s, "name=%s/alpn=%s.", st.ServerName, st.NegotiatedProtocol)
		io.Copy(io.Discard, s)
	})
}

func TestTLSOutcomes(t *testing.T) {
	const (
		passed = "succeeded, reason: %s, check duration: Nms, status: 2/2 UP."
		failed = "failed, reason: %s, check duration: Nms, status: 0/2 DOWN."
	)
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	other := certtest.NewCA(t, "other")
	leaf := ca.Issue(t, "app.example")
	client := ca.Issue(t, "client", certtest.Client())
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	otherFile := certtest.Write(t, dir, "other.pem", other.CertPEM())
	crlFile := certtest.Write(t, dir, "crl.pem", ca.CRL(t, leaf))
	crt := certtest.Write(t, dir, "client.pem", client.PEM(t))
	server := &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, NextProtos: []string{"h2", "http/1.1"}}
	plain := &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, MaxVersion: tls.VersionTLS12}
	mutual := &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MaxVersion: tls.VersionTLS12}
	verified := "ssl ca-file " + caFile
	content := func(text string) string { return "option httpchk\n http-check expect string " + text }
	for i, c := range []struct {
		rules, options string
		peer           *tls.Config // nil: a server in clear
		want, how      string
	}{
		{"", "ssl verify none", server, "Layer6 check passed", passed},
		{"", verified, server, "Layer6 check passed", passed},
		{"", verified + " verifyhost app.example", server, "Layer6 check passed", passed},
		{"", verified + " verifyhost x.example", server, `Layer6 invalid response, info: "Server presented an SSL certificate different from the configured one"`, failed},
		{"", verified + " check-sni x.example", server, `Layer6 invalid response, info: "Server presented an SSL certificate different from the expected one"`, failed},
		{"", "ssl ca-file " + otherFile, server, `Layer6 invalid response, info: "SSL handshake failure (certificate verify failed (unable to get local issuer certificate))"`, failed},
		{"", verified + " crl-file " + crlFile, server, `Layer6 invalid response, info: "SSL handshake failure (certificate verify failed (certificate revoked))"`, failed},
		{"", "ssl verify none force-tlsv13", plain, `Layer6 invalid response, info: "SSL handshake failure (remote error: tls: protocol version not supported)"`, failed},
		{"", "ssl verify none", nil, `Layer6 invalid response, info: "SSL handshake failure (tls: first record does not look like a TLS handshake)"`, failed},
		{"", "ssl verify none no-check-ssl", nil, "Layer4 check passed", passed},
		{"", "check-ssl verify none", server, "Layer6 check passed", passed},
		{"", "ssl verify none", mutual, `Layer6 invalid response, info: "SSL handshake failure (remote error: tls: handshake failure)"`, failed},
		{"", "ssl verify none crt " + crt, mutual, "Layer6 check passed", passed},
		{"option httpchk", "ssl verify none", server, "Layer7 check passed, code: 200", passed},
		{content("name=a.example/alpn=."), "ssl verify none check-sni a.example", server, "Layer7 check passed, code: 200", passed},
		{content("/alpn=http/1.1."), "ssl verify none alpn http/1.1", server, "Layer7 check passed, code: 200", passed},
		{content("/alpn=."), "ssl verify none alpn h2 check-alpn http/1.0", plain, "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check send hdr host app.example:443\n http-check expect string name=app.example/", verified, server, "Layer7 check passed, code: 200", passed},
		{"option httpchk\n http-check send hdr host app.example:443\n http-check expect string name=/", verified + " no-check-sni-auto", server, "Layer7 check passed, code: 200", passed},
		{"http-check connect ssl sni r.example alpn http/1.1\n " + content("name=r.example/alpn=http/1.1."), "verify none", server, "Layer7 check passed, code: 200", passed},
		{"http-check connect default sni r.example\n " + content("name=r.example/alpn=http/1.1."), "ssl verify none alpn http/1.1", server, "Layer7 check passed, code: 200", passed},
		{"http-check connect default\n " + content("name=/"), "ssl verify none", server, "Layer7 check passed, code: 200", passed},
		{"http-check connect\n option httpchk", "ssl verify none", nil, "Layer7 check passed, code: 200", passed},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var addr string
			if c.peer != nil {
				addr = tlsPeer(t, c.peer)
			} else {
				addr = newPeer(t, says(ok200)).addr
			}
			name := fmt.Sprintf("tls%d", i)
			start(t, defaults+"backend "+name+"\n option log-health-checks\n "+c.rules+"\n server s "+addr+" check "+c.options+"\n")
			checkLines(t, await(t, name, 1), []string{"notice Health check for server " + name + "/s " + fmt.Sprintf(c.how, c.want)})
		})
	}
}

func TestTLSTimeout(t *testing.T) {
	p := newPeer(t, silent)
	start(t, defaults+"backend tlslate\n option log-health-checks\n timeout connect 100ms\n server s "+p.addr+" check ssl verify none\n")
	checkLines(t, await(t, "tlslate", 1), []string{"notice Health check for server tlslate/s failed, reason: Layer6 timeout, check duration: Nms, status: 0/2 DOWN."})
}

// Checks speak HTTP/2 where TLS agreed on it or "proto" and "check-proto" say so.
func TestH2Outcomes(t *testing.T) {
	const passed = "succeeded, reason: Layer7 check passed, code: 200, check duration: Nms, status: 2/2 UP."
	leaf := certtest.SelfSigned(t, "app.example")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(404)
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/early":
			w.WriteHeader(103)
		}
		fmt.Fprintf(w, "%s %s host=%s x=%s body=%d", r.Proto, r.Method, r.Host, r.Header.Get("x-test"), len(body))
		if r.URL.Path == "/long" {
			w.Write(make([]byte, 100_000))
		}
	})
	serve := func(secure bool) string {
		s := httptest.NewUnstartedServer(handler)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetHTTP2(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		t.Cleanup(s.Close)
		if !secure {
			s.Start()
			return s.Listener.Addr().String()
		}
		s.EnableHTTP2 = true
		s.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
		s.StartTLS()
		return s.Listener.Addr().String()
	}
	clear, secure := serve(false), serve(true)
	big := strings.Repeat("x", 100_000)
	for i, c := range []struct{ addr, rules, options, want string }{
		{secure, "http-check expect string HTTP/2.0", "ssl verify none alpn h2,http/1.1", passed},
		{secure, "http-check expect string HTTP/2.0", "ssl verify none check-alpn h2", passed},
		{secure, "http-check expect string HTTP/1.0", "ssl verify none alpn h2 check-alpn http/1.1", passed},
		{clear, "http-check expect string HTTP/2.0", "proto h2", passed},
		{clear, "http-check expect string HTTP/2.0", "check-proto h2", passed},
		{clear, "http-check expect string HTTP/1.0", "proto h2 check-proto h1", passed},
		{clear, "http-check send meth POST hdr host app.example hdr X-Test yes body hello\n http-check expect string \"POST host=app.example x=yes body=5\"", "proto h2", passed},
		{clear, "http-check send meth POST body " + big + "\n http-check expect string body=100000", "proto h2", passed},
		{clear, "http-check send uri /early\n http-check expect status 200", "proto h2", passed},
		{clear, "http-check send uri /long\n http-check expect status 200", "proto h2", passed},
		{clear, "http-check send uri /none\n http-check expect status 200", "proto h2", `failed, reason: Layer7 wrong status, code: 404, check duration: Nms, status: 0/2 DOWN.`},
		{clear, "http-check send uri /reset\n http-check expect status 200", "proto h2", `failed, reason: Layer7 invalid response, check duration: Nms, status: 0/2 DOWN.`},
		{clear, "http-check connect default\n http-check send uri /a\n http-check expect string HTTP/2.0\n http-check connect default\n http-check send uri /b\n http-check expect status 404", "proto h2", `failed, reason: Layer7 wrong status, code: 200, check duration: Nms, status: 0/2 DOWN.`},
		{newPeer(t, says(ok200)).addr, "http-check expect status 200", "proto h2", `failed, reason: Layer7 invalid response, check duration: Nms, status: 0/2 DOWN.`},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			name := fmt.Sprintf("h2c%d", i)
			start(t, defaults+"backend "+name+"\n option log-health-checks\n option httpchk\n "+c.rules+"\n server s "+c.addr+" check "+c.options+"\n")
			checkLines(t, await(t, name, 1), []string{"notice Health check for server " + name + "/s " + c.want})
		})
	}
}

func TestTLSErrors(t *testing.T) {
	for options, want := range map[string]string{
		"check-proto foo": "'check-proto' :  unknown MUX protocol 'foo'.",
		"check-proto":     "'check-proto' : missing value",
	} {
		s, d := bed.Load(2, defaults+"backend b\n option httpchk\n server s 127.0.0.1:1 check "+options+"\n")
		if text := fmt.Sprint(d.All()); s != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %s", options, text)
		}
	}
	if s, d := bed.Load(2, defaults+"backend b\n server s 127.0.0.1:1 check check-proto h2\n"); s != nil || !strings.Contains(fmt.Sprint(d.All()), "uses an incompatible MUX protocol for the selected check type") {
		t.Error(d.All())
	}
}
