package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// send is the phase of that name: the request goes to the server, or as much of it
// as is there.
func (st *Stream) send() step {
	retry, ok := st.sendRequest()
	return st.attempted(retry, ok)
}

// attempted tells how it goes on after a part of an attempt: to its next one if that
// was done, or else, without the connection, to another attempt or to the end.
func (st *Stream) attempted(retry, ok bool) step {
	switch {
	case ok:
		return next
	case !retry:
		return stop
	}
	st.finishUpload()
	st.dropServerConn()
	return again
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
func (st *Stream) retryReused() (again bool) {
	if st.replayable() {
		st.noReuse = true
		return true
	}
	st.end('S', 'H')
	st.serverCounters().ConnErrors.Add(1)
	if st.Sess.Requests > 1 {
		return false // close silently: the client knows that keep-alive may end
	}
	st.Reply = st.ErrorReply(502)
	return false
}
