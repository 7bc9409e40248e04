package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
)

// restart runs the daemon with other settings.
func (h *house) restart(yaml string) {
	h.t.Helper()
	h.write("d.yaml", yaml)
	h.daemon.Process.Signal(syscall.SIGTERM)
	if err := h.daemon.Wait(); err != nil {
		h.t.Fatalf("after a signal: %v\n%s", err, h.read("daemon.err"))
	}
	h.start()
}

// The settings file of the original's documentation starts the daemon, with nothing but its paths and ports changed (and its standard output).
func TestOriginalSettings(t *testing.T) {
	h, ports := newHouse(t)
	data, err := os.ReadFile("../settings/testdata/dataplaneapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(2, "localhost")
	h.write("server.crt", cert)
	h.write("server.key", key)
	h.write("ca.crt", ca.pem)
	h.write("before.cfg", "# before\n")
	h.write("after.cfg", "# after\n")
	tlsPort := freePorts(t, 1)[0]
	h.restart(strings.NewReplacer(
		"host: 0.0.0.0\n  port: 5555", "host: 127.0.0.1\n  port: 0", "    - https\n", "    - https\n    - unix\n", "tls_port: 6443", fmt.Sprintf("tls_port: %d", tlsPort),
		"/var/run/data-plane.sock", h.dir+"/api.sock", "/tmp/dataplane.pid", h.dir+"/d.pid", "/etc/ssl/certs/dataplane.crt", h.dir+"/server.crt",
		"/etc/ssl/private/dataplane.key", h.dir+"/server.key", "/etc/ssl/certs/ca.crt", h.dir+"/ca.crt", "/tmp/haproxy\n", h.dir+"/transactions\n",
		"/tmp/backups", h.dir+"/backups", "name: dataplaneapi\n", "name: admin\n", "config_file: /etc/haproxy/haproxy.cfg", "config_file: "+h.cfg,
		"haproxy_bin: haproxy", "haproxy_bin: "+haproxy(t), "/var/run/haproxy-master.sock", h.dir+"/m.sock", "/etc/haproxy/ssl", h.dir+"/ssl", "/etc/haproxy/maps", h.dir+"/maps", "/etc/haproxy/general", h.dir+"/general",
		"/etc/haproxy/before.cfg", h.dir+"/before.cfg", "/etc/haproxy/after.cfg", h.dir+"/after.cfg", "systemctl reload haproxy", "true", "/var/log/dataplaneapi.log", h.dir+"/app.log", "log_to: stdout", "log_to: stderr", // the test reads what is printed
	).Replace(string(data)))
	// A change goes through: it is checked with the files before and after, the old text is where the file says.
	h.want(201, "POST", "configuration/backends/app/servers?version=1", fmt.Sprintf(`{"name":"s3","address":"127.0.0.1","port":%d}`, ports[2]))
	for _, name := range []string{"backups/h.cfg.1", "transactions/state.json", "d.pid", "app.log"} {
		h.read(name)
	}
	h.await("traffic on the new server", func() bool { return h.fetch() == "two" })
	if _, text := h.want(200, "GET", "/info", ""); strings.Contains(text, "hostname") {
		t.Errorf("the machine is shown: %s", text)
	}
	log := h.read("app.log")
	if !strings.Contains(log, "spoe_dir has no effect") || strings.Contains(log, "is not known") || strings.Contains(log, "msg=request ") {
		t.Error(log)
	}
	// The second user, over the socket of the file system and over TLS, with the certificate of a client.
	cert, key = ca.issue(3, "client")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.pem))
	get := func(url string, tr *http.Transport) (int, error) {
		defer tr.CloseIdleConnections()
		req, err := http.NewRequest("GET", url+"/v3/services/haproxy/configuration/version", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("hashed", "password")
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.dir+"/api.sock")
	}
	if code, err := get("http://x", &http.Transport{DialContext: dial}); err != nil || code != 200 {
		t.Errorf("unix: %d %v", code, err)
	}
	secure := fmt.Sprintf("https://localhost:%d", tlsPort)
	if code, err := get(secure, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}); err != nil || code != 200 {
		t.Errorf("https: %d %v", code, err)
	}
	if code, err := get(secure, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}); err == nil {
		t.Errorf("https without a certificate: %d", code)
	}
}

// The daemon gives up what it was started as, and works.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if become(os.Geteuid()+1, 0) == nil {
			t.Error("anybody can be anybody")
		}
		return
	}
	h, _ := newHouse(t)
	err := filepath.WalkDir(h.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, 65534, 65534)
	})
	if err != nil {
		t.Fatal(err)
	}
	h.restart(strings.Replace(h.read("d.yaml"), "  port: 0\n", "  port: 0\n  uid: 65534\n  gid: 65534\n", 1))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.daemon.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUid:\t65534\t65534\t65534\t65534\n", "\nGid:\t65534\t65534\t65534\t65534\n", "\nGroups:\t65534 \n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	h.want(200, "GET", "configuration/backends", "")
}

// Requests that do not end keep nobody out: the daemon answers others while they are still open.
func TestUnfinishedRequests(t *testing.T) {
	h, _ := newHouse(t)
	h.restart(strings.Replace(h.read("d.yaml"), "  port: 0\n", "  port: 0\n  listen_limit: 200\n", 1))
	address := strings.Split(h.url, "/")[2]
	http.DefaultClient.CloseIdleConnections() // the next request comes on a connection of its own
	for range 3 {                             // a machine under load may be so slow that they have timed out
		var last net.Conn
		for i := range 300 {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, []string{"", "G", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp4\r\nContent-Length: 9"}[i%4])
			last = c
		}
		h.want(200, "GET", "configuration/version", "")
		last.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := last.Read(make([]byte, 1)); os.IsTimeout(err) {
			return // it was open all the time
		}
		http.DefaultClient.CloseIdleConnections()
	}
	t.Error("the daemon answered when the others had timed out")
}

// Symbolic links in the folders of the storage are not followed, whatever is done with them.
func TestStorageLinks(t *testing.T) {
	h, _ := newHouse(t)
	secret := newAuthority(t, "secret").both(2, "secret")
	h.write("secret", secret)
	for _, dir := range []string{"ssl", "crt-lists"} {
		if err := os.Mkdir(filepath.Join(h.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(h.dir+"/secret", filepath.Join(h.dir, dir, "link.pem")); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(h.dir, dir, "fifo.pem"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"link.pem", "fifo.pem"} {
		for _, path := range []string{"storage/ssl_certificates", "storage/ssl_crt_lists"} {
			if _, text := h.want(200, "GET", path, ""); text != "[]\n" {
				t.Error(text)
			}
			if _, text := h.want(400, "GET", path+"/"+name, ""); !strings.Contains(text, "not followed") {
				t.Error(text)
			}
			h.want(400, "DELETE", path+"/"+name, "")
		}
		h.want(400, "PUT", "storage/ssl_certificates/"+name, newAuthority(t, "other").both(3, "other"))
		h.sendFile(400, "POST", "storage/ssl_certificates", name, newAuthority(t, "other").both(3, "other"))
		h.want(400, "GET", "storage/ssl_crt_lists/"+name+"/entries", "")
		h.want(400, "POST", "storage/ssl_crt_lists/"+name+"/entries", `{"file":"a.pem"}`)
	}
	if h.read("secret") != secret {
		t.Error("the file behind the link has changed")
	}
	// A key beside a certificate is none behind a link.
	cert, key := newAuthority(t, "split").issue(4, "split")
	h.write("elsewhere", key)
	if err := os.Symlink(h.dir+"/elsewhere", h.dir+"/ssl/split.pem.key"); err != nil {
		t.Fatal(err)
	}
	h.sendFile(201, "POST", "storage/ssl_certificates", "split.pem", cert)
}

// Names have a length, and nothing in them that ends the check of who reads them.
func TestNames(t *testing.T) {
	h, _ := newHouse(t)
	long, file := strings.Repeat("n", 256), h.read("h.cfg")
	for _, c := range []struct{ path, body string }{
		{"configuration/backends?version=1", `{"name":"` + long + `"}`},
		{"configuration/backends?version=1", `{"name":"x","from":"` + long + `"}`},
		{"configuration/backends/app/servers?version=1", `{"name":"` + long + `","address":"h"}`},
		{"configuration/backends/app/servers?version=1", `{"name":"a\u0000b","address":"h"}`},
		{"configuration/backends/app/servers?version=1", `{"name":"a","address":"h\u0000","port":1}`},
		{"configuration/backends/app/acls/0?version=1", `{"acl_name":"` + long + `","criterion":"path"}`},
		{"configuration/frontends/web/binds?version=1", `{"name":"` + long + `","port":1}`},
		{"configuration/frontends/web/http_request_rules/0?version=1", `{"type":"set-header","hdr_name":"a\u0000","hdr_format":"b"}`},
		{"runtime/backends/app/servers", `{"name":"` + long + `","address":"127.0.0.1","port":1}`},
		{"runtime/backends/app/servers", `{"name":"a\u0000b","address":"127.0.0.1","port":1}`},
		{"runtime/backends/app/servers", `{"name":"a;b","address":"127.0.0.1","port":1}`},
		{"runtime/backends/app/servers", `{"name":"a/b","address":"127.0.0.1","port":1}`},
		{"runtime/backends/app/servers", `{"address":"127.0.0.1","port":1}`},
	} {
		h.want(422, "POST", c.path, c.body)
	}
	if _, text := h.want(200, "GET", "runtime/backends/app/servers", ""); strings.Count(text, `"name"`) != 1 || h.read("h.cfg") != file {
		t.Error(text)
	}
}

// Each record goes to the targets of its kind, with the severity of its level.
func TestLoggers(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	dir := t.TempDir()
	app, access, closeAll, err := loggers([]settings.LogTarget{
		{To: "file", File: dir + "/app", Types: settings.LogTypes{App: true}}, {To: "file", File: dir + "/access", Format: "json", Types: settings.LogTypes{Access: true}},
		{To: "file", File: dir + "/both", Level: "warning"},
		{To: "syslog", SyslogAddress: "127.0.0.1", SyslogPort: pc.LocalAddr().(*net.UDPAddr).Port, SyslogTag: "tag", SyslogLevel: "warning", SyslogFacility: "local3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	app.Debug("none")
	app.Info("one")
	app.Error("two", "k", "v w")
	access.Info("three")
	for name, want := range map[string]string{"app": "level=INFO msg=one\n|level=ERROR msg=two k=\"v w\"\n", "access": `"level":"INFO","msg":"three"}` + "\n", "both": "level=ERROR msg=two k=\"v w\"\n"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(want, "|") {
			if !strings.Contains(string(data), line) {
				t.Errorf("%s: %q", name, data)
			}
		}
		if strings.Count(string(data), "\n") != strings.Count(want, "\n") {
			t.Errorf("%s: %q", name, data)
		}
	}
	buf := make([]byte, 2048)
	pc.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, _, err := pc.ReadFrom(buf)
	if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, fmt.Sprintf("<%d>", 19<<3|3)) || !strings.Contains(got, " tag[") || !strings.Contains(got, "msg=two") {
		t.Errorf("%q %v", got, err)
	}
	if app.Handler().Enabled(t.Context(), slog.LevelDebug) {
		t.Error("debug is on")
	}
	for _, bad := range []settings.LogTarget{{To: "zork"}, {Level: "zork"}, {Format: "zork"}, {To: "syslog", SyslogFacility: "zork"}, {To: "file", File: dir}} {
		if _, _, _, err := loggers([]settings.LogTarget{bad}); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}
