package ssl_test

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

func TestGlobalKeywords(t *testing.T) {
	dh := certtest.Write(t, t.TempDir(), "dh.pem", []byte("-----BEGIN DH PARAMETERS-----\nMAYCAQMCAQI=\n-----END DH PARAMETERS-----\n"))
	for _, c := range []struct {
		line, want string // want is part of the error or warning, "" for none
		ours       bool   // haproxy 2.6 takes it, or does not know it
	}{
		{line: "ssl-default-bind-options", want: "global statement 'ssl-default-bind-options' expects an option as an argument."},
		{line: "ssl-default-bind-options foo", want: "unknown option 'foo' on global statement 'ssl-default-bind-options'."},
		{line: "ssl-default-bind-options strict-sni", ours: true},
		{line: "ssl-default-bind-options no-renegotiate", want: "unknown option 'no-renegotiate' on global statement 'ssl-default-bind-options'."},
		{line: "ssl-default-server-options strict-sni", want: "unknown option 'strict-sni' on global statement 'ssl-default-server-options'."},
		{line: "ssl-default-bind-options ssl-min-ver", want: "'ssl-min-ver' : missing the ssl/tls version on global statement 'ssl-default-bind-options'."},
		{line: "ssl-default-bind-options ssl-min-ver foo", want: "'foo' : unknown ssl/tls version on global statement 'ssl-default-bind-options'."},
		{line: "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets prefer-client-ciphers"},
		{line: "ssl-default-server-options ssl-min-ver TLSv1.2 no-tls-tickets"},
		{line: "ssl-default-server-options prefer-client-ciphers", want: "unknown option 'prefer-client-ciphers'"},
		{line: "ssl-default-server-options no-renegotiate", ours: true},
		{line: "ssl-default-server-options renegotiate", want: "renegotiation is not available", ours: true},
		{line: "ssl-default-bind-ciphers", want: "global statement 'ssl-default-bind-ciphers' expects a cipher suite as an argument."},
		{line: "ssl-default-bind-ciphers a b", want: "'ssl-default-bind-ciphers' cannot handle unexpected argument 'b'."},
		{line: "ssl-default-bind-ciphers HIGH"},
		{line: "ssl-default-bind-curves", want: "global statement 'ssl-default-bind-curves' expects a curves suite as an argument"},
		{line: "ssl-default-bind-curves X25519"},
		{line: "ssl-default-server-ciphers foo", want: "'server b/s' : unable to set SSL cipher list to 'foo'"},
		{line: "ssl-default-server-ciphersuites foo", want: "'server b/s' : unable to set TLS 1.3 cipher suites to 'foo'"},
		{line: "ssl-default-server-curves foo", want: "'server b/s' : unable to set SSL curves list to 'foo'", ours: true},
		{line: "ssl-server-verify", want: "'ssl-server-verify' expects"},
		{line: "ssl-server-verify foo", want: "'ssl-server-verify' expects 'none' or 'required' as argument."},
		{line: "ssl-server-verify none"},
		{line: "tune.glitches.kill.cpu-usage 101", want: "'tune.glitches.kill.cpu-usage' expects a numeric value between 0 and 100.", ours: true},
		{line: "tune.glitches.kill.cpu-usage 80", ours: true},
		{line: "ca-base", want: "global statement 'ca-base' expects a directory path as an argument."},
		{line: "ca-base /a b", want: "'ca-base' cannot handle unexpected argument 'b'."},
		{line: "ca-base /a"},
		{line: "crt-base /a"},
		{line: "key-base /a", ours: true},
		{line: "ssl-load-extra-files", want: "'ssl-load-extra-files' expects one or multiple arguments (none, all, bundle, sctl, ocsp, issuer)."},
		{line: "ssl-load-extra-files foo", want: "'ssl-load-extra-files' expects one or multiple arguments"},
		{line: "ssl-load-extra-files none all", want: "'ssl-load-extra-files' 'none' and 'all' can be only used alone"},
		{line: "ssl-load-extra-files key sctl"},
		{line: "ssl-load-extra-del-ext"},
		{line: "ssl-skip-self-issued-ca"},
		{line: "ssl-dh-param-file /nope", want: "'ssl-dh-param-file': unable to load DH parameters from file </nope>."},
		{line: "ssl-dh-param-file", want: "'ssl-dh-param-file' expects a file path as an argument."},
		{line: "ssl-dh-param-file " + dh, want: "has no effect: Go's crypto/tls has no DHE ciphers.", ours: true},
		{line: "ssl-engine rdrand", want: "'ssl-engine' is not available: engines are OpenSSL's", ours: true},
		{line: "ssl-mode-async", want: "'ssl-mode-async' has no effect", ours: true},
		{line: "ssl-provider default", want: "'ssl-provider default' has no effect", ours: true},
		{line: "ssl-provider fips", want: "'ssl-provider fips' is not available", ours: true},
		{line: "ssl-provider", want: "global statement 'ssl-provider' expects a valid engine provider name as an argument."},
		{line: "ssl-passphrase-cmd /bin/x", want: "'ssl-passphrase-cmd' is not available: no program is run to open keys", ours: true},
		{line: "ssl-security-level 9", want: "'ssl-security-level' expects a value up to 5.", ours: true},
		{line: "ssl-security-level 4", want: "use a level up to 3", ours: true},
		{line: "ssl-security-level 2", ours: true},
		{line: "maxsslconn", want: "'maxsslconn' expects an integer argument."},
		{line: "maxsslconn x", want: "'maxsslconn' expects an integer argument, found 'x'.", ours: true},
		{line: "maxsslconn 10"},
		{line: "maxsslrate", want: "'maxsslrate' expects an integer argument."},
		{line: "maxsslrate 10"},
		{line: "tune.ssl.cachesize", want: "'tune.ssl.cachesize' expects an integer argument."},
		{line: "tune.ssl.cachesize -1", want: "'tune.ssl.cachesize' expects a positive numeric value."},
		{line: "tune.ssl.cachesize 10"},
		{line: "tune.ssl.capture-buffer-size 96"},
		{line: "tune.ssl.capture-cipherlist-size 96", want: "'tune.ssl.capture-cipherlist-size' is deprecated"},
		{line: "tune.ssl.default-dh-param 10", want: "'tune.ssl.default-dh-param' expects a value >= 1024."},
		{line: "tune.ssl.default-dh-param 2048", want: "'tune.ssl.default-dh-param' has no effect", ours: true},
		{line: "tune.ssl.force-private-cache"},
		{line: "tune.ssl.maxrecord 1400"},
		{line: "tune.ssl.hard-maxrecord 1400"},
		{line: "tune.ssl.keylog", want: "'tune.ssl.keylog' expects either 'on' or 'off' but got ''."},
		{line: "tune.ssl.keylog on"},
		{line: "tune.ssl.certificate-compression off", ours: true},
		{line: "tune.ssl.lifetime", want: "'tune.ssl.lifetime' expects ssl sessions <lifetime> in seconds as argument."},
		{line: "tune.ssl.lifetime x", want: "unexpected character 'x' in argument to <tune.ssl.lifetime>."},
		{line: "tune.ssl.lifetime 10"},
		{line: "tune.ssl.ssl-ctx-cache-size 10"},
	} {
		text := "global\n " + c.line + "\ndefaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\nbackend b\n server s 127.0.0.1:1 ssl verify none\n"
		snap, said := load(text)
		if c.want == "" && said != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s: %s", c.line, said)
		}
		if !c.ours && refuses(t, text) != (snap == nil) {
			t.Errorf("%s: haproxy differs", c.line)
		}
	}
}

func TestGlobalValues(t *testing.T) {
	snap, said := load(`global
 ssl-default-bind-options ssl-min-ver TLSv1.3
 ssl-default-server-ciphers HIGH
 ssl-server-verify none
 ca-base /ca
 ssl-load-extra-files key sctl
 tune.ssl.lifetime 10
 tune.ssl.cachesize 5
 maxsslconn 7
 maxsslrate 8
`)
	if snap == nil {
		t.Fatal(said)
	}
	d := ssl.DefaultsOf(snap.Global)
	if d.Bind.Min != 0x0304 || d.Server.Ciphers != "HIGH" || !d.VerifyNone || d.CABase != "/ca" || d.Extra != ssl.ExtraKey|ssl.ExtraSCTL || d.Lifetime != 10*time.Second || d.CacheSize != 5 {
		t.Errorf("%+v", d)
	}
	if l := stream.TLSSettings.Value(snap.Global); l.MaxConn != 7 || l.MaxRate != 8 {
		t.Errorf("%+v", l)
	}
	snap, _ = load("defaults\n")
	if d := ssl.DefaultsOf(snap.Global); d.CacheSize != 20000 || d.Lifetime != 300*time.Second || d.Extra != ssl.ExtraAll || !d.Server.Server {
		t.Errorf("%+v", d)
	}
	for _, c := range [][3]string{{"", "a", "a"}, {"/b", "a", "/b/a"}, {"/b", "/a", "/a"}, {"/b", "@system-ca", "@system-ca"}} {
		if got := ssl.Path(c[0], c[1]); got != c[2] {
			t.Errorf("%q below %q: %q", c[1], c[0], got)
		}
	}
}
