package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// response is the phase of that name: the head of a final response is awaited;
// interim ones are passed on.
func (st *Stream) response() step {
	ok, retry := st.readResponse()
	return st.attempted(retry, ok)
}

// answered counts a response head of the server, be it interim, by the status that
// it had before rules.
func (st *Stream) answered() {
	c := st.serverCounters()
	c.Requests.Add(1)
	countStatus(&c.Status, st.Res.Status)
}

// gotResponse notes that the head of a final response is there.
func (st *Stream) gotResponse() {
	st.Time.Response = st.R.Now()
	st.HasResponse = true
	st.noteUser()
	st.traceResponse()
}

// badAnswer ends an exchange whose response did not come, or is none.
func (st *Stream) badAnswer(status int, cause byte) {
	st.serverCounters().RespErrors.Add(1)
	st.BE.BE.Counters[st.R.Index].RespErrors.Add(1)
	st.fail(status, cause, 'H')
}

// headDeadline is when the head of a response must be there: the server has its
// time from the end of the request on, and anew after each interim response. It
// owes nothing while the client still sends.
func (st *Stream) headDeadline() int64 {
	t := int64(st.BE.Timeouts.Server)
	if t <= 0 || st.upload.running {
		return 0
	}
	return st.asked + t
}

// interim passes a 1xx on to the client, unless it speaks HTTP/1.0.
func (st *Stream) interim() bool {
	st.asked = st.R.Now()
	if st.Req.Version < message.HTTP11 {
		return true
	}
	if st.sendInterim(&st.Res) != nil {
		st.clientLeft('H')
		return false
	}
	return true
}
