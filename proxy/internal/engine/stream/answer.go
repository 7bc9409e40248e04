package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// answering tells whether the proxy answers by itself.
func (st *Stream) answering() bool { return st.Reply != nil || st.Service != nil }

// answer is the phase of that name: the proxy's own answer goes to the client, if
// there is one.
func (st *Stream) answer() step {
	if st.answering() && !st.HasResponse {
		st.keep = st.reply()
	}
	return next
}

// reply sends our own answer to the client and tells whether the connection may be
// used again.
func (st *Stream) reply() (keep bool) {
	rep, svc := st.Reply, st.Service
	if rep != nil {
		svc = rep
		if rep.Silent {
			st.Status = rep.For
			return false
		}
	}
	st.bodies = true
	res := &st.Res
	res.Reset()
	res.Version, res.Status, res.Framing = message.HTTP11, 200, message.Chunked
	body := svc.Serve(st)
	status := res.Status
	if status < 200 || status == 204 || status == 304 {
		res.Framing, res.ContentLength, body = message.NoBody, -1, nil
	}
	st.HasResponse = true
	if st.HasRequest { // what answers no request is not of the rules' concern (manual 4.2)
		st.afterRules()
	}
	if rep == nil {
		body = st.filterResponse(body)
	}
	if st.headOnly {
		body = nil
	}
	st.Status = res.Status
	if rep != nil && rep.For != 0 && res.Status == status {
		st.Status = rep.For
	}
	keep = st.client.begin(body, st.HasRequest && !(rep != nil && rep.Close))
	t := &st.download
	if t.run(); !t.failed() {
		return keep
	}
	if t.werr != nil {
		st.end('C', 'D')
	} else {
		st.end('I', 'D')
		st.client.cut()
	}
	return false
}

// fail makes the answer to the client an error, with the termination that goes
// to the log.
func (st *Stream) fail(status int, cause, state byte) {
	st.Reply, st.Service = st.ErrorReply(status), nil
	st.end(cause, state)
}

// end notes who ended the exchange and when; the first word counts.
func (st *Stream) end(cause, state byte) {
	if st.Term.Cause == 0 {
		st.Term = Termination{cause, state}
	}
}
