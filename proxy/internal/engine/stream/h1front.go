package stream

import (
	"bytes"
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// A client that speaks HTTP/1.

// serveHTTP handles requests until the connection is idle or ends.
func (s *Session) serveHTTP() {
	if s.forcedH2() {
		s.startH2(nil)
		return
	}
	st := s.attach()
	if st.R.Refuse() {
		st.starve()
		s.detach()
		s.close()
		return
	}
	if (s.TLS != nil || s.Proxied != nil) && s.Requests == 0 {
		// What came first need not be followed by a request at once.
		if n, err := st.in.read(&s.Conn); n == 0 && err == nil {
			s.detach()
			s.armRequest()
			return
		}
	}
	for n := 1; ; n++ {
		keep := st.exchange()
		if s.mux != nil { // it began with HTTP/2's preface
			s.st = st
			s.detach()
			return
		}
		if !keep || !s.IsOpen() {
			if !st.cut {
				s.linger(st)
			}
			s.detach()
			s.close()
			return
		}
		if st.in.empty() && s.CanRead() {
			// Maybe: an edge that was not used up proves nothing.
			if n, err := st.in.read(&s.Conn); n == 0 && err != nil {
				s.detach()
				s.close()
				return
			}
		}
		if st.in.empty() {
			s.detach()
			s.arm(s.idleTimeout())
			return
		}
		// The next request is there already.
		st.in.compact()
		co := st.co
		ended := st.Time.End
		st.reset()
		st.co = co
		st.Snap = st.W.Snapshot()
		s.FE = s.Listener.Front.Load()
		st.FE, st.BE = s.FE, s.FE
		st.Time.Accept = ended
		if n%16 == 0 && st.R.Yield() != nil {
			s.detach()
			s.close()
			return
		}
	}
}

// starve answers a request for which there is no memory, unread.
func (st *Stream) starve() {
	st.Time.Begin = st.R.Now()
	st.fail(503, 'R', 'R')
	st.answer()
	// What is there already would reset the connection, and the answer with it.
	st.Sess.TryRead(st.R.Scratch)
	st.finish()
}

// exchange is one request and its response. It tells whether the connection may
// be used for another.
func (st *Stream) exchange() (keep bool) {
	s := st.Sess
	st.Time.Begin = st.R.Now()
	if !st.readRequest() {
		if s.mux != nil {
			return false // it was no request, but HTTP/2
		}
		if st.answering() {
			st.answer()
		}
		st.finish()
		return false
	}
	return st.serve()
}

// readRequest is the phase "request".
func (st *Stream) readRequest() bool {
	s, fe := st.Sess, st.FE
	var deadline int64
	if d := fe.Timeouts.HTTPRequest; d > 0 {
		deadline = st.Time.Begin + int64(d)
		if s.Requests == 0 {
			deadline = s.Accepted + int64(d)
		}
	}
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: fe.Has(AcceptInvalidRequest)}
	limit := st.R.BufSize() - st.Snap.Global.MaxRewrite
	for {
		if !st.in.empty() {
			if s.Requests == 0 && st.in.bytes()[0] == 'P' && s.mayUpgrade() {
				if yes, sure := speaksH2(st.in.bytes()); yes {
					read := st.in.bytes()
					st.quiet = true
					s.st = nil
					s.startH2(read)
					st.in.r = st.in.w
					return false
				} else if !sure {
					if err := st.moreOfRequest(deadline); err != nil {
						st.readFailed(err)
						return false
					}
					continue
				}
			}
			n, err := http1.ParseRequest(st.in.bytes(), &st.Req, &st.limits)
			if n > 0 && n <= limit {
				st.in.r += n
				st.in.base = st.in.r
				st.HasRequest = true
				st.headOnly = st.Req.Method == message.Head
				st.Time.Request = st.R.Now()
				st.ReqIn += int64(n)
				st.keepLine()
				if st.Req.Framing != message.NoBody {
					st.reqBody = st.clientSource(&st.Req.Header)
				}
				return true
			}
			if err != nil || n > limit || st.in.w-st.in.r >= limit {
				status := 431
				st.ErrText = "request head too large"
				var he *http1.Error
				switch {
				case errors.As(err, &he):
					status, st.ErrText = he.Status, he.Reason
				case bytes.IndexByte(st.in.bytes(), '\n') < 0:
					status, st.ErrText = 414, "request target too long"
				}
				st.badRequest(status, 'P')
				return false
			}
		}
		if err := st.moreOfRequest(deadline); err != nil {
			st.readFailed(err)
			return false
		}
	}
}

// moreOfRequest reads more of a request's head, waiting until the deadline (0:
// timeout client).
func (st *Stream) moreOfRequest(deadline int64) error {
	s := st.Sess
	for {
		n, err := st.in.read(&s.Conn)
		if n > 0 || err != nil {
			if n > 0 {
				err = nil
			}
			return err
		}
		d := deadline
		if d == 0 {
			d = st.R.After(st.FE.Timeouts.Client)
		}
		if err := s.WaitRead(d); err != nil {
			return err
		}
	}
}

// readFailed ends an exchange whose request did not arrive.
func (st *Stream) readFailed(err error) {
	nothing := st.in.empty()
	if err == reactor.ErrKilled && nothing || nothing && (st.Sess.Requests > 0 || st.FE.Has(HTTPIgnoreProbes)) {
		st.quiet = true // a connection that was idle, or opened in advance, ends
		return
	}
	st.quiet = nothing && st.FE.Has(DontLogNull)
	if err == reactor.ErrTimeout {
		st.badRequest(408, 'c')
		return
	}
	st.badRequest(400, 'C') // who has closed one direction may still read
}
