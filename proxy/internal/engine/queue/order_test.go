package queue

import (
	"slices"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Turns go by class, then by the time of arrival with its offset, then by who came
// first, over the server's queue and the backend's.
func TestOrder(t *testing.T) {
	b := newBed(t, 1)
	Acquire(b.srv)
	var order []string
	wait := func(name string, w Wish) {
		w.Gone = never
		b.r.Go(func() {
			s, _, err := b.q.Wait(b.r, w)
			if err != nil {
				t.Error(name, err)
				return
			}
			order = append(order, name)
			b.q.Release(s)
		})
	}
	wait("late", Wish{Offset: 5000})
	wait("first", Wish{})
	wait("bound", Wish{Only: b.srv})
	wait("second", Wish{})
	wait("early", Wish{Offset: -5000, Only: b.srv})
	wait("low", Wish{Class: 1, Offset: -100000})
	wait("high", Wish{Class: -3, Offset: 100000})
	b.q.Release(b.srv)
	b.turnUntil(func() bool { return len(order) == 7 })
	if want := []string{"high", "early", "first", "bound", "second", "late", "low"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// As many wait for a server as maxqueue says, and not one more.
func TestMaxQueue(t *testing.T) {
	b := newBed(t, 1)
	set := *b.srv.Settings()
	set.MaxQueue = 2
	b.srv.Replace(time.Now(), &set)
	Acquire(b.srv)
	ended := 0
	for range 2 {
		b.r.Go(func() {
			if s, _, err := b.q.Wait(b.r, Wish{Only: b.srv, Gone: never}); err != nil {
				t.Error(err)
			} else {
				b.q.Release(s)
			}
			ended++
		})
	}
	b.r.Go(func() {
		if _, _, err := b.q.Wait(b.r, Wish{Only: b.srv, Gone: never}); err != ErrFull {
			t.Error(err)
		}
		ended++
	})
	if ended != 1 || b.srv.Queued.Load() != 2 || b.srv.MaxQueued.Load() != 2 {
		t.Errorf("%d ended, %d wait", ended, b.srv.Queued.Load())
	}
	b.q.Release(b.srv)
	b.turnUntil(func() bool { return ended == 3 })
}

// Who waits for a server that does not serve any more is to choose anew; and whom any
// server will do for is not given a backup's slot that is not in use.
func TestServersThatDoNotServe(t *testing.T) {
	b := newBed(t, 1)
	Acquire(b.srv)
	var first, second error
	ended := 0
	b.r.Go(func() { _, _, first = b.q.Wait(b.r, Wish{Only: b.srv, Gone: never}); ended++ })
	b.srv.SetAdmin(time.Now(), server.ForcedMaint, 0, "")
	b.q.Kick()
	b.turnUntil(func() bool { return ended == 1 })
	if first != ErrAnew || b.srv.Queued.Load() != 0 {
		t.Errorf("%v, %d wait", first, b.srv.Queued.Load())
	}
	b.srv.SetAdmin(time.Now(), 0, server.ForcedMaint, "")
	b.q.Takes = func(*server.Server) bool { return false }
	b.q.Pick = nil
	b.r.Go(func() { _, _, second = b.q.Wait(b.r, Wish{Deadline: b.r.Now() + 1e6, Gone: never}); ended++ })
	b.q.Release(b.srv)
	b.turnUntil(func() bool { return ended == 2 })
	if second != reactor.ErrTimeout {
		t.Error(second)
	}
}
