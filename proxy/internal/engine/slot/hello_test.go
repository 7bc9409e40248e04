package slot_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// What the lines of servers say hangs on their settings. A line begins with a copy
// of what "default-server" says, so that a value is edited, not changed.
var helloServers = slot.New[*server.Settings, helloServer]()

type helloServer struct{ name, said string }

func init() {
	conf.RegisterServer(conf.ServerOption{Name: "hello", Args: 1, Dynamic: true, Parse: func(_ *conf.Ctx, set *stream.ServerSettings, words []string) (int, error) {
		if len(words) < 2 || words[1] == "" {
			return 0, conf.Causef("missing name.")
		}
		helloServers.Edit(set).name = words[1]
		return 2, nil
	}})
	// Once all that the line says is known.
	conf.RegisterServerFinish(func(_ *conf.Ctx, p *stream.Proxy, name string, set *stream.ServerSettings) error {
		if h := helloServers.Of(set); h != nil {
			helloServers.Set(set, helloServer{h.name, p.Name + "/" + name + " says hello to " + h.name})
		}
		return nil
	})
}

// To add an option of server lines.
func TestHelloServerOption(t *testing.T) {
	snap := bed.MustLoad(t, 1, "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nbackend b\n default-server hello you\n server a 127.0.0.1:1\n server b 127.0.0.1:1 hello them\n server c 127.0.0.1:1\nbackend c\n server d 127.0.0.1:1\n")
	lines := snap.Backends["b"].ServerLines
	for i, want := range []string{"b/a says hello to you", "b/b says hello to them", "b/c says hello to you"} {
		if h := helloServers.Of(lines[i].Settings); h == nil || h.said != want {
			t.Errorf("%v, want %s", h, want)
		}
	}
	if helloServers.Of(snap.Backends["c"].ServerLines[0].Settings) != nil {
		t.Error("a greeting where nothing was said")
	}
	if s, _ := bed.Load(1, "backend b\n mode tcp\n server a 127.0.0.1:1 hello\n"); s != nil {
		t.Error("an option without its argument loads")
	}
}
