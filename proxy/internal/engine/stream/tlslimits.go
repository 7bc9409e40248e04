package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

var errTooManyTLS = &ConnError{27, "SSL_TOO_MANY", "Too many SSL connections"}

// TLSLimits are the process's settings of TLS; 0 is no limit, or off.
type TLSLimits struct {
	MaxConn int // maxsslconn: connections under TLS, on both sides
	MaxRate int // maxsslrate: connections accepted per second
	// Capture is how many bytes of a ClientHello are kept.
	Capture int
	// HardMaxRecord is the most bytes that one record carries, MaxRecord the same
	// for those at the beginning of a transfer.
	HardMaxRecord, MaxRecord int
}

// TLSSettings gives them.
var TLSSettings = slot.New[*Global, TLSLimits]()

// tlsLimits are the process's settings of TLS. A master has none.
func (w *Worker) tlsLimits() TLSLimits {
	if snap := w.Snapshot(); snap != nil {
		return TLSSettings.Value(snap.Global)
	}
	return TLSLimits{}
}

// mayTLS tells whether another connection may be under TLS. Reactors that ask at
// the same time can go beyond the limit by one each.
func (w *Worker) mayTLS() error {
	if n := w.tlsLimits().MaxConn; n > 0 && w.CurrTLS.Load() >= int64(n) {
		return errTooManyTLS
	}
	return nil
}

// beginTLS gives a connection that begins TLS what the process's settings say,
// and counts it until it is closed.
func (w *Worker) beginTLS(t *transport.TLS) {
	g := w.tlsLimits()
	t.HardMaxRecord, t.MaxRecord = g.HardMaxRecord, g.MaxRecord
	if t.IsServer() {
		t.Capture = g.Capture
	}
	t.Count(&w.CurrTLS)
}

// waitTLS gives how many nanoseconds must pass before another connection may be
// accepted that begins with TLS ("maxsslrate"), 0 if it may now.
func (w *Worker) waitTLS(now int64) int64 {
	if n := w.MaxTLSRate(); n > 0 {
		return w.tlsRate.wait(now, n)
	}
	return 0
}

// MaxTLSRate is how many connections a second are accepted that begin with TLS,
// 0 for no limit: "maxsslrate", or what [Worker.SetMaxTLSRate] said since.
func (w *Worker) MaxTLSRate() int {
	if n := w.rateSet.Load(); n > 0 {
		return int(n - 1)
	}
	return w.tlsLimits().MaxRate
}

// SetMaxTLSRate changes the limit until a configuration says something new about
// it; 0 is no limit, and less than that what the configuration says.
func (w *Worker) SetMaxTLSRate(n int) { w.rateSet.Store(int64(max(n, -1)) + 1) }
