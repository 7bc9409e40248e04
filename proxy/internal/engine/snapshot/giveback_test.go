package snapshot_test

import (
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// What was replaced is given back to the kernel, in an idle process too, and once.
func TestGivesBack(t *testing.T) {
	const text = "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nfrontend web\n bind 10.1.0.1:80\n"
	s := sim.NewStage(t, text, nil)
	r := s.Worker.Reactors[0]
	n := 0
	r.NoTrim, r.FreeMemory = false, func() { n++ }
	s.Pass(time.Minute)
	if n > 0 {
		t.Error("nothing was replaced, and memory given back")
	}
	for _, more := range []string{" timeout http-request 1s\n", ""} {
		n = 0
		s.Apply(text + more)
		if s.Pass(5 * time.Second); n != 1 {
			t.Errorf("given back %d times in five seconds", n)
		}
		if s.Pass(time.Minute); n != 1 {
			t.Errorf("given back %d times", n)
		}
	}
}
