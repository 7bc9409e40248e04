package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"golang.org/x/net/http2"
)

// edgeHead begins the configurations of a chain of two proxies. The times end
// conversations that come to nothing: no test measures them.
const edgeHead = `global
    stats socket @DIR@/s level admin
    nbthread 1

defaults
    mode http
    timeout connect 2s
    timeout client 400ms
    timeout server 400ms
    timeout http-request 400ms
    timeout http-keep-alive 400ms
    http-reuse @REUSE@
`

// edgeConfig has the rules that nothing may get around: a path, and what the
// request is taken for is told on.
const edgeConfig = edgeHead + `
frontend edge
    bind @WEB@
    http-request deny if { path_beg /secret }
    http-request set-header X-Edge seen
    http-request set-header X-Edge-Host "%[req.hdr(host)]"
    http-request set-header X-Edge-Path "%[path]"
    default_backend inner

backend inner
    server s1 @NEXT@ @PROTO@
`

const innerConfig = edgeHead + `
frontend inner
    bind @WEB@
    default_backend origin

backend origin
    server s1 @NEXT@
`

// chainOf starts two proxies, one behind the other, before an origin. proto is a
// word of the server line between them, reuse of http-reuse.
func chainOf(t *testing.T, front, back, proto, reuse, origin string) (addr string) {
	t.Helper()
	inner, edge := address(t), address(t)
	for _, p := range []struct{ path, config, addr, next string }{{back, innerConfig, inner, origin}, {front, edgeConfig, edge, inner}} {
		serveWith(t, p.path, strings.NewReplacer("@WEB@", p.addr, "@NEXT@", p.next, "@PROTO@", proto, "@REUSE@", reuse).Replace(p.config))
	}
	return edge
}

// secret is the request that the edge denies, as it is hidden in others.
const secret = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n"

// secretH2 is a connection of HTTP/2 that begins with it, after an upgrade or
// not.
func secretH2() string {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.WriteSettings()
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndStream: true, EndHeaders: true,
		BlockFragment: []byte("\x82\x86\x04\x07/secret\x41\x01a")})
	return b.String()
}

// attacks are conversations that tempt one of two proxies to see a request where
// the other sees none.
func attacks() []string {
	var all []string
	add := func(texts ...string) { all = append(all, texts...) }
	head := func(line, fields string) string { return line + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	n := fmt.Sprint(len(secret))

	add(head("GET /", "") + secret) // and nothing hidden about it
	// Upgrades.
	const settings = "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
	for _, u := range []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + settings, "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: H2C\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: foo, h2c\r\n" + settings, "Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n" + settings, "Upgrade: h2c\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: h2\r\n", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"Connection: Upgrade\r\nUpgrade: foo\r\n", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n", "Connection: close, Upgrade\r\nUpgrade: h2c\r\n" + settings,
	} {
		add(head("GET /", u)+secret, head("GET /", u)+secretH2(), head("POST /", u+"Content-Length: 0\r\n")+secretH2(),
			head("POST /", u+"Content-Length: "+n+"\r\n")+secret+secretH2(), head("OPTIONS *", u)+secretH2())
	}
	add(secretH2(), head("GET /", "")+secretH2(), head("PRI *", "")+"SM\r\n\r\n"+secret)

	// CONNECT, and targets.
	for _, f := range []string{"", "Content-Length: " + n + "\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n"} {
		add("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n"+f+"\r\n"+secret, "CONNECT a:80 HTTP/1.0\r\nHost: a\r\n"+f+"\r\n"+secret, "CONNECT a HTTP/1.1\r\nHost: a\r\n"+f+"\r\n"+secret)
	}
	for _, target := range []string{
		"http://a/secret", "http://b/secret", "HTTP://a/secret", "https://a/secret", "foo://a/secret", "http://u@a/secret", "http://a:80/secret", "http://a:/secret",
		"http://a\\@b/secret", "http://a\\/secret", "http://a,b/secret", "http:///secret", "http:/secret", "http:secret", "//secret", "a/secret", "secret", "?/secret",
		"*/secret", "http://a?/secret", "http://a#/secret", "/x#/secret", "/x?/secret", "/x\\secret", "/x\t/secret", "/x /secret", "/\x00/secret", "http://[::1/secret",
		"http://a:80:80/secret", "http://a%2fsecret", "http://u@b@a/secret", "http://a@/secret", "http://@a/secret",
	} {
		for _, m := range []string{"GET ", "OPTIONS ", "CONNECT "} {
			add(head(m+target, ""), m+target+" HTTP/1.1\r\nHost: b\r\n\r\n", m+target+" HTTP/1.0\r\n\r\n")
		}
	}
	for _, h := range []string{
		"Host: b\r\n", "Host: a\r\n", "Host:\r\n", " Host: b\r\n", "Host : b\r\n", "X: y\r\n Host: b\r\n", "X: y\rHost: b\r\n", "X: y\nHost: b\r\n", "Hos\x00t: b\r\n",
	} {
		add(head("GET /", h), "GET / HTTP/1.1\r\n"+h+"Host: a\r\n\r\n", "GET http://a/ HTTP/1.1\r\n"+h+"\r\n", "GET http://a/ HTTP/1.1\r\n"+h+"Host: a\r\n\r\n")
	}
	for _, h := range []string{"a,b", "a, b", "a\\b", "a b", "a\tb", "a/secret", "a?b", "a#b", "u@a", "a\x00b", "a\"b", "[a", "a]", "[::1", "a\x01", "a\xff", "a:80,b", "a:x"} {
		add("GET / HTTP/1.1\r\nHost: "+h+"\r\n\r\n", "GET http://"+h+"/ HTTP/1.1\r\nHost: "+h+"\r\n\r\n", "GET http://"+h+"/ HTTP/1.1\r\n\r\n", "CONNECT "+h+":80 HTTP/1.1\r\n\r\n"+secret)
	}

	// Lengths.
	for _, l := range []string{
		"0\r\nContent-Length: " + n, n + "\r\nContent-Length: 0", "0, " + n, n + ", 0", "0," + n + ",0", "+0", "-0", "-1", "+" + n, "0x0", "0x" + n, "00", "0" + n, "0\x0b", "0\x00", "0\r\n " + n, "\r\n 0",
		"0;", "0.0", "\"0\"", "0 0", "", ",0", "0,", "4294967296", "18446744073709551616", "18446744073709551" + "616, 0", "0\r\nContent-Length : " + n, "0\r\n Content-Length: " + n,
		"0\r\nX: y\nContent-Length: " + n, "0\r\nX: y\rContent-Length: " + n, "0\r\nContent_Length: " + n, "0\r\nContent-Length\x00: " + n, "0\r\nContent-Length\t: " + n, "٠",
	} {
		for _, m := range []string{"GET /", "POST /", "HEAD /"} {
			add(head(m, "Content-Length: "+l+"\r\n") + secret)
		}
		add("POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: " + l + "\r\n\r\n" + secret)
	}

	// Codings, alone and beside a length of all, or of the end of the chunks.
	body := "0\r\n\r\n" + secret
	for _, te := range []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked,", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked, ,",
		"Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: identity", "Transfer-Encoding:\tchunked", "Transfer-Encoding: \x0bchunked",
		"Transfer-Encoding: chunked\x0b", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked ;",
		"Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chun\r\n ked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding:", "Transfer-Encoding: \r\nTransfer-Encoding: chunked", "Transfer-Encoding : chunked",
		" Transfer-Encoding: chunked", "Transfer_Encoding: chunked", "Transfer-Encoding\x00: chunked", "Transfer-\r\n Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
		"Transfer-Encoding: chunk", "Transfer-Encoding: \xffchunked", "TE: chunked", "Transfer-Encoding: chunked\r\nTE: x", "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
	} {
		for _, l := range []string{"", "Content-Length: " + fmt.Sprint(len(body)) + "\r\n", "Content-Length: 5\r\n", "Connection: content-length\r\nContent-Length: 5\r\n"} {
			add(head("POST /", l+te+"\r\n")+body, head("GET /", te+"\r\n"+l)+body, "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n"+l+te+"\r\n\r\n"+body)
		}
	}

	// Chunks.
	size := fmt.Sprintf("%x", len(secret))
	for _, b := range []string{
		"0\n\n", "0\r\n\n", "0\n\r\n", "0\r\r\n", "0\r\n\r", "1\nx\n0\n\n", "1\r\nx\n0\r\n\r\n", "1\r\nx0\r\n\r\n", "1\r\nxx\r\n0\r\n\r\n", "0x0\r\n\r\n", "+0\r\n\r\n", "-0\r\n\r\n", " 0\r\n\r\n", "0 \r\n\r\n",
		"\r\n0\r\n\r\n", "00000000000000000000\r\n\r\n", "10000000000000000\r\n\r\n", "ffffffffffffffff\r\n\r\n", "8000000000000000\r\n", "fffffffff\r\n", "g\r\n\r\n", "0;\x00\r\n\r\n", "0;x\n\r\n", "0;\r\n\r\n", "0;a=\"\r\n\"\r\n\r\n",
		"0 ;\r\n\r\n", "0\t\r\n\r\n", "0\x0b\r\n\r\n", "0\x00\r\n\r\n", "0,0\r\n\r\n", "0 0\r\n\r\n", "2;\nxx\r\n" + size + "\r\n0\r\n\r\n", "2;\nx\r\n0\r\n\r\n", "1;\r\nx\r\n0\r\n\r\n", "1;\rx\r\n0\r\n\r\n", "3;x\nabc\r\n0\r\n\r\n",
		"0\r\nX: y\n\n", "0\r\nX: y\n\r\n", "0\r\nX: y\r\n\n", "0\r\nContent-Length: " + n + "\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: b\r\n\r\n", "0\r\nX-Edge: y\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\n: x\r\n\r\n",
		"0\r\nX y\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\nX\x00: y\r\n\r\n", "0\r\nX: \x00\r\n\r\n", "0\r\nX: y\rZ: w\r\n\r\n", "0\r\n\r\n\r\n", "1\r\nx\r\n\r\n0\r\n\r\n", "1\r\n\nx\r\n0\r\n\r\n",
		"0" + strings.Repeat("0", 5000) + "\r\n\r\n", "0;" + strings.Repeat("x", 20000) + "\r\n\r\n", "0\r\n" + strings.Repeat("X: y\r\n", 3000) + "\r\n",
	} {
		add(head("POST /", "Transfer-Encoding: chunked\r\n")+b+secret, head("POST /", "Transfer-Encoding: chunked\r\n")+b[:len(b)-min(len(b), 2)]+secret)
	}

	// Heads that end elsewhere, and fields that somebody takes out.
	for _, f := range []string{
		"X: y\r\r\n", "X: y\n\n", "X: y\r\n\n", "X: y\n\r\n", "X: y\x00\r\n\r\n", "X\r\n\r\n", ": y\r\n\r\n", "\x00\r\n\r\n", "\r\r\n", "X: y\r\n \r\n", "X: y\r\n\t\r\n", " \r\n", "\x0b\r\n", "Expect: 100-continue\r\nContent-Length: " + n + "\r\n\r\n",
		"Connection: X-Edge, X-Edge-Host\r\n\r\n", "Connection: close, X-Edge\r\n\r\n", "Connection: Host\r\n\r\n", "X-Edge: a\r\nX-Edge-Host: b\r\n\r\n", "X-Edge : a\r\n\r\n", "X_Edge: a\r\n\r\n", "Keep-Alive: x\r\nProxy-Connection: keep-alive\r\n\r\n",
	} {
		add("GET / HTTP/1.1\r\nHost: a\r\n"+f+secret, "GET / HTTP/1.1\r\nHost: a\r\n"+f+"\r\n"+secret)
	}
	for _, l := range []string{
		"GET / HTTP/1.1 HTTP/1.1", "GET / HTTP/1.10", "GET / HTTP/2.0", "GET / HTTP/0.9", "GET /", "GET / HTTP/1.1\x00", "GET\x00/ HTTP/1.1", "GET\x0b/\x0bHTTP/1.1", "\r\n\r\nGET / HTTP/1.1", "\rGET / HTTP/1.1",
		" GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET / http/1.1", "GET / HTTP/1.1\r", "GET  /  HTTP/1.1", "G\xe9T / HTTP/1.1", "GET / ICY/1.1", "get / HTTP/1.1",
	} {
		add(l + "\r\nHost: a\r\n\r\n" + secret)
	}
	return all
}

// attacksH2 are heads of requests over HTTP/2 and the bodies that follow.
func attacksH2() (all [][2]any) {
	add := func(body string, fields ...string) { all = append(all, [2]any{fields, body}) }
	const line = " HTTP/1.1\r\nHost: a\r\n\r\n" + secret
	usually := func(fields ...string) []string { return usual("POST", "/", fields...) }
	add("", usual("GET", "/secret")...)
	for _, p := range []string{"/" + line, "/ /secret", "/\x00", "/\n/secret", "/x#/secret", "x/secret", "*", "http://b/secret", "", "?/secret", "/\\secret"} {
		add("", usual("GET", p)...)
	}
	for _, m := range []string{"GET /secret HTTP/1.1\r\nX:", "GET /secret", "GET\t/secret", "", "\x00", "CONNECT"} {
		add("", usual(m, "/")...)
	}
	for _, a := range []string{"a\r\nX: y", "a/secret", "a?x", "a#x", "a,b", "a\\b", "u@a", "a b", "a\x00", "", "a:x"} {
		add("", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", a)
		add("", ":method", "GET", ":scheme", "http", ":path", "/", "host", a)
		add(secret, ":method", "CONNECT", ":authority", a)
	}
	for _, s := range []string{"http://a/secret?", "http ", "ht\r\ntp", "", "1"} {
		add("", ":method", "GET", ":scheme", s, ":path", "/", ":authority", "a")
	}
	for _, v := range []string{"a" + line, "a\r\n\r\n" + secret, "a\n" + secret, "a\r", "a\x00b", " a"} {
		add("", usual("GET", "/", "x", v)...)
		add("", usual("GET", "/", "cookie", v)...)
	}
	for _, f := range []string{"x: y" + line, "x:", ":x", "X", "x\r\n", "x ", " x", "x\x00", "", "content-length "} {
		add("", usual("GET", "/", f, "y")...)
	}
	for _, f := range [][2]string{
		{"transfer-encoding", "chunked"}, {"transfer-encoding", "chunked,"}, {"connection", "transfer-encoding"}, {"content-length", "0"}, {"content-length", "5"}, {"content-length", "+0"}, {"content-length", "0, 5"},
		{"content-length", "4294967296"}, {"content-length", ""}, {"content-length", "0\r\n"}, {"upgrade", "h2c"}, {"connection", "upgrade"}, {"http2-settings", "AAMAAABk"}, {"te", "chunked"}, {"trailer", "x"}, {"host", "b"}, {"expect", "100-continue"},
	} {
		add("0\r\n\r\n"+secret, usually(f[0], f[1])...)
		add("0\r\n\r\n"+secret, usually(f[0], f[1], "content-length", "5")...)
		add("", usual("GET", "/", f[0], f[1])...)
	}
	for _, p := range []string{"websocket", "h2c", "h2", "connect-udp", "", "web socket"} {
		add(secret, ":method", "CONNECT", ":protocol", p, ":scheme", "http", ":path", "/", ":authority", "a")
		add(secret, ":method", "GET", ":protocol", p, ":scheme", "http", ":path", "/", ":authority", "a")
		add(secretH2(), ":method", "CONNECT", ":protocol", p, ":scheme", "http", ":path", "/secret", ":authority", "a")
	}
	add("", append(usual("GET", "/"), ":path", "/secret")...)
	add("", append(usual("GET", "/"), ":authority", "b")...)
	add("", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "host", "b", "host", "c")
	add("", "x", "y", ":method", "GET", ":scheme", "http", ":path", "/secret", ":authority", "a")
	return all
}

// watchful is an origin that holds what arrives against what the edge saw of it.
type watchful struct {
	mu     sync.Mutex
	asked  int
	faults []string
}

func (w *watchful) fault(format string, args ...any) {
	w.mu.Lock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
	w.mu.Unlock()
}

// serve is a connection from the last proxy.
func (w *watchful) serve(c net.Conn) {
	var said bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &said))
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			var gone net.Error
			if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &gone) {
				w.fault("%v: %.600q", err, said.Bytes())
			}
			return
		}
		w.mu.Lock()
		w.asked++
		w.mu.Unlock()
		saw, host := req.Header.Values("X-Edge-Path"), strings.TrimSuffix(req.Header.Get("X-Edge-Host"), ":80")
		path, _, _ := strings.Cut(req.RequestURI, "?")
		if _, rest, absolute := strings.Cut(path, "://"); absolute {
			path = rest[max(strings.IndexByte(rest, '/'), 0):]
		}
		switch {
		case len(req.Header.Values("X-Edge")) != 1 || req.Header.Get("X-Edge") != "seen" || len(saw) != 1:
			w.fault("the edge has not seen %.600q", said.Bytes())
		case strings.HasPrefix(path, "/secret"):
			w.fault("the edge denies %.600q", said.Bytes())
		case req.Method != "CONNECT" && path != saw[0] && (saw[0] != "" || path != "/" && path != "*"):
			w.fault("the edge took %q for the path: %.600q", saw[0], said.Bytes())
		case host != "" && !strings.EqualFold(strings.TrimSuffix(req.Host, ":80"), host):
			w.fault("the edge took %q for the host: %.600q", host, said.Bytes())
		}
		if req.Header.Get("Expect") != "" {
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return // it breaks off
		}
		status := "200 OK"
		if req.Method == "CONNECT" {
			status = "405 Method Not Allowed"
		}
		fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status)
		said.Reset()
	}
}

// Whatever is said to an edge with rules, behind it is nothing that they did not
// see: of two proxies no one finds a request where the other finds none.
func TestEdge(t *testing.T) {
	haproxy := tool(t, "haproxy")
	for _, c := range []struct{ name, front, back, proto, reuse string }{
		{"haproxy before forebay", haproxy, forebay, "", "always"},
		{"haproxy before forebay, nothing shared", haproxy, forebay, "", "never"},
		{"haproxy before forebay, HTTP/2", haproxy, forebay, "proto h2", "always"},
		{"forebay before haproxy", forebay, haproxy, "", "always"},
		{"forebay before haproxy, HTTP/2", forebay, haproxy, "proto h2", "always"},
		{"forebay before forebay", forebay, forebay, "", "never"},
	} {
		t.Run(c.name, func(t *testing.T) {
			origin := &watchful{}
			addr := chainOf(t, c.front, c.back, c.proto, c.reuse, tcptest.Serve(t, origin.serve))
			var turns sync.WaitGroup
			slots := make(chan struct{}, 64)
			attack := func(what any, f func() error) {
				slots <- struct{}{}
				turns.Go(func() {
					defer func() { <-slots }()
					if err := f(); err != nil {
						t.Errorf("%.300q: %v", fmt.Sprint(what), err)
					}
				})
			}
			for _, text := range attacks() {
				attack(text, func() error {
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						return err
					}
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(patience))
					io.WriteString(conn, text)
					var late net.Error
					if _, err = io.Copy(io.Discard, conn); errors.As(err, &late) && late.Timeout() {
						return err
					}
					return nil // reset or closed
				})
			}
			for _, a := range attacksH2() {
				attack(a, func() error {
					h := dialH2(t, addr)
					defer h.c.Close()
					fields, body := a[0].([]string), a[1].(string)
					h.head(1, body == "", fields...)
					if body != "" {
						h.WriteData(1, true, []byte(body))
					}
					if h.awaitAnswers(); h.closed == "HANGS" {
						return fmt.Errorf("no answer")
					}
					return nil
				})
			}
			turns.Wait()
			t.Logf("%d attacks, %d requests", len(attacks())+len(attacksH2()), origin.asked)
			if origin.asked == 0 {
				t.Error("nothing has arrived")
			}
			for _, f := range origin.faults {
				t.Error(f)
			}
		})
	}
}

// evil is a response that a server hides behind another one, or in it.
const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil"

// tricks are responses that tempt one of two proxies to see another response
// where the other sees none.
func tricks() []string {
	var all []string
	n := fmt.Sprint(len(evil))
	answer := func(fields, body string) {
		all = append(all, "HTTP/1.1 200 OK\r\n"+fields+"\r\n"+body+evil)
	}
	answer("Content-Length: 0\r\n", "")
	for _, l := range []string{"0\r\nContent-Length: " + n, n + "\r\nContent-Length: 0", "0, " + n, "+0", "-0", "0x0", "00", "0" + n, "", "0\x0b", "0\x00", "0\r\n " + n, "18446744073709551616", "0\r\nContent-Length : " + n, "0\r\nX: y\rContent-Length: " + n} {
		answer("Content-Length: "+l+"\r\n", "")
	}
	for _, te := range []string{"chunked", "Chunked", "xchunked", "chunked,", ",chunked", "chunked, identity", "identity", "identity, chunked", "\x0bchunked", "chunked\x00", "\"chunked\"", "chunked;q=1", "\r\n chunked", "gzip, chunked", "chunked, chunked", ""} {
		for _, l := range []string{"", "Content-Length: 5\r\n", "Content-Length: " + fmt.Sprint(5+len(evil)) + "\r\n"} {
			answer(l+"Transfer-Encoding: "+te+"\r\n", "0\r\n\r\n")
			all = append(all, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"+l+"Transfer-Encoding: "+te+"\r\n\r\n0\r\n\r\n"+evil)
		}
	}
	for _, b := range []string{
		"0\n\n", "0\r\n\n", "0\n\r\n", "1\r\nx\n0\r\n\r\n", "2;\nxx\r\n0\r\n\r\n", "0;\x00\r\n\r\n", "0x0\r\n\r\n", "+0\r\n\r\n", " 0\r\n\r\n", "ffffffffffffffff\r\n", "0\r\nX: y\n\n", "0\r\nX: y\r\n\n", "0\r\nContent-Length: " + n + "\r\n\r\n", "0\r\n: x\r\n\r\n", "1\r\nxx\r\n0\r\n\r\n",
	} {
		answer("Transfer-Encoding: chunked\r\n", b)
	}
	for _, status := range []string{"100 Continue", "101 Switching Protocols", "101 S\r\nConnection: upgrade\r\nUpgrade: h2c", "101 S\r\nConnection: upgrade\r\nUpgrade: foo", "102 P", "103 E", "199 X", "204 No", "205 R", "304 Not", "0200 OK", "20 OK", "2000 OK", "099 X"} {
		for _, f := range []string{"", "Content-Length: " + n + "\r\n", "Transfer-Encoding: chunked\r\n"} {
			all = append(all, "HTTP/1.1 "+status+"\r\n"+f+"\r\n"+evil, "HTTP/1.1 "+status+"\r\n"+f+"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"+evil)
		}
	}
	for _, f := range []string{"X: y\n\n", "X: y\r\r\n", "X: \x00\r\n", "X : y\r\n", " X: y\r\n", "\x00: y\r\n", "X\r\n", "X: y\r\n \r\n"} {
		answer(f+"Content-Length: 0\r\n", "")
	}
	return append(all, evil+evil, "\r\n\r\n"+evil, "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"+evil, "HTTP/1.1 200 OK"+strings.Repeat("x", 20000)+"\r\n\r\n"+evil)
}

// Whatever a server says, nobody gets a response that is not to his request.
func TestEdgeAnswers(t *testing.T) {
	haproxy := tool(t, "haproxy")
	for _, c := range []struct{ name, front, back, proto string }{
		{"haproxy before forebay", haproxy, forebay, ""},
		{"forebay before haproxy", forebay, haproxy, ""},
		{"forebay before forebay", forebay, forebay, ""},
		{"forebay before forebay, HTTP/2", forebay, forebay, "proto h2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := tricks()
			addr := chainOf(t, c.front, c.back, c.proto, "always", tcptest.Serve(t, func(c net.Conn) {
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					answer := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
					var i int
					if _, err := fmt.Sscanf(req.URL.Path, "/bad/%d", &i); err == nil {
						answer = all[i]
					}
					io.WriteString(c, answer)
				}
			}))
			good := 0
			for i, trick := range all {
				for _, method := range []string{"GET", "HEAD"} {
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					conn.SetDeadline(time.Now().Add(patience))
					fmt.Fprintf(conn, "%s /bad/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", method, i)
					io.Copy(io.Discard, conn)
					conn.Close()
					for range 2 {
						res, err := http.Get("http://" + addr + "/good")
						if err != nil {
							continue // of a connection that is no more
						}
						body, _ := io.ReadAll(res.Body)
						res.Body.Close()
						switch {
						case res.StatusCode == 200 && string(body) == "good" && res.Header.Get("X-Evil") == "":
							good++
						case res.StatusCode < 500:
							t.Errorf("after %s of %.300q: %d %q", method, trick, res.StatusCode, body)
						}
					}
				}
			}
			if t.Logf("%d tricks, %d good answers", len(all), good); good < 3*len(all) {
				t.Errorf("%d good answers behind %d tricks", good, len(all))
			}
		})
	}
}
