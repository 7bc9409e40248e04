package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// reloaded waits for the reload of an answer.
func (h *house) reloaded(header http.Header) {
	h.t.Helper()
	h.await("the reload", func() bool {
		_, text := h.want(200, "GET", "reloads/"+header.Get("Reload-ID"), "")
		return strings.Contains(text, `"succeeded"`)
	})
}

// Certificates and crt-lists in the storage: on disk and in the proxy in one step, in front of either program.
func TestStorage(t *testing.T) {
	for name, bin := range map[string]func(*testing.T) string{"haproxy": haproxy, "forebay": forebay} {
		t.Run(name, func(t *testing.T) { testStorage(t, bin(t), name == "forebay") })
	}
}

func testStorage(t *testing.T, bin string, inPlace bool) {
	port := freePorts(t, 1)[0]
	ca := newAuthority(t, "ca")
	certificate := func(name string, serial int64) string { return ca.both(serial, name) }
	first, extra := certificate("a.example", 1), certificate("b.example", 2)
	h := build(t, bin, "  user: [{name: admin, password: adminpwd, insecure: true}]", func(dir string) string {
		for file, data := range map[string]string{"ssl/a.pem": first, "crt-lists/web.txt": dir + "/ssl/a.pem\n# b.example is to come\n"} {
			file = filepath.Join(dir, file)
			os.MkdirAll(filepath.Dir(file), 0o700)
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprintf(`global
    stats socket %[1]s/stats.sock level admin
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend web
    bind 127.0.0.1:%[2]d ssl crt-list %[1]s/crt-lists/web.txt
    http-request return status 200 content-type text/plain string ok
`, dir, port)
	}, port)
	worker := h.worker()
	a := filepath.Join(h.dir, "ssl", "a.pem")

	// What is there.
	_, text := h.want(200, "GET", "storage/ssl_certificates", "")
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || list[0]["storage_name"] != "a.pem" || list[0]["file"] != a || list[0]["subject"] != "CN=a.example" || list[0]["serial"] != "01" {
		t.Errorf("%v %s", err, text)
	}
	h.want(404, "GET", "storage/ssl_certificates/b.pem", "")
	h.want(200, "GET", "storage", "")

	// A replacement is served to the next handshake by the same process.
	second := certificate("a.example", 11)
	h.want(200, "PUT", "storage/ssl_certificates/a.pem", second)
	if got := served(t, h.port, "a.example"); got != 11 {
		t.Errorf("certificate %d is served", got)
	}
	if h.read("ssl/a.pem") != second {
		t.Error("the file has another content")
	}

	// The same content again reaches a proxy that has another one in memory.
	h.want(200, "PUT", "storage/ssl_certificates/a.pem?skip_reload=true", first)
	if got := served(t, h.port, "a.example"); got != 11 {
		t.Errorf("certificate %d is served after skip_reload", got)
	}
	h.want(200, "PUT", "storage/ssl_certificates/a.pem", first)
	if got := served(t, h.port, "a.example"); got != 1 {
		t.Errorf("certificate %d is served of a file that did not change", got)
	}
	h.want(200, "PUT", "storage/ssl_certificates/a.pem", second)

	// What cannot be served changes nothing.
	h.sendFile(415, "PUT", "storage/ssl_certificates/a.pem", "a.pem", first)
	for _, bad := range []string{"zork", second[:strings.Index(second, "-----BEGIN PRIVATE")] + first[strings.Index(first, "-----BEGIN PRIVATE"):], second[:strings.Index(second, "-----BEGIN PRIVATE")]} {
		h.want(400, "PUT", "storage/ssl_certificates/a.pem", bad)
		if h.read("ssl/a.pem") != second || served(t, h.port, "a.example") != 11 {
			t.Errorf("%.20q has changed something", bad)
		}
	}
	h.want(404, "PUT", "storage/ssl_certificates/none.pem", second)
	h.want(400, "PUT", "storage/ssl_certificates/a.pem?force_reload=true&skip_reload=true", second)
	h.want(400, "DELETE", "storage/ssl_certificates/a.pem", "") // the list names it
	if h.read("ssl/a.pem") != second {
		t.Error("the file is gone")
	}

	// A new one, and its entry in the list.
	h.sendFile(201, "POST", "storage/ssl_certificates", "b.pem", extra)
	h.sendFile(409, "POST", "storage/ssl_certificates", "b.pem", extra)
	for _, evil := range []string{".b.pem", "b\n.pem", strings.Repeat("b", 201), "..", "a;b.pem", "a b.pem"} {
		h.sendFile(400, "POST", "storage/ssl_certificates", evil, extra)
	}
	if served(t, h.port, "b.example") != 11 {
		t.Error("a certificate is served that no list has")
	}
	b := filepath.Join(h.dir, "ssl", "b.pem")
	// What the proxy has in memory alone is nothing for a file that it starts with.
	h.sendFile(201, "POST", "runtime/ssl_certs", "memory.pem", extra)
	h.want(400, "POST", "storage/ssl_crt_lists/web.txt/entries", `{"file":"memory.pem"}`)
	h.want(204, "DELETE", "runtime/ssl_certs/memory.pem", "")
	if _, text = h.want(422, "POST", "storage/ssl_crt_lists/web.txt/entries", `{}`); !strings.Contains(text, `"file is required"`) {
		t.Error(text)
	}
	h.want(201, "POST", "storage/ssl_crt_lists/web.txt/entries", fmt.Sprintf(`{"file":%q,"sni_filter":["b.example","!c.example"],"ssl_bind_config":"alpn h2"}`, b))
	h.want(409, "POST", "storage/ssl_crt_lists/web.txt/entries", fmt.Sprintf(`{"file":%q,"sni_filter":["b.example","!c.example"],"ssl_bind_config":"alpn h2"}`, b))
	h.want(422, "POST", "storage/ssl_crt_lists/web.txt/entries", `{"file":"a b"}`)
	if got := served(t, h.port, "b.example"); got != 2 {
		t.Errorf("certificate %d is served for the new entry", got)
	}
	if got := h.read("crt-lists/web.txt"); got != a+"\n# b.example is to come\n"+b+" [alpn h2] b.example !c.example\n" {
		t.Errorf("%q", got)
	}
	_, text = h.want(200, "GET", "storage/ssl_crt_lists/web.txt/entries", "")
	if !strings.Contains(text, `"line_number":3,"sni_filter":["b.example","!c.example"],"ssl_bind_config":"alpn h2"`) {
		t.Error(text)
	}
	_, text = h.want(200, "GET", "runtime/ssl_crt_lists/entries?name="+filepath.Join(h.dir, "crt-lists", "web.txt"), "")
	if !strings.Contains(text, b) {
		t.Errorf("the proxy has not the entry: %s", text)
	}
	if h.worker() != worker {
		t.Error("there is a new worker")
	}

	// Away with both.
	h.want(404, "DELETE", "storage/ssl_crt_lists/web.txt/entries?certificate=/none&line_number=3", "")
	h.want(204, "DELETE", "storage/ssl_crt_lists/web.txt/entries?line_number=3&certificate="+b, "")
	if got := served(t, h.port, "b.example"); got != 11 {
		t.Errorf("certificate %d is served for the entry that is gone", got)
	}
	h.want(204, "DELETE", "storage/ssl_certificates/b.pem", "")
	h.want(404, "DELETE", "storage/ssl_certificates/b.pem", "")
	if h.worker() != worker {
		t.Error("there is a new worker")
	}

	// A certificate whose key is in a file of its own goes to the proxy with it.
	cert, key := ca.issue(5, "apart.example")
	h.sendFile(201, "POST", "storage/ssl_certificates", "apart.pem.key", key)
	h.sendFile(201, "POST", "storage/ssl_certificates", "apart.pem", cert)
	h.want(201, "POST", "storage/ssl_crt_lists/web.txt/entries", fmt.Sprintf(`{"file":%q}`, filepath.Join(h.dir, "ssl", "apart.pem")))
	if got := served(t, h.port, "apart.example"); got != 5 {
		t.Errorf("certificate %d is served for the new entry", got)
	}
	cert, key = ca.issue(55, "apart.example")
	h.want(400, "PUT", "storage/ssl_certificates/apart.pem", cert) // the key is that of another
	h.want(200, "PUT", "storage/ssl_certificates/apart.pem.key?skip_reload=true", key)
	h.want(200, "PUT", "storage/ssl_certificates/apart.pem", cert)
	if got := served(t, h.port, "apart.example"); got != 55 || h.worker() != worker {
		t.Errorf("certificate %d is served by worker %s, once %s", got, h.worker(), worker)
	}

	// What stands beside a certificate, in the form that it has on the disk.
	block, _ := pem.Decode([]byte(cert))
	x, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	staple, err := ocsp.CreateResponse(ca.cert, ca.cert, ocsp.Response{Status: ocsp.Good, SerialNumber: x.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	h.sendFile(201, "POST", "storage/ssl_certificates", "apart.pem.issuer", ca.pem)
	h.sendFile(400, "POST", "storage/ssl_certificates", "apart.pem.ocsp", ca.pem)
	h.sendFile(201, "POST", "storage/ssl_certificates", "apart.pem.ocsp", string(staple))
	if h.read("ssl/apart.pem.ocsp") != string(staple) || h.worker() != worker {
		t.Error("the response is another one on the disk, or there is a new worker")
	}
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", h.port), &tls.Config{ServerName: "apart.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := c.ConnectionState().OCSPResponse; string(got) != string(staple) {
		t.Errorf("%d bytes are stapled, want %d", len(got), len(staple))
	}

	// A whole list has no commands: in place, or by a reload.
	third := filepath.Join(h.dir, "ssl", "c.pem")
	h.sendFile(201, "POST", "storage/ssl_certificates", "c.pem", certificate("c.example", 3))
	status := 202
	if inPlace {
		status = 200
	}
	header, _ := h.want(status, "PUT", "storage/ssl_crt_lists/web.txt", a+"\n"+third+"\n")
	if !inPlace {
		h.reloaded(header)
	}
	h.await("the new list", func() bool { return served(t, h.port, "c.example") == 3 })
	if (h.worker() == worker) != inPlace {
		t.Errorf("the worker was %s and is %s", worker, h.worker())
	}
	h.want(400, "PUT", "storage/ssl_crt_lists/web.txt", a+" [zork\n")
	h.want(400, "PUT", "storage/ssl_crt_lists/web.txt", "/none.pem\n")
	if got := h.read("crt-lists/web.txt"); got != a+"\n"+third+"\n" {
		t.Errorf("%q", got)
	}
	h.sendFile(201, "POST", "storage/ssl_crt_lists", "other.txt", a+"\n")
	_, text = h.want(200, "GET", "storage/ssl_crt_lists", "")
	if !strings.Contains(text, `"other.txt"`) || !strings.Contains(text, `"web.txt"`) {
		t.Error(text)
	}
	if header, text := h.want(200, "GET", "storage/ssl_crt_lists/other.txt", ""); text != a+"\n" || header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q %v", text, header)
	}
	h.want(404, "GET", "storage/ssl_crt_lists/none.txt", "")
	h.want(204, "DELETE", "storage/ssl_crt_lists/other.txt?skip_reload=true", "")
	worker = h.worker()
	h.want(200, "PUT", "storage/ssl_certificates/c.pem?force_reload=true", certificate("c.example", 33))
	if !inPlace { // a reload of Forebay needs no new worker for this
		h.await("another worker", func() bool { return h.worker() != worker })
	}
	if got := served(t, h.port, "c.example"); got != 33 {
		t.Errorf("certificate %d is served after the reload", got)
	}
}
