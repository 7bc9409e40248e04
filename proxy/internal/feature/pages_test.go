package feature_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// The example of the manual page of HTTP/2 loads, without a word of complaint.
func TestPages(t *testing.T) {
	snap := bed.Sound(t, bed.Examples(t, "../engine/stream/README.md"))
	g := snap.Global
	if stream.HTTP2.Of(g).Front.Glitches != 1000 || len(snap.Frontends["web"].Binds) != 2 || snap.Backends["app"].ServerLines[0].Settings.Proto != "h2" {
		t.Errorf("%+v", g)
	}
}
