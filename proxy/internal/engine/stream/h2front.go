package stream

import (
	"bytes"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// The preface of HTTP/2 (RFC 9113 3.4), as it looks to an HTTP/1 parser.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// speaksH2 tells whether the connection begins with HTTP/2's preface. sure is
// false while what is there could still become one.
func speaksH2(b []byte) (yes, sure bool) {
	n := min(len(b), len(preface))
	if string(b[:n]) != preface[:n] {
		return false, true
	}
	return n == len(preface), n == len(preface)
}

// mayUpgrade tells whether a connection that began as HTTP/1 may become HTTP/2.
func (s *Session) mayUpgrade() bool {
	return s.Listener.Bind.Load().Proto == "" && !s.FE.Has(DisableH2Upgrade)
}

// startH2 makes the connection HTTP/2. read is what was read of it.
func (s *Session) startH2(read []byte) {
	fc := &s.FE.FE.Counters[s.Reactor().Index]
	fc.H2Sess.Add(1)
	s.mux = newMux(s.Listener.worker, s.Reactor(), &s.Conn, true, &fc.H2)
	s.mux.sess = s
	s.armRequest()
	if len(read) > 0 {
		s.mux.feed(read)
	}
	if s.IsOpen() && s.CanRead() {
		s.mux.readable()
	}
}

// Writable is called by the reactor when the connection takes bytes again.
func (s *Session) Writable() {
	if s.mux != nil {
		s.mux.flush()
	}
}

// armIdle sets how long the connection may be idle between requests.
func (s *Session) armIdle() {
	s.arm(s.idleTimeout())
	s.mux.ping(s.Listener.Bind.Load().IdlePing)
}

// idleTimeout is how long a client may wait before its next request, 0 for ever.
func (s *Session) idleTimeout() time.Duration {
	t := s.FE.Timeouts.HTTPKeepAlive
	if t == 0 {
		t = s.FE.Timeouts.HTTPRequest
	}
	if t == 0 {
		t = s.FE.Timeouts.Client
	}
	if s.Listener.worker.Stopping.Load() || s.mux != nil && s.mux.Draining() {
		t = 1e9 // what is on its way has come by then
	}
	return t
}

// h2Client is the client's side of an exchange over HTTP/2.
type h2Client struct{ h2Side }

// Run is the life of an exchange over HTTP/2, in a coroutine of its own.
func (l *h2Client) Run() {
	st, s := l.st, l.st.Sess
	st.co = st.R.Current()
	st.Snap = st.W.Snapshot()
	s.FE = s.Listener.Front.Load()
	st.FE, st.BE = s.FE, s.FE
	now := st.R.Now()
	st.Time.Accept, st.Time.Begin, st.Time.Request = now, now, now
	st.enter()
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders}
	switch {
	case l.s.HasRequest():
		st.live(httpLife)
	case l.s.Malformed():
		st.FE.FE.Counters[st.R.Index].ReqErrors.Add(1)
		st.listenerError()
		if level := st.Snap.Global.H2LogErrors; level == "" || level == "stream" {
			s.logH2(l.s.Err())
		}
	}
	l.leaveStream()
}

// logH2 has a violation of HTTP/2 logged (tune.h2.log-errors).
func (s *Session) logH2(err error) {
	if s.FE.LogFail != nil {
		s.FE.LogFail(s, err)
	}
}

// request is of clientSide: it turns the head as HTTP/2 has it into what rules and
// logs expect.
func (l *h2Client) request() bool {
	st, q := l.st, &l.st.Req
	st.HasRequest = true
	st.headOnly = q.Method == message.Head
	st.ReqIn += int64(q.Size() + len(q.MethodName) + len(q.Target) + len("  HTTP/2.0\r\n\r\n"))
	if p := l.s.Protocol; p != nil {
		// An extended CONNECT is what an upgrade is in HTTP/1 (RFC 8441).
		q.Method, q.MethodName = message.Get, q.CopyString("GET")
		q.Upgrade, q.Framing = p, message.NoBody
		q.Add(q.CopyString("upgrade"), p) // conditions look for it
		q.AddString("connection", "upgrade")
		st.extended = true
	}
	if sc := l.s.Scheme; sc != nil && len(l.s.Authority) > 0 && len(q.Target) > 0 && q.Target[0] == '/' {
		// A server of HTTP/1 is sent the path alone, without a port that goes without
		// saying, unless it is asked for something else than HTTP.
		switch {
		case message.EqualFold(sc, "http"):
			q.Host, q.Normalized = withoutPort(q.Host, ":80"), true
		case message.EqualFold(sc, "https"):
			q.Host, q.Normalized = withoutPort(q.Host, ":443"), true
		}
		q.Fields[0].Value = q.Host // of the name "host", since there is an authority
		n := len(sc) + 3 + len(q.Host) + len(q.Target)
		var stack [512]byte
		b := stack[:0]
		if n > len(stack) {
			b = make([]byte, 0, n)
		}
		b = append(append(b, sc...), "://"...)
		b = append(append(b, q.Host...), q.Target...)
		q.Target = q.Copy(b)
	}
	st.keepLine()
	if q.Framing != message.NoBody {
		st.reqBody = l.source(&q.Header)
	}
	st.FE.FE.Counters[st.R.Index].H2Req.Add(1)
	return true
}

// withoutPort is host without the port, if that is usual or empty (RFC 3986
// 6.2.3).
func withoutPort(host []byte, usual string) []byte {
	if n := len(host) - len(usual); n > 0 && string(host[n:]) == usual {
		return host[:n]
	}
	return bytes.TrimSuffix(host, []byte(":"))
}

// leaveStream ends what Run began.
func (l *h2Client) leaveStream() {
	st := l.st
	st.leave()
	l.close()
	st.W.streams[st.R.Index].put(st)
}

// Panicked is told by the reactor that Run died: the exchange is given up.
func (l *h2Client) Panicked() {
	l.st.abandon()
	if l.s != nil {
		l.s.Reset(http2.InternalError)
	}
	l.close() // the stream is not pooled: nobody knows its shape
}

// clientReset ends an exchange whose client gave it up.
func (st *Stream) clientReset() {
	if st.co == nil {
		return // it has not begun, or has ended
	}
	if st.Time.End == 0 {
		state := st.state()
		if state == 'H' {
			state, st.Status = 'D', 400
		}
		st.clientLeft(state)
	}
	st.co.Kill()
}

// source is of side.
func (l *h2Client) source(*message.Header) Source {
	l.st.bodies = true
	l.done = l.s.RecvEnd()
	return l
}

// sink is of side.
func (l *h2Client) sink(message.Framing) sink { return l }

// atHand is of clientSide.
func (l *h2Client) atHand() []byte {
	if l.done {
		return nil
	}
	return l.s.Data()
}

// received is of clientSide.
func (l *h2Client) received() int { return l.s.Queued() }

// arrived is of clientSide.
func (l *h2Client) arrived() (bool, error) {
	if l.done {
		return true, nil
	}
	s := l.s
	return s.EndReceived() || s.Queued() >= l.st.R.BufSize() || s.WindowUsed(), s.Err()
}

// more is of clientSide.
func (l *h2Client) more(deadline int64) error {
	st := l.st
	if deadline == 0 {
		deadline = st.R.After(st.FE.Timeouts.Client)
	}
	return l.read.Wait(st.R, deadline)
}

// begin is of clientSide. The connection knows what is of which stream: nothing
// hinders the next request.
func (l *h2Client) begin(body Source, _ bool) (keep bool) {
	st := l.st
	st.bodies = true
	st.download = transfer{st: st, src: body, dst: l, done: body == nil}
	st.download.werr = l.sendHead(&st.Res, body == nil)
	return true
}

// interim is of clientSide.
func (l *h2Client) interim(res *message.Response) error {
	if res.Framing == message.Tunnel { // as an extended CONNECT is accepted
		res.Status, res.Upgrade = 200, nil
		res.Del("sec-websocket-accept")
	}
	return l.sendHead(res, false)
}

// sendHead sends a response's head.
func (l *h2Client) sendHead(res *message.Response, end bool) error {
	if err := l.awaitRoom(); err != nil {
		return err
	}
	l.st.ResOut += int64(l.s.SendHead(res, end))
	l.m.touch()
	return nil
}

// cut is of clientSide: a response is reset, a tunnel just ends.
func (l *h2Client) cut() {
	if l.st.tunnelling {
		l.Send(nil, true, nil)
		return
	}
	l.s.Reset(http2.InternalError)
}

// watch is of clientSide: see changed.
func (l *h2Client) watch(*reactor.Coro) {}

// left is of clientSide.
func (l *h2Client) left() (quiet, gone bool) {
	gone = l.revoked()
	return gone, gone
}

// revoked is of clientSide.
func (l *h2Client) revoked() bool { return l.s.Err() != nil }

// closes is of clientSide.
func (l *h2Client) closes() bool { return false }

// leave is of clientSide.
func (l *h2Client) leave() {
	l.st.left = true // not the client
	l.st.Sess.close()
}
