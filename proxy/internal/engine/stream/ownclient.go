package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// Client is a client that the proxy itself is, as health checks are: it makes
// connections and asks, over the same backs as exchanges of clients, in whatever
// protocol is registered. Its connections are its own, one at a time; nobody else uses
// them, and nothing that is told of proxies and servers counts them.
//
// It is used by one coroutine. What it waits for ends with [reactor.ErrTimeout] at
// Deadline, however much comes meanwhile.
type Client struct {
	// Deadline is on the reactor's clock, 0: there is none. It is for [Client.Send] and
	// what follows.
	Deadline int64

	w     *Worker
	r     *reactor.Reactor
	sess  Session
	conn  *ServerConn
	st    *Stream // nil: nothing was asked
	src   Source  // of the response's body, nil: its head has not come
	res   message.Response
	body  bytesSource
	timer reactor.Timer
	late  bool
	spoke bool // a protocol was chosen
}

// ownParty is what the clients that the proxy itself is stand for: proxies and a server
// that no configuration names. Timers are not theirs.
type ownParty struct {
	keeps, closes *Proxy // the connection, after an exchange
	srv           *server.Server
}

func newOwnParty(rs []*reactor.Reactor) ownParty {
	n, now := len(rs), rs[0].Sys.Wall()
	set := &server.Settings{Addr: reactor.Addr{Path: "own"}, Weight: 1, PoolMaxConn: -1, MaxReuse: -1}
	p := &Proxy{Mode: HTTP, Reuse: ReuseNever, FE: NewFrontState("", n), BE: NewBackState("", n, now)}
	c := *p
	c.Options = HTTPServerClose
	return ownParty{keeps: p, closes: &c, srv: server.New("", "", 0, n, set, now)}
}

// NewClient makes a client on a reactor.
func (w *Worker) NewClient(r *reactor.Reactor) *Client {
	c := &Client{w: w, r: r, sess: Session{r: r, FE: w.own.keeps, open: true}, conn: new(ServerConn)}
	c.timer.Fire = (*clientTimer)(c)
	return c
}

// Conn is the connection. Before [Client.Request] was called it is a plain one.
func (c *Client) Conn() *transport.Conn { return &c.conn.Conn }

// Connect makes a connection, as [Connect] does, in place of the one before.
func (c *Client) Connect(to, source reactor.Addr, deadline int64) error {
	c.Close(false)
	c.conn = &ServerConn{srv: c.w.own.srv, reuse: ReuseNever, uses: 1}
	c.conn.back = rawBack{(*h1Back)(c.conn)}
	return Connect(c.r, &c.conn.FD, c.conn, to, source, deadline)
}

// Speaks is the protocol that the connection is to speak: the one of that name, or,
// without one, what TLS agreed on, or HTTP/1.
func (c *Client) Speaks(name string) *Protocol {
	p := ProtocolNamed(name)
	if (p == nil || p.Mode != HTTP) && c.conn.TLS != nil {
		p = protocolOf(c.conn.TLS.Protocol())
	}
	if p == nil || p.Mode != HTTP || p.back == nil {
		p = h1Protocol
	}
	return p
}

// Request begins an exchange over the connection, in a protocol that it keeps to, and
// gives the head to be filled: the method with its name, the target, the version, the
// fields and KeepAlive. The response to the one before is gone.
func (c *Client) Request(p *Protocol) (*message.Request, error) {
	c.endExchange(c.src != nil && c.st.Res.KeepAlive && c.st.server.taken())
	if c.st == nil {
		c.st = c.w.streams[c.r.Index].get()
	} else {
		c.st.reset()
	}
	st := c.st
	st.W, st.R, st.Snap, st.Sess = c.w, c.r, c.w.Snapshot(), &c.sess
	st.FE, st.BE = c.w.own.keeps, c.w.own.keeps
	st.client, st.co = ownSide{c}, c.r.Current()
	switch {
	case !c.conn.IsOpen():
		return nil, reactor.ErrClosed
	case !c.spoke:
		c.spoke = true
		c.conn.srv.Use()
		p.back(c.conn, st)
		c.conn.back.connected()
		if c.conn.CanRead() {
			c.conn.back.readable() // what came before is told of no more
		}
		st.goOver(c.conn)
	case !c.conn.idle || !c.conn.back.vacant():
		return nil, reactor.ErrClosed
	default:
		st.take(c.conn)
	}
	return &st.Req, nil
}

// Send sends the request, with a body if there is one.
func (c *Client) Send(body []byte) error {
	st := c.st
	q := &st.Req
	q.Framing, q.ContentLength = message.NoBody, -1
	if len(body) > 0 {
		q.Framing, q.ContentLength = message.Length, int64(len(body))
		c.body.p = body
		st.reqBody, st.reqData = &c.body, &c.body
	}
	if !q.KeepAlive {
		st.BE = c.w.own.closes
	}
	st.HasRequest = true
	if c.Deadline > 0 {
		c.r.Set(&c.timer, c.Deadline)
	}
	if st.server.send() == next {
		return nil
	}
	return c.failed(reactor.ErrClosed)
}

// Receive waits for the head of the response. Interim ones are passed by.
func (c *Client) Receive() (*message.Response, error) {
	st := c.st
	for {
		if err := st.awaitHead(); err != nil {
			return nil, c.failed(err)
		}
		if !st.isInterim() {
			break
		}
	}
	st.HasResponse = true
	c.keepHead(&st.Res)
	c.src = st.server.source(&st.Res.Header)
	st.server.used()
	return &c.res, nil
}

// keepHead copies a head: its memory is that of the body that follows.
func (c *Client) keepHead(res *message.Response) {
	c.res.Reset()
	c.res.Grow(res.Size() + len(res.Reason))
	c.res.Version, c.res.Framing, c.res.ContentLength, c.res.KeepAlive = res.Version, res.Framing, res.ContentLength, res.KeepAlive
	c.res.Status, c.res.Reason = res.Status, c.res.Copy(res.Reason)
	for i := range res.Fields {
		c.res.Add(c.res.Copy(res.Fields[i].Name), c.res.Copy(res.Fields[i].Value))
	}
}

// Next and Wait are those of the body's [Source], once the head has come.

// Next gives what is at hand of the body.
func (c *Client) Next(max int) (p []byte, last bool, err error) {
	p, last, err = c.src.Next(max)
	if err != nil {
		err = c.failed(err)
	}
	return p, last, err
}

// Wait waits for more of it.
func (c *Client) Wait() error {
	if err := c.src.Wait(); err != nil {
		return c.failed(err)
	}
	return nil
}

// failed is what an error means.
func (c *Client) failed(err error) error {
	if c.late && err != reactor.ErrKilled {
		return reactor.ErrTimeout
	}
	return err
}

// Close ends the connection, if there is one: with a word, or with a reset.
func (c *Client) Close(reset bool) {
	c.r.Remove(&c.timer)
	if reset {
		c.conn.ResetOnClose()
	}
	c.endExchange(false)
	c.sess.leaveConns()
	c.conn.Conn.Close()
	if c.st != nil {
		c.w.streams[c.r.Index].put(c.st)
	}
	c.st, c.spoke, c.late = nil, false, false
}

// endExchange ends the one that there is. keep tells whether the connection can carry
// another one.
func (c *Client) endExchange(keep bool) {
	if st := c.st; st != nil {
		sent := st.finishUpload()
		st.leaveServer(keep && sent)
	}
	c.src = nil
}

// clientTimer is the deadline.
type clientTimer Client

// Fire has whatever is waited for fail.
func (t *clientTimer) Fire() {
	t.late = true
	t.st.abortServer()
}

// Panicked is told by the reactor that Fire died.
func (t *clientTimer) Panicked() { t.conn.Conn.Close() }

// ownSide is the client's side of an exchange that the proxy itself asks for: there is
// nobody who could leave, and the body is at hand.
type ownSide struct{ c *Client }

func (o ownSide) source(*message.Header) Source   { return &o.c.body }
func (o ownSide) taken() bool                     { return len(o.c.body.p) == 0 }
func (o ownSide) sink(message.Framing) sink       { return nil }
func (o ownSide) request() bool                   { return true }
func (o ownSide) atHand() []byte                  { return o.c.body.p }
func (o ownSide) received() int                   { return len(o.c.body.p) }
func (o ownSide) arrived() (bool, error)          { return true, nil }
func (o ownSide) more(int64) error                { return reactor.ErrClosed }
func (o ownSide) begin(Source, bool) bool         { return false }
func (o ownSide) interim(*message.Response) error { return nil }
func (o ownSide) cut()                            {}
func (o ownSide) watch(*reactor.Coro)             {}
func (o ownSide) left() (quiet, gone bool)        { return false, false }
func (o ownSide) revoked() bool                   { return false }
func (o ownSide) closes() bool                    { return true }
func (o ownSide) leave(bool)                      {}
