package stream_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// settings changes the settings of the servers.
func settings(f func(*server.Settings)) bedOption {
	return func(b *bed) {
		for _, srv := range b.be.BE.Servers() {
			x := *srv.Settings()
			f(&x)
			srv.Replace(time.Now(), &x)
		}
	}
}

// A client that is told to leave is not told so of requests that are answered,
// also those that were on their way; at last it is told which one was the last.
func TestLastStream(t *testing.T) {
	begun, end := make(chan struct{}, 2), make(chan struct{})
	b := newBed(t, stream.HTTP, []string{origin(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-end
	})})
	h := dialH2(t, b.addr)
	get := func(id uint32) {
		h.headers(id, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
		<-begun
	}
	get(1)
	b.w.SoftStop()
	away, ok := h.next().(*http2.GoAwayFrame)
	if !ok || away.LastStreamID < 3 || away.ErrCode != http2.ErrCodeNo {
		t.Fatalf("%v", away)
	}
	get(3) // on its way, as far as the proxy knows
	close(end)
	answered, last := 0, away.LastStreamID
	for {
		f, err := h.ReadFrame()
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if field(f, ":status") == "200" {
				answered++
			}
		case *http2.GoAwayFrame:
			last = f.LastStreamID
		}
	}
	if answered != 2 || last != 3 {
		t.Errorf("%d answers, the last stream is %d", answered, last)
	}
}

// A connection that speaks HTTP/1 because a WebSocket was asked for is not used
// for requests that go over HTTP/2.
func TestWebSocketRefusedOverHTTP1(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	b := newBed(t, stream.HTTP, []string{s.Listener.Addr().String()}, webSockets,
		settings(func(x *server.Settings) { x.Proto, x.WS = "h2", "h1" }), func(b *bed) { b.be.Reuse = stream.ReuseAlways })
	c := b.dial()
	r := bufio.NewReader(c)
	for _, x := range []struct{ fields, want string }{
		{"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "HTTP/1.1"},
		{"", "HTTP/2.0"},
	} {
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", x.fields)
		if _, body := readResponse(t, r, "GET"); body != x.want {
			t.Errorf("%q, want %q", body, x.want)
		}
	}
}

// A WebSocket for which the server's connection is no good, as it is about to be
// closed, takes another one.
func TestWebSocketGoesElsewhere(t *testing.T) {
	var conns atomic.Int32
	addr := tcptest.Serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		h := newRawH2(t, c)
		var first bytes.Buffer // in one piece
		fr := http2.NewFramer(&first, nil)
		fr.WriteSettings(http2.Setting{ID: 8, Val: 1})
		if conns.Add(1) == 1 {
			fr.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
		}
		c.Write(first.Bytes())
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			if _, ok := f.(*http2.MetaHeadersFrame); ok {
				h.headers(f.Header().StreamID, true, ":status", "200")
			}
		}
	})
	b := newBed(t, stream.HTTP, []string{addr}, toH2, webSockets)
	h := dialH2(t, b.addr)
	h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "h", "sec-websocket-version", "13")
	if f := h.next(); field(f, ":status") != "200" {
		t.Errorf("%v", f)
	}
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A server's connection on which a WebSocket waits for settings is not idle when
// its other streams have ended.
func TestWaitingWebSocket(t *testing.T) {
	asked := make(chan struct{})
	addr := tcptest.Serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		h := newRawH2(t, c)
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			switch f.(type) {
			case *http2.RSTStreamFrame: // the other one has ended
				h.WriteSettings(http2.Setting{ID: 8, Val: 1})
			case *http2.MetaHeadersFrame:
				if field(f, ":method") == "CONNECT" {
					h.headers(f.Header().StreamID, false, ":status", "200")
				} else {
					close(asked)
				}
			}
		}
	})
	b := newBed(t, stream.HTTP, []string{addr}, toH2, webSockets, func(b *bed) { b.be.Reuse = stream.ReuseAlways })
	srv := b.be.BE.Servers()[0]
	h := dialH2(t, b.addr)
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	<-asked
	h.headers(3, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "h", "sec-websocket-version", "13")
	h.WriteRSTStream(1, http2.ErrCodeCancel)
	if f := h.next(); field(f, ":status") != "200" {
		t.Errorf("%v", f)
	}
	if used, idle := srv.Used.Load(), srv.Idle.Load(); used != 1 || idle != 0 {
		t.Errorf("%d connections are in use, %d idle", used, idle)
	}
}

// A panic in the middle of a client's frames ends that connection, with what is
// under way on it, and nothing else.
func TestPanicEndsOneConnection(t *testing.T) {
	asked, panicked := make(chan struct{}, 1), make(chan any, 1)
	var b *bed
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	})
	b = newBed(t, stream.HTTP, []string{addr}, func(b *bed) {
		b.fe.LogFail = func(*stream.Session, error) { panic("oops") }
	})
	r := b.w.Reactors[0]
	r.Post(func() { r.OnPanic = func(p any, _ []byte) { panicked <- p } })
	bad, good := dialH2(t, b.addr), dialH2(t, b.addr)
	bad.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/slow", ":authority", "h")
	<-asked
	bad.WriteRawFrame(http2.FrameData, 0, 0, []byte("on no stream"))
	if p := <-panicked; p != "oops" {
		t.Error(p)
	}
	for {
		if _, err := bad.ReadFrame(); err != nil {
			break
		}
	}
	good.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	if f := good.next(); field(f, ":status") != "200" {
		t.Errorf("%v", f)
	}
	good.conn.Close()
	for b.fe.FE.Cur.Load() > 0 || b.w.Counters[0].Streams.Load() > 0 {
		runtime.Gosched()
	}
}
