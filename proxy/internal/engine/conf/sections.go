package conf

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Section is a kind of section, which the feature that it belongs to registers
// with [RegisterSection]. T is what one such section is read into.
type Section[T any] struct {
	Kind string
	// Begin makes what the section of a name is read into, at its first line. With
	// nil the lines are not looked at. A section that has servers or addresses to
	// listen on gives c a Proxy, which is none of the configuration's proxies: the
	// keywords that it shares act on it.
	Begin func(c *Ctx, name string) (*T, error)
	// Keywords are the section's own.
	Keywords []SectionKeyword[T]
	// Shares names keywords of proxies that mean the same in this section: "server",
	// "timeout connect".
	Shares []string
	// ServerOptions are the options that mean something for servers of the section:
	// one is warned of others. nil: all.
	ServerOptions []string
	// End looks at the whole, behind the last line.
	End func(c *Ctx, t *T) error
}

// SectionKeyword is a keyword of a [Section], see [Keyword].
type SectionKeyword[T any] struct {
	Name     string
	Min, Max int
	Parse    func(c *Ctx, t *T) error
}

// section is a kind of section without what it is read into.
type section struct {
	keywords []string // its own and those it shares, sorted
	options  []string // of its servers
	read     func(l *Loading, b *config.Block)
}

// RegisterSection adds a kind of section. It panics on a name that is taken: a
// mistake of the program.
func RegisterSection[T any](s Section[T]) {
	keywords := slices.Clone(s.Shares)
	for _, k := range s.Keywords {
		keywords = append(keywords, k.Name)
	}
	slices.Sort(keywords)
	addSection(s.Kind, &section{keywords, s.ServerOptions, s.read})
}

func addSection(kind string, s *section) {
	if sections[kind] != nil {
		panic("conf: section registered twice: " + kind)
	}
	sections[kind] = s
}

// The sections that there are without any feature.
func init() {
	addSection("global", &section{read: func(l *Loading, b *config.Block) {
		for _, st := range b.Statements {
			l.statement(st, Global, "global", nil, nil)
		}
	}})
	for _, kind := range []string{"defaults", "frontend", "backend", "listen"} {
		addSection(kind, &section{read: (*Loading).proxy})
	}
}

// block loads one section.
func (l *Loading) block(b *config.Block) {
	l.begin(b)
	l.At(b.Pos)
	if s := sections[b.Kind]; s != nil {
		s.read(l, b)
	} else if b.Kind != "program" { // refused by the language itself
		l.Alert(b.Pos, "%s", NotYet("section", b.Kind))
	}
}

// read loads a section of the kind.
func (s *Section[T]) read(l *Loading, b *config.Block) {
	begin := Ctx{Loading: l, Pos: b.Pos, Section: b.Kind}
	t, err := s.Begin(&begin, b.Name)
	if err != nil {
		l.report(b.Pos, About(b.Kind, err))
	}
	if t == nil {
		return
	}
	own := make([]*Keyword, len(s.Keywords))
	for i, k := range s.Keywords {
		own[i] = &Keyword{Name: k.Name, Min: k.Min, Max: k.Max, Parse: func(c *Ctx) error { return k.Parse(c, t) }}
	}
	var base *stream.Proxy // what the shared keywords begin with
	if begin.Proxy != nil {
		base = begin.Proxy.Clone()
		l.private = append(l.private, begin.Proxy)
	}
	for _, st := range b.Statements {
		l.At(st.Pos)
		k, n := match(own, st.Args)
		if k == nil {
			k, n = find(st.Args, func(k *Keyword) bool { return k.In&Proxies != 0 && slices.Contains(s.Shares, k.Name) })
		}
		if k == nil {
			l.Diags.UnknownKeyword(st.Pos, st.Args[0], b.Kind, sections[b.Kind].keywords)
			continue
		}
		l.run(&Ctx{Loading: l, Pos: st.Pos, Section: b.Kind, Proxy: begin.Proxy, base: base}, st, k, n)
	}
	if s.End != nil {
		if err := s.End(&begin, t); err != nil {
			l.report(b.Pos, err)
		}
	}
}

// run parses the line of a keyword whose name is its first n words.
func (l *Loading) run(c *Ctx, st config.Statement, k *Keyword, n int) {
	c.Args, c.Keyword, c.No, c.Default = st.Args[n:], k.Name, st.No, st.Default
	err := c.check(st, k)
	if err == nil {
		err = k.Parse(c)
	}
	if err != nil {
		l.report(st.Pos, About(k.Name, err))
	}
}

// Value is what a feature keeps while a configuration is loaded, one for each
// loading.
type Value[T any] struct{ n int }

var values int

// NewValue makes a place for a T in everything that is loaded.
func NewValue[T any]() Value[T] { values++; return Value[T]{values - 1} }

// Of gives the value of l, a new one at first; nil at run time, when nothing is
// loaded.
func (v Value[T]) Of(l *Loading) *T {
	if l.AtRunTime() {
		return nil
	}
	l.Anew() // what sections share makes them depend on each other
	if l.values[v.n] == nil {
		l.values[v.n] = new(T)
	}
	return l.values[v.n].(*T)
}

// AtRunTime tells that no configuration is loaded: what is parsed comes from a
// command.
func (l *Loading) AtRunTime() bool { return l == nil || l.values == nil }
