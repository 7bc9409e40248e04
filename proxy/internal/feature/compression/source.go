package compression

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// source is what a filter puts in the way of a body: it gives the compressed form of
// what it takes. The zero source is none.
type source struct {
	st       *stream.Stream
	up       stream.Source
	enc      encoder
	response bool
	in       []byte // a buffer: small pieces that go together
	buf      []byte // a buffer: the compressed form of a slice
	rest     []byte // of that, what was not given yet
	done     bool   // the end was made
	err      error  // of up
	yield    bool   // others come first
}

// begin makes s the source of the compressed form of a body. It tells whether that
// may be: limits, and memory, may be against it.
func (s *source) begin(st *stream.Stream, up stream.Source, a *algorithm, response bool) bool {
	g := globals.Value(st.Snap.Global)
	if lives.In(st.W).over(st, g) || st.R.Exhausted() {
		return false
	}
	level := max(g.level, fast)
	var w *window
	if level > fast && a.form != asIs {
		if w = borrow(st, level); w == nil {
			return false
		}
	}
	*s = source{st: st, up: up, response: response}
	s.enc.begin(a.form, level)
	s.enc.window = w
	return true
}

// end gives back what s has.
func (s *source) end() {
	if s.st != nil {
		s.enc.leave(s.st)
		s.release()
		*s = source{}
	}
}

// release gives the buffers back.
func (s *source) release() {
	if s.in != nil {
		s.st.R.Release(s.in)
		s.in = nil
	}
	if s.buf != nil {
		s.st.R.Release(s.buf)
		s.buf = nil
	}
}

// Next is of [stream.Source].
func (s *source) Next(most int) ([]byte, bool, error) {
	switch {
	case len(s.rest) > 0 || s.done:
		return s.give(most)
	case most == 0 || s.err != nil:
		return nil, false, s.err
	case s.enc.form == asIs:
		p, last, err := s.up.Next(most)
		s.passed(len(p))
		if s.done = last; last {
			s.finished()
		}
		return p, last, err
	}
	sh := shops.Make(s.st.R)
	if s.yield = s.enc.begun && sh.over(s.st.R); s.yield {
		return nil, false, nil
	}
	p, last, err := s.gather()
	if len(p) == 0 && !last {
		return nil, false, err
	}
	s.pace()
	if s.buf == nil {
		s.buf = s.st.R.Buffer()
	}
	level := s.enc.level
	s.rest = s.enc.add(s.buf[:0], p, last)
	sh.spend(s.st.R, len(p), level)
	s.count(level, len(p), len(s.rest))
	if s.done, s.err = last, err; last {
		s.enc.leave(s.st)
		s.finished()
	}
	return s.give(most)
}

// give gives of what was made.
func (s *source) give(most int) ([]byte, bool, error) {
	p := s.rest[:min(most, len(s.rest))]
	if s.rest = s.rest[len(p):]; len(s.rest) > 0 {
		return p, false, nil
	}
	return p, s.done, s.err
}

// direct is the size of pieces from which on they are not copied to be compressed
// together with others.
const direct = 4096

// gather takes a slice of what is at hand: what its compressed form has room for in
// a buffer, and no more than is compressed at once.
func (s *source) gather() (p []byte, last bool, err error) {
	r := s.st.R
	size := min(r.BufSize(), 32<<10) - 256
	p, last, err = s.up.Next(size)
	if last || err != nil || len(p) == 0 || len(p) >= min(direct, size) {
		return p, last, err
	}
	if s.in == nil {
		s.in = r.Buffer()
	}
	all := append(s.in[:0], p...)
	for !last && err == nil && len(p) > 0 && len(all) < size {
		p, last, err = s.up.Next(size - len(all))
		all = append(all, p...)
	}
	return all, last, err
}

// pace follows the limits of the process: with the level as far as it goes, one step
// a slice.
func (s *source) pace() {
	g := globals.Value(s.st.Snap.Global)
	switch over := lives.In(s.st.W).over(s.st, g); {
	case over && s.enc.level > stored:
		s.enc.shift(s.st, true)
	case !over && s.enc.level < s.enc.most:
		s.enc.shift(s.st, false)
	}
}

// count counts a slice.
func (s *source) count(level, in, out int) {
	if level == stored {
		s.passed(in)
		return
	}
	l, now := lives.In(s.st.W), s.st.R.Now()
	l.in.add(now, in)
	l.out.add(now, out)
	if s.response {
		for c := range ofStream(s.st) {
			c.in.Add(int64(in))
			c.out.Add(int64(out))
		}
	}
}

func (s *source) passed(n int) {
	if s.response && n > 0 {
		for c := range ofStream(s.st) {
			c.passed.Add(int64(n))
		}
	}
}

func (s *source) finished() {
	if s.response {
		for c := range ofStream(s.st) {
			c.done.Add(1)
		}
	}
}

// Wait is of [stream.Source].
func (s *source) Wait() error {
	switch {
	case s.yield:
		s.yield = false
		return s.st.R.Yield()
	case len(s.rest) > 0:
		return nil
	}
	s.release() // it may be for long
	return s.up.Wait()
}

// Ready is of [stream.Source].
func (s *source) Ready() bool { return len(s.rest) > 0 || s.yield || s.up.Ready() }

// Trailers is of [stream.Source].
func (s *source) Trailers() []message.Field { return s.up.Trailers() }
