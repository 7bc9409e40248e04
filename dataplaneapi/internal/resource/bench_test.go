package resource

import (
	"fmt"
	"strings"
	"testing"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/proxy/config"
)

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
