package stream

import (
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// arrival is how far a body that nobody takes yet has been looked through.
type arrival struct {
	chunks http1.Chunks
	seen   int
}

// buffered tells whether there is nothing to wait for any more: the request's body
// has come as a whole, or as much of it as a buffer holds.
func (st *Stream) bodyBuffered(a *arrival) (bool, error) {
	size := st.R.BufSize()
	if st.requestTaken() {
		return true, nil
	}
	if st.client.on() {
		s := st.client.s
		return s.EndReceived() || s.Queued() >= size || s.WindowUsed(), s.Err()
	}
	switch b := st.in.bytes(); st.Req.Framing {
	case message.Length:
		if int64(len(b)) >= st.fromClient.left {
			return true, nil
		}
	case message.Chunked:
		for n := 1; n > 0; a.seen += n {
			var done bool
			var err error
			if _, n, done, err = a.chunks.Next(b[a.seen:], nil); done || err != nil {
				return done, err
			}
		}
	}
	return st.in.w >= size, nil
}

// bufferBody is "option http-buffer-request" of p: rules and server choice wait for
// the body. false: it did not come. Nothing of it is taken.
func (st *Stream) bufferBody(p *Proxy) bool {
	if st.Req.Framing == message.NoBody || st.Req.Framing == message.Tunnel || st.buffered {
		return true
	}
	st.buffered = true
	st.Time.Request = 0 // the request is complete with its body
	a := arrival{chunks: st.fromClient.chunks}
	deadline := deadlineIn(st.R, int64(p.Timeouts.HTTPRequest))
	for {
		ok, err := st.bodyBuffered(&a)
		if err == nil && ok {
			st.Time.Request = st.R.Now()
			return true
		}
		if err == nil && st.Req.Expect100 {
			st.Req.Expect100 = false
			st.Req.Del("expect") // it is met
			res := &st.Res
			res.Reset()
			res.Version, res.Status, res.Framing = message.HTTP11, 100, message.NoBody
			err = st.sendInterim(res)
			res.Reset()
		}
		if err == nil {
			if !st.client.on() {
				err = st.moreOfRequest(deadline)
			} else {
				d := deadline
				if d == 0 {
					d = st.R.After(st.FE.Timeouts.Client)
				}
				err = st.client.read.Wait(st.R, d)
			}
		}
		if err != nil {
			st.notBuffered(err)
			return false
		}
	}
}

// notBuffered ends an exchange whose body was awaited in vain.
func (st *Stream) notBuffered(err error) {
	var he *http1.Error
	switch {
	case err == reactor.ErrKilled:
	case err == reactor.ErrTimeout:
		st.FE.FE.Counters[st.R.Index].ReqErrors.Add(1)
		st.fail(408, 'c', 'R')
	case errors.As(err, &he):
		st.ErrText = he.Reason
		st.FE.FE.Counters[st.R.Index].ReqErrors.Add(1)
		st.fail(400, 'P', 'R')
	case st.client.on():
		st.clientLeft('R')
	default:
		st.clientBroke('R')
	}
}

// BodyStart is the beginning of the request's body, as far as it is in the buffer and
// nobody has taken it: of a chunked one, what the first chunk holds.
func (st *Stream) BodyStart() []byte {
	if st.requestTaken() {
		return nil
	}
	if st.client.on() {
		return st.client.s.Data()
	}
	p := st.in.bytes()
	switch st.Req.Framing {
	case message.Length:
		return p[:min(int64(len(p)), st.fromClient.left)]
	case message.Chunked:
		for chunks := st.fromClient.chunks; ; {
			data, n, done, err := chunks.Next(p, nil)
			if len(data) > 0 || n == 0 || done || err != nil {
				return data
			}
			p = p[n:]
		}
	}
	return nil
}
