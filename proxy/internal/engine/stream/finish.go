package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// finish is the phase "end": it counts the exchange and writes its log line.
func (st *Stream) finish() {
	st.Time.End = st.R.Now()
	st.traceEnd()
	if len(st.links) > 0 {
		st.detach()
	}
	if st.ended && st.FE.Mode == HTTP {
		st.Status = 500
	}
	i := st.R.Index
	fe, be := st.FE, st.BE
	fc := &fe.FE.Counters[i]
	st.Traffic.count(&fc.Traffic)
	if l := st.Listening(); l != nil {
		st.Traffic.count(&l.Traffic)
	}
	if fe.Mode == HTTP && !st.quietStatus() {
		countStatus(&fc.Status, st.Status)
	}
	st.W.Counters[i].BytesOut.Add(st.ResOut)
	if st.routed {
		st.routed = false
		b := be.BE
		b.Cur.Add(-1)
		bc := &b.Counters[i]
		st.Traffic.count(&bc.Traffic)
		if be.Mode == HTTP {
			countStatus(&bc.Status, st.Status)
		}
		if st.Srv != nil {
			sc := &st.Srv.Counters[i]
			st.Traffic.count(&sc.Traffic)
			if st.Time.Connected != 0 {
				t := &st.Time
				q, c, total := ms(t.Queued-t.Request), ms(t.Connected-t.Queued), ms(t.End-t.Begin)
				var d int64
				if t.Response != 0 {
					d = ms(t.Response - t.Connected)
				}
				sc.SumQueue.Add(q)
				sc.SumConnect.Add(c)
				sc.SumResp.Add(d)
				sc.SumTotal.Add(total)
				sc.Timed.Add(1)
				sc.MaxQueue.Raise(q)
				sc.MaxConnect.Raise(c)
				sc.MaxResp.Raise(d)
				sc.MaxTotal.Raise(total)
				bc.SumQueue.Add(q)
				bc.SumConnect.Add(c)
				bc.SumResp.Add(d)
				bc.SumTotal.Add(total)
				bc.Timed.Add(1)
				bc.MaxQueue.Raise(q)
				bc.MaxConnect.Raise(c)
				bc.MaxResp.Raise(d)
				bc.MaxTotal.Raise(total)
			}
		}
	}
	if st.Term.Cause == 0 {
		st.Term = Termination{'-', '-'}
	}
	st.log()
}

func (t *Traffic) count(c *counter.Traffic) { c.Add(t.ReqIn, t.ReqOut, t.ResIn, t.ResOut) }

// log writes the log line, unless there was one already or it is not wanted.
func (st *Stream) log() {
	fe := st.FE
	if fe.Log == nil || st.quiet || st.logged || fe.Has(DontLogNormal) && !st.Abnormal() {
		return
	}
	st.logged = true
	fe.Log(st)
}

// logSoon is "option logasap": all but the transfer is known, since the time at.
// What "dontlog-normal" leaves out now may still be logged for how it ends. It
// uses the reactor's scratch.
func (st *Stream) logSoon(at int64) {
	if !st.FE.Has(LogASAP) {
		return
	}
	st.Time.End = at
	st.log()
	st.Time.End = 0
}

// Abnormal tells whether an exchange that has ended, or is being logged, is one that administrators
// look for: not finished by the servers or by a rule's answer, only after
// retries, or with a status of 500 or more (manual 8.3.3, 8.3.4).
func (st *Stream) Abnormal() bool {
	switch st.Term.Cause {
	case '-', 0:
		return st.Redispatch || st.Retries > 0 || st.FE.Mode == HTTP && st.Status >= 500
	case 'L':
		return st.Redispatch || st.FE.Mode == HTTP && st.Status >= 500
	}
	return true
}

func (st *Stream) quietStatus() bool { return st.quiet && st.Status == 0 }

func ms(ns int64) int64 { return max(ns, 0) / 1e6 }

func countStatus(c *[6]counter.Int, status int) {
	k := status / 100
	if k < 1 || k > 5 {
		k = 0
	}
	c[k].Add(1)
}

// handshakeGarbage tells about how many bytes the handshakes since it was last
// asked have left behind: many of them are reason to hand memory back once all
// is quiet, which the collector would not do for minutes.
func (w *Worker) handshakeGarbage(r *reactor.Reactor) func() int {
	const each = 16 << 10
	var before int64
	return func() int {
		n := &w.Counters[r.Index]
		now := n.TLSFront.Load() + n.TLSFrontFailed.Load() + n.TLSBack.Load()
		d := now - before
		before = now
		return int(d) * each
	}
}

// Init prepares the worker's reactors for serving: it is called once, before they
// run.
func (w *Worker) Init() {
	for _, r := range w.Reactors {
		r.OnTrim(func() int { return w.streams[r.Index].trim() })
		r.OnTrim(func() int { return w.purgePools(r) })
		r.OnTrim(w.handshakeGarbage(r))
		r.OnTurn(func() { w.flushMuxes(r) })
	}
}
