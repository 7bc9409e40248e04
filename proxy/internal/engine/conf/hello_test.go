package conf_test

import (
	"slices"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// hello is all that a section needs: what one is read into, where a configuration
// keeps them, its keywords, and those that it shares with proxies. The word that
// begins it is one of the language's (package config).
type hello struct {
	name, greeting string
	px             *stream.Proxy
}

var hellos = slot.New[*stream.Global, map[string]*hello]()

func init() {
	conf.RegisterSection(conf.Section[hello]{
		Kind: "mailers",
		Begin: func(c *conf.Ctx, name string) (*hello, error) {
			c.Proxy = &stream.Proxy{Name: name, Kind: c.Section}
			all := hellos.Make(c.Snap.Global)
			if *all == nil {
				*all = make(map[string]*hello)
			}
			h := &hello{name: name, px: c.Proxy}
			(*all)[name] = h
			return h, nil
		},
		Keywords: []conf.SectionKeyword[hello]{
			{Name: "greeting", Min: 1, Max: 1, Parse: func(c *conf.Ctx, h *hello) error {
				h.greeting = c.Args[0]
				return nil
			}},
			{Name: "two words", Min: 1, Max: 1, Parse: func(c *conf.Ctx, h *hello) error { return c.Errorf("'%s' says no to %s.", c.Keyword, c.Args[0]) }},
		},
		Shares:        []string{"server", "timeout connect"},
		ServerOptions: []string{"id"},
		End: func(c *conf.Ctx, h *hello) error {
			if h.greeting == "" {
				c.Warn("section '%s' greets nobody.", h.name)
			}
			return nil
		},
	})
}

func TestHelloSection(t *testing.T) {
	snap, d := loadText("mailers m\n greeting hello\n server s 127.0.0.1:25 id 7 weight 5\n timeout connect 3s\nmailers quiet\n")
	if snap == nil {
		t.Fatal(d.All())
	}
	h := (*hellos.Of(snap.Global))["m"]
	if h.greeting != "hello" || h.px.ServerLines[0].Settings.ID != 7 || h.px.Timeouts.Connect.Seconds() != 3 || len(snap.Proxies) > 0 {
		t.Errorf("%+v %+v", h, h.px)
	}
	if all := d.All(); len(all) != 2 || all[0].String() != "config : parsing [t.cfg:3] : 'server m/s' : 'weight' has no effect on a server of a 'mailers' section." ||
		all[1].String() != "config : parsing [t.cfg:5] : section 'quiet' greets nobody." {
		t.Errorf("%v", all)
	}
	for text, want := range map[string]string{
		"greting a":         "unknown keyword 'greting' in 'mailers' section; did you mean 'greeting' maybe ?",
		"greeting a b":      "'greeting' cannot handle unexpected argument 'b'.",
		"two words":         "'two words' expects an argument.",
		"two words a":       "'two words' says no to a.",
		"timeout client 1s": "unknown keyword 'timeout' in 'mailers' section; did you mean 'timeout connect' maybe ?",
		"timeout connect x": "unexpected character 'x' in 'timeout connect'",
		"server s":          "'server' expects <name> and <addr>[:<port>] as arguments.",
		"bind :80":          "unknown keyword 'bind' in 'mailers' section",
	} {
		_, d := loadText("mailers m\n " + text + "\n")
		all := d.All()
		found := slices.ContainsFunc(all, func(x config.Diagnostic) bool { return x.Text == want && x.Pos.Line == 2 && x.Severity == config.Alert })
		if !found {
			t.Errorf("%s: %v, want %s", text, all, want)
		}
	}
}

func loadText(text string) (*stream.Snapshot, *config.Diagnostics) {
	return conf.Load(conf.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Threads: 1, MaxConn: 10})
}
