package logs

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/pki/tlserr"
)

// failures makes the function that logs connections which end before their first
// request (8.2.5).
func (s *settings) failures(p *stream.Proxy) func(*stream.Session, error) {
	return func(ses *stream.Session, err error) {
		level := Info
		if p.Has(stream.LogSeparateErrors) {
			level = Err
		}
		sc := ses.Scope()
		defer sc.Release()
		if ses.H2() { // a violation of the protocol makes a line of traffic
			s.failedAs(s.format, sc, level)
			return
		}
		sc.Failed = err
		why := sample.FailureOf(sc)
		ses.HandshakeMs = int32((sc.R.Now() - ses.Accepted) / 1e6)
		if timedOut(why.ID) {
			ses.HandshakeMs = -1
		}
		switch {
		case p.Has(stream.DontLogNull) && isNull(why.ID):
		case s.errFmt != nil:
			s.failedAs(s.errFmt, sc, level)
		default:
			b := sc.R.Scratch
			s.send(sc.R, sc.W, level, legacy(b[:0], p, ses, why), nil, b[len(b)/2:len(b)/2])
		}
	}
}

// failedAs logs the connection in a format.
func (s *settings) failedAs(f *logformat.Format, sc *stream.Scope, level Level) {
	if s.errFmt != nil {
		f = s.errFmt
	}
	if f == nil {
		return
	}
	sc.Number()
	s.line(sc, &event{level: level, format: f, origin: sessError, failed: true})
}

// timedOut tells whether an error is that the client took too long.
func timedOut(id int) bool { return id == 13 || id == 20 || id == tlserr.Timeout }

// isNull tells whether a client that caused an error may have exchanged nothing,
// as "option dontlognull" has it.
func isNull(id int) bool {
	switch id {
	case 0, 11, 12, 18, 19, tlserr.Empty, tlserr.Abort:
		return true
	}
	return timedOut(id)
}

// legacy appends the short fixed form of 8.2.5.
func legacy(b []byte, p *stream.Proxy, ses *stream.Session, why tlserr.Reason) []byte {
	bind := ses.Listener.Bind.Load()
	if src := ses.Src; src.IP.IsValid() {
		b = append(src.IP.AppendTo(b), ':')
		b = strconv.AppendUint(b, uint64(src.Port), 10)
	} else {
		b = strconv.AppendInt(append(b, "unix:"...), int64(bind.ID), 10)
	}
	b = ses.AcceptDate().Local().AppendFormat(append(b, " ["...), "02/Jan/2006:15:04:05.000")
	b = append(append(append(b, "] "...), p.Name...), '/')
	if bind.Name != "" {
		b = append(b, bind.Name...)
	} else {
		b = strconv.AppendInt(b, int64(bind.ID), 10)
	}
	b = append(append(b, ": "...), sample.ConnErrorText(why.ID)...)
	if why.ID == tlserr.Handshake && why.Code != 0 {
		b = append(why.Code.Append(append(b, " ("...)), ')')
	}
	return b
}
