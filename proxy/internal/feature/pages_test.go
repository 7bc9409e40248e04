package feature_test

import (
	"os"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The example of the manual page of HTTP/2 loads, without a word of complaint.
func TestPages(t *testing.T) {
	page, err := os.ReadFile("../engine/stream/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for l := range strings.Lines(string(page)) {
		if strings.HasPrefix(l, "    ") || l == "\n" {
			text.WriteString(strings.TrimPrefix(l, "    "))
		}
	}
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("page.cfg", []byte(text.String()))}, Threads: 1, MaxConn: 100})
	if snap == nil || len(d.All()) > 0 {
		t.Fatalf("%s\n%v", text.String(), d.All())
	}
	g := snap.Global
	if stream.HTTP2.Of(g).Front.Glitches != 1000 || len(snap.Frontends["web"].Binds) != 2 || snap.Backends["app"].ServerLines[0].Settings.Proto != "h2" {
		t.Errorf("%+v", g)
	}
}
