package reactor

import (
	"runtime"
	"testing"
)

// Who runs aside has a processor beyond those of the reactors, and none is left when
// nobody does.
func TestAside(t *testing.T) {
	withdraw()
	base := runtime.GOMAXPROCS(0)
	check := func(where string, more bool) {
		t.Helper()
		if n := runtime.GOMAXPROCS(0); more != (n > base) || n < base {
			t.Errorf("%s: %d processors, %d otherwise", where, n, base)
		}
	}
	Aside(func() {
		check("aside", true)
		Aside(func() { check("twice", true) })
		withdraw()
		check("after one of two", true)
	})
	check("right afterwards", true) // more may follow
	withdraw()
	check("when all is done", false)
	func() {
		defer func() { recover() }()
		Aside(func() { panic("x") })
	}()
	withdraw()
	check("after a panic", false)
}
