package ssl_test

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestCommandsLikeHAProxy gives the same commands to both programs, which have read
// the same files, and compares the replies.
func TestCommandsLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "Rööt, CA/a+b")
	ca := root.CA(t, "bétween")
	rsa := certtest.RSA(2048)
	a, b := ca.Issue(t, "a.test", certtest.Names("a.test", "*.a.test", "127.0.0.1"), certtest.Serial(0x1000)), ca.Issue(t, "b.test", rsa)
	stapled, stapled2 := root.Issue(t, "stapled.test", certtest.Serial(77)), root.Issue(t, "stapled2.test", certtest.Serial(78))
	other := certtest.NewCA(t, "other")
	write := func(name string, data []byte) string { return certtest.Write(t, dir, name, data) }
	write("a.pem", a.PEM(t))
	write("b.pem", b.PEM(t))
	write("c.pem", root.Issue(t, "c.test", certtest.Serial(5)).PEM(t))
	write("d.pem", root.Issue(t, "d.test").PEM(t))
	write("stapled.pem", stapled.PEM(t))
	write("stapled.pem.issuer", root.CertPEM())
	write("stapled.pem.ocsp", stapled.OCSP(t))
	write("folder/one.pem", root.Issue(t, "one.test").PEM(t))
	write("folder/two.pem", root.Issue(t, "two.test").PEM(t))
	write("list", []byte("# a comment\na.pem\nb.pem [ssl-min-ver TLSv1.2] filtered.test !not.filtered.test\nb.pem\nd.pem *.test\n"))
	write("default", []byte("c.pem\nd.pem\n"))
	clients := write("clients.crt", append(root.CertPEM(), other.CertPEM()...))
	write("revoked.crl", append(root.CRL(t, a, b), other.CRL(t)...))
	keys := make([]byte, 48)
	b64 := func(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
	write("keys", []byte(strings.Repeat(b64(keys)+"\n", 3)))
	sides := oracle.Run(t, strings.ReplaceAll(`global
 stats socket {cli} level admin
 stats socket {user} level user
 crt-base DIR
 ca-base DIR
 ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
 mode http
 timeout connect 20s
 timeout server 20s
 timeout client 20s
frontend f
 bind {f} ssl crt-list DIR/list
 bind {g} ssl crt stapled.pem crt folder strict-sni
 bind {h} ssl crt-list DIR/list verify optional ca-file clients.crt crl-file revoked.crl tls-ticket-keys DIR/keys
 bind {i} ssl crt-list DIR/default
 http-request return status 200
frontend ready
 bind {ready}
 http-request return status 200
`, "DIR", dir))

	p := func(name string) string { return dir + "/" + name }
	payload := func(command string, data []byte) string {
		return command + " <<\n" + strings.TrimRight(string(data), "\n") + "\n"
	}
	next := root.Issue(t, "a.test", certtest.Serial(0x2000), rsa)
	fresh, fresh2 := root.Issue(t, "fresh.test"), root.Issue(t, "fresh2.test", certtest.Ed25519())
	soon := stapled.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(48 * time.Hour) })
	id := "%ID%"
	junk := []byte("junk")
	type step struct{ name, command string }
	var steps []step
	say := func(commands ...string) {
		for _, c := range commands {
			steps = append(steps, step{fmt.Sprintf("%d: %q", len(steps), strings.SplitN(c, "\n", 2)[0]), c})
		}
	}

	// certificates
	say("show ssl cert", "show ssl cert "+p("a.pem"), "show ssl cert "+p("b.pem"), "show ssl cert "+p("stapled.pem"), "show ssl cert "+p("folder/one.pem"),
		"show ssl cert x", "show ssl cert *"+p("a.pem"), `show ssl cert \*`,
		"set ssl cert", "set ssl cert "+p("a.pem"), "set ssl cert x y", "new ssl cert", "commit ssl cert", "abort ssl cert", "del ssl cert",
		"commit ssl cert x", "abort ssl cert x", "del ssl cert x", "del ssl cert "+p("a.pem"), "new ssl cert "+p("a.pem"),
		payload("set ssl cert x", next.PEM(t)), payload("set ssl cert "+p("a.pem"), junk),
		payload("set ssl cert "+p("a.pem"), next.PEM(t)), "show ssl cert", "show ssl cert *"+p("a.pem"), "show ssl cert "+p("a.pem"),
		"commit ssl cert "+p("b.pem"), "abort ssl cert "+p("b.pem"), "del ssl cert "+p("a.pem"),
		payload("set ssl cert "+p("a.pem"), a.PEM(t)), "abort ssl cert "+p("a.pem"), "commit ssl cert "+p("a.pem"), "show ssl cert",
		payload("set ssl cert "+p("a.pem"), next.PEM(t)), "commit ssl cert "+p("a.pem"), "show ssl cert "+p("a.pem"),
		payload("set ssl cert "+p("a.pem"), a.PEM(t)), "commit ssl cert "+p("a.pem"),
		payload("set ssl cert "+p("a.pem"), a.CertPEM()), payload("set ssl cert "+p("a.pem.key"), next.KeyPEM(t)), "commit ssl cert "+p("a.pem"), "abort ssl cert "+p("a.pem"),
		payload("set ssl cert "+p("a.pem"), a.KeyPEM(t)), "commit ssl cert "+p("a.pem"), "abort ssl cert "+p("a.pem"),
		payload("set ssl cert "+p("a.pem.issuer"), junk), payload("set ssl cert "+p("a.pem.nothing"), a.PEM(t)),
		"new ssl cert "+p("fresh.pem"), "new ssl cert "+p("fresh.pem"), "show ssl cert", "show ssl cert "+p("fresh.pem"), "commit ssl cert "+p("fresh.pem"),
		payload("set ssl cert "+p("fresh.pem"), fresh.PEM(t)), "show ssl cert *"+p("fresh.pem"), "show ssl cert "+p("fresh.pem"),
		"commit ssl cert "+p("fresh.pem"), "show ssl cert "+p("fresh.pem"))
	// lists
	say("show ssl crt-list", "show ssl crt-list x", "show ssl crt-list "+p("list"), "show ssl crt-list -n "+p("list"), "show ssl crt-list -n", "show ssl crt-list "+p("folder"), "show ssl crt-list -n "+p("folder/"),
		"show ssl crt-list "+p("default"), "add ssl crt-list", "add ssl crt-list x", "add ssl crt-list x y", "add ssl crt-list "+p("list")+" x",
		"del ssl crt-list", "del ssl crt-list x", "del ssl crt-list x y", "del ssl crt-list "+p("list")+" x", "del ssl crt-list "+p("list")+" "+p("c.pem"),
		"del ssl crt-list "+p("default")+" "+p("c.pem"), "del ssl crt-list "+p("list")+" "+p("b.pem"), "del ssl crt-list "+p("list")+" "+p("b.pem")+":9",
		"del ssl crt-list "+p("list")+" "+p("b.pem")+":x", "del ssl crt-list "+p("list")+" "+p("b.pem")+":3", "show ssl crt-list -n "+p("list"),
		"add ssl crt-list "+p("list")+" "+p("fresh.pem"), "show ssl crt-list -n "+p("list"), "show ssl cert "+p("fresh.pem"), "del ssl cert "+p("fresh.pem"),
		payload("add ssl crt-list "+p("list"), []byte(p("fresh.pem")+" [alpn http/1.1 ssl-min-ver TLSv1.2] x.test !y.x.test")), "show ssl crt-list -n "+p("list"), "show ssl crt-list "+p("list"),
		payload("add ssl crt-list "+p("list"), []byte(p("fresh.pem")+"\n"+p("fresh.pem"))),
		payload("add ssl crt-list "+p("list"), []byte(p("fresh.pem")+" [nonsense]")),
		"add ssl crt-list "+p("folder")+" "+p("fresh.pem"), "new ssl cert "+p("folder/new.pem"), "add ssl crt-list "+p("folder")+" "+p("folder/new.pem"),
		payload("set ssl cert "+p("folder/new.pem"), fresh2.PEM(t)), "commit ssl cert "+p("folder/new.pem"), "add ssl crt-list "+p("folder")+"/ "+p("folder/new.pem"),
		"show ssl crt-list -n "+p("folder"), "del ssl crt-list "+p("folder")+" "+p("folder/new.pem"), "del ssl cert "+p("folder/new.pem"), "del ssl crt-list "+p("folder")+" "+p("folder/one.pem"), "show ssl crt-list "+p("folder"),
		"del ssl crt-list "+p("list")+" "+p("fresh.pem"), "del ssl crt-list "+p("list")+" "+p("fresh.pem")+":6", "del ssl crt-list "+p("list")+" "+p("fresh.pem"), "del ssl cert "+p("fresh.pem"), "show ssl cert "+p("fresh.pem"))
	say("new ssl cert relative.pem", payload("set ssl cert relative.pem", fresh.PEM(t)), "commit ssl cert relative.pem", "add ssl crt-list "+p("list")+" relative.pem", payload("add ssl crt-list "+p("list"), []byte("relative.pem *.test")), "show ssl crt-list "+p("list"),
		"add ssl crt-list "+p("list")+" c.pem", "del ssl crt-list "+p("list")+" c.pem", "del ssl crt-list "+p("list")+" relative.pem", "show ssl cert c.pem")
	// authorities
	say("show ssl ca-file "+clients, "show ssl ca-file "+clients+":1", "show ssl ca-file "+clients+":2", "show ssl ca-file "+clients+":3", "show ssl ca-file "+clients+":0",
		"show ssl ca-file "+clients+":x", "show ssl ca-file x", "show ssl ca-file *"+clients, "new ssl ca-file", "set ssl ca-file", "set ssl ca-file x", "commit ssl ca-file", "abort ssl ca-file", "del ssl ca-file",
		"commit ssl ca-file x", "abort ssl ca-file x", "del ssl ca-file x", "del ssl ca-file "+clients, "new ssl ca-file "+clients,
		payload("set ssl ca-file x", root.CertPEM()), payload("set ssl ca-file "+clients, junk), payload("set ssl ca-file "+clients, ca.CertPEM()), "show ssl ca-file *"+clients,
		payload("set ssl ca-file "+clients, append(root.CertPEM(), ca.CertPEM()...)), "show ssl ca-file *"+clients+":2", "new ssl ca-file "+p("new.crt"),
		payload("set ssl ca-file "+p("new.crt"), root.CertPEM()), "commit ssl ca-file "+p("new.crt"), "abort ssl ca-file "+p("new.crt"), "commit ssl ca-file "+clients, "show ssl ca-file "+clients,
		"abort ssl ca-file "+clients, "show ssl ca-file "+p("new.crt"), payload("set ssl ca-file "+p("new.crt"), root.CertPEM()), "del ssl ca-file "+p("new.crt"), "abort ssl ca-file "+p("new.crt"), "del ssl ca-file "+p("new.crt"))
	// revocation lists
	crl := p("revoked.crl")
	say("show ssl crl-file", "show ssl crl-file "+crl, "show ssl crl-file "+crl+":1", "show ssl crl-file "+crl+":2", "show ssl crl-file "+crl+":3", "show ssl crl-file "+crl+":x", "show ssl crl-file x", "show ssl crl-file *"+crl,
		"new ssl crl-file", "set ssl crl-file", "set ssl crl-file x", "commit ssl crl-file", "abort ssl crl-file", "del ssl crl-file", "commit ssl crl-file x", "abort ssl crl-file x", "del ssl crl-file x", "del ssl crl-file "+crl,
		"new ssl crl-file "+crl, payload("set ssl crl-file x", root.CRL(t)), payload("set ssl crl-file "+crl, junk), payload("set ssl crl-file "+crl, root.CRL(t)), "show ssl crl-file", "show ssl crl-file *"+crl,
		"new ssl crl-file "+p("new.crl"), payload("set ssl crl-file "+p("new.crl"), root.CRL(t)), "commit ssl crl-file "+p("new.crl"), "abort ssl crl-file "+p("new.crl"), "commit ssl crl-file "+crl, "show ssl crl-file "+crl, "del ssl crl-file "+p("new.crl"))
	// OCSP
	say("show ssl ocsp-response", "show ssl ocsp-response "+id, "show ssl ocsp-response x", "set ssl ocsp-response", "set ssl ocsp-response x", "set ssl ocsp-response "+b64(junk),
		"set ssl ocsp-response "+b64(stapled2.OCSP(t)), "set ssl ocsp-response "+b64(soon), payload("set ssl ocsp-response", []byte(b64(soon))), "show ssl ocsp-response "+id,
		"set ssl ocsp-response "+b64(stapled.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(-time.Hour) })),
		"set ssl ocsp-response "+b64(stapled.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = time.Time{} })),
		"set ssl ocsp-response "+b64(stapled.OCSP(t, func(r *ocsp.Response) { r.Status = ocsp.Unknown })),
		"set ssl ocsp-response "+b64(ocsp.TryLaterErrorResponse),
		"show ssl cert "+p("stapled.pem.ocsp"), "show ssl cert "+p("a.pem.ocsp"))
	// what belongs to a certificate stays when it is replaced
	renewed := root.Issue(t, "stapled.test", certtest.Serial(79))
	say(payload("set ssl cert "+p("stapled.pem"), stapled.PEM(t)), "show ssl cert *"+p("stapled.pem"), "show ssl cert *"+p("stapled.pem.ocsp"), "commit ssl cert "+p("stapled.pem"), "show ssl cert "+p("stapled.pem"), "show ssl cert "+p("stapled.pem.ocsp"),
		payload("set ssl cert "+p("stapled.pem"), renewed.PEM(t)), "show ssl cert *"+p("stapled.pem"), "commit ssl cert "+p("stapled.pem"), "show ssl cert "+p("stapled.pem"), "show ssl cert "+p("stapled.pem.ocsp"), "show ssl ocsp-response",
		payload("set ssl cert "+p("stapled.pem.issuer"), root.CertPEM()), "show ssl cert *"+p("stapled.pem"),
		payload("set ssl cert "+p("stapled.pem.ocsp"), []byte(b64(renewed.OCSP(t)))), "show ssl cert *"+p("stapled.pem.ocsp"), "commit ssl cert "+p("stapled.pem"), "show ssl cert "+p("stapled.pem"), "show ssl cert "+p("stapled.pem.ocsp"), "show ssl ocsp-response")
	// keys of tickets
	key := b64([]byte(strings.Repeat("k", 48)))
	say("show tls-keys", "show tls-keys *", "show tls-keys #0", "show tls-keys "+p("keys"), "show tls-keys x", "set ssl tls-key", "set ssl tls-key x", "set ssl tls-key x y", "set ssl tls-key #0 y",
		"set ssl tls-key #0 "+b64(junk), "set ssl tls-key #0 "+key, "set ssl tls-key "+p("keys")+" "+b64([]byte(strings.Repeat("l", 48))), "show tls-keys *")

	var ids [2]string
	for i, s := range sides {
		_, rest, _ := strings.Cut(s.Exchange("cli", "show ssl ocsp-response\n"), "Certificate ID key : ")
		ids[i], _, _ = strings.Cut(rest, "\n")
	}
	if ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("ID %q, HAProxy %q", ids[0], ids[1])
	}
	for _, x := range steps {
		command := strings.ReplaceAll(x.command, id, ids[0]) + "\n"
		if ours, theirs := comparable(sides[0].Exchange("cli", command)), comparable(sides[1].Exchange("cli", command)); ours != theirs {
			t.Errorf("%s:\n%q\nHAProxy:\n%q", x.name, ours, theirs)
		}
	}
	for _, c := range []string{"set ssl cert x", "new ssl cert x", "del ssl cert x", "abort ssl cert x", "commit ssl cert x", "show ssl ocsp-response", "show tls-keys", "show ssl providers", "show ssl crt-list", "add ssl crt-list x y", "set ssl ca-file x", "set ssl crl-file x"} {
		if ours, theirs := comparable(sides[0].Exchange("user", c+"\n")), comparable(sides[1].Exchange("user", c+"\n")); ours != theirs {
			t.Errorf("%q at level user:\n%q\nHAProxy:\n%q", c, ours, theirs)
		}
	}
}

var (
	dots     = regexp.MustCompile(`(?m)^(Committing .*?)\.+$`)
	place    = regexp.MustCompile(`\t- \S*/`)
	pathLine = regexp.MustCompile(`Certificate path : .*\n`)
)

// comparable is a reply without what differs by intent: the newlines at the end, of
// which HAProxy has more or less than one; a dot for each thing made anew, which are
// others; the path of the configuration; what versions after 2.6 added.
func comparable(reply string) string {
	reply = dots.ReplaceAllString(strings.TrimRight(reply, "\n"), "$1.")
	reply = strings.ReplaceAll(reply, "\x00", "") // after the argument of alpn
	reply = strings.ReplaceAll(reply, "'commit ssl ca-file expects", "'commit ssl crl-file expects")
	return pathLine.ReplaceAllString(place.ReplaceAllString(reply, "\t- "), "")
}
