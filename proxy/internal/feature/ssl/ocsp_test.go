package ssl_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// command gives the answer to a command of the Runtime socket.
func (f *front) command(t *testing.T, line string) string {
	t.Helper()
	return strings.TrimSpace(bed.Ask(t, f.w, line))
}

// staple is the response that clients of a socket get.
func (f *front) staple(t *testing.T, socket string) []byte {
	t.Helper()
	s, err := f.shake(t, socket, &tls.Config{ServerName: "a.test"})
	if err != nil {
		t.Fatal(err)
	}
	if s.OCSPResponse != nil {
		f.stapled++
	} else {
		f.unstapled++
	}
	return s.OCSPResponse
}

const ocspHead = "global\n crt-base DIR\n stats socket DIR/admin level admin\n log %s len 4096 local0\n ocsp-update.mindelay 300\n%sdefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n"

// A response from a file is stapled, one that is set takes its place, and none is
// stapled that has ended.
func TestStapling(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	a := ca.Issue(t, "a.test")
	b := ca.Issue(t, "b.test")
	first := a.OCSP(t)
	text := fmt.Sprintf(ocspHead, "127.0.0.1:9", "") + "frontend f\n bind DIR/f ssl crt a.pem\n bind DIR/g ssl crt a.pem crt b.pem\n bind DIR/h ssl crt empty.pem\n" + answers
	f := newFront(t, map[string][]byte{
		"a.pem": a.PEM(t), "a.pem.issuer": ca.CertPEM(), "a.pem.ocsp": first,
		"b.pem":     b.PEM(t),
		"empty.pem": a.PEM(t), "empty.pem.issuer": ca.CertPEM(), "empty.pem.ocsp": nil,
	}, text)
	if !bytes.Equal(f.staple(t, "f"), first) || !bytes.Equal(f.staple(t, "g"), first) {
		t.Error("the response from the file is not stapled")
	}
	if _, err := ocsp.ParseResponseForCert(f.staple(t, "f"), a.Cert, ca.Cert); err != nil {
		t.Error(err)
	}

	// It is for all that are the same certificate.
	until := time.Now().Add(90 * time.Hour)
	second := a.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = until })
	if got := f.command(t, "set ssl ocsp-response "+base64.StdEncoding.EncodeToString(second)); got != "OCSP Response updated!" {
		t.Fatal(got)
	}
	for _, socket := range []string{"f", "g", "h"} {
		if !bytes.Equal(f.staple(t, socket), second) {
			t.Errorf("%s: the response that was set is not stapled", socket)
		}
	}
	list := strings.Split(f.command(t, "show ssl ocsp-response"), "\n")
	if len(list) != 7 || list[0] != "# Certificate IDs" || list[2] != "Certificate path : "+f.dir+"/a.pem" {
		t.Fatalf("%q", list)
	}
	id := strings.TrimPrefix(list[1], "Certificate ID key : ")
	text64, inWords := base64.StdEncoding.EncodeToString(second), f.command(t, "show ssl ocsp-response text "+id)
	if !strings.HasPrefix(inWords, "OCSP Response Data:\n    OCSP Response Status: successful (0x0)\n") {
		t.Errorf("%q", inWords)
	}
	for _, name := range []string{id, f.dir + "/a.pem", f.dir + "/empty.pem"} {
		if got := f.command(t, "show ssl ocsp-response base64 "+name); got != text64 {
			t.Errorf("%s: %q", name, got)
		}
		if got := f.command(t, "show ssl ocsp-response "+name); got != inWords {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, args := range []string{"x", "text", "base64", "base64 x", f.dir + "/b.pem"} {
		if got := f.command(t, "show ssl ocsp-response "+args); got != "Certificate ID does not match any certificate." {
			t.Errorf("%s: %q", args, got)
		}
	}
	for what, der := range map[string][]byte{
		"OCSP single response: Certificate ID does not match any certificate or issuer.": b.OCSP(t),
		"OCSP response: its signature is not the issuer's.":                              forgedResponse(t, a),
	} {
		if got := f.command(t, "set ssl ocsp-response "+base64.StdEncoding.EncodeToString(der)); got != what {
			t.Errorf("%q, want %q", got, what)
		}
	}
	if !bytes.Equal(f.staple(t, "f"), second) {
		t.Error("what was refused has changed something")
	}
	ssl.LookAt(f.w, until.Add(-6*time.Minute))
	if !bytes.Equal(f.staple(t, "f"), second) {
		t.Error("the response was taken away too soon")
	}
	ssl.LookAt(f.w, until.Add(-5*time.Minute))
	for _, socket := range []string{"f", "g", "h"} {
		if got := f.staple(t, socket); got != nil {
			t.Errorf("%s: stapled after its end", socket)
		}
	}

	// A client that does not ask, or for what has no state, is not counted.
	for _, name := range []string{"b.test", "a.test"} {
		if _, err := f.shake(t, "g", &tls.Config{ServerName: name}); err != nil {
			t.Fatal(err)
		}
	}
	f.unstapled++
	want := fmt.Sprintf("%d,%d", f.stapled, f.unstapled)
	if got := f.columns(t, "ssl_ocsp_staple", "ssl_failed_ocsp_staple"); got != want || f.stapled == 0 {
		t.Errorf("counted %s, want %s", got, want)
	}
}

// columns gives columns of the frontend's line.
func (f *front) columns(t *testing.T, names ...string) string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(f.command(t, "show stat f 1 -1"), "# "))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatal(err, rows)
	}
	var list []string
	for _, n := range names {
		list = append(list, rows[1][slices.Index(rows[0], n)])
	}
	return strings.Join(list, ",")
}

// forgedResponse is about p, signed by an authority of the same name as p's.
func forgedResponse(t *testing.T, p *certtest.Pair) []byte {
	t.Helper()
	other := certtest.NewCA(t, p.Issuer.Cert.Subject.CommonName)
	der, err := ocsp.CreateResponse(p.Issuer.Cert, other.Cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: p.Cert.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, other.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What was set is newer than the files: a configuration that is applied does not
// lose it.
func TestStaplesAreKept(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	a := ca.Issue(t, "a.test")
	old := a.OCSP(t)
	text := fmt.Sprintf(ocspHead, "127.0.0.1:9", "") + "frontend f\n bind DIR/f ssl crt a.pem\n" + answers
	f := newFront(t, map[string][]byte{"a.pem": a.PEM(t), "a.pem.issuer": ca.CertPEM(), "a.pem.ocsp": nil}, text)
	set := a.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(80 * time.Hour) })
	f.command(t, "set ssl ocsp-response "+base64.StdEncoding.EncodeToString(set))
	next := bed.MustLoad(t, 2, f.whole(strings.Replace(text, "mode http", "mode http\n maxconn 77", 1)))
	if p := ssl.StoreOf(next.Global).Cert(f.dir + "/a.pem").Load(); !bytes.Equal(p.OCSP, set) {
		t.Error("a configuration that is loaded has not what was set")
	}
	f.apply(t, strings.Replace(text, "mode http", "mode http\n maxconn 77", 1))
	if !bytes.Equal(f.staple(t, "f"), set) {
		t.Error("lost by an applied configuration")
	}
	// A response made at the same time counts as it stands in the files.
	certtest.Write(t, f.dir, "a.pem.ocsp", old)
	f.apply(t, text)
	if got := f.staple(t, "f"); !bytes.Equal(got, old) && !bytes.Equal(got, set) {
		t.Error("none is stapled")
	}
}

// responder is a server of OCSP whose answers can be changed.
type responder struct {
	*httptest.Server
	answer atomic.Pointer[func(http.ResponseWriter)]
	asked  chan string // the serial number in each request
}

func newResponder(t *testing.T) *responder {
	r := &responder{asked: make(chan string, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		der, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(req.URL.Path, "/"))
		if err != nil {
			t.Error(req.URL, err)
		}
		q, err := ocsp.ParseRequest(der)
		if err != nil {
			t.Error(err)
			return
		}
		r.asked <- q.SerialNumber.String()
		(*r.answer.Load())(w)
	}))
	t.Cleanup(r.Close)
	return r
}

// gives makes the server answer with a response.
func (r *responder) gives(der []byte) {
	r.does(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(der)
	})
}

func (r *responder) does(f func(http.ResponseWriter)) { r.answer.Store(&f) }

// lines is a log server.
type lines struct{ *net.UDPConn }

func newLines(t *testing.T) lines {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return lines{c}
}

var lineHead = regexp.MustCompile(`^<133>.*?\]: `)

// next waits for a line and gives it without what all have.
func (l lines) next(t *testing.T) string {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 8192)
	n, err := l.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if !lineHead.Match(b[:n]) {
		t.Errorf("%q", b[:n])
	}
	return strings.TrimSpace(lineHead.ReplaceAllString(string(b[:n]), ""))
}

func withResponder(url string) certtest.Option {
	return certtest.Template(func(c *x509.Certificate) { c.OCSPServer = []string{url} })
}

// Responses are fetched at once, when they are due, and on demand; each time is
// logged, and failures change nothing.
func TestOCSPUpdate(t *testing.T) {
	up, log := newResponder(t), newLines(t)
	ca := certtest.NewCA(t, "ca")
	a := ca.Issue(t, "a.test", withResponder(up.URL))
	silent := ca.Issue(t, "silent.test")
	good := func(hours int) []byte {
		der := a.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(time.Duration(hours) * time.Hour) })
		up.gives(der)
		return der
	}
	first := good(24)
	text := fmt.Sprintf(ocspHead, log.LocalAddr(), "") + "frontend f\n bind DIR/f ssl crt-list DIR/list\n" + answers
	issuer := ca.CertPEM()
	f := newFront(t, map[string][]byte{"a.pem": append(a.PEM(t), issuer...), "silent.pem": append(silent.PEM(t), issuer...), "list": []byte("a.pem [ocsp-update on]\nsilent.pem [ocsp-update on]\n")}, text)
	name := f.dir + "/a.pem"
	expect := func(want string) {
		t.Helper()
		if got := log.next(t); got != "<OCSP-UPDATE> "+name+" "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect(`1 "Update successful" 0 1`)
	if got := <-up.asked; got != a.Cert.SerialNumber.String() {
		t.Errorf("asked for %s", got)
	}
	if !bytes.Equal(f.staple(t, "f"), first) {
		t.Error("what was fetched is not stapled")
	}
	updates := func() string {
		t.Helper()
		head, rest, _ := strings.Cut(f.command(t, "show ssl ocsp-updates"), "\n")
		if head != "OCSP Certid | Path | Next Update | Last Update | Successes | Failures | Last Update Status | Last Update Status (str)" {
			t.Errorf("%q", head)
		}
		p := strings.Split(rest, " | ")
		if len(p) != 8 || p[1] != name {
			t.Fatalf("%q", rest)
		}
		for _, at := range p[2:4] {
			if _, err := time.Parse("02/Jan/2006:15:04:05 -0700", at); err != nil {
				t.Error(err)
			}
		}
		return strings.Join(p[4:], " | ")
	}
	if got := updates(); got != "1 | 0 | 1 | Update successful" {
		t.Errorf("%q", got)
	}
	if got := f.command(t, "show ssl ocsp-response "+name); !strings.Contains(got, "Cert Status: good") {
		t.Errorf("%q", got)
	}

	// An hour is over.
	second := good(48)
	ssl.LookAt(f.w, time.Now().Add(59*time.Minute))
	ssl.LookAt(f.w, time.Now().Add(61*time.Minute))
	expect(`1 "Update successful" 0 2`)
	if !bytes.Equal(f.staple(t, "f"), second) {
		t.Error("not renewed")
	}

	// All kinds of failures.
	up.does(func(w http.ResponseWriter) { w.WriteHeader(500) })
	ssl.LookAt(f.w, time.Now().Add(61*time.Minute))
	expect(`2 "HTTP error" 1 2`)
	extra := regexp.MustCompile(`^-:- \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] <OCSP-UPDATE> -/- 0/0/\d+/\d+/\d+ 500 0 - - ---- 0/0/0/0/0 0/0 \{\} "GET ` + regexp.QuoteMeta(up.URL) + `/\S+ HTTP/1\.1"$`)
	if got := log.next(t); !extra.MatchString(got) {
		t.Errorf("%q", got)
	}
	for _, x := range []struct {
		give     func()
		line     string
		response string
	}{
		{func() { up.does(func(w http.ResponseWriter) { fmt.Fprint(w, "x") }) }, `3 "Missing "ocsp-response" header" 2 2`, `Missing "ocsp-response" header`},
		{func() { up.gives([]byte("junk")) }, `4 "OCSP response check failure (Unable to parse OCSP response)" 3 2`, "Unable to parse OCSP response"},
		{func() { up.gives(ocsp.TryLaterErrorResponse) }, `4 "OCSP response check failure (OCSP response status not successful)" 4 2`, "OCSP response status not successful"},
		{func() { up.gives(silent.OCSP(t)) }, `4 "OCSP response check failure (OCSP single response: Certificate ID does not match certificate and issuer)" 5 2`, "OCSP single response: Certificate ID does not match certificate and issuer"},
		{func() { up.gives(forgedResponse(t, a)) }, `4 "OCSP response check failure (OCSP response: its signature is not the issuer's)" 6 2`, "OCSP response: its signature is not the issuer's"},
	} {
		x.give()
		if got, want := f.command(t, "update ssl ocsp-response "+name), "Can't update the OCSP response of "+name+": "+x.response; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		expect(x.line)
	}
	if got := updates(); got != "2 | 6 | 4 | OCSP response check failure (OCSP response: its signature is not the issuer's)" {
		t.Errorf("%q", got)
	}
	if !bytes.Equal(f.staple(t, "f"), second) {
		t.Error("failures have changed what is stapled")
	}
	for command, want := range map[string]string{
		"update ssl ocsp-response":                          "'update ssl ocsp-response' expects a filename",
		"update ssl ocsp-response x":                        "Unknown certificate! 'update ssl ocsp-response' expects an already known certificate file name.",
		"update ssl ocsp-response " + f.dir + "/silent.pem": "'update ssl ocsp-response' only works on certificates that already have a known OCSP response.",
	} {
		if got := f.command(t, command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}

	third := good(72)
	if got := f.command(t, "update ssl ocsp-response "+name); !strings.HasPrefix(got, "OCSP Response Data:\n") {
		t.Errorf("%q", got)
	}
	expect(`1 "Update successful" 6 3`)
	if !bytes.Equal(f.staple(t, "f"), third) {
		t.Error("what was asked for is not stapled")
	}

	// What was fetched outlives an applied configuration, of which nothing is due.
	for len(up.asked) > 0 {
		<-up.asked
	}
	f.apply(t, strings.Replace(text, "mode http", "mode http\n maxconn 77", 1))
	if !bytes.Equal(f.staple(t, "f"), third) || len(up.asked) > 0 {
		t.Error("fetched anew after an applied configuration")
	}
	if got := updates(); !strings.HasPrefix(got, "3 | 6 | 1") {
		t.Errorf("%q", got)
	}

	// Nor does it matter that the certificate is put in force once more.
	commit := func(p *certtest.Pair) {
		t.Helper()
		f.command(t, "set ssl cert "+name+" <<\n"+string(append(p.PEM(t), issuer...)))
		if got := f.command(t, "commit ssl cert "+name); !strings.HasSuffix(got, "Success!") {
			t.Fatal(got)
		}
	}
	commit(a)
	ssl.LookAt(f.w, time.Now()) // as the command does, in the background
	if !bytes.Equal(f.staple(t, "f"), third) || len(up.asked) > 0 {
		t.Error("lost by a commit")
	}

	// Another certificate is another response.
	next := ca.Issue(t, "a.test", withResponder(up.URL))
	fourth := next.OCSP(t)
	up.gives(fourth)
	commit(next)
	expect(`1 "Update successful" 0 1`)
	if !bytes.Equal(f.staple(t, "f"), fourth) {
		t.Error("not fetched for a new certificate")
	}

	// Nothing is fetched when the configuration says so.
	if err := os.WriteFile(f.dir+"/list", []byte("a.pem [ocsp-update off]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.apply(t, text)
	if got := f.command(t, "show ssl ocsp-updates"); strings.Contains(got, name) {
		t.Errorf("%q", got)
	}
	f.apply(t, strings.Replace(text, "global\n", "global\n ocsp-update.mode on\n ocsp-update.disable on\n", 1))
	if got := f.command(t, "show ssl ocsp-updates"); strings.Contains(got, name) {
		t.Errorf("%q", got)
	}
}

// A response that is fetched while a configuration is applied is that one's, too.
func TestOCSPFetchedMeanwhile(t *testing.T) {
	up, log := newResponder(t), newLines(t)
	ca := certtest.NewCA(t, "ca")
	a := ca.Issue(t, "a.test", withResponder(up.URL))
	response := a.OCSP(t)
	release := make(chan bool)
	up.does(func(w http.ResponseWriter) {
		<-release
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(response)
	})
	text := fmt.Sprintf(ocspHead, log.LocalAddr(), " ocsp-update.mode on\n") + "frontend f\n bind DIR/f ssl crt a.pem\n" + answers
	f := newFront(t, map[string][]byte{"a.pem": append(a.PEM(t), ca.CertPEM()...)}, text)
	<-up.asked
	f.apply(t, strings.Replace(text, "mode http", "mode http\n maxconn 77", 1))
	close(release)
	log.next(t)
	end := time.Now().Add(20 * time.Second)
	for !bytes.Equal(f.staple(t, "f"), response) {
		if time.Now().After(end) {
			t.Fatal("not stapled")
		}
	}
}

func TestOCSPUpdateErrors(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	certtest.Write(t, dir, "a.pem", ca.Issue(t, "a.test").PEM(t))
	certtest.Write(t, dir, "on", []byte("a.pem [ocsp-update on]\n"))
	certtest.Write(t, dir, "off", []byte("a.pem [ocsp-update off]\n"))
	for _, x := range []struct{ global, bind, want string }{
		{"ocsp-update.mode on", "crt-list DIR/on", ""},
		{"ocsp-update.mode maybe", "crt a.pem", "'ocsp-update.mode' expects either 'on' or 'off' but got 'maybe'."},
		{"ocsp-update.disable", "crt a.pem", "'ocsp-update.disable' expects either 'on' or 'off' but got ''."},
		{"ocsp-update.mindelay x", "crt a.pem", "'ocsp-update.mindelay' expects a number of seconds, found 'x'."},
		{"ocsp-update.maxdelay -1", "crt a.pem", "'ocsp-update.maxdelay' expects a number of seconds, found '-1'."},
		{"ocsp-update.maxdelay 100", "crt a.pem", "'ocsp-update.mindelay' must be lower than 'ocsp-update.maxdelay'."},
		{"tune.ssl.ocsp-update.mindelay 3600", "crt a.pem", "'ocsp-update.mindelay' must be lower than 'ocsp-update.maxdelay'."},
		{"ocsp-update.httpproxy 127.0.0.1:x", "crt a.pem", "'ocsp-update.httpproxy' : '127.0.0.1:x' is no address."},
		{"ocsp-update.httpproxy 127.0.0.1", "crt a.pem", ""},
		{"ocsp-update.httpproxy [::1]:3128", "crt a.pem", ""},
		{"", "crt-list DIR/on crt-list DIR/off", "Incompatibilities found in OCSP update mode for certificate DIR/a.pem"},
		{"ocsp-update.mode on", "crt a.pem crt-list DIR/off", "Incompatibilities found in OCSP update mode for certificate DIR/a.pem"},
		{"", "crt-list DIR/on crt-list DIR/on crt a.pem", ""},
	} {
		text := strings.ReplaceAll("global\n crt-base DIR\n "+x.global+"\ndefaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend f\n bind 127.0.0.1:23500 ssl "+x.bind+"\n", "DIR", dir)
		snap, errs := load(text)
		want := strings.ReplaceAll(x.want, "DIR", dir)
		if want == "" && (snap == nil || errs != "") || want != "" && (snap != nil || !strings.Contains(errs, want)) {
			t.Errorf("%s, %s: %q, want %q", x.global, x.bind, errs, want)
		}
	}
}
