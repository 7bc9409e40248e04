package stream

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// A protocol is a file as this one: what a client's connection of it is and what one
// to a server, and the two sides of an exchange, registered by its name. Phases, rules,
// filters, logs and counters know nothing of it. See TestHelloProtocol.
//
// Hello has heads of one line ("GET /path" asks, "200" answers), each followed by a
// body in chunks. Since it has a connection to itself, as HTTP/1 has, what connections
// do over time is that of HTTP/1.
var helloProtocol *Protocol

func init() {
	helloProtocol = RegisterProtocol(Protocol{
		Name: "hello", Mode: HTTP, Major: 1,
		front: func(c *ClientConn, _ []byte) {
			c.conn = &helloFront{h1Front: (*h1Front)(c)}
			c.conn.serve()
		},
		back: func(c *ServerConn, _ *Stream) { c.back = &helloBack{h1Back: (*h1Back)(c)} },
	})
}

// helloFront is a client's connection.
type helloFront struct {
	*h1Front
	side helloClient
}

func (f *helloFront) protocol() *Protocol { return helloProtocol }

func (f *helloFront) carry(st *Stream) clientSide {
	f.h1Front.carry(st)
	f.side.h1Client = &st.h1
	return &f.side
}

// helloClient is the client's side of an exchange.
type helloClient struct{ *h1Client }

// request is of clientSide.
func (c *helloClient) request() bool {
	st := c.st
	st.Time.Begin = st.R.Now()
	for {
		if line, ok := helloLine(&c.in); ok {
			method, path, _ := bytes.Cut(line, []byte(" "))
			q := &st.Req
			q.Method, q.MethodName, q.Target = message.MethodOf(method), method, path
			q.Version, q.KeepAlive, q.Framing, q.ContentLength = message.HTTP11, true, message.Chunked, -1
			st.HasRequest, st.Time.Request = true, st.R.Now()
			st.ReqIn += int64(len(line) + 1)
			st.keepLine()
			st.reqBody = c.source(&q.Header)
			return true
		}
		if err := c.more(0); err != nil {
			st.readFailed(err)
			return false
		}
	}
}

// begin is of clientSide.
func (c *helloClient) begin(body Source, may bool) (keep bool) {
	st := c.st
	keep = may && st.mayKeep() && (st.upload.running || c.bodyRead())
	c.sink(message.Chunked)
	c.to.fin = !keep
	c.to.out = fmt.Appendf(c.to.buffer(), "%d\n", st.Res.Status)
	st.download = transfer{st: st, src: body, dst: &c.to}
	st.download.first()
	return keep
}

// interim is of clientSide: there are no such heads.
func (c *helloClient) interim(*message.Response) error { return nil }

// helloBack is a connection to a server.
type helloBack struct {
	*h1Back
	side helloServer
}

func (b *helloBack) protocol() *Protocol { return helloProtocol }

func (b *helloBack) carry(st *Stream) serverSide {
	b.h1Back.carry(st)
	b.side.h1Server = &st.h1srv
	return &b.side
}

// helloServer is the server's side of an exchange.
type helloServer struct{ *h1Server }

// send is of serverSide.
func (s *helloServer) send() step {
	s.sink(message.Chunked)
	s.to.out = fmt.Appendf(s.to.buffer(), "%s %s\n", s.st.Req.MethodName, s.st.Req.PathQuery())
	return s.sendKept()
}

// head is of serverSide.
func (s *helloServer) head() (bool, error) {
	for {
		if line, ok := helloLine(&s.in); ok {
			res := &s.st.Res
			res.Reset()
			status, err := strconv.Atoi(string(line))
			if err != nil || status < 200 || status > 999 {
				return false, &http1.Error{Status: 502, Reason: "no status"}
			}
			res.Status, res.Version, res.KeepAlive, res.Framing, res.ContentLength = status, message.HTTP11, true, message.Chunked, -1
			s.st.ResIn += int64(len(line) + 1)
			return true, nil
		}
		n, err := s.in.read(&s.up.Conn)
		switch {
		case err == io.EOF && !s.in.empty():
			return false, io.ErrUnexpectedEOF
		case n == 0:
			return false, err
		}
	}
}

// helloLine takes a line off what was read.
func helloLine(in *input) ([]byte, bool) {
	line, _, ok := bytes.Cut(in.bytes(), []byte("\n"))
	if ok {
		in.r += len(line) + 1
		in.base = in.r
	}
	return line, ok
}
