package runtimeapi

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

func init() {
	Register(Command{Words: "wait", Level: Admin, Usage: "{-h|<delay_ms>} cond [args...]", Help: "wait the specified delay or condition (-h to see list)", Run: wait})
}

const waitUsage = "Usage: wait {-h|<duration>} [condition [args...]]\n" +
	"  -h            shows this help\n" +
	"  <duration>    the longest time to wait: milliseconds, or with one of the units us, ms, s, m, h, d\n" +
	"  <condition>   what to wait for during that time:\n" +
	"    (none)                   the whole duration\n" +
	"    srv-removable <px>/<sv>  that the server can be removed\n"

// waitStep is how long the condition is left alone between two looks.
const waitStep = 10 * time.Millisecond

func wait(c *Conn, args []string) error {
	if len(args) == 0 || args[0] == "-h" || len(args) > 1 && args[1] == "-h" {
		return Errorf(waitUsage)
	}
	d, err := config.ParseTime(args[0], time.Millisecond)
	if err != nil || d < time.Millisecond {
		return Errorf("Invalid duration.\n")
	}
	until := func() (done bool, err error) { return false, nil }
	if len(args) > 1 {
		if args[1] == "be-removable" {
			return notYet("wait … be-removable")
		}
		if args[1] != "srv-removable" {
			return Errorf(waitUsage)
		}
		if len(args) < 3 {
			return Errorf("Missing server name (<px>/<sv>).\n")
		}
		until = func() (bool, error) {
			_, s, err := c.Target(args[2:])
			if err != nil {
				return false, err
			}
			err, later := removable(s)
			if err != nil && later {
				c.dropIdle(s)
				return false, nil
			}
			return err == nil, err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	deadline := c.R.Now() + int64(d)
	for {
		done, err := until()
		if err != nil {
			return err
		}
		if done {
			return c.Message(6, "Done.\n")
		}
		left := deadline - c.R.Now()
		if left <= 0 {
			break
		}
		step := min(left, int64(waitStep))
		if len(args) == 1 {
			step = min(left, int64(time.Second))
		}
		if err := c.R.Sleep(step); err == reactor.ErrKilled {
			return err
		}
		if c.Closed() {
			return Errorf("Interrupted.\n")
		}
	}
	if len(args) == 1 {
		return c.Message(6, "Done.\n")
	}
	return Errorf("Wait delay expired.\n")
}
