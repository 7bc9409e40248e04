package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// Phase is a rule set.
type Phase uint8

// Rule sets.
const (
	Request Phase = 1 << iota
	Response
	AfterResponse
	Connection
	Session
	RequestContent
	ResponseContent
)

// ruleSet is a row of the table of rule sets.
type ruleSet struct {
	phase Phase
	name  string
	in    conf.Sections
	http  bool
	of    func(*stream.Proxy) *[]stream.Rule
	// front and back are where in an exchange the rules run, see package sample, for
	// the frontend's and the backend's; title is how messages about that call them,
	// behind the side.
	front, back sample.Places
	title       string
}

// ruleSets are all that there are. In each of them an unconditional final action
// ends the set: what stands behind it never runs.
var ruleSets = []*ruleSet{
	{
		Connection, "tcp-request connection", conf.Defaults | conf.Frontend, false, func(p *stream.Proxy) *[]stream.Rule { return &p.ConnRules },
		sample.FrontConnection, 0, "tcp-request connection rule",
	},
	{
		Session, "tcp-request session", conf.Defaults | conf.Frontend, false, func(p *stream.Proxy) *[]stream.Rule { return &p.SessionRules },
		sample.FrontSession, 0, "tcp-request session rule",
	},
	{
		RequestContent, "tcp-request content", conf.Proxies, false, func(p *stream.Proxy) *[]stream.Rule { return &p.ContentRules },
		sample.FrontContent, sample.BackContent, "tcp-request content rule",
	},
	{
		ResponseContent, "tcp-response content", conf.Defaults | conf.Backend, false, func(p *stream.Proxy) *[]stream.Rule { return &p.ResponseContent },
		0, sample.BackResponseContent, "tcp-response content rule",
	},
	{
		Request, "http-request", conf.Proxies, true, func(p *stream.Proxy) *[]stream.Rule { return &p.RequestRules },
		sample.FrontRequest, sample.BackRequest, "http-request header rule",
	},
	{
		Response, "http-response", conf.Proxies, true, func(p *stream.Proxy) *[]stream.Rule { return &p.ResponseRules },
		sample.FrontResponse, sample.BackResponse, "http-response header rule",
	},
	{
		AfterResponse, "http-after-response", conf.Proxies, true, func(p *stream.Proxy) *[]stream.Rule { return &p.AfterRules },
		sample.FrontResponse, sample.BackResponse, "http-response header rule",
	},
}

// set gives the row of a phase.
func (p Phase) set() *ruleSet {
	return ruleSets[slices.IndexFunc(ruleSets, func(s *ruleSet) bool { return s.phase == p })]
}

// Exec runs an action.
type Exec func(sc *stream.Scope) stream.Verdict

// Line is an action's line while it is parsed: its words up to the condition.
type Line struct {
	*conf.Ctx
	conf.Words
	Phase Phase
	// Word is the action's own word, with what it has in parentheses, Paren what that
	// is: "" if they are not closed.
	Word, Paren string
}

// place is where in an exchange the rule set runs, and how messages call it. The
// rules of a section that is both a frontend and a backend, or of defaults that
// either may use, may be made of what one of them has.
func place(p *stream.Proxy, phase Phase) (where sample.Places, title string) {
	front, back := p == nil || p.Frontend || !p.Backend, p != nil && (p.Backend || !p.Frontend)
	s := phase.set()
	side := "backend"
	if back || s.back == 0 {
		where |= s.back
	}
	if front && s.front != 0 || s.back == 0 {
		where |= s.front
		side = "frontend"
	}
	return where, side + " " + s.title
}

// Restricter is a condition that can tell which of its parts mean nothing at a place,
// which title names: they never hold there, and warn is told of them.
type Restricter interface {
	Restrict(where sample.Places, title string, warn func(format string, args ...any))
}

// condition compiles what follows "if" or "unless"; what names it.
func condition(c *conf.Ctx, what string, words []string, where sample.Places, title string, warn func(string, ...any)) (stream.Cond, error) {
	cond, err := c.Condition(what, words)
	if r, ok := cond.(Restricter); ok && err == nil {
		r.Restrict(where, title, warn)
	}
	return cond, err
}

// Place is where in an exchange the rule set runs.
func (l *Line) Place() sample.Places {
	where, _ := place(l.Proxy, l.Phase)
	return where
}

// Format compiles a log-format argument for the rule set.
func (l *Line) Format(text string) (*logformat.Format, error) {
	return logformat.Compile(l.Ctx, text, logformat.Options{Where: l.Place(), Plain: true})
}

// Expr compiles a sample expression, for the rule set.
func (l *Line) Expr() (*sample.Expr, error) {
	c := *l.Ctx
	c.In = l.Phase.set().name + " expression"
	e, rest, err := sample.ParseWords(&c, l.Rest())
	for err == nil && len(l.Rest()) > len(rest) {
		l.Take("")
	}
	if err != nil {
		return nil, err
	}
	return e, e.Allowed(l.Word, l.Place())
}

// FormatWord compiles the next word as a log-format, see [Line.Format].
func (l *Line) FormatWord() (*logformat.Format, error) {
	v, err := l.Take("a format")
	if err != nil {
		return nil, err
	}
	return l.Format(v)
}

// Action is a kind of rule.
type Action struct {
	Name  string
	In    Phase
	Parse func(l *Line) (Exec, error)
	// Paren tells that an argument in parentheses follows the name.
	Paren bool
	// Final tells that no rule runs behind the action if it has no condition.
	Final bool
}

var actions = map[string]*Action{}

// RegisterAction adds actions.
func RegisterAction(list ...Action) {
	for i := range list {
		actions[list[i].Name] = &list[i]
		for _, s := range ruleSets {
			if list[i].In&s.phase != 0 {
				name := s.name + " " + list[i].Name
				if list[i].Paren {
					name += "*"
				}
				conf.RegisterAction(name)
			}
		}
	}
}

// rule is one line.
type rule struct {
	cond stream.Cond
	exec Exec
	ends bool // nothing behind it is ever run
}

func (r *rule) Exec(sc *stream.Scope) stream.Verdict {
	if r.cond != nil && !r.cond.Match(sc) {
		if sc.Undecided() {
			return stream.Wait
		}
		return stream.Continue
	}
	return r.exec(sc)
}

func init() {
	for _, s := range ruleSets {
		conf.RegisterRuleSet(s.conf())
	}
	conf.Register(
		conf.Keyword{Name: "redirect", In: conf.Frontend | conf.Backend, Max: -1, Parse: redirectLine},
		conf.Keyword{Name: "use_backend", In: conf.Frontend, Max: -1, Parse: useBackend},
	)
}

// conf is the row as the loading knows it.
func (s *ruleSet) conf() conf.RuleSet {
	return conf.RuleSet{Name: s.name, In: s.in, HTTP: s.http, Of: s.of, Parse: func(c *conf.Ctx, rules *[]stream.Rule) error {
		return set(c, s, rules)
	}}
}

func set(c *conf.Ctx, s *ruleSet, rules *[]stream.Rule) error {
	if n := len(*rules); n > 0 {
		if last, ok := (*rules)[n-1].(*rule); ok && last.ends {
			c.Warn("previous '%s' action is final and has no condition attached, further entries are NOOP.", s.name)
		}
	}
	r, err := s.parse(c, c.Args)
	if err != nil {
		return err
	}
	*rules = append(*rules, r)
	return nil
}

// parse reads a rule: an action, its arguments, and what restricts it.
func (s *ruleSet) parse(c *conf.Ctx, words []string) (*rule, error) {
	a, err := s.action(c, words)
	if err != nil {
		return nil, err
	}
	l := &Line{Ctx: c, Phase: s.phase, Word: words[0], Words: conf.ReadWords(words[1:], "if", "unless")}
	if _, inside, ok := strings.Cut(l.Word, "("); ok {
		if inside, ok = strings.CutSuffix(inside, ")"); ok {
			l.Paren = inside
		}
	}
	exec, err := a.Parse(l)
	if err != nil {
		return nil, s.conf().About(c, l.Word, err)
	}
	r := &rule{exec: exec}
	if rest := l.Rest(); len(rest) > 0 {
		if l.Peek() != "" || rest[0] == "" {
			return nil, conf.About(s.name+" "+l.Word, conf.Predicatef("expects either 'if' or 'unless' followed by a condition but found '%s'.", rest[0]))
		}
		if r.cond, err = s.condition(l, rest); err != nil {
			return nil, err
		}
	}
	r.ends = r.cond == nil && a.Final
	return r, nil
}

// action finds the action that a rule begins with.
func (s *ruleSet) action(c *conf.Ctx, words []string) (*Action, error) {
	word := ""
	if len(words) > 0 {
		word = words[0]
	}
	name, _, paren := strings.Cut(word, "(")
	if a := actions[name]; a != nil && a.In&s.phase != 0 && (!paren || a.Paren) {
		return a, nil
	}
	if name != "" && conf.IsKnown("proxy", s.name+" "+name) {
		return nil, conf.NotYet("action", s.name+" "+name)
	}
	var can []string
	for n, a := range actions {
		if a.In&s.phase == 0 {
			continue
		}
		if a.Paren {
			n += "(*)"
		}
		can = append(can, n)
	}
	slices.Sort(can)
	return nil, conf.About(s.name, s.conf().Unknown(c, can, word))
}

// condition compiles what restricts a rule.
func (s *ruleSet) condition(l *Line, words []string) (stream.Cond, error) {
	where, title := place(l.Proxy, s.phase)
	warn := l.Warn
	if !s.http {
		// So HAProxy has it for these sets.
		warn = func(format string, args ...any) {
			l.Warn(strings.TrimSuffix(strings.Replace(format, " because ", " in '"+s.name+"' because ", 1), "."), args...)
		}
	}
	return condition(l.Ctx, "an '"+s.name+" "+l.Word+"' condition", words, where, title, warn)
}

func useBackend(c *conf.Ctx) error {
	if len(c.Args) == 0 {
		return conf.Predicatef("expects a backend name.")
	}
	r := stream.SwitchRule{Target: c.Args[0]}
	if strings.Contains(c.Args[0], "%") {
		f, err := logformat.Compile(c, c.Args[0], logformat.Options{Where: sample.UseBackend, Plain: true})
		if err != nil {
			return fmt.Errorf("failed to parse use_backend rule '%s' : %w.", c.Args[0], err)
		}
		if !f.IsConstant() {
			r.Find = func(sc *stream.Scope) *stream.Proxy {
				name := f.Append(sc.Scratch(), sc)
				be := sc.Snap.Backends[string(name)]
				sc.Drop(name)
				return be
			}
		}
	}
	if rest := c.Args[1:]; len(rest) > 0 {
		if rest[0] != "if" && rest[0] != "unless" {
			return fmt.Errorf("unexpected keyword '%s' after switching rule, only 'if' and 'unless' are allowed.", rest[0])
		}
		var err error
		if r.Cond, err = condition(c, "switching rule", rest, sample.UseBackend, "frontend use-backend rule", c.Warn); err != nil {
			return err
		}
	}
	c.Proxy.Switching = append(c.Proxy.Switching, r) // no defaults section shares them
	return nil
}

// header is the message that a rule set edits.
func header(st *stream.Stream, p Phase) *message.Header {
	if p == Request {
		return &st.Req.Header
	}
	return &st.Res.Header
}

// compute evaluates a format into the scope's memory, as the value of a
// field: what would end the line is replaced by blanks.
func compute(st *stream.Stream, f *logformat.Format) []byte {
	b := st.Keep(f.Append(st.Scratch(), &st.Scope))
	for i, c := range b {
		if c == '\r' || c == '\n' || c == 0 {
			b[i] = ' '
		}
	}
	return b
}
