package conf

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// RuntimeSocket is what the global section says of the Runtime socket. Package
// runtimeapi gives the binds their handler.
type RuntimeSocket struct {
	Binds   []*stream.Bind
	Timeout time.Duration
	MaxConn int
}

// Levels of a Runtime socket, the values of [stream.Bind.Level].
const (
	LevelDefault = iota // "operator", as if it were written
	LevelUser
	LevelOperator
	LevelAdmin
)

// Runtime gives the Runtime socket's settings; nil if there is nothing about it.
var Runtime = slot.New[*stream.Global, RuntimeSocket]()

func init() {
	Register(
		Keyword{Name: "stats socket", In: Global, InPlace: true, Max: -1, Parse: statsSocket},
		Keyword{Name: "default-path", In: Global, Max: 2, Parse: defaultPath},
		Keyword{Name: "zero-warning", In: Global, InPlace: true, Parse: func(c *Ctx) error { c.Snap.Global.ZeroWarning = true; return nil }},
	)
}

func statsSocket(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("in global section expects an address or a path to a UNIX socket")
	}
	binds, err := c.binds("stats socket", c.Args)
	if err != nil {
		return err
	}
	for _, b := range binds {
		if b.Level == LevelDefault {
			b.Level = LevelOperator
		}
	}
	s := Runtime.Make(c.Snap.Global)
	s.Binds = append(s.Binds, binds...)
	return nil
}
