package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// tlsShop is a proxy with a certificate, and what a client needs to trust it.
type tlsShop struct {
	*proxy
	addr string
	ca   *certtest.Pair
	pem  string
}

const tlsShopText = `
frontend web
    bind %s ssl crt @DIR@/site.pem %s
    default_backend app

backend app
    server s1 %s
`

func newTLSShop(t *testing.T, options string, args ...string) *tlsShop {
	t.Helper()
	o := newOrigin(t, "hello")
	s := &tlsShop{addr: address(t), ca: certtest.NewCA(t, "ca")}
	dir := scratch(t)
	s.pem = certtest.Write(t, dir, "site.pem", s.ca.Issue(t, "site", certtest.Names("localhost"), certtest.Serial(1000)).PEM(t))
	certtest.Write(t, dir, "ca.pem", s.ca.CertPEM())
	s.proxy = serveIn(t, forebay, dir, preface+fmt.Sprintf(tlsShopText, s.addr, options, o.addr), args...)
	return s
}

// Files reach the worker as they are, whatever is in them, at the start and when
// a configuration is applied: those of which nothing was changed are no change.
func TestFilesAsTheyAre(t *testing.T) {
	page := "\x00\n\n." // without a line feed at the end
	ca := certtest.NewCA(t, "ca")
	site := ca.Issue(t, "site", certtest.Names("localhost"))
	dir := scratch(t)
	pem := certtest.Write(t, dir, "site.pem", append(site.PEM(t), ca.CertPEM()...))
	write503 := func() { certtest.Write(t, dir, "page", []byte("HTTP/1.1 503 No\r\n\r\n"+page)) }
	staple := site.OCSP(t)
	certtest.Write(t, dir, "site.pem.ocsp", staple)
	write503()
	s := &tlsShop{addr: address(t), ca: ca, pem: pem}
	s.proxy = serveIn(t, forebay, dir, preface+fmt.Sprintf("\nfrontend web\n    bind %s ssl crt %s\n    errorfile 503 %s/page\n", s.addr, pem, dir), "-W")
	check := func() {
		t.Helper()
		c, err := tls.Dial("tcp", s.addr, s.client())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if all, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(all), "\r\n\r\n"+page) {
			t.Errorf("%q %v", all, err)
		}
		if got := c.ConnectionState().OCSPResponse; !bytes.Equal(got, staple) {
			t.Errorf("%d bytes of an OCSP response", len(got))
		}
	}
	check()
	before := s.worker()
	if r := s.askMaster("reload"); !strings.HasPrefix(r, "Success=1") || strings.Contains(r, "change:") {
		t.Errorf("nothing was changed: %s", r)
	}
	check()
	page += "\n"
	write503()
	if r := s.askMaster("reload"); strings.Count(r, "change:") != 1 || !strings.Contains(r, "change: ~ file "+dir+"/page") {
		t.Errorf("a page was changed: %s", r)
	}
	check()
	if s.worker() != before {
		t.Error("there is a new worker")
	}
}

// client is a client's configuration, with a session cache of its own.
func (s *tlsShop) client() *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool(), ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

// visit makes a request on a connection of its own and tells how the handshake
// went.
func (s *tlsShop) visit(cfg *tls.Config) (tls.ConnectionState, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", s.addr, cfg)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(c)
	if err == nil && !strings.HasPrefix(string(all), "HTTP/1.1 200 ") {
		err = fmt.Errorf("%q", all)
	}
	return c.ConnectionState(), err
}

func (s *tlsShop) mustVisit(cfg *tls.Config) tls.ConnectionState {
	s.t.Helper()
	st, err := s.visit(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// A session that one thread began is taken up by every other, after a
// configuration was applied, and by a new worker.
func TestResumption(t *testing.T) {
	for _, x := range []struct {
		version uint16
		options string
	}{{tls.VersionTLS12, ""}, {tls.VersionTLS13, ""}, {tls.VersionTLS13, "no-tls-tickets"}} {
		t.Run(strings.TrimSpace(tls.VersionName(x.version)+" "+x.options), func(t *testing.T) {
			s := newTLSShop(t, x.options, "-W")
			cfg := s.client()
			cfg.MaxVersion = x.version
			s.mustVisit(cfg)
			resumes := func(when string) {
				t.Helper()
				for range 20 { // the kernel spreads connections over the threads
					if !s.mustVisit(cfg).DidResume {
						t.Fatalf("not resumed %s", when)
					}
				}
			}
			resumes("by another thread")
			text := read(t, s.file)
			write(t, s.dir, "a.cfg", strings.Replace(text, "timeout client 30s", "timeout client 31s", 1))
			before := s.worker()
			s.reload()
			if s.worker() != before {
				t.Error("the configuration was not applied in place")
			}
			resumes("after a configuration was applied")
			write(t, s.dir, "a.cfg", strings.Replace(text, "nbthread 2", "nbthread 1", 1))
			s.reload()
			until(t, "there is a new worker", func() bool { return s.worker() != before })
			resumes("by a new worker")
		})
	}
}

// openssl's own client resumes as well, by its session file.
func TestResumptionOpenSSL(t *testing.T) {
	s := newTLSShop(t, "")
	openssl := tool(t, "openssl")
	sess := filepath.Join(s.dir, "sess")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		run := func(flag string) string {
			return sh(t, fmt.Sprintf("(printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'; sleep 0.3) | %s s_client %s -connect %s -CAfile %s/ca.pem -servername localhost %s %s 2>&1; true", openssl, version, s.addr, s.dir, flag, sess))
		}
		if out := run("-sess_out"); !strings.Contains(out, "New, TLSv1") || !strings.Contains(out, "Verify return code: 0 (ok)") {
			t.Fatalf("%s:\n%s", version, out)
		}
		if out := run("-sess_in"); !strings.Contains(out, "Reused, TLSv1") {
			t.Errorf("%s: not reused:\n%s", version, out)
		}
	}
}

// Clients have to show a certificate of the right authority that was not
// revoked.
func TestMutualTLS(t *testing.T) {
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	good, revoked := ca.Issue(t, "good", certtest.Client()), ca.Issue(t, "revoked", certtest.Client())
	expired, stranger := ca.Issue(t, "expired", certtest.Client(), certtest.Expired()), other.Issue(t, "stranger", certtest.Client())
	dir := scratch(t)
	certtest.Write(t, dir, "site.pem", ca.Issue(t, "site", certtest.Names("localhost")).PEM(t))
	certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	certtest.Write(t, dir, "crl.pem", ca.CRL(t, revoked))
	o := newOrigin(t, "hello")
	required, optional, lenient := address(t), address(t), address(t)
	const show = "http-request return status 200 content-type text/plain lf-string \"%[ssl_c_used] %[ssl_c_verify] %[ssl_c_s_dn(cn)]\""
	serveIn(t, forebay, dir, preface+fmt.Sprintf(`
frontend required
    bind %s ssl crt @DIR@/site.pem ca-file @DIR@/ca.pem crl-file @DIR@/crl.pem verify required
    %s

frontend optional
    bind %s ssl crt @DIR@/site.pem ca-file @DIR@/ca.pem crl-file @DIR@/crl.pem verify optional
    %s

frontend lenient
    bind %s ssl crt @DIR@/site.pem ca-file @DIR@/ca.pem verify optional crt-ignore-err all ca-ignore-err all
    %s
`, required, show, optional, show, lenient, show))
	_ = o
	for _, c := range []struct {
		name, addr string
		cert       *certtest.Pair
		want       string // "" when the handshake must fail
	}{
		{"good", required, good, "1 0 good"},
		{"none", required, nil, ""},
		{"revoked", required, revoked, ""},
		{"expired", required, expired, ""},
		{"stranger", required, stranger, ""},
		{"optional, good", optional, good, "1 0 good"},
		{"optional, none", optional, nil, "0 0 "},
		{"optional, expired", optional, expired, ""},
		{"ignored, expired", lenient, expired, "1 10 expired"},
		{"ignored, stranger", lenient, stranger, "1 "},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(c.name+" "+tls.VersionName(version), func(t *testing.T) {
				cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
				if c.cert != nil {
					x := c.cert.TLS()
					cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &x, nil }
				}
				for _, when := range []string{"at first", "resumed"} {
					res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}).Get("https://" + c.addr)
					if c.want == "" {
						if err == nil {
							t.Errorf("%s: status %d, want no handshake", when, res.StatusCode)
						}
						continue
					}
					if err != nil {
						t.Fatalf("%s: %v", when, err)
					}
					got, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if !strings.HasPrefix(string(got), c.want) {
						t.Errorf("%s: %q, want %q", when, got, c.want)
					}
				}
			})
		}
	}
}

// The certificate that a list of names gets is the one that HAProxy serves.
func TestCertificateChoice(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	dir := scratch(t)
	for name, names := range map[string][]string{
		"default": {"default.example"}, "exact": {"www.example.org"}, "wild": {"*.example.org"}, "deep": {"*.a.example.org"},
		"two": {"one.example.net", "two.example.net"}, "filtered": {"filtered.example"}, "upper": {"UPPER.example.org"},
	} {
		certtest.Write(t, dir, name+".pem", ca.Issue(t, name, certtest.Names(names...)).PEM(t))
	}
	certtest.Write(t, dir, "both.pem.ecdsa", ca.Issue(t, "both-ecdsa", certtest.Names("both.example")).PEM(t))
	certtest.Write(t, dir, "both.pem.rsa", ca.Issue(t, "both-rsa", certtest.RSA(2048), certtest.Names("both.example")).PEM(t))
	write(t, dir, "list", strings.ReplaceAll(`# a comment
@DIR@/default.pem
@DIR@/exact.pem
@DIR@/wild.pem
@DIR@/deep.pem
@DIR@/two.pem
@DIR@/upper.pem
@DIR@/filtered.pem [alpn h2] *.f.example !no.f.example
@DIR@/both.pem
`, "@DIR@", dir))
	var choices [2]map[string]string
	for i, path := range []string{forebay, tool(t, "haproxy")} {
		plain, strict, files := address(t), address(t), address(t)
		text := preface + fmt.Sprintf(`
frontend web
    bind %s ssl crt-list @DIR@/list
    bind %s ssl strict-sni crt-list @DIR@/list
    bind %s ssl crt @DIR@/exact.pem crt @DIR@/wild.pem
    http-request return status 200
`, plain, strict, files)
		p := serveIn(t, path, dir, text)
		choices[i] = map[string]string{}
		for _, a := range []struct{ name, addr string }{{"plain", plain}, {"strict", strict}, {"files", files}} {
			for _, sni := range []string{"", "default.example", "www.example.org", "WWW.Example.ORG", "x.example.org", "a.example.org", "x.a.example.org", "x.y.a.example.org", "example.org",
				"one.example.net", "two.example.net", "three.example.net", "filtered.example", "x.f.example", "no.f.example", "x.y.f.example", "both.example", "unknown.example", "upper.example.org", "www.example.org."} {
				for _, auth := range []string{"ecdsa", "rsa"} {
					cfg := &tls.Config{InsecureSkipVerify: true, ServerName: sni, MaxVersion: tls.VersionTLS12}
					if auth == "rsa" {
						cfg.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
					} else {
						cfg.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
					}
					got := "no handshake"
					if c, err := tls.Dial("tcp", a.addr, cfg); err == nil {
						got = c.ConnectionState().PeerCertificates[0].Subject.CommonName
						c.Close()
					}
					choices[i][a.name+" "+sni+" "+auth] = got
				}
			}
		}
		p.stop()
	}
	for k, want := range choices[1] {
		if got := choices[0][k]; got != want {
			t.Errorf("%s: %s, HAProxy serves %s", k, got, want)
		}
	}
}

// A certificate is renewed again and again under 500 handshakes a second: none
// fails, and each new certificate is served at once.
func TestRenewal(t *testing.T) {
	s := newTLSShop(t, "alpn http/1.1")
	var stop atomic.Bool
	var n atomic.Int64
	var wg sync.WaitGroup
	serials := sync.Map{}
	tick := time.NewTicker(2 * time.Millisecond) // 500 a second
	defer tick.Stop()
	for range 8 {
		wg.Go(func() {
			cfg := s.client()
			cfg.ClientSessionCache = nil
			for !stop.Load() {
				<-tick.C
				st, err := s.visit(cfg)
				if err != nil {
					t.Error(err)
					return
				}
				serials.Store(st.PeerCertificates[0].SerialNumber.Int64(), true)
				n.Add(1)
			}
		})
	}
	for i := range 20 {
		next := n.Load() + 50
		until(t, "handshakes go on", func() bool { return n.Load() > next || t.Failed() })
		serial := int64(2000 + i)
		pem := s.ca.Issue(t, "site", certtest.Names("localhost"), certtest.Serial(serial)).PEM(t)
		s.ask("set ssl cert " + s.pem + " <<\n" + string(pem) + "\n")
		if out := s.ask("commit ssl cert " + s.pem); !strings.Contains(out, "Success!") {
			t.Fatalf("commit: %s", out)
		}
		cfg := s.client()
		if got := s.mustVisit(cfg).PeerCertificates[0].SerialNumber.Int64(); got != serial {
			t.Errorf("serial %d after %d was committed", got, serial)
		}
	}
	stop.Store(true)
	wg.Wait()
	seen := 0
	serials.Range(func(any, any) bool { seen++; return true })
	if seen < 15 {
		t.Errorf("only %d certificates were seen", seen)
	}
	t.Logf("%d handshakes, %d certificates", n.Load(), seen)
}

// A client that is not let in is told why, whatever the handshake was sealed with;
// so is one that asks for a name with a dot at its end.
func TestAlerts(t *testing.T) {
	openssl := tool(t, "openssl")
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	revoked := ca.Issue(t, "revoked", certtest.Client())
	dir := scratch(t)
	for name, data := range map[string][]byte{
		"site.pem": ca.Issue(t, "site", certtest.Names("localhost")).PEM(t), "ca.pem": ca.CertPEM(), "crl.pem": ca.CRL(t, revoked), "revoked.pem": revoked.PEM(t),
		"good.pem": ca.Issue(t, "good", certtest.Client()).PEM(t), "expired.pem": ca.Issue(t, "expired", certtest.Client(), certtest.Expired()).PEM(t),
		"early.pem": ca.Issue(t, "early", certtest.Client(), certtest.NotYet()).PEM(t), "stranger.pem": other.Issue(t, "stranger", certtest.Client()).PEM(t),
	} {
		certtest.Write(t, dir, name, data)
	}
	strict, open := address(t), address(t)
	serveIn(t, forebay, dir, preface+fmt.Sprintf(`
frontend strict
    bind %s ssl crt @DIR@/site.pem ca-file @DIR@/ca.pem crl-file @DIR@/crl.pem verify required
    http-request return status 200

frontend open
    bind %s ssl crt @DIR@/site.pem
    http-request return status 200
`, strict, open))
	say := func(t *testing.T, addr, flags string) string {
		// The answer, or the alert, ends it.
		return sh(t, fmt.Sprintf("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | %s s_client -ign_eof -connect %s %s 2>&1 || true", openssl, addr, flags))
	}
	for _, how := range []string{
		"-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "-tls1_2",
	} {
		for who, want := range map[string]string{
			"good": "HTTP/1.1 200", "revoked": "alert certificate revoked", "expired": "alert certificate expired", "early": "alert bad certificate", "stranger": "alert unknown ca",
		} {
			if out := say(t, strict, fmt.Sprintf("%s -cert %s/%s.pem", how, dir, who)); !strings.Contains(out, want) {
				t.Errorf("%s, %s: not %q:\n%s", how, who, want, out)
			}
		}
		for name, want := range map[string]string{"localhost": "HTTP/1.1 200", "localhost.": "unrecognized name", "elsewhere.": "unrecognized name"} {
			if out := say(t, open, how+" -servername "+name); !strings.Contains(out, want) {
				t.Errorf("%s, %s: not %q:\n%s", how, name, want, out)
			}
		}
	}
}

// Servers over TLS: verification by CA and name, client certificates, SNI.
func TestServersOverTLS(t *testing.T) {
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	dir := scratch(t)
	certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	certtest.Write(t, dir, "other.pem", other.CertPEM())
	certtest.Write(t, dir, "client.pem", ca.Issue(t, "the client", certtest.Client()).PEM(t))
	o := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s asked %q of %s, resumed %v", client, r.TLS.ServerName, r.Proto, r.TLS.DidResume)
	}))
	o.EnableHTTP2 = true
	o.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "server", certtest.Names("app.example")).TLS()}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: ca.Pool()}
	o.StartTLS()
	t.Cleanup(o.Close)
	at := o.Listener.Addr().String()
	cases := []struct{ name, options, want string }{
		{"verified", "ssl ca-file @DIR@/ca.pem sni str(app.example) no-ssl-reuse", `nobody asked "app.example" of HTTP/1.1`},
		{"not verified", "ssl verify none no-ssl-reuse", `nobody asked`},
		{"by the request's name", "ssl ca-file @DIR@/ca.pem sni req.hdr(host) no-ssl-reuse", `nobody asked "app.example"`},
		{"verifyhost", "ssl ca-file @DIR@/ca.pem verifyhost app.example no-ssl-reuse", `nobody asked`},
		{"client certificate", "ssl ca-file @DIR@/ca.pem sni str(app.example) crt @DIR@/client.pem no-ssl-reuse", `the client asked "app.example"`},
		{"HTTP/2", "ssl ca-file @DIR@/ca.pem sni str(app.example) alpn h2 no-ssl-reuse", `nobody asked "app.example" of HTTP/2.0`},
		{"resumed", "ssl ca-file @DIR@/ca.pem sni str(app.example)", `resumed true`},
		{"another authority", "ssl ca-file @DIR@/other.pem sni str(app.example)", "503"},
		{"another name", "ssl ca-file @DIR@/ca.pem sni str(else.example)", "503"},
		{"another verifyhost", "ssl ca-file @DIR@/ca.pem no-sni-auto verifyhost else.example", "503"},
	}
	text := preface + "defaults\n    mode http\n    timeout connect 5s\n    timeout client 10s\n    timeout server 10s\n    retries 0\n    http-reuse never\n"
	var addrs []string
	for i, c := range cases {
		a := address(t)
		addrs = append(addrs, a)
		text += fmt.Sprintf("\nlisten l%d\n    bind %s\n    server s1 %s %s\n", i, a, at, c.options)
	}
	serveIn(t, forebay, dir, text)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, _ := http.NewRequest("GET", "http://"+addrs[i], nil)
			req.Host = "app.example"
			var got string
			for range 2 { // the second one may resume
				tr := &http.Transport{DisableKeepAlives: true}
				res, err := (&http.Client{Transport: tr}).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				got = fmt.Sprint(res.StatusCode, " ", string(body))
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
