package stream

import (
	"errors"
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// upload is the coroutine that moves what the client sends while the stream's own
// awaits the response, or moves what the server sends.
type upload struct {
	transfer
	co      *reactor.Coro
	running bool
	wait    reactor.Waiter
}

func (u *upload) start(st *Stream, src Source, dst sink) {
	*u = upload{transfer: transfer{st: st, src: src, dst: dst}, running: true}
	st.R.Start(u)
}

// Run is the coroutine.
func (u *upload) Run() {
	st := u.st
	u.co = st.R.Current()
	u.run()
	if st.tunnelling {
		st.directionEnded(&u.transfer, true)
	} else {
		st.asked = st.R.Now()
	}
	u.over()
}

// Panicked is told by the reactor: without this direction, the exchange comes to
// nothing.
func (u *upload) Panicked() {
	u.st.internal()
	u.rerr = reactor.ErrKilled
	u.st.Kill('I')
	u.over()
}

func (u *upload) over() {
	u.running = false
	u.co = nil
	if !u.st.HasResponse {
		u.st.co.Wake() // the server's time begins, or the exchange is over
	}
	u.wait.Notify()
}

// broke tells whether the client did not deliver the body, or the server did not
// take it for too long. A server that ended the connection is no failure: it may
// have answered.
func (u *upload) broke() bool {
	return !u.running && (u.rerr != nil && u.rerr != reactor.ErrKilled || u.werr == reactor.ErrTimeout)
}

// kill makes the coroutine end, if it has begun.
func (u *upload) kill() {
	if u.running && u.co != nil {
		u.co.Kill()
	}
}

// uploadFailed ends an exchange whose request body did not come.
func (st *Stream) uploadFailed() {
	u := &st.upload
	var he *http1.Error
	switch {
	case errors.As(u.rerr, &he):
		st.ErrText = he.Reason
		st.FE.FE.Counters[st.R.Index].ReqErrors.Add(1)
		st.listenerError()
		st.fail(400, 'P', 'H')
	case u.rerr == nil:
		st.badAnswer(504, 's')
	case u.rerr == reactor.ErrTimeout:
		st.fail(400, 'c', 'H')
		st.clientLeft('H')
	case u.rerr == io.EOF:
		st.clientBroke('H')
	default:
		st.clientBroke('D')
	}
}

// finishUpload ends the upload coroutine, if it still runs, and tells whether
// the whole body was sent.
func (st *Stream) finishUpload() bool {
	u := &st.upload
	if u.running {
		u.kill()
		u.wait.Until(st.R, func() bool { return !u.running })
		return false
	}
	return !u.failed()
}

// restOfUpload awaits the rest of a request that the server has answered already.
// What the server does not take any more is thrown away, so that the client's
// connection can be used again. It tells whether the client has sent it all.
func (st *Stream) restOfUpload() bool {
	u := &st.upload
	if u.st == nil {
		return true
	}
	st.early = u.running || !st.client.taken()
	for u.running {
		if u.wait.Wait(st.R, 0) == reactor.ErrKilled {
			return false
		}
	}
	err := u.rerr
	for err == nil && !st.client.taken() {
		var p []byte
		var last bool
		p, last, err = st.reqBody.Next(everything)
		if err == nil && !last && len(p) == 0 {
			err = st.reqBody.Wait()
		}
	}
	var he *http1.Error
	switch {
	case err == nil:
		return true
	case errors.As(err, &he):
		st.ErrText = he.Reason
		st.end('P', 'L')
	case err == reactor.ErrTimeout:
		st.end('c', 'L')
		st.clientLeft('L')
	case err != reactor.ErrKilled:
		st.clientLeft('L')
	}
	return false
}
