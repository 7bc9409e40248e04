package reactor

import (
	"runtime"
	"sync"
	"time"
)

// spare are processors of the Go runtime beyond those of the reactors.
var spare struct {
	mu    sync.Mutex
	users int
	base  int // how many processors there are otherwise, 0: none are to spare
}

// spareFor is how long processors stay to spare when nobody uses them any more: what
// uses them comes in steps, and each change stops the world for a moment.
const spareFor = time.Second

// Aside runs f, which takes its time or leaves much to the collector, with
// processors to spare. Otherwise f had to wait until a reactor waits for longer
// than a moment, and a reactor then for f, or for the collector, which takes a
// quarter of the processors: the kernel shares the machine among threads sooner
// than the Go runtime shares a processor among goroutines.
//
// It must not be called on a reactor.
func Aside(f func()) {
	borrow()
	defer giveBack()
	f()
}

func borrow() {
	spare.mu.Lock()
	defer spare.mu.Unlock()
	spare.users++
	if spare.base == 0 {
		spare.base = runtime.GOMAXPROCS(0)
		// one for f, and as many as the collector takes of the whole
		runtime.GOMAXPROCS(spare.base + (spare.base+2)/3 + 1)
	}
}

func giveBack() {
	spare.mu.Lock()
	defer spare.mu.Unlock()
	if spare.users--; spare.users == 0 {
		time.AfterFunc(spareFor, withdraw)
	}
}

func withdraw() {
	spare.mu.Lock()
	defer spare.mu.Unlock()
	if spare.users == 0 && spare.base != 0 {
		runtime.GOMAXPROCS(spare.base)
		spare.base = 0
	}
}
