package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// tunnelHTTP is what follows a 101, or a 2xx to CONNECT: the head goes to the
// client, then bytes go both ways.
func (st *Stream) tunnelHTTP() {
	st.Status = st.Res.Status
	st.finishUpload()
	err := st.sendInterim(&st.Res)
	if err != nil {
		st.failWrite(err)
	} else {
		st.logSoon(st.Time.Response)
		st.beginTunnel()
		st.tunnel()
	}
}

// beginTunnel has what the client sends moved to the server, by a second coroutine.
func (st *Stream) beginTunnel() {
	st.activity = st.R.Now()
	st.tunnelling, st.bodies = true, true
	st.download = transfer{st: st, dst: st.client.sink(message.Tunnel)}
	st.upload.start(st, st.filterTunnel(st.client.source(&tunnelled), true), st.server.sink(message.Tunnel))
}

// tunnel moves what the server sends, in the stream's own coroutine, until both
// directions have ended.
func (st *Stream) tunnel() {
	req, res := &st.upload, &st.download
	if !res.failed() {
		res.src = st.filterTunnel(st.server.source(&tunnelled), false)
		res.run()
		st.directionEnded(res, false)
	}
	if res.failed() && req.running { // broken: the other direction has no use any more
		st.abortServer()
		st.client.cut()
		req.kill()
	}
	req.wait.Until(st.R, func() bool { return !req.running })
	st.tunnelFailed(res, false)
	st.tunnelFailed(&req.transfer, true)
	if st.FE.Mode == HTTP && st.Term.Cause == 0 && st.firstEnd != 0 {
		st.end(st.firstEnd, 'D') // an upgraded connection is ended by who closes first
	}
}

// tunnelled is the head of what goes through a tunnel.
var tunnelled = message.Header{Framing: message.Tunnel, ContentLength: -1}

// tunnelFailed notes why a direction of a tunnel came to nothing, if it did.
func (st *Stream) tunnelFailed(t *transfer, fromClient bool) {
	err, side, late := t.rerr, byte('S'), byte('s')
	if err == nil {
		err = t.werr
	}
	if fromClient == (t.rerr != nil) {
		side, late = 'C', 'c'
	}
	switch err {
	case nil, reactor.ErrKilled, reactor.ErrClosed:
	case reactor.ErrTimeout:
		if st.BE.Timeouts.Tunnel > 0 && !st.half {
			late = 'c' // it is over for both sides: which coroutine was told first means nothing
		}
		st.broken(late)
	default:
		st.broken(side)
	}
}

// broken ends a tunnel that one side broke off, and counts that.
func (st *Stream) broken(side byte) {
	if st.Term.Cause != 0 {
		return
	}
	st.end(side, 'D')
	if side == 'C' || side == 'c' {
		st.clientLeft('D')
	} else {
		st.serverLeft()
	}
}

// directionEnded is told that one direction of a tunnel has ended, or broke.
func (st *Stream) directionEnded(t *transfer, fromClient bool) {
	if t.failed() {
		if fromClient {
			st.abortServer() // the other direction has no use any more
			st.co.Wake()
		}
		return
	}
	if !st.half {
		st.half = true
		if st.client.closes() {
			st.firstEnd = 'S'
			if fromClient {
				st.firstEnd = 'C'
			}
		}
	}
	st.activity = st.R.Now()
	// The other direction has less time now ("client-fin", "server-fin").
	if fromClient {
		st.co.Wake()
	} else if st.upload.co != nil {
		st.upload.co.Wake()
	}
}

// abortServer gives the server's side up at once.
func (st *Stream) abortServer() {
	if st.up != nil {
		st.server.abort()
	}
}

// tunnelTimeout is how long, in nanoseconds, nothing may happen in a tunnel.
func (st *Stream) tunnelTimeout(fromClient bool) int64 {
	t := st.BE.Timeouts.Tunnel
	if t == 0 {
		if fromClient {
			t = st.FE.Timeouts.Client
		} else {
			t = st.BE.Timeouts.Server
		}
	}
	if st.half {
		fin := st.BE.Timeouts.ServerFin
		if fromClient {
			fin = st.FE.Timeouts.ClientFin
		}
		if fin > 0 {
			t = fin
		}
	}
	return int64(t)
}

// tunnelActive tells whether, in a tunnel, something has happened in the other
// direction since one began to wait: that counts as activity.
func (st *Stream) tunnelActive(client bool) bool {
	return st.tunnelling && st.activity+st.tunnelTimeout(client) > st.R.Now()
}
