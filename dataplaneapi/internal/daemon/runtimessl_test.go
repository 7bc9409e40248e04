package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime/multipart"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
)

// An authority signs what the tests need.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.pem = block("CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue makes a certificate for a name, and its key.
func (a *authority) issue(serial int64, name string) (cert, key string) {
	a.t.Helper()
	k := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	priv, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", priv)
}

func (a *authority) both(serial int64, name string) string {
	cert, key := a.issue(serial, name)
	return cert + "\n" + key // with an empty line, which would end a payload
}

// revoke makes a list of revoked serial numbers.
func (a *authority) revoke(serials ...int64) string {
	a.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, n := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return block("X509 CRL", der)
}

// forebay builds the proxy of this repository.
func forebay(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "forebay")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/forebay")
	cmd.Dir = "../../../proxy"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// sendFile sends a file, and checks the status.
func (h *house) sendFile(status int, method, path, filename, data string) string {
	h.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file_upload", filename)
	if err == nil {
		_, err = io.WriteString(part, data)
	}
	if err == nil {
		err = w.Close()
	}
	req, err2 := http.NewRequest(method, h.url+path, &body)
	if err != nil || err2 != nil {
		h.t.Fatal(err, err2)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	code, _, text, err := h.send(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if code != status {
		h.t.Fatalf("%s %s: %d, want %d\n%s", method, path, code, status, text)
	}
	return text
}

// object reads an answer.
func object[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// served is the serial number of the certificate that a name gets.
func served(t *testing.T, port int, name string) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// tlsHouse is a proxy with a certificate, a crt-list, authorities and a revocation list.
type tlsHouse struct {
	*house
	ca           *authority
	ports        []int // crt; crt-list and client certificates
	adds         bool  // knows "add ssl ca-file"
	site, cas    string
	crl, list    string
	siteFile     string // what is on the disk
	first, other string // in the list
}

// tlsHouses runs a test in front of both proxies.
func tlsHouses(t *testing.T, test func(t *testing.T, h *tlsHouse)) {
	for _, c := range []struct {
		name string
		bin  func(*testing.T) string
	}{{"haproxy", haproxy}, {"forebay", forebay}} {
		t.Run(c.name, func(t *testing.T) {
			h := &tlsHouse{ca: newAuthority(t, "ca one"), ports: freePorts(t, 2), adds: c.name == "forebay"}
			h.house = build(t, c.bin(t), "  user: [{name: admin, password: adminpwd, insecure: true}]", func(dir string) string {
				w := &house{t: t, dir: dir}
				put := func(name, text string) string {
					w.write(name, text)
					return filepath.Join(dir, name)
				}
				h.siteFile = h.ca.both(100, "site.example")
				h.site = put("site.pem", h.siteFile)
				h.first = put("first.pem", h.ca.both(101, "first.example"))
				h.other = put("other.pem", h.ca.both(102, "other.example"))
				h.cas = put("cas.pem", h.ca.pem+newAuthority(t, "ca two").pem)
				h.crl = put("crl.pem", h.ca.revoke(7))
				h.list = put("list.txt", h.first+"\n\n"+h.other+" [alpn h2] other.example !no.other.example\n")
				return fmt.Sprintf(`global
    stats socket %[1]s/stats.sock level admin
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend web
    bind 127.0.0.1:%[2]d ssl crt %[4]s
    bind 127.0.0.1:%[3]d ssl crt-list %[5]s ca-file %[6]s crl-file %[7]s verify optional
    http-request return status 200
`, dir, h.ports[0], h.ports[1], h.site, h.list, h.cas, h.crl)
			}, h.ports[0])
			test(t, h)
		})
	}
}

func at(path, name string) string { return path + "/" + url.PathEscape(name) }

func TestRuntimeCertificates(t *testing.T) {
	tlsHouses(t, func(t *testing.T, h *tlsHouse) {
		const certs = "runtime/ssl_certs"
		worker, file := h.worker(), h.read("h.cfg")
		_, text := h.want(200, "GET", certs, "")
		var names []string
		for _, x := range object[[]runtime.Certificate](t, text) {
			names = append(names, x.StorageName)
		}
		if got, want := strings.Join(names, " "), strings.Join([]string{h.first, h.other, h.site}, " "); got != want {
			t.Errorf("certificates %s, want %s", got, want)
		}
		show := func(name string) runtime.Certificate {
			_, text := h.want(200, "GET", at(certs, name), "")
			return object[runtime.Certificate](t, text)
		}
		x := show(h.site)
		if x.StorageName != h.site || x.Status != "Used" || x.Serial != "64" || x.Domains != "site.example" || x.Subject != "/CN=site.example" ||
			x.Issuers != "/CN=ca one" || x.Algorithm != "EC256" || len(x.SHA1) != 40 || x.NotAfter == nil || x.NotAfter.Before(time.Now()) {
			t.Errorf("%+v", x)
		}

		// A new one is there with the next handshake, and nowhere else.
		h.sendFile(200, "PUT", at(certs, h.site), "x", h.ca.both(200, "site.example"))
		if got := served(t, h.ports[0], "site.example"); got != 200 || show(h.site).Serial != "C8" {
			t.Errorf("serial %d is served; %+v", got, show(h.site))
		}
		if h.read("site.pem") != h.siteFile {
			t.Error("the file on the disk changed")
		}
		// What the proxy refuses leaves no transaction behind.
		cert, _ := h.ca.issue(300, "site.example")
		_, key := h.ca.issue(301, "site.example")
		text = h.sendFile(400, "PUT", at(certs, h.site), "x", cert+key)
		if !strings.Contains(text, "inconsistencies between private key and certificate") {
			t.Error(text)
		}
		h.sendFile(400, "PUT", at(certs, h.site), "x", "zork")
		if got := served(t, h.ports[0], "site.example"); got != 200 {
			t.Errorf("serial %d is served", got)
		}
		h.sendFile(404, "PUT", at(certs, "nope.pem"), "x", cert+key)
		h.want(404, "GET", at(certs, "nope.pem"), "")
		h.want(404, "GET", at(certs, h.site+".ocsp"), "")
		h.want(404, "DELETE", at(certs, "nope.pem"), "")
		if _, text := h.want(400, "DELETE", at(certs, h.site), ""); !strings.Contains(text, "in use") {
			t.Error(text)
		}

		// A key alone, as the file that stands beside a certificate.
		h.sendFile(400, "PUT", at(certs, h.site+".key"), "x", key)
		if _, text := h.want(200, "GET", at(certs, h.site), ""); !strings.Contains(text, `"C8"`) {
			t.Error(text)
		}
		h.sendFile(200, "PUT", at(certs, h.site+".issuer"), "x", h.ca.pem)
		// A path, and with a blank in it.
		blank := filepath.Join(h.dir, "a b.pem")
		h.sendFile(201, "POST", certs, blank, h.ca.both(202, "blank.example"))
		if x := show(blank); x.StorageName != blank || x.Serial != "CA" {
			t.Errorf("%+v", x)
		}
		h.want(204, "DELETE", at(certs, blank), "")
		// Several at a time.
		var all sync.WaitGroup
		for i, name := range []string{h.site, h.first, h.other, h.site, h.first, h.other} {
			pem := h.ca.both(int64(210+i), "x.example")
			all.Go(func() { h.sendFile(200, "PUT", at(certs, name), "x", pem) })
		}
		all.Wait()
		h.sendFile(200, "PUT", at(certs, h.first), "x", h.ca.both(101, "first.example"))

		// Created, listed, served, taken away.
		const entries = "runtime/ssl_crt_lists/entries?name="
		list := url.QueryEscape(h.list)
		h.sendFile(400, "POST", certs, "new.pem", "zork")
		h.sendFile(201, "POST", certs, "new.pem", h.ca.both(400, "new.example"))
		h.sendFile(409, "POST", certs, "new.pem", h.ca.both(401, "new.example"))
		if x := show("new.pem"); x.Status != "Unused" || x.Serial != "0190" {
			t.Errorf("%+v", x)
		}
		_, text = h.want(200, "GET", "runtime/ssl_crt_lists", "")
		if want := fmt.Sprintf("[{\"file\":%q}]\n", h.list); text != want {
			t.Errorf("%s, want %s", text, want)
		}
		if got := served(t, h.ports[1], "new.example"); got != 101 {
			t.Errorf("before, serial %d is served", got)
		}
		h.want(201, "POST", entries+list, `{"file":"new.pem","ssl_bind_config":"alpn h2","sni_filter":["new.example","!no.new.example"]}`)
		h.want(201, "POST", entries+list, `{"file":"new.pem"}`)
		if got := served(t, h.ports[1], "new.example"); got != 400 {
			t.Errorf("serial %d is served", got)
		}
		_, text = h.want(200, "GET", entries+list, "")
		want := fmt.Sprintf(`[{"file":%q,"line_number":1},{"file":%q,"line_number":3,"sni_filter":["other.example","!no.other.example"],"ssl_bind_config":"alpn h2"},`+
			`{"file":"new.pem","line_number":4,"sni_filter":["new.example","!no.new.example"],"ssl_bind_config":"alpn h2"},{"file":"new.pem","line_number":5}]`+"\n", h.first, h.other)
		if text != want {
			t.Errorf("entries\n%swant\n%s", text, want)
		}
		h.want(400, "POST", entries+list, `{"file":"nope.pem"}`)
		h.want(404, "POST", entries+"nope", `{"file":"new.pem"}`)
		h.want(404, "GET", entries+"nope", "")
		h.want(400, "DELETE", at(certs, "new.pem"), "")
		h.want(404, "DELETE", entries+list+"&cert_file=nope.pem", "")
		h.want(404, "DELETE", entries+"nope&cert_file=new.pem", "")
		if _, text := h.want(400, "DELETE", entries+list+"&cert_file=new.pem", ""); !strings.Contains(text, "several entries") {
			t.Error(text)
		}
		h.want(400, "DELETE", entries+list+"&cert_file=new.pem&line_number=9", "")
		h.want(204, "DELETE", entries+list+"&cert_file=new.pem&line_number=4", "")
		h.want(204, "DELETE", entries+list+"&cert_file=new.pem", "")
		h.want(404, "DELETE", entries+list+"&cert_file=new.pem", "")
		if _, text := h.want(400, "DELETE", entries+list+"&cert_file="+url.QueryEscape(h.first), ""); !strings.Contains(text, "default certificate") {
			t.Error(text)
		}
		h.want(204, "DELETE", at(certs, "new.pem"), "")
		h.want(404, "GET", at(certs, "new.pem"), "")
		if h.read("list.txt") != h.first+"\n\n"+h.other+" [alpn h2] other.example !no.other.example\n" || h.read("h.cfg") != file || h.worker() != worker {
			t.Error("more changed than the memory of the proxy")
		}

		// Somebody else's transaction is left alone.
		c := &runtime.Client{Network: "unix", Address: h.dir + "/stats.sock"}
		if reply, err := c.Do(t.Context(), "set ssl cert "+h.other, []byte(strings.ReplaceAll(h.ca.both(500, "other.example"), "\n\n", "\n"))); err != nil || !strings.Contains(reply, "created") {
			t.Fatal(reply, err)
		}
		h.sendFile(409, "PUT", at(certs, h.site), "x", h.ca.both(501, "site.example"))
		h.sendFile(409, "POST", certs, "new.pem", h.ca.both(502, "new.example"))
		h.want(404, "GET", at(certs, "new.pem"), "")
		if reply, err := c.Do(t.Context(), "commit ssl cert "+h.other, nil); err != nil || !strings.Contains(reply, "Success!") {
			t.Error(reply, err)
		}
		if got := served(t, h.ports[1], "other.example"); got != 500 {
			t.Errorf("serial %d is served", got)
		}
	})
}

func TestRuntimeAuthorities(t *testing.T) {
	tlsHouses(t, func(t *testing.T, h *tlsHouse) {
		const files = "runtime/ssl_ca_files"
		count := func(name, n string) {
			t.Helper()
			_, text := h.want(200, "GET", at(files, name), "")
			if a := object[runtime.Authorities](t, text); a.Count != n || a.StorageName != name {
				t.Errorf("%+v, want %s", a, n)
			}
			_, text = h.want(200, "GET", files, "")
			for _, a := range object[[]runtime.Authorities](t, text) {
				if a.StorageName == name && a.Count == n {
					return
				}
			}
			t.Errorf("%s is not in %s", name, text)
		}
		count(h.cas, "2")
		_, text := h.want(200, "GET", at(files, h.cas)+"/entries/2", "")
		if x := object[runtime.Certificate](t, text); x.Subject != "/CN=ca two" || x.Status != "Used" {
			t.Error(text)
		}
		h.want(404, "GET", at(files, h.cas)+"/entries/0", "")
		h.want(404, "GET", at(files, h.cas)+"/entries/3", "")
		h.want(404, "GET", at(files, "nope")+"/entries/1", "")
		h.want(404, "GET", at(files, "nope"), "")

		// Who signs for clients changes at once.
		stranger := newAuthority(t, "stranger")
		cert, key := stranger.issue(600, "client")
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		comesIn := func() bool {
			c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", h.ports[1]), &tls.Config{
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }, // whoever is asked for
				InsecureSkipVerify:   true, MaxVersion: tls.VersionTLS12,                                                // in which the handshake ends with the server's word
			})
			if err == nil {
				c.Close()
			}
			return err == nil
		}
		if comesIn() {
			t.Error("a stranger comes in")
		}
		h.sendFile(200, "PUT", at("runtime/ssl_crl_files", h.crl), "x", h.ca.revoke(7)+stranger.revoke(8))
		h.sendFile(200, "PUT", at(files, h.cas), "x", h.ca.pem+stranger.pem)
		if !comesIn() {
			t.Error("who is signed by a new authority does not come in")
		}
		h.sendFile(200, "PUT", at("runtime/ssl_crl_files", h.crl), "x", h.ca.revoke(7)+stranger.revoke(600))
		if comesIn() {
			t.Error("who is revoked comes in")
		}

		h.sendFile(400, "PUT", at(files, h.cas), "x", "zork")
		count(h.cas, "2")
		h.sendFile(404, "PUT", at(files, "nope"), "x", h.ca.pem)
		// As much as the proxy takes at once.
		status := 200
		if !h.adds {
			status = 400
		}
		if text := h.sendFile(status, "PUT", at(files, h.cas), "x", strings.Repeat(h.ca.pem, 1000)); status == 400 && !strings.Contains(text, "tune.bufsize") {
			t.Error(text)
		}
		h.sendFile(200, "PUT", at(files, h.cas), "x", h.ca.pem+stranger.pem)
		count(h.cas, "2")
		h.sendFile(400, "POST", files, "new.pem", "zork")
		h.sendFile(201, "POST", files, "new.pem", h.ca.pem)
		h.sendFile(409, "POST", files, "new.pem", h.ca.pem)
		count("new.pem", "1")
		path := at(files, "new.pem") + "/entries"
		if !h.adds {
			if text := h.sendFile(501, "POST", path, "x", stranger.pem); !strings.Contains(text, "add ssl ca-file") || strings.Contains(text, "help") {
				t.Error(text)
			}
		} else {
			text := h.sendFile(201, "POST", path, "x", stranger.pem)
			der, _ := pem.Decode([]byte(stranger.pem))
			if x := object[runtime.Certificate](t, text); x.Subject != "/CN=stranger" || x.SHA1 != fmt.Sprintf("%X", sha1.Sum(der.Bytes)) {
				t.Error(text)
			}
			count("new.pem", "2")
			h.sendFile(404, "POST", at(files, "nope")+"/entries", "x", stranger.pem)
		}
		h.sendFile(400, "POST", path, "x", "zork")
		if _, text := h.want(400, "DELETE", at(files, h.cas), ""); !strings.Contains(text, "in use") {
			t.Error(text)
		}
		h.want(204, "DELETE", at(files, "new.pem"), "")
		h.want(404, "DELETE", at(files, "new.pem"), "")
	})
}

func TestRuntimeRevocations(t *testing.T) {
	tlsHouses(t, func(t *testing.T, h *tlsHouse) {
		const files = "runtime/ssl_crl_files"
		_, text := h.want(200, "GET", files, "")
		if want := fmt.Sprintf("[{\"file\":%q,\"storage_name\":%[1]q}]\n", h.crl); text != want {
			t.Errorf("%s, want %s", text, want)
		}
		show := func(path string) []runtime.RevocationList {
			t.Helper()
			_, text := h.want(200, "GET", path, "")
			return object[[]runtime.RevocationList](t, text)
		}
		day := time.Now().Add(time.Hour).UTC().Format(time.DateOnly)
		list := show(at(files, h.crl))
		if len(list) != 1 || list[0].Issuer != "/CN=ca one" || list[0].Version != "2" || list[0].Status != "Used" || list[0].StorageName != h.crl ||
			list[0].SignatureAlgorithm != "ecdsa-with-SHA256" || list[0].NextUpdate > day || list[0].NextUpdate < time.Now().UTC().Format(time.DateOnly) ||
			len(list[0].Revoked) != 1 || list[0].Revoked[0].Serial != "07" {
			t.Errorf("%+v", list)
		}
		other := newAuthority(t, "other")
		h.sendFile(200, "PUT", at(files, h.crl), "x", h.ca.revoke()+other.revoke(8, 9))
		if list := show(at(files, h.crl)); len(list) != 2 {
			t.Errorf("%+v", list)
		}
		if list := show(at(files, h.crl) + "?index=2"); len(list) != 1 {
			t.Errorf("%+v", list)
		}
		h.want(404, "GET", at(files, h.crl)+"?index=3", "")
		h.want(400, "GET", at(files, h.crl)+"?index=0", "")
		h.want(404, "GET", at(files, "nope"), "")
		h.sendFile(400, "PUT", at(files, h.crl), "x", "zork")
		h.sendFile(404, "PUT", at(files, "nope"), "x", other.revoke())
		h.sendFile(400, "POST", files, "new.pem", "zork")
		h.sendFile(201, "POST", files, "new.pem", other.revoke(8))
		h.sendFile(409, "POST", files, "new.pem", other.revoke(8))
		if list := show(at(files, "new.pem")); len(list) != 1 || list[0].Status != "Unused" {
			t.Errorf("%+v", list)
		}
		h.want(400, "DELETE", at(files, h.crl), "")
		h.want(204, "DELETE", at(files, "new.pem"), "")
		h.want(404, "DELETE", at(files, "new.pem"), "")
	})
}

// What cannot be the name or the content of a file does not come as far as the proxy.
func TestRuntimeSSLBadInput(t *testing.T) {
	h, _ := newHouse(t)
	big := strings.Repeat("x", 1<<20+1)
	for _, c := range []struct {
		status                       int
		method, path, filename, data string
	}{
		{422, "POST", "runtime/ssl_certs", "", "x"},
		{422, "POST", "runtime/ssl_certs", "a;b", "x"},
		{422, "POST", "runtime/ssl_certs", "a<<b", "x"},
		{422, "POST", "runtime/ssl_ca_files", strings.Repeat("a", 1025), "x"},
		{422, "PUT", "runtime/ssl_certs/a%3Bb", "x", "x"},
		{422, "PUT", "runtime/ssl_certs/a%0Ab", "x", "x"},
		{422, "PUT", "runtime/ssl_certs/a%5Cb", "x", "x"},
		{400, "POST", "runtime/ssl_certs", "a.pem", ""},
		{400, "POST", "runtime/ssl_certs", "a.pem", "\n \n"},
		{400, "POST", "runtime/ssl_crl_files", "a.pem", "a\x00b"},
		{413, "POST", "runtime/ssl_certs", "a.pem", big},
		{413, "PUT", "runtime/ssl_certs/a.pem", "x", big},
		{413, "PUT", "runtime/ssl_ca_files/a.pem", "x", strings.Repeat("x", 17<<20)},
	} {
		h.sendFile(c.status, c.method, c.path, c.filename, c.data)
	}
	h.want(415, "POST", "runtime/ssl_certs", "x")
	h.want(400, "POST", "runtime/ssl_crt_lists/entries", `{"file":"a"}`)
	for _, body := range []string{`{}`, `{"file":"a b"}`, `{"file":"a\nb"}`, `{"file":"a","sni_filter":["b c"]}`, `{"file":"a","sni_filter":["b\nc"]}`,
		`{"file":"a","ssl_bind_config":"alpn h2] x ["}`, `{"file":"a","ssl_bind_config":"alpn\nh2"}`, `{"file":"#a"}`} {
		h.want(422, "POST", "runtime/ssl_crt_lists/entries?name=l", body)
	}
	h.want(400, "POST", "runtime/ssl_crt_lists/entries?name=l", `{"file":1}`)
	h.want(400, "DELETE", "runtime/ssl_crt_lists/entries?name=l", "")
	h.want(422, "DELETE", "runtime/ssl_crt_lists/entries?name=l&cert_file=a%5Cb", "")
	// Without any of it.
	if _, text := h.want(200, "GET", "runtime/ssl_certs", ""); text != "[]\n" {
		t.Error(text)
	}
	if _, text := h.want(200, "GET", "runtime/ssl_crt_lists", ""); text != "[]\n" {
		t.Error(text)
	}
}
