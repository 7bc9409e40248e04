package ssl

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/conf"
	"github.com/forebay-lb/forebay/proxy/internal/stream"
)

// ocspUpdates is what lines say of the renewal of OCSP responses.
type ocspUpdates struct{ by map[string]bool }

var updates = stream.NewSlot[ocspUpdates]()

// OCSPUpdate tells what "ocsp-update" says of a certificate; said is false if no
// line says anything.
func OCSPUpdate(g *stream.Global, cert string) (on, said bool) {
	if u := updates.Global(g); u != nil {
		on, said = u.by[cert]
	}
	return on, said
}

// sayUpdate notes what a line says: 1 on, -1 off, 0 nothing.
func sayUpdate(c *conf.Ctx, cert string, what int8) error {
	if what == 0 {
		return nil
	}
	u := updates.MakeGlobal(c.Snap.Global)
	if u.by == nil {
		u.by = make(map[string]bool)
	}
	if old, said := u.by[cert]; said && old != (what > 0) {
		return fmt.Errorf("Incompatibilities found in OCSP update mode for certificate %s", cert)
	}
	u.by[cert] = what > 0
	return nil
}
