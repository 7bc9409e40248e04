package queue

import (
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/server"
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
			s, ahead, err := b.q.Wait(b.r, 0, nil, never)
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
	b.r.Go(func() { _, _, timeout = b.q.Wait(b.r, b.r.Now()+1e6, nil, never) })
	b.r.Go(func() {
		leaver = b.r.Current()
		_, _, gone = b.q.Wait(b.r, 0, nil, func() bool { return left })
	})
	b.r.Go(func() {
		victim = b.r.Current()
		_, _, killed = b.q.Wait(b.r, 0, nil, never)
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
