package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// send is the phase of that name: the request goes to the server, or as much of it
// as is there.
func (st *Stream) send() step { return st.attempted(st.server.send()) }

// attempted is where a part of an attempt leads: another attempt begins without the
// connection of this one.
func (st *Stream) attempted(to step) step {
	if to == again {
		st.finishUpload()
		st.leaveServer(false)
	}
	return to
}

// WholeBody gives the request's body if it is there as a whole. It is not taken:
// the request may be sent again.
func (st *Stream) WholeBody() (body []byte, whole bool) {
	if st.filtered {
		return nil, st.reqData == nil
	}
	switch st.Req.Framing {
	case message.NoBody:
		return nil, true
	case message.Length:
		body = st.client.atHand()
		if n := st.Req.ContentLength; int64(len(body)) >= n {
			return body[:n], true
		}
	}
	return nil, false
}

// replayable tells whether the request can be sent once more: nothing of it was
// consumed, and no harm is done if the server saw it already.
func (st *Stream) replayable() bool {
	if st.bodyStarted {
		return false
	}
	switch st.Req.Method {
	case message.Get, message.Head, message.Options, message.Trace, message.Put, message.Delete:
		return true
	}
	return false
}

// closesServer tells whether the server's connection ends with the exchange: either
// side may ask for that.
func (st *Stream) closesServer() bool {
	return (st.BE.Options|st.FE.Options)&(HTTPServerClose|HTTPClose) != 0
}

// retryReused decides about a kept connection that turned out to be dead: the
// request goes to a new one, or, when it must not be sent twice, the client is
// left to decide.
func (st *Stream) retryReused() step {
	if st.replayable() {
		st.noReuse = true
		return again
	}
	st.end('S', 'H')
	st.serverCounters().ConnErrors.Add(1)
	if st.Sess.Requests > 1 {
		return stop // close silently: the client knows that keep-alive may end
	}
	st.Reply = st.ErrorReply(502)
	return stop
}

// elsewhere has a request that no server has processed sent on a new connection, if
// there is an attempt left.
func (st *Stream) elsewhere() (step, bool) {
	if st.Retries >= st.BE.Retries {
		return stop, false
	}
	st.noReuse = true
	st.Retries++
	st.BE.BE.Counters[st.R.Index].Retries.Add(1)
	st.serverCounters().Retries.Add(1)
	return again, true
}
