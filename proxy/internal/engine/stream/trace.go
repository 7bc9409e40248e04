package stream

import (
	"fmt"
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// trace writes what the command line's -d shows of an exchange, in HAProxy's
// form: "00000000:web.clireq[000d:ffffffff]: GET / HTTP/1.1". It is slow, and
// writes from the reactor.
func (st *Stream) trace(w io.Writer, p *Proxy, event string, format string, args ...any) {
	cli, srv := "ffff", "ffffffff"
	if st.Sess.IsOpen() {
		cli = fmt.Sprintf("%04x", st.Sess.Fd())
	}
	if st.up != nil && st.up.IsOpen() {
		srv = fmt.Sprintf("%04x", st.up.Fd())
	}
	fmt.Fprintf(w, "%08x:%s.%s[%s:%s]%s\n", st.ID, p.Name, event, cli, srv, fmt.Sprintf(format, args...))
}

// traceBegin shows a connection at its first exchange, and a request.
func (st *Stream) traceBegin() {
	w := st.W.Trace
	if w == nil {
		return
	}
	s := st.Sess
	if s.Requests == 1 {
		fmt.Fprintf(w, "%08x:%s.accept(%04x)=%04x from [%s] ALPN=<none>\n", st.ID, st.FE.Name, s.Listener.sockets[0].n, s.Fd(), s.Src)
	}
	if !st.HasRequest {
		return
	}
	st.trace(w, st.FE, "clireq", ": %s %s %s", st.Req.MethodName, st.Req.Target, st.Req.Version)
	st.traceFields(w, st.FE, "clihdr", &st.Req.Header)
}

// traceResponse shows a server's response.
func (st *Stream) traceResponse() {
	if w := st.W.Trace; w != nil {
		st.trace(w, st.BE, "srvrep", ": %s %d %s", st.Res.Version, st.Res.Status, st.Res.Reason)
		st.traceFields(w, st.BE, "srvhdr", &st.Res.Header)
	}
}

func (st *Stream) traceFields(w io.Writer, p *Proxy, event string, h *message.Header) {
	for i := range h.Fields {
		if f := &h.Fields[i]; f.Name != nil {
			st.trace(w, p, event, ": %s: %s", f.Name, f.Value)
		}
	}
}

// traceEnd shows that the exchange is over.
func (st *Stream) traceEnd() {
	if w := st.W.Trace; w != nil && (st.Time.Request != 0 || st.HasRequest) {
		st.trace(w, st.BE, "clicls", "")
		st.trace(w, st.BE, "closed", "")
	}
}
