package stream

import (
	"bytes"
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// h1Client is the client's side of an exchange that has its connection to itself:
// one of HTTP/1, or of mode tcp.
type h1Client struct {
	st    *Stream
	conn  *transport.Conn
	in    input    // what was read
	from  h1Source // the request's body
	to    h1Sink
	ahead arrival // of a body that is waited for
	// becomes is the protocol that the connection turned out to speak instead.
	becomes *Protocol
}

// arrival is how far a body that nobody takes yet has been looked through.
type arrival struct {
	chunks http1.Chunks
	seen   int
}

// h1Front is a client's connection of HTTP/1.
type h1Front ClientConn

var h1Protocol = RegisterProtocol(Protocol{
	Name: "h1", ALPN: "http/1.1", Mode: HTTP, Major: 1,
	front: func(c *ClientConn, _ []byte) { c.speak(HTTP); c.conn.serve() },
	back:  func(c *ServerConn, _ *Stream) { c.back = (*h1Back)(c) },
})

// The following are of front.

func (f *h1Front) protocol() *Protocol     { return h1Protocol }
func (f *h1Front) socket() *transport.Conn { return &f.Conn }
func (f *h1Front) local() reactor.Addr     { return f.Conn.Local() }
func (f *h1Front) readable()               { (*ClientConn)(f).wake() }
func (f *h1Front) writable()               {}
func (f *h1Front) finish() (idle bool)     { return true }
func (f *h1Front) shut()                   { f.Conn.Close() }
func (f *h1Front) glitches() int           { return 0 }
func (f *h1Front) limit() int              { return 1 }
func (f *h1Front) streams() int            { return 1 }

func (f *h1Front) carry(st *Stream) clientSide {
	st.h1.st, st.h1.conn, st.h1.becomes = st, &f.Conn, nil
	return &st.h1
}

// expired answers a client that never sent a request.
func (f *h1Front) expired() {
	if f.Requests == 0 && f.counted {
		f.busy = true
		f.r.Start((*sessionTimer)(&f.Session))
		return
	}
	f.close()
}

// serve handles requests until the connection is idle or ends.
func (f *h1Front) serve() {
	s := &f.Session
	st := s.attach()
	if st.R.Refuse() {
		st.starve()
		f.end()
		return
	}
	if (s.TLS != nil || s.greeted) && s.Requests == 0 {
		// What came first need not be followed by a request at once.
		if n, err := st.h1.in.read(&f.Conn); n == 0 && err == nil {
			s.detach()
			s.armRequest()
			return
		}
	}
	for n := 1; f.exchange(); n++ {
		if n%16 == 0 && st.R.Yield() != nil {
			f.end()
			return
		}
	}
}

// exchange handles a request. It tells whether the next one is there already, of
// which the stream is then.
func (f *h1Front) exchange() (more bool) {
	s, st := &f.Session, f.st
	keep := st.live(httpLife)
	switch {
	case st.h1.becomes != nil:
		s.st = nil
		st.h1.becomes.front((*ClientConn)(f), st.h1.in.bytes())
		s.st = st
		s.detach()
	case !keep || !s.IsOpen():
		if !st.cut {
			st.h1.linger()
		}
		f.end()
	case st.h1.in.empty() && f.ended():
		f.end()
	case st.h1.in.empty():
		s.detach()
		s.arm(s.idleTimeout())
	default:
		f.next()
		return true
	}
	return false
}

// ended reads what there is, and tells whether that is the end.
func (f *h1Front) ended() bool {
	if !f.Conn.CanRead() {
		return false
	}
	// Maybe: an edge that was not used up proves nothing.
	n, err := f.st.h1.in.read(&f.Conn)
	return n == 0 && err != nil
}

// next makes the stream that of the next request.
func (f *h1Front) next() {
	st := f.st
	st.h1.in.compact()
	co, ended := st.co, st.Time.End
	st.reset()
	st.co = co
	st.Snap = st.W.Snapshot()
	f.FE = f.Listener.Front.Load()
	st.FE, st.BE = f.FE, f.FE
	st.Time.Accept = ended
}

// end ends the connection after its last exchange.
func (f *h1Front) end() {
	f.detach()
	f.close()
}

// starve answers a request for which there is no memory, unread.
func (st *Stream) starve() {
	st.Time.Begin = st.R.Now()
	st.fail(503, 'R', 'R')
	st.reply()
	// What is there already would reset the connection, and the answer with it.
	st.h1.conn.TryRead(st.R.Scratch)
	st.finish()
}

// request is of clientSide.
func (c *h1Client) request() bool {
	st := c.st
	st.Time.Begin = st.R.Now()
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: st.FE.Has(AcceptInvalidRequest)}
	deadline := c.headDeadline()
	for {
		if done, ok := c.parse(); done {
			return ok
		}
		if err := c.more(deadline); err != nil {
			st.readFailed(err)
			return false
		}
	}
}

// headDeadline is until when the head of a request has to be there, 0: as long as it
// goes on coming.
func (c *h1Client) headDeadline() int64 {
	st := c.st
	switch d := int64(st.FE.Timeouts.HTTPRequest); {
	case d <= 0:
		return 0
	case st.Sess.Requests == 0:
		return st.Sess.Accepted + d
	default:
		return st.Time.Begin + d
	}
}

// parse looks at what was read for the head of a request. done tells whether no more of
// it needs to be read, and ok whether there is one: if not, the exchange is over.
func (c *h1Client) parse() (done, ok bool) {
	st := c.st
	if c.in.empty() {
		return false, false
	}
	if st.Sess.Requests == 0 && st.Sess.mayUpgrade() {
		p, sure := protocolBegun(c.in.bytes())
		if p != nil {
			st.quiet, c.becomes = true, p
			return true, false
		}
		if !sure {
			return false, false
		}
	}
	limit := st.R.BufSize() - st.Snap.Global.MaxRewrite
	n, err := http1.ParseRequest(c.in.bytes(), &st.Req, &st.limits)
	switch {
	case n > 0 && n <= limit:
		c.took(n)
		return true, true
	case err != nil || n > limit || c.in.w-c.in.r >= limit:
		c.malformed(err)
		return true, false
	}
	return false, false
}

// took takes a head of n bytes off the buffer, where it stays.
func (c *h1Client) took(n int) {
	st := c.st
	c.in.r += n
	c.in.base = c.in.r
	st.HasRequest = true
	st.headOnly = st.Req.Method == message.Head
	st.Time.Request = st.R.Now()
	st.ReqIn += int64(n)
	st.keepLine()
	if st.Req.Framing != message.NoBody {
		st.reqBody = st.client.source(&st.Req.Header)
	}
}

// malformed answers what is no request, or, without an error, is too large for one.
func (c *h1Client) malformed(err error) {
	st := c.st
	status := 431
	st.ErrText = "request head too large"
	var he *http1.Error
	switch {
	case errors.As(err, &he):
		status, st.ErrText = he.Status, he.Reason
	case bytes.IndexByte(c.in.bytes(), '\n') < 0:
		status, st.ErrText = 414, "request target too long"
	}
	st.badRequest(status, 'P')
}

// readFailed ends an exchange whose request did not arrive.
func (st *Stream) readFailed(err error) {
	nothing := st.h1.in.empty()
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

// more is of clientSide.
func (c *h1Client) more(deadline int64) error {
	for {
		n, err := c.in.read(c.conn)
		if n > 0 || err != nil {
			if n > 0 {
				err = nil
			}
			return err
		}
		d := deadline
		if d == 0 {
			d = c.st.R.After(c.st.FE.Timeouts.Client)
		}
		if err := c.conn.WaitRead(d); err != nil {
			return err
		}
	}
}

// source is of side.
func (c *h1Client) source(h *message.Header) Source {
	c.st.bodies = true
	c.ahead = arrival{}
	s := &c.from
	s.st, s.conn, s.in, s.client = c.st, c.conn, &c.in, true
	s.start(h)
	return s
}

// taken is of side.
func (c *h1Client) taken() bool { return c.from.ended() }

// sink is of side.
func (c *h1Client) sink(f message.Framing) sink {
	c.st.bodies = true
	c.to = h1Sink{st: c.st, conn: c.conn, framing: f, client: true}
	return &c.to
}

// atHand is of clientSide: of a chunked body, what the first chunk holds.
func (c *h1Client) atHand() []byte {
	if c.taken() {
		return nil
	}
	p := c.in.bytes()
	switch c.st.Req.Framing {
	case message.Length:
		return p[:min(int64(len(p)), c.from.left)]
	case message.Chunked:
		for chunks := c.from.chunks; ; {
			data, n, done, err := chunks.Next(p, nil)
			if len(data) > 0 || n == 0 || done || err != nil {
				return data
			}
			p = p[n:]
		}
	}
	return nil
}

// received is of clientSide.
func (c *h1Client) received() int {
	if c.taken() {
		return 0
	}
	n, _ := bodyIn(c.in.bytes(), &c.st.Req.Header)
	return n
}

// arrived is of clientSide.
func (c *h1Client) arrived() (bool, error) {
	if c.taken() {
		return true, nil
	}
	a := &c.ahead
	switch b := c.in.bytes(); c.st.Req.Framing {
	case message.Length:
		if int64(len(b)) >= c.from.left {
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
	return c.in.w >= c.st.R.BufSize(), nil
}

// begin is of clientSide.
func (c *h1Client) begin(body Source, may bool) (keep bool) {
	st, res, t := c.st, &c.st.Res, &c.st.download
	may = may && (st.upload.running || c.bodyRead())
	v10 := st.Req.Version == message.HTTP10
	if res.Framing == message.Chunked && v10 {
		res.Framing = message.Close // HTTP/1.0 knows no chunks
	}
	keep = may && st.mayKeep() && res.Framing != message.Close
	k := &c.to
	c.sink(res.Framing)
	k.fin = !keep
	if st.headOnly {
		k.framing = message.NoBody
	}
	k.response(res, http1.WriteOptions{Close: !keep, Peer10: v10 && st.HasRequest, Head: st.headOnly})
	*t = transfer{st: st, src: body, dst: k}
	t.first()
	return keep
}

// interim is of clientSide.
func (c *h1Client) interim(res *message.Response) error {
	c.sink(message.NoBody)
	c.to.response(res, http1.WriteOptions{})
	return c.to.Flush(false)
}

// cut is of clientSide: a reset says it where a FIN would say that the response is
// complete.
func (c *h1Client) cut() {
	switch st := c.st; {
	case st.tunnelling:
		if !st.FE.Has(NoLinger) { // else a reset is to follow
			c.conn.CloseWrite()
		}
	case st.Res.Framing == message.Close:
		st.cut = true
		c.conn.ResetOnClose()
	}
}

// watch is of clientSide.
func (c *h1Client) watch(co *reactor.Coro) { c.conn.Watch(co) }

// left is of clientSide. Who has closed one direction may still have said more: a
// pipelined request would be answered.
func (c *h1Client) left() (quiet, gone bool) {
	switch {
	case !c.conn.HungUp():
		return false, false
	case c.conn.Broken():
		return true, true
	case !c.in.empty():
		return false, false
	}
	n, err := c.in.read(c.conn)
	return n == 0 && err != nil, false
}

// revoked is of clientSide: who speaks HTTP/1 can only leave.
func (c *h1Client) revoked() bool { return false }

// closes is of clientSide.
func (c *h1Client) closes() bool { return true }

// leave is of clientSide.
func (c *h1Client) leave(bool) {}

// bodyRead tells whether nothing of the request's body is left to be read: only
// then can the next request be found.
func (c *h1Client) bodyRead() bool {
	st := c.st
	switch st.Req.Framing {
	case message.NoBody:
		return true
	case message.Length:
		left := st.Req.ContentLength
		if st.bodyStarted {
			left = c.from.left
		}
		if left > int64(len(c.in.bytes())) {
			return false
		}
		c.in.r += int(left)
		st.bodyStarted, c.from.left, c.from.done = true, 0, true
		return true
	}
	return st.bodyStarted && c.from.ended()
}

// unheard tells whether the client says more than was read, or still will.
func (c *h1Client) unheard() bool {
	st := c.st
	if st.pipelined || !c.bodyRead() {
		return true
	}
	if !c.conn.CanRead() {
		return false
	}
	// Maybe: an edge that was not used up proves nothing, nor does TLS that was not
	// asked since its last record.
	n, err := c.in.read(c.conn)
	st.pipelined = n > 0
	return n > 0 || err == nil && c.conn.CanRead()
}

// mayUpgrade tells whether a connection that began as HTTP/1 may become another
// protocol by what it says.
func (s *Session) mayUpgrade() bool {
	return s.Listener.Bind.Load().Proto == "" && !s.FE.Has(DisableH2Upgrade)
}

// linger closes after a reply to a client that may still be sending: closing at
// once would reset the connection and destroy the reply.
func (c *h1Client) linger() {
	st, s := c.st, c.st.Sess
	if s.IsOpen() && c.unheard() && !c.conn.Broken() && !s.FE.Has(NoLinger) {
		c.conn.CloseWrite()
		until := st.R.Now() + lingering
		for range 256 {
			if _, err := c.conn.Read(st.R.Scratch, until); err != nil {
				break
			}
		}
	}
	s.close()
}
