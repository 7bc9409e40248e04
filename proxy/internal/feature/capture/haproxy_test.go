package capture_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

const declared = ` capture request header X-A len 8
 declare capture request len 6
 capture request header Host len 30
 capture request header x-none len 10
 capture request header x-Zero len 0
 http-request capture req.hdr(x-b),upper len 5
 http-request capture hdr(x-b) id 1
 capture request header X-A len 3
 capture response header Server len 20
 declare capture response len 9
 capture response header X-R len 70
 http-response capture res.hdr(x-r) id 1
 http-after-response capture str(after) id 1 if { res.hdr(x-after) -m found }
`

// frontends are what logs the lines that are compared.
var frontends = []string{
	declared + ` capture cookie SID len 20
 option httplog`,
	declared + ` capture cookie SID len 20
 option httplog
 option logasap`,
	declared + ` capture cookie SID= len 63
 option httplog clf`,
	declared + ` capture cookie S len 100
 log-format "%hr|%hs|%hrl|%hsl|%CC|%CS"`,
	declared + ` capture cookie SID len 3
 log-format "%{+Q}hr|%{+Q}hs|%{+Q}hrl|%{+Q}hsl|%{+Q}CC|%{+Q}CS"`,
	declared + ` capture cookie a len 9
 log-format "%{+Q,+E}CC|%{+E}CS|%{+E}hr|%{+E}hrl"`,
	declared + ` log-format "%[capture.req.hdr(0)] %[capture.req.hdr(1)] %[capture.req.hdr(2)] %[capture.req.hdr(3)] %[capture.req.hdr(4)] %[capture.req.hdr(5)] %[capture.req.hdr(9)] %{+Q}[capture.res.hdr(0)] %[capture.res.hdr(1)] %[capture.res.hdr(7)] %CC %CS"`,
	` log-format "%[capture.req.method] %[capture.req.uri] %[capture.req.ver] %[capture.res.ver] %hr %hs %hrl %hsl %{+Q}hr %CC x"`,
	` tcp-request content capture src len 6
 capture request header x-a len 3
 tcp-request content capture dst,ipmask(8) len 40 if { src 127.0.0.0/8 }
 tcp-request content capture str(no) len 40 unless { src 127.0.0.0/8 }
 log-format "%hr %[capture.req.hdr(2)] %ST"`,
	` declare capture request len 4
 declare capture response len 4
 http-request set-var(txn.a) path,capture-req(0),lower
 http-request set-var(txn.b) path,capture-req(1)
 http-response set-var(txn.c) status,capture-res(0)
 log-format "%hr %hs %[var(txn.a)] %[var(txn.b)] %[var(txn.c)] %HU %HV %r"`,
	` declare capture request len 4
 capture request header host len 50
 http-request deny if { capture.req.hdr(1) -m sub deny }
 http-request set-header x-a %[capture.req.hdr(1)]
 http-request del-header host
 http-response set-header x-c "%[capture.req.hdr(0)],%[capture.req.uri],%[capture.req.method]"
 option httplog`,
}

// requests are raw: what stands in them is what the programs get.
var requests = []string{
	"GET / HTTP/1.1\r\nHost: h\r\n",
	"GET /long HTTP/1.1\r\nHost: a.very.long.host.name.example.com\r\nX-A: 0123456789\r\nX-A: abcdefghijkl\r\nX-B: one, two, three\r\n",
	"GET /twice HTTP/1.1\r\nHost: h\r\nx-a: first\r\nx-b: x\r\nx-b: yyyyyyyyyyy\r\nX-A: \r\ngive: x-r: 1\r\ngive: x-r: second, third\r\ngive: server: mine\r\n",
	"GET /ctl HTTP/1.1\r\nHost: h\r\nX-A: a\tb\x01c\x7f\xe9\r\nX-B: {|}#\"\r\ngive: x-r: a\tb\x01{}|\"#\\]\xff\r\n",
	"GET /quote HTTP/1.1\r\nHost: h\r\nX-A: \"q\"\\]x\r\nX-B: \"\"\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: SID=first; SID=second\r\ngive: Set-Cookie: SID=one; Path=/\r\ngive: Set-Cookie: SID=two\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: other=x; SIDE=1; SID=0123456789012345678901234567890123456789012345678901234567890123456789\r\ngive: Set-Cookie: SIDX=0123456789012345678901234567890123456789012345678901234567890123456789\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie:  SID =  a b ; b=2\r\ngive: Set-Cookie:  SID =  x y ; Secure\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: z=\"SID=no;\"; SID=\"a;b,c\\\";d\"e; x\r\ngive: Set-Cookie: q=\"SID=no;\"\r\ngive: Set-Cookie: SID=\"a;b,c\\\";d\"e,f; x\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: $SID=dollar; SID; S=; SID=\r\ngive: Set-Cookie: SID\r\ngive: Set-Cookie: S=\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nCookie: SID=line2\r\ngive: Set-Cookie: a=9, SID=comma\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: a=1,SID=comma;sid=lower\r\ngive: Set-Cookie2: a=1; x=\"1,2\"; y, SID=second; z\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: ;;, ,SID=\x01\"#{\xff};=x;=\r\ngive: Set-Cookie: SID=\x01\"#{\xff}\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie:\r\nCookie: \t\r\ngive: Set-Cookie:\r\n",
	"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: SI=short; SID=long\r\ngive: Set-Cookie: SI=short\r\ngive: Set-Cookie: SID=long\r\n",
	"GET /after HTTP/1.1\r\nHost: h\r\nCookie: SID=x\r\ngive: x-after: 1\r\ngive: Set-Cookie: SID=y\r\n",
	"GET /deny HTTP/1.1\r\nHost: h\r\nX-A: denied\r\nX-B: b\r\nCookie: SID=x\r\n",
	"GET /return HTTP/1.1\r\nHost: h\r\nX-A: returned\r\nCookie: SID=x\r\n",
	"GET /rdeny HTTP/1.1\r\nHost: h\r\nX-A: x\r\nCookie: SID=x\r\ngive: rdeny: 1\r\ngive: x-r: seen\r\ngive: Set-Cookie: SID=y\r\n",
	"GET /cut HTTP/1.1\r\nHost: h\r\nX-A: x\r\nCookie: SID=x; b=2\r\n",
	"GET /nobody HTTP/1.1\r\nHost: h\r\nX-A: x\r\nCookie: SID=x\r\n",
	"GET /refused HTTP/1.1\r\nHost: h\r\nX-A: x\r\nCookie: SID=x\r\n",
	"GET /back HTTP/1.1\r\nHost: h\r\nX-A: x\r\nX-B: backend\r\ngive: x-r: r\r\n",
	"GET /Path?a=b HTTP/1.0\r\nX-A: ten\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: h\r\n",
	"GET http://h/abs?x=http://y/ HTTP/1.1\r\nHost: h\r\n",
	"GET http://h HTTP/1.1\r\nHost: h\r\n",
	"MYMETH /x HTTP/1.1\r\nHost: deny.example\r\nContent-Length: 0\r\n",
	"GET /" + strings.Repeat("x", 1009) + " HTTP/1.1\r\nHost: h\r\n",
	"GET /" + strings.Repeat("x", 1010) + " HTTP/1.1\r\nHost: h\r\n",
	"GET /" + strings.Repeat("y", 1016) + " HTTP/1.1\r\nHost: h\r\n",
	"GET /" + strings.Repeat("y", 1017) + " HTTP/1.1\r\nHost: h\r\n",
	"GET /" + strings.Repeat("z", 3000) + " HTTP/1.1\r\nHost: h\r\n",
}

// printable is what 2.6 leaves to the terminal, in cookies and values of expressions.
var printable = strings.NewReplacer("\x01", "#01", "\t", "#09", "\x7f", "#7F")

// own are the requests that no server has answered.
var own = regexp.MustCompile(`^GET /(deny|return|nobody|refused)`)

const backends = ` http-request deny if { path /deny }
 http-request return status 200 content-type text/plain string hi if { path /return }
 http-request replace-header cookie (.*) changed if { path /cut }
 http-response deny if { res.hdr(rdeny) -m found }
 use_backend nobody if { path /nobody }
 use_backend refused if { path /refused }
 use_backend back if { path /back }
 default_backend b
`

func configuration(extra string) string {
	var b strings.Builder
	b.WriteString(oracle.Head + extra + "frontend ready\n bind {ready}\n http-request return status 200\n")
	for i, f := range frontends {
		fmt.Fprintf(&b, "frontend f%d\n bind {f%d}\n log {log%d} len 65535 format raw local0\n%s\n%s", i, i, i, f, backends)
	}
	b.WriteString(`backend b
 server o {origin}
backend nobody
backend refused
 retries 0
 server r 127.0.0.1:1
backend back
 http-request capture req.hdr(x-b) id 0
 http-request capture str(far) id 50
 http-response capture res.hdr(x-r),upper id 0
 http-response capture str(far) id 50
 server o {origin}
`)
	return b.String()
}

// TestLinesAsHAProxy: what was captured is logged by the two programs in the same way.
func TestLinesAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, configuration(""))
	for i := range frontends {
		for _, req := range requests {
			var line [2]string
			for k, s := range sides {
				s.Exchange(fmt.Sprintf("f%d", i), req+"Connection: close\r\n\r\n")
				line[k] = varying(s.Line(fmt.Sprintf("log%d", i)))
			}
			line[1] = printable.Replace(line[1])
			if own.MatchString(req) {
				line[1] = strings.Replace(line[1], "HTTP/1.1 - - x", "HTTP/1.1 HTTP/1.1 - x", 1) // as 3.4
			}
			if strings.Contains(req, "http://h HTTP") && i == 9 {
				continue // 2.6 sees no path in it
			}
			if line[0] != line[1] {
				t.Errorf("f%d %s\n%.300q\nforebay: %q\nhaproxy: %q", i, frontends[i][max(len(frontends[i])-60, 0):], req, short(line[0]), short(line[1]))
			}
		}
	}
}

// TestH2AsHAProxy does the same over HTTP/2, where cookies come in crumbs.
func TestH2AsHAProxy(t *testing.T) {
	sides := oracle.Run(t, configuration(""))
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	defer h2.CloseIdleConnections()
	client := &http.Client{Timeout: time.Minute, Transport: h2}
	for i := range frontends {
		for _, fields := range [][]string{
			{"x-a: one", "x-a: two", "x-b: b"},
			{"cookie: a=1", "cookie: SID=crumb", "cookie: SID=no"},
			{"cookie: z=1; SID=\"x;y\"", "give: set-cookie: SID=s"},
			{"x-a: a b\tc", "x-b: " + strings.Repeat("long ", 300)},
		} {
			var line [2]string
			for k, s := range sides {
				q, err := http.NewRequest("GET", "http://"+s.Addr(fmt.Sprintf("f%d", i))+"/h2?q", nil)
				if err != nil {
					t.Fatal(err)
				}
				q.Host = "h2.example"
				for _, f := range fields {
					name, value, _ := strings.Cut(f, ": ")
					q.Header.Add(name, value)
				}
				p, err := client.Do(q)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, p.Body)
				p.Body.Close()
				line[k] = printable.Replace(varying(s.Line(fmt.Sprintf("log%d", i))))
			}
			if line[0] != line[1] {
				t.Errorf("%s\n%q\nforebay: %q\nhaproxy: %q", frontends[i], fields, line[0], line[1])
			}
		}
	}
}

// short leaves out what repeats itself.
func short(s string) string { return repeated.ReplaceAllString(s, "...") }

var repeated = regexp.MustCompile(`xxxx+|yyyy+|zzzz+`)

// TestLengthsAsHAProxy: "tune.http.logurilen" and "tune.http.cookielen" bound the
// request line and the cookies.
func TestLengthsAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, strings.Replace(oracle.Head, "global\n", "global\n tune.http.logurilen 30\n tune.http.cookielen 12\n", 1)+`frontend ready
 bind {ready}
 http-request return status 200
frontend f
 bind {f}
 log {log} format raw local0
 capture cookie SID len 100
 log-format "%CC|%CS|%r|%HM|%HU|%HV|%[capture.req.uri]"
 default_backend b
backend b
 server o {origin}
`)
	for n := range 32 {
		var line [2]string
		for k, s := range sides {
			s.Exchange("f", "GET /"+strings.Repeat("p", n)+" HTTP/1.1\r\nHost: h\r\nCookie: SID=0123456789\r\ngive: set-cookie: SID="+strings.Repeat("v", n)+"\r\nConnection: close\r\n\r\n")
			line[k] = s.Line("log")
		}
		if line[0] != line[1] {
			t.Errorf("%d\nforebay: %q\nhaproxy: %q", n, line[0], line[1])
		}
	}
}

// TestTCPAsHAProxy: captures of rules on contents, in mode tcp.
func TestTCPAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, strings.Replace(oracle.Head, "mode http", "mode tcp", 1)+`frontend ready
 bind {ready}
 default_backend b
frontend f
 bind {f}
 log {log} format raw local0
 tcp-request inspect-delay 5s
 tcp-request content capture req.payload(0,9) len 6
 capture request header host len 20
 declare capture request len 5
 tcp-request content capture src len 20
 log-format "%b/%s %[capture.req.hdr(0)] %[capture.req.hdr(3)]"
 default_backend b
backend b
 server o {origin}
`)
	var line [2]string
	for k, s := range sides {
		s.Exchange("f", "GET /tcp HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		line[k] = s.Line("log")
	}
	if line[0] != line[1] || !strings.Contains(line[0], "GET /t 127.0.0.1") {
		t.Errorf("forebay: %q\nhaproxy: %q", line[0], line[1])
	}
}
