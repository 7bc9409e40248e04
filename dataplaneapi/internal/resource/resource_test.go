package resource

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/proxy/config"
)

func api(t *testing.T) *API {
	t.Helper()
	a, err := Load(apispec.Files)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDocument(t *testing.T) {
	doc, routes, err := api(t).Document()
	if err != nil {
		t.Fatal(err)
	}
	if len(routes) < 50 {
		t.Errorf("only %d routes", len(routes))
	}
	if doc.Paths.Value("/services/haproxy/configuration/backends/{parent_name}/servers/{name}") == nil {
		t.Error("no path of a server")
	}
	seen := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || seen[op.OperationID] {
				t.Errorf("%s %s: operation %q is empty or not unique", method, path, op.OperationID)
			}
			seen[op.OperationID] = true
		}
	}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var obj map[string]any
	if err := json.Unmarshal([]byte(text), &obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

// lines go both ways: words to JSON, and JSON to the same words.
func TestLines(t *testing.T) {
	a := api(t)
	for _, c := range []struct{ resource, line, json string }{
		{"server", "server s1 127.0.0.1:80", `{"name":"s1","address":"127.0.0.1","port":80}`},
		{"server", "server s1 10.0.0.1:80 check inter 2s weight 10 backup", `{"name":"s1","address":"10.0.0.1","port":80,"check":"enabled","inter":2000,"weight":10,"backup":"enabled"}`},
		{"server", "server s1 /run/app.sock no-check", `{"name":"s1","address":"/run/app.sock","check":"disabled"}`},
		{"server", "server s1 [::1]:8080 proxy-v2-options ssl,crc32c", `{"name":"s1","address":"::1","port":8080,"proxy-v2-options":["ssl","crc32c"]}`},
		{"server", "server s1 h:80 ssl verify none disabled", `{"name":"s1","address":"h","port":80,"ssl":"enabled","verify":"none","maintenance":"enabled"}`},
		{"server", "server s1 h:443 ssl sni req.hdr(host) alpn h2 send-proxy-v2 set-proxy-v2-tlv-fmt(0x20) %[fc_pp_tlv(0x20)] no-verifyhost", `{"name":"s1","address":"h","port":443,"ssl":"enabled","sni":"req.hdr(host)","alpn":"h2","send-proxy-v2":"enabled","set-proxy-v2-tlv-fmt":{"id":"0x20","value":"%[fc_pp_tlv(0x20)]"},"no_verifyhost":"enabled"}`},
		{"server", "server s1 h:443 ssl no-tlsv10 force-tlsv13 no-tls-tickets", `{"name":"s1","address":"h","port":443,"ssl":"enabled","tlsv10":"disabled","no_tlsv10":"enabled","tlsv13":"enabled","force_tlsv13":"enabled","tls_tickets":"disabled"}`},
		{"server", "server s1 h:80 on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions", `{"name":"s1","address":"h","port":80,"on-marked-down":"shutdown-sessions","on-marked-up":"shutdown-backup-sessions"}`},
		{"bind", "bind *:443 name s ssl crt a.pem default-crt b.pem default-crt c,d.pem", `{"name":"s","address":"*","port":443,"ssl":true,"ssl_certificate":"a.pem","default_crt_list":["b.pem","c,d.pem"]}`},
		{"bind", "bind *:443 name s ssl strict-sni no-sslv3 no-tls-tickets", `{"name":"s","address":"*","port":443,"ssl":true,"force_strict_sni":"enabled","strict_sni":true,"sslv3":"disabled","no_sslv3":true,"tls_tickets":"disabled","no_tls_tickets":true}`},
		{"capture", "declare capture request len 40", `{"type":"request","length":40}`},
		{"log_target", "log 127.0.0.1:514 len 4096 format rfc5424 profile brief sample 1,3-4:10 local0 info notice", `{"address":"127.0.0.1:514","length":4096,"format":"rfc5424","profile":"brief","sample_range":"1,3-4","sample_size":10,"facility":"local0","level":"info","minlevel":"notice"}`},
		{"http_request_rule", "http-request capture req.hdr(host) len 20 if { path / }", `{"type":"capture","capture_sample":"req.hdr(host)","capture_len":20,"cond":"if","cond_test":"{ path / }"}`},
		{"http_response_rule", "http-response capture res.hdr(server) id 0", `{"type":"capture","capture_sample":"res.hdr(server)","capture_id":0}`},
		{"tcp_request_rule", "tcp-request content capture req.len len 9", `{"type":"content","action":"capture","capture_sample":"req.len","capture_len":9}`},
		{"http_request_rule", "http-request do-log profile brief if suspect", `{"type":"do-log","log_profile":"brief","cond":"if","cond_test":"suspect"}`},
		{"tcp_request_rule", "tcp-request connection do-log", `{"type":"connection","action":"do-log"}`},
		{"http_after_response_rule", "http-after-response set-log-level silent", `{"type":"set-log-level","log_level":"silent"}`},
		{"crt_load", "load crt site.pem key site.key alias site ocsp-update on domains a.example,b.example", `{"certificate":"site.pem","key":"site.key","alias":"site","ocsp_update":"enabled","domains":["a.example","b.example"]}`},
		{"crt_load", "load alias x crt '/c/with blank.pem' ocsp-update off", `{"certificate":"/c/with blank.pem","alias":"x","ocsp_update":"disabled"}`},
		{"filter_sequence", "filter-sequence response comp-res,bwlim-out", `{"direction":"response","filters":["comp-res","bwlim-out"]}`},
		{"ssl_front_use", "ssl-f-use crt a.pem alpn h2,http/1.1 verify required ca-file ca.pem no-ca-names", `{"certificate":"a.pem","alpn":"h2,http/1.1","verify":"required","ca_file":"ca.pem","no_ca_names":true}`},
		{"server_template", "server-template srv 1-3 app.local:80 check", `{"prefix":"srv","num_or_range":"1-3","fqdn":"app.local","port":80,"check":"enabled"}`},
		{"http_check", "http-check connect default port 81 addr 127.0.0.2 send-proxy ssl sni a.test alpn h2 linger proto h2 comment \"of mine\"", `{"type":"connect","default":true,"port":81,"addr":"127.0.0.2","send_proxy":true,"ssl":true,"sni":"a.test","alpn":"h2","linger":true,"proto":"h2","check_comment":"of mine"}`},
		{"http_check", "http-check connect port var(check.port)", `{"type":"connect","port_string":"var(check.port)"}`},
		{"http_check", "http-check send meth GET uri-lf \"/%[srv_name]\" ver HTTP/1.1 hdr Host a.test hdr X \"a b\" body-lf \"%[be_name] x\"", `{"type":"send","method":"GET","uri_log_format":"/%[srv_name]","version":"HTTP/1.1","headers":[{"name":"Host","fmt":"a.test"},{"name":"X","fmt":"a b"}],"body_log_format":"%[be_name] x"}`},
		{"http_check", "http-check expect min-recv 0 ok-status L6OK error-status L7STS on-success \"a %[status]\" on-error \"b c\" status-code int(5) ! hdr name x-a value -m beg \"a b\"", `{"type":"expect","min_recv":0,"ok_status":"L6OK","error_status":"L7STS","on_success":"a %[status]","on_error":"b c","status-code":"int(5)","exclamation_mark":true,"match":"hdr","pattern":"name x-a value -m beg \"a b\""}`},
		{"http_check", "http-check set-var-fmt(check.a) \"a %H\"", `{"type":"set-var-fmt","var_scope":"check","var_name":"a","var_format":"\"a %H\""}`},
		{"http_check", "http-check disable-on-404", `{"type":"disable-on-404"}`},
		{"tcp_check", "tcp-check connect port 143 linger", `{"action":"connect","port":143,"linger":true}`},
		{"tcp_check", "tcp-check send \"info replication\\r\\n\" comment role", `{"action":"send","data":"info replication\r\n","check_comment":"role"}`},
		{"tcp_check", "tcp-check send-lf \"EHLO %[be_name]\\r\\n\"", `{"action":"send-lf","fmt":"EHLO %[be_name]\r\n"}`},
		{"tcp_check", "tcp-check send-binary 50494e470d0a", `{"action":"send-binary","hex_string":"50494e470d0a"}`},
		{"tcp_check", "tcp-check send-binary-lf 50%[srv_id]", `{"action":"send-binary-lf","hex_fmt":"50%[srv_id]"}`},
		{"tcp_check", "tcp-check expect comment c tout-status L4TOUT rstring ^2[0-9]", `{"action":"expect","check_comment":"c","tout_status":"L4TOUT","match":"rstring","pattern":"^2[0-9]"}`},
		{"tcp_check", "tcp-check set-var(check.p) res.payload(0,3),lower", `{"action":"set-var","var_scope":"check","var_name":"p","var_expr":"res.payload(0,3),lower"}`},
		{"tcp_check", "tcp-check unset-var(check.p)", `{"action":"unset-var","var_scope":"check","var_name":"p"}`},
		{"bind", "bind :8080 name web", `{"name":"web","port":8080}`},
		{"bind", "bind *:8000-8010 name r accept-proxy", `{"name":"r","address":"*","port":8000,"port-range-end":8010,"accept_proxy":true}`},
		{"bind", "bind *:443 name s ssl crt /c.pem alpn h2,http/1.1", `{"name":"s","address":"*","port":443,"ssl":true,"ssl_certificate":"/c.pem","alpn":"h2,http/1.1"}`},
		{"acl", "acl is_api path_beg /api /v2", `{"acl_name":"is_api","criterion":"path_beg","value":"/api /v2"}`},
		{"acl", "acl always always_true", `{"acl_name":"always","criterion":"always_true"}`},
		{"backend_switching_rule", "use_backend app if { path_beg /app }", `{"name":"app","cond":"if","cond_test":"{ path_beg /app }"}`},
		{"backend_switching_rule", "use_backend app", `{"name":"app"}`},
		{"log_target", "log global", `{"global":true}`},
		{"log_target", "no log", `{"nolog":true}`},
		{"log_target", "log 127.0.0.1:514 len 1024 format rfc5424 sample 1:2 local0 notice", `{"address":"127.0.0.1:514","length":1024,"format":"rfc5424","sample_range":"1","sample_size":2,"facility":"local0","level":"notice"}`},
		{"http_request_rule", "http-request set-header X-A '%[src] b' if a !b", `{"type":"set-header","hdr_name":"X-A","hdr_format":"%[src] b","cond":"if","cond_test":"a !b"}`},
		{"http_request_rule", "http-request del-header X -m beg", `{"type":"del-header","hdr_name":"X","hdr_method":"beg"}`},
		{"http_request_rule", "http-request deny deny_status 403", ``},
		{"http_request_rule", "http-request deny status 403 unless ok", `{"type":"deny","deny_status":403,"cond":"unless","cond_test":"ok"}`},
		{"http_request_rule", "http-request return status 200 content-type text/plain string hi hdr A 1 hdr B 2", `{"type":"return","return_status_code":200,"return_content_type":"text/plain","return_content_format":"string","return_content":"hi","return_hdrs":[{"name":"A","fmt":"1"},{"name":"B","fmt":"2"}]}`},
		{"http_request_rule", "http-request redirect location /x code 302 drop-query if a", `{"type":"redirect","redir_type":"location","redir_value":"/x","redir_code":302,"redir_option":"drop-query","cond":"if","cond_test":"a"}`},
		{"http_request_rule", "http-request set-var(txn.a) src,lower", `{"type":"set-var","var_scope":"txn","var_name":"a","var_expr":"src,lower"}`},
		{"http_request_rule", "http-request track-sc0 src table t", `{"type":"track-sc","track_sc_stick_counter":0,"track_sc_key":"src","track_sc_table":"t"}`},
		{"http_request_rule", "http-request do-resolve(txn.ip,dns,ipv4) hdr(Host),lower if a", `{"type":"do-resolve","var_name":"txn.ip","resolvers":"dns","protocol":"ipv4","expr":"hdr(Host),lower","cond":"if","cond_test":"a"}`},
		{"http_request_rule", "http-request do-resolve(txn.ip,dns) hdr(Host)", `{"type":"do-resolve","var_name":"txn.ip","resolvers":"dns","expr":"hdr(Host)"}`},
		{"http_request_rule", "http-request lua.auth a b unless ok", `{"type":"lua","lua_action":"auth","lua_params":"a b","cond":"unless","cond_test":"ok"}`},
		{"http_request_rule", "http-request lua.auth", `{"type":"lua","lua_action":"auth"}`},
		{"http_request_rule", "http-request normalize-uri path-strip-dotdot full", `{"type":"normalize-uri","normalizer":"path-strip-dotdot","normalizer_full":true}`},
		{"http_request_rule", "http-request sc-add-gpc(0,1) 0 if a", `{"type":"sc-add-gpc","sc_idx":0,"sc_id":1,"sc_int":0,"cond":"if","cond_test":"a"}`},
		{"http_request_rule", "http-request sc-set-gpt0(1) src,len", `{"type":"sc-set-gpt0","sc_id":1,"sc_expr":"src,len"}`},
		{"http_request_rule", "http-request set-bandwidth-limit dl limit 1m period 1s", `{"type":"set-bandwidth-limit","bandwidth_limit_name":"dl","bandwidth_limit_limit":"1m","bandwidth_limit_period":"1s"}`},
		{"http_request_rule", "http-request silent-drop rst-ttl 3 if a", `{"type":"silent-drop","rst_ttl":3,"cond":"if","cond_test":"a"}`},
		{"http_request_rule", "http-request do-log profile p", `{"type":"do-log","log_profile":"p"}`},
		{"http_request_rule", "http-request set-retries 3", `{"type":"set-retries","expr":"3"}`},
		{"http_response_rule", "http-response add-headers-bin var(txn.h) prefix x-", `{"type":"add-headers-bin","hdr_expr":"var(txn.h)","hdr_prefix":"x-"}`},
		{"http_response_rule", "http-response set-status 503 reason 'Go away'", `{"type":"set-status","status":503,"status_reason":"Go away"}`},
	} {
		f := config.Parse("t", []byte(c.line+"\n"))
		words := f.Lines[0].Words
		l := a.ByName[c.resource].line
		obj, ok := l.decode(words)
		if !ok {
			t.Errorf("%s: not a %s", c.line, c.resource)
			continue
		}
		if c.json == "" {
			continue
		}
		want := parse(t, c.json)
		if !equal(obj, want) {
			got, _ := json.Marshal(obj)
			t.Errorf("%s:\n got %s\nwant %s", c.line, got, c.json)
			continue
		}
		out, err := l.encode(want, nil)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if again, _ := l.decode(out); !equal(again, want) {
			t.Errorf("%s: written as %q", c.line, out)
		}
	}
}

// An edit leaves the words alone that are about something else.
func TestEditLine(t *testing.T) {
	a := api(t)
	for _, c := range []struct{ resource, old, json, want string }{
		{"bind", "bind :1 ssl crt a crt b", `{"port":1,"ssl":true,"ssl_certificate":"b","alpn":"h2"}`, "bind :1 ssl crt a crt b alpn h2"},
		{"bind", "bind :1 ssl crt a crt b", `{"port":1,"ssl":true,"ssl_certificate":"c"}`, "bind :1 ssl crt c"},
		{"bind", "bind :1 default-crt a ssl default-crt b", `{"port":1,"ssl":true,"default_crt_list":["a","b"],"maxconn":5}`, "bind :1 default-crt a ssl default-crt b maxconn 5"},
		{"bind", "bind :1 default-crt a ssl default-crt b", `{"port":1,"ssl":true,"default_crt_list":["b","c"]}`, "bind :1 default-crt b default-crt c ssl"},
		{"server", "server s h:1 check no-check zork", `{"name":"s","address":"h","port":1,"check":"disabled","weight":3}`, "server s h:1 check no-check zork weight 3"},
	} {
		words, err := a.ByName[c.resource].line.encode(parse(t, c.json), strings.Fields(c.old))
		if got := strings.Join(words, " "); err != nil || got != c.want {
			t.Errorf("%q %s: %q %v, want %q", c.old, c.json, got, err, c.want)
		}
	}
}

// A property and its older name are two ways to say the same.
func TestOlderNames(t *testing.T) {
	a := api(t)
	for _, c := range []struct{ resource, old, json, want string }{
		{"bind", "", `{"port":1,"ssl":true,"force_strict_sni":"enabled","tlsv10":"disabled","tls_tickets":"enabled"}`, "bind :1 strict-sni ssl tls-tickets no-tlsv10"},
		{"bind", "", `{"port":1,"ssl":true,"strict_sni":true,"no_tlsv10":true,"no_tls_tickets":true}`, "bind :1 strict-sni ssl no-tls-tickets no-tlsv10"},
		{"bind", "", `{"port":1,"no_strict_sni":true,"strict_sni":false}`, "bind :1 no-strict-sni"},
		{"bind", "", `{"port":1,"no_strict_sni":true,"strict_sni":true}`, ""},
		{"bind", "", `{"port":1,"no_tls_tickets":true,"tls_tickets":"enabled"}`, ""},
		// Who read both names may change one of them.
		{"bind", "bind :1 no-tlsv12 ssl", `{"port":1,"ssl":true,"tlsv12":"enabled","no_tlsv12":true}`, "bind :1 force-tlsv12 ssl"},
		{"bind", "bind :1 no-tlsv12 ssl", `{"port":1,"ssl":true,"tlsv12":"disabled","no_tlsv12":false,"force_tlsv12":true}`, "bind :1 force-tlsv12 ssl"},
		{"bind", "bind :1 no-tlsv12 ssl", `{"port":1,"ssl":true,"no_tlsv12":true}`, "bind :1 no-tlsv12 ssl"},
		{"bind", "bind :1 no-tlsv12 ssl", `{"port":1,"ssl":true}`, "bind :1 ssl"},
		{"server", "", `{"name":"s","address":"h","ssl":"enabled","sslv3":"disabled","tlsv12":"enabled"}`, "server s h ssl no-sslv3 force-tlsv12"},
		{"server", "", `{"name":"s","address":"h","no_sslv3":"enabled","force_tlsv12":"enabled","force_tlsv13":"disabled"}`, "server s h no-sslv3 force-tlsv12"},
		{"server", "", `{"name":"s","address":"h","no_sslv3":"enabled","force_sslv3":"enabled"}`, ""},
	} {
		words, err := a.ByName[c.resource].line.encode(parse(t, c.json), strings.Fields(c.old))
		if got := strings.Join(words, " "); err == nil && got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q %s: %q %v, want %q", c.old, c.json, got, err, c.want)
		}
	}
	// A line that says the same already is not touched.
	const text = "defaults\n    default-server 'check' no-tlsv10 # old\n"
	f := config.Parse("t", []byte(text))
	obj := parse(t, `{"name":"unnamed_defaults_1","default_server":{"check":"enabled","tlsv10":"disabled"}}`)
	if err := a.ByName["defaults"].Sections(f).Replace("unnamed_defaults_1", 0, obj, false); err != nil || string(f.Bytes()) != text {
		t.Errorf("%v %q", err, f.Bytes())
	}
}

// What logs need, as sections: a profile with its steps, the moments that a frontend logs, its places.
func TestLogSections(t *testing.T) {
	const text = "log-profile brief\n    log-tag web\n    on accept drop\n    on error format \"%ci %ST\" sd [x]\n\n" +
		"frontend web\n    log-steps accept,close\n    error-log-format \"%ci failed\"\n    log global\n    declare capture request len 40\n    declare capture response len 20\n"
	a := api(t)
	f := config.Parse("t", []byte(text))
	got, err := a.ByName["log_profile"].Sections(f).Get("brief", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, `{"name":"brief","log_tag":"web","steps":[{"step":"accept","drop":"enabled"},{"step":"error","format":"%ci %ST","sd":"[x]"}]}`)
	if !reflect.DeepEqual(parse(t, jsonText(t, got)), want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := a.ByName["log_profile"].Sections(f).Replace("brief", 0, want, false); err != nil || string(f.Bytes()) != text {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
	full, err := a.ByName["frontend"].Sections(f).Get("web", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if s := jsonText(t, full); !strings.Contains(s, `"log_steps":["accept","close"]`) || !strings.Contains(s, `"length":20,"type":"response"`) || !strings.Contains(s, `"error_log_format":"%ci failed"`) {
		t.Error(s)
	}
	if err := a.ByName["frontend"].Sections(f).Replace("web", 0, full, true); err != nil || string(f.Bytes()) != text {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRefused(t *testing.T) {
	a := api(t)
	for _, c := range []struct{ resource, json, field string }{
		{"http_request_rule", `{"type":"set-header","hdr_name":"X"}`, "hdr_format"},
		{"http_request_rule", `{"type":"set-header","hdr_name":"X","hdr_format":"a","redir_code":301}`, "redir_code"},
		{"http_request_rule", `{"type":"no-such"}`, "type"},
		{"http_request_rule", `{"type":"allow","cond":"if"}`, "cond"},
		{"backend_switching_rule", `{"name":"a","cond":"if","cond_test":"x # y"}`, "cond_test"},
		{"log_target", `{"address":"1.2.3.4"}`, "facility"},
		{"log_target", `{"global":true,"address":"1.2.3.4"}`, "address"},
		{"server", `{"name":"s","port":80}`, "address"},
		{"server", `{"name":"s\u0000x","address":"127.0.0.1"}`, "name"},
		{"server", `{"name":"\u0000","address":"127.0.0.1"}`, "name"},
		{"server", `{"name":"a/b","address":"127.0.0.1"}`, "name"},
		{"server", `{"name":"\u00e4","address":"127.0.0.1"}`, "name"},
		{"server_template", `{"prefix":"s\u0000","num_or_range":"1-3","fqdn":"a.example"}`, "prefix"},
		{"acl", `{"acl_name":"a\u0000;","criterion":"path","value":"/"}`, "acl_name"},
	} {
		_, err := a.ByName[c.resource].line.encode(parse(t, c.json), nil)
		fe, ok := err.(*FieldError)
		if !ok || fe.Field != c.field {
			t.Errorf("%s: error %v, want one about %s", c.json, err, c.field)
		}
	}
}

const sample = `# _version=3
# the house file

global
    stats socket /run/a.sock level admin expose-fd listeners  # ops
    maxconn 1000
    tune.bufsize 16384

defaults
    mode http
    timeout client 30s   # half a minute
    timeout server 30s
    option httplog
    log global

frontend web from base
    bind :8080
    # what follows is routing
    acl is_api path_beg /api
    use_backend api if is_api
    default_backend app
    unheard-of keyword here

backend app
    balance leastconn
    option httpchk GET /health
    default-server check inter 1s
    server s1 127.0.0.1:9001 weight 10 # first
    server s2 127.0.0.1:9002 strange-word 5
`

func TestReadSections(t *testing.T) {
	a := api(t)
	f := config.Parse("t", []byte(sample))
	for _, c := range []struct{ resource, name, json string }{
		{"global", "", `{"runtime_apis":[{"address":"/run/a.sock","level":"admin","expose_fd_listeners":true}],"performance_options":{"maxconn":1000},"tune_buffer_options":{"bufsize":16384}}`},
		{"defaults", "unnamed_defaults_1", `{"name":"unnamed_defaults_1","mode":"http","client_timeout":30000,"server_timeout":30000,"httplog":true}`},
		{"frontend", "web", `{"name":"web","from":"base","default_backend":"app"}`},
		{"backend", "app", `{"name":"app","balance":{"algorithm":"leastconn"},"adv_check":"httpchk","httpchk_params":{"method":"GET","uri":"/health"},"default_server":{"check":"enabled","inter":1000}}`},
	} {
		got, err := a.ByName[c.resource].Sections(f).Get(c.name, 0, false)
		if err != nil {
			t.Error(err)
			continue
		}
		if !equal(got, parse(t, c.json)) {
			j, _ := json.Marshal(got)
			t.Errorf("%s:\n got %s\nwant %s", c.resource, j, c.json)
		}
		// Writing back what was read changes no byte.
		if err := a.ByName[c.resource].Sections(f).Replace(c.name, 0, got, false); err != nil {
			t.Error(err)
		}
		if string(f.Bytes()) != sample {
			t.Fatalf("%s: the file changed:\n%s", c.resource, f.Bytes())
		}
	}
	full, err := a.ByName["backend"].Sections(f).Get("app", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if servers, _ := full["servers"].(map[string]any); len(servers) != 2 {
		t.Errorf("full section: %v", full)
	}
	if err := a.ByName["backend"].Sections(f).Replace("app", 0, full, true); err != nil || string(f.Bytes()) != sample {
		t.Errorf("full section written back: %v\n%s", err, f.Bytes())
	}
}

// An edit changes the lines that it is about, and nothing else.
func TestEdits(t *testing.T) {
	a := api(t)
	in := func(f *config.File, r, kind, name string) *Place {
		p, err := a.ByName[r].In(f, kind, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name     string
		edit     func(f *config.File) error
		old, new string
	}{
		{"add a server", func(f *config.File) error {
			return in(f, "server", "backend", "app").Create(parse(t, `{"name":"s3","address":"127.0.0.1","port":9003,"check":"enabled"}`), 0, false)
		}, "strange-word 5\n", "strange-word 5\n    server s3 127.0.0.1:9003 check\n"},
		{"change a server, keeping what is unknown", func(f *config.File) error {
			return in(f, "server", "backend", "app").Replace("s2", 0, parse(t, `{"name":"s2","address":"127.0.0.1","port":9002,"weight":7}`), false)
		}, "9002 strange-word 5", "9002 strange-word 5 weight 7"},
		{"change a weight, keeping the comment", func(f *config.File) error {
			return in(f, "server", "backend", "app").Replace("s1", 0, parse(t, `{"name":"s1","address":"127.0.0.1","port":9001,"weight":20}`), false)
		}, "weight 10 # first", "weight 20 # first"},
		{"delete a server", func(f *config.File) error {
			return in(f, "server", "backend", "app").Delete("s1", 0)
		}, "    server s1 127.0.0.1:9001 weight 10 # first\n", ""},
		{"a rule goes between ACLs and use_backend", func(f *config.File) error {
			return in(f, "http_request_rule", "frontend", "web").Create(parse(t, `{"type":"deny","cond":"if","cond_test":"is_api"}`), 0, false)
		}, "path_beg /api\n", "path_beg /api\n    http-request deny if is_api\n"},
		{"an ACL at the head of the others", func(f *config.File) error {
			return in(f, "acl", "frontend", "web").Create(parse(t, `{"acl_name":"a","criterion":"path","value":"/"}`), 0, false)
		}, "    acl is_api", "    acl a path /\n    acl is_api"},
		{"change a timeout, keeping the comment", func(f *config.File) error {
			return a.ByName["defaults"].Sections(f).Replace("unnamed_defaults_1", 0, parse(t, `{"name":"unnamed_defaults_1","mode":"http","client_timeout":60000,"server_timeout":30000,"httplog":true}`), false)
		}, "timeout client 30s   #", "timeout client 1m   #"},
		{"a new backend", func(f *config.File) error {
			return a.ByName["backend"].Sections(f).Create(parse(t, `{"name":"new","mode":"http","redispatch":{"enabled":"enabled","interval":3}}`), 0, false)
		}, "strange-word 5\n", "strange-word 5\n\nbackend new\n    mode http\n    option redispatch 3\n"},
		{"one bind by its address", func(f *config.File) error {
			return in(f, "bind", "frontend", "web").Replace(":8080", 0, parse(t, `{"name":":8080","port":8080,"maxconn":5}`), false)
		}, "bind :8080\n", "bind :8080 maxconn 5\n"},
		{"settings come before children", func(f *config.File) error {
			return a.ByName["backend"].Sections(f).Replace("app", 0, parse(t, `{"name":"app","balance":{"algorithm":"leastconn"},"adv_check":"httpchk","httpchk_params":{"method":"GET","uri":"/health"},"default_server":{"check":"enabled","inter":1000},"retries":2}`), false)
		}, "inter 1s\n", "inter 1s\n    retries 2\n"},
	} {
		f := config.Parse("t", []byte(sample))
		if err := c.edit(f); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := strings.Replace(sample, c.old, c.new, 1)
		if got := string(f.Bytes()); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

// Persistence is written as people write it.
func TestPersistence(t *testing.T) {
	a := api(t)
	f := config.Parse("t", []byte("backend b\n    server s h:1 cookie s\n"))
	value := parse(t, `{"name":"b","persist":"enabled","dynamic_cookie_key":"k","persist_rule":{"type":"rdp-cookie","rdp_cookie_name":"msts"},
		"force_persist_list":[{"cond":"if","cond_test":"LOCALHOST"}],"ignore_persist_list":[{"cond":"unless","cond_test":"{ path /a }"},{"cond":"if","cond_test":"TRUE"}],
		"cookie":{"name":"SRV","type":"insert","indirect":true,"nocache":true,"maxidle":1800,"domain":[{"value":"a.example"},{"value":".b.example"}],"attr":[{"value":"SameSite=Lax"},{"value":"Partitioned"}]}}`)
	if err := a.ByName["backend"].Sections(f).Replace("b", 0, value, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cookie SRV insert indirect nocache maxidle 1800 domain a.example domain .b.example attr SameSite=Lax attr Partitioned", "option persist", "dynamic-cookie-key k", "persist rdp-cookie(msts)",
		"force-persist if LOCALHOST", "ignore-persist unless { path /a }", "ignore-persist if TRUE", "server s h:1 cookie s",
	} {
		if !strings.Contains(string(f.Bytes()), "    "+want+"\n") {
			t.Errorf("no %q in\n%s", want, f.Bytes())
		}
	}
}

// Compression is written as people write it, and read again.
func TestCompression(t *testing.T) {
	a := api(t)
	f := config.Parse("t", []byte("backend b\n    server s h:1\n"))
	value := parse(t, `{"name":"b","compression":{"algo-req":"gzip","algos-res":["gzip","deflate"],"types-req":["text/plain"],"types-res":["text/html","text/css"],"minsize_req":100,"minsize_res":1024,"direction":"both","offload":true}}`)
	if err := a.ByName["backend"].Sections(f).Replace("b", 0, value, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"algo-req gzip", "algo-res gzip deflate", "type-req text/plain", "type-res text/html text/css", "minsize-req 100", "minsize-res 1024", "direction both", "offload"} {
		if !strings.Contains(string(f.Bytes()), "    compression "+want+"\n") {
			t.Errorf("no %q in\n%s", want, f.Bytes())
		}
	}
}

// A line that says more than the description knows is neither lost nor doubled.
func TestStranger(t *testing.T) {
	a := api(t)
	text := "backend b\n    cookie SRV insert nosuch\n    timeout server 5s\n"
	f := config.Parse("t", []byte(text))
	err := a.ByName["backend"].Sections(f).Replace("b", 0, parse(t, `{"name":"b","server_timeout":5000,"cookie":{"name":"X"}}`), false)
	if fe, ok := err.(*FieldError); !ok || fe.Field != "cookie" {
		t.Errorf("%v", err)
	}
	f = config.Parse("t", []byte(text))
	if err := a.ByName["backend"].Sections(f).Replace("b", 0, parse(t, `{"name":"b"}`), false); err != nil {
		t.Fatal(err)
	}
	if want := "backend b\n    cookie SRV insert nosuch\n"; string(f.Bytes()) != want {
		t.Errorf("%s", f.Bytes())
	}
}

// What is added does not slip into a conditional block of the file.
func TestConditions(t *testing.T) {
	a := api(t)
	text := "backend b\n    mode http\n.if defined(X)\n    retries 3\n    server s1 h:1\n.else\n    server s2 h:2\n.endif\n    # end\n"
	f := config.Parse("t", []byte(text))
	p, err := a.ByName["server"].In(f, "backend", "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Create(parse(t, `{"name":"s3","address":"h","port":3}`), 0, false); err != nil {
		t.Fatal(err)
	}
	if p, err = a.ByName["acl"].In(f, "backend", "b"); err != nil {
		t.Fatal(err)
	}
	if err := p.Create(parse(t, `{"acl_name":"a","criterion":"path"}`), 0, false); err != nil {
		t.Fatal(err)
	}
	want := "backend b\n    mode http\n    acl a path\n.if defined(X)\n    retries 3\n    server s1 h:1\n.else\n    server s2 h:2\n.endif\n    server s3 h:3\n    # end\n"
	if string(f.Bytes()) != want {
		t.Errorf("%s", f.Bytes())
	}
	if err := a.ByName["backend"].Sections(f).Replace("b", 0, parse(t, `{"name":"b","mode":"http","retries":3,"server_timeout":1000}`), false); err != nil {
		t.Fatal(err)
	}
	if want = strings.Replace(want, "mode http\n", "mode http\n    timeout server 1s\n", 1); string(f.Bytes()) != want {
		t.Errorf("%s", f.Bytes())
	}
}

// Commands are for what certainly counts: not inside conditions, not with words that the proxy would expand.
func TestPlanDeclines(t *testing.T) {
	a := api(t)
	for _, c := range []struct{ before, after string }{
		{"backend b\n.if defined(X)\n server s h:1\n.endif\n", "backend b\n.if defined(X)\n server s h:1 weight 2\n.endif\n"},
		{"backend b\n", "backend b\n server s \"$HOST:1\"\n"},
		{"backend b\n server s 1.2.3.4:1\n", "backend b\n server s \"$HOST:1\"\n"},
		{"backend b\n server s h:1\n server s h:2\n", "backend b\n server s h:1\n"},
		{"backend b\n server s h:1\n", "backend b from d\n server s h:1\n"},
		{"backend b\n server s h:1\n", "backend c\n server s h:1\n"},
		{"backend b\n server s h:1\n default-server check\n", "backend b\n default-server check\n server s h:1\n"},
		{"backend b\n server a h:1\n server b h:1\n", "backend b\n server b h:1\n server a h:1\n"},
		// A ring may have the name of a backend, and its servers are not what commands act on.
		{"backend b\n server s h:1\nring b\n server s h:1\n", "backend b\n server s h:1\nring b\n"},
		{"ring b\n", "ring b\n server s h:1\n"},
		{"ring b\n server s h:1\n", "ring b\n server s h:2\n"},
	} {
		if commands, ok := a.Plan(config.Parse("t", []byte(c.before)), config.Parse("t", []byte(c.after))); ok {
			t.Errorf("%q to %q: %v", c.before, c.after, commands)
		}
	}
}

// A ring and its servers are written as lines of its section, and come back.
func TestRings(t *testing.T) {
	a := api(t)
	f := config.Parse("t", []byte("global\n"))
	rings := a.ByName["ring"].Sections(f)
	const ring = `{"name":"r","description":"My local buffer","format":"rfc5424","maxlen":1200,"size":32764,"timeout_connect":5000,"timeout_server":10000}`
	if err := rings.Create(parse(t, ring), 0, false); err != nil {
		t.Fatal(err)
	}
	servers, err := a.ByName["server"].In(f, "ring", "r")
	if err != nil {
		t.Fatal(err)
	}
	const server = `{"name":"s1","address":"127.0.0.1","port":6514,"log_proto":"octet-count"}`
	if err := servers.Create(parse(t, server), 0, false); err != nil {
		t.Fatal(err)
	}
	got := string(f.Bytes())
	for _, line := range []string{
		"ring r\n", "    description My local buffer\n", "    format rfc5424\n", "    maxlen 1200\n", "    size 32764\n", "    timeout connect 5s\n",
		"    timeout server 10s\n", "    server s1 127.0.0.1:6514 log-proto octet-count\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if obj, err := rings.Get("r", 0, false); err != nil || !equal(obj, parse(t, ring)) {
		t.Errorf("%v %v", obj, err)
	}
	if err := rings.Replace("r", 0, parse(t, `{"name":"r","size":65536}`), false); err != nil {
		t.Fatal(err)
	}
	if got := string(f.Bytes()); strings.Contains(got, "maxlen") || !strings.Contains(got, "    size 65536\n") || !strings.Contains(got, "    server s1 ") {
		t.Errorf("the settings are replaced, the servers stay:\n%s", got)
	}
	if err := rings.Delete("r", 0); err != nil || strings.Contains(string(f.Bytes()), "ring") {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
}

// The global settings of TLS, of HTTP/2 and of the certificate stores are properties, and come back as the same lines.
func TestSecuritySettings(t *testing.T) {
	const text = `global
    ca-base /ca
    crt-base /crt
    issuers-chain-path /chain
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-engine rdrand algo RSA
    ssl-engine other
    ssl-load-extra-files key ocsp
    ssl-server-verify none
    ssl-skip-self-issued-ca
    tune.h2.be.glitches-threshold 5
    tune.h2.fe.max-total-streams 1000
    tune.h2.fe.rxbuf 1638400
    tune.h2.zero-copy-fwd-send off
    tune.ssl.cachesize 20000
    tune.ssl.certificate-compression off
    tune.ssl.lifetime 5m
    tune.ssl.force-private-cache
    ocsp-update.disable on
    ocsp-update.httpproxy 127.0.0.1:3128
    ocsp-update.mode on
    httpclient.ssl.verify none
`
	f := config.Parse("t", []byte(text))
	p := api(t).ByName["global"].Sections(f)
	obj, err := p.Get("", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, `{"ssl_options":{"ca_base":"/ca","crt_base":"/crt","issuers_chain_path":"/chain","default_bind_options":"ssl-min-ver TLSv1.2 no-tls-tickets",
		"engines":[{"name":"rdrand","algorithms":"RSA"},{"name":"other"}],"load_extra_files":"key ocsp","server_verify":"none","skip_self_issued_ca":true},
		"tune_options":{"h2_be_glitches_threshold":5,"h2_fe_max_total_streams":1000,"h2_fe_rxbuf":1638400,"h2_zero_copy_fwd_send":"disabled"},
		"tune_ssl_options":{"cachesize":20000,"certificate_compression":"disabled","lifetime":300000,"force_private_cache":true},
		"ocsp_update_options":{"disable":true,"httpproxy":{"address":"127.0.0.1","port":3128},"mode":"enabled"},
		"http_client_options":{"ssl_verify":"none"}}`)
	if !equal(obj, want) {
		t.Errorf("%v", obj)
	}
	empty := config.Parse("t", []byte("global\n"))
	if err := api(t).ByName["global"].Sections(empty).Replace("", 0, want, false); err != nil {
		t.Fatal(err)
	}
	again, _ := api(t).ByName["global"].Sections(empty).Get("", 0, false)
	if !equal(again, want) {
		t.Errorf("%v\n%s", again, empty.Bytes())
	}
}

// Threads, processors and limits of the process.
func TestProcessSettings(t *testing.T) {
	const text = `global
    nbthread 4
    thread-groups 2
    ulimit-n 5000
    cpu-policy none
    strict-limits
    cpu-map auto:1/1-2 0-1
    cpu-map 2 2,3
    cpu-set reset
    cpu-set drop-cpu 0-1
    no numa-cpu-mapping
    thread-group 1 1-3
    thread-group 2 4 5
    default-path origin /etc/forebay
    fd-hard-limit 6000
    thread-hard-limit 8
    tune.listener.default-shards by-group
`
	f := config.Parse("t", []byte(text))
	obj, err := api(t).ByName["global"].Sections(f).Get("", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, `{"nbthread":4,"thread_groups":2,"ulimit_n":5000,"cpu_policy":"none","strict_limits":true,
		"cpu_maps":[{"process":"auto:1/1-2","cpu_set":"0-1"},{"process":"2","cpu_set":"2,3"}],
		"cpu_set":[{"directive":"reset"},{"directive":"drop-cpu","set":"0-1"}],"numa_cpu_mapping":"disabled",
		"thread_group_lines":[{"group":"1","num_or_range":"1-3"},{"group":"2","num_or_range":"4 5"}],
		"default_path":{"type":"origin","path":"/etc/forebay"},
		"performance_options":{"fd_hard_limit":6000,"thread_hard_limit":8},
		"tune_options":{"listener_default_shards":"by-group"}}`)
	if !equal(obj, want) {
		t.Errorf("%v", obj)
	}
	empty := config.Parse("t", []byte("global\n"))
	if err := api(t).ByName["global"].Sections(empty).Replace("", 0, want, false); err != nil {
		t.Fatal(err)
	}
	if again, _ := api(t).ByName["global"].Sections(empty).Get("", 0, false); !equal(again, want) {
		t.Errorf("%v\n%s", again, empty.Bytes())
	}
}
