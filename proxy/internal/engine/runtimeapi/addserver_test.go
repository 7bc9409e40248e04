package runtimeapi_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// duringAdd runs while the next server is read.
var duringAdd func()

func init() {
	conf.RegisterServerFinish(func(*conf.Ctx, *stream.Proxy, string, *stream.ServerSettings) error {
		if f := duringAdd; f != nil {
			duringAdd = nil
			f()
		}
		return nil
	})
}

// A name is one that the configuration would take, to its end.
func TestAddServerName(t *testing.T) {
	w := newBed(t, 1)
	for _, c := range []struct{ name, bad string }{{"a/b", "/"}, {"a$", "$"}, {"ä", "ä"}, {"\x00", "\x00"}, {"a\x00", "\x00"}, {"a\x00b/c", "\x00"}, {"a\xff", "\ufffd"}} {
		expect(t, w, "add server app/"+c.name+" 127.0.0.1:80", "character '"+c.bad+"' is not permitted in server name '"+c.name+"'.\n\n")
	}
	expect(t, w, "add server app/A-1_b.c:d 127.0.0.1:80", "New server registered.\n\n")
}

// A server goes into the configuration that is in force when it is added, not
// into the one that was when the command came.
func TestAddServerWhileApplied(t *testing.T) {
	w := newBed(t, 1)
	old := w.Snapshot()
	next := graph(1, w.Reactors[0].Sys.Wall())
	duringAdd = func() { w.SetSnapshot(next) }
	expect(t, w, "add server app/s9 127.0.0.1:80", "New server registered.\n\n")
	if old.Backends["app"].BE.Server("s9") != nil || next.Backends["app"].BE.Server("s9") == nil {
		t.Error("added to a backend that is gone")
	}
	gone := graph(1, w.Reactors[0].Sys.Wall())
	delete(gone.Backends, "app")
	duringAdd = func() { w.SetSnapshot(gone) }
	expect(t, w, "add server app/s8 127.0.0.1:80", "No such backend.\n\n")
}

// The algorithm must allow that servers come (management.txt 9.3).
func TestAddServerToStatic(t *testing.T) {
	w := newBed(t, 1)
	expect(t, w, "add server l1/s9 127.0.0.1:80", "Backend does not support dynamic servers : backend 'l1' uses a non dynamic load balancing method.\n\n")
	if n := len(w.Snapshot().Backends["l1"].BE.Servers()); n != 1 {
		t.Errorf("%d servers", n)
	}
}

// No two servers have the same identifier, wherever they are.
func TestAddServerGUID(t *testing.T) {
	w := newBed(t, 1)
	expect(t, w, "add server app/n17 127.0.0.1:36546 guid dyn:g1", "New server registered.\n\n")
	expect(t, w, "add server app/n18 127.0.0.1:36546 guid dyn:g1", "'guid': duplicate entry with server app/n17.\n\n")
	expect(t, w, "add server app/n18 127.0.0.1:36546 guid dyn:g2 hash-key guid", "New server registered.\n\n")
}
