package stream

import (
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// response is the phase of that name: the head of a final response is awaited;
// interim ones are passed on.
func (st *Stream) response() step { return st.attempted(st.awaitResponse()) }

func (st *Stream) awaitResponse() step {
	for {
		if err := st.awaitHead(); err != nil {
			return st.noResponse(err)
		}
		st.answered()
		if !st.isInterim() {
			st.gotResponse()
			return next
		}
		if !st.interim() {
			return stop
		}
	}
}

var errUpload = errors.New("the request's body did not come")

// awaitHead waits until st.Res has the next head of the response.
func (st *Stream) awaitHead() error {
	for {
		if there, err := st.server.head(); there || err != nil {
			return err
		}
		if st.upload.broke() {
			return errUpload
		}
		if err := st.awaitServer(); err != nil {
			return err
		}
	}
}

// awaitServer parks until the server may have said something, or the upload has
// ended. It watches the client where a client that left is reason to stop.
func (st *Stream) awaitServer() error {
	watch := !st.upload.running && !st.upHalf && st.aborts()
	if watch {
		quiet, gone := st.client.left()
		switch {
		case gone:
			return errClientLeft
		case quiet:
			// The server is told, and decides what becomes of the request.
			if !st.server.finish() {
				return errClientEnded
			}
			st.upHalf, watch = true, false
		}
	}
	if watch {
		st.client.watch(st.co)
	}
	err := st.server.wait(st.headDeadline())
	if watch {
		st.client.watch(nil)
	}
	return err
}

// noResponse ends an attempt whose response did not come, or the exchange with it.
func (st *Stream) noResponse(err error) step {
	switch {
	case err == errUpload:
		st.uploadFailed()
		return stop
	case st.Term.Cause != 0: // killed, or the client left
		return stop
	case err == reactor.ErrTimeout:
		st.badAnswer(504, 's')
		return stop
	case err == errClientLeft:
		st.clientBroke('D')
		return stop
	case err == errClientEnded,
		st.upHalf && isReset(err): // the server was told that nobody waits for an answer
		st.clientBroke('H')
		return stop
	}
	what, text := st.server.fault(err)
	cause := byte('S')
	switch what {
	case malformed:
		cause = 'P'
	case dead:
		return st.retryReused()
	case refused:
		if !st.bodyStarted {
			if to, ok := st.elsewhere(); ok {
				return to
			}
		}
	}
	if text != "" {
		st.ErrText = text
	}
	st.badAnswer(502, cause)
	return stop
}

// isInterim tells whether the head in st.Res is one that another one follows.
func (st *Stream) isInterim() bool { return st.Res.Status < 200 && st.Res.Status != 101 }

// answered counts a response head of the server, be it interim, by the status that
// it had before rules, and tells of it who asked for that.
func (st *Stream) answered() {
	c := st.serverCounters()
	c.Requests.Add(1)
	countStatus(&c.Status, st.Res.Status)
	call(st.FE.OnResponse, st)
}

// gotResponse notes that the head of a final response is there.
func (st *Stream) gotResponse() {
	st.Time.Response = st.R.Now()
	st.HasResponse = true
	st.noteUser()
	st.logStep(LogResponse)
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
