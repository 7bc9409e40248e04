package worker

import (
	"errors"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// settings are what the configuration says of the worker's process.
type settings struct {
	hardStopAfter, grace time.Duration
	pollEvents           int  // tune.maxpollevents, 0: nothing is said
	noTrim               bool // no-memory-trimming
	noFileLimits         bool // no strict-limits
}

var said = slot.New[*stream.Global, settings]()

// defaultPollEvents is how many events a thread takes from the kernel at a time
// (configuration.txt 3.2, tune.maxpollevents).
const defaultPollEvents = 200

func init() {
	conf.RegisterNumber(conf.Number{Name: "tune.maxpollevents", Low: 1, High: 1000000, Size: true, Want: "an integer argument.", Set: func(g *stream.Global, n int) {
		said.Make(g).pollEvents = n
	}})
	conf.Register(
		conf.Keyword{Name: "hard-stop-after", In: conf.Global, InPlace: true, Max: 1, Parse: delay(func(s *settings) *time.Duration { return &s.hardStopAfter })},
		conf.Keyword{Name: "grace", In: conf.Global, InPlace: true, Max: 1, Parse: delay(func(s *settings) *time.Duration { return &s.grace })},
		conf.Keyword{Name: "no-memory-trimming", In: conf.Global, Parse: func(c *conf.Ctx) error {
			said.Make(c.Snap.Global).noTrim = true
			return nil
		}},
		conf.Keyword{Name: "strict-limits", In: conf.Global, No: true, Parse: func(c *conf.Ctx) error {
			said.Make(c.Snap.Global).noFileLimits = c.No
			return nil
		}},
	)
}

// delay parses keywords whose argument is a time in milliseconds.
func delay(field func(*settings) *time.Duration) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		if c.Arg(0) == "" {
			return conf.Predicatef("expects <time> as argument.")
		}
		d, err := config.ParseTime(c.Arg(0), time.Millisecond)
		var bad *config.CharError
		switch {
		case errors.As(err, &bad):
			return c.Errorf("unexpected character '%c' in argument to <%s>.", bad.Char, c.Keyword)
		case errors.Is(err, config.ErrTimeOverflow):
			return c.Errorf("timer overflow in argument '%s' to '%s' (maximum value is 2147483647 ms or ~24.8 days)", c.Arg(0), c.Keyword)
		}
		*field(said.Make(c.Snap.Global)) = d
		return err
	}
}
