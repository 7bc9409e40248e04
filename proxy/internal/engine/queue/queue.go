// Package queue holds the streams that wait for a slot: those that any server of
// the backend will do for in the backend's queue, those that wait for one server in
// that server's own.
//
// A stream that finds a slot never touches the queue's lock: [Acquire] is an
// atomic increment. Who gives a slot back while somebody waits hands it to the
// one whose turn it is, of the server's queue or the backend's, on whatever reactor
// that one runs. Turns go by class, and within a class by the time of arrival, which
// an offset may change.
package queue

import (
	"container/heap"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Acquire takes a slot of s, if it has one.
func Acquire(s *server.Server) bool {
	for {
		cur, limit := s.Cur.Load(), s.Slots()
		if limit > 0 && cur >= limit {
			return false
		}
		if s.Cur.CompareAndSwap(cur, cur+1) {
			counter.Max(&s.MaxCur, cur+1)
			return true
		}
	}
}

// Queue is a backend's queue, with those of its servers. The zero value is empty.
type Queue struct {
	// Pick chooses a server that has a slot for whom any server will do, nil if there is
	// none.
	Pick func() *server.Server
	// Takes tells whether s serves whom any server will do for; nil: while it is
	// usable.
	Takes func(s *server.Server) bool

	// Len is how many wait for any server, Max its highest value.
	Len, Max atomic.Int64
	// waiting is how many wait in all.
	waiting atomic.Int64

	mu   sync.Mutex
	seq  uint64
	any  line
	only map[*server.Server]*line // of the servers that are waited for
	// order are the keys of only, as they came: what depends on no map repeats itself.
	order []*server.Server
}

// line is a queue, with who is next on top.
type line struct {
	heap    []*entry
	granted int64 // slots that were given to those in it
}

type entry struct {
	r      *reactor.Reactor
	wait   reactor.Waiter
	class  int
	due    int64          // when it came, and its offset
	seq    uint64         // in which order they came
	only   *server.Server // waited for, nil: any
	stays  Stay
	srv    *server.Server // granted, written under the lock
	anew   bool           // the server that it waits for is gone, written under the lock
	line   *line
	at     int   // in the line's heap, -1: not there any more
	before int64 // of granted, when it came; once it has left, how many were granted meanwhile
}

func (e *entry) sooner(o *entry) bool {
	if e.class != o.class {
		return e.class < o.class
	}
	if e.due != o.due {
		return e.due < o.due
	}
	return e.seq < o.seq
}

func (l *line) Len() int           { return len(l.heap) }
func (l *line) Less(i, j int) bool { return l.heap[i].sooner(l.heap[j]) }
func (l *line) Swap(i, j int) {
	l.heap[i], l.heap[j] = l.heap[j], l.heap[i]
	l.heap[i].at, l.heap[j].at = i, j
}
func (l *line) Push(x any) {
	e := x.(*entry)
	e.at = len(l.heap)
	l.heap = append(l.heap, e)
}
func (l *line) Pop() any {
	e := l.heap[len(l.heap)-1]
	l.heap[len(l.heap)-1] = nil
	l.heap = l.heap[:len(l.heap)-1]
	e.at = -1
	return e
}

// first is who is next, nil if nobody waits.
func (l *line) first() *entry {
	if l == nil || len(l.heap) == 0 {
		return nil
	}
	return l.heap[0]
}

// What [Queue.Wait] ends with, if not with a slot.
var (
	// ErrGone: who waited has no use for a slot any more.
	ErrGone = errors.New("gone")
	// ErrFull: as many wait for the server as may.
	ErrFull = errors.New("full")
	// ErrAnew: the server does not serve any more. Another is to be chosen.
	ErrAnew = errors.New("anew")
)

// Wish is what a stream waits for.
type Wish struct {
	// Only is the one server that will do, nil: any.
	Only *server.Server
	// Class and Offset (milliseconds) say how soon it is its turn: lower is sooner.
	Class, Offset int
	// Deadline is when it gives up, 0: never.
	Deadline int64
	// Gone is asked after each wake-up whether it has given up.
	Gone func() bool
	// Stays says whether it goes on waiting for Only while that takes nobody new.
	Stays Stay
}

// Stay says for how long a stream waits for a server that takes nobody new.
type Stay uint8

// Which server is worth it.
const (
	Never    Stay = iota // it chooses anew
	Draining             // one that is up
	Down                 // one that is not in maintenance
	Always               // any that is there
)

// waits tells whether who stays so long waits for s.
func (y Stay) waits(s *server.Server) bool {
	switch {
	case s.Deleted():
		return false
	case y == Draining:
		return !s.Down()
	case y == Down:
		return s.State().Admin&server.Maint == 0
	}
	return y == Always
}

// Wait parks the current coroutine until it is given a slot or the deadline
// passes. ahead is the number of streams in the same queue that were given a slot
// while it waited.
func (q *Queue) Wait(r *reactor.Reactor, w Wish) (s *server.Server, ahead int64, err error) {
	e := &entry{r: r, only: w.Only, stays: w.Stays, class: w.Class, due: r.Now() + int64(w.Offset)*1e6}
	if !q.enter(e) {
		return nil, 0, ErrFull
	}
	left := false
	defer func() {
		if !left { // a panic of Gone: neither its place nor a slot must be left behind
			q.leave(e)
		}
	}()
	q.Kick() // a slot may have been given back meanwhile
	for {
		q.mu.Lock()
		s = e.srv
		if s == nil && e.anew {
			err = ErrAnew
		}
		q.mu.Unlock()
		if s == nil && err == nil {
			if w.Gone() {
				err = ErrGone
			} else {
				err = e.wait.Wait(r, w.Deadline)
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

// Waiting is how many wait, for any server or for one of them.
func (q *Queue) Waiting() int64 { return int64(q.waiting.Load()) }

// enter puts e into its queue, if that is not full.
func (q *Queue) enter(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.any
	if s := e.only; s != nil {
		if most := int64(s.Settings().MaxQueue); most > 0 && s.Queued.Load() >= most {
			return false
		}
		if l = q.only[s]; l == nil {
			if q.only == nil {
				q.only = make(map[*server.Server]*line)
			}
			l = &line{}
			q.only[s] = l
			q.order = append(q.order, s)
		}
		counter.Max(&s.MaxQueued, s.Queued.Add(1))
	} else {
		counter.Max(&q.Max, q.Len.Add(1))
	}
	q.seq++
	e.line, e.seq, e.before = l, q.seq, l.granted
	heap.Push(l, e)
	q.waiting.Add(1)
	return true
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

// remove takes e out of its queue, if it is in it.
func (q *Queue) remove(e *entry) {
	if e.at < 0 {
		return
	}
	heap.Remove(e.line, e.at)
	e.before = e.line.granted - e.before
	q.waiting.Add(-1)
	s := e.only
	if s == nil {
		q.Len.Add(-1)
		return
	}
	s.Queued.Add(-1)
	if len(e.line.heap) == 0 {
		delete(q.only, s)
		q.order = slices.DeleteFunc(q.order, func(o *server.Server) bool { return o == s })
	}
}

// grant gives e a slot of s, which was taken for it.
func (q *Queue) grant(e *entry, s *server.Server) {
	q.remove(e)
	e.srv = s
	e.line.granted++
	e.r.Post(e.wait.Notify)
}

// Release gives a slot of s back.
func (q *Queue) Release(s *server.Server) {
	s.Cur.Add(-1)
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.serve(s)
}

// serve gives free slots of s to those who wait for it and to those who wait for
// any, in their order.
func (q *Queue) serve(s *server.Server) {
	usable := s.Usable()
	takes := usable && (q.Takes == nil || q.Takes(s))
	if l := q.only[s]; l != nil && !usable {
		for _, e := range slices.Clone(l.heap) {
			if !e.stays.waits(s) {
				q.remove(e)
				e.anew = true
				e.r.Post(e.wait.Notify)
			}
		}
	}
	for {
		e := q.only[s].first()
		if o := q.any.first(); takes && o != nil && (e == nil || o.sooner(e)) {
			e = o
		}
		if e == nil || !Acquire(s) {
			return
		}
		q.grant(e, s)
	}
}

// Kick hands all free slots to those who wait. It may be called from any thread.
func (q *Queue) Kick() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range slices.Clone(q.order) {
		q.serve(s)
	}
	for q.Pick != nil {
		e := q.any.first()
		if e == nil {
			return
		}
		s := q.Pick()
		if s == nil {
			return
		}
		if Acquire(s) {
			q.grant(e, s)
		}
	}
}
