package stream_test

import (
	"bufio"
	"io"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// A connection that a client keeps for itself stays its own when a new
// configuration lets connections be shared: it must not be found in two places.
func TestKeptWhenReuseChanges(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) { b.be.Reuse = stream.ReuseNever })
	c := b.dial()
	br := bufio.NewReader(c)
	ask := func() {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		readResponse(t, br, "GET")
	}
	ask()
	be := *b.be
	be.Reuse = stream.ReuseAlways
	on := func(f func()) {
		done := make(chan bool)
		b.w.Reactors[0].Post(func() { f(); close(done) })
		<-done
	}
	on(func() { b.w.Snapshot().Backends["app"] = &be })
	ask()
	ask()
	srv := be.BE.Servers()[0]
	var pooled int
	on(func() { pooled = srv.Pools[0].Len() })
	if idle := srv.Idle.Load(); int64(pooled) > idle || pooled != 0 {
		t.Errorf("%d connections are in the pool, %d are idle", pooled, idle)
	}
	if n := srv.Counters[0].Connects.Load(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}
