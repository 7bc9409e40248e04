// Package queue holds the streams that wait because every server they may use
// is at its maxconn.
//
// A stream that finds a slot never touches the queue's lock: [Acquire] is an
// atomic increment. Who gives a slot back while somebody waits hands it to the
// one that came first, on whatever reactor that one runs.
package queue

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Acquire takes a slot of s, if it is usable and has one.
func Acquire(s *server.Server) bool {
	for {
		cur, limit := s.Cur.Load(), s.Limit.Load()
		if limit > 0 && cur >= limit {
			return false
		}
		if s.Cur.CompareAndSwap(cur, cur+1) {
			counter.Max(&s.MaxCur, cur+1)
			return true
		}
	}
}

// Queue is a backend's queue. The zero value is empty.
type Queue struct {
	// Pick chooses a server with a free slot for who waits longest, nil if there
	// is none.
	Pick func() *server.Server

	// Len is how many wait, Max its highest value.
	Len, Max atomic.Int64

	mu      sync.Mutex
	bound   int   // how many of them wait for one server
	granted int64 // slots that were given to the others
	first   *entry
	last    *entry
}

type entry struct {
	r          *reactor.Reactor
	wait       reactor.Waiter
	prev, next *entry
	only       *server.Server // waited for, nil: any
	srv        *server.Server // granted, written under the lock
	before     int64          // of count, when it came; once it has left, how many were granted meanwhile
	queued     bool
}

// ErrGone is returned by [Queue.Wait] when who waited has no use for a slot any
// more.
var ErrGone = errors.New("gone")

// Wait parks the current coroutine until it is given a slot or the deadline
// passes (0: none). only, if not nil, is the one server that will do for as long
// as it is usable. gone is asked after each wake-up whether to give up. ahead is
// the number of streams with the same wish that were given a slot while it waited:
// all that were before it, if it is given one itself.
func (q *Queue) Wait(r *reactor.Reactor, deadline int64, only *server.Server, gone func() bool) (s *server.Server, ahead int64, err error) {
	e := &entry{r: r, only: only}
	q.mu.Lock()
	if only != nil {
		q.bound++
		counter.Max(&only.MaxQueued, only.Queued.Add(1))
	}
	e.prev, e.queued = q.last, true
	if q.last != nil {
		q.last.next = e
	} else {
		q.first = e
	}
	q.last = e
	e.before = *q.count(e)
	n := q.Len.Add(1)
	q.mu.Unlock()
	counter.Max(&q.Max, n)
	left := false
	defer func() {
		if !left { // a panic of gone: neither its place nor a slot must be left behind
			q.leave(e)
		}
	}()
	q.Kick() // a slot may have been given back meanwhile
	for {
		q.mu.Lock()
		s = e.srv
		q.mu.Unlock()
		if s == nil && err == nil {
			if gone() {
				err = ErrGone
			} else {
				err = e.wait.Wait(r, deadline)
			}
			continue
		}
		left = true
		if s == nil || err == reactor.ErrKilled || err == ErrGone {
			q.leave(e)
			return nil, e.before, err
		}
		return s, e.before, nil
	}
}

// leave takes e out of the queue, or gives back the slot that it was granted.
func (q *Queue) leave(e *entry) {
	q.mu.Lock()
	s := e.srv
	q.remove(e)
	q.mu.Unlock()
	if s != nil {
		q.Release(s)
	}
}

// count is how many were given a slot that had the same wish as e.
func (q *Queue) count(e *entry) *int64 {
	if e.only != nil {
		return &e.only.Granted
	}
	return &q.granted
}

func (q *Queue) remove(e *entry) {
	if !e.queued {
		return
	}
	e.queued = false
	e.before = *q.count(e) - e.before
	if e.only != nil {
		q.bound--
		e.only.Queued.Add(-1)
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	q.Len.Add(-1)
}

// Release gives a slot of s back.
func (q *Queue) Release(s *server.Server) {
	s.Cur.Add(-1)
	if q.Len.Load() > 0 {
		q.Kick()
	}
}

// Kick hands free slots to those who wait. It may be called from any thread.
func (q *Queue) Kick() {
	if q.Len.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.Pick == nil
	for e := q.first; e != nil && !(full && q.bound == 0); {
		s := e.only
		if s == nil || !s.Usable() {
			s = nil
			if !full {
				s = q.Pick()
				full = s == nil
			}
			if s != nil && !Acquire(s) {
				continue // somebody was faster: pick again
			}
		} else if !Acquire(s) {
			s = nil
		}
		next := e.next
		if s != nil {
			q.remove(e)
			e.srv = s
			*q.count(e)++
			e.r.Post(e.wait.Notify)
		}
		e = next
	}
}
