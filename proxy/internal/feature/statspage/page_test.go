package statspage

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/acl"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/check"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

const head = "defaults d\n mode http\n timeout client 60s\n timeout connect 1s\n timeout server 1s\n"

// site is a configuration that runs, behind a socket of the file system.
type site struct {
	t    *testing.T
	w    *stream.Worker
	path string
}

func start(t *testing.T, text string) *site {
	t.Helper()
	path := t.TempDir() + "/f"
	return &site{t, bed.Start(t, 1, head+strings.ReplaceAll(text, "{f}", "unix@"+path)), path}
}

// ask sends a request and gives the answer with its body. fields are lines.
func (s *site) ask(method, target, body string, fields ...string) (*http.Response, string) {
	s.t.Helper()
	c, err := net.Dial("unix", s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(bed.Patience))
	text := method + " " + target + " HTTP/1.1\r\nhost: x\r\n"
	for _, f := range fields {
		text += f + "\r\n"
	}
	if method == "POST" {
		text += fmt.Sprintf("content-length: %d\r\n", len(body))
	}
	io.WriteString(c, text+"\r\n"+body)
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(err)
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	return res, string(data)
}

const two = "listen web\n bind {f}\n stats uri /s\n stats admin unless { req.hdr(x-user) guest }\n server s1 127.0.0.1:1\n server s2 127.0.0.1:1 disabled\n server s3 127.0.0.1:1 check\n"

// Each form has its type and begins as it should, whatever else stands in the target.
func TestForms(t *testing.T) {
	s := start(t, two+"backend other\n")
	for _, c := range []struct {
		method, target string
		status         int
		kind, begins   string
		has, hasNot    string
	}{
		{"GET", "/s", 200, "text/html; charset=utf-8", "<!doctype html>", ">s2<", ""},
		{"HEAD", "/s", 200, "text/html; charset=utf-8", "", "", ""},
		{"GET", "http://x/s", 200, "text/html; charset=utf-8", "<!doctype html>", ">s2<", ""},
		{"GET", "/s;csv", 200, "text/plain", "# pxname,svname,qcur,", "\nweb,s2,", ""},
		{"GET", "/somewhere?;csv", 200, "text/plain", "# pxname,", "\nweb,s2,", ""},
		{"GET", "/s;csv;up", 200, "text/plain", "# pxname,", "\nweb,s1,", "\nweb,s2,"},
		{"GET", "/s;csv;no-maint", 200, "text/plain", "# pxname,", "\nweb,s1,", "\nweb,s2,"},
		{"GET", "/s;csv?scope=OTH", 200, "text/plain", "# pxname,", "\nother,", "\nweb,"},
		{"GET", "/s;typed", 200, "text/plain", "F.", ".svname.1:KNSV:str:s2\n", ""},
		{"GET", "/s;json", 200, "application/json", "[[{", `"value":"s2"`, ""},
		{"GET", "/s;json-schema", 200, "application/json", `{"$schema":"http://json-schema.org/draft-04/schema#"`, `"Error"`, ""},
		{"GET", "/s;live", 200, "application/json", `{"tiles":[`, `["s`, ""},
		{"PUT", "/s", 503, "text/html", "<html>", "", ""},
		{"GET", "/", 503, "text/html", "<html>", "", ""},
	} {
		res, body := s.ask(c.method, c.target, "")
		if res.StatusCode != c.status || res.Header.Get("content-type") != c.kind || !strings.HasPrefix(body, c.begins) || !strings.Contains(body, c.has) || c.hasNot != "" && strings.Contains(body, c.hasNot) {
			t.Errorf("%s %s: %d %s\n%.300s", c.method, c.target, res.StatusCode, res.Header.Get("content-type"), body)
		}
		if c.status == 200 && res.Header.Get("cache-control") != "no-cache" {
			t.Errorf("%s: %v", c.target, res.Header)
		}
	}
}

// What the page shows is not markup of whoever names things, and the policy allows
// nothing but what the page has.
func TestHostileNames(t *testing.T) {
	s := start(t, `listen web
 bind {f}
 description <b>&\"\'
 stats uri /s?a=\"><script>alert(1)</script>
 stats show-desc <i>x</i> & y
 stats show-legends
 stats show-modules
 stats refresh 5s
 stats admin if TRUE
 server a:b.c 127.0.0.1:1
`)
	res, body := s.ask("GET", `/s?a="><script>alert(1)</script>;st=DONE?scope="><img>`, "")
	if _, empty := s.ask("GET", `/s?a="><script>alert(1)</script>`, ""); !strings.Contains(empty, ">a:b.c<") {
		t.Errorf("%.300s", empty)
	} else {
		body += empty
	}
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<i>") || strings.Contains(body, "<img") || strings.Contains(body, "<b>&\"") || !strings.Contains(body, "&lt;i&gt;x&lt;/i&gt; &amp; y") {
		t.Error(body)
	}
	if n := strings.Count(body, "<script>"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	if m := regexp.MustCompile(`\son[a-z]+=|\sstyle=|(src|href)="(https?:)?//`).FindString(body); m != "" {
		t.Errorf("the policy forbids %q", m)
	}
	csp := res.Header.Get("content-security-policy")
	for _, want := range []string{"default-src 'none'", "script-src '" + sum(script) + "'", "style-src '" + sum(style) + "'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("%q is not in %q", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(script, "innerHTML") || strings.Contains(script, "</") || strings.Contains(style, "</") {
		t.Error("markup in the script")
	}
}

// The form changes servers, for who may, and says what became of it.
func TestForm(t *testing.T) {
	s := start(t, two+" server s4 127.0.0.1:1\n")
	status := func(name string) string {
		for l := range strings.Lines(bed.Ask(t, s.w, "show stat")) {
			if f := strings.Split(l, ","); f[0] == "web" && f[1] == name {
				return f[17]
			}
		}
		return ""
	}
	long := "action=drain&b=web&s=s1&x=" + strings.Repeat("x", 20000)
	for _, c := range []struct {
		body, flags, field, want string
		server, status           string
	}{
		{"s=s1&action=drain&b=web", "", "", "DONE", "s1", "DRAIN"},
		{"s=s1&action=ready&b=%23ID", "", "", "DONE", "s1", "no check"},
		{"b=web&action=maint&s=s1&s=s4", ";up", "", "DONE;up", "s4", "MAINT"},
		{"s=s1&s=nosuch&action=ready&b=web", "", "", "PART", "s1", "no check"},
		{"s=nosuch&action=ready&b=web", "", "", "ERRP", "s1", "no check"},
		{"s=s1&action=nosuch&b=web", "", "", "ERRP", "s1", "no check"},
		{"s=s1&action=&b=web", "", "", "ERRP", "s1", "no check"},
		{"s=s1&action=drain&b=nosuch", "", "", "ERRP", "s1", "no check"},
		{"action=drain&b=web", "", "", "NONE", "s1", "no check"},
		{"", "", "", "NONE", "s1", "no check"},
		{"s=%zz&action=drain&b=web", "", "", "ERRP", "s1", "no check"},
		{"s=s1&action=dhlth&b=web", "", "", "NONE", "s1", "no check"},
		{"s=s3&action=dhlth&b=web", "", "", "DONE", "", ""},
		{"s=s3&action=ehlth&b=web", "", "", "DONE", "", ""},
		{"s=s1&action=adown&b=web", "", "", "NONE", "s1", "no check"},
		{"s=s4&action=ready&b=web", "", "", "DONE", "s4", "no check"},
		{"s=s4&action=hnolb&b=web", "", "", "DONE", "s4", "NOLB"},
		{"s=s4&action=hdown&b=web", "", "", "DONE", "s4", "DOWN"},
		{"s=s4&action=hrunn&b=web", "", "", "DONE", "s4", "no check"},
		{"s=s1&action=shutdown&b=web", "?scope=we", "", "DONE?scope=we", "s1", "no check"},
		{"s=s1&action=drain&b=web", "", "x-user: guest", "DENY", "s1", "no check"},
		{"s=s1&action=drain&b=web", "", "origin: http://evil", "DENY", "s1", "no check"},
		{"s=s1&action=drain&b=web", "", "origin: null", "DENY", "s1", "no check"},
		{"s=s1&action=drain&b=web", "", "sec-fetch-site: same-site", "DENY", "s1", "no check"},
		{"s=s1&action=drain&b=web", "", "sec-fetch-site: same-origin", "DONE", "s1", "DRAIN"},
		{"s=s1&action=ready&b=web", "", "origin: http://x", "DONE", "s1", "no check"},
		{long, "", "", "EXCD", "s1", "no check"},
	} {
		body := strings.ReplaceAll(c.body, "ID", fmt.Sprint(s.w.Snapshot().Backends["web"].ID))
		var fields []string
		if c.field != "" {
			fields = append(fields, c.field)
		}
		res, _ := s.ask("POST", "/s"+c.flags, body, fields...)
		if got := res.Header.Get("location"); res.StatusCode != 303 || got != "/s;st="+c.want || res.ContentLength != 0 {
			t.Errorf("%.60s: %d %q, want %s", c.body, res.StatusCode, got, c.want)
		}
		if got := status(c.server); got != c.status {
			t.Errorf("%.60s: %s is %q, want %q", c.body, c.server, got, c.status)
		}
	}
	if _, body := s.ask("GET", "/s;st=DENY", "", "x-user: guest"); strings.Contains(body, "<form") || !strings.Contains(body, outcomes["DENY"]) {
		t.Errorf("%.300s", body)
	}
}

// A page of another scope does not reach beyond it.
func TestScope(t *testing.T) {
	s := start(t, "frontend web\n bind {f}\n stats uri /s\n stats scope .\n stats scope a\n stats admin if TRUE\nbackend a\n server s 127.0.0.1:1\nbackend b\n server s 127.0.0.1:1\n")
	if _, body := s.ask("GET", "/s;csv", ""); !strings.Contains(body, "\na,s,") || !strings.Contains(body, "\nweb,FRONTEND") || strings.Contains(body, "\nb,") {
		t.Error(body)
	}
	if res, _ := s.ask("POST", "/s", "s=s&action=drain&b=b"); res.Header.Get("location") != "/s;st=ERRP" {
		t.Error(res.Header)
	}
}

// Who has no account is asked for one.
func TestAccess(t *testing.T) {
	accounts := start(t, "listen web\n bind {f}\n stats uri /s\n stats auth a:b:c\n stats auth nobody\n")
	rules := start(t, "listen web\n bind {f}\n stats uri /s\n stats http-request allow if { path_end /ok }\n stats http-request deny if { path_end /no }\n stats http-request auth realm a\\\\\\\"b\n")
	for _, c := range []struct {
		s             *site
		target, field string
		status        int
		realm         string
	}{
		{accounts, "/s", "x: y", 401, `Basic realm="HAProxy Statistics"`},
		{accounts, "/s", "authorization: Basic YTpiOmM=", 200, ""},                                 // a:b:c
		{accounts, "/s;csv", "authorization: bAsIc YTpiOmM=", 200, ""},                             //
		{accounts, "/s", "authorization: Basic YTpi", 401, `Basic realm="HAProxy Statistics"`},     // a:b
		{accounts, "/s", "authorization: Basic bm9ib2R5Og==", 200, ""},                             // nobody:
		{accounts, "/s", "authorization: Basic bm9ib2R5", 401, `Basic realm="HAProxy Statistics"`}, // nobody
		{accounts, "/s", "authorization: Bearer YTpiOmM=", 401, `Basic realm="HAProxy Statistics"`},
		{accounts, "/s", "authorization: Basic !", 401, `Basic realm="HAProxy Statistics"`},
		{rules, "/s/ok", "x: y", 200, ""}, {rules, "/s/no", "x: y", 403, ""}, {rules, "/s", "x: y", 401, `Basic realm="a\\\"b"`},
	} {
		res, _ := c.s.ask("GET", c.target, "", c.field)
		if res.StatusCode != c.status || res.Header.Get("www-authenticate") != c.realm {
			t.Errorf("%s %s: %d %q", c.target, c.field, res.StatusCode, res.Header.Get("www-authenticate"))
		}
	}
	// It stands in the way of a form, too, and before its body.
	if res, _ := accounts.ask("POST", "/s", "s=s&action=drain&b=web"); res.StatusCode != 401 {
		t.Error(res.Status)
	}
}

// What defaults say is for sections that say nothing themselves.
func TestDefaults(t *testing.T) {
	s := start(t, " stats uri /d\n stats refresh 1500ms\n stats hide-version\nfrontend web\n bind {f}\n http-request allow if { path / }\n default_backend other\nbackend other\n stats realm x\n server s 127.0.0.1:1\n")
	for target, want := range map[string]int{"/d": 200, "/haproxy?stats": 200, "/e": 503} {
		if res, _ := s.ask("GET", target, ""); res.StatusCode != want {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
	res, _ := s.ask("GET", "/d;csv", "")
	stopped, _ := s.ask("GET", "/d;csv;norefresh", "")
	own, _ := s.ask("GET", "/haproxy?stats;csv", "")
	if res.Header.Get("refresh") != "2" || stopped.Header.Get("refresh") != "" || own.Header.Get("refresh") != "" {
		t.Error(res.Header, stopped.Header, own.Header)
	}
	_, page := s.ask("GET", "/d", "")
	_, still := s.ask("GET", "/d;norefresh", "")
	if !strings.Contains(page, `data-every="2" data-paused="false"`) || !strings.Contains(page, `<meta http-equiv="refresh" content="2;url=/d">`) || !strings.Contains(still, `data-paused="true"`) || strings.Contains(still, "http-equiv") {
		t.Errorf("%.900s", page)
	}
}

// One who takes a long page slowly keeps nobody from theirs, and it is not kept as a
// whole.
func TestManyServers(t *testing.T) {
	s := start(t, "listen web\n bind {f}\n stats uri /s\n server-template s 20000 127.0.0.1:1\n")
	c, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(bed.Patience))
	io.WriteString(c, "GET /s HTTP/1.1\r\nhost: x\r\n\r\n") // not read yet
	if res, _ := s.ask("GET", "/none", ""); res.StatusCode != 503 {
		t.Error(res.Status)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(res.Body)
	if n := strings.Count(string(data), `class="server `); err != nil || n != 20000 || !strings.HasSuffix(string(data), "</html>\n") {
		t.Errorf("%d servers, %v", n, err)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		form byte
		n    int64
		want string
	}{
		{'n', 0, "0"}, {'n', 9999, "9999"}, {'n', 10000, "10\u202f000"}, {'n', 1234567, "1\u202f234\u202f567"}, {'n', -1, "-1"},
		{'b', 0, "0 B"}, {'b', 1023, "1023 B"}, {'b', 1024, "1.0 KiB"}, {'b', 10 << 10, "10 KiB"}, {'b', 5 << 40, "5.0 TiB"},
		{'m', 7, "7 ms"}, {'s', 59, "59 s"}, {'s', 61, "1 m 1 s"}, {'s', 3660, "1 h 1 m"}, {'s', 90000, "1 d 1 h"},
	} {
		if got := string((&cell{form: c.form}).text(nil, c.n)); got != c.want {
			t.Errorf("%d: %q, want %q", c.n, got, c.want)
		}
	}
}

// The sentences are those of HAProxy 3.4 (reference, errors.tsv).
func TestErrors(t *testing.T) {
	for line, want := range map[string]string{
		"stats enable x": "", "stats hide-version x": "", "stats auth nocolon": "", "stats show-desc": "", "stats http-request allow": "", "stats show-modules": "",
		"stats nosuch":              "unknown stats parameter 'nosuch', expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' , 'show-legends' or 'show-version'.",
		"stats uri":                 "'uri' needs an URI prefix.",
		"stats auth":                "'auth' needs a user:password account.",
		"stats scope":               "'scope' needs a proxy name.",
		"stats realm":               "'realm' needs an realm name.",
		"stats admin":               "'stats admin' requires either 'if' or 'unless' followed by a condition.",
		"stats admin if nosuch":     "error detected while parsing a 'stats admin' rule : no such ACL : 'nosuch'.",
		"stats refresh x":           "unexpected character 'x' in argument to stats refresh interval.",
		"stats show-node b@d":       "'stats show-node' invalid node name - should be a stringwith digits(0-9), letters(A-Z, a-z), hyphen(-) or underscode(_).",
		"stats http-request nosuch": "'http-request' expects 'allow', 'deny' or 'auth', but got 'nosuch'.",
		"stats http-request auth x": "'stats http-request auth' expects either 'if' or 'unless' followed by a condition but found 'x'.",
		"stats auth a:b\n stats http-request deny": "backend 'b': stats 'auth'/'realm' and 'http-request' can't be used at the same time.",
		"mode tcp\n stats enable":                  "'stats' statement ignored for backend 'b' as it requires HTTP mode.",
	} {
		_, d := bed.Load(1, head+"backend b\n "+line+"\n")
		var got []string
		for _, m := range d.All() {
			got = append(got, m.Text)
		}
		if text := strings.Join(got, "|"); text != want && !strings.HasSuffix(text, want) || want == "" && text != "" {
			t.Errorf("%s: %q, want %q", line, text, want)
		}
	}
	for _, word := range []string{"admin if TRUE", "http-request allow"} {
		if s, _ := bed.Load(1, head+" stats "+word+"\nbackend b\n"); s != nil {
			t.Errorf("%s in defaults", word)
		}
	}
}

// The examples of the manual page load, and nothing is said of them.
func TestExamples(t *testing.T) { bed.Sound(t, bed.Examples(t, "README.md")) }
