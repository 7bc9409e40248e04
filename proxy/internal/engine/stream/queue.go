package stream

import (
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/queue"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// queue is the phase of that name: a server is chosen, and a slot of it taken, or a
// place in the queue. Another attempt at the same server keeps its slot.
func (st *Stream) queue() step {
	if st.Srv != nil {
		return next
	}
	failed := st.failed
	before := failed
	if before == nil {
		before = st.Persist.Server
	}
	if !st.assign(failed) {
		return stop
	}
	if st.Srv != failed {
		st.serverCounters().Chosen.Add(1)
		st.BE.BE.Counters[st.R.Index].Chosen.Add(1)
	}
	st.failed = nil
	if failed != nil || before != nil && st.Srv != before {
		st.tryAgain(before)
	}
	return next
}

// assign chooses a server and takes a slot of it, or a place in the queue.
func (st *Stream) assign(avoid *server.Server) bool {
	b := st.BE.BE
	var only *server.Server // that will do, nil: any
	direct := false         // it knows the client
	if avoid == nil {
		if only = st.belongs(); only != nil {
			direct = true
			if st.grab(only) {
				return true
			}
		}
	}
	for tries := 0; ; tries++ {
		if only == nil && tries < 3 {
			if b.Picker().Len() == 0 {
				st.noServer()
				return false
			}
			if only = st.choose(avoid); st.slot {
				return true
			}
		}
		switch s, err := st.enqueue(only); {
		case err == nil:
			st.assigned(s)
			return true
		case err == queue.ErrAnew, err == queue.ErrFull && st.anyOther(direct):
			only, direct = nil, false
			st.Persist.Server = nil
		default:
			st.notServed(only, err)
			return false
		}
	}
}

// noServer ends an exchange whose backend has no server to choose.
func (st *Stream) noServer() {
	st.fail(503, 'S', 'C')
	if st.Time.Queued == 0 {
		st.BE.BE.Counters[st.R.Index].ConnErrors.Add(1)
	}
}

// anyOther tells whether another server will do when the queue of the one that was
// chosen is full. direct: it was chosen since it knows the client.
func (st *Stream) anyOther(direct bool) bool {
	if direct {
		return st.mayLeave()
	}
	return !st.BE.Balance.Deterministic()
}

// grab takes a slot of s, if that does not pass those by who wait for it.
func (st *Stream) grab(s *server.Server) bool {
	if s.Queued.Load() > 0 || !queue.Acquire(s) {
		return false
	}
	st.assigned(s)
	return true
}

// choose takes a slot of the server that the algorithm gives, or else tells which
// one to wait for, nil: any.
func (st *Stream) choose(avoid *server.Server) *server.Server {
	q := st.query(avoid)
	var last *server.Server
	for range 3 {
		s := st.BE.BE.Picker().Pick(q)
		if s == nil || st.grab(s) {
			return nil
		}
		if s == last {
			break // it is not that somebody was faster
		}
		last = s
		q.Random = st.R.Rand.Uint64()
	}
	return last
}

// enqueue waits for a slot of a server, nil: of any.
func (st *Stream) enqueue(only *server.Server) (*server.Server, error) {
	t := st.BE.Timeouts.Queue
	if t == 0 {
		t = st.BE.Timeouts.Connect
	}
	st.client.watch(st.co)
	if st.queueEnd == 0 {
		st.queueEnd = st.R.After(t)
	}
	s, ahead, err := st.BE.BE.Queue.Wait(st.R, queue.Wish{
		Only: only, Class: st.PriorityClass, Offset: st.PriorityOffset, Deadline: st.queueEnd, Gone: st.abandoned, Stays: st.stays(only),
	})
	st.client.watch(nil)
	if err == queue.ErrFull {
		return nil, err
	}
	if only != nil {
		st.SrvQueue += ahead + 1
	} else {
		st.BackQueue += ahead + 1
	}
	return s, err
}

// notServed ends an exchange that no server was found for.
func (st *Stream) notServed(only *server.Server, err error) {
	st.Time.GaveUp = st.R.Now()
	st.Srv = only // as the log says
	cause := byte('s')
	switch err {
	case queue.ErrGone:
		st.clientLeft('Q') // there is nobody to answer
		return
	case queue.ErrFull:
		cause = 'S'
	case reactor.ErrTimeout:
	default:
		return
	}
	st.fail(503, cause, 'Q')
	st.BE.BE.Counters[st.R.Index].ConnErrors.Add(1)
	if only != nil {
		st.serverCounters().ConnErrors.Add(1)
	}
}

func (st *Stream) assigned(s *server.Server) {
	st.Srv = s
	st.slot = true
	st.queueEnd = 0
	st.Time.Queued = st.R.Now()
	lastUsed(&s.LastUsed, st.R.Now())
	lastUsed(&st.BE.BE.LastUsed, st.R.Now())
}

// lastUsed notes a time that is shown in seconds. All threads write it, and that is
// dearer than to look whether there is a need.
func lastUsed(at *atomic.Int64, now int64) {
	if last := at.Load(); last == 0 || now-last >= 1e8 {
		at.Store(now)
	}
}

// releaseServer gives the server's slot back.
func (st *Stream) releaseServer() {
	if st.slot {
		st.slot = false
		st.BE.BE.Queue.Release(st.Srv)
	}
}

// serverCounters are those of the server, or what nobody reads while there is none.
func (st *Stream) serverCounters() *server.Counters {
	if st.Srv == nil {
		return &st.W.nobody[st.R.Index]
	}
	return &st.Srv.Counters[st.R.Index]
}

func init() {
	RegisterColumn(
		newColumn("qcur", "Requests waiting in the queue", of(nil,
			func(o *Object) column.Value { return column.Gauge(o.Proxy.BE.Queue.Len.Load()) },
			func(o *Object) column.Value { return column.Gauge(o.Server.Queued.Load()) }, nil)),
		newColumn("qmax", "Highest number of requests in the queue", of(nil,
			func(o *Object) column.Value { return column.Peak(o.Proxy.BE.Queue.Max.Load()) },
			func(o *Object) column.Value { return column.Peak(o.Server.MaxQueued.Load()) }, nil)),
		newColumn("qlimit", "Limit of the server's queue", of(nil, nil, func(o *Object) column.Value {
			if o.Settings.MaxQueue <= 0 {
				return column.Value{}
			}
			return column.U32("CLSV", int64(o.Settings.MaxQueue))
		}, nil)),
	)
}
