package stream

import (
	"errors"
	"io"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// leg is a side of an exchange that goes over HTTP/2: one stream of a
// connection that it shares with others. The zero leg is a side that has its
// connection to itself.
type leg struct {
	st    *Stream
	m     *mux
	s     *http2.Stream
	read  reactor.Waiter
	write reactor.Waiter
	owed  int // bytes given out by take, not yet consumed
}

func (l *leg) on() bool { return l.s != nil }

// orNil is l if the side goes over HTTP/2.
func (l *leg) orNil() *leg {
	if l.s == nil {
		return nil
	}
	return l
}

// changed is told by the connection that something is new: bytes, room, the end
// or an error.
func (l *leg) changed() {
	if l.s.Err() != nil && l == &l.st.client {
		l.st.clientReset() // a tunnel's second coroutine finds out by itself
	}
	l.read.Notify()
	l.write.Notify()
}

// close ends the side: what is incomplete is reset.
func (l *leg) close() {
	if l.s == nil {
		return
	}
	s, m := l.s, l.m
	l.s, l.m = nil, nil
	s.User = nil
	s.Close()
	m.left()
}

// settle gives back what was taken before.
func (l *leg) settle() {
	if l.owed > 0 {
		n := l.owed
		l.owed = 0
		l.s.Consume(n)
		l.m.touch()
	}
}

// take gives received bytes, which are good until the next call, and tells
// whether they are the last.
func (l *leg) take() (p []byte, last bool, err error) {
	l.settle()
	p = l.s.Data()
	l.owed = len(p)
	if len(p) == 0 {
		if l.s.EndReceived() {
			return nil, true, nil
		}
		return nil, false, l.s.Err()
	}
	return p, l.s.EndReceived() && l.s.Queued() == len(p), nil
}

// more parks until there is something to take.
func (l *leg) more(deadline int64) error {
	for {
		if err := l.wait(deadline); err != nil || len(l.s.Data()) > 0 || l.s.EndReceived() {
			return err
		}
	}
}

// wait parks once, unless there is something to take.
func (l *leg) wait(deadline int64) error {
	l.settle()
	if len(l.s.Data()) > 0 || l.s.EndReceived() {
		return nil
	}
	if err := l.s.Err(); err != nil {
		return err
	}
	return l.read.Wait(l.st.R, deadline)
}

// room waits until the connection has room for a head. timeout is as for send.
func (l *leg) room(timeout int64) error {
	for l.m.Full() {
		if err := l.s.Err(); err != nil {
			return err
		}
		if l.m.flush(); !l.m.Full() {
			break
		}
		if !slices.Contains(l.m.crowd, l) {
			l.m.crowd = append(l.m.crowd, l)
		}
		if err := l.write.Wait(l.st.R, deadlineIn(l.st.R, timeout)); err != nil {
			return err
		}
	}
	return nil
}

// send queues all of p, waiting for windows as needed. timeout is the longest
// time without progress in nanoseconds (0: none).
func (l *leg) send(p []byte, end bool, timeout int64) error {
	r := l.st.R
	deadline := deadlineIn(r, timeout)
	for {
		if err := l.s.Err(); err != nil {
			return err
		}
		n := l.s.SendData(p, end)
		p = p[n:]
		l.m.touch()
		if len(p) == 0 {
			return nil
		}
		if n > 0 {
			deadline = deadlineIn(r, timeout)
		}
		if l.m.Pending() > 0 {
			if l.m.flush(); l.s.Room() > 0 {
				continue
			}
		}
		if err := l.write.Wait(r, deadline); err != nil {
			return err
		}
	}
}

// finish ends a message that was sent, with its trailers.
func (l *leg) finish(trailers []message.Field) error {
	if err := l.s.Err(); err != nil {
		return err
	}
	if len(trailers) > 0 {
		l.s.SendTrailers(trailers)
	} else {
		l.s.SendData(nil, true)
	}
	l.m.touch()
	return nil
}

// isRefused tells whether an error means that the server did not process the
// request.
func isRefused(err error) bool {
	var re *http2.ResetError
	return errors.As(err, &re) && re.Retry
}

// end is one end of a tunnel: a connection, or a stream of one.
type end struct {
	conn *transport.Conn
	leg  *leg
}

// tryRead reads what is there: 0, nil when nothing is.
func (e end) tryRead(p []byte) (int, error) {
	if e.leg == nil {
		return e.conn.TryRead(p)
	}
	if !e.leg.on() {
		return 0, reactor.ErrClosed
	}
	data, _, err := e.leg.take()
	if len(data) == 0 {
		switch {
		case err == nil && e.leg.s.EndReceived():
			err = io.EOF
		case err == io.EOF:
			err = io.ErrUnexpectedEOF // of the connection, not of the stream
		}
		return 0, err
	}
	n := copy(p, data)
	e.leg.owed = n
	return n, nil
}

// canRead tells whether tryRead may find something.
func (e end) canRead() bool {
	if e.leg == nil {
		return e.conn.CanRead()
	}
	return e.leg.on() && (len(e.leg.s.Data()) > e.leg.owed || e.leg.s.EndReceived())
}

// wait parks until tryRead may find something, or something else happened.
func (e end) wait(deadline int64) error {
	if e.leg == nil {
		return e.conn.WaitRead(deadline)
	}
	if !e.leg.on() {
		return reactor.ErrClosed
	}
	return e.leg.wait(deadline)
}

// write sends all of p, which may be the reactor's scratch.
func (e end) write(st *Stream, p []byte, timeout int64) error {
	if e.leg == nil {
		return st.write(e.conn, p, nil, 0, timeout)
	}
	if !e.leg.on() {
		return reactor.ErrClosed
	}
	n := 0
	if err := e.leg.s.Err(); err != nil {
		return err
	}
	n = e.leg.s.SendData(p, false)
	e.leg.m.touch()
	if n == len(p) {
		return nil
	}
	return e.leg.send(append([]byte(nil), p[n:]...), false, timeout) // a slow receiver pays for it
}

// closeWrite tells the other side that nothing more will come.
func (e end) closeWrite() {
	if e.leg == nil {
		e.conn.CloseWrite()
	} else if e.leg.on() {
		e.leg.finish(nil)
	}
}

// abort closes the side at once.
func (e end) abort() {
	if e.leg == nil {
		e.conn.Close()
	} else if e.leg.on() {
		e.leg.s.Reset(http2.Cancel)
		e.leg.m.touch()
	}
}

// clear tells whether bytes may be spliced.
func (e end) clear() bool { return e.leg == nil && e.conn.TLS == nil }
