package sim

import (
	"math/rand/v2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Filter is a filter for tests. Those of kind Grow and Shrink undo what the other
// does, in this order; Delay holds data back.
type Filter struct {
	Kind FilterKind
	// Rand is asked how much is held back for how long.
	Rand *rand.Rand
	// Most is the longest time, in nanoseconds, for which data is held back.
	Most int64
	// Begun and Ended count the streams that it took part in.
	Begun, Ended int
	// Told, if not nil, is called at the end of each.
	Told func()
}

// FilterKind is what a [Filter] does.
type FilterKind uint8

// Kinds of filters.
const (
	Delay  FilterKind = iota // gives small pieces, now and then late
	Grow                     // puts a byte before each
	Shrink                   // drops the first of two
)

// Attach is of stream.Filter.
func (f *Filter) Attach(*stream.Stream) stream.Link {
	f.Begun++
	return &filterLink{f: f}
}

type filterLink struct {
	f *Filter
}

// between gives a source that stands before up.
func (l *filterLink) between(st *stream.Stream, up stream.Source) stream.Source {
	if up == nil {
		return nil
	}
	return &filterSource{f: l.f, st: st, up: up}
}

// Request is of stream.Link.
func (l *filterLink) Request(st *stream.Stream, body stream.Source) stream.Source {
	return l.message(st, &st.Req.Header, body)
}

// Response is of stream.Link.
func (l *filterLink) Response(st *stream.Stream, body stream.Source) stream.Source {
	return l.message(st, &st.Res.Header, body)
}

func (l *filterLink) message(st *stream.Stream, h *message.Header, body stream.Source) stream.Source {
	if body != nil && l.f.Kind != Delay && h.Framing == message.Length {
		h.Framing, h.ContentLength = message.Chunked, -1
		h.Del("content-length")
	}
	return l.between(st, body)
}

// Tunnel is of stream.Link.
func (l *filterLink) Tunnel(st *stream.Stream, data stream.Source, _ bool) stream.Source {
	return l.between(st, data)
}

// End is of stream.Link.
func (l *filterLink) End(st *stream.Stream) {
	l.f.Ended++
	if l.f.Told != nil {
		l.f.Told()
	}
}

type filterSource struct {
	f      *Filter
	st     *stream.Stream
	up     stream.Source
	out    []byte // made, and not given yet
	odd    bool   // of Shrink: the next byte is one to be given
	last   bool   // of up
	until  int64  // of Delay: nothing is given before
	pieces int
}

const filler = 0xff

// Next is of stream.Source.
func (s *filterSource) Next(max int) ([]byte, bool, error) {
	if s.f.Kind == Delay {
		return s.late(max)
	}
	var err error
	if len(s.out) == 0 && !s.last {
		var p []byte
		p, s.last, err = s.up.Next(4096)
		s.out = s.out[:0]
		for _, b := range p {
			switch {
			case s.f.Kind == Grow:
				s.out = append(s.out, filler, b)
			case s.odd:
				s.out = append(s.out, b)
			}
			s.odd = !s.odd
		}
	}
	p := s.out[:min(max, len(s.out))]
	s.out = s.out[len(p):]
	return p, s.last && len(s.out) == 0, err
}

func (s *filterSource) late(max int) ([]byte, bool, error) {
	if s.st.R.Now() < s.until {
		return nil, false, nil
	}
	p, last, err := s.up.Next(min(max, 1+s.f.Rand.IntN(3000)))
	if s.pieces++; len(p) > 0 && !last && s.pieces < 20 && s.f.Rand.IntN(4) == 0 {
		s.until = s.st.R.Now() + s.f.Rand.Int64N(s.f.Most)
	}
	return p, last, err
}

// Wait is of stream.Source.
func (s *filterSource) Wait() error {
	if d := s.until - s.st.R.Now(); d > 0 {
		return s.st.R.Sleep(d)
	}
	if len(s.out) > 0 {
		return nil
	}
	return s.up.Wait()
}

// Ready is of stream.Source.
func (s *filterSource) Ready() bool {
	return len(s.out) > 0 || s.st.R.Now() >= s.until && s.up.Ready()
}

// Trailers is of stream.Source.
func (s *filterSource) Trailers() []message.Field { return s.up.Trailers() }
