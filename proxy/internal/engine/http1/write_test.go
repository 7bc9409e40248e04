package http1_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// Messages that came over another protocol, or were changed by rules, get the
// fields that HTTP/1 needs.
func TestAppendResponse(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*message.Response)
		opt  http1.WriteOptions
		want string
	}{
		{"chunked", func(r *message.Response) { r.Framing = message.Chunked }, http1.WriteOptions{}, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"chunked to 1.0", func(r *message.Response) { r.Framing, r.Version = message.Chunked, message.HTTP10 }, http1.WriteOptions{Close: true},
			"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"},
		{"length", func(r *message.Response) { r.Framing, r.ContentLength = message.Length, 5 }, http1.WriteOptions{}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"},
		{"other length", func(r *message.Response) {
			r.Framing, r.ContentLength = message.Length, 5
			r.AddString("content-length", "7")
			r.AddString("content-length", "5")
		}, http1.WriteOptions{}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"},
		{"length that became chunks", func(r *message.Response) {
			r.Framing = message.Chunked
			r.AddString("content-length", "7")
			r.AddString("a", "b")
		}, http1.WriteOptions{}, "HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"empty", func(*message.Response) {}, http1.WriteOptions{}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
		{"empty for HEAD", func(*message.Response) {}, http1.WriteOptions{Head: true}, "HTTP/1.1 200 OK\r\n\r\n"},
		{"length for HEAD", func(r *message.Response) { r.AddString("content-length", "7") }, http1.WriteOptions{Head: true}, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"},
		{"204", func(r *message.Response) { r.Status = 204; r.AddString("content-length", "0") }, http1.WriteOptions{}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"103", func(r *message.Response) { r.Status = 103; r.AddString("link", "x") }, http1.WriteOptions{Close: true}, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"},
		{"until close", func(r *message.Response) { r.Framing = message.Close }, http1.WriteOptions{}, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"},
		{"close set by a rule", func(r *message.Response) {
			r.AddString("connection", "x, close")
			r.AddString("connection", "Keep-Alive")
		}, http1.WriteOptions{},
			"HTTP/1.1 200 OK\r\nconnection: x\r\ncontent-length: 0\r\n\r\n"},
		{"upgrade", func(r *message.Response) {
			r.Status, r.Framing, r.Upgrade = 101, message.Tunnel, []byte("websocket")
		}, http1.WriteOptions{}, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
		{"deleted", func(r *message.Response) { r.AddString("a", "b"); r.Del("a") }, http1.WriteOptions{Peer10: true},
			"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n"},
		{"no reason", func(r *message.Response) { r.Reason = []byte{} }, http1.WriteOptions{}, "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n"},
	} {
		var r message.Response
		r.Reset()
		r.Version, r.Status = message.HTTP2, 200
		c.make(&r)
		if got := string(http1.AppendResponse(nil, &r, c.opt)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAppendRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*message.Request)
		opt  http1.WriteOptions
		want string
	}{
		{"empty", func(*message.Request) {}, http1.WriteOptions{}, "GET / HTTP/1.1\r\n\r\n"},
		{"close", func(*message.Request) {}, http1.WriteOptions{Close: true}, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n"},
		{"1.0", func(r *message.Request) { r.Version = message.HTTP10 }, http1.WriteOptions{}, "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"},
		{"1.0 close", func(r *message.Request) { r.Version = message.HTTP10 }, http1.WriteOptions{Close: true}, "GET / HTTP/1.0\r\n\r\n"},
		{"left-over length", func(r *message.Request) {
			r.AddString("content-length", "5")
			r.AddString("transfer-encoding", "chunked")
		}, http1.WriteOptions{}, "GET / HTTP/1.1\r\n\r\n"},
		{"length", func(r *message.Request) { r.Framing, r.ContentLength = message.Length, 5 }, http1.WriteOptions{}, "GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\n"},
		{"chunked", func(r *message.Request) { r.Framing = message.Chunked; r.AddString("transfer-encoding", "x") }, http1.WriteOptions{}, "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"upgrade", func(r *message.Request) { r.Upgrade = []byte("websocket") }, http1.WriteOptions{}, "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
	} {
		var r message.Request
		r.Reset()
		r.Version, r.MethodName, r.Target = message.HTTP2, []byte("GET"), []byte("/")
		c.make(&r)
		if got := string(http1.AppendRequest(nil, &r, c.opt)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWantsClose(t *testing.T) {
	var r message.Response
	r.AddString("connection", "a")
	if http1.WantsClose(&r.Header) {
		t.Error("no close")
	}
	r.AddString("connection", "b ,CLOSE")
	if !http1.WantsClose(&r.Header) {
		t.Error("close")
	}
}
