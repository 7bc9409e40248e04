package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// A certificate that is replaced over REST is on disk, and served to the next
// handshake, with no reload.
func TestCertificateOverREST(t *testing.T) {
	o := newOrigin(t, "hello")
	ca := certtest.NewCA(t, "ca")
	addr := address(t)
	dir := scratch(t)
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o755); err != nil {
		t.Fatal(err)
	}
	site := certtest.Write(t, certs, "site.pem", ca.Issue(t, "site", certtest.Names("localhost"), certtest.Serial(1000)).PEM(t))
	p := serveIn(t, forebay, dir, users+preface+fmt.Sprintf("\nfrontend web\n    bind %s ssl crt %s\n    default_backend app\n\nbackend app\n    server s1 %s\n", addr, site, o.addr), "-W")
	r := control(t, p)
	s := &tlsShop{proxy: p, addr: addr, ca: ca, pem: site}
	before := p.worker()
	for i := range 3 {
		serial := int64(2000 + i)
		pem := ca.Issue(t, "site", certtest.Names("localhost"), certtest.Serial(serial)).PEM(t)
		req, _ := http.NewRequest("PUT", r.url+"/services/haproxy/storage/ssl_certificates/site.pem", strings.NewReader(string(pem)))
		req.SetBasicAuth("admin", "secret")
		req.Header.Set("Content-Type", "text/plain")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		if got := s.mustVisit(s.client()).PeerCertificates[0].SerialNumber.Int64(); got != serial {
			t.Errorf("serial %d is served, want %d", got, serial)
		}
		if read(t, site) != string(pem) {
			t.Error("the file has another certificate")
		}
	}
	if p.worker() != before {
		t.Error("there is a new worker")
	}
	if out := r.must("GET", "/services/haproxy/runtime/ssl_certs", "", 200); !strings.Contains(out, "site.pem") {
		t.Errorf("runtime: %s", out)
	}
	if out := r.must("GET", "/services/haproxy/storage/ssl_certificates/site.pem", "", 200); !strings.Contains(out, "site.pem") {
		t.Errorf("storage: %s", out)
	}
}
