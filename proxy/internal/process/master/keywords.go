package master

import (
	"fmt"
	"os"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// defaultMaxReloads is how many reloads a leaving worker may survive
// (configuration.txt 3.1, mworker-max-reloads).
const defaultMaxReloads = 50

type settings struct{ maxReloads int }

var reloads = slot.New[*stream.Global, settings]()

func init() {
	conf.Register(conf.Keyword{Name: "mworker-max-reloads", In: conf.Global, Max: 1, Parse: func(c *conf.Ctx) error {
		if len(c.Args) == 0 {
			return conf.Predicatef("expects an integer argument.")
		}
		n, err := strconv.Atoi(c.Args[0])
		if err != nil || n < 0 {
			return conf.Predicatef("expects a positive value or zero.")
		}
		reloads.Make(c.Snap.Global).maxReloads = n
		return nil
	}})
}

// MaxReloads gives mworker-max-reloads.
func MaxReloads(snap *stream.Snapshot) int {
	if s := reloads.Of(snap.Global); s != nil {
		return s.maxReloads
	}
	return defaultMaxReloads
}

// WritePID writes the number of this process into a file, if there is to be one.
func WritePID(path string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("[forebay] Cannot create pidfile %w", err)
	}
	return nil
}
