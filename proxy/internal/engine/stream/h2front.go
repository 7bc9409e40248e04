package stream

import (
	"bytes"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// h2Front is a client's connection of HTTP/2.
type h2Front struct {
	mux
	c *ClientConn
}

var h2Protocol *Protocol

func init() {
	h2Protocol = RegisterProtocol(Protocol{
		Name: "h2", ALPN: "h2", Mode: HTTP, Major: 2,
		preface: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", // RFC 9113 3.4
		front:   startH2,
		back:    startH2Back,
	})
}

// startH2 makes a client's connection HTTP/2. read is what was read of it.
func startH2(c *ClientConn, read []byte) {
	n := &c.FE.FE.Counters[c.r.Index]
	n.H2Sess.Add(1)
	f := &h2Front{c: c}
	f.init(c.Listener.worker, c.r, &c.Conn, true, f, &n.H2)
	c.conn = f
	c.armRequest()
	if len(read) > 0 {
		f.feed(read)
	}
	if c.IsOpen() && c.Conn.CanRead() {
		f.readable()
	}
}

// The following are of front.

func (f *h2Front) protocol() *Protocol { return h2Protocol }

func (f *h2Front) carry(st *Stream) clientSide {
	st.h2 = h2Client{h2Side{st: st, m: &f.mux, client: true}}
	return &st.h2
}

func (f *h2Front) socket() *transport.Conn { return &f.c.Conn }

// serve is not called: there is always a coroutine for each request, or none.
func (f *h2Front) serve() {}

func (f *h2Front) writable() { f.flush() }

func (f *h2Front) local() reactor.Addr { return f.c.Conn.Local() }

// expired ends a connection that nothing happens on.
func (f *h2Front) expired() {
	if f.Streams() > 0 || f.dying {
		return
	}
	f.GoAway(http2.NoError) // says which of its requests was the last
	f.touch()
	if f.flush(); !f.dying {
		f.close()
	}
}

// finish has the client open no other streams.
func (f *h2Front) finish() (idle bool) {
	f.drain()
	return f.Streams() == 0
}

func (f *h2Front) shut() {
	if !f.gone && f.Streams() > 0 {
		f.c.Conn.Local() // while it can be asked for
	}
	f.closed()
	f.c.Conn.Close()
}

func (f *h2Front) glitches() int { return f.Glitches() }

func (f *h2Front) streams() int { return f.Streams() }

func (f *h2Front) limit() int {
	if n := f.w.h2config(f.r, true).MaxStreams; n > 0 {
		return int(n)
	}
	return 100 // tune.h2.max-concurrent-streams
}

// NewStream gives a stream to a request that begins.
func (f *h2Front) NewStream(s *http2.Stream) *message.Request {
	if f.dying || f.r.Refuse() {
		return nil
	}
	st := f.w.streams[f.r.Index].get()
	st.W, st.R, st.Sess = f.w, f.r, &f.c.Session
	st.client = f.carry(st)
	st.h2.s, s.User = s, &st.h2
	f.AcceptInvalid = f.c.Listener.Front.Load().Has(AcceptInvalidRequest)
	return &st.Req
}

// Request starts the exchange of a request whose head is complete.
func (f *h2Front) Request(s *http2.Stream) {
	f.c.timer.Unset()
	if f.w.Stopping.Load() {
		f.drain()
	}
	f.r.Start(s.User.(*h2Client))
}

// The following are of muxEnd.

func (f *h2Front) left() {
	if f.Streams() == 0 && !f.dying {
		f.c.arm(f.idleTimeout())
		f.ping(f.c.Listener.Bind.Load().IdlePing)
	}
}

func (f *h2Front) idleTimeout() time.Duration {
	if f.Draining() {
		return leavingSoon
	}
	return f.c.idleTimeout()
}

func (f *h2Front) drained() {
	switch {
	case f.Accepting():
		// Requests may be on their way: the session's timer ends it.
	case !f.conn.HungUp() && !f.c.FE.Has(NoLinger):
		// The client still says what it has read: were the connection closed now,
		// that would reset it, and destroy the end of the last answer.
		f.linger()
		f.conn.CloseWrite()
	default:
		f.close()
	}
}

func (f *h2Front) violated(err error) {
	if f.w.Snapshot().Global.http2().LogErrors != "none" {
		f.c.logFailure(err)
	}
}

// pinged begins "timeout client" again, but not the others.
func (f *h2Front) pinged() {
	if t := &f.c.FE.Timeouts; t.HTTPKeepAlive == 0 && t.HTTPRequest == 0 {
		f.c.arm(f.idleTimeout())
	}
}

func (f *h2Front) close() { f.c.close() }

// Panicked is of muxEnd.
func (f *h2Front) Panicked() { f.c.Panicked() }

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
		if level := st.Snap.Global.http2().LogErrors; level == "" || level == "stream" {
			s.logFailure(l.s.Err())
		}
	}
	l.leaveStream()
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

// leave is of clientSide: as HAProxy's, a GOAWAY that tells the client is one that
// asks for calm.
func (l *h2Client) leave(told bool) {
	l.st.left = true // not the client
	if !told || l.m.dying {
		l.st.Sess.close()
		return
	}
	l.s.Reset(http2.EnhanceYourCalm)
	l.m.quit(l.m.Quit(http2.EnhanceYourCalm, "a rule rejects it"))
}
