package queue

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

type bed struct {
	t   *testing.T
	r   *reactor.Reactor
	srv *server.Server
	q   Queue
}

func newBed(t *testing.T, maxconn int) *bed {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	b := &bed{t: t, r: r}
	b.srv = server.New("b", "s", 1, 1, &server.Settings{Addr: reactor.Addr{Path: "/x"}, Weight: 1, MaxConn: maxconn}, time.Now())
	b.q.Pick = func() *server.Server {
		if b.srv.Cur.Load() >= b.srv.Limit.Load() {
			return nil
		}
		return b.srv
	}
	return b
}

func (b *bed) turnUntil(done func() bool) {
	b.t.Helper()
	for range 10000 {
		if done() {
			return
		}
		b.r.Turn(1e7)
	}
	b.t.Fatal("the loop does not get there")
}

func never() bool { return false }

func TestFirstComeFirstServed(t *testing.T) {
	b := newBed(t, 1)
	if !Acquire(b.srv) || Acquire(b.srv) {
		t.Fatal("maxconn 1 gives one slot")
	}
	var order []int
	for i := range 5 {
		b.r.Go(func() {
			s, ahead, err := b.q.Wait(b.r, Wish{Gone: never})
			if s != b.srv || err != nil || ahead != int64(i) {
				t.Errorf("%d: server %v, %d ahead, %v", i, s, ahead, err)
			}
			order = append(order, i)
			b.q.Release(s)
		})
	}
	if n := b.q.Len.Load(); n != 5 {
		t.Errorf("%d wait, want 5", n)
	}
	b.q.Release(b.srv)
	b.turnUntil(func() bool { return len(order) == 5 })
	for i, k := range order {
		if i != k {
			t.Errorf("order %v", order)
			break
		}
	}
	if b.srv.Cur.Load() != 0 || b.q.Len.Load() != 0 {
		t.Errorf("%d slots held, %d wait", b.srv.Cur.Load(), b.q.Len.Load())
	}
}

func TestLeavingTheQueue(t *testing.T) {
	b := newBed(t, 1)
	Acquire(b.srv)
	var timeout, gone, killed error
	left := false
	var victim, leaver *reactor.Coro
	b.r.Go(func() { _, _, timeout = b.q.Wait(b.r, Wish{Deadline: b.r.Now() + 1e6, Gone: never}) })
	b.r.Go(func() {
		leaver = b.r.Current()
		_, _, gone = b.q.Wait(b.r, Wish{Gone: func() bool { return left }})
	})
	b.r.Go(func() {
		victim = b.r.Current()
		_, _, killed = b.q.Wait(b.r, Wish{Gone: never})
	})
	left = true
	leaver.Wake()
	victim.Kill()
	b.turnUntil(func() bool { return timeout != nil && gone != nil && killed != nil })
	if timeout != reactor.ErrTimeout || gone != ErrGone || killed != reactor.ErrKilled {
		t.Errorf("%v, %v, %v", timeout, gone, killed)
	}
	if b.q.Len.Load() != 0 || b.srv.Cur.Load() != 1 {
		t.Errorf("%d still wait, %d slots held", b.q.Len.Load(), b.srv.Cur.Load())
	}
}

// Who leaves in the moment in which a slot is granted gives it on: after thousands
// of streams that come, wait, time out, are killed and go, at maxconn all along,
// no slot is held and nobody is left behind.
func TestSlotsOverTime(t *testing.T) {
	for _, maxconn := range []int{1, 3} {
		b := newBed(t, maxconn)
		rnd := rand.New(rand.NewPCG(uint64(maxconn), 7))
		var running []*reactor.Coro
		granted, gone, killed, late, ended := 0, 0, 0, 0, 0
		const streams = 5000
		for i := range streams {
			var only *server.Server
			if rnd.IntN(3) == 0 {
				only = b.srv
			}
			left := false
			b.r.Go(func() {
				co := b.r.Current()
				running = append(running, co)
				s, _, err := b.q.Wait(b.r, Wish{
					Only: only, Class: rnd.IntN(3), Offset: rnd.IntN(10), Deadline: b.r.Now() + rnd.Int64N(2e6), Gone: func() bool { return left },
				})
				switch err {
				case nil:
					granted++
					if n := b.srv.Cur.Load(); n > int64(maxconn) {
						t.Errorf("stream %d: %d slots are held of %d", i, n, maxconn)
					}
					for range rnd.IntN(3) {
						b.r.Yield()
					}
					b.q.Release(s)
				case ErrGone:
					gone++
				case reactor.ErrKilled:
					killed++
				case reactor.ErrTimeout:
					late++
				default:
					t.Error(err)
				}
				running = slices.DeleteFunc(running, func(c *reactor.Coro) bool { return c == co })
				ended++
			})
			for n := rnd.IntN(4); n > 0 && len(running) > 0; n-- {
				switch co := running[rnd.IntN(len(running))]; rnd.IntN(3) {
				case 0:
					co.Kill() // maybe granted a slot in this very turn
				default:
					co.Wake()
				}
			}
			if rnd.IntN(4) == 0 {
				left = true
			}
			if rnd.IntN(8) == 0 {
				b.r.Turn(0)
			}
		}
		b.turnUntil(func() bool { return ended == streams })
		b.q.mu.Lock()
		defer b.q.mu.Unlock()
		c, n, q := b.srv.Cur.Load(), b.q.Len.Load(), &b.q
		if c != 0 || n != 0 || b.srv.Queued.Load() != 0 || q.waiting.Load() != 0 || len(q.any.heap) != 0 || len(q.only) != 0 || len(q.order) != 0 {
			t.Errorf("at the end: %d slots held, %d wait, %d for the server", c, n, b.srv.Queued.Load())
		}
		if granted == 0 || gone == 0 || killed == 0 || late == 0 {
			t.Errorf("%d granted, %d gone, %d killed, %d late: not all was tried", granted, gone, killed, late)
		}
	}
}

// Those who gave up are not ahead of those who did not.
func TestPlaceInTheQueue(t *testing.T) {
	for _, bound := range []bool{false, true} {
		b := newBed(t, 1)
		var only *server.Server
		if bound {
			only = b.srv
		}
		Acquire(b.srv)
		var places []int64
		left := false
		var leaver *reactor.Coro
		wait := func(gone func() bool) {
			s, ahead, err := b.q.Wait(b.r, Wish{Only: only, Gone: gone})
			places = append(places, ahead)
			if err == nil {
				b.q.Release(s)
			}
		}
		b.r.Go(func() { wait(never) })
		b.r.Go(func() {
			leaver = b.r.Current()
			wait(func() bool { return left })
		})
		b.r.Go(func() { wait(never) })
		b.r.Go(func() { wait(never) })
		left = true
		leaver.Wake()
		b.q.Release(b.srv)
		b.turnUntil(func() bool { return len(places) == 4 })
		if want := []int64{0, 0, 1, 2}; !slices.Equal(places, want) {
			t.Errorf("places %v, want %v", places, want)
		}
		if n := b.srv.Queued.Load(); n != 0 {
			t.Errorf("%d wait for the server", n)
		}
	}
}

// A panic leaves no place behind, and no slot.
func TestPanicInTheQueue(t *testing.T) {
	b := newBed(t, 1)
	b.r.OnPanic = func(any, []byte) {}
	Acquire(b.srv)
	fatal := false
	var co *reactor.Coro
	b.r.Go(func() {
		co = b.r.Current()
		b.q.Wait(b.r, Wish{Gone: func() bool {
			if fatal {
				panic("test")
			}
			return false
		}})
	})
	fatal = true
	co.Wake()
	b.turnUntil(func() bool { return b.r.Panics.Load() == 1 })
	if b.q.Len.Load() != 0 || b.srv.Cur.Load() != 1 {
		t.Errorf("%d still wait, %d slots held", b.q.Len.Load(), b.srv.Cur.Load())
	}
}
