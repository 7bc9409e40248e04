package ssl

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// A certificate that a handshake makes while settings change is not kept beyond
// that handshake.
func TestForgedWhileSettingsChange(t *testing.T) {
	file := certtest.Write(t, t.TempDir(), "ca.pem", certtest.NewCA(t, "ca").PEM(t))
	f, err := newForge(&conf.Ctx{Loading: &conf.Loading{Files: bundle.Disk{}}}, file, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	b := &Bind{forge: f}
	of := func(pl *plan) *index { return &index{plans: map[*Settings]*plan{nil: pl}} }
	old, next := of(&plan{}), of(&plan{})
	first := f.serve(b, old, "a.test")
	if f.serve(b, old, "a.test") != first {
		t.Error("made again")
	}
	made := f.serve(b, next, "a.test")
	if made.plan != next.plans[nil] {
		t.Error("served with settings that are gone")
	}
	late := f.serve(b, old, "a.test") // of a handshake that began before
	if late.plan != old.plans[nil] || f.serve(b, next, "a.test").plan != next.plans[nil] {
		t.Error("what a late handshake made is served to others")
	}
	if n := f.order.Len(); n != 1 || len(f.byName) != 1 {
		t.Errorf("%d are kept", n)
	}
}
