package ssl

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// LookAt does what is due at a moment for the OCSP responses of a worker.
func LookAt(w *stream.Worker, now time.Time) { renewals.In(w).look(w, now) }
