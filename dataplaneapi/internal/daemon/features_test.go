package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// Filters, variables, algorithms, queues, rings and rules of TCP: what the API writes is in the running process of Forebay
// without a reload, and is read as it was written.
func TestFeatures(t *testing.T) {
	var apps []int
	for i := range 3 {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Value", fmt.Sprint("app", i, r.Header.Get("X-Var")))
			io.WriteString(w, strings.Repeat("x", 100))
		}))
		defer app.Close()
		apps = append(apps, app.Listener.Addr().(*net.TCPAddr).Port)
	}
	port := freePorts(t, 1)[0]
	h := build(t, forebay(t), "  user: [{name: admin, password: adminpwd, insecure: true}]", func(dir string) string {
		return fmt.Sprintf(`global
    stats socket %s/stats.sock level admin
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend web
    bind 127.0.0.1:%d
    default_backend app
backend app
    balance roundrobin
    server s0 127.0.0.1:%d
    server s1 127.0.0.1:%d
    server s2 127.0.0.1:%d
`, dir, port, apps[0], apps[1], apps[2])
	}, port)
	worker := h.worker()
	version := 1
	// change writes an object, and reads it again.
	change := func(status int, method, path, body string) {
		t.Helper()
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		h.want(status, method, fmt.Sprintf("configuration/%s%sversion=%d", path, sep, version), body)
		version++
		if method == "POST" && !strings.HasSuffix(path, "/0") && !strings.HasSuffix(path, "/1") {
			var obj struct{ Name string }
			json.Unmarshal([]byte(body), &obj)
			path += "/" + obj.Name
		}
		_, text := h.want(200, "GET", "configuration/"+path, "")
		var got, want any
		json.Unmarshal([]byte(text), &got)
		json.Unmarshal([]byte(body), &want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s is read as %s", path, body, text)
		}
	}
	// By a key all requests find one server; by turns they do not.
	spread := func() int {
		seen := map[string]bool{}
		for range 6 {
			seen[h.ask(port, "k")] = true
		}
		return len(seen)
	}
	if n := spread(); n != 3 {
		t.Errorf("%d servers by turns", n)
	}
	for _, c := range []struct {
		balance string
		same    bool
	}{
		{`{"algorithm":"hdr","hdr_name":"X-Key"}`, true},
		{`{"algorithm":"uri","uri_depth":2,"uri_whole":true}`, true},
		{`{"algorithm":"url_param","url_param":"u"}`, false}, // there is none: by turns
		{`{"algorithm":"hash","hash_expression":"req.hdr(x-key),lower"}`, true},
		{`{"algorithm":"rdp-cookie","rdp_cookie_name":"c"}`, false},
		{`{"algorithm":"first"}`, true},
		{`{"algorithm":"source"}`, true},
		{`{"algorithm":"static-rr"}`, false},
		{`{"algorithm":"random","random_draws":1}`, false},
		{`{"algorithm":"leastconn"}`, false},
		{`{"algorithm":"hdr","hdr_name":"X-Key"}`, true},
	} {
		body := `{"name":"app","balance":` + c.balance + `,"hash_type":{"method":"consistent","function":"sdbm","modifier":"avalanche"},"hash_balance_factor":150,"fullconn":1000,"queue_timeout":5000}`
		change(200, "PUT", "backends/app", body)
		if n := spread(); (n == 1) != c.same && c.balance != `{"algorithm":"random","random_draws":1}` {
			t.Errorf("%s: %d servers", c.balance, n)
		}
	}
	for i := range 3 {
		change(200, "PUT", fmt.Sprintf("backends/app/servers/s%d", i), fmt.Sprintf(`{"name":"s%d","address":"127.0.0.1","port":%d,"hash_key":"addr-port","maxconn":10,"minconn":2,"maxqueue":5,"slowstart":2000,"weight":%d}`, i, apps[i], i+1))
	}
	change(201, "POST", "frontends/web/filters/0", `{"type":"bwlim-out","bandwidth_limit_name":"down","default_limit":1048576,"default_period":1000,"min_size":512}`)
	change(201, "POST", "frontends/web/http_request_rules/0", `{"type":"set-var","var_scope":"txn","var_name":"k","var_expr":"req.hdr(x-key),upper"}`)
	change(201, "POST", "frontends/web/http_request_rules/1", `{"type":"set-header","hdr_name":"X-Var","hdr_format":"-%[var(txn.k)]"}`)
	if got := h.ask(port, "abc"); !strings.HasSuffix(got, "-ABC") {
		t.Errorf("%q", got)
	}
	change(201, "POST", "frontends/web/http_request_rules/0", `{"type":"set-priority-class","expr":"int(5)"}`)
	change(201, "POST", "frontends/web/http_request_rules/0", `{"type":"set-priority-offset","expr":"int(5)","cond":"if","cond_test":"{ req.hdr(x-key) slow }"}`)
	change(201, "POST", "frontends/web/http_response_rules/0", `{"type":"set-bandwidth-limit","bandwidth_limit_name":"down","bandwidth_limit_limit":"512k","bandwidth_limit_period":"2s"}`)
	change(201, "POST", "frontends/web/http_request_rules/0", `{"type":"set-map","map_file":"virt@seen","map_keyfmt":"%[req.hdr(x-key)]","map_valuefmt":"yes"}`)
	change(201, "POST", "frontends/web/http_after_response_rules/0", `{"type":"set-header","hdr_name":"X-Value","hdr_format":"%[var(txn.k),lower,map_str(virt@seen,no)]","cond":"if","cond_test":"{ var(txn.k) -m str SEEN }"}`)
	h.ask(port, "seen")
	if got := h.ask(port, "seen"); got != "200yes" {
		t.Errorf("%q", got)
	}
	change(201, "POST", "frontends/web/http_request_rules/0", `{"type":"use-service","service_name":"prometheus-exporter","cond":"if","cond_test":"{ req.hdr(x-key) metrics }"}`)
	if got := h.ask(port, "metrics"); got != "200" {
		t.Errorf("%q", got)
	}
	change(201, "POST", "frontends/web/tcp_request_rules/0", `{"type":"connection","action":"set-var","var_scope":"sess","var_name":"from","expr":"src"}`)
	change(201, "POST", "frontends/web/tcp_request_rules/1", `{"type":"connection","action":"reject","cond":"if","cond_test":"{ src 192.0.2.0/24 }"}`)
	change(201, "POST", "rings", `{"name":"logs","format":"rfc5424","maxlen":1200,"size":65536}`)
	change(201, "POST", "frontends/web/log_targets/0", `{"address":"ring@logs","facility":"local0"}`)
	h.ask(port, "logged")
	runtime := func(command string) string {
		c, err := net.Dial("unix", h.dir+"/stats.sock")
		if err != nil {
			return ""
		}
		defer c.Close()
		io.WriteString(c, command+"\n")
		all, _ := io.ReadAll(c)
		return string(all)
	}
	h.await("the log in the ring", func() bool { return strings.Contains(runtime("show events logs"), "web") })
	change(201, "POST", "frontends/web/http_request_rules/0", `{"type":"return","return_status_code":418,"return_content_type":"text/plain","return_content_format":"string","return_content":"tea","cond":"if","cond_test":"{ req.hdr(x-key) tea }"}`)
	// Checks by both kinds of rules; the option says which.
	change(201, "POST", "backends/app/http_checks/0", `{"type":"send","method":"GET","uri_log_format":"/%[srv_name]","headers":[{"name":"X-Var","fmt":"of %[be_name]"}]}`)
	change(201, "POST", "backends/app/http_checks/1", `{"type":"expect","match":"hdr","pattern":"name x-value value -m end \"of app\"","on_success":"by http at %[srv_name]"}`)
	change(201, "POST", "backends/app/tcp_checks/0", `{"action":"send","data":"GET / HTTP/1.0\r\n\r\n"}`)
	change(201, "POST", "backends/app/tcp_checks/1", `{"action":"expect","match":"rstring","pattern":"^HTTP/1..","on_success":"by tcp at %[srv_name]"}`)
	for _, c := range []struct{ check, says string }{{"tcp-check", "by tcp at s2"}, {"httpchk", "by http at s2"}} {
		change(200, "PUT", "backends/app", `{"name":"app","balance":{"algorithm":"roundrobin"},"adv_check":"`+c.check+`"}`)
		change(200, "PUT", "backends/app/servers/s2", fmt.Sprintf(`{"name":"s2","address":"127.0.0.1","port":%d,"check":"enabled","inter":50,"guid":"app-2"}`, apps[2]))
		h.await(c.check, func() bool { return strings.Contains(runtime("show stat"), c.says) })
	}
	if h.worker() != worker {
		t.Errorf("there was a reload\n%s", h.read("h.cfg"))
	}
}
