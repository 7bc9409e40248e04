package auth

import (
	"container/list"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// Bounds of a Guard.
const (
	freeTries    = 5                      // failures in a row that cost nothing, of a name from an address, and of a name
	freeAddress  = 20                     // of all names from one address
	firstPause   = 200 * time.Millisecond // after that; it doubles with each failure
	longestPause = 30 * time.Second
	forgotten    = 15 * time.Minute // after the last failure
	trusted      = 24 * time.Hour   // after a log-in, as long as the name comes from the same address
	maxGuarded   = 8192
)

// A Guard slows down whoever tries passwords: names, addresses, and names from an address. Who has logged in from an address
// lately is not held up by what others try with the name, or from elsewhere in the same network.
type Guard struct {
	Now func() time.Time // time.Now when it is nil

	mu    sync.Mutex
	of    map[string]*list.Element
	order list.List // of *tries, those that changed last at the front
}

type tries struct {
	key      string
	failures int
	last     time.Time // failure
	until    time.Time
	good     time.Time // last log-in
}

func (g *Guard) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

// keys are the name from the address, the name, and the address (its network, for IPv6). Names are of any length.
func keys(address, name string) [3]string {
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() && !a.Is4In6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			address = p.String()
		}
	}
	sum := sha256.Sum256([]byte(name))
	n := string(sum[:])
	return [3]string{"b" + n + address, "n" + n, "a" + address}
}

func (g *Guard) find(key string) *tries {
	e := g.of[key]
	if e == nil {
		return nil
	}
	return e.Value.(*tries)
}

// Pause is how long a name has to wait for its next try from an address; 0: not at all.
func (g *Guard) Pause(address, name string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	k := keys(address, name)
	both := g.find(k[0])
	var pause time.Duration
	if both != nil {
		pause = both.until.Sub(now)
		if now.Sub(both.good) < trusted {
			return max(pause, 0)
		}
	}
	for _, key := range k[1:] {
		if t := g.find(key); t != nil {
			pause = max(pause, t.until.Sub(now))
		}
	}
	return max(pause, 0)
}

// Failed notes a wrong password.
func (g *Guard) Failed(address, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for i, key := range keys(address, name) {
		free := freeTries
		if i == 2 {
			free = freeAddress
		}
		t := g.touch(key)
		if now.Sub(t.last) > forgotten {
			t.failures = 0
		}
		t.failures++
		t.last = now
		if n := t.failures - free; n > 0 {
			t.until = now.Add(min(firstPause<<min(n-1, 16), longestPause))
		}
	}
}

// Succeeded notes a right password.
func (g *Guard) Succeeded(address, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.touch(keys(address, name)[0])
	t.failures, t.until, t.good = 0, time.Time{}, g.now()
}

// touch finds or makes an entry. The one that nothing happened to for the longest time makes room.
func (g *Guard) touch(key string) *tries {
	if e := g.of[key]; e != nil {
		g.order.MoveToFront(e)
		return e.Value.(*tries)
	}
	if g.of == nil {
		g.of = map[string]*list.Element{}
	}
	if g.order.Len() >= maxGuarded {
		oldest := g.order.Back()
		delete(g.of, g.order.Remove(oldest).(*tries).key)
	}
	t := &tries{key: key}
	g.of[key] = g.order.PushFront(t)
	return t
}
