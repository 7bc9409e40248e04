package runtimeapi_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// Greetings are of servers, and live as long as they do.
var helloTo = slot.NewLive[*server.Server, greeting]()

type greeting struct{ text string }

func init() {
	// A command has its words, who may give it, its help, and what it does.
	runtimeapi.Register(runtimeapi.Command{Words: "show hello", Level: runtimeapi.User, Usage: "<bk>/<srv>", Help: "greet a server", Run: func(c *runtimeapi.Conn, args []string) error {
		_, s, err := c.Target(args)
		if err != nil {
			return err
		}
		return c.Printf("hello %s%s\n", s.Name, helloTo.In(s).text)
	}})
	// So has a word of "set server".
	runtimeapi.RegisterSetServer(runtimeapi.SetServer{Word: "hello", Run: func(_ *runtimeapi.Conn, _ *stream.Proxy, s *server.Server, args []string) error {
		if args[0] == "" {
			return runtimeapi.Errorf("'set server <srv> hello' expects a greeting.\n")
		}
		helloTo.In(s).text = ", " + args[0]
		return nil
	}})
}

// To add a Runtime command, and a word of "set server".
func TestHelloCommand(t *testing.T) {
	w := bed.Start(t, 1, "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nbackend b\n server s 127.0.0.1:1\n")
	ask := func(line string) string { return strings.TrimSpace(bed.AskAs(t, w, runtimeapi.Admin, line)) }
	for _, c := range []struct{ line, want string }{
		{"show hello b/s", "hello s"}, {"show hello b/x", "No such server."}, {"set server b/s hello", "'set server <srv> hello' expects a greeting."},
		{"set server b/s hello world", ""}, {"show hello b/s", "hello s, world"},
	} {
		if got := ask(c.line); got != c.want {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
	if got := ask("help show"); !strings.Contains(got, "show hello <bk>/<srv>") || !strings.Contains(got, "greet a server") {
		t.Errorf("help:\n%s", got)
	}
}
