package stream

import (
	"testing"
	"time"
	"unsafe"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// line is the cache line that v begins on.
func line[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) / 64 }

// What every request or connection changes is alone on its cache line, or a
// reactor's own: other threads read the rest.
func TestLines(t *testing.T) {
	var rs []*reactor.Reactor
	for i := range 3 {
		r, err := reactor.New(i, reactor.Linux, reactor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		rs = append(rs, r)
	}
	apart := func(what string, hot uintptr, others ...uintptr) {
		t.Helper()
		for _, at := range others {
			if at == hot {
				t.Errorf("%s: what changes shares a line with what is read", what)
			}
		}
	}
	for range 20 {
		b := NewBackState("b", 3, time.Unix(1e9, 0))
		apart("backend", line(&b.Cur), line(&b.Name), line(&b.Counters), line(&b.picker), line(&b.servers), line(&b.Queue))
		apart("backend", line(&b.LastUsed), line(&b.Name), line(&b.Counters))
		f := NewFrontState("f", 3)
		apart("frontend", line(&f.Cur), line(&f.Counters), line(&f.Limit), line(&f.Paused))
		apart("frontend", line(&f.limiter), line(&f.Counters), line(&f.SessRate))
		l := &Listener{}
		apart("listener", line(&l.Cur), line(&l.Bind), line(&l.Front), line(&l.worker), line(&l.sockets))
		w := NewWorker(rs)
		apart("worker", line(&w.Curr), line(&w.Reactors), line(&w.Counters), line(&w.current), line(&w.streams), line(&w.MaxConn), line(&w.Stopping))
		apart("worker", line(&w.CurrTLS), line(&w.MaxConn), line(&w.Stopping), line(&w.current))
		for i := range 2 {
			apart("reactors", line(&w.streams[i].scratch), line(&w.streams[i+1]))
			apart("reactors", line(&w.muxes[i].beOf), line(&w.muxes[i+1]))
			apart("reactors", line(&w.Counters[i].Requests), line(&w.Counters[i+1]))
			apart("reactors", line(&b.Counters[i].TLS), line(&b.Counters[i+1]))
			apart("reactors", line(&f.Counters[i].TLS), line(&f.Counters[i+1]))
		}
	}
}
