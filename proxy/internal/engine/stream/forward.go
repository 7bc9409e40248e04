package stream

import (
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// mayKeep tells whether the client's connection may be kept as far as the
// configuration and the request say.
func (st *Stream) mayKeep() bool {
	return st.Req.KeepAlive && !st.W.Stopping.Load() && !st.FE.Has(HTTPClose) && st.Req.Framing != message.Tunnel
}

// forward is the phase of that name: head and body go to the client.
func (st *Stream) forward() step {
	res := &st.Res
	if res.Framing == message.Tunnel {
		st.filterResponse(nil)
		st.tunnelHTTP()
		return stop
	}
	reusable := res.KeepAlive && res.Framing != message.Close
	body := st.responseBody()
	received := body != nil
	if received && st.headOnly {
		body, reusable = nil, false // "set-method" made the server send it
	}
	if len(st.links) > 0 {
		if body = st.filterResponse(body); st.headOnly {
			body = nil
		}
	}
	st.Status = res.Status
	keep := st.client.begin(body, true)
	t := &st.download
	if t.werr == nil {
		st.logSoon(st.Time.Response)
		st.server.used() // the head has gone
		t.run()
	}
	if t.failed() {
		st.failForward(t.rerr, t.werr)
		st.client.cut()
		return stop
	}
	st.keep = keep
	st.reusable = reusable && (!received || st.server.taken())
	return next
}

// responseBody is the source of the response's body, nil if there is none.
func (st *Stream) responseBody() Source {
	src := st.server.source(&st.Res.Header)
	if st.server.taken() && len(src.Trailers()) == 0 {
		return nil
	}
	return src
}

// rest is the phase of that name: what is left of a request that was answered early
// is awaited.
func (st *Stream) rest() step {
	st.keep = st.keep && st.restOfUpload()
	return next
}

// release is the phase of that name: what the exchange has of a server is given
// back.
func (st *Stream) release() step {
	uploaded := st.finishUpload()
	st.leaveServer(uploaded && st.reusable)
	st.releaseServer()
	return next
}

// failWrite ends an exchange whose response the client did not take.
func (st *Stream) failWrite(err error) {
	if err == reactor.ErrKilled {
		return
	}
	if err == reactor.ErrTimeout {
		st.end('c', 'D')
	}
	st.clientLeft('D')
}

// failForward ends an exchange that broke in the middle of a response.
func (st *Stream) failForward(rerr, werr error) {
	switch {
	case werr != nil:
		st.failWrite(werr)
	case rerr == reactor.ErrTimeout:
		st.end('s', 'D')
		st.serverLeft()
	case rerr == reactor.ErrKilled:
	default:
		var he *http1.Error
		if errors.As(rerr, &he) {
			st.ErrText = he.Reason
			st.end('P', 'D')
		} else {
			st.end('S', 'D')
			st.serverLeft()
		}
		st.serverCounters().RespErrors.Add(1)
		st.BE.BE.Counters[st.R.Index].RespErrors.Add(1)
	}
}
