package ssl_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

const runtimeHead = "global\n crt-base DIR\n ca-base DIR\n stats socket DIR/admin level admin\n stats socket DIR/operator level operator\n stats socket DIR/user level user\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n"

// at gives the answer of one of the Runtime sockets.
func (f *front) at(t *testing.T, socket, line string) string {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(f.dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return strings.TrimSpace(bed.Talk(t, c.(*net.UnixConn), line+"\n"))
}

func TestShowSNI(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	now := time.Now()
	from, soon, late := now.Add(-time.Hour), now.Add(20*24*time.Hour), now.Add(90*24*time.Hour)
	valid := func(until time.Time) certtest.Option { return certtest.Valid(from, until) }
	text := runtimeHead + "crt-store s\n load crt DIR/c.pem alias third\nfrontend one\n bind DIR/a ssl crt-list DIR/list\n bind DIR/b ssl strict-sni crt b.pem\nfrontend two\n bind DIR/c ssl crt @s/third default-crt ed.pem\n bind DIR/d ssl strict-sni default-crt ed.pem\n bind DIR/clear\n"
	f := newFront(t, map[string][]byte{
		"a.pem":  ca.Issue(t, "a.test", valid(late), certtest.Names("a.test", "www.a.test")).PEM(t),
		"b.pem":  ca.Issue(t, "b.test", valid(soon), certtest.RSA(2048)).PEM(t),
		"c.pem":  ca.Issue(t, "c.test", valid(from.Add(time.Minute))).PEM(t),
		"ed.pem": ca.Issue(t, "ed.test", valid(late), certtest.Ed25519()).PEM(t),
		"list":   []byte("a.pem\nb.pem *.ex.lan !m1.ex.lan !m2.ex.lan exact.lan\nc.pem *\n"),
	}, text)
	end := func(at time.Time) string {
		return at.UTC().Format("Jan _2 15:04:05 2006 GMT") + "\t" + from.UTC().Format("Jan _2 15:04:05 2006 GMT")
	}
	const head = "# Frontend/Bind\tSNI\tNegative Filter\tType\tFilename\tNotAfter\tNotBefore"
	gone := end(from.Add(time.Minute))
	a := []string{
		"one/t.cfg:15\t*\t-\tecdsa\tDIR/a.pem\t" + end(late),
		"one/t.cfg:15\t*\t-\tecdsa\tDIR/c.pem\t" + gone,
		"one/t.cfg:15\t*.ex.lan\t!m1.ex.lan !m2.ex.lan\trsa\tDIR/b.pem\t" + end(soon),
		"one/t.cfg:15\ta.test\t-\tecdsa\tDIR/a.pem\t" + end(late),
		"one/t.cfg:15\texact.lan\t-\trsa\tDIR/b.pem\t" + end(soon),
		"one/t.cfg:15\twww.a.test\t-\tecdsa\tDIR/a.pem\t" + end(late),
	}
	b := []string{"one/t.cfg:16\tb.test\t-\trsa\tDIR/b.pem\t" + end(soon)}
	// the first certificate is a default one, too
	c := []string{
		"two/t.cfg:18\t*\t-\tecdsa\t@s/third\t" + gone,
		"two/t.cfg:18\t*\t-\ted25519\tDIR/ed.pem\t" + end(late),
		"two/t.cfg:18\tc.test\t-\tecdsa\t@s/third\t" + gone,
		"two/t.cfg:18\ted.test\t-\ted25519\tDIR/ed.pem\t" + end(late),
		"two/t.cfg:19\ted.test\t-\ted25519\tDIR/ed.pem\t" + end(late),
	}
	for _, x := range []struct {
		args string
		want []string
	}{
		{"", slices.Concat(a, b, c)},
		{" -f one", slices.Concat(a, b)},
		{" -f two", c},
		{" -A", []string{a[1], c[0], c[2]}},
		{" -A -f two", []string{c[0], c[2]}},
		{" -A -t 30d", []string{a[1], a[2], a[4], b[0], c[0], c[2]}},
		{" -t 30d -A -f one", []string{a[1], a[2], a[4], b[0]}},
		{" -A -t 2000000", []string{a[1], a[2], a[4], b[0], c[0], c[2]}},
		{" -A -t 1000000", []string{a[1], c[0], c[2]}},
	} {
		got := strings.Split(strings.ReplaceAll(f.command(t, "show ssl sni"+x.args), f.dir, "DIR"), "\n")
		if got[0] != head {
			t.Errorf("%q", got[0])
		}
		lines := got[1:]
		slices.Sort(lines)
		if !slices.Equal(lines, x.want) {
			t.Errorf("show ssl sni%s:\n%s\nwant:\n%s", x.args, strings.Join(lines, "\n"), strings.Join(x.want, "\n"))
		}
	}
	for args, want := range map[string]string{
		"-f": "'-f' expects a value.", "-t": "'-t' expects a value.", "-f three": "No such frontend.", "-t x": "'-t' expects a time, found 'x'.",
		"-x": "'show ssl sni' only takes '-f <frontend>', '-A' and '-t <offset>'.",
	} {
		if got := f.command(t, "show ssl sni "+args); got != want {
			t.Errorf("show ssl sni %s: %q, want %q", args, got, want)
		}
	}
}

// What HAProxy 2.6 has not, or does otherwise than later versions.
func TestCommandsOfTheManual(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	between := ca.CA(t, "between")
	a, b := between.Issue(t, "a.test"), ca.Issue(t, "b.test", certtest.RSA(2048))
	text := runtimeHead + "frontend f\n bind DIR/f ssl crt-list DIR/list ca-file ca.pem verify optional\n bind DIR/g ssl crt b.pem\n" + answers
	f := newFront(t, map[string][]byte{"a.pem": a.PEM(t), "b.pem": b.PEM(t), "c.pem.rsa": b.PEM(t), "c.pem.ecdsa": a.PEM(t), "ca.pem": ca.CertPEM(), "list": []byte("a.pem\nc.pem *.c.test\n")}, text)
	payload := func(command string, data ...[]byte) string {
		return command + " <<\n" + strings.TrimSuffix(string(bytes.Join(data, nil)), "\n") + "\n"
	}
	b64 := func(data []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(data)) }
	for _, x := range []struct{ command, want string }{
		// one certificate after the other
		{payload("add ssl ca-file DIR/ca.pem", between.CertPEM()), "transaction created for CA DIR/ca.pem!"},
		{"show ssl ca-file", "# transaction\n*DIR/ca.pem - 2 certificate(s)\n# filename\nDIR/ca.pem - 1 certificate(s)"},
		{payload("add ssl ca-file DIR/ca.pem", ca.CertPEM(), ca.CertPEM()), "transaction updated for CA DIR/ca.pem!"},
		{"commit ssl ca-file DIR/ca.pem", "Committing DIR/ca.pem.\nSuccess!"},
		{"show ssl ca-file", "# filename\nDIR/ca.pem - 4 certificate(s)"},
		{payload("add ssl ca-file x", ca.CertPEM()), "Can't replace a CA file which is not referenced by the configuration!\nCan't update x!"},
		{payload("add ssl ca-file DIR/ca.pem", []byte("junk")), "Invalid payload\nCan't update DIR/ca.pem!"},
		{"add ssl ca-file DIR/ca.pem", "'add ssl ca-file expects a filename and CAs as a payload"},
		{"new ssl ca-file more", "New CA file created 'more'!"},
		{payload("add ssl ca-file more", ca.CertPEM()), "transaction created for CA more!"},
		{"commit ssl ca-file more", "Committing more\nSuccess!"},
		{"show ssl ca-file", "# filename\nDIR/ca.pem - 4 certificate(s)\nmore - 1 certificate(s)"},

		// one transaction at a time, of each kind
		{payload("set ssl cert DIR/a.pem", a.PEM(t)), "Transaction created for certificate DIR/a.pem!"},
		{payload("set ssl cert DIR/b.pem", b.PEM(t)), "The ongoing transaction is about 'DIR/a.pem' but you are trying to set 'DIR/b.pem'\nCan't update DIR/b.pem!"},
		{payload("set ssl cert DIR/a.pem.ocsp", []byte("!")), "Error reading OCSP response in base64 format\nCan't load the payload\nCan't update DIR/a.pem.ocsp!"},
		{payload("set ssl cert DIR/a.pem.ocsp", b64([]byte("junk"))), "Unable to parse OCSP response.\nCan't load the payload\nCan't update DIR/a.pem.ocsp!"},
		{payload("set ssl cert DIR/a.pem.sctl", []byte("junk")), "unable to load the SCT list from file 'DIR/a.pem'.\nCan't load the payload\nCan't update DIR/a.pem.sctl!"},
		{payload("set ssl cert DIR/a.pem.key", []byte("junk")), "unable to load private key from file 'DIR/a.pem'.\nCan't load the payload\nCan't update DIR/a.pem.key!"},
		{payload("set ssl cert DIR/a.pem.key", b.KeyPEM(t)), "Transaction updated for certificate DIR/a.pem!"},
		{"commit ssl cert DIR/a.pem", "inconsistencies between private key and certificate loaded 'DIR/a.pem'.\nCan't commit DIR/a.pem!"},
		{"abort ssl cert DIR/a.pem", "Transaction aborted for certificate 'DIR/a.pem'!"},

		// with key and chain
		{"dump ssl cert", "'dump ssl cert' expects a certificate name"},
		{"dump ssl cert x", "Can't display the certificate: Not found or the certificate is a bundle!"},
		{"dump ssl cert *DIR/b.pem", "Can't display the certificate: Not found or the certificate is a bundle!"},
		{"dump ssl cert DIR/a.pem", strings.TrimSpace(string(a.KeyPEM(t)) + string(a.CertPEM()) + string(a.ChainPEM()))},
		{"new ssl cert DIR/empty", "New empty certificate store 'DIR/empty'!"},
		{"dump ssl cert DIR/empty", ""},
		{payload("set ssl cert DIR/empty", b.PEM(t)), "Transaction created for certificate DIR/empty!"},
		{"dump ssl cert *DIR/empty", strings.TrimSpace(string(b.KeyPEM(t)) + string(b.CertPEM()))},
		{"commit ssl cert DIR/empty", "Committing DIR/empty\nSuccess!"},

		// bundles, lists
		{"show ssl crt-list -n DIR/list", "# DIR/list\nDIR/a.pem:1\nDIR/c.pem.rsa:2 *.c.test\nDIR/c.pem.ecdsa:2 *.c.test"},
		{payload("add ssl crt-list DIR/list", []byte("empty [alpn h2 x")), "Can't edit the crt-list: parsing [CLI:1]: missing ']'"},
		{payload("add ssl crt-list DIR/list", []byte("empty [ca-file none verify optional] x")), "Can't edit the crt-list: parsing [CLI:1]: 'ca-file' : unable to load DIR/none"},
		{payload("add ssl crt-list DIR/list", []byte("empty [ca-file more verify optional] x")), "Can't edit the crt-list: parsing [CLI:1]: 'ca-file' : unable to load DIR/more"},
		{payload("add ssl crt-list DIR/list", []byte("empty [ca-file ca.pem verify optional] x.test")), "Inserting certificate 'DIR/empty' in crt-list 'DIR/list'.\nSuccess!"},
		{"show ssl crt-list DIR/list", "# DIR/list\nDIR/a.pem\nDIR/c.pem.rsa *.c.test\nDIR/c.pem.ecdsa *.c.test\nDIR/empty [ca-file ca.pem verify optional] x.test"},
		{"show ssl providers", "Loaded providers : \n\t- default"},
	} {
		command := strings.ReplaceAll(x.command, "DIR", f.dir)
		if got := strings.ReplaceAll(f.command(t, command), f.dir, "DIR"); got != x.want {
			t.Errorf("%s:\n%q\nwant:\n%q", strings.SplitN(x.command, "\n", 2)[0], got, x.want)
		}
	}
	if got := f.served(t, "f", "x.test"); got != "b.test" {
		t.Errorf("what was added is not served: %s", got)
	}
	// What was dumped can be loaded.
	p, err := certs.Parse([]byte(f.command(t, "dump ssl cert "+f.dir+"/a.pem") + "\n"))
	if err != nil || !p.Leaf.Equal(a.Cert) || p.Check() != nil || len(p.Chain) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A line that is refused leaves nothing behind, nor does a certificate that is gone.
func TestUpdatesAreForgotten(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "list": []byte("a.pem\n")}, runtimeHead+"frontend f\n bind DIR/f ssl crt-list DIR/list\n"+answers)
	b := string(ca.Issue(t, "b.test").PEM(t))
	for _, x := range []struct{ command, want string }{
		{"new ssl cert DIR/b.pem", "New empty certificate store 'DIR/b.pem'!"},
		{"set ssl cert DIR/b.pem <<\n" + b, "Transaction created for certificate DIR/b.pem!"},
		{"commit ssl cert DIR/b.pem", "Committing DIR/b.pem\nSuccess!"},
		{"add ssl crt-list DIR/list <<\nb.pem [verify required ocsp-update on]\n", "Can't edit the crt-list: Proxy 'f': verify is enabled but no CA file specified for bind 'DIR/f' at [t.cfg:13]."},
		{"add ssl crt-list DIR/list <<\nb.pem [ocsp-update off]\n", "Inserting certificate 'DIR/b.pem' in crt-list 'DIR/list'.\nSuccess!"},
		{"add ssl crt-list DIR/list <<\nb.pem [ocsp-update on]\n", "Can't edit the crt-list: Incompatibilities found in OCSP update mode for certificate DIR/b.pem"},
		{"del ssl crt-list DIR/list DIR/b.pem", "Entry 'DIR/b.pem' deleted in crtlist 'DIR/list'!"},
		{"del ssl cert DIR/b.pem", "Certificate 'DIR/b.pem' deleted!"},
		{"new ssl cert DIR/b.pem", "New empty certificate store 'DIR/b.pem'!"},
		{"set ssl cert DIR/b.pem <<\n" + b, "Transaction created for certificate DIR/b.pem!"},
		{"commit ssl cert DIR/b.pem", "Committing DIR/b.pem\nSuccess!"},
		{"add ssl crt-list DIR/list <<\nb.pem [ocsp-update on]\n", "Inserting certificate 'DIR/b.pem' in crt-list 'DIR/list'.\nSuccess!"},
	} {
		if got := strings.ReplaceAll(f.command(t, strings.ReplaceAll(x.command, "DIR", f.dir)), f.dir, "DIR"); got != x.want {
			t.Errorf("%s: %q, want %q", strings.SplitN(x.command, "\n", 2)[0], got, x.want)
		}
	}
}

// Secrets are for those who may have them, and one command at a time changes what
// there is.
func TestCommandsAreGuarded(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	keys := strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 48))+"\n", 3)
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "list": []byte("a.pem\n"), "keys": []byte(keys)},
		strings.Replace(runtimeHead, "defaults\n", " stats socket DIR/exposed level admin expose-fd listeners\ndefaults\n", 1)+"frontend f\n bind DIR/f ssl crt-list DIR/list tls-ticket-keys DIR/keys\n bind DIR/n ssl crt a.pem no-tls-tickets\n"+answers)
	for command, least := range map[string]string{
		"dump ssl cert x": "admin", "set ssl cert x": "admin", "new ssl cert x": "admin", "commit ssl cert x": "admin", "abort ssl cert x": "admin", "del ssl cert x": "admin",
		"add ssl ca-file x": "admin", "set ssl ca-file x": "admin", "set ssl crl-file x": "admin", "add ssl crt-list x y": "admin", "del ssl crt-list x y": "admin", "set ssl tls-key x y": "admin",
		"_getsessions": "admin", "show ssl cert": "operator", "show ssl ca-file": "operator", "show ssl crl-file": "operator", "show ssl sni": "operator", "show tls-keys *": "operator", "set ssl ocsp-response x": "operator", "update ssl ocsp-response x": "operator",
		"show tls-keys": "user", "show ssl providers": "user", "show ssl ocsp-response": "user", "show ssl ocsp-updates": "user",
	} {
		allowed := false
		for _, level := range []string{"user", "operator", "admin"} {
			allowed = allowed || level == least
			if got := f.at(t, level, command); (got == "Permission denied") == allowed {
				t.Errorf("%s at level %s: %q", command, level, got)
			}
		}
	}

	// Sessions are for a master.
	cfg := &tls.Config{ServerName: "a.test", MinVersion: tls.VersionTLS13, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	if _, err := f.shake(t, "n", cfg); err != nil {
		t.Fatal(err)
	}
	if got := f.command(t, "_getsessions"); got != "" {
		t.Errorf("%s: %q", "_getsessions", got)
	}
	if got := f.at(t, "exposed", "_getsessions"); got == "" {
		t.Errorf("%s: nothing", "_getsessions")
	}

	if !f.store().TryLock() {
		t.Fatal("locked")
	}
	defer f.store().Unlock()
	for command, what := range map[string]string{
		"new ssl cert x": "create the certificate", "set ssl cert x <<\ny\n": "update the certificate", "commit ssl cert x": "commit the certificate", "abort ssl cert x": "abort the certificate", "del ssl cert x": "delete the certificate",
		"new ssl ca-file x": "create the CA file", "commit ssl crl-file x": "commit the CRL file", "add ssl crt-list x y": "edit the crt-list", "del ssl crt-list x y": "delete",
	} {
		if got, want := f.command(t, command), "Can't "+what+"!\nOperations on certificates are currently locked!"; got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

// Thousands of certificates are listed to a client that reads slowly, while others
// are served.
func TestThousandsOfCertificates(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	const n = 5000
	one := ca.Issue(t, "a.test", certtest.Names("a.test", "b.test"))
	block, _ := pem.Decode(one.CertPEM())
	p, err := certs.Parse(one.PEM(t))
	if err != nil || !bytes.Equal(p.Leaf.Raw, block.Bytes) {
		t.Fatal(err)
	}
	var list strings.Builder
	list.WriteString("a.pem\n")
	for i := range n {
		fmt.Fprintf(&list, "a.pem name%d.test\n", i)
	}
	f := newFront(t, map[string][]byte{"a.pem": one.PEM(t), "list": []byte(list.String())}, runtimeHead+"frontend f\n bind DIR/f ssl crt-list DIR/list\n"+answers)
	for i := range n {
		if _, err := f.store().Certs.New(fmt.Sprintf("/etc/forebay/certificates/of/customer-%05d.pem", i), p); err != nil {
			t.Fatal(err)
		}
	}
	for command, want := range map[string]int{"show ssl cert": n + 2, "show ssl crt-list -n " + f.dir + "/list": n + 2, "show ssl sni": n + 4} {
		c, err := net.Dial("unix", filepath.Join(f.dir, "admin"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintln(c, command)
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil {
			t.Fatal(err)
		}
		// The rest waits; both threads go on with others.
		for range 4 {
			if got := f.served(t, "f", "name77.test"); got != "a.test" {
				t.Error(got)
			}
			if got := f.command(t, "show ssl crt-list"); got != f.dir+"/list" {
				t.Error(got)
			}
		}
		rest, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(bytes.TrimSpace(rest), []byte("\n")) + 1; got != want {
			t.Errorf("%s: %d lines, want %d", command, got, want)
		}
	}
}

// A rate that was set stays until the configuration says something new about it.
func TestRateLimitStays(t *testing.T) {
	text := strings.Replace(runtimeHead, "global\n", "global\n maxsslrate 100\n", 1) + "frontend f\n bind DIR/f ssl crt a.pem\n" + answers
	f := newFront(t, map[string][]byte{"a.pem": certtest.NewCA(t, "ca").Issue(t, "a.test").PEM(t)}, text)
	expect := func(when, want string) {
		t.Helper()
		if got := f.command(t, "show info"); !strings.Contains(got, "\nSslRateLimit: "+want+"\n") {
			t.Errorf("%s: %q", when, got)
		}
	}
	expect("at the start", "100")
	f.command(t, "set rate-limit ssl-sessions global 7")
	expect("set", "7")
	f.apply(t, strings.Replace(text, "mode http", "mode http\n maxconn 77", 1))
	expect("applied", "7")
	f.apply(t, strings.Replace(text, "maxsslrate 100", "maxsslrate 200", 1))
	expect("applied with another rate", "200")
}

// The commands of the manual page are taken as they stand there.
func TestManualPageCommands(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	shop := ca.Issue(t, "shop.test")
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "sites.list": []byte("a.pem\n")}, runtimeHead+"frontend f\n bind DIR/f ssl crt-list DIR/sites.list\n"+answers)
	for line := range strings.Lines(example(t, "## Runtime commands")) {
		line = strings.TrimSpace(strings.ReplaceAll(line, "/etc/forebay", f.dir))
		if line == "" {
			continue
		}
		if strings.HasSuffix(line, "<<") {
			line += "\n" + string(shop.PEM(t))
		}
		got := f.command(t, line)
		if got == "" || strings.Contains(got, "Can't") || strings.Contains(got, "expects") || strings.Contains(got, "Unknown") {
			t.Errorf("%s: %q", line, got)
		}
		if strings.HasPrefix(line, "add ssl crt-list") && f.served(t, "f", "shop.test") != "shop.test" {
			t.Error("what was added is not served")
		}
	}
	if got := f.served(t, "f", "shop.test"); got != "a.test" {
		t.Errorf("what was taken away is served: %s", got)
	}
}
