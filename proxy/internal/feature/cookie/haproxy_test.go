package cookie_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// sent are cookies of clients: usual ones, those of people who read other documents
// than we did, and those of people who mean no good.
var sent = []string{
	"", "SRV=c1", "SRV=c2", `SRV="c2"`, " SRV = c2 ", "a=1; SRV=c2", "SRV=c2; a=1", "a=1 ; SRV=c2 ; b=2", "a; SRV=c2; b", "SRV=c2;a=1;SRV=c1;b=2",
	"$Version=1; SRV=c2; $Path=/; a=1", `$Version="1"; SRV=c2; $Path="/"`, "a=1; $Path=/; SRV=c2; $Path=/; $Port=1", "$; SRV=c2", "SRV=c2;", ";SRV=c2", "; ;SRV=c2; ;", ";;", ",",
	"SRV", "SRV;a=1", "=c2", "SRV==c2", "SRV=c2=x", "srv=c2", "XSRV=c2; SRVX=c2; SRV =zzz", `a="x; SRV=c1; y"; SRV=c2`, `a="x; SRV=c2`, `a="\"; SRV=c1"; SRV=c2`, `a=\"; SRV=c2`,
	"SRV=c2, SRV=c1", "a=1,SRV=c2,b=2", "SRV=c2; SRV=c2; a=1; SRV=c1; b=2; SRV=zzz", "SRV=zzz; SRV=c2; SRV=c1", "a = 1; b= 2 ;c =3", "a = 1; SRV = c2 ; b = 2",
	"SRV=c2~x~y; SRV=c1~z", "SRV=~", "SRV=~c2", "SRV=c2~", "a=1; SRV = c2~x ;b=2", "SRV=c2|", "SRV=c2|ZVPxA", "SRV=c2|ZVPxA|ZVPxA", "SRV=c2||ZVPxA", "SRV=|ZVPxA", "SRV=c2|\xff\xff\xff\xff\xff",
	"SRV=c3", "SRV=c3; SRV=c1", "SRV=c3; SRV=zzz", "SRV=b1", "\tSRV=c2\t;\ta=1", "\x01=\x02; SRV=c2", "\xe4=\xfc; SRV=c2", "a=1\r\nCookie: SRV=c2\r\nCookie: b=2", "SRV=c1\r\nCookie: SRV=c2; a=1",
	strings.Repeat("a=1; ", 300) + "SRV=c2", strings.Repeat("SRV=c1;x=1;", 300), strings.Repeat(";", 3000) + "SRV=c2", "a=" + strings.Repeat("x", 7000) + "; SRV=c2", "SRV=" + strings.Repeat("c", 7000), `"` + strings.Repeat(`\"`, 2000),
}

// given are fields of servers.
var given = []string{
	"Set-Cookie: SRV=app", "Set-Cookie: SRV = app ; Path=/", `Set-Cookie: SRV="app"; Path=/`, "Set-Cookie: SRV", "Set-Cookie: SRV=", "Set-Cookie: SRV=a,b; Path=/", "Set-Cookie: other=1; SRV=app",
	"Set-Cookie: SRV=app; SRV=b", "Set-Cookie: ;SRV=app", "Set-Cookie: SRVX=app", "Set-Cookie: SRV=app; Expires=Thu, 01-Jan-1970 00:00:01 GMT; Path=/", "Set-Cookie: SRV=a\r\nGive: Set-Cookie: b=1\r\nGive: Set-Cookie: SRV=c",
	"Set-Cookie2: SRV=app; Version=1",
	"Cache-Control: max-age=5", "Cache-Control: max-age=0", "Cache-Control: private, public, max-age=5", "Cache-Control: MAX-AGE=5, Private", `Cache-Control: no-cache="set-cookie", max-age=5`,
	"ETag: x", "Expires: x", "Last-Modified: x", "Etag: x\r\nGive: Pragma: no-cache", "ETag: x\r\nWant: 404", "ETag: x\r\nWant: 403", "ETag: x\r\nWant: 301", "ETag: x\r\nWant: 501", "Cache-Control: public",
}

var lines = map[string]string{
	"passive": "cookie SRV", "rewrite": "cookie SRV rewrite", "insert": "cookie SRV insert", "hidden": "cookie SRV insert indirect nocache", "prefix": "cookie SRV prefix", "both": "cookie SRV prefix indirect",
	"kept": "cookie SRV insert indirect preserve postonly", "left": "cookie SRV indirect preserve", "life": "cookie SRV insert indirect maxidle 30m maxlife 8h", "idle": "cookie SRV insert maxidle 30m", "shown": "cookie SRV insert nocache httponly secure domain a.example attr SameSite=Lax",
	"forced": "cookie SRV insert indirect\n  ignore-persist if { path_beg /ignore }\n  force-persist if { path_beg /force } or { path_beg /ignore }", "persist": "cookie SRV insert\n  option persist",
	"allowed": "cookie SRV insert\n  http-request deny if { path /force }\n  http-request return status 200 if { path /return }\n  http-request redirect location /x if { path /redirect }\n  http-response set-header set-cookie SRV=rule if { path /ignore }",
}

var dateOf = regexp.MustCompile(`\|[A-Za-z0-9+/]{5}`)

// Whatever clients and servers say, the server is the same, it gets the same cookies,
// and so does the client; and the log tells the same.
func TestBesideHAProxy(t *testing.T) {
	text := oracle.Head + "  balance first\n  log {log} format raw local0\n  log-format \"%tsc\"\n  option http-server-close\nfrontend ready\n  bind {ready}\n  no log\n"
	for name, line := range lines {
		text += "listen " + name + "\n  bind {" + name + "}\n  " + line + "\n  http-response set-header x-srv %[srv_name]\n"
		for i := 1; i <= 4; i++ {
			text += fmt.Sprintf("  server s%d {origin} cookie c%d %s\n", i, i, map[int]string{3: "disabled", 4: "backup"}[i])
		}
		text += "  server none {origin}\n"
	}
	sides := oracle.Run(t, text)
	ask := func(frontend, request string) {
		var got [2]string
		for i, s := range sides {
			head, body, _ := strings.Cut(s.Exchange(frontend, request), "\r\n\r\n")
			status, _, _ := strings.Cut(head, "\r\n")
			if !strings.Contains(status, " 200 ") {
				body = ""
			}
			lines := append(append([]string{status}, fields(head, "set-cookie", "set-cookie2", "cache-control", "x-srv")...), fields(body, "cookie")...)
			got[i] = dateOf.ReplaceAllString(strings.Join(append(lines, s.Line("log")), "\n  "), "|<date>")
		}
		if got[0] != got[1] {
			t.Errorf("%s: %.300q\nforebay\n  %.600s\nhaproxy\n  %.600s", frontend, request, got[0], got[1])
		}
	}
	for name := range lines {
		for _, c := range sent {
			for _, first := range []string{"GET / HTTP/1.1", "GET /force HTTP/1.1", "GET /ignore HTTP/1.1", "GET /return HTTP/1.1", "GET /redirect HTTP/1.1"} {
				if first == "GET / HTTP/1.1" || name == "forced" || name == "allowed" {
					ask(name, first+"\r\nHost: h\r\nConnection: close\r\nCookie: "+c+"\r\nGive: Set-Cookie: SRV=app\r\n\r\n")
				}
			}
		}
		for _, f := range given {
			for _, first := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
				for _, c := range []string{"a=1", "SRV=c2"} {
					ask(name, first+" / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\nCookie: "+c+"\r\nGive: "+f+"\r\n\r\n")
				}
			}
		}
		ask(name, "GET / HTTP/1.1\r\nHost: h\r\nbad\r\n\r\n") // which is no exchange
	}
}

// A server that is drained, without weight or a backup keeps its clients; one that is
// down or in maintenance does not, unless it is to.
func TestStatesBesideHAProxy(t *testing.T) {
	head := strings.Replace(oracle.Head, "defaults", "  stats socket ipv4@{stats} level admin\ndefaults", 1) + "  log {log} format raw local0\n  log-format \"= %s %tsc %rc\"\nfrontend ready\n  bind {ready}\n  no log\n"
	text := head
	dead := tcptest.Reserve(t).String()
	for name, line := range map[string]string{
		"a": "", "b": "option persist", "c": "force-persist if TRUE", "d": "option redispatch", "e": "option persist\n  option redispatch", "f": "option redispatch\n  force-persist if { path /force }",
		"g": "balance leastconn", "h": "balance hdr(x)\n  hash-type consistent",
	} {
		text += "listen " + name + "\n  bind {" + name + "}\n  retries 1\n  timeout connect 100ms\n  cookie SRV insert dynamic\n  dynamic-cookie-key k\n  " + line + "\n" +
			"  server s1 {origin} cookie c1\n  server s2 {origin} cookie c2 weight 5\n  server dead " + dead + " cookie d weight 0\n  server b1 {origin} cookie b1 backup\n  server none {origin} backup\n  server m {origin} cookie m disabled\n"
	}
	sides := oracle.Run(t, text)
	step := func(frontend, command string) {
		for _, path := range []string{"/", "/force"} {
			if path == "/force" && frontend != "f" {
				continue
			}
			for _, c := range []string{"s1", "c2", "c1", "d", "b1", "m", "x"} {
				if c == "d" && command != "show info" { // which takes its time
					continue
				}
				var got [2]string
				for i, s := range sides {
					answer := s.Exchange(frontend, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: y\r\nCookie: SRV="+c+"\r\n\r\n")
					status, _, _ := strings.Cut(answer, "\r\n")
					line := s.Line("log")
					for !strings.HasPrefix(line, "=") { // of a server's state
						line = s.Line("log")
					}
					got[i] = status + " " + line
					if c == "s1" || c == "x" { // any will do: whose turn it is may differ
						got[i] = regexp.MustCompile(`s[12]|none|b1`).ReplaceAllString(got[i], "any")
					} else {
						got[i] += strings.Join(fields(answer, "set-cookie"), " ")
					}
					if strings.Contains(got[i], "+1") || strings.Contains(got[i], "set-cookie") {
						got[i] = regexp.MustCompile(`s[12]|c[12]`).ReplaceAllString(got[i], "any")
					}
				}
				if got[0] != got[1] {
					t.Errorf("%s, %s, cookie %s: %q, haproxy %q", frontend, command, c, got[0], got[1])
				}
			}
		}
	}
	for _, f := range strings.Split("abcdefgh", "") {
		for _, command := range []string{
			"show info", "set server F/s1 state drain", "set server F/s1 state maint", "set server F/s1 state ready", "set weight F/s2 0", "set server F/b1 state drain", "disable server F/s2", "enable server F/s2",
			"set server F/s1 weight 0", "set server F/m state ready", "disable server F/m",
		} {
			for _, s := range sides {
				s.Exchange("stats", strings.ReplaceAll(command, "F", f)+"\n")
			}
			step(f, command)
		}
	}
}

// What is refused, warned of, and taken.
func TestCheckedBesideHAProxy(t *testing.T) {
	for _, c := range []struct {
		lines string
		ok    bool
		says  string
	}{
		{"cookie SRV insert domain a.example domain .b.example", true, ""},
		{"cookie SRV insert domain a/b", false, "character '/' is not permitted in domain name 'a/b'."},
		{"cookie SRV insert attr \"a\tb\"", false, "character '%x09' is not permitted in attribute value."},
		{"cookie SRV insert maxidle 99999999d", false, "timer overflow in argument"},
		{"cookie SRV insert attr", false, "'attr' expects <value> as argument"},
		{"mode tcp\n cookie SRV insert", true, "cookie will be ignored for backend 'b' (needs 'mode http')."},
		{"cookie SRV insert dynamic\n dynamic-cookie-key k\n server s2 127.0.0.1:1", true, "We generated two equal cookies for two different servers."},
		{"force-persist if", true, ""},
	} {
		ours, theirs := oracle.Check(t, oracle.Head+"frontend f\n bind 127.0.0.1:1\n default_backend c\nbackend c\n server s 127.0.0.1:1\nbackend b\n "+c.lines+"\n server s1 127.0.0.1:1\n")
		if c.lines != "force-persist if" && (ours.OK != c.ok || theirs.OK != c.ok || !strings.Contains(ours.Text, c.says) || !strings.Contains(theirs.Text, c.says)) {
			t.Errorf("%s: %v\n%s\nHAProxy %v\n%s", c.lines, ours.OK, ours.Text, theirs.OK, theirs.Text)
		}
	}
}
