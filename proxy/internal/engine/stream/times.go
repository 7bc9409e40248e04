package stream

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// Times are the moments of an exchange on the reactor's clock in nanodates; 0:
// did not happen. Those of chapter 8.4 of the manual follow from them.
type Times struct {
	Accept    int64 // the connection was accepted, or the previous exchange on it ended
	Begin     int64 // first byte of the request (TCP: Accept)
	Request   int64 // the request's head was complete
	Queued    int64 // the queue was left for a server
	GaveUp    int64 // the queue was left without one
	Connected int64 // the server's connection was there
	Response  int64 // the response's head was complete
	End       int64
}

// times are the moments of the scope's exchange, or those of a connection that has
// none and ends now.
func (sc *Scope) times() Times {
	switch {
	case sc.Stream != nil:
		return sc.Stream.Time
	case sc.R == nil:
		return Times{}
	case sc.Sess == nil:
		return Times{Accept: sc.R.Now(), Begin: sc.R.Now(), End: sc.R.Now()}
	}
	s := sc.Sess
	return Times{Accept: s.Accepted, Begin: s.Accepted + int64(s.HandshakeMs)*1e6, End: sc.R.Now()}
}

// waited is the end of the queue, whether or not there was a server at it.
func (t Times) waited() int64 { return max(t.Queued, t.GaveUp) }

// handshake is how long it took to establish the connection, in millidates: of
// its first exchange only, those after it did not wait for it.
func (sc *Scope) handshake() int64 {
	if sc.Sess == nil || sc.times().Accept != sc.Sess.Accepted {
		return 0
	}
	return int64(sc.Sess.HandshakeMs)
}

// moment is the time of day of a moment of the reactor's clock.
func (sc *Scope) moment(at int64) time.Time {
	if sc.R == nil {
		return time.Now()
	}
	return sc.R.Wall().Add(-time.Duration(sc.R.Now() - at))
}

// between is a time in millidates, -1 when the later moment was not reached.
func between(from, to int64) int64 {
	if from == 0 || to == 0 {
		return -1
	}
	return max(to-from, 0) / 1e6
}

// The timers and dates of chapter 8.4.
func init() {
	for name, get := range map[string]func(Times) int64{
		"TR": func(t Times) int64 { return between(t.Begin, t.Request) },
		"Tq": func(t Times) int64 { return between(t.Accept, t.Request) },
		"Tw": func(t Times) int64 { return between(t.Request, t.waited()) },
		"Tc": func(t Times) int64 { return between(t.Queued, t.Connected) },
		"Tr": func(t Times) int64 { return between(t.Connected, t.Response) },
		"Ta": func(t Times) int64 { return between(t.Begin, t.End) },
		"Tt": func(t Times) int64 { return between(t.Accept, t.End) },
		"Tu": func(t Times) int64 { return between(t.Begin, t.End) },
		"Td": func(t Times) int64 {
			if t.Response == 0 {
				return -1
			}
			return max(t.End-t.Response, 0) / 1e6
		},
	} {
		grows := name == "Ta" || name == "Tt" || name == "Tu"
		RegisterAlias(Alias{Name: name, Grows: grows, Int: func(sc *Scope) int64 { return get(sc.times()) }})
	}
	RegisterAlias(
		Alias{Name: "Th", Int: (*Scope).handshake},
		Alias{Name: "Ti", Int: func(sc *Scope) int64 {
			t := sc.times()
			if t.Begin == 0 || t.Accept == 0 {
				return -1
			}
			return max((t.Begin-t.Accept)/1e6-sc.handshake(), 0)
		}},
		Alias{Name: "Ts", Hex: true, Int: func(sc *Scope) int64 { return sc.moment(sc.times().Accept).Unix() }},
		Alias{Name: "ms", Form: Plain, Append: func(dst []byte, sc *Scope) []byte { return millis(dst, sc.moment(sc.times().Accept)) }},
	)
	for _, d := range []struct {
		accepted, begun string // the aliases
		layout          func(dst []byte, r *reactor.Reactor, t time.Time) []byte
	}{{"t", "tr", localMillis}, {"T", "trg", utcZone}, {"Tl", "trl", localZone}} {
		RegisterAlias(
			Alias{Name: d.accepted, Form: Clean, Append: func(dst []byte, sc *Scope) []byte {
				return d.layout(dst, sc.R, sc.moment(sc.times().Accept))
			}},
			Alias{Name: d.begun, Form: Clean, Append: func(dst []byte, sc *Scope) []byte {
				return d.layout(dst, sc.R, sc.moment(sc.times().Begin))
			}},
		)
	}
}

// dateText caches the text of a date for one second, for each reactor.
type dateText struct {
	unix  int64
	local []byte // 22/Nov/2026:23:57:38
	zone  []byte // " +0000"
}

var dates = slot.New[*reactor.Reactor, dateText]()

// cached gives a date on a reactor; nil while a configuration is read.
func cached(r *reactor.Reactor, t time.Time) *dateText {
	if r == nil {
		return new(dateText).at(t)
	}
	return dates.Make(r).at(t)
}

func (c *dateText) at(t time.Time) *dateText {
	if u := t.Unix(); c.unix != u || c.local == nil {
		c.unix = u
		c.local = t.Local().AppendFormat(c.local[:0], "02/Jan/2006:15:04:05")
		c.zone = t.Local().AppendFormat(c.zone[:0], " -0700")
	}
	return c
}

func millis(dst []byte, t time.Time) []byte {
	ms := t.Nanosecond() / 1e6
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

func localMillis(dst []byte, r *reactor.Reactor, t time.Time) []byte {
	dst = append(dst, cached(r, t).local...)
	return millis(append(dst, '.'), t)
}

func localZone(dst []byte, r *reactor.Reactor, t time.Time) []byte {
	c := cached(r, t)
	return append(append(dst, c.local...), c.zone...)
}

func utcZone(dst []byte, _ *reactor.Reactor, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 +0000")
}
