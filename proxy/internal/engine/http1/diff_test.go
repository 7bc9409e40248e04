package http1_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// diff is one message that goes both to HAProxy and through this package. With
// no decision, acceptance, status, head, body and trailers have to be the same.
type diff struct {
	send string
	// decided names the row of the decision table in README.md when this package
	// means to differ from HAProxy 2.6.
	decided string
	// status is then what it answers, and head, if not empty, what it writes.
	status int
	head   string
}

func same(send string) diff { return diff{send: send} }

func refused(decision, send string) diff { return diff{send: send, decided: decision, status: 400} }

func written(decision, send, head string) diff {
	return diff{send: send, decided: decision, status: 200, head: head}
}

func req(fields ...string) string {
	return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Join(fields, "") + "\r\n"
}

func line(l string) string { return l + " HTTP/1.1\r\nHost: a\r\n\r\n" }

func post(fields, body string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body
}

func chunked(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }

// outcome of a request that went through this package.
type outcome struct {
	status   int // 200 when it was accepted
	reason   string
	head     []byte
	body     []byte
	trailers string
	req      message.Request
}

// readBody decodes the body that follows a head.
func readBody(h *message.Header, rest []byte) (body []byte, trailers string, err error) {
	switch h.Framing {
	case message.Length:
		if int64(len(rest)) < h.ContentLength {
			return rest, "", fmt.Errorf("body is cut")
		}
		return rest[:h.ContentLength], "", nil
	case message.Chunked:
		var c http1.Chunks
		var tr []message.Field
		for {
			data, n, done, err := c.Next(rest, &tr)
			if err != nil {
				return body, "", err
			}
			body = append(body, data...)
			rest = rest[n:]
			if done {
				return body, string(http1.AppendTrailers(nil, tr)), nil
			}
			if n == 0 {
				return body, "", fmt.Errorf("body is cut")
			}
		}
	case message.Close, message.Tunnel:
		return rest, "", nil
	}
	return nil, "", nil
}

func through(text string) (o outcome) {
	buf := []byte(text)
	n, err := http1.ParseRequest(buf, &o.req, nil)
	if err != nil {
		e := err.(*http1.Error)
		o.status, o.reason = e.Status, e.Reason
		return o
	}
	if n == 0 {
		o.status, o.reason = 400, "incomplete"
		return o
	}
	o.head = http1.AppendRequest(nil, &o.req, http1.WriteOptions{})
	if o.body, o.trailers, err = readBody(&o.req.Header, buf[n:]); err != nil {
		o.status, o.reason = 400, err.Error()
		return o
	}
	o.status = 200
	return o
}

func requests() []diff {
	var d []diff
	add := func(c ...diff) { d = append(d, c...) }

	// Request lines.
	for _, l := range []string{
		"GET /", "\r\nGET /", "\r\n\r\n\r\nGET /", "\n\nGET /", "\rGET /", " GET /", "\tGET /", "GET  /", "GET\t/", "GET / ", "get /", "G-T /",
		"GE(T /", "GE\xffT /", strings.Repeat("A", 300) + " /", "OPTIONS *", "PATCH *", "FOO *", "GET foo", "GET /a#b", "GET /a b", "GET /a\x01", "GET /\x7f",
		"GET /\xc3\xa9", "GET /\"<>^`{|}\\", "GET /%zz", "GET //x", "GET http://a/", "GET http://a", "GET http://a?x", "GET http://b/",
		"GET http://A/", "GET http://a:80/", "GET https://a:443/", "GET http://a:8080/", "GET http://u:p@a/", "GET http:/x", "GET ://a/",
		"GET foo://a/", "GET http://a#f", "GET 1http://a/", "CONNECT a:443", "CONNECT a", "CONNECT a:80", "CONNECT /", "CONNECT :443",
		"CONNECT a:", "CONNECT *", "CONNECT a:99999", "CONNECT a:4x", "PRI *", "OPTIONS http://a", "GET a:80", "GET ?x", "GET #", "GET  ", "GET",
		"", "GET /\x00", "\x16\x03\x01 /", "GET http://a:080/", "GET http://a:/",
	} {
		add(same(line(l)))
	}
	add(
		refused("target", line("GET http:///x")),
		refused("target", line("CONNECT http://a:80/")),
		refused("target", line("CONNECT a:443/")),
		refused("target", line("CONNECT u@a:443")),
		refused("target", line("GET *")),
		refused("target", line("OPTIONS *x")),
		refused("target", line("POST *")),
		refused("target", line("TRACE *")),
		refused("host", "GET http://a\\b/ HTTP/1.1\r\nHost: a\\b\r\n\r\n"),
		refused("host", "GET http://a,b/ HTTP/1.1\r\n\r\n"),
		refused("host", "GET http://a\\@b/ HTTP/1.1\r\n\r\n"),
		refused("host", "GET http://u@a@b/ HTTP/1.1\r\n\r\n"),
		refused("host", "GET http://u[@b/ HTTP/1.1\r\n\r\n"),
		refused("host", "CONNECT a,b:443 HTTP/1.1\r\n\r\n"),
		same("GET http://u,v:w@a/ HTTP/1.1\r\n\r\n"),
		same("GET http://[::1]/ HTTP/1.1\r\n\r\n"),
		same("GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
	)
	// Versions.
	for _, v := range []string{
		"HTTP/1.0", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "http/1.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1.", "HTTP/.1", "HTTP/1",
		"HTTP1.1", "HTTP/1.1x", "HTTP/1.1 ", "HTTP/1.1\t", "HTTPS/1.1", "RTSP/1.0", "HTTP/1,1", "XTTP/1.1", "", "HTTP/-1", "HTTP/1.a", "HTTP/ 1.1",
		"1.1", "HTTP/1.1\r", "HTTP/1:1", "HTTP/:.1",
	} {
		add(same("GET / " + v + "\r\nHost: a\r\n\r\n"))
	}
	add(same("GET /\r\n\r\n"), same("POST /\r\n\r\n"), same("GET\r\n\r\n"), same("GET \r\n\r\n"))
	old := "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n"
	add(written("version", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", old), written("version", "GET / HTTP/0.0\r\nHost: a\r\n\r\n", old))

	// Hosts.
	for _, v := range []string{"1.1", "1.0"} {
		for _, h := range []string{
			"", "Host:\r\n", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: A\r\n", "Host: a\r\nHost: b\r\n", "Host: a:x\r\n", "Host: [::1]:80\r\n",
			"Host: a\r\nHost:\r\n", "Host: [::1]\r\n", "Host: A-b_c.d~!$&'()*+;=%41\r\n",
		} {
			add(same("GET / HTTP/" + v + "\r\n" + h + "\r\n"))
		}
		for _, h := range []string{"a b", "a/b", "u@a", "a?", "a#", "a\tb", "a, b", "a,b", "\xff", "a\\b", "a\"b", "a<b", "a^b", "a`b", "a{b", "a|b", "a]", "[a", "[a]b", "a[b]", "[[a]]", "[a]]"} {
			add(refused("host", "GET / HTTP/"+v+"\r\nHost: "+h+"\r\n\r\n"))
		}
	}
	for _, h := range []string{"a:443", "a:80", "A:443", "b:443", "a", "a:", "[::1]:80", "[::1]", "a:080"} {
		for _, l := range []string{
			"CONNECT a:443", "CONNECT a:80", "GET http://a:443/", "GET http://a/", "GET https://a/", "GET http://a:80/x", "GET http://[::1]/",
			"GET http://[::1]:80/", "CONNECT [::1]:80", "GET HTTP://A:80",
		} {
			add(same(l + " HTTP/1.1\r\nHost: " + h + "\r\n\r\n"))
		}
	}
	add(
		same("CONNECT a:443 HTTP/1.1\r\n\r\n"), same("GET http://a/ HTTP/1.1\r\n\r\n"), same("GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n"),
		same("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n"), same("GET http://a:80/ HTTP/1.1\r\n\r\n"),
	)

	// Field lines.
	for _, h := range []string{
		"Foo : 1\r\n", "Foo\t: 1\r\n", "Foo\r\n", ": 1\r\n", ":\r\n", "F\x00oo: 1\r\n", "F oo: 1\r\n", "Foo: a\x01b\r\n", "Foo: a\x7fb\r\n",
		"Foo: a\x0bb\r\n", "Foo: a\rb\r\n", "Foo: a\r\r\n", "Foo: a\r\n b\r\n", "Foo: a \r\n \t b \r\n", "Foo:\r\n a\r\n", "Foo:\r\n \r\n",
		"Foo: a\n b\n", "Foo:\r\n", "Foo:   \r\n", "Foo:a\r\n", "Foo:  a  b  \r\n", "Foo:\ta\t\r\n", "F(oo: 1\r\n", "F\xc3oo: 1\r\n",
		"Foo: \xff\r\n", "Foo: a\n", "!#$%&'*+-.^_`|~09azAZ: 1\r\n", "Foo: a\r\n\r b\r\n", "Foo: 1\r\nfOO: 2\r\n", "Foo: a\r\n\x0bb: 1\r\n",
		"Foo: a:b\r\n", "Foo: " + strings.Repeat("x", 3000) + "\r\n", "Foo: a\r\n b\r\n c\r\n\td\r\n", "Content_Length: 3\r\n",
		"Transfer-Encoding : chunked\r\n", "Transfer-Encoding\r\n : chunked\r\n", "Transfer-Encoding: chun\r\n ked\r\n",
		"Content-Length : 3\r\n", "Content-Length\r\n", "\x00\r\n", "Trailer: x\r\n", "Expect: foo\r\n", "Expect: 100-continue\r\n",
		"TE: trailers, gzip\r\nConnection: TE\r\n", "TE: gzip\r\n", "TE: trailers\r\n", "TE:\r\n", "TE: gzip, trailers\r\n", "TE: gzip\r\nTE: trailers\r\n",
	} {
		add(same(req(h)))
	}
	add(same("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), same("GET / HTTP/1.1\n\n"), same("GET / HTTP/1.1\nHost: a\n\n"), same("GET / HTTP/1.1\r\nHost: a\r\n\n"))
	add(refused("nul", req("Foo: a\x00b\r\n")))
	for _, n := range []int{98, 99, 100, 101} {
		add(same(req(strings.Repeat("X: y\r\n", n))))
	}

	// Connections.
	for _, v := range []string{"1.1", "1.0"} {
		for _, c := range []string{
			"", "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: keep-alive, X-Foo\r\nX-Foo: 1\r\n", "Connection: KEEP-ALIVE\r\n",
			"Connection: Upgrade, keep-alive\r\nUpgrade: foo, bar\r\nUpgrade: baz\r\n", "Proxy-Connection: keep-alive\r\n",
			"Keep-Alive: timeout=5\r\n", "Connection: upgrade, close\r\nUpgrade: x\r\n", "Connection: a\r\nConnection: ,\r\nConnection:\r\n",
			"Connection: upgrade\r\n", "Connection: close, host, keep-alive\r\n", "Connection: keep-alive\r\nConnection: close\r\n",
			"Connection: \"close\"\r\n",
			"Connection: clo se, keep-alive\r\n", "Connection: close;q=1\r\n", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
			"Connection: upgrade\r\nUpgrade: websocket\r\n", "Connection: upgrade\r\nUpgrade: websocket/13\r\n",
			"Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
			"Connection: upgrade\r\nUpgrade: foo, websocket\r\nSec-WebSocket-Key: x\r\n", "Connection: upgrade\r\nUpgrade: foo, websocket\r\n",
			"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key:\r\n",
		} {
			add(same("GET /p?q HTTP/" + v + "\r\nHost: a\r\n" + c + "\r\n"))
		}
	}
	add(
		written("upgrade", req("Upgrade: foo\r\n"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
		written("upgrade", req("Connection: foo\r\nUpgrade: websocket\r\n"), "GET / HTTP/1.1\r\nhost: a\r\nconnection: foo\r\n\r\n"),
		written("h2c", req("Connection: upgrade, HTTP2-Settings, X\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), "GET / HTTP/1.1\r\nhost: a\r\nconnection: X\r\n\r\n"),
		written("h2c", req("Connection: upgrade\r\nUpgrade: foo\r\nUpgrade: bar, H2C\r\n"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
		written("h2c", req("Upgrade: h2\r\n"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
		written("list", req("Connection: ,,close ,  foo\r\n"), "GET / HTTP/1.1\r\nhost: a\r\nconnection: foo\r\n\r\n"),
		written("list", req("Connection: foo , bar\tbaz,,  qux ,\r\n"), "GET / HTTP/1.1\r\nhost: a\r\nconnection: foo, bar\tbaz, qux\r\n\r\n"),
		same(post("Connection: content-length\r\nContent-Length: 3\r\n", "abc")),
		same(post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
		same(post("Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 3\r\n", "abc")),
		same(post("Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 0\r\n", "")),
		same(post("Connection: upgrade\r\nUpgrade: foo\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
	)

	// Lengths.
	for _, l := range []string{
		"3", "3\r\nContent-Length: 3", "3, 3", "3,3,3", "3, 4", "3\r\nContent-Length: 4", "+3", "-3", "", "3,", ",3", "3,,3", "0x3", "3 3", "3\r\n 3", "3 ,3",
		"3\r\nContent-Length: 03", "3;", "\"3\"", "3.0", "3e0", " 3 ", "\x0b3", "٣", "99999999999999999999", "9223372036854775808",
		"4294967299999999999999999999", "1_0", "3\x00",
	} {
		add(same(post("Content-Length: "+l+"\r\n", "abc")))
	}
	for _, l := range []string{"03", "3,03", "03\r\nContent-Length: 3", strings.Repeat("0", 300) + "3"} {
		add(written("zeros", post("Content-Length: "+l+"\r\n", "abc"), "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"))
	}
	add(written("zeros", post("Content-Length: 00\r\n", ""), "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"))
	// Codings.
	for _, te := range []string{
		"chunked", "Chunked", "gzip, chunked", "chunked, gzip", "chunked\r\nTransfer-Encoding: chunked", "chunked, chunked", "gzip", "identity", "",
		",chunked", "\"chunked\"", "chunked;q=1", "gzip\r\nTransfer-Encoding: chunked", "xchunked", "\x0bchunked", "chunked\x0b", "chunke", "chunkedd",
		"identity, chunked", "chunked\r\nTransfer-Encoding: identity", "\r\n chunked", "chunked\r\n ", "chunked\r\nContent-Length: 5", "gzip\r\nContent-Length: 5",
		"chunked\r\nContent-Length: x", "chunked\r\nContent-Length: 5\r\nContent-Length: 6",
	} {
		if te == "Chunked" {
			add(written("coding", post("Transfer-Encoding: "+te+"\r\n", "0\r\n\r\n"), "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"))
			continue
		}
		add(same(post("Transfer-Encoding: "+te+"\r\n", "3\r\nabc\r\n0\r\n\r\n")))
		if strings.HasPrefix(te, "chunked") && !strings.Contains(te, "Content") {
			add(same(post("Content-Length: 5\r\nTransfer-Encoding: "+te+"\r\n", "3\r\nabc\r\n0\r\n\r\n")))
		}
	}
	add(
		refused("emptyte", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n")),
		refused("emptyte", post("Transfer-Encoding: chunked\r\n ,\r\n", "0\r\n\r\n")),
		refused("number", post("Content-Length: 18446744073709551619\r\n", "abc")),
		refused("emptyte", chunked("0\r\n\r\n")[:len(chunked(""))-2]+"Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
	)
	// Bodies by method and version.
	for _, m := range []string{"GET", "HEAD", "DELETE", "POST", "PUT", "OPTIONS", "PATCH", "FOO", "TRACE"} {
		for _, v := range []string{"1.0", "1.1"} {
			head := m + " / HTTP/" + v + "\r\nHost: a\r\n"
			add(same(head+"Content-Length: 3\r\n\r\nabc"), same(head+"Content-Length: 0\r\n\r\n"), same(head+"\r\n"))
			te := head + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
			if v == "1.1" || m == "GET" || m == "HEAD" || m == "DELETE" {
				add(same(te))
			} else {
				add(written("chunked10", te, m+" / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"))
			}
		}
	}

	// Chunks.
	for _, b := range []string{
		"3 \r\nabc\r\n0\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n", "3\t;x\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n",
		"-3\r\nabc\r\n0\r\n\r\n", "3\rabc\r\n0\r\n\r\n", "3;a\rb\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "003\r\nabc\r\n000\r\n\r\n",
		"ffffffffffffffff\r\nabc", "7fffffffffffffff\r\nabc", "10000000000000\r\nabc", "10000000000000003\r\nabc\r\n0\r\n\r\n",
		strings.Repeat("0", 300) + "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n: x\r\n\r\n", "3\r\nabc\r\n0\r\nX: a\r\n b\r\n\r\n",
		"3;" + strings.Repeat("a", 300) + "\r\nabc\r\n0\r\n\r\n", "\r\n", "g\r\n", "3\r\nabc0\r\n\r\n",
		"3\r\nabc\r\n0\r\n\rX", "A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n", "1\r\na\r\n2\r\nbc\r\n0\r\nX: 1\r\nY: 2\r\n\r\n",
		"3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", "3\r\nabc\r0\r\n\r\n", "3 3\r\nabc\r\n0\r\n\r\n", "3,\r\nabc\r\n0\r\n\r\n", ";x\r\nabc\r\n0\r\n\r\n",
	} {
		add(same(chunked(b)))
	}
	add(
		refused("lf", chunked("3\nabc\r\n0\r\n\r\n")),
		refused("lf", chunked("3 \nabc\r\n0\r\n\r\n")),
		refused("lf", chunked("3\r\nabc\n0\r\n\r\n")),
		refused("lf", chunked("3\r\nabc\r\n0\n\r\n")),
		refused("lf", chunked("3\r\nabc\r\n0\r\n\n")),
		refused("lf", chunked("3\r\nabc\r\n0\r\nX: 1\n\r\n")),
		refused("lf", chunked("3\r\nabc\r\n0\r\nX: 1\r\n\n")),
		refused("lf", chunked("3;\nabc\r\n0\r\n\r\n")),
		refused("extension", chunked("3;a\x00\r\nabc\r\n0\r\n\r\n")),
		refused("extension", chunked("3;a\x01\r\nabc\r\n0\r\n\r\n")),
		refused("extension", chunked("3;a\x7f\r\nabc\r\n0\r\n\r\n")),
		refused("extension", chunked("3\r\nabc\r\n0;\x00\r\n\r\n")),
		refused("extension", chunked("3;"+strings.Repeat("a", 5000)+"\r\nabc\r\n0\r\n\r\n")),
		refused("nul", chunked("3\r\nabc\r\n0\r\nX: a\x00b\r\n\r\n")),
		diff{send: chunked("3\r\nabc\r\n0\r\nContent-Length: 7\r\nX: y\r\n\r\n"), decided: "trailers", status: 200},
		refused("trailers", chunked("3\r\nabc\r\n0\r\nA : x\r\n\r\n")),
		refused("trailers", chunked("3\r\nabc\r\n0\r\nX\x00: x\r\n\r\n")),
		refused("trailers", chunked("0\r\nX: "+strings.Repeat("x", 9000)+"\r\n\r\n")),
	)
	return d
}

func TestRequestsAsHAProxy(t *testing.T) {
	o := startOracle(t)
	cases := requests()
	t.Logf("%d requests", len(cases))
	for i, c := range cases {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			ours := through(c.send)
			forwarded, back := o.exchange(t, c.send, okReply)
			theirs := 0
			if len(back) >= 12 {
				theirs, _ = strconv.Atoi(string(back[9:12]))
			}
			if c.decided != "" {
				if ours.status != c.status || c.head != "" && string(ours.head) != c.head {
					t.Errorf("%q: %s: got %d (%s)\n%q, want %d\n%q", c.send, c.decided, ours.status, ours.reason, ours.head, c.status, c.head)
				}
				return
			}
			if ours.status != theirs {
				t.Fatalf("%q:\nours %d (%s) %q\ntheirs %d, forwarded %q", c.send, ours.status, ours.reason, ours.head, theirs, forwarded)
			}
			if theirs != 200 {
				return
			}
			head, rest, _ := bytes.Cut(forwarded, []byte("\r\n\r\n"))
			head = append(head[:len(head):len(head)], "\r\n\r\n"...)
			if !bytes.Equal(head, ours.head) {
				t.Fatalf("%q: head\nours   %q\ntheirs %q", c.send, ours.head, head)
			}
			// What HAProxy forwarded, read as the server would.
			var again message.Request
			if n, err := http1.ParseRequest(head, &again, &http1.Limits{AcceptPayload: true}); n != len(head) || err != nil {
				t.Fatalf("%q: forwarded head %q: %d, %v", c.send, head, n, err)
			}
			if again.Framing != ours.req.Framing {
				t.Fatalf("%q: framing %v, forwarded %v", c.send, ours.req.Framing, again.Framing)
			}
			if again.Framing != message.Tunnel {
				body, trailers, err := readBody(&again.Header, rest)
				if err != nil || !bytes.Equal(body, ours.body) || trailers != ours.trailers {
					t.Fatalf("%q: body\nours   %q %q\ntheirs %q %q %v", c.send, ours.body, ours.trailers, body, trailers, err)
				}
			}
			if ours.req.Framing == message.Tunnel {
				return // decided: "tunnel"
			}
			checkResponse(t, c.send, &ours.req, okReply, back)
		})
	}
}

// checkResponse holds what came back to a client against what this package
// makes of the server's reply.
func checkResponse(t *testing.T, send string, req *message.Request, reply string, back []byte) {
	t.Helper()
	rest := []byte(reply)
	var want []byte
	var res message.Response
	for {
		n, err := http1.ParseResponse(rest, &res, req.Method, nil)
		if err != nil || n == 0 || res.Status == 101 && req.Upgrade == nil {
			if bytes.HasPrefix(back, []byte("HTTP/1.1 502 ")) {
				return
			}
			t.Fatalf("%q, %q: ours %v, theirs %q", send, reply, err, back)
		}
		opt := http1.WriteOptions{
			Close:  !req.KeepAlive || res.Framing == message.Close || res.Version == message.HTTP10 && res.Framing == message.Chunked,
			Peer10: req.Version == message.HTTP10, Head: req.Method == message.Head,
		}
		want = http1.AppendResponse(want, &res, opt)
		rest = rest[n:]
		if res.Status >= 200 || res.Status == 101 {
			break
		}
	}
	if !bytes.HasPrefix(back, want) {
		t.Fatalf("%q, %q: response\nours   %q\ntheirs %q", send, reply, want, back)
	}
	body, trailers, err := readBody(&res.Header, rest)
	got, gotTrailers, gotErr := readBody(&res.Header, back[len(want):])
	if !bytes.Equal(body, got) || trailers != gotTrailers || (err == nil) != (gotErr == nil) {
		t.Fatalf("%q, %q: body\nours   %q %q %v\ntheirs %q %q %v", send, reply, body, trailers, err, got, gotTrailers, gotErr)
	}
}

// reply is a response that goes both ways.
type reply struct {
	text    string
	decided string
	status  int
	head    string
}

func responses() (d []reply) {
	add := func(texts ...string) {
		for _, s := range texts {
			d = append(d, reply{text: s})
		}
	}
	decide := func(decision string, status int, text, head string) {
		d = append(d, reply{text, decision, status, head})
	}
	for _, s := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n"} {
		add(s+"Content-Length: 3\r\n\r\nabc", s+"Content-Length: 3\r\nConnection: close\r\n\r\nabc",
			s+"Content-Length: 3\r\nConnection: keep-alive\r\nKeep-Alive: timeout=3\r\n\r\nabc",
			s+"Content-Length: 3\r\nConnection: foo, close\r\nFoo: 1\r\n\r\nabc", s+"\r\nabc", s+"Connection: close\r\n\r\nabc",
			s+"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", s+"Transfer-Encoding: gzip\r\n\r\nabc",
			s+"Transfer-Encoding: chunked, gzip\r\n\r\nabc", s+"Transfer-Encoding: chunked, chunked\r\n\r\nabc", s+"Transfer-Encoding: identity\r\n\r\nabc",
			s+"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", s+"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
			s+"Content-Length: 3, 3\r\n\r\nabc", s+"Content-Length: x\r\n\r\nabc", s+"Content-Length: 0\r\n\r\n",
			s+"Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 0\r\n\r\n",
			s+"Proxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n")
		decide("emptyte", 502, s+"Transfer-Encoding: \r\n\r\nabc", "")
		decide("emptyte", 502, s+"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", "")
		decide("upgrade", 200, s+"Upgrade: h2c\r\nContent-Length: 0\r\n\r\n", s[:15]+"\r\ncontent-length: 0\r\n"+map[bool]string{true: "connection: close\r\n"}[s[7] == '1']+"\r\n")
		decide("zeros", 200, s+"Content-Length: 03\r\n\r\nabc", s[:15]+"\r\ncontent-length: 3\r\n"+map[bool]string{true: "connection: close\r\n"}[s[7] == '1']+"\r\n")
	}
	c11 := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	add(c11+"\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n", c11+"Content-Length: 4\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		c11+"\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", c11+"\r\n0\r\n\r\n")
	for _, body := range []string{"3\nabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\n"} {
		decide("lf", 502, c11+"\r\n"+body, "")
	}
	decide("extension", 502, c11+"\r\n3;\x00\r\nabc\r\n0\r\n\r\n", "")
	decide("chunked10", 200, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "")
	for _, st := range []string{"204 No Content", "304 Not Modified", "205 x", "200 OK", "404 x", "500 x"} {
		for _, h := range []string{
			"", "Content-Length: 5\r\n", "Connection: upgrade\r\nUpgrade: foo\r\n", "Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n",
			"Connection: upgrade\r\n", "Transfer-Encoding: chunked\r\n",
		} {
			body := ""
			if st[0] != '3' && st != "204 No Content" {
				body = "abcde"
				if strings.HasPrefix(h, "Tra") {
					body = "5\r\nabcde\r\n0\r\n\r\n"
				}
			}
			add("HTTP/1.1 " + st + "\r\n" + h + "\r\n" + body)
		}
	}
	for _, h := range []string{
		"", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: upgrade\r\nUpgrade: foo\r\n", "Upgrade: foo\r\n",
		"Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\n",
		"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
	} {
		add("HTTP/1.1 101 SP\r\n" + h + "\r\nxyz")
	}
	for _, i := range []string{"100 Continue", "103 Early Hints", "102 P", "199 x"} {
		add("HTTP/1.1 "+i+"\r\nLink: x\r\nContent-Length: 3\r\n\r\n"+okReply, "HTTP/1.1 "+i+"\r\nTransfer-Encoding: chunked\r\n\r\n"+okReply,
			"HTTP/1.1 "+i+"\r\nConnection: close\r\n\r\n"+okReply, "HTTP/1.1 "+i+"\r\n\r\nHTTP/1.1 "+i+"\r\n\r\n"+okReply)
	}
	for _, l := range []string{
		"HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1  200 OK", "HTTP/1.1\t200\tOK", "HTTP/1.1 600 OK", "HTTP/1.1 999 OK", "HTTP/1.1 abc OK",
		"HTTP/1.1 200 O\xffK", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\rK", "HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/1.10 200 OK",
		"http/1.1 200 OK", "HTTP/1.1200 OK", "\r\nHTTP/1.1 200 OK", " HTTP/1.1 200 OK", "hello", "HTTP/1.1 200\xa0OK", "HTTP/1.1 200 OK  x ",
		"HTTP/3.1 200 OK", "HTTP/1.1 2_0 OK", "ICY 200 OK", "HTTP/1.1 \r200 OK", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 -200 OK", "HTTP/1.1 +200 OK",
	} {
		add(l + "\r\nContent-Length: 0\r\n\r\n")
	}
	for _, st := range []string{"20", "2000", "99", "000", "099", "2"} {
		decide("status", 502, "HTTP/1.1 "+st+" OK\r\nContent-Length: 0\r\n\r\n", "")
	}
	decide("nul", 502, "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", "")
	decide("version", 502, "RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "")
	decide("version", 200, "HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n")
	for _, h := range []string{
		"Foo : 1\r\n", "Foo\r\n", ": 1\r\n", "F\x00oo: 1\r\n", "Foo: a\x01b\r\n", "Foo: a\rb\r\n", "Foo: a\r\n b\r\n", "Foo:\r\n", "F(oo: 1\r\n",
		"Foo: \xff\r\n", "Foo: a\n", "F\xc3oo: 1\r\n", "Host: x\r\nHost: y\r\n", "TE: gzip\r\n", "Expect: 100-continue\r\n",
	} {
		add("HTTP/1.1 200 OK\r\n" + h + "Content-Length: 0\r\n\r\n")
	}
	add("HTTP/1.1 200 OK\r\n Foo: 1\r\nContent-Length: 0\r\n\r\n")
	decide("nul", 502, "HTTP/1.1 200 OK\r\nFoo: a\x00b\r\nContent-Length: 0\r\n\r\n", "")
	return d
}

func TestResponsesAsHAProxy(t *testing.T) {
	o := startOracle(t)
	cases := responses()
	asked := []string{
		req(), "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", req("Connection: close\r\n"),
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", req("Connection: upgrade\r\nUpgrade: foo\r\n"),
		req("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
	}
	t.Logf("%d responses to %d requests", len(cases), len(asked))
	for i, c := range cases {
		for j, a := range asked {
			if j > 0 && c.decided != "" {
				break
			}
			t.Run(fmt.Sprint(i, ".", j), func(t *testing.T) {
				if c.decided != "" {
					var res message.Response
					buf := []byte(c.text)
					n, err := http1.ParseResponse(buf, &res, message.Get, nil)
					status := 200
					if err != nil {
						status = err.(*http1.Error).Status
					} else if _, _, err = readBody(&res.Header, buf[n:]); err != nil {
						status = 502
					}
					if status != c.status {
						t.Errorf("%q: %s: got %d (%v), want %d", c.text, c.decided, status, err, c.status)
					}
					if h := http1.AppendResponse(nil, &res, http1.WriteOptions{Close: true}); c.head != "" && string(h) != c.head {
						t.Errorf("%q: %s: got %q, want %q", c.text, c.decided, h, c.head)
					}
					return
				}
				ours := through(a)
				if ours.status != 200 {
					t.Fatal(ours.reason)
				}
				text := c.text
				if j == 4 {
					// There is no body in answer to HEAD.
					if k := strings.LastIndex(text, "\r\n\r\n"); strings.HasPrefix(text, "HTTP/1.1 1") {
						text = text[:k+4]
					} else if k := strings.Index(text, "\r\n\r\n"); k >= 0 {
						text = text[:k+4]
					}
				}
				_, back := o.exchange(t, a, text)
				checkResponse(t, a, &ours.req, text, back)
			})
		}
	}
}

// Every decision is written up in README.md, and none there is without a case.
func TestDecisionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"tunnel": true}
	for _, d := range requests() {
		used[d.decided] = true
	}
	for _, r := range responses() {
		used[r.decided] = true
	}
	delete(used, "")
	for name := range used {
		if !bytes.Contains(text, []byte("\n| `"+name+"` |")) {
			t.Errorf("README.md has no row for %q", name)
		}
	}
	if n := bytes.Count(text, []byte("\n| `")); n != len(used) {
		t.Errorf("README.md has %d rows for %d decisions", n, len(used))
	}
}
