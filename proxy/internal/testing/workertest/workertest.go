// Package workertest makes workers for the tests of other packages: reactors on
// the real system, which a test turns for as long as it lasts. It knows nothing of
// configurations.
package workertest

import (
	"sync"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// New makes a worker whose reactors do not turn yet, see [Run].
// A test fails when one of them waits while bytes are kept back in the kernel.
func New(t testing.TB, threads int) *stream.Worker {
	t.Helper()
	w, _ := NewCounted(t, threads)
	return w
}

// NewCounted is New that counts what is sent.
func NewCounted(t testing.TB, threads int) (*stream.Worker, *Sends) {
	t.Helper()
	sys := &prompt{Sys: reactor.Linux, t: t, Sends: new(Sends)}
	var rs []*reactor.Reactor
	for i := range threads {
		r, err := reactor.New(i, sys, reactor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.OnPanic = func(p any, stack []byte) { t.Errorf("panic on reactor %d: %v\n%s", i, p, stack) }
		rs = append(rs, r)
	}
	return stream.NewWorker(rs), sys.Sends
}

// Run turns the reactors until the test and its cleanups, as far as they were
// registered after this call, have ended.
func Run(t testing.TB, w *stream.Worker) {
	var wg sync.WaitGroup
	for _, r := range w.Reactors {
		wg.Go(r.Run)
	}
	t.Cleanup(func() {
		for _, r := range w.Reactors {
			r.Stop()
		}
		wg.Wait()
		for _, r := range w.Reactors {
			r.Close()
		}
		for _, l := range w.Listeners {
			l.Discard()
		}
	})
}
