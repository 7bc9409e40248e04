package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rest is a running dataplaneapi in front of a proxy.
type rest struct {
	*program
	t   *testing.T
	url string // up to /v3
	p   *proxy
}

const users = `# Who may use the REST API.
userlist controllers
    user admin insecure-password secret

`

// control starts dataplaneapi for a proxy that runs with -W.
func control(t *testing.T, p *proxy) *rest {
	t.Helper()
	addr := address(t)
	_, number, _ := strings.Cut(addr, ":")
	file := write(t, p.dir, "dataplaneapi.yaml", strings.NewReplacer("@PORT@", number, "@DIR@", p.dir, "@CFG@", p.file, "@BIN@", forebay).Replace(`config_version: 2
name: e2e
dataplaneapi:
  host: 127.0.0.1
  port: @PORT@
  userlist:
    userlist: controllers
  transaction:
    transaction_dir: @DIR@/transactions
haproxy:
  config_file: @CFG@
  haproxy_bin: @BIN@
  master_runtime: @DIR@/m
  reload:
    reload_delay: 1
    reload_strategy: custom
    reload_cmd: "echo reload | socat -t60 - UNIX-CONNECT:@DIR@/m"
resources:
  ssl_certs_dir: @DIR@/certs
log_targets:
  - log_to: stdout
    log_level: info
`))
	r := &rest{t: t, url: "http://" + addr + "/v3", p: p}
	r.program = start(t, dataplaneapi, "-f", file)
	until(t, "dataplaneapi comes up", func() bool {
		if !r.running() {
			t.Fatalf("dataplaneapi ended:\n%s", r.output())
		}
		c, err := http.Get(r.url + "/info")
		if err == nil {
			c.Body.Close()
		}
		return err == nil
	})
	return r
}

const configuration = "/services/haproxy/configuration"

// call sends a request with a JSON body, if there is one.
func (r *rest) call(method, path, body string) (status int, header http.Header, reply string) {
	r.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	q, err := http.NewRequest(method, r.url+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	q.SetBasicAuth("admin", "secret")
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
		if strings.HasSuffix(strings.Split(path, "?")[0], "/raw") {
			q.Header.Set("Content-Type", "text/plain")
		}
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(b)
}

// must wants one of the statuses.
func (r *rest) must(method, path, body string, want ...int) string {
	r.t.Helper()
	status, _, reply := r.call(method, path, body)
	for _, w := range want {
		if status == w {
			return reply
		}
	}
	r.t.Fatalf("%s %s %s: %d %s, want %v", method, path, body, status, reply, want)
	return ""
}

func (r *rest) version() int {
	r.t.Helper()
	var n int
	if _, err := fmt.Sscan(r.must("GET", configuration+"/version", "", 200), &n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func restShop(web, origin string) string {
	return strings.Replace(shop{web: web, origin: origin, threads: 2, timeout: 30}.text(), "defaults\n", users+"# Ours.\ndefaults\n", 1)
}

// TestAddServer is point 3 of what a user can do, with the command of the issue.
func TestAddServer(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	one, three, web := newOrigin(t, "s1"), newOrigin(t, "s3"), address(t)
	text := strings.Replace(restShop(web, one.addr), "\nbackend app\n", "\n# The application.\nbackend app   # two spaces\n\tbalance   roundrobin\n\n", 1) + "# the end\n"
	p := serve(t, text, "-W")
	r := control(t, p)
	pid, before, version := p.worker(), read(t, p.file), r.version()
	mustGet(t, web, "/", "s1")

	body := fmt.Sprintf(`{"name":"s3","address":"127.0.0.1","port":%d,"check":"enabled"}`, three.port())
	out, err := exec.Command(curl, "-s", "-w", "\n%{http_code}", "-u", "admin:secret", "-H", "Content-Type: application/json", "-d", body,
		fmt.Sprintf("%s%s/backends/app/servers?version=%d", r.url, configuration, version)).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "\n201") {
		t.Fatalf("curl: %v %s", err, out)
	}
	var added struct{ Name, Check string }
	if err := json.Unmarshal(out[:bytes.LastIndexByte(out, '\n')], &added); err != nil || added.Name != "s3" || added.Check != "enabled" {
		t.Errorf("reply %s: %v", out, err)
	}

	seen := map[string]bool{}
	until(t, "the server takes traffic", func() bool {
		_, b, err := get(web, "/")
		if err != nil {
			t.Fatal(err)
		}
		seen[b] = true
		return seen["s3"] && seen["s1"]
	})
	if now := p.worker(); now != pid || p.info("Pid") != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}
	if now := r.version(); now <= version {
		t.Errorf("version %d after %d", now, version)
	}
	// The file has one more line, and nothing else differs but the version.
	after := read(t, p.file)
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^\s+server s3 127\.0\.0\.1:%d check\n`, three.port()))
	if !line.MatchString(after) {
		t.Errorf("the line is not in the file:\n%s", after)
	}
	versionLine := regexp.MustCompile(`(?m)^# _version=\d+\n+`)
	if got := versionLine.ReplaceAllString(line.ReplaceAllString(after, ""), ""); got != versionLine.ReplaceAllString(before, "") {
		t.Errorf("the rest of the file has changed:\n%s\nwas:\n%s", got, before)
	}

	// What Runtime commands cannot do is applied in place, through REST as well.
	web2 := address(t)
	_, n2, _ := strings.Cut(web2, ":")
	r.must("POST", fmt.Sprintf("%s/frontends?version=%d", configuration, r.version()), `{"name":"web2","mode":"http","default_backend":"app"}`, 201, 202)
	r.must("POST", fmt.Sprintf("%s/frontends/web2/binds?version=%d", configuration, r.version()), fmt.Sprintf(`{"name":"b","address":"127.0.0.1","port":%s}`, n2), 201, 202)
	until(t, "the new frontend answers", func() bool { s, _, err := get(web2, "/"); return err == nil && s == 200 })
	if now := p.worker(); now != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}

	// A hand edit is noticed.
	v := r.version()
	edited := strings.Replace(read(t, p.file), "# the end", "# really the end", 1)
	if err := os.WriteFile(p.file, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the version follows a hand edit", func() bool { return r.version() > v })
	if !strings.Contains(read(t, p.file), "# really the end") {
		t.Error("the hand edit was lost")
	}
}

// TestManyServers adds 1,000 servers and removes them while traffic flows: one
// by one, and in transactions.
func TestManyServers(t *testing.T) {
	one, web := newOrigin(t, "s1"), address(t)
	p := serve(t, strings.Replace(restShop(web, one.addr), "    option dontlog-normal\n", "    option dontlog-normal\n    balance roundrobin\n", 1), "-W")
	r := control(t, p)
	pid := p.worker()
	l := startLoad(p, web, 16)
	server := func(i int) string {
		return fmt.Sprintf(`{"name":"n%d","address":"127.0.0.1","port":%d}`, i, one.port())
	}
	const singly, batch, total = 200, 100, 1000
	v := r.version()
	for i := range singly {
		r.must("POST", fmt.Sprintf("%s/backends/app/servers?version=%d", configuration, v), server(i), 201)
		v++
	}
	transaction := func(f func(id string)) {
		var tr struct{ ID string }
		if err := json.Unmarshal([]byte(r.must("POST", fmt.Sprintf("/services/haproxy/transactions?version=%d", r.version()), "", 201)), &tr); err != nil {
			t.Fatal(err)
		}
		f(tr.ID)
		r.must("PUT", "/services/haproxy/transactions/"+tr.ID, "", 200, 202)
	}
	for from := singly; from < total; from += batch {
		transaction(func(id string) {
			for i := range batch {
				r.must("POST", configuration+"/backends/app/servers?transaction_id="+id, server(from+i), 201, 202)
			}
		})
	}
	rows := func() int { return strings.Count(p.ask("show servers state app"), " app ") }
	until(t, "all servers are there", func() bool { return rows() == total+1 })
	seen := p.statInt("app", fmt.Sprintf("n%d", total-1), "stot")
	until(t, "the last server takes traffic", func() bool { return p.statInt("app", fmt.Sprintf("n%d", total-1), "stot") > seen })

	v = r.version()
	for i := range singly {
		r.must("DELETE", fmt.Sprintf("%s/backends/app/servers/n%d?version=%d", configuration, i, v), "", 204)
		v++
	}
	for from := singly; from < total; from += batch {
		transaction(func(id string) {
			for i := range batch {
				r.must("DELETE", fmt.Sprintf("%s/backends/app/servers/n%d?transaction_id=%s", configuration, from+i, id), "", 204, 202)
			}
		})
	}
	until(t, "all servers are gone", func() bool { return rows() == 1 })
	if n := strings.Count(read(t, p.file), "server n"); n != 0 {
		t.Errorf("%d servers are left in the file", n)
	}
	if now := p.worker(); now != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}
	t.Logf("%d requests", l.finish())
	p.noServerErrors()
}

// TestBadREST wants the status and, in the message, the name of what is wrong.
func TestBadREST(t *testing.T) {
	t.Parallel()
	one, web := newOrigin(t, "s1"), address(t)
	p := serve(t, restShop(web, one.addr), "-W")
	r := control(t, p)
	before := read(t, p.file)
	v := r.version()
	servers := fmt.Sprintf("%s/backends/app/servers?version=%d", configuration, v)
	for _, c := range []struct {
		method, path, body string
		status             int
		names              string
	}{
		{"POST", servers, `{"name":"x","port":80}`, 422, "address"},
		{"POST", servers, `{"name":"x","address":"127.0.0.1","port":70000}`, 422, "port"},
		{"POST", servers, `{"name":"x","address":"127.0.0.1","check":"perhaps"}`, 422, "check"},
		{"POST", servers, `{"address":"127.0.0.1"}`, 422, "name"},
		{"POST", servers, `{"name":`, 400, ""},
		{"POST", servers, `{"name":"s1","address":"127.0.0.1","port":80}`, 409, "s1"},
		{"POST", fmt.Sprintf("%s/backends/none/servers?version=%d", configuration, v), `{"name":"x","address":"127.0.0.1","port":80}`, 400, "none"},
		{"POST", fmt.Sprintf("%s/backends/app/servers?version=%d", configuration, v+7), `{"name":"x","address":"127.0.0.1","port":80}`, 409, "version"},
		{"POST", configuration + "/backends/app/servers", `{"name":"x","address":"127.0.0.1","port":80}`, 400, "version"},
		{"GET", configuration + "/backends/none", "", 404, "none"},
		{"GET", configuration + "/backends/app/servers/none", "", 404, "none"},
		{"DELETE", fmt.Sprintf("%s/backends/app/servers/none?version=%d", configuration, v), "", 404, "none"},
		{"GET", "/services/haproxy/transactions/none", "", 404, ""},
		{"GET", "/none", "", 404, ""},
	} {
		status, _, reply := r.call(c.method, c.path, c.body)
		var e struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal([]byte(reply), &e); err != nil {
			t.Errorf("%s %s: %d %q: %v", c.method, c.path, status, reply, err)
			continue
		}
		if status != c.status && !(c.status == 422 && status == 400) || e.Code != status || !strings.Contains(e.Message, c.names) {
			t.Errorf("%s %s %s: %d %s, want %d and %q", c.method, c.path, c.body, status, reply, c.status, c.names)
		}
	}
	if _, _, reply := r.call("GET", "/services/haproxy/runtime/ssl_crt_lists/entries", ""); strings.Count(reply, "missing") != 1 {
		t.Errorf("a reason is told once: %s", reply)
	}
	if c, err := http.Get(r.url + "/info"); err != nil || c.StatusCode != 401 {
		t.Errorf("without a password: %v %v", c.Status, err)
	}
	if after := read(t, p.file); after != before {
		t.Errorf("the file has changed:\n%s", after)
	}
	mustGet(t, web, "/", "s1")
}

// TestDemo runs `make run`'s script, and the commands that it prints as they are
// printed.
func TestDemo(t *testing.T) {
	tool(t, "curl")
	tool(t, "socat")
	app := 0
	for app == 0 { // three ports in a row
		a := port(t)
		if b, c := port(t), port(t); b == a+1 && c == a+2 {
			app = a
		}
	}
	// The script takes the programs from bin/ of the folder that it is in.
	dir := scratch(t)
	for _, d := range []string{"bin", "scripts"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{forebay: "bin/forebay", dataplaneapi: "bin/dataplaneapi", filepath.Join(root, "deploy"): "deploy"} {
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	script := write(t, filepath.Join(dir, "scripts"), "run.sh", read(t, filepath.Join(root, "scripts/run.sh")))
	c := exec.Command("bash", script)
	c.Env = append(os.Environ(), fmt.Sprintf("FOREBAY_DEMO_PORT=%d", port(t)), fmt.Sprintf("FOREBAY_DEMO_API_PORT=%d", port(t)), fmt.Sprintf("FOREBAY_DEMO_APP_PORT=%d", app))
	p := launch(t, c)
	p.await(1, "Ctrl-C ends it.")
	var steps []string // the commands, by the comments before them
	for l := range strings.Lines(p.output()) {
		if text, is := strings.CutPrefix(l, "  "); !is {
			continue
		} else if strings.HasPrefix(text, "# ") {
			steps = append(steps, text)
		} else if len(steps) > 0 {
			steps[len(steps)-1] += text
		}
	}
	if len(steps) != 5 {
		t.Fatalf("the demo shows %d steps: %q", len(steps), steps)
	}
	wants := []string{
		`(hello from s[12]\n){4}`,
		`(?s)"name":\s*"s3".*hello from s3`,
		`(?m)^\d+:\s+server s3 127.0.0.1:\d+ check$`,
		`good day from s1`,
		`(?s)app,s3,.*worker`,
	}
	for i, step := range steps {
		if out := sh(t, step); !regexp.MustCompile(wants[i]).MatchString(out) {
			t.Errorf("%s\nsays\n%s\nwant %s", step, out, wants[i])
		}
	}
}
