package http1_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

const (
	wrkRequest = "GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: wrk/4.1.0\r\nAccept: */*\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n"

	curlRequest = "GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
		"Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nCache-Control: max-age=0\r\n\r\n"

	smallResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 01 Jan 2023 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n" +
		"Connection: keep-alive\r\nETag: \"63b0cd80-c8\"\r\n\r\n"
)

// again gives the same bytes each time, as a buffer that is read into would.
func again(buf []byte, s string) []byte { return append(buf[:0], s...) }

func BenchmarkParseRequest(b *testing.B) {
	for _, c := range []struct{ name, text string }{{"wrk", wrkRequest}, {"browser", curlRequest}} {
		b.Run(c.name, func(b *testing.B) {
			var req message.Request
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				buf = again(buf, c.text)
				if n, err := http1.ParseRequest(buf, &req, nil); n != len(c.text) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	var res message.Response
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = again(buf, smallResponse)
		if n, err := http1.ParseResponse(buf, &res, message.Get, nil); n != len(smallResponse) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	var req message.Request
	if _, err := http1.ParseRequest([]byte(wrkRequest), &req, nil); err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = http1.AppendRequest(out[:0], &req, http1.WriteOptions{})
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	var res message.Response
	if _, err := http1.ParseResponse([]byte(smallResponse), &res, message.Get, nil); err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = http1.AppendResponse(out[:0], &res, http1.WriteOptions{})
	}
}

func BenchmarkChunks(b *testing.B) {
	body := []byte("10\r\n0123456789abcdef\r\n0\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		var c http1.Chunks
		if d, n, done, err := c.Next(body, nil); len(d) != 16 || n != len(body) || !done || err != nil {
			b.Fatal(string(d), n, done, err)
		}
	}
}

// The hot path allocates nothing once its buffers have their size.
func TestNoAllocations(t *testing.T) {
	var req message.Request
	var res message.Response
	buf, out := make([]byte, 0, 4096), make([]byte, 0, 4096)
	tr := make([]message.Field, 0, 4)
	once := func() {
		for _, text := range []string{wrkRequest, curlRequest} {
			buf = again(buf, text)
			if n, err := http1.ParseRequest(buf, &req, nil); n != len(text) || err != nil {
				t.Fatal(n, err)
			}
			out = http1.AppendRequest(out[:0], &req, http1.WriteOptions{})
		}
		buf = again(buf, smallResponse)
		if n, err := http1.ParseResponse(buf, &res, message.Get, nil); n != len(smallResponse) || err != nil {
			t.Fatal(n, err)
		}
		out = http1.AppendResponse(out[:0], &res, http1.WriteOptions{Close: true})
		buf = again(buf, "5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
		var c http1.Chunks
		tr = tr[:0]
		if d, _, done, err := c.Next(buf, &tr); string(d) != "hello" || !done || err != nil || len(tr) != 1 {
			t.Fatal(d, done, err, tr)
		}
		out = http1.AppendChunkHeader(out[:0], 5)
		out = http1.AppendTrailers(out, tr)
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Fatalf("%v allocations a run", n)
	}
}
