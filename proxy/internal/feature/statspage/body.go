package statspage

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/feature/stats"
)

// piece is how much is made at a time, in bytes: more is not kept, whatever the
// number of servers and however slow the client.
const piece = 8 << 10

// body is one answer. It is a [stream.Source] that makes a piece when the client has
// taken the one before. Between two pieces others get their turn.
type body struct {
	r    *reactor.Reactor
	rows *stats.Cursor
	// make adds what comes next, and tells whether that was all.
	make func(b []byte) ([]byte, bool)
	buf  []byte
	out  []byte // what of buf was not asked for yet
	turn bool   // a piece was given: it is the others' turn
	done bool
}

// Next is of [stream.Source].
func (s *body) Next(most int) (p []byte, last bool, err error) {
	if len(s.out) == 0 && !s.done {
		if s.turn {
			return nil, false, nil
		}
		s.buf = s.buf[:0]
		for !s.done && len(s.buf) < piece {
			s.buf, s.done = s.make(s.buf)
		}
		s.out, s.turn = s.buf, true
	}
	p = s.out[:min(most, len(s.out))]
	s.out = s.out[len(p):]
	return p, len(s.out) == 0 && s.done, nil
}

// Wait is of [stream.Source].
func (s *body) Wait() error {
	s.turn = false
	return s.r.Yield()
}

// Ready is of [stream.Source].
func (s *body) Ready() bool { return true }

// Trailers is of [stream.Source].
func (s *body) Trailers() []message.Field { return nil }
