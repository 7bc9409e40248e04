package rule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

const head = oracle.Head + "  balance roundrobin\n"

// rules are lines of a frontend; each is tried with requests to the path that
// its condition names. "@" stands for that condition.
var rules = []string{
	// return
	`http-request return status 200 content-type text/plain string hi @`,
	`http-request return status 200 content-type "text/plain" lf-string "%[path] %[src] %%" @`,
	`http-request return status 204 @`,
	`http-request return status 404 @`,
	`http-request return status 503 @`,
	`http-request return @`,
	`http-request return hdr x-a one hdr x-b %[path] @`,
	`http-request return status 404 hdr x-a one @`,
	`http-request return status 418 content-type text/plain string teapot @`,
	`http-request return status 200 content-type text/plain file {dir}/body.txt @`,
	`http-request return status 200 content-type text/plain lf-file {dir}/lf.txt @`,
	`http-request return status 200 errorfile {dir}/err.http @`,
	`http-request return status 429 default-errorfiles @`,
	`http-request return content-type text/html string x hdr Content-Language en hdr X-Upper Yes @`,
	// deny
	`http-request deny @`,
	`http-request deny deny_status 429 @`,
	// Without the page, unless it is asked for.
	`http-request deny status 404 @`,
	`http-request deny status 415 @`,
	`http-request deny status 429 default-errorfiles @`,
	`http-request deny deny_status 400 @`,
	`http-request deny deny_status 500 @`,
	`http-request deny deny_status 418 content-type text/plain string no @`,
	`http-request deny deny_status 403 hdr x-why because @`,
	`http-request deny content-type text/plain lf-string "%[method] %[hdr(host)]" @`,
	`http-request deny errorfile {dir}/err.http @`,
	// redirect
	`http-request redirect location /x @`,
	`http-request redirect location /x code 301 @`,
	`http-request redirect location /x code 303 @`,
	`http-request redirect location /x code 307 @`,
	`http-request redirect location /x code 308 @`,
	`http-request redirect location http://%[hdr(host)]%[pathq] @`,
	`http-request redirect prefix http://other @`,
	`http-request redirect prefix / @`,
	`http-request redirect prefix http://other drop-query @`,
	`http-request redirect prefix http://other append-slash @`,
	`http-request redirect prefix http://other drop-query append-slash @`,
	`http-request redirect scheme https @`,
	`http-request redirect scheme https code 301 drop-query @`,
	`http-request redirect location /x set-cookie SEEN=1 @`,
	`http-request redirect location /x clear-cookie USER @`,
	`http-request redirect location /x clear-cookie USER= @`,
	`http-request redirect location "%[hdr(x-none)]" ignore-empty @`,
	`redirect location /late @`,
	`redirect prefix http://other code 301 @`,
	// headers
	`http-request set-header X-A "%[str(am9lOmE=),b64dec,field(1,:)] %[str(YQANCmI=),b64dec] %[str(YQ0KYjog),b64dec]" @`,
	`http-request set-header X-A "%[src]:%[dst_port,mul(0)] a" @`,
	`http-request set-header a two @`,
	`http-request set-header X-Colon: two @`,
	`http-request set-header host other.example @`,
	`http-request add-header a two @`,
	`http-request del-header a @`,
	`http-request del-header A @`,
	`http-request del-header x- -m beg @`,
	`http-request del-header -x -m end @`,
	`http-request del-header b -m sub @`,
	`http-request del-header ^[ab]$ -m reg @`,
	`http-request set-header x-empty "%[hdr(none)]" @`,
	`http-request set-header x-q "%{+Q}[path]" @`,
	`http-request set-header x-spaces "a  b   c" @`,
	`http-request set-header x-ctl "%[str(a%0d%0ab%09c%01d%7f),url_dec]" @`,
	`http-request set-header x-utf8 "é%[str(%c3%a9),url_dec]" @`,
	`http-request set-header x-e "%{+E}[str(a%22b%5d%5cc),url_dec]" @`,
	`http-request set-header x-hash "#{|}\"" @`,
	`http-request set-header x-hash2 "%[str(#{|}<>)]" @`,
	`http-request replace-header a (.)(.*) \2-\1 @`,
	`http-request replace-header b ([0-9]+) <\1> @`,
	`http-request replace-value b ^2$ two @`,
	`http-request replace-path (.*) /v2\1 @`,
	`http-request replace-pathq ([^?]*)(.*) /v3\1\2 @`,
	`http-request replace-uri (.*) /v4\1 @`,
	// request line
	`http-request set-method POST @`,
	`http-request set-path /new @`,
	`http-request set-path /new%[path] @`,
	`http-request set-pathq /new?x=y @`,
	`http-request set-query a=b @`,
	`http-request set-query ?a=b @`,
	`http-request set-query %[hdr(none)] @`,
	`http-request set-uri /uri?q @`,
	`http-request set-uri http://h/uri @`,
	// responses
	`http-response set-header x-s %[status] @r`,
	`http-response set-header server me @r`,
	`http-response add-header x-res three @r`,
	`http-response del-header x-res @r`,
	`http-response del-header server @r`,
	`http-response set-status 418 @r`,
	`http-response set-status 503 reason "So there" @r`,
	`http-response replace-header x-res (.*) <\1> @r`,
	`http-response deny @r`,
	`http-response deny deny_status 404 @r`,
	`http-response return status 200 content-type text/plain string hi @r`,
	`http-response redirect location /r @r`,
	`http-response set-header x-len %[res.hdr(content-length),length] @r`,
	`http-after-response set-header x-after yes @r`,
	`http-after-response del-header server @r`,
	`http-after-response set-status 202 @r`,
}

// TestAnswersAsHAProxy: each rule does the same to the same requests in both
// programs: answers and what the server gets are equal byte for byte.
func TestAnswersAsHAProxy(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"body.txt": "line one\nline two\n",
		"lf.txt":   "at %[path]\n",
		"err.http": "HTTP/1.1 555 Odd\r\nx-file: yes\r\ncontent-length: 4\r\ncontent-type: text/plain\r\n\r\nodd\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString(head + "frontend f\n  bind {f}\n")
	for i, r := range rules {
		path := fmt.Sprintf("/r%d", i)
		r = strings.ReplaceAll(r, "{dir}", dir)
		if strings.HasSuffix(r, "@r") {
			r = strings.TrimSuffix(r, "@r") + fmt.Sprintf("if { res.hdr(rule) -m str %d }", i)
		} else {
			r = strings.TrimSuffix(r, "@") + fmt.Sprintf("if { path %s %s/ %s/deep }", path, path, path)
		}
		fmt.Fprintf(&b, "  %s\n", r)
	}
	b.WriteString("  default_backend b\nbackend b\n  server o {origin}\n")
	sides := oracle.Run(t, b.String())
	for i, r := range rules {
		for _, target := range []string{"", "?q=1", "/?q=1&r=2", "/deep"} {
			for _, line := range []string{"GET %s HTTP/1.1", "HEAD %s HTTP/1.1", "GET http://h.example:80%s HTTP/1.1", "GET %s HTTP/1.0"} {
				req := fmt.Sprintf(line, fmt.Sprintf("/r%d%s", i, target)) + "\r\nHost: h.example:80\r\nA: 1, 2\r\nb: 2\r\nb: 33\r\nx-x: 3\r\nX-Y: 4\r\n" +
					fmt.Sprintf("give: rule: %d\r\ngive: x-res: 1\r\ngive: X-Res: 2\r\nConnection: close\r\n\r\n", i)
				ours, theirs := sides[0].Exchange("f", req), sides[1].Exchange("f", req)
				if ours != theirs {
					t.Errorf("%s\n%q\nforebay: %q\nhaproxy: %q", r, req, ours, theirs)
				}
			}
		}
	}
}
