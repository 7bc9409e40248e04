package conf_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/process/worker" // the keywords
)

func load(t *testing.T, text string) (*stream.Snapshot, string) {
	t.Helper()
	snap, d := conf.Load(conf.Input{Sources: []*config.File{config.Parse("/etc/a.cfg", []byte(text))}, Options: config.Options{Env: config.NewEnvironment(nil)}})
	var said strings.Builder
	for _, m := range d.All() {
		said.WriteString(m.Text + "\n")
	}
	return snap, said.String()
}

const oneFrontend = "\ndefaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:36700"

// TestThreads: which reactors accept, on how many sockets.
func TestThreads(t *testing.T) {
	for _, c := range []struct {
		global, bind string
		threads      []int
		shards       int
	}{
		{"nbthread 4", "", nil, 0},
		{"nbthread 4", "thread all", nil, 0},
		{"nbthread 4", "thread odd", []int{0, 2}, 0},
		{"nbthread 4", "thread even", []int{1, 3}, 0},
		{"nbthread 4", "thread 2-3", []int{1, 2}, 0},
		{"nbthread 4", "thread 3-", []int{2, 3}, 0},
		{"nbthread 4", "thread -2", []int{0, 1}, 0},
		{"nbthread 4", "thread 1,4", []int{0, 3}, 0},
		{"nbthread 4", "thread 1-9", nil, 0},
		{"nbthread 4\n thread-groups 2", "thread 2/1", []int{2}, 0},
		{"nbthread 4\n thread-groups 2", "thread 2/all", []int{2, 3}, 0},
		{"nbthread 4\n thread-groups 2", "thread 1/even,2/odd", []int{1, 2}, 0},
		{"nbthread 5\n thread-groups 2\n thread-group 1 1 5", "thread 1/all", []int{0, 4}, 0},
		{"nbthread 5\n thread-groups 3\n thread-group 2 1-3", "thread 1/all", []int{3}, 0},
		{"nbthread 4", "shards 2", nil, 2},
		{"nbthread 4", "shards by-thread", nil, 0},
		{"nbthread 4\n thread-groups 2", "shards by-group", nil, 2},
		{"nbthread 4\n thread-groups 2", "shards by-group thread 2/all", []int{2, 3}, 1},
		{"nbthread 4\n tune.listener.default-shards by-process", "", nil, 1},
		{"nbthread 4\n tune.listener.default-shards by-process", "shards by-thread", nil, 0},
		{"nbthread 4\n thread-hard-limit 2", "thread all", nil, 0},
	} {
		snap, said := load(t, "global\n "+c.global+oneFrontend+" "+c.bind+"\n")
		if snap == nil {
			t.Errorf("%s | %s: %s", c.global, c.bind, said)
			continue
		}
		b := snap.Frontends["f"].Binds[0]
		if !reflect.DeepEqual(b.Threads, c.threads) || b.Shards != c.shards {
			t.Errorf("%s | %s: %v, %d shards, want %v, %d", c.global, c.bind, b.Threads, b.Shards, c.threads, c.shards)
		}
	}
	if snap, said := load(t, "global\n nbthread 4\n thread-hard-limit 2"+oneFrontend+"\n"); snap == nil || snap.Global.Threads != 2 || !strings.Contains(said, "nbthread forced to a higher value (4) than the configured thread-hard-limit (2), enforcing the limit.") {
		t.Errorf("thread-hard-limit: %s", said)
	}
}

// TestCPUMap has the examples of the manual.
func TestCPUMap(t *testing.T) {
	for _, c := range []struct{ global, want string }{
		{"cpu-map 1 0-3", "[[0 1 2 3] [0 1 2 3] [0 1 2 3] [0 1 2 3]]"},
		{"cpu-map 1/all 0,2", "[[0 2] [0 2] [0 2] [0 2]]"},
		{"cpu-map auto:1/1-4 0-3", "[[0] [1] [2] [3]]"},
		{"cpu-map auto:1/1-4 3 2 1 0", "[[0] [1] [2] [3]]"},
		{"cpu-map auto:1/1-4 0-1 2-3", "[[0] [1] [2] [3]]"},
		{"cpu-map auto:1/all 0-63", "[[0] [1] [2] [3]]"},
		{"cpu-map auto:1/even 0-31", "[[] [0] [] [1]]"},
		{"cpu-map auto:1/odd 32-63", "[[32] [] [33] []]"},
		{"cpu-map 1/1- 0-", ""},
		{"cpu-map 1/all 0\n cpu-map 1/2 5", "[[0] [5] [0] [0]]"},
		{"thread-groups 2\n cpu-map 2 7", "[[] [] [7] [7]]"},
		{"thread-groups 2\n cpu-map auto:1-2 5-6", "[[5] [5] [6] [6]]"},
		{"thread-groups 2\n cpu-map auto:2/1-2 5-6", "[[] [] [5] [6]]"},
	} {
		snap, said := load(t, "global\n nbthread 4\n "+c.global+oneFrontend+"\n")
		if snap == nil {
			t.Errorf("%s: %s", c.global, said)
		} else if got := fmt.Sprint(conf.CPUs.Of(snap.Global).Threads); c.want != "" && got != c.want {
			t.Errorf("%s: %s, want %s", c.global, got, c.want)
		}
	}
}

// TestThreadErrors: in HAProxy's words, where it has some.
func TestThreadErrors(t *testing.T) {
	for _, c := range []struct{ global, bind, want string }{
		{"nbproc 2", "", "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available."},
		{"nbthread x", "", "'nbthread' passed a missing or unparsable integer value in 'x'"},
		{"nbthread 0", "", "'nbthread' value must be between 1 and 1024 (was 0)"},
		{"nbthread 99999", "", "'nbthread' value must be between 1 and 1024 (was 99999)"},
		{"thread-groups 99", "", "'thread-groups' value must be between 1 and 32 (was 99)"},
		{"nbthread 2\n thread-group 1 99", "", "Remaining unassigned threads found (2) because all groups are in use. Please increase 'thread-groups', reduce 'nbthreads' or remove or extend 'thread-group' enumerations."},
		{"cpu-map x", "", "cpu-map expects a thread group number  ('all', 'odd', 'even', a number from 1 to 64 or a range),  followed by a list of CPU ranges with numbers from 0 to 63."},
		{"cpu-map 1 x", "", "cpu-map : 'x' is not a CPU range."},
		{"cpu-map 99/1 0", "", "cpu-map : '99' is not a valid number/range. It supports numbers from 1 to 64."},
		{"cpu-map auto:1/1-4 0", "", "must have the same size"},
		{"cpu-map auto:1/1 0-3", "", "must have the same size"},
		{"cpu-map auto:1-2/1-2 0-3", "", "one range"},
		{"cpu-policy nosuch", "", "'cpu-policy' passed an unknown CPU policy 'nosuch'. Supported values are: and 'none' (use all available CPUs),"},
		{"cpu-policy performance", "", "not supported by Forebay yet"},
		{"cpu-set only-node 0", "", "not supported by Forebay yet"},
		{"cpu-set drop-cpu 0-1023", "", "'cpu-set' leaves no CPU"},
		{"tune.listener.default-shards x", "", "'tune.listener.default-shards' expects either 'by-process', 'by-group', or 'by-thread' but got 'x'."},
		{"strict-limits x", "", "'strict-limits' cannot handle unexpected argument 'x'."},
		{"default-path nosuch", "", "unsupported default-path mode 'nosuch' for 'default-path', supported modes include 'current', 'config', 'parent', and 'origin'."},
		{"default-path origin", "", "'default-path origin' expects a directory as an argument."},
		{"", "process x", "'process x' on 'bind' lines is not supported anymore, please use 'thread' instead."},
		{"", "thread x", "'bind 127.0.0.1:36700' in section 'frontend' : invalid first thread number 'x', permitted range is 1..1024, or 'all', 'odd', 'even'."},
		{"", "thread 99/1", "'bind 127.0.0.1:36700' in section 'frontend' : invalid thread group number '99', permitted range is 1..32 in '99/1'."},
		{"", "thread 1,1/1", "cannot be mixed"},
		{"nbthread 2", "thread 3", "none of the 2 threads"},
		{"", "shards x", "'bind 127.0.0.1:36700' in section 'frontend' : 'shards' : invalid value 0, allowed range is 1..1024 or 'by-thread'"},
	} {
		snap, said := load(t, "global\n "+c.global+oneFrontend+" "+c.bind+"\n")
		if snap != nil || !strings.Contains(said, c.want) {
			t.Errorf("%s | %s: %s", c.global, c.bind, said)
		}
	}
}
