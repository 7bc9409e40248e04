package stream_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// A panic of what a coroutine waits for ends the coroutine, not the process.
func TestAwaitPanics(t *testing.T) {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	r.OnPanic = func(p any, _ []byte) { said <- p.(error).Error() }
	ended := make(chan bool)
	go func() { r.Run(); close(ended) }()
	defer func() {
		r.Stop()
		<-ended
		r.Close()
	}()
	closed := make(chan bool, 1)
	r.Post(func() {
		r.Go(func() {
			defer func() { closed <- true }()
			stream.Await(r, func() { panic("oops") })
			t.Error("it went on")
		})
	})
	if got := <-said; !strings.HasPrefix(got, "oops\n") || !strings.Contains(got, "TestAwaitPanics") {
		t.Errorf("%q does not tell what and where", got)
	}
	<-closed
	r.Post(func() {
		r.Go(func() { stream.Await(r, func() {}); closed <- true })
	})
	<-closed
}
