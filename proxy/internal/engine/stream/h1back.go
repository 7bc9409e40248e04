package stream

import (
	"errors"
	"io"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// A server that speaks HTTP/1.

// sendRequest is the phase "send". A body that is not in the buffer yet is left
// to the upload coroutine.
func (st *Stream) sendRequest() (again, ok bool) {
	up := st.up
	if up.mux != nil {
		return st.sendRequestH2()
	}
	if st.extended {
		st.webSocketKey()
	}
	up.Prompt(st.FE.Has(HTTPNoDelay) || st.BE.Has(HTTPNoDelay))
	st.bodies = true
	k := &st.toServer
	*k = h1Sink{st: st, conn: &up.Conn, framing: st.Req.Framing}
	k.request(&st.Req, http1.WriteOptions{Close: st.closesServer() && !st.BE.Has(HTTPPretendKeepalive)})
	body, whole := st.wholeBody()
	var err error
	if whole {
		st.own.p = body
		t := transfer{st: st, src: &st.own, dst: k}
		t.first()
		err = t.werr
	} else {
		err = k.Flush(st.reqData.Ready() && st.Req.Framing != message.Tunnel)
	}
	if err != nil {
		if err == reactor.ErrKilled {
			return false, false
		}
		if st.Reused && isReset(err) {
			return st.retryReused(), false
		}
		if err == reactor.ErrTimeout {
			st.badAnswer(504, 's')
			return false, false
		}
		// The server may have answered before it closed.
	}
	st.asked = st.R.Now()
	if whole {
		if !st.sentFirst { // an attempt that is made again tells nothing new of the client
			st.sentFirst = true
			st.ReqIn += int64(len(body))
		}
		return false, true
	}
	if err != nil {
		return false, true
	}
	st.bodyStarted = true
	if st.Req.Framing != message.Tunnel {
		st.upload.start(st, st.reqData, k)
	}
	return false, true
}

// wholeBody gives the request's body if it is there as a whole. It is not taken:
// the request may be sent again.
func (st *Stream) wholeBody() (body []byte, whole bool) {
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

// readResponse is the phase "response": it waits for a final response's head,
// passing interim ones on.
func (st *Stream) readResponse() (ok, again bool) {
	up, be := st.up, st.BE
	if up.mux != nil {
		return st.readResponseH2()
	}
	limits := &st.limits
	*limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: be.Has(AcceptInvalidResponse)}
	for {
		if !up.in.empty() {
			n, err := http1.ParseResponse(up.in.bytes(), &st.Res, st.Req.Method, limits)
			if n > 0 && err == nil && st.Res.Status == 101 {
				err = st.badUpgrade()
			}
			if err != nil || n == 0 && up.in.r == 0 && up.in.w == len(up.in.buf) {
				st.ErrText = "response head too large"
				var he *http1.Error
				if errors.As(err, &he) {
					st.ErrText = he.Reason
				}
				st.badAnswer(502, 'P')
				return false, false
			}
			if n > 0 {
				up.in.r += n
				st.ResIn += int64(n)
				st.answered()
				if st.Res.Status < 200 && st.Res.Status != 101 {
					if !st.interim() {
						return false, false
					}
					continue
				}
				up.in.base = up.in.r
				st.gotResponse()
				return true, false
			}
			if up.in.r > 0 {
				up.in.compact()
			}
		}
		n, err := up.in.read(&up.Conn)
		if n > 0 {
			continue
		}
		if err == nil {
			if st.upload.broke() {
				st.uploadFailed()
				return false, false
			}
			err = st.awaitServer()
			if err == nil {
				continue
			}
		}
		if st.Term.Cause != 0 { // killed, or the client left
			return false, false
		}
		switch {
		case err == reactor.ErrTimeout:
			st.badAnswer(504, 's')
		case err == errClientLeft:
			st.clientBroke('D')
		case st.upHalf && isReset(err):
			st.clientBroke('H') // it was told that nobody waits for an answer
		case st.Reused && up.in.empty() && isReset(err):
			return false, st.retryReused()
		default:
			st.badAnswer(502, 'S')
		}
		return false, false
	}
}

// badUpgrade tells what is wrong with a 101 of a server of HTTP/1.
func (st *Stream) badUpgrade() error {
	switch {
	case len(st.Req.Upgrade) == 0:
		return errNotAsked // a tunnel would carry the client's next requests past the rules
	case st.extended && !st.upgradeAgreed():
		return errNotAgreed
	}
	return nil
}

var (
	errNotAsked  = &http1.Error{Status: 502, Reason: "101 without an upgrade in the request"}
	errNotAgreed = &http1.Error{Status: 502, Reason: "101 to another protocol, or to another key of a WebSocket"}
)

func isReset(err error) bool {
	return err == syscall.ECONNRESET || err == syscall.EPIPE || err == io.EOF
}

// awaitServer parks until the server says something. It watches the client
// where a client that left is reason to stop.
func (st *Stream) awaitServer() error {
	up := st.up
	for {
		watch := !st.upload.running && !st.upHalf && st.aborts()
		if watch {
			quiet, gone := st.client.left()
			if gone {
				return errClientLeft
			}
			if quiet {
				// The server is told, and decides what becomes of the request.
				up.CloseWrite()
				st.upHalf, watch = true, false
			}
		}
		uploading := st.upload.running
		if watch {
			st.client.watch(st.co)
		}
		err := up.WaitRead(st.headDeadline())
		if watch {
			st.client.watch(nil)
		}
		if err != nil || up.CanRead() || uploading != st.upload.running {
			return err
		}
	}
}
