package master

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
)

// agreeable is a worker that applies everything.
type agreeable struct{ sent int }

func (a *agreeable) ask(command string, payload []byte) (string, error) {
	a.sent += len(payload)
	switch {
	case strings.HasPrefix(command, "prepare"):
		return "New version created: 2\n", nil
	case strings.HasPrefix(command, "commit"):
		return "Success!\n", nil
	}
	return "", nil
}

// BenchmarkSend tells a worker of 100,000 servers of which one has changed.
func BenchmarkSend(b *testing.B) {
	name := filepath.Join(b.TempDir(), "t.cfg")
	text := func(weight int) []byte {
		var t strings.Builder
		t.WriteString("defaults\n    mode http\n")
		for i := range 10000 {
			fmt.Fprintf(&t, "backend b%d\n", i)
			for j := range 10 {
				fmt.Fprintf(&t, "    server s%d 192.0.2.%d:%d weight %d\n", j, i%250+1, 1000+j, weight)
			}
		}
		return []byte(t.String())
	}
	if err := os.WriteFile(name, text(1), 0o600); err != nil {
		b.Fatal(err)
	}
	k := knownOf(&bundle.Bundle{})
	p := new(agreeable)
	b.ReportAllocs()
	for b.Loop() {
		sources, err := config.ReadSources(bundle.Disk{}, []string{name})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := k.send(p, sources, &bundle.Recorder{From: bundle.Disk{}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(p.sent)/float64(b.N), "sent-B/op")
}
