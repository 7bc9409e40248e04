package stream

import (
	"errors"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// h2Side is a side of an exchange that goes over HTTP/2: one stream of a
// connection that it shares with others. It is source and sink of that side.
type h2Side struct {
	st     *Stream
	m      *mux
	s      *http2.Stream
	read   reactor.Waiter
	write  reactor.Waiter
	given  int  // bytes given by Next, not yet consumed
	client bool // it is the client's side
	done   bool // the last of them were given
	told   bool // the trailers behind them are counted
}

// taken is of side.
func (l *h2Side) taken() bool { return l.done }

// Changed is told by the connection that something is new: bytes, room, the end
// or an error.
func (l *h2Side) Changed() {
	if l.s.Err() != nil && l.client {
		l.st.clientReset() // a second coroutine finds out by itself
	}
	l.read.Notify()
	l.write.Notify()
}

// close ends the side: what is incomplete is reset.
func (l *h2Side) close() {
	if l.s == nil {
		return
	}
	s, m := l.s, l.m
	l.s, l.m = nil, nil
	s.User = nil
	s.Close()
	m.streamLeft()
}

// reset gives the side up at once.
func (l *h2Side) reset(code http2.ErrCode) {
	if l.s != nil {
		l.s.Reset(code)
		l.m.touch()
	}
}

// consume tells the peer that what was given before is used up.
func (l *h2Side) consume() {
	if l.given > 0 {
		n := l.given
		l.given = 0
		l.s.Consume(n)
		l.m.touch()
	}
}

// Next is of [Source].
func (l *h2Side) Next(max int) (p []byte, last bool, err error) {
	if l.s == nil {
		return nil, false, reactor.ErrClosed
	}
	l.consume()
	p = l.s.Data()
	p = p[:min(max, len(p))]
	l.given = len(p)
	l.st.came(l.client, int64(len(p)))
	if l.done = l.s.EndReceived() && l.s.Queued() == len(p); l.done && !l.told {
		l.told = true
		h := message.Header{Fields: l.s.Trailers}
		l.st.came(l.client, int64(h.Size()))
	}
	if len(p) == 0 && !l.done {
		err = l.s.Err()
	}
	return p, l.done, err
}

// Wait is of [Source].
func (l *h2Side) Wait() error {
	st := l.st
	deadline := st.readDeadline(l.client)
	for {
		if l.s == nil {
			return reactor.ErrClosed
		}
		l.consume()
		if len(l.s.Data()) > 0 || l.s.EndReceived() {
			return nil
		}
		if err := l.s.Err(); err != nil {
			return err
		}
		err := l.read.Wait(st.R, deadline)
		switch {
		case err == reactor.ErrTimeout && st.tunnelActive(l.client):
			deadline = st.readDeadline(l.client)
		case err != nil || st.tunnelling:
			return err
		}
	}
}

// Ready is of [Source].
func (l *h2Side) Ready() bool { return l.s != nil && l.s.Queued() > l.given }

// Trailers is of [Source].
func (l *h2Side) Trailers() []message.Field { return l.s.Trailers }

// awaitRoom waits until the connection has room for a head.
func (l *h2Side) awaitRoom() error {
	for l.m.Full() {
		if err := l.s.Err(); err != nil {
			return err
		}
		if l.m.flush(); !l.m.Full() {
			break
		}
		if !slices.Contains(l.m.awaitRoom, l) {
			l.m.awaitRoom = append(l.m.awaitRoom, l)
		}
		if err := l.write.Wait(l.st.R, deadlineIn(l.st.R, l.st.writeTimeout(l.client))); err != nil {
			return err
		}
	}
	return nil
}

// Send is of sink: it queues all of p, waiting for windows as needed.
func (l *h2Side) Send(p []byte, last bool, trailers []message.Field) error {
	if end := last && len(trailers) == 0; len(p) > 0 || end {
		if err := l.sendData(p, end); err != nil {
			return err
		}
		l.st.moved(l.client, int64(len(p)))
	}
	if last && len(trailers) > 0 {
		if l.s == nil {
			return reactor.ErrClosed
		}
		if err := l.s.Err(); err != nil {
			return err
		}
		l.st.moved(l.client, int64(l.s.SendTrailers(trailers)))
		l.m.touch()
	}
	return nil
}

func (l *h2Side) sendData(p []byte, end bool) error {
	st := l.st
	timeout := st.writeTimeout(l.client)
	deadline := deadlineIn(st.R, timeout)
	for {
		if l.s == nil {
			return reactor.ErrClosed
		}
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
			deadline = deadlineIn(st.R, timeout)
		}
		if l.m.Pending() > 0 {
			if l.m.flush(); l.s.Room() > 0 {
				continue
			}
		}
		if err := l.write.Wait(st.R, deadline); err != nil {
			return err
		}
	}
}

// Flush is of sink: what was queued leaves at the end of the reactor's turn.
func (l *h2Side) Flush(bool) error { return nil }

func (l *h2Side) holds() bool { return false }

// isRefused tells whether an error means that the server did not process the
// request.
func isRefused(err error) bool {
	var re *http2.ResetError
	return errors.As(err, &re) && re.Retry
}
