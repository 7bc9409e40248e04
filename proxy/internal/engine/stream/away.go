package stream

import "errors"

var (
	errClientLeft  = errors.New("the client left")
	errClientEnded = errors.New("the client ended its side")
)

// clientLeft ends an exchange that the client gave up. It may be found out in
// several places, and is counted once.
func (st *Stream) clientLeft(state byte) {
	st.end('C', state)
	if st.left {
		return
	}
	st.left = true
	if b := st.BE.BE; b != nil { // nil: no backend has the request yet
		b.Counters[st.R.Index].ClientAborts.Add(1)
	}
	if st.Srv != nil {
		st.serverCounters().ClientAborts.Add(1)
	}
}

// serverLeft counts that the server broke a transfer off.
func (st *Stream) serverLeft() {
	st.serverCounters().ServerAborts.Add(1)
	st.BE.BE.Counters[st.R.Index].ServerAborts.Add(1)
}

// clientBroke ends an exchange whose client left, or did not deliver what it had
// promised, while a response was awaited. Whoever still reads is told.
func (st *Stream) clientBroke(state byte) {
	st.fail(400, 'C', state)
	st.clientLeft(state)
}

// aborts tells whether a client that closes its side ends what has not begun:
// "option abortonclose", which is the default of mode http.
func (st *Stream) aborts() bool {
	return st.BE.Has(AbortOnClose) || st.BE.Mode == HTTP && st.BE.NoOptions&AbortOnClose == 0
}

// abandoned tells whether the client left before the request was sent to a server,
// and that is a reason to give it up.
func (st *Stream) abandoned() bool {
	if !st.aborts() {
		return false
	}
	quiet, _ := st.client.left()
	return quiet
}
