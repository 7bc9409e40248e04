package stream_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"golang.org/x/net/http2"
)

// pings answers the first n pings of a connection and tells what came of it:
// the error that ended it.
func (h *rawH2) pings(n int) (seen int, err error) {
	for {
		f, err := h.ReadFrame()
		if err != nil {
			return seen, err
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			if seen++; seen <= n {
				h.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			if f.PseudoValue("method") != "" {
				h.headers(f.StreamID, true, ":status", "204")
			}
		}
	}
}

// A client that does not answer a ping is closed with the next one.
func TestIdlePingClient(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{"127.0.0.1:1"}, func(b *bed) {
		b.idlePing = 300 * time.Millisecond
		b.be.Retries = 0
	})
	h := dialH2(t, b.addr)
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	if seen, err := h.pings(1); seen != 2 || err != io.EOF {
		t.Errorf("%d pings, then %v", seen, err)
	}
}

// The same for an idle connection to a server.
func TestIdlePingServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBed(t, stream.HTTP, []string{l.Addr().String()}, func(b *bed) {
		srv := b.be.BE.Servers()[0]
		set := *srv.Settings()
		set.Proto, set.IdlePing = "h2", 300*time.Millisecond
		srv.Replace(time.Now(), &set)
	})
	srv := b.be.BE.Servers()[0]
	done := make(chan error)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			done <- err
			return
		}
		h := newRawH2(t, c)
		h.WriteSettings()
		seen, err := h.pings(1)
		if seen != 2 || err != io.EOF {
			t.Errorf("%d pings, then %v", seen, err)
		}
		done <- nil
	}()
	res, err := http.Get("http://" + b.addr)
	if err != nil || res.StatusCode != 204 {
		t.Fatal(res, err)
	}
	res.Body.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := srv.Idle.Load(); n != 0 {
		t.Errorf("%d connections are idle", n)
	}
}
