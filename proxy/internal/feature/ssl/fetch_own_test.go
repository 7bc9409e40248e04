package ssl_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// keyLog is what the client of a test says of its secrets.
type keyLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (k *keyLog) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Write(p)
}

// of gives the client's random number and a secret.
func (k *keyLog) of(label string) (random, secret string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range strings.Lines(k.b.String()) {
		if w := strings.Fields(line); len(w) == 3 && w[0] == label {
			return w[1], w[2]
		}
	}
	return "", ""
}

// ask runs a configuration with a frontend under TLS and gives the values of
// expressions for a client.
func ask(t *testing.T, dir, global, bind string, cfg *tls.Config, exprs ...string) map[string]string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "global\n crt-base %s\n ca-base %s\n%s\ndefaults\n mode http\n timeout client 20s\nfrontend f\n bind {f} ssl alpn http/1.1 %s\n http-request return status 200\n", dir, dir, global, bind)
	for i, e := range exprs {
		fmt.Fprintf(&text, " http-after-response set-header x%d \"%%[%s]\"\n", i, e)
	}
	cfg.InsecureSkipVerify = true
	out := map[string]string{}
	// In a test of its own, which ends the worker: a process has one at a time.
	t.Run("worker", func(t *testing.T) {
		for i, v := range fields(t, oracle.RunOne(t, "forebay", text.String()), "f", cfg, len(exprs)) {
			out[exprs[i]] = v
		}
	})
	return out
}

func check(t *testing.T, got, want map[string]string) {
	t.Helper()
	for e, w := range want {
		if got[e] != w {
			t.Errorf("%s: %q, want %q", e, got[e], w)
		}
	}
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// What HAProxy 2.6 does not have yet follows the manual.
func TestFetchesOfTheManual(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "Root")
	certtest.Write(t, dir, "a.pem", root.Issue(t, "a.test").PEM(t))
	certtest.Write(t, dir, "ca.pem", root.CertPEM())
	uri, _ := url.Parse("http://docs.test/2.7/")
	own := root.CA(t, "Issuing").Issue(t, "ca.tests.test", certtest.Names("ca.tests.test", "127.0.0.1"), certtest.Template(func(c *x509.Certificate) { c.URIs = []*url.URL{uri} })).TLS()
	verify := "crt a.pem ca-file ca.pem verify optional crt-ignore-err all ca-ignore-err all"
	capture := "tune.ssl.capture-buffer-size 300"

	want := map[string]string{
		"ssl_c_san": "DNS:ca.tests.test, IP Address:127.0.0.1, URI:http://docs.test/2.7/", "ssl_c_r_dn": "/CN=Root", "ssl_c_r_dn(CN)": "Root", "ssl_c_r_dn(,0,rfc2253)": "CN=Root",
		"ssl_fc_crtname": dir + "/a.pem", "ssl_fc_curve": "x25519", "ssl_c_verify,x509_v_err_str": "X509_V_OK", "int(23),x509_v_err_str": "X509_V_ERR_CERT_REVOKED",
		"int(9999),x509_v_err_str": "9999", "ssl_fc_early_rcvd": "0", "ssl_fc_protocol": "TLSv1.3", "ssl_fc_cipher": "TLS_AES_128_GCM_SHA256", "ssl_fc_alpn": "http/1.1",
		"ssl_fc_supported_versions_bin,hex": "0304", "ssl_fc_eclist_bin,hex": "001D", "ssl_fc_client_random": "", "ssl_fc_exporter_secret": "",
	}
	delete(want, "ssl_fc_client_random") // needs what others here would get too: see TestSecrets
	got := ask(t, dir, capture, verify, &tls.Config{
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}, Certificates: []tls.Certificate{own}, NextProtos: []string{"http/1.1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
	}, append(keys(want), "ssl_fc_sigalgs_bin,hex")...)
	check(t, got, want)
	if v := got["ssl_fc_sigalgs_bin,hex"]; !strings.Contains(v, "0804") || len(v)%4 != 0 {
		t.Errorf("ssl_fc_sigalgs_bin: %q", v)
	}

	stranger := certtest.SelfSigned(t, "self").TLS()
	want = map[string]string{"ssl_c_r_dn": "", "ssl_c_verify,x509_v_err_str": "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", "ssl_fc_cipherlist_bin": "", "ssl_fc_protocol_hello_id": ""}
	check(t, ask(t, dir, "", verify, &tls.Config{
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil },
	}, keys(want)...), want)
}

// Secrets are those that the client has: always those that traffic needs up to
// TLS 1.2, the others with tune.ssl.keylog only.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	certtest.Write(t, dir, "a.pem", certtest.SelfSigned(t, "a.test").PEM(t))
	labels := map[string]string{
		"client_handshake_traffic_secret": "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "server_handshake_traffic_secret": "SERVER_HANDSHAKE_TRAFFIC_SECRET",
		"client_traffic_secret_0": "CLIENT_TRAFFIC_SECRET_0", "server_traffic_secret_0": "SERVER_TRAFFIC_SECRET_0", "exporter_secret": "EXPORTER_SECRET",
		"client_early_traffic_secret": "CLIENT_EARLY_TRAFFIC_SECRET", "early_exporter_secret": "EARLY_EXPORTER_SECRET",
	}
	for _, global := range []string{"", " tune.ssl.keylog on"} {
		var log keyLog
		exprs := []string{"ssl_fc_client_random,hex"}
		for name := range labels {
			exprs = append(exprs, "ssl_fc_"+name)
		}
		got := ask(t, dir, global, "crt a.pem", &tls.Config{KeyLogWriter: &log}, exprs...)
		random, _ := log.of("CLIENT_TRAFFIC_SECRET_0")
		if random == "" || !strings.EqualFold(got["ssl_fc_client_random,hex"], random) {
			t.Errorf("%q: the client's random number: %q, want %q", global, got["ssl_fc_client_random,hex"], random)
		}
		for name, label := range labels {
			_, secret := log.of(label)
			if global == "" {
				secret = ""
			}
			if label == "EXPORTER_SECRET" && secret == "" {
				continue // crypto/tls does not say it
			}
			if got["ssl_fc_"+name] != secret {
				t.Errorf("%q: %s: %q, want %q", global, name, got["ssl_fc_"+name], secret)
			}
		}
	}
	var log keyLog
	got := ask(t, dir, "", "crt a.pem", &tls.Config{KeyLogWriter: &log, MaxVersion: tls.VersionTLS12}, "ssl_fc_session_key,hex", "ssl_fc_client_random,hex")
	random, key := log.of("CLIENT_RANDOM")
	if b, err := hex.DecodeString(got["ssl_fc_session_key,hex"]); err != nil || len(b) != 48 || hex.EncodeToString(b) != key {
		t.Errorf("session key %q, want %q (%v)", got["ssl_fc_session_key,hex"], key, err)
	}
	if !strings.EqualFold(got["ssl_fc_client_random,hex"], random) {
		t.Errorf("random number %q, want %q", got["ssl_fc_client_random,hex"], random)
	}
}

// Arguments that make no sense are refused.
func TestRefusedFetches(t *testing.T) {
	for expr, want := range map[string]string{
		"ssl_c_s_dn(CN,1,rfc4514)": "only rfc2253 or a blank value are currently supported as the format argument.",
		"ssl_c_s_dn(CN,x)":         "failed to parse 'x' as type 'integer' at position 2",
		"ssl_fc_cipherlist_bin(2)": "not a valid filter option",
		"ssl_fc_sni(x)":            "expected ')' before 'x)'",
	} {
		_, text := load("defaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:22110\n http-request set-header a %[" + expr + "]\n")
		if !strings.Contains(text, want) {
			t.Errorf("%s: %s", expr, text)
		}
	}
}

// A secret that crypto/tls does not tell is warned of where it would be looked for.
func TestMissingSecretIsWarnedOf(t *testing.T) {
	for _, on := range []string{"on", "off"} {
		s, text := load("global\n tune.ssl.keylog " + on + "\ndefaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:22110\n http-request set-header a %[ssl_fc_exporter_secret]\n")
		if s == nil || strings.Contains(text, "'ssl_fc_exporter_secret' : Go's crypto/tls does not tell this secret.") != (on == "on") {
			t.Errorf("%s: %s", on, text)
		}
	}
}

// measured are what TestFetchesAllocateNothing looks at.
var measured = []string{
	"ssl_fc", "ssl_fc_cipher", "ssl_fc_protocol", "ssl_fc_alg_keysize", "ssl_fc_sni", "ssl_fc_alpn", "ssl_fc_is_resumed", "ssl_fc_err", "ssl_fc_curve", "ssl_c_used", "ssl_c_verify",
	"ssl_c_s_dn", "ssl_c_s_dn(CN)", "ssl_c_i_dn(,0,rfc2253)", "ssl_c_sha1", "ssl_c_serial", "ssl_c_notafter", "ssl_c_key_alg", "ssl_f_s_dn(CN)", "ssl_c_san", "fc_http_major", "fc_err",
}

// allocations evaluates them in a request; "test_allocations" says which allocate.
func allocations(c *conf.Ctx, _ []string) (sample.Func, error) {
	var list []*sample.Expr
	for _, text := range measured {
		e, err := sample.Parse(c, text)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return func(sc *stream.Scope, v *sample.Value, _ int) bool {
		var b []byte
		for i, e := range list {
			sc.Alloc(64 << 10) // growing is not what is measured
			e.Eval(sc, v)
			if n := testing.AllocsPerRun(20, func() { e.Eval(sc, v) }); n > 0 {
				b = fmt.Appendf(b, "%s: %v ", measured[i], n)
			}
		}
		return v.SetStr(b)
	}, nil
}

func init() {
	sample.RegisterFetch(sample.Fetch{Name: "test_allocations", Out: sample.Str, Where: sample.Everywhere, Compile: allocations})
}

// Fetches for each request must not allocate.
func TestFetchesAllocateNothing(t *testing.T) {
	dir := t.TempDir()
	own := certtest.SelfSigned(t, "client", odd(t)).TLS()
	certtest.Write(t, dir, "a.pem", certtest.SelfSigned(t, "a.test").PEM(t))
	certtest.Write(t, dir, "ca.pem", certtest.NewCA(t, "ca").CertPEM())
	got := ask(t, dir, "", "crt a.pem ca-file ca.pem verify optional crt-ignore-err all", &tls.Config{
		ServerName: "a.test", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
	}, "test_allocations", "ssl_c_s_dn(C)")
	check(t, got, map[string]string{"test_allocations": "", "ssl_c_s_dn(C)": "FR"})
}
