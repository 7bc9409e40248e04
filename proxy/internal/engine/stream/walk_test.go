package stream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// handClock is a system whose clock goes on by hand.
type handClock struct {
	reactor.Sys
	now int64
}

func (c *handClock) Now() int64 { return c.now }

// A walk looks at everything once, in order, and holds its reactor up for a moment at
// a time only.
func TestWalk(t *testing.T) {
	clock := &handClock{Sys: reactor.Linux, now: 1e9}
	r, err := reactor.New(0, clock, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var list []*Proxy
	var want, got []string
	for i := range 20 {
		p := &Proxy{Name: fmt.Sprint("p", i)}
		want = append(want, p.Name)
		if i%2 == 0 {
			p.BE = NewBackState(p.Name, 1, time.Now())
			var servers []*server.Server
			for j := range 100 * (i % 3) {
				servers = append(servers, server.New(p.Name, fmt.Sprint("s", j), j+1, 1, &ServerSettings{}, time.Now()))
				want = append(want, p.Name+servers[j].Name)
			}
			p.BE.servers.Store(&servers)
		}
		list = append(list, p)
	}
	see := func(name string) {
		got = append(got, name)
		clock.now += 10e3
	}
	k := NewWalk(r, func(p *Proxy) { see(p.Name) }, func(s *server.Server) { see(s.Backend + s.Name) })
	for range 3 {
		got = nil
		start := clock.now
		k.Begin(list)
		parts := 1
		for longest := int64(walkFor + walkLook*10e3); ; parts++ {
			if d := clock.now - start; d > longest {
				t.Fatalf("held up for %d ns", d)
			}
			if len(got) == len(want) {
				break
			}
			clock.now += walkEvery
			r.Turn(0)
			start = clock.now
			r.Turn(0)
		}
		if !slices.Equal(got, want) || parts < 5 {
			t.Errorf("%d parts, of %d names the same: %v", parts, len(want), slices.Equal(got, want))
		}
	}
	// One that is begun again while it is under way goes on.
	got = nil
	k.Begin(list)
	for len(got) < len(want) {
		k.Begin(list)
	}
	if !slices.Equal(got, want) {
		t.Error("it began anew")
	}
}
