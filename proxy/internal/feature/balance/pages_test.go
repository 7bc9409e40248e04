package balance_test

import (
	"os"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
)

// The example of the page loads, without a word of complaint.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for l := range strings.Lines(string(page)) {
		if strings.HasPrefix(l, "    ") {
			text.WriteString(strings.TrimPrefix(l, "    "))
		}
	}
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("page.cfg", []byte(text.String()))}, Threads: 1, MaxConn: 100})
	if snap == nil || len(d.All()) > 0 {
		t.Fatalf("%s\n%v", text.String(), d.All())
	}
	b := snap.Backends["cache"].Balance
	if b.Key == nil || !b.Config.Hash.Consistent || b.Config.Factor != 150 || snap.Backends["users"].FullConn != 1000 {
		t.Errorf("%+v", b)
	}
}
