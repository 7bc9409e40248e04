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
	s.mux = newMux(s.Listener.worker, s.Reactor(), &s.Conn, true)
	s.mux.sess = s
	s.FE.FE.Counters[s.Reactor().Index].H2Sess.Add(1)
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

// Run is the life of an exchange over HTTP/2, in a coroutine of its own.
func (st *Stream) Run() {
	s := st.Sess
	st.co = st.R.Current()
	st.Snap = st.W.Snapshot()
	s.FE = s.Listener.Front.Load()
	st.FE, st.BE = s.FE, s.FE
	now := st.R.Now()
	st.Time.Accept, st.Time.Begin, st.Time.Request = now, now, now
	st.enter()
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders}
	switch {
	case st.client.s.HasRequest():
		st.received()
		if !st.serve() {
			st.client.s.Reset(http2.Cancel) // of no effect on what is complete
		}
	case st.client.s.Malformed():
		st.FE.FE.Counters[st.R.Index].ReqErrors.Add(1)
		st.listenerError()
		if level := st.Snap.Global.H2LogErrors; level == "" || level == "stream" {
			s.logH2(st.client.s.Err())
		}
	}
	st.leaveH2()
}

// logH2 has a violation of HTTP/2 logged (tune.h2.log-errors).
func (s *Session) logH2(err error) {
	if s.FE.LogFail != nil {
		s.FE.LogFail(s, err)
	}
}

// received turns the head as HTTP/2 has it into what rules and logs expect.
func (st *Stream) received() {
	q, l := &st.Req, &st.client
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
		st.reqBody = st.clientSource(&q.Header)
	}
}

// withoutPort is host without the port, if that is usual or empty (RFC 3986
// 6.2.3).
func withoutPort(host []byte, usual string) []byte {
	if n := len(host) - len(usual); n > 0 && string(host[n:]) == usual {
		return host[:n]
	}
	return bytes.TrimSuffix(host, []byte(":"))
}

// leaveH2 ends a stream of Run.
func (st *Stream) leaveH2() {
	st.leave()
	st.client.close()
	st.W.streams[st.R.Index].put(st)
}

// Panicked is told by the reactor that Run died: the stream is given up.
func (st *Stream) Panicked() {
	st.abandon()
	if st.client.on() {
		st.client.s.Reset(http2.InternalError)
	}
	st.client.close() // the stream is not pooled: nobody knows its shape
}

// Leave closes a client's connection of HTTP/2 with all of its exchanges, st
// among them, without a word: for rules that drop a connection. Of HTTP/1 the
// connection ends with its exchange.
func (st *Stream) Leave() {
	if st.client.on() {
		st.left = true // not the client
		st.Sess.close()
	}
}

// clientReset ends an exchange whose client gave it up.
func (st *Stream) clientReset() {
	if st.co == nil {
		return // it has not begun, or has ended
	}
	if st.Time.End == 0 {
		phase := st.phase()
		if phase == 'H' {
			phase, st.Status = 'D', 400
		}
		st.clientLeft(phase)
	}
	st.co.Kill()
}

// sendHead sends a response's head to a client that speaks HTTP/2.
func (st *Stream) sendHead(res *message.Response, end bool) error {
	if err := st.client.awaitRoom(); err != nil {
		return err
	}
	st.ResOut += int64(st.client.s.SendHead(res, end))
	st.client.m.touch()
	return nil
}

// sendRequestH2 is the phase "send" to a server that speaks HTTP/2.
func (st *Stream) sendRequestH2() (again, ok bool) {
	up := st.up
	if st.Req.Upgrade != nil {
		st.Req.Upgrade = st.upgradesTo()
	}
	if st.Req.Upgrade != nil && !st.awaitConnect(up) {
		switch {
		case st.Term.Cause != 0:
			return false, false
		case up.mux.Draining():
			return st.elsewhere() // the server closes: another connection may do
		case st.extended || st.webSocket():
			st.ErrText = "the server takes no extended CONNECT"
			st.fail(502, 'S', 'H')
			return false, false
		}
		st.Req.Upgrade = nil // the client is served without
	}
	whole := (st.Req.Framing == message.NoBody || st.reqData == nil) && st.Req.Upgrade == nil
	st.Res.Reset()
	hs, err := up.mux.Open(&st.Req, &st.Res, &st.server, whole)
	if err != nil {
		return st.elsewhere()
	}
	st.server = h2Side{st: st, m: up.mux, s: hs}
	st.ReqOut += int64(hs.HeadOut)
	up.mux.touch()
	st.asked = st.R.Now()
	if whole || st.Req.Framing == message.Tunnel || st.Req.Upgrade != nil {
		return false, true
	}
	st.bodyStarted = true
	st.upload.start(st, st.reqData, &st.server)
	return false, true
}

// awaitConnect waits for the server's settings, and tells whether they allow an
// extended CONNECT.
func (st *Stream) awaitConnect(up *ServerConn) bool {
	st.awaitSettings(up)
	return up.mux.PeerExtendedConnect() && !up.mux.Draining()
}

// elsewhere has a request that no server has seen sent on a new connection.
func (st *Stream) elsewhere() (again, ok bool) {
	if st.Retries < st.BE.Retries {
		st.noReuse = true
		return st.countRetry(), false
	}
	st.ErrText = "the server opens no more streams"
	st.fail(502, 'S', 'H')
	return false, false
}

// countRetry counts one more attempt.
func (st *Stream) countRetry() bool {
	st.Retries++
	st.BE.BE.Counters[st.R.Index].Retries.Add(1)
	st.serverCounters().Retries.Add(1)
	return true
}

// readResponseH2 is the phase "response" of a server that speaks HTTP/2.
func (st *Stream) readResponseH2() (ok, again bool) {
	l, be := &st.server, st.BE
	for {
		if l.s.HasHead() {
			st.ResIn += int64(st.Res.Size() + len("HTTP/2.0 200 \r\n\r\n"))
			if st.Res.Status < 200 {
				st.answered()
				if !st.interim() {
					return false, false
				}
				l.s.NextHead()
				continue
			}
			if st.Req.Upgrade != nil && st.Res.Status < 300 {
				st.upgradeAccepted()
			}
			st.answered()
			st.gotResponse()
			return true, false
		}
		err := l.s.Err()
		if err == nil {
			if st.upload.broke() {
				st.uploadFailed()
				return false, false
			}
			if err = st.awaitServerH2(); err == nil {
				continue
			}
		}
		if st.Term.Cause != 0 {
			return false, false
		}
		switch {
		case err == reactor.ErrTimeout:
			st.badAnswer(504, 's')
		case err == errClientLeft:
			st.clientBroke('D')
		case isRefused(err) && st.replayableBody() && st.Retries < be.Retries:
			st.noReuse = true
			return false, st.countRetry()
		case isLost(err) && st.Reused && l.s.ID > 1: // 1: it waited for the connection, which never served anyone
			return false, st.retryReused()
		default:
			st.ErrText = err.Error()
			if l.s.Malformed() {
				st.badAnswer(502, 'P')
			} else {
				st.badAnswer(502, 'S')
			}
		}
		return false, false
	}
}

// isLost tells whether the connection to the server ended.
func isLost(err error) bool { return isReset(err) || err == reactor.ErrClosed }

// replayableBody tells whether nothing of the request's body was consumed.
func (st *Stream) replayableBody() bool { return !st.bodyStarted }

// awaitServerH2 is [Stream.awaitServer] for a server that speaks HTTP/2.
func (st *Stream) awaitServerH2() error {
	s, l := st.Sess, &st.server
	for {
		watch := !st.client.on() && !st.upload.running && st.aborts()
		if watch && s.HungUp() {
			if st.clientGone() {
				return errClientLeft
			}
			watch = false
		}
		if watch {
			s.Watch(st.co)
		}
		uploading := st.upload.running
		err := l.read.Wait(st.R, st.headDeadline())
		if watch {
			s.Watch(nil)
		}
		if err != nil || l.s.HasHead() || l.s.Err() != nil || uploading != st.upload.running {
			return err
		}
	}
}
