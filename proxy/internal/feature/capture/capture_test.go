package capture_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestErrorsAsHAProxy: the two programs refuse and warn of the same lines. What 3.4 says
// otherwise than 2.6 does is in internal/feature/testdata/errors.tsv.
func TestErrorsAsHAProxy(t *testing.T) {
	for _, line := range []string{
		"", "capture", "capture foo", "capture cookie", "capture cookie a", "capture cookie a len 70", "capture cookie a len 63",
		"capture cookie a len 64", "capture request", "capture request foo a len 3", "capture request header", "capture request header a", "capture request header a foo 3",
		"capture request header a len 10", "capture request header a len 10 x", "capture response header a len 10", "capture response foo", "capture response header a foo 5",
		"capture request header a len 0", "mode tcp\n capture cookie a len 4", "mode tcp\n capture request header a len 4",
		"declare", "declare foo", "declare capture", "declare capture foo", "declare capture request", "declare capture request len", "declare capture request len x",
		"declare capture request len 5x", "declare capture request len 0", "declare capture request len -3", "declare capture response len 4",
		"http-request capture", "http-request capture path", "http-request capture path len", "http-request capture path len x", "http-request capture path len 0",
		"http-request capture path id", "http-request capture path id x", "http-request capture path id 0", "http-request capture path foo 3",
		"http-request capture path len 3 if { path / }", "http-request capture path len 3 foo", "http-request capture nosuch len 3",
		"http-request capture path len 3\n http-request capture path id 0", "http-request capture path id 0\n http-request capture path len 3",
		"http-request capture res.hdr(x) len 3", "http-response capture", "http-response capture res.hdr(x) len 3", "http-response capture res.hdr(x) id 0",
		"http-response capture res.hdr(x) id x", "declare capture response len 3\n http-response capture res.hdr(x) id 0", "http-response capture path id 0",
		"declare capture request len 3\n http-response capture res.hdr(x) id 0",
		"declare capture response len 3\n http-after-response capture res.hdr(x) id 0", "http-after-response capture res.hdr(x) id 1",
		"tcp-request content capture", "tcp-request content capture src", "tcp-request content capture src len", "tcp-request content capture src len 0",
		"tcp-request content capture src len 5", "tcp-request content capture src len 5 if { src 127.0.0.1 }", "tcp-request content capture res.hdr(x) len 5",
		"tcp-request connection capture src len 5", "tcp-request session capture src len 5",
		"http-request set-var(txn.x) capture.req.hdr(x)", "http-request set-var(txn.x) capture.req.hdr", "http-request set-var(txn.x) capture.req.hdr(9)",
		"http-request set-var(txn.x) str(a),capture-req(x)", "http-request set-var(txn.x) str(a),capture-req(0)", "http-request set-var(txn.x) capture.res.hdr(0)",
		"http-request set-var(txn.x) capture.req.method", "http-request set-var(txn.x) capture.res.ver",
		"default_backend bb\nbackend bb\n http-request capture path id 5", "default_backend bb\nbackend bb\n http-request capture path len 5",
		"default_backend bb\nbackend bb\n tcp-request content capture src len 5", "default_backend bb\nbackend bb\n capture cookie a len 3",
		"default_backend bb\nbackend bb\n declare capture request len 3", "default_backend bb\nbackend bb\n capture request header a len 3",
		"defaults x\n capture request header a len 3", "defaults x\n capture cookie a len 3", "defaults x\n declare capture request len 3",
	} {
		ours, theirs := oracle.Check(t, oracle.Head+"frontend f\n bind 127.0.0.1:36700\n "+line+"\n")
		if ours.OK != theirs.OK {
			t.Errorf("%s\nforebay %v: %s\nhaproxy %v: %s", line, ours.OK, ours.Text, theirs.OK, theirs.Text)
		}
		if a, b := strings.Contains(ours.Text, "capt"), strings.Contains(theirs.Text, "capt"); a != b {
			t.Errorf("%s\nforebay says %s\nhaproxy says %s", line, ours.Text, theirs.Text)
		}
	}
}

// A rule of named defaults has a place in each frontend that is made from them, and
// takes nobody else's.
func TestDefaults(t *testing.T) {
	side := oracle.RunOne(t, "forebay", strings.Replace(oracle.Head, "defaults\n", "defaults d\n", 1)+` http-request capture path len 9
frontend f from d
 bind {f}
 log {log} format raw local0
 capture request header host len 5
 log-format %hr
 use_backend l if { path /l }
 http-request return status 200
defaults e
 mode http
 timeout client 10s
 timeout server 10s
 timeout connect 10s
frontend g from e
 bind {g}
 log {log} format raw local0
 declare capture request len 9
 log-format %hr
 default_backend l
listen l from e
 bind {l}
 log {log} format raw local0
 http-request capture str(own) len 9
 http-request return status 200
 log-format %hr
`)
	for _, x := range [][3]string{{"f", "/x", "{/x|h}\n"}, {"l", "/y", "{own}\n"}, {"g", "/z", "{}\n"}} {
		side.Exchange(x[0], "GET "+x[1]+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if line := side.Line("log"); line != x[2] {
			t.Errorf("%s: %q, want %q", x[0], line, x[2])
		}
	}
}

// An exchange that goes on when another configuration comes into force has what its
// own frontend declared.
func TestApplied(t *testing.T) {
	text := func(lines string) string {
		return oracle.Head + "frontend f\n bind {f}\n log {log} format raw local0\n log-format \"%hr %hs %CC %CS\"\n" + lines + " default_backend b\nbackend b\n server s {hold}\n"
	}
	hold := newHold(t)
	a := oracle.RunOne(t, "forebay", strings.ReplaceAll(text(" capture request header x-a len 20\n capture response header x-r len 5\n capture cookie SID len 9\n"), "{hold}", hold.addr))
	w := a.Worker()
	for i, next := range []string{
		" capture response header x-other len 5\n capture request header x-a len 2\n",
		"",
		" capture request header host len 300\n capture request header x-a len 300\n capture request header x-a len 300\n capture cookie SID len 60\n",
	} {
		held := hold.ask(a.Addr("f"), "GET / HTTP/1.1\r\nHost: h\r\nX-A: a value of before\r\nCookie: SID=x\r\nConnection: close\r\n\r\n")
		bed.Apply(t, w, a.Fill(strings.ReplaceAll(text(next), "{hold}", hold.addr)))
		hold.answer("HTTP/1.1 200 OK\r\nx-r: response\r\nset-cookie: SID=12345678\r\ncontent-length: 0\r\n\r\n")
		held()
		want := []string{"{a value of before} {respo} SID=x SID=12345\n", "{a } {} - -\n", "- -\n"}[i]
		if line := a.Line("log"); line != want {
			t.Errorf("%d: %q, want %q", i, line, want)
		}
	}
}

// TestOracle: what 3.4.0 logged. Of what is no request, which 2.6 logs otherwise, it
// writes no braces.
func TestOracle(t *testing.T) {
	s := oracle.RunOne(t, "forebay", oracle.Head+` timeout http-request 300ms
frontend fh
 bind {f}
 log {log} format raw local0
 option httplog
 capture request header X-Req len 8
 capture response header X-Res len 8
 capture cookie SID len 12
 http-request deny if { path /deny }
 http-request set-log-level silent if { path /silent }
 http-response deny if { capture.req.uri -m end /rdeny }
 http-response return status 201 if { capture.req.uri -m end /rreturn }
 default_backend ok
backend ok
 server s1 {origin}
`)
	for _, x := range [][2]string{
		{"GET /ok/setcapt HTTP/1.1\r\nHost: h\r\nX-Req: reqvalue-long\r\nCookie: SID=clientsidlong\r\ngive: X-Res: resvalue-long\r\ngive: Set-Cookie: SID=srvsid; Path=/\r\nConnection: close\r\n\r\n",
			`200 BYTES SID=clientsi SID=srvsid ---- 1/1/0/0/0 0/0 {reqvalue} {resvalue} "GET /ok/setcapt HTTP/1.1"`},
		{"GET /ok/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", `200 BYTES - - ---- 1/1/0/0/0 0/0 {} {} "GET /ok/x HTTP/1.1"`},
		{"GET /deny HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", `403 BYTES - - PR-- 1/1/0/0/0 0/0 {} {} "GET /deny HTTP/1.1"`},
		{"GET /ok/rdeny HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", `502 BYTES - - PH-- 1/1/0/0/0 0/0 {} {} "GET /ok/rdeny HTTP/1.1"`},
		{"GET /ok/rreturn HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", `201 BYTES - - LH-- 1/1/0/0/0 0/0 {} {} "GET /ok/rreturn HTTP/1.1"`},
		{"GARBAGE\r\n\r\n", `400 BYTES - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"`},
		{"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", `400 BYTES - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"`},
		{"GET /slow HTTP/1.1\r\nHost:", `408 BYTES - - cR-- 1/1/0/0/0 0/0 "<BADREQ>"`},
		{"GET /silent HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", ""},
		{"GET /ok/x HTTP/1.0\r\n\r\n", `200 BYTES - - ---- 1/1/0/0/0 0/0 {} {} "GET /ok/x HTTP/1.0"`},
	} {
		s.Exchange("f", x[0])
		if x[1] == "" {
			continue
		}
		line := connections.ReplaceAllString(varying(s.Line("log")), " 1/1/0/0/0 ")
		line = strings.TrimSuffix(line[strings.Index(line, " TIMES ")+len(" TIMES "):], "\n")
		if want := connections.ReplaceAllString(x[1], " 1/1/0/0/0 "); line != want {
			t.Errorf("%q:\n%s\nwant\n%s", x[0], line, want)
		}
	}
}

// connections may not be counted down yet.
var connections = regexp.MustCompile(` (\d+/\d+/\d+/\d+/\d+|CONNECTIONS) `)
