package stream

import (
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
)

// ListenCounters is one reactor's share of a listener's statistics ("option
// socket-stats").
type ListenCounters struct {
	counter.Traffic
	Conns                            counter.Int
	DeniedReq, DeniedResp, ReqErrors counter.Int
	DeniedConn, DeniedSess           counter.Int
	FailedRewrites, Internal         counter.Int
	TLS                              counter.TLS
	_                                [64]byte
}

// ListenStats is what is counted of a listener.
type ListenStats struct {
	Max      atomic.Int64 // the highest number of connections at a time
	Counters counter.Shards[ListenCounters]
}

// follow counts, or stops to count, as the frontend has it. Whoever changes the
// frontend calls it.
func (l *Listener) follow(p *Proxy) {
	switch on := p != nil && p.Has(SocketStats); {
	case !on:
		l.Stats.Store(nil)
	case l.Stats.Load() == nil:
		s := &ListenStats{Counters: counter.New[ListenCounters](len(l.worker.Reactors))}
		s.Max.Store(l.Cur.Load())
		l.Stats.Store(s)
	}
}

// counters gives a reactor's counters of l, nil if nothing is counted.
func (l *Listener) counters(reactor int) *ListenCounters {
	if s := l.Stats.Load(); s != nil {
		return &s.Counters[reactor]
	}
	return nil
}

// Listening gives the counters of the listener that the client came by, nil if
// nothing is counted there.
func (sc *Scope) Listening() *ListenCounters { return sc.Sess.Listener.counters(sc.R.Index) }

// listenerError counts a request that is none.
func (st *Stream) listenerError() {
	if l := st.Listening(); l != nil {
		l.ReqErrors.Add(1)
	}
}

// Status says whether l takes connections: "OPEN", "FULL" at its own limit, or
// "WAITING" at one of its frontend or of the process.
func (l *Listener) Status() string {
	b, fe := l.Bind.Load(), l.Front.Load().FE
	switch {
	case b.MaxConn > 0 && l.Cur.Load() >= int64(b.MaxConn):
		return "FULL"
	case over(&l.worker.Curr, &l.worker.MaxConn) || over(&fe.Cur, &fe.Limit):
		return "WAITING"
	}
	return "OPEN"
}

// ListenersOf gives the listeners of a frontend, in the order of its bind lines.
func (w *Worker) ListenersOf(p *Proxy) []*Listener {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	var list []*Listener
	for _, b := range p.Binds {
		if l := w.Listeners[b.Key()]; l != nil {
			list = append(list, l)
		}
	}
	return list
}
