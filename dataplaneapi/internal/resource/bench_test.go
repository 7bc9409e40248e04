package resource

import (
	"fmt"
	"strings"
	"testing"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/proxy/config"
)

// BenchmarkReadServers is one read of all servers of a backend that has ten thousand: what the daemon does for it, but for
// HTTP. "first" is the first read of a version, "again" any other.
func BenchmarkReadServers(b *testing.B) {
	api, err := Load(apispec.Files)
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("backend app\n    balance roundrobin\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "    server s%d 10.0.%d.%d:80 check weight 10\n", i, i>>8, i&255)
	}
	data, server := []byte(text.String()), api.ByName["server"]
	read := func(b *testing.B, m *Model) {
		if list, err := m.List(server, "backend", "app", false, "", ""); err != nil || len(list) < 10_000*40 {
			b.Fatal(len(list), err)
		}
	}
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read(b, api.NewModel("t", data))
		}
	})
	m := api.NewModel("t", data)
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read(b, m)
		}
	})
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Get(server, "backend", "app", false, "s5000", 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAddServer is the work of one added server among a thousand: edit the text and plan the commands.
func BenchmarkAddServer(b *testing.B) {
	api, err := Load(apispec.Files)
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("backend app\n    balance roundrobin\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "    server s%d 127.0.0.1:80 check weight 10\n", i)
	}
	data := []byte(text.String())
	obj := map[string]any{"name": "new", "address": "127.0.0.1", "port": 80.0}
	b.ReportAllocs()
	for b.Loop() {
		f := config.Parse("t", data)
		p, err := api.ByName["server"].In(f, "backend", "app")
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Create(obj, 0, false); err != nil {
			b.Fatal(err)
		}
		if commands, ok := api.Plan(config.Parse("t", data), config.Parse("t", f.Bytes())); !ok || len(commands) != 2 {
			b.Fatal(commands, ok)
		}
	}
}
