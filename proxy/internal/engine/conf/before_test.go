package conf

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The proxies that there were are found by their names, whatever came, went or moved.
func TestBefore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		old := newSnapshot(nil)
		for i := range rnd.IntN(60) {
			p := &stream.Proxy{Name: fmt.Sprint("p", i), Frontend: i%3 != 0, Backend: i%3 != 1}
			old.Proxies = append(old.Proxies, p)
			if p.Frontend {
				old.Frontends[p.Name] = p
			}
			if p.Backend {
				old.Backends[p.Name] = p
			}
		}
		next := newSnapshot(old)
		some := rnd.IntN(4)
		for _, p := range old.Proxies {
			switch rnd.IntN(40) {
			case 0, 1:
				if some > 0 {
					continue // gone, and many of them in a row
				}
			case 2:
				next.Proxies = append(next.Proxies, &stream.Proxy{Name: fmt.Sprint("new", len(next.Proxies))})
			case 3:
				some = rnd.IntN(4)
			}
			if some == 3 {
				continue
			}
			if some == 2 {
				q := *p
				p = &q
			}
			next.Proxies = append(next.Proxies, p)
		}
		if n := len(next.Proxies); n > 1 && rnd.IntN(2) == 0 {
			i, j := rnd.IntN(n), rnd.IntN(n)
			next.Proxies[i], next.Proxies[j] = next.Proxies[j], next.Proxies[i]
		}
		for i, o := range Before(old, next) {
			want := old.Frontends[next.Proxies[i].Name]
			if want == nil {
				want = old.Backends[next.Proxies[i].Name]
			}
			if o != want {
				t.Fatalf("%s: found %v, want %v", next.Proxies[i].Name, o, want)
			}
		}
	}
}
