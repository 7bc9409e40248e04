package check

import (
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// h2 is a check's connection that speaks HTTP/2, with one stream at a time.
type h2 struct {
	http2.Conn
	r   *reactor.Reactor
	req message.Request
	s   *http2.Stream
	buf []byte
	err error // of the connection
}

var h2Config = http2.Config{MaxFrame: 16384}

// Buffer, Release, NewStream, Request, Response and Changed are the connection's
// [http2.Owner]; the coroutine looks for itself what has come.

func (h *h2) Buffer() []byte                           { return h.r.Buffer() }
func (h *h2) Release(b []byte)                         { h.r.Release(b) }
func (h *h2) Refuse() bool                             { return false }
func (h *h2) NewStream(*http2.Stream) *message.Request { return nil }
func (h *h2) Request(*http2.Stream)                    {}
func (h *h2) Response(*http2.Stream)                   {}
func (h *h2) Changed(*http2.Stream)                    {}

// free gives the connection's memory back. h may be nil.
func (h *h2) free() {
	if h == nil {
		return
	}
	if h.s != nil {
		h.s.Close()
	}
	h.Free()
	h.r.Release(h.buf)
}

// sendH2 sends a request that is written in HTTP/1's form; its head has so many
// bytes.
func (p *probe) sendH2(req []byte, head int) (outcome, bool) {
	h := p.h2
	if h == nil {
		h = &h2{r: p.r, buf: p.r.Buffer()}
		h.Init(&h2Config, h)
		h.Secure = p.conn.TLS != nil
		p.h2 = h
	}
	if h.s != nil {
		h.s.Close()
		h.s = nil
	}
	h.req.Reset()
	p.res.Reset()
	body := req[head:]
	_, err := http1.ParseRequest(req[:head], &h.req, nil)
	if err == nil {
		h.s, err = h.Open(&h.req, &p.res, nil, len(body) == 0)
	}
	if err != nil {
		return outcome{status: "L7RSP", info: err.Error()}, false
	}
	for {
		sent := 0
		if len(body) > 0 {
			sent = h.s.SendData(body, true)
		}
		body = body[sent:]
		if out, killed := p.flushH2(); out.status != "" || killed {
			return out, killed
		}
		if len(body) == 0 {
			return outcome{}, false
		}
		if err := p.receiveH2(); err != nil { // for room
			return p.broken(err, "L7TOUT")
		}
		if h.err != nil || h.s.Err() != nil {
			return outcome{status: "L7RSP"}, false
		}
	}
}

func (p *probe) flushH2() (outcome, bool) {
	for {
		b := p.h2.Out()
		if len(b) == 0 {
			return outcome{}, false
		}
		if out, killed := p.write(b, "L7TOUT"); out.status != "" || killed {
			return out, killed
		}
		p.h2.Sent(len(b))
	}
}

// receiveH2 reads more of the response, of which the body goes to the buffer as
// far as there is room.
func (p *probe) receiveH2() error {
	h := p.h2
	n, err := p.conn.Read(h.buf, p.deadline)
	if err != nil {
		return err
	}
	if h.err = h.Feed(h.buf[:n]); h.err != nil {
		return nil // parseH2 tells
	}
	for d := h.s.Data(); len(d) > 0 && p.n < len(p.buf); d = h.s.Data() {
		n := copy(p.buf[p.n:], d)
		p.n += n
		h.s.Consume(n)
	}
	for {
		b := h.Out()
		if len(b) == 0 {
			return nil
		}
		n, err := p.conn.Write(b, 0, p.deadline-p.r.Now())
		if err != nil {
			return err
		}
		h.Sent(n)
	}
}

// parseH2 gives what has come of the response.
func (p *probe) parseH2() ([]byte, error) {
	s := p.h2.s
	if p.h2.err != nil {
		return nil, p.h2.err
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	for s.HasHead() && p.res.Status < 200 {
		p.res.Reset()
		s.NextHead()
	}
	if s.HasHead() {
		p.head = 1
	}
	if s.EndReceived() && s.Queued() == 0 {
		p.ended = true
	} else if p.ended {
		return nil, io.ErrUnexpectedEOF
	}
	return p.buf[:p.n], nil
}
