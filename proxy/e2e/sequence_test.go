package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A file that was edited by hand and does not load changes nothing, whatever came
// before and comes after: the next reload takes what the file says then, in place
// or with a new worker, and the same file again is no change. Reloads that come
// together all succeed, and the last word is the file's.
func TestEditsAndReloadsInSequence(t *testing.T) {
	addr, dir := address(t), scratch(t)
	text := func(name string, threads int, more string) string {
		return strings.Replace(preface, "nbthread 2", fmt.Sprintf("nbthread %d", threads), 1) +
			fmt.Sprintf("frontend web\n    bind %s\n    http-request return status 200 content-type text/plain string %s\n%s", addr, name, more)
	}
	p := serveIn(t, forebay, dir, text("a", 2, ""), "-W")
	says := func(when, want string) {
		t.Helper()
		if status, body, err := get(addr, "/"); status != 200 || body != want || err != nil {
			t.Errorf("%s: %d %q %v, want %q", when, status, body, err, want)
		}
	}
	refused := func(when string) {
		t.Helper()
		configure(t, dir, text("broken", 2, "    no-such-keyword\n"))
		if r := p.askMaster("reload"); !strings.HasPrefix(r, "Success=0") || !strings.Contains(r, "no-such-keyword") {
			t.Errorf("%s: %s", when, r)
		}
	}
	says("at first", "a")
	refused("a broken file")
	says("after a broken file", "a")
	refused("the broken file again")
	configure(t, dir, text("b", 2, ""))
	p.reload() // in place
	says("after a change in place", "b")
	before := p.worker()
	refused("broken after a change in place")
	says("after a broken file, after a change in place", "b")
	configure(t, dir, text("b", 2, ""))
	p.reload()
	if p.worker() != before {
		t.Error("the file is as it was, and there is a new worker")
	}
	says("after the same file", "b")
	configure(t, dir, text("c", 1, ""))
	p.reload() // with a new worker
	says("after a new worker", "c")
	if p.worker() == before {
		t.Error("there is no new worker")
	}
	refused("broken after a new worker")
	says("after a broken file, after a new worker", "c")
	for i, threads := range []int{1, 2} { // in place, and with new workers
		name := fmt.Sprint("many", i)
		configure(t, dir, text(name, threads, ""))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if r, err := ask(p.master, "reload"); err != nil || !strings.HasPrefix(r, "Success=1") {
					t.Errorf("%s: %s %v", name, r, err)
				}
			})
		}
		wg.Wait()
		says("after many reloads", name)
		if now, _ := p.workers(); len(now) != 1 {
			t.Errorf("%d workers", len(now))
		}
	}
}
