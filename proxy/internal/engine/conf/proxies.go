package conf

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// defaults is a "defaults" section, or what holds when there is none.
type defaults struct {
	*stream.Proxy
	made     uint64   // see Loaded; 0: of none
	explicit bool     // named by a "from"
	ruled    Sections // the side of the proxies that took rules from it
}

// builtin are the settings that hold without any defaults section.
func builtin() *stream.Proxy {
	return &stream.Proxy{
		Kind: "defaults", Retries: 3, Mode: stream.TCP,
		Balance: stream.Balance{Algorithm: "random", New: balance.Random, Config: balance.Config{Draws: 2}},
	}
}

// proxy loads a defaults, frontend, backend or listen section.
func (l *Loading) proxy(b *config.Block) {
	var from *defaults
	l.always(func() {
		from = l.inherit(b)
		if err := from.rules(b); err != nil {
			l.Alert(b.Pos, "%s", err)
		}
	})
	cur := l.cur
	if cur.taken != nil {
		l.adopt(b, from)
		return
	}
	p := from.Clone()
	cur.proxy, cur.parent = p, from.made
	if s := l.takeover.known(b); s != nil && s.parent == from.made {
		cur.made = s.made
	} else {
		cur.made = made.Add(1)
	}
	p.Made = cur.made
	base := p.Clone()
	p.Name, p.Kind, p.Pos, p.From = b.Name, b.Kind, b.Pos, b.From
	p.ID, p.ForcedID = 0, false
	var in Sections
	switch b.Kind {
	case "defaults":
		in = Defaults
		l.defs = append(l.defs, &defaults{Proxy: p, made: cur.made})
		l.last = l.defs[len(l.defs)-1]
	case "frontend":
		in = Frontend
	case "backend":
		in = Backend
	case "listen":
		in = Frontend | Backend
	}
	p.Frontend, p.Backend = in&Frontend != 0, in&Backend != 0
	if b.Kind != "defaults" {
		l.add(p)
		l.fresh = append(l.fresh, cur)
	}
	for _, st := range b.Statements {
		l.statement(st, in, b.Kind, p, base)
	}
}

// inherit finds the defaults of a section: those it names, or the last ones
// above it.
func (l *Loading) inherit(b *config.Block) *defaults {
	if b.From == "" {
		if b.Kind == "defaults" || l.last == nil {
			return &defaults{Proxy: builtin()} // a defaults section starts afresh
		}
		if l.last.explicit {
			l.Diags.Warn(b.Pos, "defaults section '%s' (declared at %s) is explicitly referenced by another proxy and implicitly used here."+
				" To avoid any ambiguity don't mix both usage. Add a last defaults section not explicitly used or always use explicit references.",
				l.last.Name, l.last.Pos)
		}
		return l.last
	}
	var found *defaults
	for _, d := range l.defs {
		if d.Name != b.From {
			continue
		}
		if found != nil {
			l.Alert(b.Pos, "ambiguous defaults section name '%s' referenced by %s '%s' exists at least at %s and %s.", b.From, b.Kind, b.Name, found.Pos, d.Pos)
			return found
		}
		found = d
	}
	if found == nil {
		l.Alert(b.Pos, "defaults section '%s' not found for %s '%s'.", b.From, b.Kind, b.Name)
		return &defaults{Proxy: builtin()}
	}
	if c, ok := config.ValidName(b.From); !ok {
		l.Alert(b.Pos, "character '%c' is not permitted in defaults section name '%s' when designated by its name (section found at %s).", c, b.From, found.Pos)
	}
	found.explicit = true
	return found
}

// rules tells why a section must not take the rules that d has: they would run
// twice for a request that passes a frontend and a backend made from it, or could
// not run at all.
func (d *defaults) rules(b *config.Block) error {
	sets := ruleSetsOf(d.Proxy)
	if len(sets) == 0 {
		return nil
	}
	at := "(defaults section at " + d.Pos.String() + ")."
	side := Frontend
	switch b.Kind {
	case "defaults":
		return say("a defaults section cannot inherit from a defaults section defining TCP/HTTP rules %s", at)
	case "listen":
		return say("a listen section cannot inherit from a defaults section defining TCP/HTTP rules.")
	case "backend":
		side = Backend
	}
	if d.ruled != 0 && d.ruled != side {
		return say("frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules %s", at)
	}
	if side == Backend && slices.ContainsFunc(sets, func(s *RuleSet) bool { return s.In&Backend == 0 }) {
		return say("a backend section cannot inherit from a defaults section defining 'tcp-request connection' or 'tcp-request session' rules %s", at)
	}
	d.ruled = side
	return nil
}

// add enters a proxy into the graph. Its name must be new.
func (l *Loading) add(p *stream.Proxy) {
	s := l.Snap
	for _, m := range []map[string]*stream.Proxy{s.Frontends, s.Backends} {
		if o := m[p.Name]; o != nil && p.Name != "" {
			l.Alert(p.Pos, "%s '%s' has the same name as %s '%s' declared at %s. This is no longer supported as of 3.3. Please rename one or the other.", kindOf(p), p.Name, kindOf(o), o.Name, o.Pos)
			return
		}
	}
	s.Proxies, l.of = append(s.Proxies, p), append(l.of, l.cur)
	if p.Frontend {
		s.Frontends[p.Name] = p
	}
	if p.Backend {
		s.Backends[p.Name] = p
	}
}
