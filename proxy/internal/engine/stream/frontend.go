package stream

import "bytes"

// frontend is the phase of that name: the request is counted, and the frontend's
// rules decide about it, unless it is for the monitor.
func (st *Stream) frontend() step {
	r, s, fe := st.R, st.Sess, st.FE
	s.Requests++
	s.Prompt(fe.Has(HTTPNoDelay))
	fe.FE.Counters[r.Index].Requests.Add(1)
	st.W.Counters[r.Index].Requests.Add(1)
	st.number()
	if fe.LogBegin != nil {
		fe.LogBegin(s)
	}
	st.logStep(LogAccept)
	st.attach(fe)
	if fe.MonitorURI != nil && st.monitors(fe.MonitorURI) {
		st.monitor()
		return stop
	}
	return st.requestRules(fe)
}

// monitor answers a request for monitor-uri.
func (st *Stream) monitor() {
	fe := st.FE
	st.quiet = true
	st.fail(200, 'P', 'R')
	for _, c := range fe.MonitorFail {
		if c.Match(&st.Scope) {
			st.Reply = st.ErrorReply(503)
		}
	}
	fe.FE.Counters[st.R.Index].Intercepted.Add(1)
}

// monitors tells whether the request asks for monitor-uri: for its very target, or
// its path if that is all that is configured.
func (st *Stream) monitors(uri []byte) bool {
	q := &st.Req
	return bytes.Equal(q.Target, uri) || uri[0] == '/' && bytes.Equal(q.PathQuery(), uri)
}
