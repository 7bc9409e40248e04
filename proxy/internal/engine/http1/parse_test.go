package http1_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

func TestParseRequest(t *testing.T) {
	text := "\r\nPOST /a?b HTTP/1.1\r\nHOST: Example:8080\r\nX-Y:  a\r\n\t b \r\nExpect: 100-Continue\r\nConnection: close, X\r\nContent-Length: 5\r\n\r\nhello"
	var req message.Request
	buf := []byte(text)
	n, err := http1.ParseRequest(buf, &req, nil)
	if err != nil || string(buf[n:]) != "hello" {
		t.Fatal(n, err)
	}
	if req.Method != message.Post || string(req.MethodName) != "POST" || string(req.Target) != "/a?b" || req.Version != message.HTTP11 ||
		string(req.Host) != "Example:8080" || !req.Expect100 || req.KeepAlive || req.Framing != message.Length || req.ContentLength != 5 || req.Upgrade != nil {
		t.Fatalf("%+v", req)
	}
	for name, want := range map[string]string{"host": "Example:8080", "x-y": "a    b", "connection": "X", "content-length": "5"} {
		if got := string(req.Get(name)); strings.ReplaceAll(got, "\t", " ") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// What the request says about body and connection.
func TestRequestFraming(t *testing.T) {
	for _, c := range []struct {
		text    string
		lim     http1.Limits
		framing message.Framing
		length  int64
		keep    bool
		upgrade string
	}{
		{"GET / HTTP/1.1\r\n\r\n", http1.Limits{}, message.NoBody, -1, true, ""},
		{"GET / HTTP/1.0\r\n\r\n", http1.Limits{}, message.NoBody, -1, false, ""},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", http1.Limits{}, message.NoBody, -1, true, ""},
		{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", http1.Limits{}, message.NoBody, -1, false, ""},
		{"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", http1.Limits{}, message.NoBody, 0, true, ""},
		{"POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n", http1.Limits{}, message.Length, 1<<63 - 1, true, ""},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", http1.Limits{}, message.Chunked, -1, true, ""},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", http1.Limits{}, message.Chunked, -1, false, ""},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", http1.Limits{KeepInsecure: true}, message.Chunked, -1, true, ""},
		{"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", http1.Limits{KeepInsecure: true}, message.Chunked, -1, false, ""},
		{"GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", http1.Limits{AcceptPayload: true}, message.Length, 3, false, ""},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a/1, b\r\n\r\n", http1.Limits{}, message.NoBody, -1, true, "a/1, b"},
		{"GET / HTTP/1.1\r\nUpgrade: a/1\r\n\r\n", http1.Limits{}, message.NoBody, -1, true, ""},
		{"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a/1\r\nContent-Length: 1\r\n\r\n", http1.Limits{}, message.Length, 1, true, ""},
		{"CONNECT a:1 HTTP/1.1\r\n\r\n", http1.Limits{}, message.Tunnel, -1, true, ""},
	} {
		var req message.Request
		if n, err := http1.ParseRequest([]byte(c.text), &req, &c.lim); n != len(c.text) || err != nil {
			t.Errorf("%q: %d, %v", c.text, n, err)
			continue
		}
		if req.Framing != c.framing || req.ContentLength != c.length || req.KeepAlive != c.keep || string(req.Upgrade) != c.upgrade {
			t.Errorf("%q: %v %d %v %q", c.text, req.Framing, req.ContentLength, req.KeepAlive, req.Upgrade)
		}
	}
}

func TestResponseFraming(t *testing.T) {
	for _, c := range []struct {
		text    string
		method  message.Method
		framing message.Framing
		length  int64
		keep    bool
	}{
		{"HTTP/1.1 200 OK\r\n\r\n", message.Get, message.Close, -1, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", message.Get, message.NoBody, 0, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n", message.Get, message.Length, 7, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", message.Head, message.NoBody, 7, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", message.Connect, message.Tunnel, 7, true},
		{"HTTP/1.1 407 No\r\nContent-Length: 7\r\n\r\n", message.Connect, message.Length, 7, true},
		{"HTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\n", message.Get, message.NoBody, 7, true},
		{"HTTP/1.1 100 C\r\n\r\n", message.Get, message.NoBody, -1, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", message.Get, message.Chunked, -1, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", message.Head, message.NoBody, -1, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", message.Get, message.Chunked, -1, false},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", message.Get, message.Chunked, -1, false},
		{"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", message.Get, message.Tunnel, -1, true},
	} {
		var res message.Response
		if n, err := http1.ParseResponse([]byte(c.text), &res, c.method, nil); n != len(c.text) || err != nil {
			t.Errorf("%q: %d, %v", c.text, n, err)
			continue
		}
		if res.Framing != c.framing || res.ContentLength != c.length || res.KeepAlive != c.keep {
			t.Errorf("%q: %v %d %v", c.text, res.Framing, res.ContentLength, res.KeepAlive)
		}
	}
}

// What is refused by default and what the accept-unsafe-violations options let
// through. Where is the byte at fault.
func TestViolations(t *testing.T) {
	for _, c := range []struct {
		text    string
		status  int
		where   string // what is at Error.Pos
		relaxed string // what is written when accepted, empty when it never is
	}{
		{"GET / HTTP/1.1\r\nA\x00b: 1\r\nB: 2\r\n\r\n", 400, "\x00b", "GET / HTTP/1.1\r\nb: 2\r\n\r\n"},
		{"GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400, " :", "GET / HTTP/1.1\r\n\r\n"},
		{"GET / HTTP/1.1\r\nA: x\x00y\r\n\r\n", 400, "\x00y", "GET / HTTP/1.1\r\na: x\x00y\r\n\r\n"},
		{"GET /\xe9 HTTP/1.1\r\n\r\n", 400, "\xe9", "GET /\xe9 HTTP/1.1\r\n\r\n"},
		{"GET /a#b HTTP/1.1\r\n\r\n", 400, "#b", "GET /a#b HTTP/1.1\r\n\r\n"},
		{"CONNECT a HTTP/1.1\r\n\r\n", 400, "a HTTP", "CONNECT a HTTP/1.1\r\n\r\n"},
		{"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, "host", "GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n"},
		{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "host", "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n"},
		{"GET /\r\n\r\n", 400, "", "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"},
		{"POST /\r\n\r\n", 400, "", ""},
		{"PLAY / RTSP/1.0\r\n\r\n", 400, "RTSP", "PLAY / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"},
		{"GET / HTTP/1.10\r\n\r\n", 400, "HTTP", "GET / HTTP/1.1\r\n\r\n"},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400, "upgrade: w", "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
		{"GET / HTTP/1.1\r\nA\r\n\r\n", 400, "\r\n\r", ""},
		{"GET / HTTP/1.1\r\n: a\r\n\r\n", 400, ": a", ""},
		{"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400, "\rc", ""},
		{"GET /\x7f HTTP/1.1\r\n\r\n", 400, "\x7f", ""},
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "content-length: 2", ""},
		{"GET / HTTP/1.0\r\nAccept: 1\r\nContent-Length: 1\r\nHost: a\r\n\r\n", 413, "content-length", ""},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 422, "transfer-encoding", ""},
	} {
		var req message.Request
		buf := []byte(c.text)
		n, err := http1.ParseRequest(buf, &req, nil)
		e, ok := err.(*http1.Error)
		if n != 0 || !ok || e.Status != c.status || !strings.HasPrefix(string(buf[e.Pos:]), c.where) {
			t.Errorf("%q: %d, %#v", c.text, n, err)
		}
		buf = []byte(c.text)
		n, err = http1.ParseRequest(buf, &req, &http1.Limits{AcceptInvalid: true})
		if c.relaxed == "" {
			if err == nil {
				t.Errorf("%q was accepted", c.text)
			}
		} else if got := string(http1.AppendRequest(nil, &req, http1.WriteOptions{})); n != len(c.text) || err != nil || got != c.relaxed {
			t.Errorf("%q relaxed: %d, %v\n%q, want\n%q", c.text, n, err, got, c.relaxed)
		}
	}
	for _, c := range []struct{ text, relaxed string }{
		{"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"},
		{"HTTP/1.1 65536 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", ""},
		{"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n"},
		{"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
	} {
		var res message.Response
		if n, err := http1.ParseResponse([]byte(c.text), &res, message.Get, nil); n != 0 || statusOf(err) != 502 {
			t.Errorf("%q: %d, %v", c.text, n, err)
		}
		n, err := http1.ParseResponse([]byte(c.text), &res, message.Get, &http1.Limits{AcceptInvalid: true})
		if c.relaxed == "" {
			if err == nil {
				t.Errorf("%q was accepted", c.text)
			}
		} else if got := string(http1.AppendResponse(nil, &res, http1.WriteOptions{})); n != len(c.text) || err != nil || got != c.relaxed {
			t.Errorf("%q relaxed: %d, %v\n%q, want\n%q", c.text, n, err, got, c.relaxed)
		}
	}
}

// A head is complete with its last byte and not before, and reading it again
// and again while it grows does no harm.
func TestTrickle(t *testing.T) {
	long := strings.Repeat("X-Long: "+strings.Repeat("v", 90)+"\r\n more\r\n", 40)
	for _, text := range []string{wrkRequest, curlRequest, "GET / HTTP/1.1\n" + long + "\n", "\r\n\nGET / HTTP/1.1\r\n" + long + "\r\n",
		"GET /" + strings.Repeat("t", 3000) + " HTTP/1.1\r\n\r\n"} {
		var req message.Request
		buf := []byte(text)
		for i := range buf {
			if n, err := http1.ParseRequest(buf[:i], &req, nil); n != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d, %v", i, len(buf), n, err)
			}
		}
		if n, err := http1.ParseRequest(buf, &req, nil); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
	}
	var res message.Response
	for i := range smallResponse {
		if n, err := http1.ParseResponse([]byte(smallResponse[:i]), &res, message.Get, nil); n != 0 || err != nil {
			t.Fatal(i, n, err)
		}
	}
}

func TestMaxHeaders(t *testing.T) {
	var req message.Request
	for _, c := range []struct {
		max, fields int
		ok          bool
	}{{0, 100, true}, {0, 101, false}, {1, 0, true}, {1, 1, false}, {200, 199, true}, {200, 200, false}} {
		text := "GET / HTTP/1.1\r\n" + strings.Repeat("a: b\r\n", c.fields) + "\r\n"
		if _, err := http1.ParseRequest([]byte(text), &req, &http1.Limits{MaxHeaders: c.max}); (err == nil) != c.ok {
			t.Errorf("maxhdr %d, %d fields: %v", c.max, c.fields, err)
		}
	}
}
