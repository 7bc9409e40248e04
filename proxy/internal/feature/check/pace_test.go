package check_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// The first checks of several servers are spread over the interval, so that they
// do not all begin at one moment, then and ever after.
func TestFirstChecksAreSpread(t *testing.T) {
	text := "backend b\n mode http\n timeout connect 1s\n timeout server 1s\n"
	for i := range 4 {
		text += fmt.Sprintf(" server s%d 10.0.1.%d:80 check inter 2s\n", i, i+1)
	}
	s := sim.NewStage(t, text, nil)
	var hosts []*sim.Host
	for i := range 4 {
		hosts = append(hosts, s.Listen(fmt.Sprintf("10.0.1.%d:80", i+1)))
	}
	s.Pass(5900 * time.Millisecond)
	for i, h := range hosts {
		first := time.Duration(i) * 500 * time.Millisecond
		if len(h.Tried) != 3 {
			t.Errorf("server %d is checked at %v, want every 2 s", i, h.Tried)
			continue
		}
		for k, at := range h.Tried {
			if want := first + time.Duration(k)*2*time.Second; at < want || at > want+5*time.Millisecond {
				t.Errorf("check %d of server %d is made at %v, want %v", k+1, i, at, want)
			}
		}
	}
}

// Which pause follows a check: "inter" in full health, "fastinter" between two
// states, "downinter" when down (manual, "inter").
func TestPaceOfChecks(t *testing.T) {
	s := sim.NewStage(t, "backend b\n mode http\n timeout connect 1s\n timeout server 1s\n"+
		" server s 10.0.1.1:80 check inter 10s fastinter 1s downinter 4s rise 2 fall 2\n", nil)
	h := s.Listen("10.0.1.1:80")
	s.Pass(15 * time.Second) // passed at 0 (one of two) and at once in full health
	h.Refuse = true
	s.Pass(20 * time.Second)
	h.Refuse = false
	s.Pass(20 * time.Second)
	var pauses []time.Duration
	for i, at := range h.Tried[1:] {
		pauses = append(pauses, (at - h.Tried[i]).Round(100*time.Millisecond))
	}
	const s1, s4, s10 = time.Second, 4 * time.Second, 10 * time.Second
	// 0 and 10 pass, 20 fails, 21 fails: down; 25, 29, 33 fail; 37 passes, 38
	// passes: up.
	want := []time.Duration{s10, s10, s1, s4, s4, s4, s4, s1, s10}
	if fmt.Sprint(pauses) != fmt.Sprint(want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
}

// "spread-checks" makes the pause shorter as often as longer.
func TestSpreadChecksGoBothWays(t *testing.T) {
	s := sim.NewStage(t, "global\n spread-checks 20\nbackend b\n mode http\n timeout connect 1s\n timeout server 1s\n server s 10.0.1.1:80 check inter 2s\n", nil)
	h := s.Listen("10.0.1.1:80")
	s.Pass(200 * time.Second)
	longer, shorter := 0, 0
	for i, at := range h.Tried[1:] {
		switch d := at - h.Tried[i]; {
		case d < 1600*time.Millisecond || d > 2405*time.Millisecond:
			t.Errorf("a pause of %v, want within a fifth of 2 s", d)
		case d > 2*time.Second:
			longer++
		default:
			shorter++
		}
	}
	if longer < 25 || shorter < 25 {
		t.Errorf("%d pauses are longer, %d shorter", longer, shorter)
	}
}
