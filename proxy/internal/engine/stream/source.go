package stream

import (
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// Source gives the data of one direction of an exchange: the body of a message,
// or what comes through a tunnel. It is used by one coroutine.
type Source interface {
	// Next gives data that is at hand, at most max bytes, none when there is none
	// yet. They are good until the next call, and are not the reactor's scratch,
	// which Next must leave alone. last tells that nothing follows but the
	// trailers; further calls say so again. Next does not wait. An error comes
	// with what was received before it.
	Next(max int) (p []byte, last bool, err error)
	// Wait parks until Next may give more. It may return early.
	Wait() error
	// Ready tells whether more is at hand. True is a hint.
	Ready() bool
	// Trailers are the fields after the last data.
	Trailers() []message.Field
}

// everything is the most that [Source.Next] may be asked for.
const everything = int(^uint(0) >> 1)

// bytesSource is data that is there as a whole.
type bytesSource struct{ p []byte }

// Next is of [Source].
func (b *bytesSource) Next(max int) ([]byte, bool, error) {
	p := b.p[:min(max, len(b.p))]
	b.p = b.p[len(p):]
	return p, len(b.p) == 0, nil
}

// Wait is of [Source].
func (b *bytesSource) Wait() error { return nil }

// Ready is of [Source].
func (b *bytesSource) Ready() bool { return len(b.p) > 0 }

// Trailers is of [Source].
func (b *bytesSource) Trailers() []message.Field { return nil }

// h1Source is what a connection of HTTP/1, or a tunnel's, has to give.
type h1Source struct {
	st       *Stream
	conn     *transport.Conn
	in       *input
	rest     []byte // taken off the buffer, and not given yet
	left     int64  // of Length
	full     int    // reads in a row that filled the buffer
	framing  message.Framing
	client   bool          // it is the client's connection
	done     bool          // all is taken off the buffer
	cut      bool          // nothing is read any more, see [Stream.CloseServer]
	err      error         // what reading ended with, if the relay found it out
	relay    reactor.Relay // of a tunnel: who passes on what comes during Wait
	chunks   http1.Chunks
	trailers []message.Field
}

// start makes s the source of the body of a message with the head h.
func (s *h1Source) start(h *message.Header) {
	s.framing, s.left = h.Framing, h.ContentLength
	s.rest, s.full, s.done, s.err, s.relay = nil, 0, false, nil, nil
	s.trailers = s.trailers[:0]
	switch s.framing {
	case message.Chunked:
		s.chunks = http1.Chunks{}
	case message.NoBody:
		s.done = true
	case message.Length:
		s.done = s.left <= 0
	}
}

// ended tells whether all was given.
func (s *h1Source) ended() bool { return s.done && len(s.rest) == 0 }

// Next is of [Source].
func (s *h1Source) Next(max int) (p []byte, last bool, err error) {
	if len(s.rest) == 0 && !s.done {
		s.rest, err = s.take()
	}
	p = s.rest[:min(max, len(s.rest))]
	s.rest = s.rest[len(p):]
	return p, s.ended(), err
}

// take takes data off the buffer, reading when it has none.
func (s *h1Source) take() ([]byte, error) {
	for {
		if buf := s.in.bytes(); len(buf) > 0 {
			switch s.framing {
			case message.Length:
				buf = buf[:min(int64(len(buf)), s.left)]
				s.left -= int64(len(buf))
				s.done = s.left == 0
				s.in.r += len(buf)
				s.st.came(s.client, int64(len(buf)))
				return buf, nil
			case message.Chunked:
				data, n, done, err := s.chunks.Next(buf, &s.trailers)
				s.in.r += n
				s.st.came(s.client, int64(n))
				s.done = done
				if done || err != nil || len(data) > 0 {
					return data, err
				}
			default:
				s.in.r = s.in.w
				s.st.came(s.client, int64(len(buf)))
				return buf, nil
			}
		}
		if n, err := s.read(); n == 0 {
			return nil, err
		}
	}
}

// read reads what there is. io.EOF is an error where the end is known otherwise.
func (s *h1Source) read() (int, error) {
	if s.cut {
		if s.framing == message.Close || s.framing == message.Tunnel {
			s.done = true
			return 0, nil
		}
		return 0, io.EOF
	}
	if !s.conn.CanRead() {
		return 0, nil
	}
	if s.in.empty() {
		s.grow()
	} else if !s.in.shift() {
		return 0, errTrailers // nothing else needs to be there as a whole
	}
	n, err := 0, s.err
	if err == nil {
		n, err = s.in.read(s.conn)
	}
	if s.in.w == len(s.in.buf) {
		s.full++
	} else {
		s.full = 0
	}
	if err == io.EOF && (s.framing == message.Close || s.framing == message.Tunnel) {
		s.done, err = true, nil
	}
	return n, err
}

var errTrailers = &http1.Error{Status: 400, Reason: "too long a trailer section"}

// grow swaps a drained buffer that holds no head for a big one: bulk data goes
// in big pieces. What comes through a tunnel is bulk once it has filled buffers in
// a row, and is copied only if it could not be spliced then.
func (s *h1Source) grow() {
	if s.in.base != 0 || s.in.buf == nil && s.framing != message.Tunnel || len(s.in.buf) == reactor.BigBuffer {
		return
	}
	if s.framing == message.Tunnel && s.full <= bulk || s.left >= 0 && s.left <= int64(len(s.in.buf)) {
		return
	}
	r := s.st.R
	if r.Exhausted() {
		return
	}
	s.in.release(r)
	s.in.buf = r.Big()
}

// Wait is of [Source].
func (s *h1Source) Wait() error {
	st := s.st
	if s.framing == message.Tunnel && s.in.empty() && s.in.base == 0 {
		s.in.release(st.R) // it may be for long
	}
	deadline := st.readDeadline(s.client)
	for {
		var err error
		if s.relay != nil {
			err = s.conn.FD.WaitRelay(s.relay, deadline)
		} else {
			err = s.conn.WaitRead(deadline)
		}
		switch {
		case err == reactor.ErrTimeout && st.tunnelActive(s.client):
			deadline = st.readDeadline(s.client)
		case err != nil || st.tunnelling || s.conn.CanRead():
			return err
		}
	}
}

// Ready is of [Source].
func (s *h1Source) Ready() bool { return len(s.rest) > 0 || !s.in.empty() || s.conn.FD.CanRead() }

// Trailers is of [Source].
func (s *h1Source) Trailers() []message.Field { return s.trailers }

// spliceFrom is the number of bytes from which a body goes through splice(2)
// instead of a buffer.
const spliceFrom = 64 << 10

// bulk is how many full reads in a row make a tunnel go through splice(2).
const bulk = 2

// spliceable tells how many bytes (-1: until the end) may bypass the buffer now, 0
// if none may.
func (s *h1Source) spliceable() int64 {
	if s.done || s.cut || len(s.rest) > 0 || !s.in.empty() {
		return 0
	}
	switch s.framing {
	case message.Length:
		if s.left >= spliceFrom {
			return s.left
		}
	case message.Close:
		return -1
	case message.Tunnel:
		if s.full >= bulk {
			return -1
		}
	}
	return 0
}

// spliced takes down that n bytes bypassed the buffer.
func (s *h1Source) spliced(n int64) {
	s.full = 0
	if s.framing == message.Length {
		s.left -= n
		s.done = s.left == 0
	}
}
