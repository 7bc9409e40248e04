package rule_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// mistakes are lines of a frontend that neither program may accept.
var mistakes = []string{
	"acl",
	"acl a",
	"acl a nosuch x",
	"acl or path /a",
	"acl a-b! path /a",
	"acl a path -m nosuch x",
	"acl a path -m",
	"acl a src nonsense",
	"acl a src 10.0.0.0/33",
	"acl a path_reg (",
	"acl a hdr(host",
	"acl a path -z x",
	"acl a path -f /no/such/file",
	"acl a dst_port x",
	"acl a dst_port gt",
	"acl a path,nosuch x",
	"acl a path,lower( x",
	"acl a path,field(a,b) x",
	"acl a hdr(x,y) x",
	"acl a dst_port 10:5",
	"http-request",
	"http-request nosuch",
	"http-request denyx",
	"http-request deny if",
	"http-request deny if nosuch",
	"http-request deny if { path /a",
	"http-request deny if { }",
	"http-request deny if { path /a } or",
	"http-request deny unless",
	"http-request deny deny_status 99",
	"http-request deny deny_status 418",
	"http-request deny deny_status",
	"http-request deny foo",
	"http-request return status 99",
	"http-request return status 600",
	"http-request return status abc",
	"http-request return string hi",
	"http-request return content-type",
	"http-request return string",
	"http-request return content-type text/plain string a string b",
	"http-request return content-type text/plain lf-string %[nosuch]",
	"http-request return content-type text/plain lf-string %[path",
	"http-request return content-type text/plain file /no/such/file",
	"http-request return errorfile /no/such/file",
	"http-request return status 418 default-errorfiles",
	"http-request return hdr",
	"http-request return hdr a",
	"http-request return foo",
	"http-request set-header",
	"http-request set-header a",
	"http-request set-header a %[nosuch]",
	"http-request set-header a %nosuch",
	"http-request set-header a %[res.hdr(x)]",
	"http-request set-header a b c",
	"http-request set-header a b if",
	"http-request add-header a",
	"http-request del-header",
	"http-request del-header a -m nosuch",
	"http-request replace-header a ( b",
	"http-request replace-header a b",
	"http-request redirect",
	"http-request redirect location",
	"http-request redirect location /x code 200",
	"http-request redirect location /x code",
	"http-request redirect foo /x",
	"http-request redirect location /x foo",
	"http-request set-method",
	"http-request set-path",
	"http-request set-status 200",
	"http-response set-status 99",
	"http-response set-status abc",
	"http-response set-status 200 reason",
	"http-response set-method GET",
	"http-response set-header a %[path]",
	"http-after-response deny",
	"http-after-response set-header a %[path]",
	"tcp-request connection",
	"tcp-request connection nosuch",
	"tcp-request connection accept foo",
	"tcp-request connection reject foo",
	"tcp-request connection reject if",
	"tcp-request connection reject if nosuch",
	"tcp-request connection silent-drop foo",
	"tcp-request connection silent-drop rst-ttl",
	"tcp-request connection silent-drop rst-ttl 0",
	"tcp-request connection expect-proxy",
	"tcp-request connection expect-proxy layer5",
	"tcp-request connection expect-netscaler-cip",
	"tcp-request connection expect-netscaler-cip layer4 foo",
	"tcp-request connection set-header a b",
	"redirect",
	"redirect location",
	"redirect foo",
	"redirect location /x code 999",
	"use_backend",
	"use_backend b if",
	"use_backend b foo",
	"use_backend b if nosuch",
	"use_backend nosuch",
	"log",
	"log 127.0.0.1",
	"log 127.0.0.1 nosuch",
	"log 127.0.0.1 local0 nosuch",
	"log 127.0.0.1 local0 info nosuch",
	"log 127.0.0.1 len x local0",
	"log 127.0.0.1 format nosuch local0",
	"log 127.0.0.1 local0 info err foo",
	"log global foo",
	"log 127.0.0.1:99999 local0",
	"log-format %nosuch",
	"log-format %[nosuch]",
	"log-format %[path]",
	"log-format",
	"log-format a b",
	"log-format 100%",
	"log-format \"100% of it\"",
	"log-format %{+Q}",
	"log-tag",
	"option httplog foo",
	"option httplog clf foo",
}

// stricter are mistakes that HAProxy lets pass, each with the reason why we do
// not.
var stricter = map[string]string{
	"acl a dst_port gt":                   "a comparison with nothing",
	"http-request deny if":                "a condition that was forgotten",
	"tcp-request connection reject if":    "a condition that was forgotten",
	"http-request deny if { path /a } or": "a condition that was forgotten",
	"http-request deny unless":            "a condition that was forgotten",
	"http-request set-header a b if":      "a condition that was forgotten",
	"use_backend b if":                    "a condition that was forgotten",
}

// TestMistakesAsHAProxy: what HAProxy refuses is refused, at the same line.
func TestMistakesAsHAProxy(t *testing.T) {
	for _, m := range mistakes {
		text := head + "backend b\nfrontend f\n  bind 127.0.0.1:1\n  log 127.0.0.1 local0\n  " + m + "\n  default_backend b\n"
		ours, theirs := oracle.Check(t, text)
		if stricter[m] != "" {
			if ours.OK || !theirs.OK {
				t.Errorf("%s: accepted %v, by HAProxy %v", m, ours.OK, theirs.OK)
			}
			continue
		}
		if ours.OK != theirs.OK {
			t.Errorf("%s: accepted %v, by HAProxy %v\nforebay: %s\nhaproxy: %s", m, ours.OK, theirs.OK, ours.Text, theirs.Text)
			continue
		}
		at := ":16]"
		if strings.Contains(theirs.Text, at) != strings.Contains(ours.Text, at) {
			t.Errorf("%s: the line\nforebay: %s\nhaproxy: %s", m, ours.Text, theirs.Text)
		}
		if testing.Verbose() {
			t.Logf("%s\n  forebay: %s  haproxy: %s", m, ours.Text, alerts(theirs.Text))
		}
	}
}

func alerts(s string) string {
	var out string
	for l := range strings.Lines(s) {
		if strings.Contains(l, "[ALERT]") || strings.Contains(l, "[WARNING]") {
			out += l
		}
	}
	return out
}

// TestRulesOfDefaults: a defaults section with rules serves frontends or backends,
// not both: a request would meet its rules twice.
func TestRulesOfDefaults(t *testing.T) {
	const (
		front = "frontend f from d\n  bind {f}\n"
		back  = "backend b from d\n  server s 127.0.0.1:1\n"
		both  = "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules"
	)
	for _, c := range []struct{ rule, sections, want string }{
		{"http-request set-header a b", front, ""},
		{"http-request set-header a b", back, ""},
		{"http-request set-header a b", back + "backend c from d\n", ""},
		{"http-request set-header a b", front + back, both},
		{"http-response set-header a b", back + front, both},
		{"http-after-response set-header a b", front + back, both},
		{"tcp-request connection accept", front + back, both},
		{"http-request set-header a b", "listen l from d\n  bind {f}\n", "a listen section cannot inherit from a defaults section defining TCP/HTTP rules."},
		{"http-request set-header a b", "defaults e from d\n", "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules"},
		{"tcp-request connection accept", back, "a backend section cannot inherit from a defaults section defining 'tcp-request connection' or 'tcp-request session' rules"},
		{"acl a path /x", front + back + "listen l from d\n  bind {g}\n", ""}, // no rule
		{"option httpclose", front + back, ""},
	} {
		text := "defaults\n  timeout client 1s\nfrontend other\n  bind 127.0.0.1:36702\ndefaults d\n  mode http\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\n  " + c.rule + "\n" +
			strings.NewReplacer("{f}", "127.0.0.1:36700", "{g}", "127.0.0.1:36701").Replace(c.sections)
		ours, theirs := oracle.Check(t, text)
		for _, v := range []struct {
			who string
			oracle.Verdict
		}{{"forebay", ours}, {"haproxy", theirs}} {
			if v.OK != (c.want == "") || !strings.Contains(v.Text, c.want) {
				t.Errorf("%s, %q, %q: %q, want %q", v.who, c.rule, c.sections, v.Text, c.want)
			}
		}
	}
}

// Every action of the manual is known in every rule set that has it: it is there, or
// is told not to be yet.
func TestActionsOfTheManual(t *testing.T) {
	data, err := os.ReadFile("testdata/actions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		action, sets, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		for set := range strings.SplitSeq(sets, ", ") {
			n++
			_, d := bed.Load(1, head+"frontend f\n  bind 127.0.0.1:1\n  "+set+" "+action+"\n")
			if text := fmt.Sprint(d.All()); strings.Contains(text, "got '"+action) || strings.Contains(text, "unknown") || strings.Contains(text, "cannot handle") {
				t.Errorf("%s %s: %s", set, action, text)
			}
		}
	}
	if n < 200 {
		t.Errorf("%d actions were tried", n)
	}
}

// Actions that are not there yet are no typing mistakes, whatever follows their
// names.
func TestActionsOfLaterVersions(t *testing.T) {
	for _, m := range []string{
		"http-request track-sc0 src", "http-request track-sc12 src", "http-response track-sc1 src", "http-request do-resolve(txn.a,r) path", "http-request sc-inc-gpc0(0)",
		"http-request lua.mine a b", "http-response lua.mine", "http-request use-service lua.mine", "http-request deny if { lua.mine -m found }",
		"http-request set-header a %[lua.mine]", "http-request set-header a %[path,lua.mine]", "filter cache c", "filter lua.mine",
	} {
		ours, _ := oracle.Check(t, head+"frontend f\n  bind 127.0.0.1:1\n  "+m+"\n")
		if ours.OK || !strings.Contains(ours.Text, "is not supported by Forebay yet") {
			t.Errorf("%s: %s", m, ours.Text)
		}
	}
	ours, _ := oracle.Check(t, head+"frontend f\n  bind 127.0.0.1:1\n  http-request set-header a %[req.cook(a)]%[path,jwt_verify(a,b)] if { distcc_param(a) 1 } OR { urlp(x) y }\n")
	if n := strings.Count(ours.Text, "is not supported by Forebay yet"); n != 2 { // the format; conditions are looked at when it is good
		t.Errorf("%d messages: %s", n, ours.Text)
	}
	ours, _ = oracle.Check(t, head+"frontend f\n  bind 127.0.0.1:1\n  http-request deny if { distcc_param(a) 1 } OR { urlp(x) y } !{ req.cook(a) b }\n")
	if n := strings.Count(ours.Text, "is not supported by Forebay yet"); n != 3 {
		t.Errorf("%d messages: %s", n, ours.Text)
	}
}
