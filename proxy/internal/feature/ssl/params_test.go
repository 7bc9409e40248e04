package ssl

import (
	"crypto/tls"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// resolve parses words and resolves them; warnings are joined.
func resolve(server bool, words ...string) (*Params, string, error) {
	o := Options{Server: server}
	for len(words) > 0 {
		n, known, err := o.Parse(words)
		if err != nil {
			return nil, "", err
		}
		if !known {
			return nil, "", fmt.Errorf("unknown word %s", words[0])
		}
		words = words[n:]
	}
	var warned []string
	p, err := o.Resolve(func(f string, a ...any) { warned = append(warned, fmt.Sprintf(f, a...)) })
	return p, strings.Join(warned, "\n"), err
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		words     string
		server    bool
		low, high uint16 // 0: an error
		warning   string
	}{
		{words: "", low: tls.VersionTLS12, high: tls.VersionTLS13},
		{words: "", server: true, low: tls.VersionTLS12, high: tls.VersionTLS13},
		{words: "ssl-min-ver TLSv1.3", low: tls.VersionTLS13, high: tls.VersionTLS13},
		{words: "ssl-min-ver SSLv3", low: tls.VersionTLS10, high: tls.VersionTLS13},
		{words: "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.2", low: tls.VersionTLS10, high: tls.VersionTLS12},
		{words: "ssl-max-ver TLSv1.1", low: tls.VersionTLS11, high: tls.VersionTLS11, warning: "Setting the ssl-min-ver to TLSv1.1"},
		{words: "ssl-max-ver TLSv1.1", server: true, low: tls.VersionTLS10, high: tls.VersionTLS11},
		{words: "force-tlsv12", low: tls.VersionTLS12, high: tls.VersionTLS12},
		{words: "force-tlsv10", low: tls.VersionTLS10, high: tls.VersionTLS10},
		{words: "no-sslv3 no-tlsv10 no-tlsv11", low: tls.VersionTLS12, high: tls.VersionTLS13},
		{words: "no-tlsv13", low: tls.VersionTLS12, high: tls.VersionTLS12},
		{words: "no-tlsv12", low: tls.VersionTLS13, high: tls.VersionTLS13},
		{words: "force-tlsv13 no-tlsv13", low: tls.VersionTLS13, high: tls.VersionTLS13, warning: "no-sslv3/no-tlsv1x are ignored"},
		{words: "ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.2"},
		{words: "no-tlsv12 no-tlsv13"},
		{words: "force-sslv3"},
	} {
		p, warned, err := resolve(c.server, strings.Fields(c.words)...)
		if c.low == 0 {
			if err == nil || !strings.HasPrefix(err.Error(), "all SSL/TLS versions are disabled") {
				t.Errorf("%q: error %v", c.words, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.words, err)
			continue
		}
		if p.Min != c.low || p.Max != c.high {
			t.Errorf("%q: %s to %s", c.words, VersionName(p.Min), VersionName(p.Max))
		}
		if c.warning == "" && warned != "" || !strings.Contains(warned, c.warning) {
			t.Errorf("%q: warned %q", c.words, warned)
		}
	}
}

func TestHoleGivesUpOlderVersions(t *testing.T) {
	o := Options{Min: 0, Off: offBit(tls.VersionTLS12)}
	o.Server = true
	p, err := o.Resolve(nil)
	if err != nil || p.Min != tls.VersionTLS13 {
		t.Fatalf("min %x, %v", p.Min, err)
	}
}

func TestWordsErrors(t *testing.T) {
	for words, want := range map[string]string{
		"ssl-min-ver":                         "'ssl-min-ver' : missing the ssl/tls version",
		"ssl-max-ver 1.2":                     "'1.2' : unknown ssl/tls version",
		"ciphers":                             "'ciphers' : missing cipher suite",
		"ciphersuites":                        "'ciphersuites' : missing cipher suite",
		"curves":                              "'curves' : missing curve suite",
		"ecdhe":                               "'ecdhe' : missing named curve",
		"ciphers foo":                         "unable to set SSL cipher list to 'foo': none of them is available in Go's crypto/tls",
		"ciphers HIGH:@SECLEVEL=9":            "unable to set SSL cipher list to 'HIGH:@SECLEVEL=9': the level of security is a number from 0 to 5",
		"ciphers HIGH:@SECLEVEL=4":            "security level 4 forbids suites of TLS 1.3, which Go's crypto/tls cannot leave out: use a level up to 3",
		"ciphers AES128-SHA:@SECLEVEL=3":      "security level 3 forbids all ciphers",
		"ciphersuites foo":                    "unable to set TLS 1.3 cipher suites to 'foo': none of them is available in Go's crypto/tls",
		"ciphersuites TLS_AES_128_GCM_SHA256": "unable to set TLS 1.3 cipher suites to 'TLS_AES_128_GCM_SHA256': Go's crypto/tls cannot switch off TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256",
		"curves foo:P-256":                    "unable to set SSL curves list to 'foo:P-256': unknown curve 'foo'",
		"curves X448":                         "unable to set SSL curves list to 'X448': none of them is available in Go's crypto/tls",
		"ecdhe auto":                          "unable to set elliptic named curve to 'auto': unknown curve 'auto'",
		"sigalgs foo":                         "unable to set SSL Signature Algorithm list to 'foo': unknown algorithm 'foo'",
		"client-sigalgs ed25519:foo":          "unable to set SSL Client Signature Algorithm list to 'ed25519:foo': unknown algorithm 'foo'",
	} {
		list := strings.Fields(words)
		_, _, err := resolve(false, list...)
		if err = conf.About(list[0], err); err == nil || err.Error() != want {
			t.Errorf("%q: %v", words, err)
		}
	}
	_, _, err := resolve(false, "client-sigalgs", "ECDSA+SHA256")
	if err == nil || !strings.Contains(err.Error(), "cannot refuse signatures of a peer by PSSWithSHA256") {
		t.Errorf("client-sigalgs: %v", err)
	}
	for _, word := range []string{"ecdhe", "prefer-client-ciphers"} {
		if _, _, err := resolve(true, word, "P-256"); err == nil {
			t.Errorf("%s on a server line", word)
		}
	}
}

// Mozilla's recommendations load, and only say what is left out.
func TestRecommended(t *testing.T) {
	const (
		intermediate = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
		dhe          = ":DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
		tls13        = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
	)
	p, warned, err := resolve(false, "ciphers", intermediate, "ciphersuites", tls13, "curves", "X25519:prime256v1:secp384r1", "prefer-client-ciphers", "ssl-min-ver", "TLSv1.2", "no-tls-tickets")
	if err != nil || warned != "" {
		t.Fatalf("%v, warned %q", err, warned)
	}
	if !slices.Equal(p.CipherSuites, preferred[:6]) || !p.NoTickets || !slices.Equal(p.Curves, []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}) {
		t.Errorf("%+v", p)
	}
	var cfg tls.Config
	p.Apply(&cfg)
	if cfg.MinVersion != tls.VersionTLS12 || !cfg.SessionTicketsDisabled || len(cfg.CipherSuites) != 6 || len(cfg.CurvePreferences) != 3 {
		t.Errorf("not applied")
	}
	p, warned, err = resolve(false, "ciphers", intermediate+dhe)
	if err != nil || len(p.CipherSuites) != 6 || warned != "ciphers that Go's crypto/tls does not have, or holds for broken, are left out: DHE-RSA-AES128-GCM-SHA256, DHE-RSA-AES256-GCM-SHA384, DHE-RSA-CHACHA20-POLY1305." {
		t.Errorf("%v, warned %q", err, warned)
	}
	if p, warned, err = resolve(false, "ciphers", systemWide); err != nil || warned != "" || p.CipherSuites != nil {
		t.Errorf("%v, warned %q", err, warned)
	}
}

func TestWarnings(t *testing.T) {
	for words, want := range map[string]string{
		"ciphers ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256":                                                "the order of the ciphers",
		"ciphersuites TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256":                        "the order of the TLS 1.3 cipher suites",
		"ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256": "left out: TLS_AES_128_CCM_SHA256",
		"curves X448:X25519":                    "left out: X448",
		"curves secp384r1:X25519":               "the order of the curves",
		"sigalgs rsa_pss_pss_sha256:RSA+SHA256": "left out: rsa_pss_pss_sha256",
	} {
		if _, warned, err := resolve(false, strings.Fields(words)...); err != nil || !strings.Contains(warned, want) {
			t.Errorf("%q: %v, warned %q", words, err, warned)
		}
	}
	// Suites of TLS 1.3 are of no interest below it.
	if _, _, err := resolve(false, "ciphersuites", "TLS_AES_128_GCM_SHA256", "ssl-max-ver", "TLSv1.2"); err != nil {
		t.Error(err)
	}
	// As clients we leave the choice to the server: no order is lost.
	if _, warned, _ := resolve(true, "ciphers", "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"); warned != "" {
		t.Errorf("warned %q", warned)
	}
}

func TestSignatures(t *testing.T) {
	p, _, err := resolve(false, "sigalgs", "ECDSA+SHA256:rsa_pss_rsae_sha256:ECDSA+SHA256")
	if err != nil || !slices.Equal(p.Signatures, []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256}) {
		t.Errorf("%v, %v", p, err)
	}
	p, _, err = resolve(true, "client-sigalgs", "RSA+SHA512")
	if err != nil || !slices.Equal(p.Signatures, []tls.SignatureScheme{tls.PKCS1WithSHA512}) {
		t.Errorf("%v, %v", p, err)
	}
	var all []string
	for name, s := range signatureNames {
		if s != 0 {
			all = append(all, name)
		}
	}
	if _, _, err := resolve(false, "client-sigalgs", strings.Join(all, ":")); err != nil {
		t.Error(err)
	}
}

func TestMerge(t *testing.T) {
	defaults := Options{Min: tls.VersionTLS12, Ciphers: "HIGH", Curves: "X25519", Tickets: -1, Off: 1}
	o := Options{Ciphers: "AESGCM", ECDHE: "P-256", Tickets: 1, Max: tls.VersionTLS12}
	o.Merge(&defaults)
	if o != (Options{Min: tls.VersionTLS12, Max: tls.VersionTLS12, Ciphers: "AESGCM", ECDHE: "P-256", Tickets: 1, Off: 1}) {
		t.Errorf("%+v", o)
	}
}

// TestCipherListsBesideOpenSSL compares what lists select with the openssl
// command, for the suites that both have.
func TestCipherListsBesideOpenSSL(t *testing.T) {
	for _, list := range []string{
		"ALL", "DEFAULT", "HIGH", "HIGH:!aNULL:!MD5", "AES", "AES128", "AES256", "AESGCM", "ECDHE", "EECDH", "ECDH", "kECDHE", "RSA", "kRSA", "aRSA", "ECDSA", "aECDSA",
		"CHACHA20", "CBC", "SHA", "SHA1", "TLSv1.2", "TLSv1.0", "TLSv1", "SSLv3", "FIPS",
		"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM", "EECDH+aRSA+AESGCM", "EECDH+ECDSA+AESGCM:EECDH+aRSA+AESGCM:EECDH+ECDSA+SHA384:EECDH:EDH+aRSA:!aNULL:!eNULL:!LOW:!3DES:!MD5:!EXP:!PSK:!SRP:!DSS:!RC4",
		"HIGH:-kRSA", "HIGH:-kRSA:AES128-SHA", "HIGH:!kRSA:AES128-SHA", "ALL:+AES", "HIGH:!SHA1", "HIGH:DEFAULT", "foo:ECDHE-RSA-AES128-SHA", "HIGH !RSA", "HIGH,!ECDSA", "ALL:!AES:@STRENGTH",
		"HIGH:@SECLEVEL=1", "HIGH:@SECLEVEL=2", "ALL:!ECDHE-RSA-AES128-SHA:!CHACHA20",
	} {
		out, err := exec.Command("openssl", "ciphers", list).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl ciphers %q: %v, %s", list, err, out)
		}
		theirs := strings.Split(strings.TrimSpace(string(out)), ":")
		var want []uint16
		for _, id := range preferred {
			if slices.Contains(theirs, suites[id].name) {
				want = append(want, id)
			}
		}
		got, _, err := cipherList(list, false, func(string, ...any) {})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; openssl has %v", list, got, err, want)
		}
	}
}

// Every suite that can be chosen is one that crypto/tls really uses.
func TestSuitesWork(t *testing.T) {
	all := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	for _, id := range preferred {
		if suites[id].name == "" || !slices.ContainsFunc(all, func(s *tls.CipherSuite) bool { return s.ID == id }) {
			t.Errorf("%s", tls.CipherSuiteName(id))
		}
	}
	if len(suites) != len(preferred) {
		t.Error("tables differ")
	}
}

func FuzzCipherList(f *testing.F) {
	for _, s := range []string{"HIGH:!aNULL", "+:-:!", "@SECLEVEL=", "a+b+", ":::", "DEFAULT:!ALL"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, _, err := cipherList(s, false, func(string, ...any) {})
		if err == nil && len(list) == 0 && s != systemWide {
			t.Error("an empty list")
		}
	})
}
