package auth

import (
	"fmt"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	g := &Guard{Now: func() time.Time { return now }}
	free := func(address, name string) {
		t.Helper()
		if p := g.Pause(address, name); p != 0 {
			t.Errorf("%s from %s has to wait %s", name, address, p)
		}
	}
	held := func(address, name string, want time.Duration) {
		t.Helper()
		if p := g.Pause(address, name); p != want {
			t.Errorf("%s from %s waits %s, want %s", name, address, p, want)
		}
	}
	for range freeTries {
		free("192.0.2.1", "admin")
		g.Failed("192.0.2.1", "admin")
	}
	free("192.0.2.1", "admin")
	g.Failed("192.0.2.1", "admin")
	held("192.0.2.1", "admin", firstPause)
	held("192.0.2.2", "admin", firstPause) // the name, from wherever
	free("192.0.2.1", "other")
	now = now.Add(firstPause)
	free("192.0.2.1", "admin")
	for i := range 20 {
		g.Failed("192.0.2.1", "admin")
		want := min(firstPause<<(i+1), longestPause)
		held("192.0.2.1", "admin", want)
	}
	held("192.0.2.1", "other", g.Pause("192.0.2.1", "nobody"))
	if g.Pause("192.0.2.1", "other") == 0 { // the address has tried too much
		t.Error("the address is free")
	}
	// Who is known from an address is not held up by others.
	g.Succeeded("192.0.2.9", "admin")
	free("192.0.2.9", "admin")
	held("192.0.2.8", "admin", longestPause)
	g.Succeeded("192.0.2.1", "boss")
	free("192.0.2.1", "boss")
	// A right password ends it for the name and the address, and only there.
	g.Succeeded("192.0.2.1", "admin")
	free("192.0.2.1", "admin")
	now = now.Add(forgotten + longestPause)
	free("192.0.2.8", "admin")
	g.Failed("192.0.2.8", "admin")
	free("192.0.2.8", "admin")
	// A network of IPv6 is one address.
	for i := range freeAddress + 1 {
		g.Failed(fmt.Sprintf("2001:db8::%x", i+1), fmt.Sprint("n", i))
	}
	if g.Pause("2001:db8::ffff", "x") == 0 || g.Pause("2001:db8:0:1::1", "x") != 0 {
		t.Error("networks of IPv6 are wrong")
	}
	// It does not grow.
	for i := range 2 * maxGuarded {
		g.Failed("198.51.100.1", fmt.Sprint(i))
	}
	if len(g.of) > maxGuarded || g.order.Len() != len(g.of) {
		t.Errorf("%d entries, %d in order", len(g.of), g.order.Len())
	}
}
