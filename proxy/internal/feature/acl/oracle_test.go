package acl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

const head = oracle.Head + "  balance roundrobin\n"

// conditions are tried with all requests. "{dir}" holds pattern files.
var conditions = []string{
	`if { path /a }`, `if { path /a /b }`, `if { path -i /A }`, `if { path_beg /a }`, `if { path_beg -i /A }`, `if { path_end .php .html }`,
	`if { path_sub img }`, `if { path_sub -i IMG }`, `if { path_dir img }`, `if { path_dir a/b }`, `if { path_dir /img/ }`, `if { path_dom img }`, `if { path_len 2 }`, `if { path_len gt 5 }`, `if { path_len 1:6 }`,
	`if { path_reg ^/[ab]$ }`, `if { path_reg -i ^/IMG }`, `if { path -m beg /a }`, `if { path -m end l }`, `if { path -m found }`, `if { path -m len 2 }`,
	`if { path -f {dir}/paths }`, `if { path -i -f {dir}/paths }`, `if { path_beg -f {dir}/paths /zz }`, `if { path_beg -i -f {dir}/paths }`,
	`if { url /a }`, `if { url_beg http:// }`, `if { url_sub ? }`, `if { url_end =1 }`, `if { url_reg \?x=[0-9]+$ }`, `if { url_dom h.example }`,
	`if { query -m found }`, `if { query -m str x=1 }`, `if { pathq -m beg /a? }`,
	`if { base -m beg h.example }`, `if { base_beg h.example/a }`, `if { base_dom example }`, `if { base_dir a }`, `if { baseq -m sub ? }`,
	`if { method GET }`, `if { method GET POST }`, `if { method get }`, `if { method -i get }`, `if { method BREW }`, `if { method -m beg G }`, `if { method -m found }`, `if { method HEAD OPTIONS }`,
	`if { hdr(host) h.example }`, `if { hdr(host) -i H.EXAMPLE }`, `if { hdr(Host) h.example:80 h.example }`, `if { hdr_beg(host) h. }`, `if { hdr_end(host) .example }`, `if { hdr_dom(host) example }`, `if { hdr_dom(host) -i EXAMPLE }`, `if { hdr_dom(host) ample }`,
	`if { hdr_sub(user-agent) curl }`, `if { hdr_sub(user-agent) -i CURL }`, `if { hdr_reg(user-agent) ^[a-z]+/ }`, `if { hdr_reg(user-agent) -i ^CURL }`, `if { hdr_dir(x-dir) b }`, `if { hdr_len(x-a) 1 }`, `if { hdr_len(x-a) lt 3 }`,
	`if { hdr(x-a) 1 }`, `if { hdr(x-a) 2 }`, `if { hdr(x-a) 4 }`, `if { hdr(x-a,1) 1 }`, `if { hdr(x-a,-1) 4 }`, `if { hdr(x-a,2) 2 }`, `if { hdr(x-a,9) 2 }`, `if { req.hdr(x-a) -m str 2 }`, `if { req.fhdr(x-a) -m str "1, 2" }`, `if { req.fhdr(x-a,2) -m str 4 }`, `if { req.fhdr(x-a,-2) -m str "1, 2" }`,
	`if { hdr_cnt(x-a) 3 }`, `if { hdr_cnt(x-a) gt 1 }`, `if { req.hdr_cnt(x-a) ge 1 le 2 }`, `if { req.fhdr_cnt(x-a) 2 }`, `if { hdr_cnt gt 3 }`, `if { hdr_cnt(none) 0 }`, `if { req.hdr(none) -m found }`, `if ! { req.hdr(none) -m found }`, `if { req.hdr(x-a) -m found }`, `if { req.hdr(x-e) -m found }`,
	`if { hdr_val(x-n) gt 5 }`, `if { req.hdr(x-n) -m int 7 }`, `if { req.hdr(x-n) -m int 5:8 }`, `if { req.hdr(x-n) -m int :8 }`, `if { req.hdr(x-n) -m int 8: }`, `if { req.hdr(x-n) -m int lt 8 }`, `if { req.hdr(x-n) -m int eq 7 9 }`, `if { req.hdr(x-n) -m bool }`, `if { req.hdr(x-n),add(1) 8 }`, `if { req.hdr(x-n),mul(2),sub(4) gt 9 }`, `if { req.hdr(x-n),mod(2) 1 }`, `if { req.hdr(x-n),odd }`, `if { req.hdr(x-n),even }`, `if { req.hdr(x-n),div(0) gt 100 }`, `if { req.hdr(x-n),neg lt 0 }`, `if { req.hdr(x-n),bool }`, `if { req.hdr(x-n),not }`,
	`if { src 127.0.0.1 }`, `if { src 127.0.0.0/8 }`, `if { src 127/8 }`, `if { src 127.0.0.0/255.0.0.0 }`, `if { src 10.0.0.0/8 }`, `if { src ::1 }`, `if { src ::ffff:127.0.0.1 }`, `if { src ::/0 }`, `if { src 0.0.0.0/0 }`, `if { src -f {dir}/nets }`, `if ! { src 10.0.0.0/8 192.168.0.0/16 }`, `if { src,ipmask(8) 127.0.0.0 }`, `if { src -m str 127.0.0.1 }`, `if { src -m beg 127. }`, `if { src -m found }`,
	`if { hdr_ip(x-ip) 10.1.2.3 }`, `if { hdr_ip(x-ip) 10.0.0.0/8 }`, `if { req.hdr(x-ip) -m ip 10.1.0.0/16 }`, `if { req.hdr(x-ip) -m ip 2001:db8::/32 }`,
	`if { dst 127.0.0.1 }`, `if { dst_port gt 1000 }`, `if { src_port gt 1000 }`, `if { always_true }`, `if { always_false }`, `if ! { always_false }`, `if !{ always_true }`,
	`if { req_ver 1.0 1.1 }`, `if { req.ver -m found }`, `if { str(abc) -m str abc }`, `if { str(abc),upper -m str ABC }`, `if { int(5) 5 }`, `if { bool(true) }`, `if { ssl_fc }`, `if { nbsrv(b) 1 }`, `if { nbsrv(b) gt 1 }`, `if { fe_name -m str f }`, `if { fe_conn ge 1 }`, `if { hostname -m found }`, `if { date gt 1000 }`,
	`if { path }`, `if { req.hdr(x-a) }`, `if { hdr_cnt(x-a) }`, `if { src }`, `if { method }`, `if { hdr(x-a),lower }`, `if { path_beg }`, `if { path_len }`,
	`if { req.hdr(x-a) 2 }`, `if { query x=1 }`, `if { req.ver 1.1 }`, `if { hdr(x-a),lower 4 }`, `if { path,lower /a }`, `if { req.fhdr(x-a) 4 }`,
	`if { path,lower -m str /img/a.html }`, `if { path,length 2 }`, `if { path,bytes(0,2) -m str /a }`, `if { path,bytes(1) -m beg a }`, `if { path,field(2,/) -m str a img }`, `if { path,field(-1,/) -m str b }`, `if { path,field(3,/) -m found }`, `if { path,url_dec -m str "/a b" }`, `if { path,hex -m str 2F61 }`, `if { path,base64 -m str L2E= }`, `if { req.hdr(x-b64),b64dec -m str hello }`, `if { str(YQBiYw==),b64dec -m str a }`, `if { str(YQBiYw==),b64dec -m len 1 }`, `if { str(YQBiYw==),b64dec -m len 4 }`, `if { str(YQBiYw==),b64dec -m end c }`, `if { str(YQBiYw==),b64dec -m reg ^a$ }`, `if { str(YQBiYw==),b64dec -m bin 61006263 }`, `if { str(YQBiYw==),b64dec -m bin 61 }`, `if { int(100) -m len 3 }`, `if { path -m bin 2f61 }`,
	`if TRUE`, `if FALSE`, `if METH_GET`, `if METH_POST`, `if METH_HEAD`, `if HTTP`, `if HTTP_1.0`, `if HTTP_1.1`, `if HTTP_CONTENT`, `if HTTP_URL_ABS`, `if HTTP_URL_SLASH`, `if HTTP_URL_STAR`, `if LOCALHOST`, `if METH_OPTIONS`, `if !METH_GET`,
	`if one`, `if !one`, `if one two`, `if one or two`, `if one || two`, `if !one two`, `if ! one ! two`, `if one !two or two !one`, `if one { path_beg / } or ! TRUE`, `unless one`, `unless one two`, `unless !one or two`, `if three`, `if !three`,
}

var requests = []string{
	"GET /a HTTP/1.1\r\nHost: h.example\r\nUser-Agent: curl/8.0\r\nX-A: 1, 2\r\nX-A: 4\r\nX-N: 7\r\nX-IP: 10.1.2.3\r\n",
	"GET /a?x=1 HTTP/1.1\r\nHost: H.Example:80\r\nx-n: -3\r\nx-ip: 2001:db8::1\r\nx-dir: a/b/c\r\n",
	"POST /b HTTP/1.1\r\nHost: www.h.example\r\nContent-Length: 2\r\nx-n: abc\r\nx-a: ,\r\n",
	"HEAD /a/b HTTP/1.1\r\nHost: example\r\nx-a: \"1, 2\", 4\r\nx-n: 7.5\r\nx-e:\r\n",
	"GET /IMG/A.html?x HTTP/1.0\r\nx-b64: aGVsbG8=\r\nuser-agent: Mozilla/5.0 CURL\r\nx-n: 8\r\n",
	"GET /x/img/ HTTP/1.1\r\nHost: example.h\r\nx-n: 99999999999999999999\r\nx-ip: bad\r\n",
	"GET http://h.example/a?b=c HTTP/1.1\r\nHost: h.example\r\nx-n: 0\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: h.example\r\nx-n: +5\r\n",
	"GET /a%20b HTTP/1.1\r\nHost: h.example\r\nx-a: 2\r\nx-n: 7abc\r\n",
	"BREW / HTTP/1.1\r\nHost: h.example\r\nx-n: 007\r\n",
	"GET /? HTTP/1.1\r\nHost: h.example\r\n",
}

// unequal are conditions where the programs are to differ, with the reason.
var unequal = map[string]string{
	"if { method -i get }":                   "2.6 compares methods that it knows by number; -i is said to ignore the case",
	"if { req.hdr(x-n),mul(2),sub(4) gt 9 }": "2.6 takes the difference of two negative numbers for an overflow",
}

// TestConditionsAsHAProxy: every condition has the same outcome in both programs
// for every request.
func TestConditionsAsHAProxy(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"paths": "# comment\n/a\n\n/img/a.html\n  /b  \n",
		"nets":  "10.0.0.0/8\n127.0.0.1\n2001:db8::/32\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString(head + "frontend f\n  bind {f}\n")
	b.WriteString("  acl one path_beg /a\n  acl two hdr(host) h.example\n  acl two method POST\n  acl three path_reg ^/x\n  acl three hdr_cnt(x-a) 2\n")
	for i, c := range conditions {
		fmt.Fprintf(&b, "  http-request set-header r%d yes %s\n", i, strings.ReplaceAll(c, "{dir}", dir))
	}
	b.WriteString("  http-request return content-type text/plain lf-string \"")
	for i := range conditions {
		fmt.Fprintf(&b, "%%[hdr(r%d)] %d\\n", i, i)
	}
	b.WriteString("\"\n  default_backend b\nbackend b\n  server o {origin}\n")
	sides := oracle.Run(t, strings.ReplaceAll(b.String(), `\n`, ";"))
	got := regexp.MustCompile(`(yes)? (\d+);`)
	for _, req := range requests {
		method := req[:strings.IndexByte(req, ' ')]
		if method == "HEAD" {
			continue
		}
		full := req + "Connection: close\r\n\r\n"
		if method == "POST" {
			full += "ab"
		}
		ours, theirs := got.FindAllString(sides[0].Exchange("f", full), -1), got.FindAllString(sides[1].Exchange("f", full), -1)
		if len(ours) != len(conditions) || len(theirs) != len(conditions) {
			t.Fatalf("%q: %d and %d outcomes of %d conditions", req, len(ours), len(theirs), len(conditions))
		}
		for i, c := range conditions {
			if why := unequal[c]; ours[i] != theirs[i] && why == "" {
				t.Errorf("%s: %v, HAProxy %v\n%q", c, ours[i][0] == 'y', theirs[i][0] == 'y', req)
			}
		}
	}
}

// Values that no way of matching is the usual one for need "-m".
func TestMethodIsAskedForLikeHAProxy(t *testing.T) {
	for _, c := range []struct {
		criterion string
		want      string // "" if it is good
	}{
		{"ssl_c_serial 0102", "ssl_c_serial"}, {"ssl_c_serial -m bin 0102", ""}, {"ssl_c_serial,hex 0102", ""}, {"ssl_c_s_dn(CN) someone", ""},
		{"req.hdr(x),b64dec hello", "req.hdr"}, {"req.hdr(x),b64dec -m str hello", ""}, {"req.hdr(x),base64 aGVsbG8=", ""},
	} {
		ours, theirs := oracle.Check(t, "defaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:1\n acl a "+c.criterion+"\n")
		if ours.OK != (c.want == "") || theirs.OK != ours.OK {
			t.Errorf("%s: %v, HAProxy: %v\n%s%s", c.criterion, ours.OK, theirs.OK, ours.Text, theirs.Text)
		}
		for _, v := range []oracle.Verdict{ours, theirs} {
			if message := "matching method must be specified first (using '-m') when using a sample fetch of this type ('" + c.want + "')."; c.want != "" && !strings.Contains(v.Text, message) {
				t.Errorf("%s: %s", c.criterion, v.Text)
			}
		}
	}
}
