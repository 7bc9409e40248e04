package ssl_test

import (
	"bufio"
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

func load(text string) (*stream.Snapshot, string) {
	s, d := bed.Load(2, text)
	var lines []string
	for _, x := range d.All() {
		lines = append(lines, x.Text)
	}
	return s, strings.Join(lines, "\n")
}

// site is a proxy with one frontend in clear.
type site struct {
	w      *stream.Worker
	client *http.Client
	head   string
}

// command gives the answer to a command of the Runtime socket.
func (b *site) command(t *testing.T, line string) string {
	t.Helper()
	return strings.TrimSpace(bed.Ask(t, b.w, line))
}

// newBed starts one; backend is what backend b says.
func newSite(t *testing.T, global, backend string) *site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "front.sock")
	b := &site{head: "global\n" + global + "\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n retries 0\nfrontend f\n bind " + path + "\n default_backend b\nbackend b\n"}
	b.w = bed.Start(t, 2, b.head+backend)
	b.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

func (b *site) apply(t *testing.T, backend string) {
	t.Helper()
	bed.Apply(t, b.w, b.head+backend)
}

// get gives the status and body for a request with a Host field. Each is made
// on a connection of its own.
func (b *site) get(t *testing.T, host string) (int, string) {
	t.Helper()
	req, _ := http.NewRequest("GET", "http://"+host+"/", nil)
	req.Close = true
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// origin is a server under TLS whose answers say what it was asked for.
func origin(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{TLSConfig: cfg, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := ""
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		w.Header().Set("Connection", "close") // a handshake for each request
		fmt.Fprintf(w, "sni=%s resumed=%v alpn=%s client=%s", r.TLS.ServerName, r.TLS.DidResume, r.TLS.NegotiatedProtocol, client)
	})}
	s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	s.SetKeepAlivesEnabled(false)
	go s.Serve(tls.NewListener(l, cfg))
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func TestServerNames(t *testing.T) {
	leaf := certtest.SelfSigned(t, "app.example")
	addr := origin(t, &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, NextProtos: []string{"http/1.1"}})
	for _, c := range []struct{ options, host, want string }{
		{"", "one.example", "sni=one.example"},
		{"", "one.example:8080", "sni=one.example"},
		{"", "[::1]:8080", "sni= "},
		{"no-sni-auto", "one.example", "sni= "},
		{"no-sni-auto sni-auto", "one.example", "sni=one.example"},
		{"sni str(fixed.example)", "one.example", "sni=fixed.example"},
		{"sni req.hdr(x-none)", "one.example", "sni= "},
		{"sni req.hdr(host),lower,field(1,:)", "ONE.example:1", "sni=one.example"},
		{"alpn http/1.1", "one.example", "alpn=http/1.1"},
	} {
		b := newSite(t, "", " server s "+addr+" ssl verify none "+c.options+"\n")
		if code, body := b.get(t, c.host); code != 200 || !strings.Contains(body+" ", c.want) {
			t.Errorf("%s, %s: %d %s", c.options, c.host, code, body)
		}
	}
}

func TestServerVerify(t *testing.T) {
	dir := t.TempDir()
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	mid := ca.CA(t, "mid")
	leaf, wild, old := mid.Issue(t, "app.example"), mid.Issue(t, "*.example"), mid.Issue(t, "app.example", certtest.Expired())
	nameless := ca.Issue(t, "cn.example", certtest.Names())
	purpose := ca.Issue(t, "app.example", certtest.Client())
	small := ca.Issue(t, "app.example", certtest.RSA(2048))
	addresses := ca.Issue(t, "other.example", certtest.Names("127.0.0.1", "::1"))
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	both := certtest.Write(t, dir, "both.pem", append(other.CertPEM(), ca.CertPEM()...))
	wrong := certtest.Write(t, dir, "other.pem", other.CertPEM())
	revoked := certtest.Write(t, dir, "revoked.pem", append(ca.CRL(t), mid.CRL(t, leaf)...))
	clean := certtest.Write(t, dir, "clean.pem", append(ca.CRL(t), mid.CRL(t, old)...))
	half := certtest.Write(t, dir, "half.pem", mid.CRL(t))
	for _, c := range []struct {
		pair    *certtest.Pair
		options string
		host    string
		want    int
	}{
		{leaf, "ca-file " + caFile, "app.example", 200},
		{leaf, "ca-file " + both, "app.example", 200},
		{leaf, "ca-file " + wrong, "app.example", 503},
		{leaf, "ca-file " + wrong + " verify none", "app.example", 200},
		{leaf, "ca-file " + caFile, "evil.example", 503},
		{leaf, "ca-file " + caFile, "127.0.0.1", 503},
		{leaf, "ca-file " + caFile, "[::1]:80", 503},
		{addresses, "ca-file " + caFile, "127.0.0.1", 200},
		{addresses, "ca-file " + caFile, "[::1]:80", 200},
		{leaf, "ca-file " + caFile + " no-sni-auto", "evil.example", 200},
		{leaf, "ca-file " + caFile + " no-sni-auto verifyhost app.example", "evil.example", 200},
		{leaf, "ca-file " + caFile + " no-sni-auto verifyhost evil.example", "app.example", 503},
		{leaf, "ca-file " + caFile + " no-sni-auto verifyhost evil.example no-verifyhost", "app.example", 200},
		{leaf, "ca-file " + caFile + " sni str(app.example) verifyhost other", "evil.example", 200},
		{wild, "ca-file " + caFile, "any.example", 200},
		{wild, "ca-file " + caFile, "a.b.example", 503},
		{old, "ca-file " + caFile, "app.example", 503},
		{nameless, "ca-file " + caFile, "cn.example", 200},
		{purpose, "ca-file " + caFile, "app.example", 503},
		{leaf, "ca-file " + caFile + " crl-file " + revoked, "app.example", 503},
		{leaf, "ca-file " + caFile + " crl-file " + clean, "app.example", 200},
		{leaf, "ca-file " + caFile + " crl-file " + half, "app.example", 503},
		{small, "ca-file " + caFile, "app.example", 200},
		{small, "ca-file " + caFile + " ciphers HIGH:@SECLEVEL=3", "app.example", 503},
	} {
		addr := origin(t, &tls.Config{Certificates: []tls.Certificate{c.pair.TLS()}})
		b := newSite(t, "", " server s "+addr+" ssl "+c.options+"\n")
		for range 2 { // the second time with what was learned from the first
			if code, body := b.get(t, c.host); code != c.want {
				t.Errorf("%s, %s: %d %s", c.options, c.host, code, body)
			}
		}
	}
}

func TestServerClientCertificate(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	leaf, client := ca.Issue(t, "app.example"), ca.Issue(t, "me", certtest.Client())
	crt := certtest.Write(t, t.TempDir(), "client.pem", client.PEM(t))
	addr := origin(t, &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()})
	b := newSite(t, " crt-base "+filepath.Dir(crt), " server s "+addr+" ssl verify none crt client.pem\n")
	if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, "client=me") {
		t.Errorf("%d %s", code, body)
	}
}

// Sessions are resumed by every reactor and through applied configurations.
func TestServerResumption(t *testing.T) {
	leaf := certtest.SelfSigned(t, "app.example")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		addr := origin(t, &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, MaxVersion: version})
		line := " server s " + addr + " ssl verify none"
		b := newSite(t, "", line+"\n")
		want := func(resumed bool) {
			t.Helper()
			if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, fmt.Sprintf("resumed=%v", resumed)) {
				t.Errorf("%s: %d %s", tls.VersionName(version), code, body)
			}
		}
		want(false)
		for range 8 {
			want(true)
		}
		b.apply(t, line+" weight 7\n server other 127.0.0.1:1 disabled\n")
		want(true)
		b.apply(t, line+" alpn http/1.1\n")
		want(false) // its sessions belong to other settings
		want(true)
		b.apply(t, line+" alpn http/1.1 no-ssl-reuse\n")
		want(false)
		want(false)
	}
}

// An SNI expression that changes is in force at once, the sessions stay.
func TestServerExpressionChanges(t *testing.T) {
	leaf := certtest.SelfSigned(t, "app.example")
	addr := origin(t, &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}})
	b := newSite(t, "", " server s "+addr+" ssl verify none sni str(a.example)\n")
	b.get(t, "x")
	b.apply(t, " server s "+addr+" ssl verify none sni str(b.example)\n")
	if _, body := b.get(t, "x"); !strings.Contains(body, "sni=b.example resumed=false") {
		t.Error(body)
	}
	b.apply(t, " server s "+addr+" ssl verify none sni str(a.example)\n")
	if _, body := b.get(t, "x"); !strings.Contains(body, "sni=a.example resumed=true") {
		t.Error(body)
	}
}

// Names may come from clients: what is kept of them is bounded.
func TestServerNamesAreBounded(t *testing.T) {
	snap, errs := load("defaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\nbackend b\n server s 127.0.0.1:1 ssl verify none\n")
	if snap == nil {
		t.Fatal(errs)
	}
	sec := stream.Uplinks.Of(snap.Backends["b"].ServerLines[0].Settings).TLS
	first := sec.Config("n0.example")
	if sec.Config("n0.example") != first {
		t.Error("made twice")
	}
	for i := range 5000 {
		sec.Config(fmt.Sprintf("n%d.example", i))
	}
	if sec.Config("n0.example") == first {
		t.Error("kept for ever")
	}
}

// Each request asks for the name: for one that is known nothing is allocated.
func TestServerNameAllocatesNothing(t *testing.T) {
	snap, errs := load("defaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\nbackend b\n server s 127.0.0.1:1 ssl verify none\n")
	if snap == nil {
		t.Fatal(errs)
	}
	sec := stream.Uplinks.Of(snap.Backends["b"].ServerLines[0].Settings).TLS
	st := &stream.Stream{}
	st.Stream = st
	st.Req.Fields = []message.Field{{Name: []byte("host"), Value: []byte("app.example:443")}}
	sec.Config(sec.Name(&st.Scope))
	if n := testing.AllocsPerRun(100, func() { sec.Config(sec.Name(&st.Scope)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What of the settings is said again is adopted, what is not is not.
func TestServerAdopts(t *testing.T) {
	security := func(options string) stream.Security {
		snap, errs := load("defaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\nbackend b\n server s 127.0.0.1:1 ssl verify none " + options + "\n")
		if snap == nil {
			t.Fatal(errs)
		}
		return stream.Uplinks.Of(snap.Backends["b"].ServerLines[0].Settings).TLS
	}
	base := security("")
	for options, same := range map[string]bool{
		"": true, "weight 3": true, "sni str(x)": true, "ssl-min-ver TLSv1.2": false, "ciphers HIGH": false, "curves X25519": false,
		"alpn h2": false, "verifyhost x": false, "no-ssl-reuse": false, "no-tls-tickets": false,
	} {
		if base.Adopt(security(options)) != same {
			t.Errorf("%s: not %v", options, same)
		}
	}
}

func TestServerErrors(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{"ssl", "'server b/s' : verify is enabled by default but no CA file specified."},
		{"ssl verify required", "'server b/s' : verify is enabled by default but no CA file specified."},
		{"check-ssl check", "'server b/s' : verify is enabled by default but no CA file specified."},
		{"ssl verify", "'server b/s' : 'verify' : missing verify method."},
		{"ssl verify optional", "'server b/s' : 'verify' : unknown verify method 'optional', only 'none' and 'required' are supported."},
		{"ssl ca-file", "'server b/s' : 'ca-file' : missing CAfile path."},
		{"ssl ca-file /nope.pem", "'ca-file' : unable to load /nope.pem"},
		{"ssl verify none crt /nope.pem", "'server b/s' : unable to stat SSL certificate from file '/nope.pem'"},
		{"ssl verify none ciphers foo", "'server b/s' : unable to set SSL cipher list to 'foo'"},
		{"ssl verify none ciphersuites foo", "'server b/s' : unable to set TLS 1.3 cipher suites to 'foo'"},
		{"ssl verify none sni", "'server b/s' : 'sni' : missing sni expression."},
		{"ssl verify none sni foo", "'server b/s' : error detected while parsing sni or pool-conn-name expressions : unknown fetch method 'foo'."},
		{"ssl verify none check-sni", "'server b/s' : 'check-sni' : missing SNI."},
		{"ssl verify none alpn", "'server b/s' : 'alpn' : missing the comma-delimited ALPN protocol suite."},
		{"ssl verify none verifyhost", "'server b/s' : 'verifyhost' : missing hostname to verify against."},
		{"ssl verify none ssl-min-ver foo", "'server b/s' : 'foo' : unknown ssl/tls version."},
		{"ssl verify none force-sslv3", "'server b/s' : all SSL/TLS versions are disabled"},
		{"ssl verify none ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.2", "'server b/s' : all SSL/TLS versions are disabled."},
		{"ssl verify none ws foo", "'server b/s' : 'ws' has to be 'auto', 'h1' or 'h2'."},
	} {
		text := "defaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\nbackend b\n server s 127.0.0.1:1 " + c.options + "\n"
		if snap, errs := load(text); snap != nil || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %s", c.options, errs)
		}
		if !refuses(t, text) {
			t.Errorf("%s: haproxy takes it", c.options)
		}
	}
	// These are refused here alone: crypto/tls has nothing of the kind.
	for options, want := range map[string]string{
		"npn h2":          "NPN is not available",
		"allow-0rtt":      "early data is not available",
		"renegotiate":     "renegotiation is not available",
		"ktls on":         "TLS in the kernel is not available",
		"sigalgs ed25519": "cannot refuse signatures of a peer",
	} {
		if snap, errs := load("backend b\n server s 127.0.0.1:1 ssl verify none " + options + "\n"); snap != nil || !strings.Contains(errs, want) {
			t.Errorf("%s: %s", options, errs)
		}
	}
}

func TestServerAccepted(t *testing.T) {
	crt := certtest.Write(t, t.TempDir(), "c.pem", certtest.SelfSigned(t, "x").PEM(t))
	for _, options := range []string{
		"ssl verify none", "ssl verify none alpn h2,http/1.1", "ssl verify none alpn h2,,http/1.1", "sni req.hdr(host)", "verifyhost foo",
		"ssl verify none crt " + crt, "ssl ca-file @system-ca", "ssl ca-file " + crt, "check-ssl no-check-ssl", "ssl verify none no-ssl",
		"ssl verify none no-ssl-reuse", "ssl verify none no-ssl-reuse ssl-reuse", "ssl verify none no-tls-tickets tls-tickets", "ssl verify none check check-ssl check-sni foo check-alpn http/1.1",
		"ssl verify none ssl-max-ver TLSv1.2", "ssl verify none no-sslv3 no-tlsv10 no-tlsv11", "ssl verify none ciphers HIGH:!aNULL", "ssl verify none force-tlsv12",
	} {
		text := "defaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\nbackend b\n server s 127.0.0.1:1 " + options + "\n"
		if snap, errs := load(text); snap == nil || errs != "" {
			t.Errorf("%s: %s", options, errs)
		}
		if refuses(t, text) {
			t.Errorf("%s: haproxy refuses it", options)
		}
	}
	// The global section decides for lines that say nothing.
	if snap, errs := load("global\n ssl-server-verify none\nbackend b\n default-server ssl\n server s 127.0.0.1:1\n server-template t 2 127.0.0.1:2 no-ssl\n"); snap == nil {
		t.Error(errs)
	} else {
		lines := snap.Backends["b"].ServerLines
		if stream.Uplinks.Of(lines[0].Settings).TLS == nil || stream.Uplinks.Of(lines[1].Settings).TLS != nil {
			t.Error("default-server ssl, no-ssl")
		}
	}
}

// "-dV" of the command line is "ssl-server-verify none".
func TestNoVerify(t *testing.T) {
	in := bed.Input(1, "backend b\n server s 127.0.0.1:1 ssl\n")
	if snap, _ := snapshot.Load(in); snap != nil {
		t.Error("a server without authorities is accepted")
	}
	in.Switches = []string{"dV"}
	if snap, d := snapshot.Load(in); snap == nil {
		t.Error(d.All())
	}
}

// refuses tells whether haproxy does not take a configuration.
func refuses(t *testing.T, text string) bool {
	t.Helper()
	dir := t.TempDir()
	text += "frontend f\n bind " + filepath.Join(dir, "f.sock") + "\n default_backend b\n"
	if !strings.Contains(text, "mode http") {
		text = "defaults\n mode http\n" + text
	}
	file := certtest.Write(t, dir, "t.cfg", []byte(text))
	return exec.Command("haproxy", "-c", "-q", "-f", file).Run() != nil
}

// example gives the first one in a chapter of the manual page.
func example(t *testing.T, chapter string) string {
	t.Helper()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), chapter+"\n")
	if !ok {
		t.Fatalf("there is no %s", chapter)
	}
	out := ""
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "    ") || out != "" && line == "\n" {
			out += strings.TrimPrefix(line, "    ")
		} else if out != "" {
			break
		}
	}
	return out
}

// The examples of the manual page load.
func TestManualPage(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	site := ca.Issue(t, "site")
	certtest.Write(t, dir, "site.crt", site.CertPEM())
	certtest.Write(t, dir, "site.key", site.KeyPEM(t))
	certtest.Write(t, dir, "site.ocsp", site.OCSP(t))
	certtest.Write(t, dir, "ca.crt", ca.CertPEM())
	for _, chapter := range []string{"# TLS", "## OCSP"} {
		text := strings.ReplaceAll(example(t, chapter), "/etc/forebay", dir)
		if snap, errs := load("defaults\n timeout connect 1s\n timeout server 1s\n timeout client 1s\n" + text); snap == nil || errs != "" {
			t.Errorf("%s\n%s", text, errs)
		}
	}
}

// With openssl s_server as the server: both versions, keys of both kinds, a
// certificate of our own, and resumption.
func TestServerBesideOpenSSL(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	crt := certtest.Write(t, dir, "client.pem", ca.Issue(t, "me", certtest.Client()).PEM(t))
	for i, key := range []certtest.Option{certtest.ECDSA(elliptic.P256()), certtest.RSA(2048), certtest.Ed25519()} {
		leaf := certtest.Write(t, dir, fmt.Sprintf("leaf%d.pem", i), ca.Issue(t, "app.example", key).PEM(t))
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			addr := opensslServer(t, "-cert", leaf, "-key", leaf, "-www", version, "-Verify", "1", "-verify_return_error", "-CAfile", caFile)
			b := newSite(t, "", " server s "+addr+" ssl ca-file "+caFile+" crt "+crt+"\n")
			for n, want := range []string{"New, ", "Reused, ", "Reused, "} {
				if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, want) {
					t.Errorf("key %d, %s, request %d: %d %s", i, version, n, code, body)
				}
			}
		}
	}
}

// opensslServer runs openssl s_server and gives its address.
func opensslServer(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", append([]string{"s_server", "-accept", "127.0.0.1:0"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			go io.Copy(io.Discard, out)
			return addr
		}
	}
	t.Fatal("openssl s_server did not begin")
	return ""
}

// What a transaction of the Runtime socket commits is in force for the next
// handshake, until a configuration is applied.
func TestServerFilesChange(t *testing.T) {
	dir := t.TempDir()
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	crt := certtest.Write(t, dir, "client.pem", ca.Issue(t, "first", certtest.Client()).PEM(t))
	addr := origin(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "app.example").TLS()}, ClientAuth: tls.RequireAnyClientCert})
	line := " server s " + addr + " ssl ca-file " + caFile + " crt " + crt + " no-ssl-reuse"
	b := newSite(t, "", line+"\n")
	if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, "client=first") {
		t.Fatalf("%d %s", code, body)
	}
	for range 2 { // and once more in the store of an applied configuration
		store := ssl.StoreOf(b.w.Snapshot().Global)
		if _, err := store.Certs.Set(crt, func(p *certs.Pair) (*certs.Pair, error) {
			return p.With("", ca.Issue(t, "second", certtest.Client()).PEM(t))
		}); err != nil {
			t.Fatal(err)
		}
		if err := store.Certs.Commit(crt, nil); err != nil {
			t.Fatal(err)
		}
		if users := store.Cert(crt).Users(); len(users) == 0 || users[0].Title() != "server b/s" {
			t.Errorf("users %v", users)
		}
		replace := func(by *certtest.Pair) {
			store.CAs.Set(caFile, func(*certs.CA) (*certs.CA, error) { return certs.ParseCA(by.CertPEM()) })
			if err := store.CAs.Commit(caFile, nil); err != nil {
				t.Fatal(err)
			}
		}
		replace(other)
		if code, body := b.get(t, "app.example"); code != 503 {
			t.Errorf("not trusted any more: %d %s", code, body)
		}
		replace(ca)
		if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, "client=second") {
			t.Errorf("%d %s", code, body)
		}
		b.apply(t, line+"\n") // the files are what counts now
		if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, "client=first") {
			t.Errorf("%d %s", code, body)
		}
	}
}

// A session tells the server who we are: it is not resumed with another
// certificate than it began with.
func TestServerSessionsFollowCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ca := certtest.NewCA(t, "ca")
			crt := certtest.Write(t, t.TempDir(), "client.pem", ca.Issue(t, "first", certtest.Client()).PEM(t))
			addr := origin(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "app.example").TLS()}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: version})
			line := " server s " + addr + " ssl verify none crt " + crt + "\n"
			b := newSite(t, "", line)
			for _, x := range []struct {
				what string
				do   func()
				want string
			}{
				{"at first", func() {}, "resumed=false alpn= client=first"},
				{"once more", func() {}, "resumed=true alpn= client=first"},
				{"after a commit", func() {
					store := ssl.StoreOf(b.w.Snapshot().Global)
					store.Certs.Set(crt, func(p *certs.Pair) (*certs.Pair, error) {
						return p.With("", ca.Issue(t, "second", certtest.Client()).PEM(t))
					})
					if err := store.Certs.Commit(crt, nil); err != nil {
						t.Fatal(err)
					}
				}, "resumed=false alpn= client=second"},
				{"with the new one", func() {}, "resumed=true alpn= client=second"},
				{"with the file's", func() { b.apply(t, line) }, "resumed=false alpn= client=first"},
				{"with the same file", func() { b.apply(t, line) }, "resumed=true alpn= client=first"},
			} {
				x.do()
				if code, body := b.get(t, "app.example"); code != 200 || !strings.Contains(body, x.want) {
					t.Errorf("%s: %d %s, want %s", x.what, code, body, x.want)
				}
			}
		})
	}
}

func TestServerAtRunTime(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	addr := origin(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "app.example").TLS()}})
	b := newSite(t, "", " server s "+addr+" ssl ca-file "+caFile+" disabled\n server plain "+addr+" disabled\n")
	command := func(line, want string) {
		t.Helper()
		if got := b.command(t, line); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	// Files that the configuration has can be used, others cannot.
	command("add server b/d "+addr+" ssl ca-file "+caFile, "New server registered.")
	command("add server b/e "+addr+" ssl ca-file /none.pem", "'ca-file' : unable to load /none.pem (No such file or directory).")
	command("add server b/e "+addr+" ssl", strings.TrimPrefix(errNoAuthorities, "'server b/e' : "))
	// Those that were refused do not use any: one server does, and the one added.
	command("add server b/e "+addr+" ssl ca-file "+caFile+" crl-file /none.pem", "'crl-file' : unable to load /none.pem (No such file or directory).")
	command("add server b/e "+addr+" ssl ca-file "+caFile+" id 1", "'id' : custom id 1 already used by server 's'.")
	if n := len(ssl.StoreOf(b.w.Snapshot().Global).CA(caFile).Users()); n != 2 {
		t.Errorf("%d users of the authorities", n)
	}
	command("enable server b/d", "")
	for host, want := range map[string]int{"app.example": 200, "other.example": 503} {
		if code, body := b.get(t, host); code != want {
			t.Errorf("%s: %d %s", host, code, body)
		}
	}
	users := func() int { return len(ssl.StoreOf(b.w.Snapshot().Global).CA(caFile).Users()) }
	before := users()
	command("disable server b/d", "")
	command("del server b/d", "Server deleted.")
	if n := users(); n != before-1 {
		t.Errorf("%d users of the file, there were %d", n, before)
	}

	command("enable server b/s", "")
	command("set server b/plain ssl on", "'set server <srv> ssl' cannot be set.  default-server should define ssl settings")
	command("set server b/s ssl", "'set server <srv> ssl' expects 'on' or 'off'.")
	command("set server b/s ssl off", "server ssl setting updated.")
	if code, _ := b.get(t, "app.example"); code == 200 {
		t.Error("in clear to a server under TLS")
	}
	b.apply(t, " server s "+addr+" ssl ca-file "+caFile+" weight 2\n") // what was set stays
	if code, _ := b.get(t, "app.example"); code == 200 {
		t.Error("in clear to a server under TLS")
	}
	command("set server b/s ssl on", "server ssl setting updated.")
	if code, body := b.get(t, "app.example"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
}

const errNoAuthorities = "verify is enabled by default but no CA file specified. If you're running on a LAN where you're certain to trust the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side verifications by default."

// What an applied configuration says of a difference, and that a file which has
// changed is in force.
func TestServerDiff(t *testing.T) {
	dir := t.TempDir()
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	addr := origin(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "app.example").TLS()}})
	line := " server s " + addr + " ssl ca-file " + caFile
	b := newSite(t, "", line+"\n")
	apply := func(text string, want ...string) {
		t.Helper()
		snap, errs := load(b.head + text)
		if snap == nil {
			t.Fatal(errs)
		}
		changes, err := snapshot.Apply(b.w, snap)
		var got []string
		for _, c := range changes {
			got = append(got, c.String())
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %q, want %q", err, got, want)
		}
	}
	apply(line + "\n")
	apply(line+" ssl-min-ver TLSv1.3\n", "~ server b/s: unset -> ssl-min-ver TLSv1.3")
	apply(line+" ssl-min-ver TLSv1.2\n", "~ server b/s: ssl-min-ver TLSv1.3 -> ssl-min-ver TLSv1.2")
	if code, body := b.get(t, "app.example"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	certtest.Write(t, dir, "ca.pem", other.CertPEM())
	apply(line+" ssl-min-ver TLSv1.2\n", "~ file "+caFile)
	if code, body := b.get(t, "app.example"); code != 503 {
		t.Errorf("%d %s", code, body)
	}
}
