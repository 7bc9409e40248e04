package stream_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Requests that may not take another session's connection make one each: those
// must not be kept for nobody.
func TestIdleConnectionsDoNotPileUp(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{origin(t, hello)})
	for range 50 {
		b.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	if n := b.be.BE.Servers()[0].Idle.Load(); n > 2 {
		t.Errorf("%d idle connections after requests one at a time", n)
	}
}
