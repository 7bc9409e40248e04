package stream_test

import (
	"bufio"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// lines collects what is traced.
type lines struct {
	sync.Mutex
	b strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.b.Write(p)
}

func TestTrace(t *testing.T) {
	var out lines
	b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) { b.w.Trace = &out })
	c := b.dial()
	fmt.Fprint(c, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	readResponse(t, bufio.NewReader(c), "GET")
	b.w.OnAll(func(*reactor.Reactor) {}) // the exchange has ended
	got := out.b.String()
	for _, want := range []string{"00000000:web.accept(", ":web.clireq[", ": GET /x HTTP/1.1\n", ":web.clihdr[", ": host: h\n", ":app.srvrep[", ": HTTP/1.1 200 OK\n", ":app.closed["} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
