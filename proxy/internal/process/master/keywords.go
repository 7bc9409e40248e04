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

// Settings are what the configuration says of how the program is started, for
// whoever starts it.
type Settings struct {
	Daemon, MasterWorker bool
	PidFile              string
	maxReloads           int // one more than said, 0: nothing
}

// Said gives them; nil if there are none.
var Said = slot.New[*stream.Global, Settings]()

func init() {
	conf.Register(
		conf.Keyword{Name: "daemon", In: conf.Global, Parse: func(c *conf.Ctx) error {
			Said.Make(c.Snap.Global).Daemon = true
			return nil
		}},
		conf.Keyword{Name: "master-worker", In: conf.Global, Max: 1, Parse: masterWorker},
		conf.Keyword{Name: "pidfile", In: conf.Global, Max: 1, Parse: pidFile},
		conf.Keyword{Name: "mworker-max-reloads", In: conf.Global, Max: 1, Parse: maxReloads},
	)
}

func masterWorker(c *conf.Ctx) error {
	if a := c.Arg(0); a != "" && a != "no-exit-on-failure" {
		return conf.Predicatef("only supports 'no-exit-on-failure' option.")
	} else if a != "" {
		return conf.NotYet("option", "master-worker no-exit-on-failure")
	}
	c.Warn("The 'master-worker' keyword is deprecated in 3.3 and will be removed in 3.5. Use -W or -Ws in the startup script instead.")
	Said.Make(c.Snap.Global).MasterWorker = true
	return nil
}

func pidFile(c *conf.Ctx) error {
	if c.Again("pidfile", "'pidfile'") {
		return nil
	}
	if c.Arg(0) == "" {
		return conf.Predicatef("expects a file name as an argument.")
	}
	Said.Make(c.Snap.Global).PidFile = c.Arg(0)
	return nil
}

func maxReloads(c *conf.Ctx) error {
	if len(c.Args) == 0 {
		return conf.Predicatef("expects an integer argument.")
	}
	n, err := strconv.Atoi(c.Args[0])
	if err != nil || n < 0 {
		return conf.Predicatef("expects a positive value or zero.")
	}
	Said.Make(c.Snap.Global).maxReloads = n + 1
	return nil
}

// MaxReloads gives mworker-max-reloads.
func MaxReloads(snap *stream.Snapshot) int {
	if n := Said.Value(snap.Global).maxReloads; n > 0 {
		return n - 1
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
