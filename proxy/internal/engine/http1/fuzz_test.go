package http1_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// pieces calls parse with ever longer starts of data, in one buffer, as a reader
// from a connection does, until it says something.
func pieces(data []byte, step int, parse func([]byte) (int, error)) (int, error) {
	buf := make([]byte, 0, len(data))
	for i := 0; ; i += step {
		end := min(i+step, len(data))
		buf = append(buf, data[min(i, end):end]...)
		if n, err := parse(buf); n != 0 || err != nil || end == len(data) {
			return n, err
		}
	}
}

// early tells of an error in a long head that is not finished: it is found while
// the head is short, or at its end, but not between (see complete).
func early(data []byte, err, inPieces error) bool {
	return len(data) > 1024 && err == nil && inPieces != nil
}

func statusOf(err error) int {
	if err == nil {
		return 0
	}
	return err.(*http1.Error).Status
}

func sameFields(a, b []message.Field) bool {
	return slices.EqualFunc(a, b, func(x, y message.Field) bool {
		return bytes.Equal(x.Name, y.Name) && bytes.Equal(x.Value, y.Value)
	})
}

func checkError(t *testing.T, data []byte, n int, err error) {
	t.Helper()
	if n < 0 || n > len(data) || n > 0 && err != nil {
		t.Fatalf("%q: %d, %v", data, n, err)
	}
	if e, ok := err.(*http1.Error); err != nil && (!ok || e.Pos < 0 || e.Pos > len(data) || e.Reason == "" || e.Status < 400) {
		t.Fatalf("%q: %#v", data, err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		wrkRequest, curlRequest, "\r\n\nGET http://u@a:80/x?y HTTP/1.0\nHost: a\r\n b\r\n\n",
		"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\nTransfer-Encoding: chunked,\r\nConnection: close, x\r\n\r\n", "CONNECT [::1]:443 HTTP/1.1\r\nhost: [::1]:443\r\n\r\n",
		"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTE: a,trailers\r\n\r\n",
		"GET /\r\n\r\n", "PUT * RTSP/11.22\r\nX\x00: \x00\r\n\r\n", "GET http://A:443/ HTTP/1.1\r\nHost: a:443\r\nHost: A:443\r\n\r\n",
	} {
		f.Add([]byte(s), byte(0), byte(1))
		f.Add([]byte(s), byte(1), byte(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, flags, step byte) {
		lim := &http1.Limits{AcceptInvalid: flags&1 != 0, AcceptPayload: flags&2 != 0, KeepInsecure: flags&4 != 0, MaxHeaders: int(flags >> 3)}
		var req, req2 message.Request
		n, err := http1.ParseRequest(bytes.Clone(data), &req, lim)
		checkError(t, data, n, err)
		n2, err2 := pieces(data, int(step)+1, func(b []byte) (int, error) { return http1.ParseRequest(b, &req2, lim) })
		if n == 0 && early(data, err, err2) {
			return
		}
		if n2 != n || statusOf(err2) != statusOf(err) {
			t.Fatalf("%q: %d, %v; in pieces %d, %v", data, n, err, n2, err2)
		}
		if n == 0 {
			return
		}
		if !sameFields(req.Fields, req2.Fields) || req.Framing != req2.Framing || !bytes.Equal(req.Target, req2.Target) || !bytes.Equal(req.Host, req2.Host) {
			t.Fatalf("%q: %+v; in pieces %+v", data, req, req2)
		}

		// What is written says the same to the next parser.
		text := http1.AppendRequest(nil, &req, http1.WriteOptions{})
		lim.AcceptPayload, lim.MaxHeaders = true, 1000
		m, err := http1.ParseRequest(bytes.Clone(text), &req2, lim)
		if err != nil || m != len(text) {
			t.Fatalf("%q was written as %q: %d, %v", data, text, m, err)
		}
		if req2.Framing != req.Framing || req2.Method != req.Method || req.Framing == message.Length && req2.ContentLength != req.ContentLength {
			t.Fatalf("%q: %v %d; written as %q: %v %d", data, req.Framing, req.ContentLength, text, req2.Framing, req2.ContentLength)
		}
		// And to the least common denominator: one line each, no framing twice.
		if k := bytes.Count(text, []byte("\r\ncontent-length: ")) + bytes.Count(text, []byte("\r\ntransfer-encoding: ")); k > 1 {
			t.Fatalf("%q was written as %q", data, text)
		}
		if bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n")) || bytes.Count(text, []byte("\r")) != bytes.Count(text, []byte("\n")) {
			t.Fatalf("%q was written as %q", data, text)
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		smallResponse, okReply, "HTTP/1.0 200 OK\nTransfer-Encoding: Chunked\nConnection: keep-alive, x\n\n", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n",
		"HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "RTSP/1.0 2000 a\x00b\r\nTransfer-Encoding:\r\n\r\n",
		"HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add([]byte(s), byte(0), byte(1))
		f.Add([]byte(s), byte(1|byte(message.Head)<<4), byte(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, flags, step byte) {
		lim := &http1.Limits{AcceptInvalid: flags&1 != 0, KeepInsecure: flags&4 != 0}
		method := message.Method(flags >> 4 % 10)
		var res, res2 message.Response
		n, err := http1.ParseResponse(bytes.Clone(data), &res, method, lim)
		checkError(t, data, n, err)
		n2, err2 := pieces(data, int(step)+1, func(b []byte) (int, error) { return http1.ParseResponse(b, &res2, method, lim) })
		if n == 0 && early(data, err, err2) {
			return
		}
		if n2 != n || statusOf(err2) != statusOf(err) {
			t.Fatalf("%q: %d, %v; in pieces %d, %v", data, n, err, n2, err2)
		}
		if n == 0 {
			return
		}
		if !sameFields(res.Fields, res2.Fields) || res.Framing != res2.Framing || res.Status != res2.Status {
			t.Fatalf("%q: %+v; in pieces %+v", data, res, res2)
		}
		text := http1.AppendResponse(nil, &res, http1.WriteOptions{Head: method == message.Head})
		lim.MaxHeaders = 1000
		m, err := http1.ParseResponse(bytes.Clone(text), &res2, method, lim)
		if err != nil || m != len(text) {
			t.Fatalf("%q was written as %q: %d, %v", data, text, m, err)
		}
		if res2.Framing != res.Framing || res2.Status != res.Status || res.Framing == message.Length && res2.ContentLength != res.ContentLength {
			t.Fatalf("%q: %v %d; written as %q: %v %d", data, res.Framing, res.ContentLength, text, res2.Framing, res2.ContentLength)
		}
		if k := bytes.Count(text, []byte("\r\ncontent-length: ")) + bytes.Count(text, []byte("\r\ntransfer-encoding: ")); k > 1 {
			t.Fatalf("%q was written as %q", data, text)
		}
	})
}

// dechunk decodes data, which arrives step bytes at a time.
func dechunk(t *testing.T, data []byte, step int) (body, rest []byte, trailers string, done bool, err error) {
	var c http1.Chunks
	var tr []message.Field
	var buf []byte
	for off := 0; ; {
		d, n, fin, err := c.Next(buf, &tr)
		if n < 0 || n > len(buf) || len(d) > n || err != nil && len(d) > 0 || fin != c.Done() {
			t.Fatalf("%q: %q %d %v %v", data, d, n, fin, err)
		}
		body = append(body, d...)
		if err != nil {
			return body, nil, "", false, err
		}
		// Trailers point into buf: it is not moved over.
		buf = buf[n:]
		if fin {
			return body, append(buf, data[off:]...), string(http1.AppendTrailers(nil, tr)), true, nil
		}
		if n == 0 {
			if off == len(data) {
				return body, nil, "", false, nil
			}
			end := min(off+step, len(data))
			buf = append(bytes.Clone(buf), data[off:end]...)
			off = end
		}
	}
}

func FuzzChunks(f *testing.F) {
	for _, s := range []string{
		"3\r\nabc\r\n0\r\n\r\n", "1;x=\"y\"\r\na\r\n00A \r\n0123456789\n0\r\nX: y\r\n z\r\nHost: a\r\n\r\nGET", "0\n\n", "fffffffffffff\r\nx", "10000000000000\r\n",
		"3\r\nabcd", "0\r\nX : 1\r\n\r\n", "3;\nabc\r\n",
	} {
		f.Add([]byte(s), byte(0))
		f.Add([]byte(s), byte(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, step byte) {
		body, rest, trailers, done, err := dechunk(t, data, len(data)+1)
		body2, rest2, trailers2, done2, err2 := dechunk(t, data, int(step)+1)
		if !done && early(data, err, err2) {
			return
		}
		if !bytes.Equal(body, body2) || !bytes.Equal(rest, rest2) || trailers != trailers2 || done != done2 || statusOf(err) != statusOf(err2) {
			t.Fatalf("%q: %q %q %q %v %v\nin pieces %q %q %q %v %v", data, body, rest, trailers, done, err, body2, rest2, trailers2, done2, err2)
		}
		if !done {
			return
		}
		var text []byte
		if len(body) > 0 {
			text = http1.AppendChunkHeader(text, int64(len(body)))
			text = append(append(text, body...), "\r\n"...)
		}
		text = append(text, trailers...)
		body3, rest3, trailers3, done3, err3 := dechunk(t, text, len(text)+1)
		if !bytes.Equal(body, body3) || len(rest3) > 0 || trailers != trailers3 || !done3 || err3 != nil {
			t.Fatalf("%q was written as %q: %q %q %q %v", data, text, body3, rest3, trailers3, err3)
		}
	})
}
