package check

import (
	"cmp"
	"errors"
	"io"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// ask sends the request of a rule, in the protocol that is forced, or was agreed on.
func (p *probe) ask(st *step, state string) (outcome, bool) {
	q, err := p.c.Request(p.c.Speaks(cmp.Or(p.proto, lineOf(p.set).proto, p.set.Proto)))
	if err != nil {
		return p.broken(err, "L7TOUT")
	}
	body, err := st.request.fill(q, p.scope(), state)
	if err != nil {
		return outcome{status: "L7RSP", info: "http-check send : " + err.Error()}, false
	}
	if err := p.c.Send(body); err != nil {
		return p.broken(err, "L7TOUT")
	}
	return outcome{}, false
}

// receiveHTTP reads more of the response, of which the body goes to the buffer as far
// as there is room.
func (p *probe) receiveHTTP() (err error) {
	if p.res == nil {
		if p.res, err = p.c.Receive(); err != nil {
			p.res, p.bad = nil, !ofConnection(err)
			if p.bad {
				return nil // the rule tells
			}
			return err
		}
		return p.readBody()
	}
	for before := p.n; p.n == before && !p.ended; {
		if err = p.c.Wait(); err == nil {
			err = p.readBody()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readBody takes what is at hand.
func (p *probe) readBody() error {
	for p.n < len(p.buf) && !p.ended {
		b, last, err := p.c.Next(len(p.buf) - p.n)
		p.n += copy(p.buf[p.n:], b)
		if p.ended = last; err != nil || len(b) == 0 {
			return err
		}
	}
	return nil
}

// ofConnection tells whether an error is one of the connection, or of time, and not of
// what the server has said.
func ofConnection(err error) bool {
	var errno syscall.Errno
	return err == io.EOF || err == reactor.ErrKilled || err == reactor.ErrTimeout || err == reactor.ErrClosed || errors.As(err, &errno)
}
