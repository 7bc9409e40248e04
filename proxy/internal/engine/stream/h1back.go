package stream

import (
	"errors"
	"io"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// h1Back is a connection to a server that carries one exchange at a time: of HTTP/1,
// or, as a rawBack, of mode tcp.
type h1Back ServerConn

// The following are of back.

func (b *h1Back) protocol() *Protocol              { return h1Protocol }
func (b *h1Back) connected()                       {}
func (b *h1Back) abandoned()                       {}
func (b *h1Back) writable()                        {}
func (b *h1Back) resumed(*Session)                 {}
func (b *h1Back) share(*Stream, bool) (bool, bool) { return false, false }
func (b *h1Back) glitches() int                    { return 0 }
func (b *h1Back) limit() int                       { return 1 }
func (b *h1Back) streams() int                     { return 1 }

func (b *h1Back) carry(st *Stream) serverSide {
	st.bodies = true
	st.h1srv.st, st.h1srv.up = st, (*ServerConn)(b)
	return &st.h1srv
}

// vacant is of back: a server that speaks out of turn, or ends, makes an idle
// connection useless.
func (b *h1Back) vacant() bool {
	if b.HungUp() {
		return false
	}
	if !b.FD.CanRead() {
		return true
	}
	if b.TLS == nil {
		return false
	}
	// Session tickets and the like are no answer.
	var p [1]byte
	n, err := b.TryRead(p[:])
	return n == 0 && err == nil && !b.HungUp()
}

func (b *h1Back) readable() {
	if c := (*ServerConn)(b); c.idle && !b.vacant() {
		c.leavePool()
		b.discard()
	}
}

func (b *h1Back) discard() {
	c := (*ServerConn)(b)
	c.setIdle(false)
	c.leaveOwner()
	c.Conn.Close()
}

func (b *h1Back) panicked() {
	if c := (*ServerConn)(b); c.idle {
		c.setIdle(false)
		c.leavePool()
		c.leaveOwner()
	}
}

// h1Server is the server's side of an exchange that has its connection to itself.
type h1Server struct {
	st   *Stream
	up   *ServerConn
	in   input    // what was read
	from h1Source // the response's body
	to   h1Sink
}

// source is of side.
func (s *h1Server) source(h *message.Header) Source {
	f := &s.from
	f.st, f.conn, f.in, f.client = s.st, &s.up.Conn, &s.in, false
	f.start(h)
	return f
}

// taken is of side.
func (s *h1Server) taken() bool { return s.from.ended() }

// sink is of side.
func (s *h1Server) sink(f message.Framing) sink {
	s.to = h1Sink{st: s.st, conn: &s.up.Conn, framing: f}
	return &s.to
}

// send is of serverSide.
func (s *h1Server) send() step {
	st := s.st
	if st.extended {
		st.webSocketKey()
	}
	s.up.Prompt(st.FE.Has(HTTPNoDelay) || st.BE.Has(HTTPNoDelay))
	s.sink(st.Req.Framing)
	s.to.request(&st.Req, http1.WriteOptions{Close: st.closesServer() && !st.BE.Has(HTTPPretendKeepalive)})
	return s.sendKept()
}

// sendKept sends the head of a request, which the sink holds, with the body if that is
// there as a whole. The rest is left to the upload.
func (s *h1Server) sendKept() step {
	st := s.st
	body, whole := st.WholeBody()
	err := s.sendFirst(body, whole)
	switch {
	case err == nil:
	case err == reactor.ErrKilled:
		return stop
	case st.Reused && isReset(err):
		return st.retryReused()
	case err == reactor.ErrTimeout:
		st.badAnswer(504, 's')
		return stop
		// Otherwise the server may have answered before it closed.
	}
	st.asked = st.R.Now()
	switch {
	case whole && !st.sentFirst: // an attempt that is made again tells nothing new of the client
		st.sentFirst = true
		st.ReqIn += int64(len(body))
	case !whole && err == nil:
		st.bodyStarted = true
		if st.Req.Framing != message.Tunnel {
			st.upload.start(st, st.reqData, &s.to)
		}
	}
	return next
}

// sendFirst sends the head, with the body if that is there as a whole.
func (s *h1Server) sendFirst(body []byte, whole bool) error {
	st := s.st
	if !whole {
		return s.to.Flush(st.reqData.Ready() && st.Req.Framing != message.Tunnel)
	}
	st.own.p = body
	t := transfer{st: st, src: &st.own, dst: &s.to}
	t.first()
	return t.werr
}

// head is of serverSide.
func (s *h1Server) head() (bool, error) {
	st, in := s.st, &s.in
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: st.BE.Has(AcceptInvalidResponse)}
	for {
		if !in.empty() {
			n, err := http1.ParseResponse(in.bytes(), &st.Res, st.Req.Method, &st.limits)
			switch {
			case err != nil:
				return false, err
			case n > 0:
				return true, s.took(n)
			case in.r > 0:
				in.compact()
			case in.w == len(in.buf):
				return false, errLargeHead
			}
		}
		if n, err := in.read(&s.up.Conn); n == 0 {
			return false, err
		}
	}
}

// took takes a head of n bytes off the buffer.
func (s *h1Server) took(n int) error {
	st := s.st
	if st.Res.Status == 101 {
		if err := st.badUpgrade(); err != nil {
			return err
		}
	}
	s.in.r += n
	st.ResIn += int64(n)
	if !st.isInterim() {
		s.in.base = s.in.r // it stays there
	}
	return nil
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
	errLargeHead = &http1.Error{Status: 502, Reason: "response head too large"}
	errNotAsked  = &http1.Error{Status: 502, Reason: "101 without an upgrade in the request"}
	errNotAgreed = &http1.Error{Status: 502, Reason: "101 to another protocol, or to another key of a WebSocket"}
)

// wait is of serverSide.
func (s *h1Server) wait(deadline int64) error { return s.up.WaitRead(deadline) }

// finish is of serverSide: its side of the connection ends.
func (s *h1Server) finish() bool {
	s.up.CloseWrite()
	return true
}

// fault is of serverSide.
func (s *h1Server) fault(err error) (fault, string) {
	var he *http1.Error
	switch {
	case errors.As(err, &he):
		return malformed, he.Reason
	case s.st.Reused && s.in.empty() && isReset(err):
		return dead, ""
	}
	return broken, ""
}

// isReset tells whether an error means that the peer has closed the connection.
func isReset(err error) bool {
	return err == syscall.ECONNRESET || err == syscall.EPIPE || err == io.EOF
}

// used is of serverSide: the whole buffer is free for the body.
func (s *h1Server) used() { s.in.base = 0 }

// received is of serverSide.
func (s *h1Server) received() int {
	n, _ := bodyIn(s.in.bytes(), &s.st.Res.Header)
	return n
}

// arrived is of serverSide. It reads what there is.
func (s *h1Server) arrived() (bool, error) {
	if s.complete() {
		return true, nil
	}
	n, err := s.in.read(&s.up.Conn)
	return n > 0 && s.complete(), err
}

// complete tells whether what was read of the response will not become more before
// it is passed on.
func (s *h1Server) complete() bool {
	st, in := s.st, &s.in
	if in.w-in.r >= st.R.BufSize()-st.Snap.Global.MaxRewrite || len(in.buf) > 0 && in.w == len(in.buf) {
		return true
	}
	if st.FE.Mode == TCP {
		return false
	}
	_, all := bodyIn(in.bytes(), &st.Res.Header)
	return all || st.headOnly
}

// more is of serverSide.
func (s *h1Server) more(deadline int64) error {
	st := s.st
	for {
		d := deadline
		if t := st.readDeadline(false); t > 0 {
			d = min(d, t)
		}
		switch err := s.up.WaitRead(d); {
		case err == reactor.ErrTimeout && st.R.Now() < deadline && st.tunnelActive(false):
			continue
		case err != nil:
			return err
		}
		if n, err := s.in.read(&s.up.Conn); n > 0 || err != nil {
			if n > 0 {
				err = nil
			}
			return err
		}
	}
}

// cut is of serverSide.
func (s *h1Server) cut() {
	st := s.st
	s.from.cut, st.Res.KeepAlive = true, false
	if st.tunnelling {
		st.upload.kill()
	}
}

// abort is of serverSide.
func (s *h1Server) abort() { s.up.Conn.Close() }

// leave is of serverSide.
func (s *h1Server) leave(keep bool) {
	st, c := s.st, s.up
	keep = keep && !c.once && !st.upHalf && !st.closesServer() && s.clean()
	s.in.release(st.R)
	c.reuse = st.BE.Reuse // whatever was configured since
	if keep && c.rest(st.W, st.Sess) {
		return
	}
	c.leaveOwner()
	c.Conn.Close()
	c.closed()
}

// clean tells whether nothing follows a complete response: bytes behind it, or the
// end, make the connection useless.
func (s *h1Server) clean() bool {
	if s.in.empty() && s.up.CanRead() {
		// Maybe: an edge that was not used up proves nothing.
		if n, err := s.in.read(&s.up.Conn); n > 0 || err != nil {
			return false
		}
	}
	return s.in.empty()
}
