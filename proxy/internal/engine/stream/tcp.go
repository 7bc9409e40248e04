package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// rawFront is a client's connection that is passed on as it comes.
type rawFront ClientConn

var rawProtocol = RegisterProtocol(Protocol{
	Name: "none", Mode: TCP,
	front: func(c *ClientConn, _ []byte) { c.speak(TCP); c.conn.serve() },
	back:  func(c *ServerConn, _ *Stream) { c.back = rawBack{(*h1Back)(c)} },
})

// serve is the life of a connection in mode tcp.
func (f *rawFront) serve() {
	f.attach().live(tcpLife)
	f.detach()
	f.close()
}

// The following are of front.

func (f *rawFront) protocol() *Protocol         { return rawProtocol }
func (f *rawFront) carry(st *Stream) clientSide { return (*h1Front)(f).carry(st) }
func (f *rawFront) socket() *transport.Conn     { return &f.Conn }
func (f *rawFront) local() reactor.Addr         { return f.Conn.Local() }
func (f *rawFront) readable()                   { (*ClientConn)(f).wake() }
func (f *rawFront) writable()                   {}
func (f *rawFront) expired()                    { f.close() }
func (f *rawFront) finish() (idle bool)         { return true }
func (f *rawFront) shut()                       { f.Conn.Close() }
func (f *rawFront) glitches() int               { return 0 }
func (f *rawFront) limit() int                  { return 1 }
func (f *rawFront) streams() int                { return 1 }

// rawBack is a connection to a server that is passed on as it comes.
type rawBack struct{ *h1Back }

func (rawBack) protocol() *Protocol { return rawProtocol }

// frontendTCP is the phase "frontend" of mode tcp.
func (st *Stream) frontendTCP() step {
	s, fe := st.Sess, st.FE
	st.Time.Begin = s.Accepted
	st.Time.Request = s.Accepted + int64(s.HandshakeMs)*1e6
	s.Requests++
	st.number()
	if fe.LogBegin != nil {
		fe.LogBegin(s)
	}
	st.logStep(LogAccept)
	st.attach(fe)
	if !st.inspectRequest(fe) {
		return stop
	}
	return next
}

// backendTCP is the phase "backend" of mode tcp.
func (st *Stream) backendTCP() step {
	if st.BE != st.FE && !st.inspectRequest(st.BE) {
		return stop
	}
	st.unpeek()
	st.awaitFirst()
	call(st.BE.OnChoose, st)
	return next
}

// responseRulesTCP is the phase "response rules" of mode tcp.
func (st *Stream) responseRulesTCP() step {
	st.logSoon(st.Time.Connected)
	st.beginTunnel()
	if st.inspectResponse() || st.download.failed() {
		return next // what failed is noted there
	}
	st.came(false, int64(len(st.h1srv.in.bytes()))) // what was only looked at
	st.abortServer()
	return stop
}

// forwardTCP is the phase "forward" of mode tcp.
func (st *Stream) forwardTCP() step {
	st.tunnel()
	return next
}

// finishTCP is the phase "end" of mode tcp.
func (st *Stream) finishTCP() step {
	st.came(true, int64(len(st.h1.in.bytes()))) // what was only looked at
	st.quiet = st.FE.Has(DontLogNull) && st.ReqIn == 0 && !st.spoke()
	return st.finish()
}

// spoke tells whether the client has sent something that nobody has read. What
// it is gets lost.
func (st *Stream) spoke() bool {
	if !st.Sess.IsOpen() {
		return false
	}
	n, _ := st.h1.conn.TryRead(st.R.Scratch)
	return n > 0
}
