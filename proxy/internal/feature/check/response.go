package check

import (
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

var errInvalid = errors.New("not a response")

// parse reads the head of the response once it is complete, and gives the body as
// far as it was received.
func (p *probe) parse() (body []byte, err error) {
	if p.h2 != nil {
		return p.parseH2()
	}
	for p.head == 0 {
		n, err := http1.ParseResponse(p.buf[:p.n], &p.res, p.method, nil)
		switch {
		case err != nil:
			return nil, err
		case n == 0 && p.n == len(p.buf):
			return nil, errInvalid
		case n == 0:
			return nil, nil
		case p.res.Status < 200 && p.res.Status != 101: // an interim one
			p.n = copy(p.buf, p.buf[n:p.n])
		default:
			p.head = n
		}
	}
	raw := p.buf[p.head:p.n]
	switch p.res.Framing {
	case message.NoBody:
		return nil, nil
	case message.Length:
		return raw[:min(int64(len(raw)), p.res.ContentLength)], nil
	case message.Chunked:
		return p.chunks(raw)
	}
	return raw, nil
}

// chunks decodes a chunked body from its start: at most one buffer, and checks
// are rare.
func (p *probe) chunks(raw []byte) ([]byte, error) {
	var c http1.Chunks
	out := make([]byte, 0, len(raw))
	for {
		data, n, done, err := c.Next(raw, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, data...)
		raw = raw[n:]
		if done {
			p.ended = true
		}
		if done || n == 0 {
			return out, nil
		}
	}
}

// complete tells whether the body was received as a whole.
func (p *probe) complete(body []byte) bool {
	switch p.res.Framing {
	case message.NoBody:
		return true
	case message.Length:
		return int64(len(body)) == p.res.ContentLength
	}
	return false
}
