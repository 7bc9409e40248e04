package check

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// spread is how checks are kept apart.
type spread struct {
	percent int           // "spread-checks": noise on the intervals
	most    time.Duration // "max-spread-checks": over how long the first ones are spread; 0: the interval
}

var spreads = slot.New[*stream.Global, spread]()

// spreadOf gives what the global section says of it.
func spreadOf(g *stream.Global) spread {
	if s := spreads.Of(g); s != nil {
		return *s
	}
	return spread{}
}

func init() {
	conf.Register(
		conf.Keyword{Name: "spread-checks", In: conf.Global, InPlace: true, Max: 1, Parse: func(c *conf.Ctx) error {
			if c.Again("spread-checks", "spread-checks") {
				return nil
			}
			w := c.Words()
			n, err := strconv.Atoi(w.Next())
			if err != nil || n < 0 || n > 50 {
				return conf.Predicatef("needs a positive value in range 0..50.")
			}
			spreads.Make(c.Snap.Global).percent = n
			return nil
		}},
		conf.Keyword{Name: "max-spread-checks", In: conf.Global, InPlace: true, Max: 1, Parse: func(c *conf.Ctx) error {
			w := c.Words()
			text, err := w.Value("<time> as argument.")
			if err != nil {
				return err
			}
			d, err := conf.Time(text, c.Keyword, time.Millisecond)
			var bad *config.CharError
			if _, cause := config.ParseTime(text, time.Millisecond); errors.As(cause, &bad) {
				return fmt.Errorf("unsupported character '%c' in 'max-spread-checks' (wants an integer delay).", bad.Char)
			}
			spreads.Make(c.Snap.Global).most = d
			return err
		}},
	)
}
