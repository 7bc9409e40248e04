package bwlim

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// link is a filter's part in one stream, and the source that it puts in the way.
type link struct {
	f      *filter
	st     *stream.Stream
	up     stream.Source
	on     bool
	limit  int64 // bytes in a period
	period int64 // nanoseconds
	next   int64 // when the next bytes may pass, on the reactor's clock
}

// enable is what a rule does. Zeros stand for the filter's own settings.
func (l *link) enable(limit, period int64) {
	l.on, l.limit, l.period = true, l.f.limit, l.f.period
	if limit > 0 {
		l.limit = limit
	}
	if period > 0 {
		l.period = period
	}
}

// Request is of stream.Link.
func (l *link) Request(_ *stream.Stream, body stream.Source) stream.Source {
	return l.between(body, true)
}

// Response is of stream.Link.
func (l *link) Response(_ *stream.Stream, body stream.Source) stream.Source {
	return l.between(body, false)
}

// Tunnel is of stream.Link.
func (l *link) Tunnel(_ *stream.Stream, data stream.Source, fromClient bool) stream.Source {
	return l.between(data, fromClient)
}

func (l *link) between(up stream.Source, upload bool) stream.Source {
	if up == nil || upload != l.f.upload || !l.on && !l.f.late {
		return up
	}
	l.up = up
	return l
}

// End is of stream.Link.
func (l *link) End(st *stream.Stream) {
	f := l.f
	*l = link{f: f}
	if s := &f.spare[st.R.Index%len(f.spare)]; len(s.list) < maxSpare {
		s.list = append(s.list, l)
	}
}

// Data passes in pieces of a tick's share, but none smaller than two packets, or
// what the configuration says, unless the limit is: each costs a wake-up. Who is
// woken late may make up for a tick, so that a limit is reached.
const (
	tick     = 10 * time.Millisecond
	smallest = 2 * 1448
)

// piece is how many bytes may pass at a time.
func (l *link) piece() int {
	n := int64(float64(l.limit) * float64(tick) / float64(l.period))
	return int(max(min(max(n, l.f.minSize, smallest), l.limit), 1))
}

// Next is of stream.Source.
func (l *link) Next(most int) ([]byte, bool, error) {
	if !l.on {
		return l.up.Next(most)
	}
	now := l.st.R.Now()
	if now < l.next {
		most = 0 // the end may pass
	}
	p, last, err := l.up.Next(min(most, l.piece()))
	if len(p) > 0 {
		l.next = max(l.next, now-int64(tick)) + int64(float64(len(p))*float64(l.period)/float64(l.limit))
	}
	return p, last, err
}

// Wait is of stream.Source.
func (l *link) Wait() error {
	if d := l.next - l.st.R.Now(); d > 0 && l.on {
		return l.st.R.Sleep(d)
	}
	return l.up.Wait()
}

// Ready is of stream.Source.
func (l *link) Ready() bool { return l.st.R.Now() >= l.next && l.up.Ready() }

// Trailers is of stream.Source.
func (l *link) Trailers() []message.Field { return l.up.Trailers() }
