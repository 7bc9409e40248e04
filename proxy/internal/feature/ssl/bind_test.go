package ssl_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// front is a proxy with frontends under TLS, on UNIX sockets.
type front struct {
	w   *stream.Worker
	dir string
	// stapled and unstapled are how often staple was given something, and nothing.
	stapled, unstapled int
}

// newFront starts one. In text, DIR is a folder, which files tells the content of.
func newFront(t *testing.T, files map[string][]byte, text string) *front {
	t.Helper()
	f := &front{dir: t.TempDir()}
	for name, data := range files {
		certtest.Write(t, f.dir, name, data)
	}
	f.w = bed.Start(t, 2, f.whole(text))
	return f
}

func (f *front) whole(text string) string {
	head := "global\n crt-base DIR\n ca-base DIR\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n"
	if strings.Contains(text, "global\n") {
		head = ""
	}
	return strings.ReplaceAll(head+text, "DIR", f.dir)
}

func (f *front) apply(t *testing.T, text string) {
	t.Helper()
	bed.Apply(t, f.w, f.whole(text))
}

func (f *front) store() *certs.Store { return ssl.StoreOf(f.w.Snapshot().Global) }

func (f *front) list(name string) *ssl.CrtList {
	return ssl.CrtListsOf(f.w.Snapshot().Global).Get(name)
}

// shake makes a handshake with a socket of f and closes the connection.
func (f *front) shake(t *testing.T, socket string, cfg *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	c, err := f.dial(t, socket, cfg)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	// A byte of an answer: what follows the handshake, like a ticket, has come then.
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return c.ConnectionState(), nil
}

func (f *front) dial(t *testing.T, socket string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify = true
	// not tls.Dial, which asks for a name of its own if there is none
	c, err := net.Dial("unix", filepath.Join(f.dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	s := tls.Client(c, cfg)
	if err := s.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// served is the common name that a client is shown for a name.
func (f *front) served(t *testing.T, socket, name string) string {
	t.Helper()
	s, err := f.shake(t, socket, &tls.Config{ServerName: name})
	if err != nil {
		return err.Error()
	}
	return s.PeerCertificates[0].Subject.CommonName
}

const answers = " http-request return status 200\n"

func TestALPN(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "b.pem": ca.Issue(t, "b.test").PEM(t), "list": []byte("a.pem\nb.pem [alpn http/1.1]\n")}, `frontend h
 bind DIR/default ssl crt a.pem
 bind DIR/own ssl crt a.pem alpn http/1.1,h2
 bind DIR/none ssl crt a.pem alpn h2 no-alpn
 bind DIR/h1 ssl crt a.pem proto h1
 bind DIR/h2 ssl crt a.pem proto h2
 bind DIR/list ssl crt-list DIR/list
`+answers+`frontend t
 mode tcp
 bind DIR/tcp ssl crt a.pem
 default_backend none
backend none
 mode tcp
`)
	for _, x := range []struct{ socket, name, offer, want string }{
		{"default", "a.test", "h2,http/1.1", "h2"},
		{"default", "a.test", "http/1.1", "http/1.1"},
		{"default", "a.test", "spdy", ""}, // OpenSSL goes on without
		{"default", "a.test", "", ""},
		{"own", "a.test", "h2,http/1.1", "http/1.1"},
		{"none", "a.test", "h2,http/1.1", ""},
		{"h1", "a.test", "h2,http/1.1", "http/1.1"},
		{"h2", "a.test", "h2,http/1.1", "h2"},
		{"list", "a.test", "h2,http/1.1", "h2"},
		{"list", "b.test", "h2,http/1.1", "http/1.1"},
		{"tcp", "a.test", "h2,http/1.1", ""},
	} {
		cfg := &tls.Config{ServerName: x.name}
		if x.offer != "" {
			cfg.NextProtos = strings.Split(x.offer, ",")
		}
		c, err := f.dial(t, x.socket, cfg)
		if err != nil {
			t.Errorf("%s, offering %q: %v", x.socket, x.offer, err)
			continue
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != x.want {
			t.Errorf("%s, offering %q: %q, want %q", x.socket, x.offer, got, x.want)
		}
		c.Close()
	}
}

// A configuration in force does not keep the files that it was read from.
func TestFilesAreLetGo(t *testing.T) {
	dir := t.TempDir()
	file := certtest.Write(t, dir, "a.pem", certtest.NewCA(t, "ca").Issue(t, "a.test").PEM(t))
	type files struct {
		bundle.Disk
		_ [100]byte
	}
	from := new(files)
	gone := weak.Make(from)
	snap, d := snapshot.Load(snapshot.Input{
		Sources: []*config.File{config.Parse("t.cfg", []byte("defaults\n mode http\n timeout client 1s\nfrontend f\n bind "+dir+"/f ssl crt "+file+"\n"+answers))},
		Files:   from, Threads: 1, MaxConn: 100,
	})
	if snap == nil {
		t.Fatal(d.All())
	}
	runtime.GC()
	if gone.Value() != nil {
		t.Error("the files are still there")
	}
	runtime.KeepAlive(snap)
}

// Defaults that HAProxy 2.6 does not have (manual 5.1, "crt", "default-crt" and
// "crt-list").
func TestDefaults(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	files := map[string][]byte{
		"star": []byte("a.rsa *\na.ec *\nc.pem\n"), "late": []byte("c.pem\na.ec *\n"), "bundle": []byte("two\nc.pem\n"),
		"two.rsa": ca.Issue(t, "two-rsa", certtest.RSA(2048)).PEM(t), "two.ecdsa": ca.Issue(t, "two-ec").PEM(t),
		"c.pem": ca.Issue(t, "c").PEM(t), "a.rsa": ca.Issue(t, "a-rsa", certtest.RSA(2048)).PEM(t), "a.ec": ca.Issue(t, "a-ec").PEM(t),
	}
	cases := map[string][2]string{ // what is served to clients of both kinds, and of RSA only
		"crt c.pem crt a.rsa":                          {"c", "no suite"},
		"crt two crt c.pem":                            {"two-ec", "two-rsa"},
		"crt c.pem default-crt a.rsa default-crt a.ec": {"c", "a-rsa"},
		"default-crt a.rsa default-crt a.ec crt c.pem": {"a-ec", "a-rsa"},
		"crt-list DIR/star":                            {"a-ec", "a-rsa"},
		"crt-list DIR/late":                            {"c", "no suite"},
		"crt-list DIR/bundle":                          {"two-rsa", "two-rsa"},
		"strict-sni no-strict-sni crt c.pem":           {"c", "no suite"},
	}
	text, names := "frontend f\n", []string{}
	for options := range cases {
		text += fmt.Sprintf(" bind DIR/%d.sock ssl %s\n", len(names), options)
		names = append(names, options)
	}
	f := newFront(t, files, text+answers)
	for i, options := range names {
		socket := fmt.Sprintf("%d.sock", i)
		if got := f.served(t, socket, "nowhere.test"); got != cases[options][0] {
			t.Errorf("%s: %s", options, got)
		}
		s, err := f.shake(t, socket, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
		got := "no suite"
		if err == nil {
			got = s.PeerCertificates[0].Subject.CommonName
		}
		if got != cases[options][1] {
			t.Errorf("%s, RSA: %s", options, got)
		}
	}
}

// Of several lines of a frontend the one that is wrong is named.
func TestFrontendListErrorsTellTheLine(t *testing.T) {
	good := certtest.Write(t, t.TempDir(), "a.pem", certtest.SelfSigned(t, "a.test").PEM(t))
	text := "frontend f\n mode http\n bind /z ssl\n ssl-f-use crt " + good + "\n ssl-f-use crt none\n ssl-f-use crt " + good + "\n"
	_, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Files: bundle.Disk{}, Threads: 1, MaxConn: 100})
	if !slices.ContainsFunc(d.All(), func(x config.Diagnostic) bool {
		return x.Pos == config.Pos{File: "t.cfg", Line: 5} && strings.HasPrefix(x.Text, "'ssl-f-use' : unable to stat")
	}) {
		t.Errorf("%v", d.All())
	}
}

func TestStoresAndFrontendLists(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	a, b := ca.Issue(t, "a.test"), ca.Issue(t, "b.test")
	f := newFront(t, map[string][]byte{
		"pub/a.crt": a.CertPEM(), "priv/a.key": a.KeyPEM(t), "b.pem": b.PEM(t), "list": []byte("@web/alias x.test\nb2.pem [crt b.pem] b2.test\n"),
		"sep.crt": b.CertPEM(), "sep.key": b.KeyPEM(t),
	}, `global
 crt-base DIR
crt-store
 load crt b.pem alias bee
crt-store web
 crt-base DIR/pub
 key-base DIR/priv
 load crt a.crt key a.key alias alias
 load crt a.crt key a.key
defaults
 mode http
 timeout client 20s
frontend one
 bind DIR/one ssl crt @web/a.crt crt @/bee
`+answers+`frontend two
 bind DIR/two ssl crt-list DIR/list
`+answers+`frontend three
 bind DIR/three ssl
 bind DIR/three2 ssl crt @/bee
 ssl-f-use crt @web/alias alpn http/1.1
 ssl-f-use crt sep.crt key sep.key
`+answers)
	for _, x := range []struct{ socket, name, want string }{
		{"one", "", "a.test"}, {"one", "b.test", "b.test"},
		{"two", "x.test", "a.test"}, {"two", "b2.test", "b.test"},
		{"three", "", "a.test"}, {"three", "b.test", "b.test"}, {"three2", "", "b.test"}, {"three2", "a.test", "a.test"},
	} {
		if got := f.served(t, x.socket, x.name); got != x.want {
			t.Errorf("%s, %q: %s, want %s", x.socket, x.name, got, x.want)
		}
	}
	if l := f.list("@three"); l == nil || len(l.Entries()) != 2 || len(l.Binds()) != 2 || l.Entries()[0].String() != "@web/alias [alpn http/1.1]" {
		t.Errorf("the list of the frontend: %+v", l)
	}
	for text, want := range map[string]string{
		"crt-store\n load key a.key":                                                        "'load' : 'crt' is mandatory.",
		"crt-store\n load crt b.pem crt":                                                    "'load' : 'crt' expects a value.",
		"crt-store\n load crt b.pem acme LE":                                                "'load' : 'acme' is not available: certificates are not ordered from an authority by the proxy itself.",
		"crt-store\n load crt b.pem foo":                                                    "'load' : unknown keyword 'foo'.",
		"crt-store\n load crt DIR/b.pem\n load crt DIR/b.pem":                               "'load' : 'DIR/b.pem' is already defined.",
		"crt-store\n load crt DIR/pub/a.crt":                                                "'load' : No Private Key found in 'DIR/pub/a.crt'.",
		"crt-store\n load crt DIR/none":                                                     "'load' : unable to stat SSL certificate from file 'DIR/none' : No such file or directory.",
		"crt-store\n foo":                                                                   "unknown keyword 'foo' in 'crt-store' section",
		"crt-store x\n crt-base":                                                            "'crt-base' expects a directory path as an argument.",
		"frontend f\n mode http\n bind DIR/z ssl crt @x/y":                                  "unable to stat SSL certificate from file '@x/y' : No such file or directory.",
		"frontend f\n mode http\n ssl-f-use alpn h2":                                        "'ssl-f-use' : 'crt' is mandatory.",
		"frontend f\n mode http\n ssl-f-use crt DIR/none":                                   "'ssl-f-use' : unable to stat SSL certificate from file 'DIR/none' : No such file or directory.",
		"frontend f\n mode http\n ssl-f-use crt DIR/b.pem strict-sni":                       "'ssl-f-use' : unknown ssl keyword strict-sni.",
		"frontend f\n mode http\n bind DIR/z ssl\n ssl-f-use crt DIR/b.pem verify optional": "parsing [t.cfg:4]: Proxy 'f': verify is enabled but no CA file specified for bind 'DIR/z' at [t.cfg:3].",
		"crt-store\n load crt DIR/b.pem alias bee\nfrontend f\n mode http\n ssl-f-use crt @/bee key DIR/priv/a.key":       "'@/bee' is already defined with incompatible parameters: different parameter 'key'",
		"crt-store\n load crt DIR/b.pem ocsp-update on\nfrontend f\n mode http\n ssl-f-use crt DIR/b.pem ocsp-update off": "Incompatibilities found in OCSP update mode for certificate DIR/b.pem",
	} {
		text, want = strings.ReplaceAll(text, "DIR", f.dir), strings.ReplaceAll(want, "DIR", f.dir)
		if snap, errs := load(text + "\n"); snap != nil || !strings.Contains(errs, want) {
			t.Errorf("%s: %s, want %s", text, errs, want)
		}
	}
}

// Sessions are resumed on all threads and lines of one policy, after an applied
// configuration too; and nowhere else.
func TestResumption(t *testing.T) {
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	keys := func() []byte {
		var lines []string
		for i := range 3 {
			lines = append(lines, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('a'+i)), 80))))
		}
		return []byte(strings.Join(lines, "\n") + "\n")
	}()
	text := `frontend f
 bind DIR/plain ssl crt a.pem
 bind DIR/again ssl crt a.pem
 bind DIR/stateful ssl crt a.pem no-tls-tickets
 bind DIR/keys ssl crt a.pem tls-ticket-keys DIR/k1
 bind DIR/keys2 ssl crt a.pem tls-ticket-keys DIR/k2
 bind DIR/mutual ssl crt a.pem verify optional ca-file ca.pem
 bind DIR/mutual2 ssl crt a.pem verify optional ca-file ca.pem
 bind DIR/stranger ssl crt a.pem verify optional ca-file other.pem
 bind DIR/strict ssl crt a.pem verify required ca-file ca.pem
` + answers + `frontend g
 bind DIR/foreign ssl crt a.pem
` + answers
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "ca.pem": ca.CertPEM(), "other.pem": other.CertPEM(), "k1": keys, "k2": keys}, text)
	person := ca.Issue(t, "person", certtest.Client()).TLS()
	// resumed makes connections to from, then to each of to, and tells which resumed.
	resumed := func(version uint16, from string, to ...string) string {
		t.Helper()
		var out []string
		cfg := &tls.Config{ServerName: "a.test", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &person, nil }
		for i, socket := range append([]string{from}, to...) {
			if i > 0 {
				// from anew: each attempt has a session of its own
				cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				if _, err := f.shake(t, from, cfg); err != nil {
					t.Errorf("%s: %v", from, err)
				}
			}
			s, err := f.shake(t, socket, cfg)
			if err == nil && s.DidResume {
				out = append(out, socket)
			}
		}
		return strings.Join(out, " ")
	}
	all := []string{"plain", "again", "stateful", "keys", "keys2", "mutual", "mutual2", "stranger", "strict", "foreign"}
	want13 := map[string]string{
		"plain": "plain again", "again": "plain again", "stateful": "stateful", "keys": "keys keys2", "keys2": "keys keys2",
		"mutual": "mutual mutual2", "mutual2": "mutual mutual2", "stranger": "", "strict": "strict", "foreign": "foreign",
	}
	for _, from := range all {
		if from == "stranger" {
			continue // lets nobody in who shows that certificate
		}
		if got := resumed(tls.VersionTLS13, from, all...); got != want13[from] {
			t.Errorf("TLS 1.3, sessions of %s are resumed on %q, want %q", from, got, want13[from])
		}
		want := want13[from]
		if from == "stateful" {
			want = "" // there are no sessions by number in crypto/tls
		}
		if got := resumed(tls.VersionTLS12, from, all...); got != want {
			t.Errorf("TLS 1.2, sessions of %s are resumed on %q, want %q", from, got, want)
		}
	}

	// The client's cache survives an applied configuration, and what it has is taken.
	for _, socket := range []string{"plain", "stateful", "keys", "mutual"} {
		cfg := &tls.Config{ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &person, nil }
		if _, err := f.shake(t, socket, cfg); err != nil {
			t.Fatal(err)
		}
		f.apply(t, strings.Replace(text, "frontend g", fmt.Sprintf("# %s\nfrontend g\n maxconn 1%d", socket, len(socket)), 1))
		if s, err := f.shake(t, socket, cfg); err != nil || !s.DidResume {
			t.Errorf("%s: not resumed after an applied configuration (%v)", socket, err)
		}
	}

	// Authorities that are replaced end the sessions of those that they let in.
	cfg := &tls.Config{ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &person, nil }
	if _, err := f.shake(t, "mutual", cfg); err != nil {
		t.Fatal(err)
	}
	cas := &f.store().CAs
	name := filepath.Join(f.dir, "ca.pem")
	if _, err := cas.Set(name, func(old *certs.CA) (*certs.CA, error) {
		return old.Add(certs.NewCA([]*x509.Certificate{other.Cert})), nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := cas.Commit(name, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := f.shake(t, "mutual", cfg); err != nil || s.DidResume {
		t.Errorf("resumed under other authorities: %v, %v", s.DidResume, err)
	}
	if s, err := f.shake(t, "mutual", cfg); err != nil || !s.DidResume {
		t.Errorf("not resumed under the new authorities: %v", err)
	}
}

// Settings of the global section follow an applied configuration.
func TestSessionSettingsFollow(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	text := func(global string) string {
		return "global\n crt-base DIR\n" + global + "defaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\nfrontend f\n bind DIR/tickets ssl crt a.pem\n bind DIR/cached ssl crt a.pem no-tls-tickets\n bind DIR/forged ssl crt a.pem generate-certificates ca-sign-file DIR/sign.pem\n" + answers
	}
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "sign.pem": append(ca.CertPEM(), ca.KeyPEM(t)...)}, text(""))
	resumed := func(socket string) bool {
		t.Helper()
		cfg := &tls.Config{ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		var again bool
		for range 2 {
			s, err := f.shake(t, socket, cfg)
			if err != nil {
				t.Fatal(err)
			}
			again = s.DidResume
		}
		return again
	}
	// forged tells whether a certificate that was made is made again.
	forged := func() bool {
		t.Helper()
		var serials [2]string
		for i := range serials {
			s, err := f.shake(t, "forged", &tls.Config{ServerName: "forged.test"})
			if err != nil {
				t.Fatal(err)
			}
			serials[i] = s.PeerCertificates[0].SerialNumber.String()
		}
		return serials[0] != serials[1]
	}
	for _, x := range []struct {
		global                 string
		tickets, cached, again bool
	}{
		{"", true, true, false},
		{" tune.ssl.lifetime 0\n", false, false, false},
		{" tune.ssl.lifetime 1h\n", true, true, false},
		{" tune.ssl.cachesize 0\n", true, false, false},
		{" tune.ssl.cachesize 100\n tune.ssl.ssl-ctx-cache-size 0\n", true, true, true},
		{" tune.ssl.ssl-ctx-cache-size 10\n", true, true, false},
	} {
		f.apply(t, text(x.global))
		if tickets, cached := resumed("tickets"), resumed("cached"); tickets != x.tickets || cached != x.cached {
			t.Errorf("%q: resumed from tickets: %v, from the cache: %v", x.global, tickets, cached)
		}
		if again := forged(); again != x.again {
			t.Errorf("%q: certificates are made again: %v", x.global, again)
		}
	}
}

// A certificate is replaced, and lists are changed, while clients come and go.
func TestChangesAtRunTime(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	pair := func(name string, opts ...certtest.Option) *certs.Pair {
		p, err := certs.Parse(ca.Issue(t, name, opts...).PEM(t))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	text := "frontend f\n bind DIR/f ssl crt-list DIR/list\n bind DIR/g ssl crt a.pem\n bind DIR/s ssl crt-list DIR/list strict-sni\n" + answers
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test", certtest.Serial(1)).PEM(t), "b.pem": ca.Issue(t, "b.test").PEM(t), "list": []byte("a.pem\nb.pem\n")}, text)
	name := filepath.Join(f.dir, "a.pem")
	list := f.list(filepath.Join(f.dir, "list"))
	store := f.store()
	serial := func(socket, sni string) string {
		t.Helper()
		s, err := f.shake(t, socket, &tls.Config{ServerName: sni})
		if err != nil {
			return "refused"
		}
		return s.PeerCertificates[0].SerialNumber.String()
	}
	replace := func(next *certs.Pair) error {
		if _, err := store.Certs.Set(name, func(*certs.Pair) (*certs.Pair, error) { return next, nil }); err != nil {
			t.Fatal(err)
		}
		return store.Certs.Commit(name, nil)
	}

	// all handshakes succeed while it is replaced again and again
	stop, failed := make(chan bool), make(chan string, 100)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := serial("f", "a.test"); got == "refused" {
					failed <- got
					return
				}
			}
		})
	}
	for i := range 50 {
		if err := replace(pair("a.test", certtest.Serial(int64(100+i)))); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(100 + i)
		for _, socket := range []string{"f", "g", "s"} {
			if got := serial(socket, "a.test"); got != want {
				t.Fatalf("%s serves %s after the commit, want %s", socket, got, want)
			}
		}
	}
	close(stop)
	wg.Wait()
	if len(failed) > 0 {
		t.Errorf("%d clients had a failed handshake", len(failed))
	}

	// other names, another kind of key
	if err := replace(pair("new.test", certtest.RSA(2048), certtest.Serial(7))); err != nil {
		t.Fatal(err)
	}
	if got := serial("s", "a.test"); got != "refused" {
		t.Errorf("the old name is served %s", got)
	}
	if got := serial("s", "new.test"); got != "7" {
		t.Errorf("the new name is served %s", got)
	}

	// what cannot be served changes nothing
	bad, err := pair("x.test").With(".key", certtest.SelfSigned(t, "y").KeyPEM(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := replace(bad); err == nil || !strings.Contains(err.Error(), "inconsistencies between private key and certificate") {
		t.Errorf("a key of another certificate: %v", err)
	}
	store.Certs.Abort(name)
	if got := serial("f", "new.test"); got != "7" {
		t.Errorf("after a refused commit: %s", got)
	}

	// entries come and go
	if err := store.Certs.Delete(name); err != certs.ErrUsed {
		t.Errorf("a served certificate was deleted: %v", err)
	}
	c, err := store.Certs.New("added.pem", pair("added.test", certtest.Serial(9)))
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssl.ParseCrtLine("added.pem [alpn http/1.1] *.added.test !no.added.test", ssl.DefaultsOf(f.w.Snapshot().Global))
	if err != nil {
		t.Fatal(err)
	}
	entry := ssl.Entry{Line: line, Cert: c}
	if err := list.Add(entry); err != nil {
		t.Fatal(err)
	}
	for sni, want := range map[string]string{"x.added.test": "9", "no.added.test": "refused", "added.test": "refused"} {
		if got := serial("s", sni); got != want {
			t.Errorf("%s is served %s, want %s", sni, got, want)
		}
	}
	if n := len(c.Users()); n != 2 {
		t.Errorf("%d users of the new one", n)
	}
	if b := list.Binds()[0]; !b.IsDefault(list.Entries()[0]) || b.IsDefault(entry) || len(b.Served()) != 3 {
		t.Error("the default certificate is another one")
	}
	if err := list.Remove(entry); err != nil {
		t.Fatal(err)
	}
	if got := serial("s", "x.added.test"); got != "refused" {
		t.Errorf("served after it was removed: %s", got)
	}
	if err := store.Certs.Delete("added.pem"); err != nil {
		t.Errorf("an unused certificate cannot be deleted: %v", err)
	}
	empty, _ := store.Certs.New("empty.pem", nil)
	if err := list.Add(ssl.Entry{Line: &ssl.Line{Name: "empty.pem"}, Cert: empty}); err == nil {
		t.Error("a certificate without content was added")
	}

	// an applied configuration follows the files
	if err := os.WriteFile(filepath.Join(f.dir, "b.pem"), ca.Issue(t, "b.test", certtest.Serial(33)).PEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	f.apply(t, text)
	if got := serial("f", "a.test") + " " + serial("f", "b.test"); got != "1 33" {
		t.Errorf("after an applied configuration: %s", got)
	}
}

func TestForgedCertificates(t *testing.T) {
	ca := certtest.NewCA(t, "signer")
	mid := ca.CA(t, "middle")
	f := newFront(t, map[string][]byte{"a.pem": ca.Issue(t, "a.test").PEM(t), "rsa.pem": ca.Issue(t, "rsa.test", certtest.RSA(2048)).PEM(t), "sign.pem": ca.PEM(t), "mid.pem": mid.PEM(t)}, `global
 crt-base DIR
 ca-base DIR
 tune.ssl.ssl-ctx-cache-size 2
defaults
 mode http
 timeout client 20s
frontend f
 bind DIR/f ssl crt a.pem generate-certificates ca-sign-file sign.pem
 bind DIR/m ssl crt a.pem generate-certificates ca-sign-file mid.pem
 bind DIR/s ssl generate-certificates ca-sign-file sign.pem strict-sni
 bind DIR/r ssl crt rsa.pem generate-certificates ca-sign-file sign.pem
`+answers)
	verified := func(socket, name string) *x509.Certificate {
		t.Helper()
		c, err := tls.Dial("unix", filepath.Join(f.dir, socket), &tls.Config{ServerName: name, RootCAs: ca.Pool()})
		if err != nil {
			t.Fatalf("%s, %s: %v", socket, name, err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0]
	}
	long := strings.Repeat("a123456789.", 12) + "test"
	for _, socket := range []string{"f", "m", "s"} {
		one := verified(socket, "Any.Name.test")
		if again := verified(socket, "any.name.test"); !again.Equal(one) {
			t.Errorf("%s: made anew for the same name", socket)
		}
		verified(socket, long)
		verified(socket, "third.test")
		if again := verified(socket, "any.name.test"); again.Equal(one) {
			t.Errorf("%s: more are kept than are allowed", socket)
		}
	}
	if got := f.served(t, "f", "a.test"); got != "a.test" {
		t.Errorf("a certificate that there is: %s", got)
	}
	if got := f.served(t, "f", ""); got != "a.test" {
		t.Errorf("without a name: %s", got)
	}
	if got := f.served(t, "f", "no/host"); got != "a.test" {
		t.Errorf("a name that none can have: %s", got)
	}
	if got := f.served(t, "s", ""); !strings.Contains(got, "unrecognized name") {
		t.Errorf("strict, without a name: %s", got)
	}
	old := &tls.Config{ServerName: "old.test", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	if s, err := f.shake(t, "r", old); err != nil || s.PeerCertificates[0].Subject.CommonName != "rsa.test" {
		t.Errorf("a client that can do RSA only does not get the default certificate: %v", err)
	}
}
