package conf_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// How often a process greets hangs on the global settings, and may change while it
// runs. The command line can say that it never does.
var helloTimes = slot.New[*stream.Global, int]()

func init() {
	conf.RegisterNumber(conf.Number{
		Name: "tune.lua.maxmem", Low: 1, High: 9, InPlace: true, Want: "a number of greetings between 1 and 9.",
		Set: func(g *stream.Global, n int) { helloTimes.Set(g, n) },
	})
	conf.Register(conf.Keyword{Name: "lua-prepend-path", In: conf.Global, InPlace: true, Max: 1, Parse: func(c *conf.Ctx) error {
		n, err := strconv.Atoi(c.Arg(0))
		if err != nil {
			return conf.Causef("'%s' is no number of greetings.", c.Arg(0))
		}
		helloTimes.Set(c.Snap.Global, n)
		return nil
	}})
	conf.RegisterSwitch(conf.Switch{Flags: []string{"dHello"}, Help: "-dHello greets nine times", Apply: func(c *conf.Ctx) { helloTimes.Set(c.Snap.Global, 9) }})
}

// To add a setting of the global section, and a switch of the command line.
func TestHelloGlobal(t *testing.T) {
	a := bed.MustLoad(t, 1, "global\n tune.lua.maxmem 3\n")
	if n := helloTimes.Of(a.Global); n == nil || *n != 3 {
		t.Errorf("%v, want 3", n)
	}
	if n := helloTimes.Of(bed.MustLoad(t, 1, "global\n lua-prepend-path 5\n").Global); n == nil || *n != 5 {
		t.Errorf("%v, want 5", n)
	}
	if _, d := bed.Load(1, "global\n lua-prepend-path x\n"); !strings.Contains(fmt.Sprint(d.All()), "'lua-prepend-path' : 'x' is no number of greetings.") {
		t.Error(d.All())
	}
	const want = "'tune.lua.maxmem' expects a number of greetings between 1 and 9."
	if _, d := bed.Load(1, "global\n tune.lua.maxmem 10\n"); !strings.Contains(fmt.Sprint(d.All()), want) {
		t.Errorf("%v, want %s", d.All(), want)
	}
	in := bed.Input(1, "defaults\n mode tcp\n")
	in.Switches = []string{"dHello"}
	if s, d := snapshot.Load(in); s == nil || *helloTimes.Of(s.Global) != 9 {
		t.Errorf("the switch has no effect: %v", d.All())
	}
	for _, change := range snapshot.Diff(a, bed.MustLoad(t, 1, "global\n tune.lua.maxmem 4\n")) {
		if change.Kind != '~' {
			t.Errorf("a new process for %s", change)
		}
	}
}
