package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"golang.org/x/sys/unix"
)

// The test program is the daemon itself when it is started with this variable.
const asDaemon = "DATAPLANEAPI_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := settings.Parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = Run(ctx, s, func(a []net.Addr) { fmt.Println(a[0]) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// house is a proxy with the daemon in front of it.
type house struct {
	t      *testing.T
	dir    string
	cfg    string
	port   int // of the frontend
	url    string
	daemon *exec.Cmd
	routes routers.Router // of the document that the daemon serves
}

const example = `# the example
global
    stats socket %[1]s/stats.sock level admin expose-fd listeners # ops
    maxconn 100

defaults
    mode http
    timeout client 30s   # half a minute
    timeout server 30s
    timeout connect 5s

userlist controller
    user admin insecure-password adminpwd
    user hashed password $5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.

frontend web
    bind 127.0.0.1:%[2]d
    default_backend app

# where the work is done
backend app
    balance roundrobin
    server s1 127.0.0.1:%[3]d check # first
    # behind the first

listen one
    bind 127.0.0.1:%[3]d
    http-request return status 200 content-type text/plain string one
listen two
    bind 127.0.0.1:%[4]d
    http-request return status 200 content-type text/plain string two
`

// freePorts finds ports that nobody listens on. Until the test ends the system gives
// them to nobody, but whoever is told to can listen on them: sockets that do not
// listen keep them.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, sa.(*unix.SockaddrInet4).Port)
	}
	return ports
}

// haproxy is the proxy that the tests run: the program of the distribution's package.
func haproxy(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		path = "/usr/sbin/haproxy"
		if _, err := os.Stat(path); err != nil {
			t.Fatal("the tests need haproxy: apt-get install haproxy")
		}
	}
	return path
}

func newHouse(t *testing.T) (*house, []int) {
	t.Helper()
	ports := freePorts(t, 3)
	return build(t, haproxy(t), "", func(dir string) string { return fmt.Sprintf(example, dir, ports[0], ports[1], ports[2]) }, ports[0]), ports
}

// build starts a proxy and the daemon in front of it. users are the settings' own; without any, the userlist of the
// configuration counts.
func build(t *testing.T, bin, users string, cfg func(dir string) string, port int) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "dp") // short: the path of a socket is bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &house{t: t, dir: dir, cfg: filepath.Join(dir, "h.cfg"), port: port}
	h.put(cfg(dir))
	h.write("d.yaml", fmt.Sprintf(`
config_version: 2
dataplaneapi:
  host: 127.0.0.1
  port: 0
%[3]s
  transaction: {transaction_dir: %[1]s/state, max_open_transactions: 2}
haproxy:
  config_file: %[1]s/h.cfg
  haproxy_bin: %[2]s
  master_runtime: %[1]s/m.sock
  reload: {reload_delay: 0}
log_targets:
  - {log_to: file, log_file: %[1]s/d.log, log_level: debug}
`, dir, bin, users))
	proxy := exec.Command(bin, "-W", "-S", dir+"/m.sock,level,admin", "-f", h.cfg)
	proxy.Stdout, proxy.Stderr = h.log("proxy.log"), h.log("proxy.err")
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Process.Signal(syscall.SIGTERM); proxy.Wait() })
	h.await("the proxy", func() bool {
		c, err := net.Dial("unix", dir+"/stats.sock")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	h.start()
	return h
}

func (h *house) write(name, text string) {
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) put(text string) { h.write("h.cfg", text) }

func (h *house) log(name string) *os.File {
	f, err := os.OpenFile(filepath.Join(h.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { f.Close() })
	return f
}

func (h *house) read(name string) string {
	data, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

// await polls for something that another process does and gives no event for.
func (h *house) await(what string, done func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			d, _ := os.ReadFile(h.dir + "/d.log")
			p, _ := os.ReadFile(h.dir + "/proxy.err")
			h.t.Fatalf("%s: it did not happen\n%s\n%s", what, d, p)
		}
	}
}

// start runs the daemon in a process of its own and waits until it serves.
func (h *house) start() {
	h.t.Helper()
	cmd := exec.Command(os.Args[0], "-f", h.dir+"/d.yaml")
	cmd.Env = append(os.Environ(), asDaemon+"=1")
	cmd.Stderr = h.log("daemon.err")
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		h.t.Fatalf("the daemon did not start: %v\n%s", err, h.read("daemon.err"))
	}
	h.daemon, h.url = cmd, "http://"+addr+"/v3/services/haproxy/"
	if h.routes != nil {
		return
	}
	code, _, text, err := h.call("GET", "/specification_openapiv3", "")
	if err != nil || code != 200 {
		h.t.Fatal(code, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		h.t.Fatal(err)
	}
	if h.routes, err = legacy.NewRouter(doc); err != nil {
		h.t.Fatal(err)
	}
}

// conforms checks an answer against the document.
func (h *house) conforms(req *http.Request, code int, header http.Header, text string) error {
	if h.routes == nil || code == 404 || code == 405 {
		return nil
	}
	at := *req.URL
	at.Scheme, at.Host = "", ""
	at.Path, at.RawPath = at.EscapedPath(), "" // a slash in a name is no folder
	route, params, err := h.routes.FindRoute(&http.Request{Method: req.Method, URL: &at})
	if err != nil {
		return fmt.Errorf("%s: %w", at.Path, err)
	}
	return openapi3filter.ValidateResponse(h.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 code, Header: header, Body: io.NopCloser(strings.NewReader(text)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// call sends a request and reads the answer. A path that begins with a slash is below /v3, any other below the service.
func (h *house) call(method, path, body string) (int, http.Header, string, error) {
	url := strings.TrimSuffix(h.url+path, "/")
	if strings.HasPrefix(path, "/") {
		url = strings.TrimSuffix(h.url, "/services/haproxy/") + path
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	return h.send(req)
}

func (h *house) send(req *http.Request) (int, http.Header, string, error) {
	req.SetBasicAuth("admin", "adminpwd")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		if err := ordered(data); err != nil && resp.StatusCode < 300 && req.Method == "GET" && strings.Contains(resp.Header.Get("Content-Type"), "json") {
			h.t.Errorf("%s %s: %v\n%s", req.Method, req.URL, err, data)
		}
		if err := h.conforms(req, resp.StatusCode, resp.Header, string(data)); err != nil {
			h.t.Errorf("%s %s: the answer is not as the document says: %v", req.Method, req.URL, err)
		}
	}
	return resp.StatusCode, resp.Header, string(data), err
}

// own are the properties of lines that share their options with others.
var own = map[string]bool{"address": true, "id": true, "metadata": true, "name": true, "port": true, "port-range-end": true, "fqdn": true, "num_or_range": true, "prefix": true}

// ordered tells whether the properties of all objects are in the document's order: the alphabet's, with what is a server's
// or a bind's own behind its options, and the children behind the settings of a section.
func ordered(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	var keys []string // of the objects that are open
	var inObject []bool
	expectKey := false
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				inObject, keys = append(inObject, v == '{'), append(keys, "")
			default:
				inObject, keys = inObject[:len(inObject)-1], keys[:len(keys)-1]
			}
			expectKey = len(inObject) > 0 && inObject[len(inObject)-1]
			continue
		case string:
			if expectKey {
				last := keys[len(keys)-1]
				late := own[v] && !own[last] || strings.HasSuffix(v, "_list") || v == "binds" || v == "servers" || v == "server_templates" || v == "crt_loads"
				if v <= last && !late {
					return fmt.Errorf("%q comes behind %q", v, last)
				}
				keys[len(keys)-1] = v
				expectKey = false
				continue
			}
		}
		expectKey = len(inObject) > 0 && inObject[len(inObject)-1]
	}
}

// want sends a request and checks the status.
func (h *house) want(status int, method, path, body string) (http.Header, string) {
	h.t.Helper()
	code, header, text, err := h.call(method, path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if code != status {
		h.t.Fatalf("%s %s: %d, want %d\n%s", method, path, code, status, text)
	}
	return header, text
}

func (h *house) version() string {
	h.t.Helper()
	_, text := h.want(200, "GET", "configuration/version", "")
	return strings.TrimSpace(text)
}

// worker is the process id of the proxy's worker.
func (h *house) worker() string {
	h.t.Helper()
	_, text := h.want(200, "GET", "runtime/info", "")
	var info struct{ Info struct{ PID int } }
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		h.t.Fatal(err)
	}
	return strconv.Itoa(info.Info.PID)
}

func (h *house) fetch() string {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", h.port))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return string(data)
}

// A server added over REST takes traffic at once, in the same worker, and the file has its line and nothing else changed.
func TestAddServer(t *testing.T) {
	h, ports := newHouse(t)
	before, worker := h.read("h.cfg"), h.worker()
	header, _ := h.want(201, "POST", "configuration/backends/app/servers?version=1", fmt.Sprintf(`{"name":"s3","address":"127.0.0.1","port":%d,"check":"enabled"}`, ports[2]))
	if header.Get("Configuration-Version") != "2" || header.Get("Reload-ID") != "" {
		t.Errorf("headers %v", header)
	}
	line := fmt.Sprintf("check # first\n    server s3 127.0.0.1:%d check\n", ports[2])
	if want := "# _version=2\n" + strings.Replace(before, "check # first\n", line, 1); h.read("h.cfg") != want {
		t.Errorf("the file is\n%s", h.read("h.cfg"))
	}
	h.await("traffic on the new server", func() bool { return h.fetch() == "two" })
	h.want(409, "POST", "configuration/backends/app/servers?version=1", `{"name":"s4","address":"127.0.0.1","port":1}`)
	h.want(409, "POST", "configuration/backends/app/servers?version=2", `{"name":"s3","address":"127.0.0.1","port":1}`)
	h.want(200, "PUT", "configuration/backends/app/servers/s3?version=2", fmt.Sprintf(`{"name":"s3","address":"127.0.0.1","port":%d,"check":"enabled","weight":7}`, ports[2]))
	_, text := h.want(200, "GET", "runtime/backends/app/servers/s3", "")
	var server map[string]any
	if err := json.Unmarshal([]byte(text), &server); err != nil || server["weight"] != 7.0 || server["admin_state"] != "ready" {
		t.Errorf("running server %v", server)
	}
	h.want(204, "DELETE", "configuration/backends/app/servers/s3?version=3", "")
	if h.read("h.cfg") != "# _version=4\n"+before {
		t.Errorf("the file is\n%s", h.read("h.cfg"))
	}
	h.want(404, "GET", "runtime/backends/app/servers/s3", "")
	if h.worker() != worker {
		t.Error("the worker is another one")
	}
}

// What no command covers is taken over by a reload, with a 202 and a status to ask for.
func TestReload(t *testing.T) {
	h, ports := newHouse(t)
	worker := h.worker()
	header, _ := h.want(202, "POST", "configuration/backends?version=1", `{"name":"new","server_timeout":5000,"forwardfor":{"enabled":"enabled"}}`)
	id := header.Get("Reload-ID")
	h.await("the reload", func() bool {
		_, text := h.want(200, "GET", "reloads/"+id, "")
		return strings.Contains(text, `"succeeded"`)
	})
	if h.worker() == worker {
		t.Error("the worker is the same")
	}
	h.want(404, "GET", "reloads/2001-01-01-1", "")
	// Now, not later.
	bind := freePorts(t, 1)[0]
	h.want(201, "POST", "configuration/frontends?version=2&force_reload=true&full_section=true", fmt.Sprintf(
		`{"name":"fe2","default_backend":"app","binds":{"b":{"name":"b","address":"127.0.0.1","port":%d}},"acl_list":[{"acl_name":"x","criterion":"path","value":"/x"}],
		"http_request_rule_list":[{"type":"deny","deny_status":403,"cond":"if","cond_test":"x"}]}`, bind))
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/x", bind))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("status %d", resp.StatusCode)
	}
	// The proxy refuses: nothing is left of it.
	file := h.read("h.cfg")
	_, text := h.want(400, "POST", "configuration/frontends/web/binds?version=3", fmt.Sprintf(`{"name":"again","address":"127.0.0.1","port":%d,"ssl":true}`, ports[0]))
	if h.read("h.cfg") != file || !strings.Contains(text, "[h.cfg:") {
		t.Errorf("%s\n%s", text, h.read("h.cfg"))
	}
}

func TestTransactions(t *testing.T) {
	h, ports := newHouse(t)
	h.want(409, "POST", "transactions?version=9", "")
	_, text := h.want(201, "POST", "transactions?version=1", "")
	var tx struct{ ID, Status string }
	if err := json.Unmarshal([]byte(text), &tx); err != nil || tx.Status != "in_progress" {
		t.Fatal(text)
	}
	_, text = h.want(201, "POST", "transactions?version=1", "")
	var other struct{ ID string }
	if err := json.Unmarshal([]byte(text), &other); err != nil {
		t.Fatal(err)
	}
	h.want(429, "POST", "transactions?version=1", "")
	in := "?transaction_id=" + tx.ID
	h.want(400, "POST", "configuration/backends/app/servers"+in+"&version=1", `{"name":"s5","address":"127.0.0.1","port":1}`)
	h.want(202, "POST", "configuration/backends/app/servers"+in, fmt.Sprintf(`{"name":"s5","address":"127.0.0.1","port":%d}`, ports[2]))
	h.want(200, "GET", "configuration/backends/app/servers/s5"+in, "")
	h.want(404, "GET", "configuration/backends/app/servers/s5", "")
	h.want(404, "GET", "configuration/backends/app/servers?transaction_id=nope", "")
	// It lives on the disk: a restart in between does not matter.
	h.daemon.Process.Kill()
	h.daemon.Wait()
	h.start()
	header, text := h.want(200, "PUT", "transactions/"+tx.ID, "")
	if header.Get("Configuration-Version") != "2" || !strings.Contains(text, `"success"`) {
		t.Errorf("%v %s", header, text)
	}
	h.want(404, "PUT", "transactions/"+tx.ID, "")
	// The other one is based on a version that is gone.
	h.want(409, "PUT", "transactions/"+other.ID, "")
	h.want(406, "PUT", "transactions/"+other.ID, "")
	h.want(204, "DELETE", "transactions/"+other.ID, "")
	h.want(404, "DELETE", "transactions/"+other.ID, "")
	if _, text := h.want(200, "GET", "transactions", ""); strings.TrimSpace(text) != "[]" {
		t.Error(text)
	}
	// One that the proxy does not accept.
	_, text = h.want(201, "POST", "transactions?version=2", "")
	if err := json.Unmarshal([]byte(text), &tx); err != nil {
		t.Fatal(err)
	}
	h.want(202, "POST", "configuration/frontends/web/backend_switching_rules/0?transaction_id="+tx.ID, `{"name":"app","cond":"if","cond_test":"no_such_acl"}`)
	h.want(400, "PUT", "transactions/"+tx.ID, "")
	if _, text := h.want(200, "GET", "transactions?status=failed", ""); !strings.Contains(text, tx.ID) {
		t.Error(text)
	}
}

func TestHandEdit(t *testing.T) {
	h, _ := newHouse(t)
	h.put(strings.Replace(h.read("h.cfg"), "maxconn 100", "maxconn 101", 1))
	h.await("the version in the file", func() bool { return strings.HasPrefix(h.read("h.cfg"), "# _version=2\n") })
	if h.version() != "2" || !strings.Contains(h.read("d.log"), "changed by hand") {
		t.Error(h.read("d.log"))
	}
	h.want(409, "POST", "configuration/backends?version=1", `{"name":"x"}`)
	_, text := h.want(200, "GET", "configuration/global", "")
	if !strings.Contains(text, `"maxconn":101`) {
		t.Error(text)
	}
}

func TestRaw(t *testing.T) {
	h, _ := newHouse(t)
	header, text := h.want(200, "GET", "configuration/raw", "")
	if text != h.read("h.cfg") || header.Get("Configuration-Checksum") == "" {
		t.Errorf("%v\n%s", header, text)
	}
	h.want(400, "POST", "configuration/raw", text)
	h.want(400, "POST", "configuration/raw?version=1", "backend x\n    zork\n")
	h.want(400, "POST", "configuration/raw?version=1&only_validate=true", "backend x\n    zork\n")
	h.want(201, "POST", "configuration/raw?version=1&only_validate=true", text)
	if h.version() != "1" {
		t.Error("only_validate changed something")
	}
	next := text + "\nbackend raw\n"
	h.want(201, "POST", "configuration/raw?version=1&skip_reload=true", next)
	if h.read("h.cfg") != "# _version=2\n"+next {
		t.Error(h.read("h.cfg"))
	}
	h.want(201, "POST", "configuration/raw?skip_version=true&force_reload=true", text)
}

// Every kind of bad request has its status and names what is wrong.
func TestBadInput(t *testing.T) {
	h, _ := newHouse(t)
	file := h.read("h.cfg")
	for _, c := range []struct {
		status             int
		method, path, body string
		message            string
	}{
		{400, "POST", "configuration/backends?version=1", `{"name":`, "body"},
		{400, "POST", "configuration/backends?version=1", ``, "body"},
		{400, "POST", "configuration/backends", `{"name":"x"}`, "version"},
		{400, "POST", "configuration/backends?version=x", `{"name":"x"}`, "version"},
		{422, "POST", "configuration/backends?version=1", `{}`, "name"},
		{400, "POST", "configuration/backends?version=1", `[]`, "body"},
		{422, "POST", "configuration/backends?version=1", `{"name":"x y"}`, "name"},
		{400, "POST", "configuration/backends?version=1", `{"name":"x","retries":"3"}`, "retries"},
		{400, "POST", "configuration/backends?version=1", `{"name":"x","metadata":1}`, "metadata"},
		{400, "POST", "configuration/backends?version=1", `{"name":["x"]}`, "name"},
		{422, "POST", "configuration/backends?version=1", `{"name":"x","balance":{"algorithm":"zork"}}`, "balance.algorithm"},
		{422, "POST", "configuration/backends?version=1", `{"name":"x","balance":{"algorithm":"roundrobin","uri_len":3}}`, "balance.uri_len"},
		{422, "POST", "configuration/backends?version=1", `{"name":"x","servers":{}}`, "servers"},
		{422, "POST", "configuration/backends/app/servers?version=1", `{"name":"s","address":"h","port":70000}`, "port"},
		{422, "POST", "configuration/backends/app/servers?version=1", `{"name":"s","address":"h x"}`, "address"},
		{422, "POST", "configuration/frontends/web/http_request_rules/0?version=1", `{"type":"set-header","hdr_name":"X"}`, "hdr_format"},
		{400, "POST", "configuration/frontends/web/http_request_rules/5?version=1", `{"type":"allow"}`, "index"},
		{400, "POST", "configuration/frontends/web/http_request_rules/-1?version=1", `{"type":"allow"}`, "index"},
		{400, "GET", "configuration/frontends/web/http_request_rules/one", ``, "index"},
		{422, "POST", "configuration/frontends/web/http_request_rules/0?version=1", `{"type":"allow","cond":"if","cond_test":"a # b"}`, "cond_test"},
		{409, "PUT", "configuration/backends/app/servers/s1?version=2", `{"name":"s1","address":"h"}`, "version"},
		{404, "GET", "configuration/backends/nope", ``, "nope"},
		{404, "GET", "configuration/backends/nope/servers/s", ``, "nope"},
		{404, "GET", "configuration/frontends/nope/http_request_rules/0", ``, "nope"},
		{404, "PUT", "configuration/backends/nope/servers/s?version=1", `{"name":"s","address":"h"}`, "nope"},
		{404, "DELETE", "configuration/backends/nope/servers/s?version=1", ``, "nope"},
		{400, "POST", "configuration/backends/nope/servers?version=1", `{"name":"s","address":"h"}`, "nope"},
		{400, "POST", "configuration/frontends/nope/http_request_rules/0?version=1", `{"type":"allow"}`, "nope"},
		{400, "PUT", "configuration/frontends/nope/http_request_rules?version=1", `[]`, "nope"},
		{404, "DELETE", "configuration/backends/app/servers/nope?version=1", ``, "nope"},
		{404, "PUT", "configuration/backends/app/acls/0?version=1", `{"acl_name":"a","criterion":"path"}`, "acl 0"},
		{404, "GET", "nope", ``, "nope"},
		{409, "POST", "configuration/backends?version=1", `{"name":"app"}`, "app"},
		{409, "POST", "configuration/backends?version=8", `{"name":"x"}`, "version"},
		{400, "POST", "configuration/backends/app/servers?version=1", `{"name":"s","address":"1.2.3.4","port":1,"resolvers":"nope"}`, "nope"},
		{405, "PATCH", "configuration/backends", ``, "PATCH"},
		{404, "GET", "runtime/backends/nope/servers", ``, "backend"},
		{422, "GET", "runtime/backends/a%3Bb/servers", ``, "parent_name"},
		{422, "GET", "stats/native?type=zork", ``, "type"},
		{413, "POST", "configuration/backends?version=1", strings.Repeat(" ", 5<<20), "body"},
	} {
		code, header, text, err := h.call(c.method, c.path, c.body)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			continue
		}
		if header.Get("Configuration-Version") != "1" {
			t.Errorf("%s %s: version %q", c.method, c.path, header.Get("Configuration-Version"))
		}
		var e struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || code != c.status || e.Code != code || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s %s %.60s: %d %s, want %d about %q", c.method, c.path, c.body, code, text, c.status, c.message)
		}
	}
	if h.read("h.cfg") != file {
		t.Error("the file changed")
	}
	req, err := http.NewRequest("GET", h.url+"configuration/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		status         int
	}{{"", "", 401}, {"admin", "x", 401}, {"nobody", "adminpwd", 401}, {"hashed", "password", 200}, {"hashed", "passwort", 401}} {
		req.SetBasicAuth(c.name, c.password)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%q with %q: %d", c.name, c.password, resp.StatusCode)
		}
	}
}

// Bodies that the original takes are taken.
func TestTolerance(t *testing.T) {
	h, ports := newHouse(t)
	// What is not known is ignored, and named in the log; the index of the path is no stranger.
	h.want(201, "POST", "configuration/backends/app/acls/0?version=1&force_reload=true", `{"index":0,"acl_name":"a","criterion":"path","value":"/","zork":{"x":1}}`)
	h.want(201, "POST", "configuration/backends?version=2&force_reload=true&full_section=true", `{"name":"more","servers":{"x":{"name":"x","address":"::1","port":80,"gnark":"","metadata":{"owner":"me"}}}}`)
	log := h.read("d.log")
	if !strings.Contains(log, `zork`) || !strings.Contains(log, `servers.x.gnark`) || strings.Contains(log, `\"index`) || strings.Contains(log, "owner") {
		t.Error(log)
	}
	if text := h.read("h.cfg"); strings.Contains(text, "zork") || !strings.Contains(text, "    acl a path /\n") || !strings.Contains(text, "    server x [::1]:80 # {\"owner\":\"me\"}\n") {
		t.Error(text)
	}
	if _, text := h.want(200, "GET", "configuration/backends/more/servers/x", ""); text != `{"address":"::1","metadata":{"owner":"me"},"name":"x","port":80}`+"\n" {
		t.Error(text)
	}
	// A rename, and an address of IPv6, with the brackets or without.
	h.want(200, "PUT", "configuration/backends/more/servers/x?version=3&force_reload=true", `{"name":"y","address":"[::1]","port":81}`)
	h.want(200, "PUT", "configuration/backends/more?version=4&force_reload=true", `{"name":"less"}`)
	if text := h.read("h.cfg"); !strings.Contains(text, "\nbackend less\n    server y [::1]:81\n") {
		t.Error(text)
	}
	if header, text := h.want(200, "GET", "configuration/backends/nope/servers", ""); text != "[]\n" || header.Get("Configuration-Version") != "5" {
		t.Error(header, text)
	}
	_, text := h.want(200, "PUT", "runtime/backends/app/servers/s1", `{"address":"[::1]","port":1}`)
	if !strings.Contains(text, `"address":"::1"`) || !strings.Contains(text, `"agent_addr":"-"`) || !strings.Contains(text, `"check_addr":"-"`) {
		t.Error(text)
	}
	// raw without a line feed at its end.
	raw := strings.TrimSuffix(h.read("h.cfg"), "\n")
	h.want(201, "POST", "configuration/raw?version=5&only_validate=true", raw)
	h.want(201, "POST", "configuration/raw?version=5&force_reload=true", raw+"\nbackend last")
	if text := h.read("h.cfg"); !strings.HasSuffix(text, "\nbackend last\n") {
		t.Error(text)
	}
	h.want(201, "POST", "runtime/backends/app/servers", fmt.Sprintf(`{"name":"r0","address":"127.0.0.1","port":%d,"check":"disabled","metadata":{"a":1}}`, ports[2]))
	h.want(204, "DELETE", "runtime/backends/app/servers/r0", "")
	// What a server cannot be added with at run time is refused by name, or takes the next rung.
	_, text = h.want(422, "POST", "runtime/backends/app/servers", fmt.Sprintf(`{"name":"r1","address":"127.0.0.1","port":%d,"namespace":"n"}`, ports[2]))
	if !strings.Contains(text, "namespace") {
		t.Error(text)
	}
	h.want(202, "POST", "configuration/backends/app/servers?version=6", fmt.Sprintf(`{"name":"r2","address":"127.0.0.1","port":%d,"init-addr":"last"}`, ports[2]))
	if strings.Contains(h.read("d.log"), "Runtime commands do not cover") {
		t.Error(h.read("d.log"))
	}
}

// A rule that the API does not know keeps its index over REST.
func TestOpaqueRules(t *testing.T) {
	h, _ := newHouse(t)
	h.put(strings.Replace(h.read("h.cfg"), "    default_backend app\n", "    http-request deny if { path /a } or { path /b }\n    http-request set-header a b if { path /x } # one\n    http-request set-header c d e\n    http-request allow\n    default_backend app\n", 1))
	_, text := h.want(200, "GET", "configuration/frontends/web/http_request_rules", "")
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 4 || list[2]["opaque"] != "http-request set-header c d e" {
		t.Fatal(text)
	}
	h.want(200, "GET", "configuration/frontends/web/http_request_rules/2", "")
	version := h.version()
	before := h.read("h.cfg")
	_, text = h.want(422, "PUT", "configuration/frontends/web/http_request_rules?version="+version, `[{"type":"allow"}]`)
	if !strings.Contains(text, "set-header c d e") || h.read("h.cfg") != before {
		t.Error(text)
	}
}

// The run-time resources change the proxy and not the file.
func TestRuntime(t *testing.T) {
	h, ports := newHouse(t)
	file := h.read("h.cfg")
	h.want(201, "POST", "runtime/backends/app/servers", fmt.Sprintf(`{"name":"r1","address":"127.0.0.1","port":%d}`, ports[2]))
	h.want(409, "POST", "runtime/backends/app/servers", `{"name":"r1","address":"127.0.0.1","port":1}`)
	h.await("traffic", func() bool { return h.fetch() == "two" })
	_, text := h.want(200, "PUT", "runtime/backends/app/servers/r1", `{"admin_state":"maint"}`)
	if !strings.Contains(text, `"maint"`) {
		t.Error(text)
	}
	_, text = h.want(200, "PUT", "runtime/backends/app/servers/r1", `{"admin_state":"ready","port":1,"weight":3}`)
	if !strings.Contains(text, `"port":1,`) || !strings.Contains(text, `"ready"`) || !strings.Contains(text, `"weight":3`) {
		t.Error(text)
	}
	if _, text := h.want(200, "GET", "runtime/backends/app/servers", ""); strings.Count(text, `"name"`) != 2 {
		t.Error(text)
	}
	h.want(204, "DELETE", "runtime/backends/app/servers/r1", "")
	h.want(404, "DELETE", "runtime/backends/app/servers/r1", "")
	_, text = h.want(200, "GET", "stats/native?type=server&parent=app", "")
	if !strings.Contains(text, `"name":"s1"`) || strings.Contains(text, `"backend"`) {
		t.Error(text)
	}
	if h.read("h.cfg") != file {
		t.Error("the file changed")
	}
}

// kill -9 at any moment: the file is one of the texts that were written, whole, and the next start serves it.
func TestKill(t *testing.T) {
	h, _ := newHouse(t)
	body := h.read("h.cfg")
	tail := body[strings.Index(body, "listen one"):]
	for round := range 25 {
		stop := make(chan int)
		first := h.version()
		go func() {
			v, _ := strconv.Atoi(first)
			n := 0
			for ; ; n++ {
				name := fmt.Sprintf("k%d_%d", round, n)
				code, _, _, err := h.call("POST", fmt.Sprintf("configuration/backends/app/servers?version=%d", v), fmt.Sprintf(`{"name":%q,"address":"127.0.0.1","port":9}`, name))
				if err != nil {
					break
				}
				if code == 201 || code == 202 {
					v++
				}
			}
			stop <- v
		}()
		// The moment differs from round to round; that it is random is the point.
		time.Sleep(time.Duration(round*17%200) * time.Millisecond)
		h.daemon.Process.Kill()
		h.daemon.Wait()
		v := <-stop
		text := h.read("h.cfg")
		if !strings.HasSuffix(text, tail) || !strings.Contains(text, "# first\n") {
			t.Fatalf("round %d: the file is not whole\n%s", round, text)
		}
		// Each server line is complete.
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "    server k") && !strings.HasSuffix(line, "127.0.0.1:9\n") {
				t.Fatalf("round %d: %q", round, line)
			}
		}
		h.start()
		// What was acknowledged is there; one more may be, whose answer was lost.
		now, _ := strconv.Atoi(h.version())
		if now != v && now != v+1 {
			t.Fatalf("round %d: version %d, acknowledged %d", round, now, v)
		}
	}
	// The proxy has what the file has.
	want := strings.Count(h.read("h.cfg"), "    server ")
	h.await("the proxy to have the file's servers", func() bool {
		code, _, text, err := h.call("GET", "runtime/backends/app/servers", "")
		return err == nil && code == 200 && strings.Count(text, `"name"`) == want
	})
	if left, _ := filepath.Glob(h.dir + "/.h.cfg*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// A client that does not send its request is cut off.
func TestSlowClient(t *testing.T) {
	h, _ := newHouse(t)
	h.write("d.yaml", strings.Replace(h.read("d.yaml"), "  port: 0\n", "  port: 0\n  read_timeout: 200ms\n", 1))
	h.daemon.Process.Signal(syscall.SIGTERM)
	if err := h.daemon.Wait(); err != nil {
		t.Fatalf("after a signal: %v\n%s", err, h.read("daemon.err"))
	}
	h.start()
	c, err := net.Dial("tcp", strings.Split(h.url, "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /v3/services/haproxy/configuration/backends?version=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46YWRtaW5wd2Q=\r\nContent-Length: 100\r\n\r\n{")
	c.SetDeadline(time.Now().Add(30 * time.Second))
	data, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(data, []byte("HTTP/1.1 4")) {
		t.Errorf("%q, %v", data, err)
	}
}

// Every GET of the document answers, as the document says.
func TestAllReads(t *testing.T) {
	h, _ := newHouse(t)
	h.want(201, "POST", "configuration/frontends/web/http_request_rules/0?version=1&force_reload=true", `{"type":"return","return_status_code":200,"return_content_format":"string","return_content":"x","return_content_type":"text/plain","return_hdrs":[{"name":"a","fmt":"b"}]}`)
	h.want(201, "POST", "configuration/frontends/web/acls/0?version=2&force_reload=true", `{"acl_name":"a","criterion":"path","value":"/x"}`)
	for _, path := range []string{
		"", "configuration", "runtime", "stats", "/", "/info", "/health", "/services", "/specification", "transactions", "reloads",
		"runtime/info", "stats/native", "stats/native?type=backend", "runtime/backends/app/servers", "runtime/backends/app/servers/s1",
		"configuration/version", "configuration/raw", "configuration/global?full_section=true", "configuration/global/log_targets",
		"configuration/defaults", "configuration/defaults/unnamed_defaults_1?full_section=true", "configuration/defaults/unnamed_defaults_1/acls",
		"configuration/frontends", "configuration/frontends/web?full_section=true", "configuration/frontends/web/binds",
		"configuration/frontends/web/http_request_rules", "configuration/frontends/web/http_request_rules/0", "configuration/frontends/web/acls?acl_name=a",
		"configuration/frontends/web/backend_switching_rules", "configuration/frontends/web/http_response_rules", "configuration/frontends/web/log_targets",
		"configuration/backends?full_section=true", "configuration/backends/app", "configuration/backends/app/servers", "configuration/backends/app/servers/s1",
		"configuration/backends/app/server_templates", "configuration/backends/app/log_targets",
		"runtime/ssl_certs", "runtime/ssl_ca_files", "runtime/ssl_crl_files", "runtime/ssl_crt_lists",
	} {
		h.want(200, "GET", path, "")
	}
	_, text := h.want(200, "GET", "configuration/frontends/web/acls?acl_name=b", "")
	if strings.TrimSpace(text) != "[]" {
		t.Error(text)
	}
}

// In front of Forebay: commands, then the whole configuration in place, then a reload; only the last is another worker.
func TestForebay(t *testing.T) {
	bin := forebay(t)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "app") }))
	defer app.Close()
	to := app.Listener.Addr().(*net.TCPAddr).Port
	ports := freePorts(t, 2)
	h := build(t, bin, "  user: [{name: admin, password: adminpwd, insecure: true}]", func(dir string) string {
		return fmt.Sprintf(`global
    stats socket %s/stats.sock level admin
defaults
    mode http
    timeout client 30s # half a minute
    timeout server 30s
    timeout connect 5s
frontend web
    bind 127.0.0.1:%d
    default_backend app
backend app
    balance roundrobin
    server gone 127.0.0.1:1 disabled
`, dir, ports[0])
	}, ports[0])
	worker := h.worker()
	server := fmt.Sprintf(`{"name":"s1","address":"127.0.0.1","port":%d}`, to)
	h.want(201, "POST", "configuration/backends/app/servers?version=1", server)
	if got := h.fetch(); got != "app" {
		t.Errorf("the new server: %q", got)
	}
	h.want(201, "POST", "configuration/backends?version=2", `{"name":"more"}`)
	h.want(201, "POST", "configuration/backends/more/servers?version=3", server)
	h.want(201, "POST", "configuration/frontends?version=4&full_section=true", fmt.Sprintf(`{"name":"fe2","default_backend":"more","binds":{"b":{"name":"b","address":"127.0.0.1","port":%d}}}`, ports[1]))
	h.want(200, "PUT", "configuration/defaults/unnamed_defaults_1?version=5", `{"name":"unnamed_defaults_1","mode":"http","client_timeout":31000,"server_timeout":30000,"connect_timeout":5000}`)
	h.port = ports[1]
	if got := h.fetch(); got != "app" {
		t.Errorf("the new frontend: %q", got)
	}
	if !strings.Contains(h.read("h.cfg"), "timeout client 31s # half a minute\n") {
		t.Error(h.read("h.cfg"))
	}
	if h.worker() != worker {
		t.Error("the worker is another one")
	}
	// What the proxy does not accept changes nothing.
	file := h.read("h.cfg")
	h.want(400, "POST", "configuration/raw?version=6", file+"zork\n")
	header, _ := h.want(202, "PUT", "configuration/global?version=6", fmt.Sprintf(`{"nbthread":2,"runtime_apis":[{"address":"%s/stats.sock","level":"admin"}]}`, h.dir))
	h.await("the reload", func() bool {
		_, text := h.want(200, "GET", "reloads/"+header.Get("Reload-ID"), "")
		return strings.Contains(text, `"succeeded"`)
	})
	h.await("another worker", func() bool {
		code, _, text, err := h.call("GET", "runtime/info", "")
		return err == nil && code == 200 && !strings.Contains(text, `"pid":`+worker+`,`)
	})
	if got := h.fetch(); got != "app" {
		t.Errorf("after the reload: %q", got)
	}
}
