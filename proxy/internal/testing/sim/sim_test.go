package sim

import (
	"flag"
	"io"
	"os"
	"testing"
)

var (
	seeds   = flag.Int("sim.seeds", 30, "number of seeds to run")
	seed    = flag.Uint64("sim.seed", 1, "the first seed")
	verbose = flag.Bool("sim.verbose", false, "print what happens in a run")
)

// TestSeeds runs worlds. A failure tells the seed, and -sim.seed with
// -sim.verbose shows what led to it.
func TestSeeds(t *testing.T) {
	n := *seeds
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "sim.seeds" })
	var out io.Writer
	if *verbose {
		out = os.Stdout
		if !given {
			n = 1
		}
	}
	var steps, requests, answered, failures int
	var checks, downs int64
	for s := *seed; s < *seed+uint64(n); s++ {
		w, err := Run(s, out)
		steps += w.Steps
		requests += w.Requests
		answered += w.Answered
		for _, v := range w.scene.servers {
			st := v.State()
			checks += st.Checks
			downs += st.Downs
		}
		if err != nil {
			failures++
			t.Errorf("seed %d: %v\n\treplay: go test ./internal/testing/sim -run TestSeeds -sim.seed=%d -sim.verbose", s, err, s)
			if failures == 20 {
				t.Fatal("too many failures")
			}
		}
	}
	t.Logf("%d seeds, %d steps, %d requests, %d answered by servers, %d health checks, %d servers gone down", n, steps, requests, answered, checks, downs)
	if n >= 30 && (checks == 0 || downs == 0) {
		t.Error("the health checks did nothing")
	}
	if answered*5 < requests && n >= 30 {
		t.Errorf("only %d of %d requests were answered: the simulation does not exercise what it should", answered, requests)
	}
}

// TestLong runs worlds with few connections that carry hundreds and thousands of
// requests: what each leaves behind adds up until the books are looked at.
func TestLong(t *testing.T) {
	n := 20
	if testing.Short() {
		n = 2
	}
	requests := 0
	list := []uint64{121, 308, 335} // that once failed
	for s := *seed; s < *seed+uint64(n); s++ {
		list = append(list, s)
	}
	for _, s := range list {
		w, err := RunLong(s, nil)
		requests += w.Requests
		if err != nil {
			t.Errorf("seed %d: %v", s, err)
		}
	}
	t.Logf("%d requests", requests)
}

// TestRegressions runs worlds that once failed. What a seed makes changes with the
// simulation, so that the mistakes that they found have tests of their own where
// they were made; the worlds are odd ones all the same.
func TestRegressions(t *testing.T) {
	for _, s := range []uint64{
		2013, 2039, 29, 36, 58, 61, 194, 244, 443, 547, 10626, 10658, 10701, 10717, 10873, 11062, 11296, 11381, 11382, 20083, 20191, 20542,
		33, 72, 216, 410, // many that wait for one server; a slot that comes when nobody waits for it any more
		21398, 21413, 21562, 21586, 30209, 30296, 31111, 40042, 50719, 50731, 50974, 60248, 60927, 501050, 503333,
	} {
		if _, err := Run(s, nil); err != nil {
			t.Errorf("seed %d: %v", s, err)
		}
	}
}

// TestDeterminism runs seeds twice: what happens must be the same to the byte.
func TestDeterminism(t *testing.T) {
	for s := *seed; s < *seed+6; s++ {
		a, _ := Run(s, nil)
		b, _ := Run(s, nil)
		if a.Hash != b.Hash || a.Steps != b.Steps {
			t.Errorf("seed %d: two runs differ: %x after %d steps, %x after %d", s, a.Hash, a.Steps, b.Hash, b.Steps)
		}
	}
}
