package maps_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// FuzzCommands: whatever is asked of a map, by words or by a payload, there is a
// reply, and no more lines than entries are shown.
func FuzzCommands(f *testing.F) {
	f.Add("add map", "key", "value")
	f.Add("add map", "<<", "a 1\n\nb\t2  \r\n c 3\n")
	f.Add("set map", "a.test", "x\\ y")
	f.Add("del map", "#0x1", "")
	f.Add("commit map", "@1", "")
	f.Add("get map", "\x00\xff", ";")
	w := start(f, runtimeConf)
	const file = "lists/hosts.map"
	f.Fuzz(func(t *testing.T, command, key, value string) {
		line := strings.NewReplacer("\n", " ", ";", " ").Replace(command + " " + file + " " + key + " " + value)
		if key == "<<" {
			line = command + " " + file + " <<%end%\n" + value + "\n%end%"
		}
		if !strings.HasSuffix(strings.SplitN(line, " lists/", 2)[0], " map") || strings.Contains(line, "prompt") {
			t.Skip()
		}
		if bed.Ask(t, w, line) == "" {
			t.Errorf("%q: no reply", line)
		}
		var n int
		for l := range strings.Lines(bed.Ask(t, w, "show map")) {
			if _, rest, ok := strings.Cut(l, "("+file+")"); ok {
				_, count, _ := strings.Cut(rest, "entry_cnt=")
				fmt.Sscan(count, &n)
			}
		}
		if shown := strings.Count(bed.Ask(t, w, "show map "+file), "\n") - 1; shown > n {
			t.Errorf("%q: %d lines of %d entries", line, shown, n)
		}
	})
}
