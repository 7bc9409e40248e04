package payload_test

import (
	"os"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
)

// The example of the page loads, but for its backends.
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
	for _, name := range []string{"shop", "acme", "rest"} {
		text.WriteString("backend " + name + "\n mode tcp\n timeout connect 5s\n timeout server 1m\n server s 192.0.2.1:443\n")
	}
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("page.cfg", []byte(text.String()))}, Threads: 1, MaxConn: 100})
	if snap == nil || len(d.All()) > 0 {
		t.Fatalf("%s\n%v", text.String(), d.All())
	}
}
