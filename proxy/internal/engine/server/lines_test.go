package server

import (
	"testing"
	"time"
	"unsafe"
)

// line is the cache line that v begins on.
func line[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) / 64 }

// What every request changes is alone on its cache line: other threads read the rest.
func TestLines(t *testing.T) {
	for range 20 {
		s := New("b", "s", 1, 3, &Settings{Weight: 1}, time.Unix(1e9, 0))
		hot := line(&s.Cur)
		if line(&s.LastUsed) != hot {
			t.Fatalf("what changes is on lines %x and %x", hot, line(&s.LastUsed))
		}
		for name, at := range map[string]uintptr{
			"Limit": line(&s.Limit), "Counters": line(&s.Counters), "Pools": line(&s.Pools), "settings": line(&s.settings), "usable": line(&s.usable),
			"effective": line(&s.effective), "addr": line(&s.addr), "need": line(&s.need), "Backend": line(&s.Backend),
		} {
			if at == hot {
				t.Errorf("%s is on the line of what changes", name)
			}
		}
		for i := range s.Pools[1:] {
			if line(&s.Pools[i+1]) == line(&s.Pools[i].purged) || line(&s.Counters[i+1]) == line(&s.Counters[i].TLS) {
				t.Errorf("two reactors share a line")
			}
		}
	}
}
