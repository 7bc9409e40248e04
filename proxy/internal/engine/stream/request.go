package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// maxLine bounds "tune.http.logurilen": no request is longer.
const maxLine = 1 << 24

func init() {
	settings([]Number{
		{Name: "tune.http.maxhdr", Low: 1, High: 32767, Size: true, InPlace: true, Want: "a numeric value between 1 and 32767", Set: func(g *Global, n int) {
			g.MaxHeaders = n
		}},
		{Name: "tune.http.logurilen", Low: 1, High: maxLine, InPlace: true, Want: "an integer argument.", Set: func(g *Global, n int) {
			g.LineLength = n
		}},
	})
}

// request is the phase of that name: the head of a request is awaited.
func (st *Stream) request() step {
	if !st.client.request() {
		return stop
	}
	return next
}

// badRequest answers what is no request, or never became one.
func (st *Stream) badRequest(status int, cause byte) {
	st.ReqLine = append(st.ReqLine[:0], "<BADREQ>"...)
	c := &st.FE.FE.Counters[st.R.Index]
	c.Requests.Add(1)
	c.ReqErrors.Add(1)
	st.listenerError()
	st.fail(status, cause, 'R')
}

// keepLine copies the request line: the buffer is reused before the exchange
// ends, and rules may make another line of it.
func (st *Stream) keepLine() {
	if st.FE.Log == nil && !st.Snap.KeepLines.Load() {
		return
	}
	q := &st.Req
	l := append(st.ReqLine[:0], q.MethodName...)
	l = append(l, ' ')
	l = append(l, q.Target...)
	if q.Version == message.HTTP11 {
		l = append(l, " HTTP/1.1"...)
	} else {
		l = append(append(l, ' '), q.Version.String()...)
	}
	if n := st.Snap.Global.LineLength; n > 0 && n < len(l) {
		l = l[:n]
	}
	st.ReqLine = l
}
