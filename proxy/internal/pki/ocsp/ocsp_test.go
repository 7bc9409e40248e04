package ocsp_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"

	xocsp "golang.org/x/crypto/ocsp"
)

func TestCheck(t *testing.T) {
	now := time.Now()
	ca := certtest.NewCA(t, "ca")
	other := certtest.NewCA(t, "ca") // the same name
	a, b := ca.Issue(t, "a.test"), ca.Issue(t, "b.test")
	delegate := func(opts ...certtest.Option) func(*xocsp.Response) {
		return func(r *xocsp.Response) { r.Certificate = ca.Issue(t, "responder", opts...).Cert }
	}
	signedBy := func(p *certtest.Pair, change ...func(*xocsp.Response)) []byte {
		r := xocsp.Response{Status: xocsp.Good, SerialNumber: a.Cert.SerialNumber, IssuerHash: crypto.SHA1, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
		for _, f := range change {
			f(&r)
		}
		der, err := xocsp.CreateResponse(ca.Cert, p.Cert, r, p.Key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	responder := ca.Issue(t, "responder", certtest.Template(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }))
	withCert := func(p *certtest.Pair) func(*xocsp.Response) {
		return func(r *xocsp.Response) { r.Certificate = p.Cert }
	}
	for _, x := range []struct {
		name string
		der  []byte
		want error
	}{
		{"good", a.OCSP(t), nil},
		{"SHA-256", a.OCSP(t, func(r *xocsp.Response) { r.IssuerHash = crypto.SHA256 }), nil},
		{"revoked", a.OCSP(t, func(r *xocsp.Response) { r.Status = xocsp.Revoked; r.RevokedAt = now }), nil},
		{"unknown", a.OCSP(t, func(r *xocsp.Response) { r.Status = xocsp.Unknown }), ocsp.ErrUnknown},
		{"another certificate", b.OCSP(t), ocsp.ErrOther},
		{"no end", a.OCSP(t, func(r *xocsp.Response) { r.NextUpdate = time.Time{} }), ocsp.ErrNoNext},
		{"ends too soon", a.OCSP(t, func(r *xocsp.Response) { r.NextUpdate = now.Add(4 * time.Minute) }), ocsp.ErrExpired},
		{"from the future", a.OCSP(t, func(r *xocsp.Response) { r.ThisUpdate = now.Add(time.Hour) }), ocsp.ErrExpired},
		{"not successful", xocsp.TryLaterErrorResponse, ocsp.ErrStatus},
		{"junk", []byte("junk"), ocsp.ErrParse},
		{"cut", a.OCSP(t)[:100], ocsp.ErrParse},
		{"empty", nil, ocsp.ErrParse},
		{"signed by another authority", signedBy(other), ocsp.ErrSignature},
		{"signed by a delegate", signedBy(responder, withCert(responder)), nil},
		{"signed by any certificate", signedBy(b, withCert(b)), ocsp.ErrSignature},
		{"signed by the other's delegate", signedBy(responder, delegate()), ocsp.ErrSignature},
	} {
		r, err := ocsp.Parse(x.der)
		if err == nil {
			err = r.Check(a.Cert, ca.Cert, now)
		}
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
}

// An authority below another one may send its own certificate along, as openssl's
// responder does: its issuer is of no account.
func TestCheckOfIntermediate(t *testing.T) {
	now := time.Now()
	root := certtest.NewCA(t, "root")
	mid, sister := root.CA(t, "mid"), root.CA(t, "mid")
	leaf := mid.Issue(t, "a.test")
	for _, x := range []struct {
		name     string
		by, sent *certtest.Pair
		want     error
	}{
		{"no certificate", mid, nil, nil},
		{"its own", mid, mid, nil},
		{"its own, but signed by another", sister, mid, ocsp.ErrSignature},
		{"another's", sister, sister, ocsp.ErrSignature},
		{"the root's", root, root, ocsp.ErrSignature},
	} {
		r := xocsp.Response{Status: xocsp.Good, SerialNumber: leaf.Cert.SerialNumber, IssuerHash: crypto.SHA1, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
		if x.sent != nil {
			r.Certificate = x.sent.Cert
		}
		der, err := xocsp.CreateResponse(mid.Cert, x.by.Cert, r, x.by.Key)
		if err != nil {
			t.Fatal(err)
		}
		in, err := ocsp.Parse(der)
		if err == nil {
			err = in.Check(leaf.Cert, mid.Cert, now)
		}
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
}

// Text has the lines that openssl has, but for the certificate's.
func TestTextLikeOpenSSL(t *testing.T) {
	ca := certtest.NewCA(t, "Root, CA")
	a := ca.Issue(t, "a.test")
	for name, der := range map[string][]byte{
		"good": a.OCSP(t),
		"revoked": a.OCSP(t, func(r *xocsp.Response) {
			r.Status, r.RevokedAt, r.RevocationReason = xocsp.Revoked, time.Now(), xocsp.KeyCompromise
		}),
		"failed": xocsp.UnauthorizedErrorResponse,
	} {
		file := certtest.Write(t, t.TempDir(), "r.der", der)
		out, err := exec.Command("openssl", "ocsp", "-noverify", "-resp_text", "-respin", file).CombinedOutput()
		if err != nil && name != "failed" {
			t.Fatalf("openssl: %v: %s", err, out)
		}
		r, err := ocsp.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if name == "failed" {
			if got := string(r.Text()); got != "OCSP Response Data:\n    OCSP Response Status: unauthorized (0x6)\n" {
				t.Errorf("%s", got)
			}
			continue
		}
		want := strings.ReplaceAll(string(out), "\n\n", "\n \n")
		if got := string(r.Text()); !strings.HasPrefix(want, got) {
			t.Errorf("%s:\n%s\nopenssl:\n%s", name, got, want)
		}
	}
}

func TestFetch(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	a := ca.Issue(t, "a.test")
	long := "/" + strings.Repeat("x", 300)
	var asked atomic.Value
	responds := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method + " " + r.Host)
		w.Header().Set("Content-Type", "application/ocsp-response")
		switch {
		case strings.HasPrefix(r.URL.Path, "/type"):
			w.Header().Set("Content-Type", "text/html")
		case strings.HasPrefix(r.URL.Path, "/status"):
			w.WriteHeader(500)
		case strings.HasPrefix(r.URL.Path, "/away"):
			http.Redirect(w, r, "/", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/large"):
			w.Write(make([]byte, 100<<10))
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			if q, err := xocsp.ParseRequest(body); err != nil || q.SerialNumber.Cmp(a.Cert.SerialNumber) != 0 {
				w.WriteHeader(400)
			}
		}
		w.Write([]byte("response"))
	})
	up := httptest.NewServer(responds)
	defer up.Close()
	secure := httptest.NewUnstartedServer(responds)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "secure.test").TLS()}}
	secure.StartTLS()
	defer secure.Close()
	port := strings.TrimPrefix(secure.URL, "https://127.0.0.1")
	f := ocsp.Fetcher{Worker: workertest.New(t, 1), Roots: x509.NewCertPool()}
	f.Roots.AddCert(ca.Cert)
	f.Lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		if !strings.HasSuffix(name, ".test") {
			return nil, errors.New("no such name")
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	f.Worker.Init()
	f.Worker.SetSnapshot(&stream.Snapshot{Global: &stream.Global{Threads: 1, BufSize: 16384, MaxRewrite: 1024, MaxHeaders: 101}})
	workertest.Run(t, f.Worker)
	for _, x := range []struct{ url, want string }{
		{up.URL, "response GET 200"},
		{up.URL + "/", "response GET 200"},
		{up.URL + long, "response POST 200"},
		{up.URL + "/type", "Missing \"ocsp-response\" header"},
		{up.URL + "/status", "HTTP error: status 500"},
		{up.URL + "/away", "HTTP error: status 302"},
		{up.URL + "/large", "HTTP error: the response is larger than 65536 bytes"},
		{"https://secure.test" + port, "response GET 200"},
		{"https://secure.test" + port + long, "response POST 200"},
		{"https://other.test" + port, "HTTP error: tls: failed to verify certificate: x509: certificate is valid for secure.test, not other.test"},
		{"http://secure.test" + port, "HTTP error: status 400"},
		{"http://nowhere/", "HTTP error: no such name"},
		{"http://127.0.0.1:1/", "HTTP error: connection refused"},
		{"ldap://x/", "HTTP error: 'ldap://x/' is no address of a web server"},
		{"http:///x", "HTTP error: 'http:///x' is no address of a web server"},
		{"\x00", "HTTP error: parse \"\\x00\": net/url: invalid control character in URL"},
	} {
		data, e, err := f.Fetch(x.url, a.Cert, ca.Cert)
		got := fmt.Sprintf("%s %s %d", data, e.Method, e.Status)
		if err != nil {
			got = err.Error()
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s", x.url, got, x.want)
		}
	}
	f.Proxy = up.Listener.Addr().String()
	if data, _, err := f.Fetch("http://responder.test/", a.Cert, ca.Cert); err != nil || string(data) != "response" || asked.Load() != "GET responder.test" {
		t.Errorf("by the proxy: %q, %v, %s", data, err, asked.Load())
	}
}

// FuzzParse reads anything; printing and judging it must not panic.
func FuzzParse(f *testing.F) {
	ca := certtest.NewCA(f, "ca")
	a := ca.Issue(f, "a.test")
	f.Add(a.OCSP(f))
	f.Add(a.OCSP(f, func(r *xocsp.Response) { r.Status = xocsp.Revoked }))
	f.Add(xocsp.TryLaterErrorResponse)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ocsp.Parse(data)
		if err != nil {
			return
		}
		r.Text()
		if r.Check(a.Cert, ca.Cert, time.Now()) == nil && !r.About(a.Cert, ca.Cert) {
			t.Error("taken for another certificate")
		}
	})
}
