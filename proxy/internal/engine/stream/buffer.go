package stream

import (
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

func init() {
	const want = "a positive integer argument."
	settings([]Number{
		{Name: "tune.bufsize", Low: 1024, High: 256 << 20, Size: true, Want: want, Set: func(g *Global, n int) { g.BufSize = (n + 15) &^ 15 }},
		{Name: "tune.maxrewrite", High: 256 << 20, Size: true, InPlace: true, Want: want, Set: func(g *Global, n int) { g.MaxRewrite = n }},
	})
}

// bufferBody is "option http-buffer-request" of p: rules and server choice wait for
// the body. false: it did not come. Nothing of it is taken.
func (st *Stream) bufferBody(p *Proxy) bool {
	if st.Req.Framing == message.NoBody || st.Req.Framing == message.Tunnel || st.buffered {
		return true
	}
	st.buffered = true
	st.Time.Request = 0 // the request is complete with its body
	deadline := deadlineIn(st.R, int64(p.Timeouts.HTTPRequest))
	for {
		ok, err := st.client.arrived()
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
			err = st.client.more(deadline)
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
	case st.client.revoked():
		st.clientLeft('R')
	default:
		st.clientBroke('R')
	}
}

// BodyStart is the beginning of the request's body, as far as it is in the buffer and
// nobody has taken it: of a chunked one, what the first chunk holds.
func (st *Stream) BodyStart() []byte {
	if st.client == nil {
		return nil
	}
	return st.client.atHand()
}
