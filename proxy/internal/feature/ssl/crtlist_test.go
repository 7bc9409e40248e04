package ssl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

func TestCrtListLines(t *testing.T) {
	d := &Defaults{CrtBase: "/certs", CABase: "/cas"}
	for _, x := range []struct{ text, want string }{
		{"a.pem", "/certs/a.pem"},
		{"  a.pem\t", "/certs/a.pem"},
		{"/x/a.pem b.test !c.b.test *.d.test", "/x/a.pem b.test !c.b.test *.d.test"},
		{"@store/a x", "@store/a x"},
		{"a.pem [alpn h2] x", "/certs/a.pem [alpn h2] x"},
		{"a.pem [ alpn h2 ca-file ca.pem verify required ]", "/certs/a.pem [alpn h2 ca-file ca.pem verify required]"},
		{"a.pem[alpn h2]x", "/certs/a.pem [alpn h2] x"},
		{"a.pem []", "/certs/a.pem"},
		{"a.pem [] x", "/certs/a.pem x"},
		{"a.pem [ocsp-update on] x", "/certs/a.pem [ocsp-update on] x"},
		{"a.pem *", "/certs/a.pem *"},
		{"a.pem x # no comment", "/certs/a.pem x # no comment"},
		{"", ""},
		{" \t", ""},
		{" # a.pem", ""},

		{"a.pem [foo] x", "error: unknown ssl keyword foo"},
		{"a.pem [ssl] x", "error: unknown ssl keyword ssl"},
		{"a.pem [no-tls-tickets] x", "error: unknown ssl keyword no-tls-tickets"},
		{"a.pem [alpn] x", "error: ssl args out of '[]' for alpn"},
		{"a.pem [verify required ca-file] x", "error: ssl args out of '[]' for ca-file"},
		{"a.pem [verify never] x", "error: 'verify' : unknown verify method 'never', only 'none', 'optional', and 'required' are supported"},
		{"a.pem [ssl-min-ver x] x", "error: 'x' : unknown ssl/tls version"},
		{"a.pem [npn h2] x", "error: 'npn' : NPN is not available: ALPN has replaced it, use 'alpn'"},
		{"a.pem [allow-0rtt] x", "error: 'allow-0rtt' : early data is not available: Go's crypto/tls has none"},
		{"a.pem [acme LE] x", "error: 'acme' is not available: certificates are not ordered from an authority by the proxy itself"},
		{"a.pem [ocsp-update maybe] x", "error: 'ocsp-update' expects 'on' or 'off', found 'maybe'"},
		{"a.pem ] x", "error: missing '['"},
		{"a.pem [alpn h2 x", "error: missing ']'"},
		{"a.pem [[alpn h2]]", "error: too many '['"},
		{"a.pem [alpn h2]]", "error: too many ']'"},
		{"[alpn h2] a.pem", "error: file must start with a cert"},
		{"a.pem x [alpn h2]", "error: malformated line, filters can't be between filename and options!"},
		{"a.pem" + strings.Repeat(" x", maxListWords), "error: too many args"},
	} {
		l, err := ParseCrtLine(x.text, d)
		got := ""
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case l != nil:
			got = l.String()
		}
		if got != x.want {
			t.Errorf("%.60q: %s, want %s", x.text, got, x.want)
		}
	}
}

func TestCrtListSettings(t *testing.T) {
	l, err := ParseCrtLine("a.pem [key a.key ocsp a.ocsp ca-file ca.pem verify optional no-alpn no-ca-names ssl-min-ver TLSv1.3 curves X25519]", &Defaults{CrtBase: "/certs", CABase: "/cas"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Files.Cert != "/certs/a.pem" || l.Files.Key != "/certs/a.key" || l.Files.OCSP != "/certs/a.ocsp" || l.Files.SCTL != "" {
		t.Errorf("files: %+v", l.Files)
	}
	s := l.Set
	if s.CAFile != "/cas/ca.pem" || s.Verify != VerifyOptional || !s.ALPNSaid || s.ALPN != nil || !s.NoCANames || s.Min != 0x0304 || s.Curves != "X25519" {
		t.Errorf("settings: %+v", s)
	}
}

// TestCrtListKeywords looks the words up in the registry, in HAProxy's layout.
func TestCrtListKeywords(t *testing.T) {
	var b strings.Builder
	if err := conf.DumpKeywords(&b, "cfg"); err != nil {
		t.Fatal(err)
	}
	want := "\ncrt-list\n\tallow-0rtt\n\talpn +1\n\tca-file +1\n\tca-verify-file +1\n\tciphers +1\n\tciphersuites +1\n\tclient-sigalgs +1\n\tcrl-file +1\n" +
		"\tcurves +1\n\tecdhe +1\n\tktls +1\n\tno-alpn\n\tno-ca-names\n\tnpn +1\n\tsigalgs +1\n\tssl-max-ver +1\n\tssl-min-ver +1\n\tverify +1\ncrt-store\n"
	if !strings.Contains(b.String(), want) {
		_, got, _ := strings.Cut(b.String(), "\ncrt-list\n")
		t.Errorf("the registry has %q", got)
	}
}

func TestCrtListErrorsTellTheLine(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"a.pem\n\n# c\nb.pem [x]\n", "parsing [l.txt:4]: unknown ssl keyword x"},
		{"a.pem\nb.pem", "parsing [l.txt:2]: Missing LF on last line, file might have been truncated at position 6"},
		{"a.pem\x00\n", "parsing [l.txt:1]: stray NUL character at position 6"},
		{strings.Repeat("x", maxListLine+1) + "\n", "parsing [l.txt:1]: line too long, limit is 65536 characters"},
	} {
		if _, err := ParseCrtList("l.txt", []byte(x.text), &Defaults{}); err == nil || err.Error() != x.want {
			t.Errorf("%.40q: %v, want %s", x.text, err, x.want)
		}
	}
	list, err := ParseCrtList("l.txt", []byte("\na.pem x\n#\nb.pem\n"), &Defaults{})
	if err != nil || len(list) != 2 || list[0].Number != 2 || list[1].Number != 4 {
		t.Errorf("%v, %v", list, err)
	}
}

// FuzzCrtList reads anything; what it takes must read the same when it is written
// down again.
func FuzzCrtList(f *testing.F) {
	seeds, err := filepath.Glob("testdata/crtlists/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	d := &Defaults{}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseCrtList("f", data, d)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "parsing [f:") {
				t.Errorf("the error does not tell where: %v", err)
			}
			return
		}
		for _, l := range list {
			again, err := ParseCrtLine(l.String(), d)
			if err != nil || again == nil {
				t.Fatalf("%q was read, and %q not: %v", data, l, err)
			}
			if again.String() != l.String() || again.OCSPUpdate != l.OCSPUpdate || again.Files != l.Files || (again.Set == nil) != (l.Set == nil) {
				t.Errorf("%q reads as %q", l, again)
			}
			for _, n := range append([]string{l.Name}, l.Filters...) {
				if n == "" || strings.ContainsAny(n, " \t\n[]") {
					t.Errorf("a name %q", n)
				}
			}
		}
	})
}
