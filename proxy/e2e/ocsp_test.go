package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// A worker that has no file system any more fetches responses of OCSP, from a
// host that it knows by name; a new one fetches them again.
func TestOCSPUpdate(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	var response []byte
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(response)
	}))
	defer up.Close()
	by := "http://" + strings.Replace(up.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	site := ca.Issue(t, "localhost", certtest.Template(func(c *x509.Certificate) { c.OCSPServer = []string{by} }))
	response = site.OCSP(t)
	dir, log := scratch(t), collect(t)
	pem := certtest.Write(t, dir, "site.pem", append(site.PEM(t), ca.CertPEM()...))
	s := &tlsShop{addr: address(t), ca: ca, pem: pem}
	text := strings.Replace(preface, "global\n", fmt.Sprintf("global\n    log %s local0\n    ocsp-update.mode on\n", log.addr), 1) + fmt.Sprintf(tlsShopText, s.addr, "", newOrigin(t, "hello").addr)
	s.proxy = serveIn(t, forebay, dir, text, "-W")
	stapled := func(when string) {
		t.Helper()
		if st := s.mustVisit(&tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}); !bytes.Equal(st.OCSPResponse, response) {
			t.Errorf("%s: stapled %d bytes", when, len(st.OCSPResponse))
		}
	}
	done := fmt.Sprintf("<OCSP-UPDATE> %s 1 \"Update successful\" 0 1", pem)
	log.next(t, done)
	stapled("at the start")
	write(t, dir, "a.cfg", strings.Replace(read(t, s.file), "timeout client 30s", "timeout client 31s", 1))
	before := s.worker()
	s.reload()
	if s.worker() != before {
		t.Error("the configuration was not applied in place")
	}
	stapled("after a configuration was applied")
	write(t, dir, "a.cfg", strings.Replace(read(t, s.file), "nbthread 2", "nbthread 1", 1))
	s.reload()
	until(t, "there is a new worker", func() bool { return s.worker() != before })
	log.next(t, done)
	stapled("by a new worker")
}
