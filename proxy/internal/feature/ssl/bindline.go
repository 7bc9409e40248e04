package ssl

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// bindLine is what a bind line says of TLS, while it is read. Lines with several
// addresses have one for each, which say the same.
type bindLine struct {
	Settings
	on       bool
	sources  []bindSource
	strict   int8 // 1 strict-sni, -1 no-strict-sni
	generate bool
	signFile string
	signPass string
	keysFile string // tls-ticket-keys

	crtIgnore, caIgnore ignored

	bind  *stream.Bind
	proxy *stream.Proxy // nil for the Runtime socket
	pos   config.Pos
	where string // 'bind :443' in section 'frontend'
	addr  string
}

// bindSource is a "crt", "default-crt" or "crt-list" of a line.
type bindSource struct{ word, name string }

var bindLines = conf.NewValue[[]*bindLine]()

// linesOfBinds are what is said of the binds while the configuration is read,
// served what they came to.
var (
	linesOfBinds = slot.New[*stream.Bind, *bindLine]()
	served       = slot.New[*stream.Bind, *Bind]()
)

// lineOfBind gives what b's line says so far.
func lineOfBind(c *conf.Ctx, b *stream.Bind) *bindLine {
	if l := linesOfBinds.Of(b); l != nil {
		return *l
	}
	l := &bindLine{bind: b, proxy: c.Proxy, pos: c.Pos}
	if len(c.Args) > 0 {
		l.addr = c.Args[0]
	}
	l.where = c.WhereBind(c.Keyword, l.addr)
	linesOfBinds.Set(b, l)
	if list := bindLines.Of(c.Loading); list != nil {
		*list = append(*list, l)
	}
	return l
}

// bindOption makes an option of bind lines out of what it does to the line.
func bindOption(name string, args int, lacks string, set func(c *conf.Ctx, l *bindLine, value string) error) conf.BindOption {
	return conf.BindOption{Name: name, Args: args, Parse: func(c *conf.Ctx, b *stream.Bind, words []string) (int, error) {
		if c.Snap == nil {
			return 0, errNoTLS
		}
		value := ""
		if args > 0 {
			if len(words) < 2 || words[1] == "" {
				return 0, conf.Causef("missing %s", lacks)
			}
			value = words[1]
		}
		return 1 + args, set(c, lineOfBind(c, b), value)
	}}
}

// errNoTLS refuses an option where there is no configuration that its files could
// belong to.
var errNoTLS = conf.Causef("TLS is not available on the master's socket")

func init() {
	source := func(word string) conf.BindOption {
		return bindOption(word, 1, "certificate location", func(_ *conf.Ctx, l *bindLine, v string) error {
			l.sources = append(l.sources, bindSource{word, v})
			return nil
		})
	}
	list := []conf.BindOption{
		bindOption("ssl", 0, "", func(_ *conf.Ctx, l *bindLine, _ string) error { l.on = true; return nil }),
		source("crt"), source("default-crt"), source("crt-list"),
		bindOption("strict-sni", 0, "", func(_ *conf.Ctx, l *bindLine, _ string) error { l.strict = 1; return nil }),
		bindOption("no-strict-sni", 0, "", func(_ *conf.Ctx, l *bindLine, _ string) error { l.strict = -1; return nil }),
		bindOption("generate-certificates", 0, "", func(_ *conf.Ctx, l *bindLine, _ string) error { l.generate = true; return nil }),
		bindOption("ca-sign-file", 1, "CAfile path", func(c *conf.Ctx, l *bindLine, v string) error {
			l.signFile = Path(DefaultsOf(c.Snap.Global).CABase, v)
			return nil
		}),
		bindOption("ca-sign-pass", 1, "CAkey password", func(_ *conf.Ctx, l *bindLine, v string) error { l.signPass = v; return nil }),
		bindOption("tls-ticket-keys", 1, "TLS ticket keys file path", func(_ *conf.Ctx, l *bindLine, v string) error { l.keysFile = v; return nil }),
		bindOption("crt-ignore-err", 1, "error IDs list", func(_ *conf.Ctx, l *bindLine, v string) (err error) {
			l.crtIgnore, err = parseIgnored(v)
			return err
		}),
		bindOption("ca-ignore-err", 1, "error IDs list", func(_ *conf.Ctx, l *bindLine, v string) (err error) {
			l.caIgnore, err = parseIgnored(v)
			return err
		}),
		bindOption("ech", 1, "directory", func(*conf.Ctx, *bindLine, string) error {
			return conf.Causef("it is experimental in HAProxy 3.4, and not available")
		}),
	}
	common := slices.Clone(Words)
	for word := range settingArgs {
		common = append(common, word)
	}
	slices.Sort(common)
	for _, word := range common {
		args := WordArgs(word)
		if n, ok := settingArgs[word]; ok {
			args = n
		}
		list = append(list, conf.BindOption{Name: word, Args: args, Parse: func(c *conf.Ctx, b *stream.Bind, words []string) (int, error) {
			if c.Snap == nil {
				return 0, errNoTLS
			}
			n, _, err := lineOfBind(c, b).parse(DefaultsOf(c.Snap.Global), words)
			return n, err
		}})
	}
	conf.RegisterBind(list...)
	conf.RegisterFinish(finishBinds)
}

// finishBinds makes what bind lines serve, once all sections were read.
func finishBinds(c *conf.Ctx) {
	storeSlot.Make(c.Snap.Global)
	lists := crtLists.Make(c.Snap.Global)
	lists.frontends(c)
	lines := *bindLines.Of(c.Loading)
	type key struct {
		pos   config.Pos
		proxy *stream.Proxy
	}
	made := map[key]*Bind{}
	failed := map[key]bool{}
	for _, l := range lines {
		k := key{l.pos, l.proxy}
		if failed[k] {
			continue
		}
		at := *c
		at.Pos, at.Proxy = l.pos, l.proxy
		b := made[k]
		if b == nil {
			var err error
			if b, err = newBind(&at, l); err != nil {
				c.Alert(l.pos, "%s", err)
				failed[k] = true
				continue
			}
			made[k] = b
		}
		served.Set(l.bind, b)
		if b.on {
			l.bind.TLS = b.front
		}
	}
}
