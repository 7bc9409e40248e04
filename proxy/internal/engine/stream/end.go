package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/counter"

// finish is the phase "end": it counts the exchange and writes its log line.
func (st *Stream) finish() step {
	st.Time.End = st.R.Now()
	st.traceEnd()
	if len(st.links) > 0 {
		st.detach()
	}
	fe := st.FE
	if st.ended && fe.Mode == HTTP {
		st.Status = 500
	}
	i := st.R.Index
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
		st.leaveBackend()
	}
	if st.Term.Cause == 0 {
		st.Term = Termination{'-', '-'}
	}
	st.log()
	return next
}

// leaveBackend counts the exchange at its backend, which is done with it, and at its
// server.
func (st *Stream) leaveBackend() {
	st.routed = false
	be, b := st.BE, st.BE.BE
	b.Cur.Add(-1)
	bc := &b.Counters[st.R.Index]
	st.Traffic.count(&bc.Traffic)
	if be.Mode == HTTP {
		countStatus(&bc.Status, st.Status)
	}
	if st.Srv == nil {
		return
	}
	sc := &st.Srv.Counters[st.R.Index]
	st.Traffic.count(&sc.Traffic)
	t := &st.Time
	if t.Connected == 0 {
		return
	}
	q, c, total := ms(t.Queued-t.Request), ms(t.Connected-t.Queued), ms(t.End-t.Begin)
	var d int64
	if t.Response != 0 {
		d = ms(t.Response - t.Connected)
	}
	sc.Durations.Add(q, c, d, total)
	bc.Durations.Add(q, c, d, total)
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

// LogStep is a moment of an exchange that may be logged.
type LogStep uint8

// Moments: the exchange begins, a request is there (mode http), a connection to a
// server, the response.
const (
	LogAccept LogStep = iota
	LogRequest
	LogConnect
	LogResponse
)

// logStep tells of a moment of the exchange: for the log, now is its end.
func (st *Stream) logStep(s LogStep) {
	if st.FE.LogStep == nil || st.quiet {
		return
	}
	st.Time.End = st.R.Now()
	st.FE.LogStep(st, s)
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
