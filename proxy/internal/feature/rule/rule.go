package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
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
)

var phaseNames = map[Phase]string{
	Request: "http-request", Response: "http-response", AfterResponse: "http-after-response",
	Connection: "tcp-request connection",
}

// Exec runs an action.
type Exec func(sc *stream.Scope) stream.Verdict

// Line is an action's line while it is parsed.
type Line struct {
	*conf.Ctx
	Phase Phase
	words []string
}

// Next takes the next word, "" at the end or before the condition.
func (l *Line) Next() string {
	if len(l.words) == 0 || l.words[0] == "if" || l.words[0] == "unless" {
		return ""
	}
	w := l.words[0]
	l.words = l.words[1:]
	return w
}

// Peek gives the next word without taking it.
func (l *Line) Peek() string {
	if len(l.words) == 0 || l.words[0] == "if" || l.words[0] == "unless" {
		return ""
	}
	return l.words[0]
}

// take takes the next word even when it is empty or looks like a condition: an
// argument that must be there.
func (l *Line) take(what string) (string, error) {
	if len(l.words) == 0 {
		return "", fmt.Errorf("expects %s", what)
	}
	w := l.words[0]
	l.words = l.words[1:]
	return w, nil
}

// place is where in an exchange the rule set runs, see package sample, and how
// messages call it. The rules of a section that is both a frontend and a backend,
// or of defaults that either may use, may be made of what one of them has.
func place(p *stream.Proxy, phase Phase) (where sample.Places, title string) {
	front, back := p == nil || p.Frontend || !p.Backend, p != nil && (p.Backend || !p.Frontend)
	if phase == Connection {
		return sample.FrontConnection, "frontend tcp-request connection rule"
	}
	name := "response"
	at := [2]sample.Places{sample.FrontResponse, sample.BackResponse}
	if phase == Request {
		name = "request"
		at = [2]sample.Places{sample.FrontRequest, sample.BackRequest}
	}
	side := "backend"
	if back {
		where |= at[1]
	}
	if front {
		where |= at[0]
		side = "frontend"
	}
	return where, side + " http-" + name + " header rule"
}

// condition compiles what follows "if" or "unless".
func condition(c *conf.Ctx, words []string, where sample.Places, title string) (stream.Cond, error) {
	cond, err := conf.ParseCondition(c, words)
	if r, ok := cond.(interface {
		Restrict(where sample.Places, title string, warn func(format string, args ...any))
	}); ok && err == nil {
		r.Restrict(where, title, c.Warn)
	}
	return cond, err
}

// Format compiles a log-format argument for the rule set.
func (l *Line) Format(text string) (*logformat.Format, error) {
	where, _ := place(l.Proxy, l.Phase)
	return logformat.Compile(l.Ctx, text, logformat.Options{Where: where, Plain: true})
}

// Action is a kind of rule.
type Action struct {
	Name  string
	In    Phase
	Parse func(l *Line) (Exec, error)
}

var actions = map[string]*Action{}

// RegisterAction adds actions.
func RegisterAction(list ...Action) {
	for i := range list {
		actions[list[i].Name] = &list[i]
		for p, n := range phaseNames {
			if list[i].In&p != 0 {
				conf.RegisterAction(n + " " + list[i].Name)
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
		return stream.Continue
	}
	return r.exec(sc)
}

func init() {
	conf.Register(
		conf.Keyword{Name: "http-request", In: conf.Proxies, Max: -1, Parse: func(c *conf.Ctx) error { return set(c, Request, &c.Proxy.RequestRules) }},
		conf.Keyword{Name: "http-response", In: conf.Proxies, Max: -1, Parse: func(c *conf.Ctx) error { return set(c, Response, &c.Proxy.ResponseRules) }},
		conf.Keyword{Name: "http-after-response", In: conf.Proxies, Max: -1, Parse: func(c *conf.Ctx) error { return set(c, AfterResponse, &c.Proxy.AfterRules) }},
		conf.Keyword{Name: "redirect", In: conf.Frontend | conf.Backend, Max: -1, Parse: redirectLine},
		conf.Keyword{Name: "use_backend", In: conf.Frontend, Max: -1, Parse: useBackend},
	)
}

func set(c *conf.Ctx, phase Phase, rules *[]stream.Rule) error {
	if n := len(*rules); n > 0 {
		if last, ok := (*rules)[n-1].(*rule); ok && last.ends {
			c.Warn("previous '%s' action is final and has no condition attached, further entries are NOOP.", phaseNames[phase])
		}
	}
	r, err := parse(c, phase, c.Args)
	if err != nil {
		return err
	}
	*rules = append(*rules, r)
	return nil
}

func parse(c *conf.Ctx, phase Phase, words []string) (*rule, error) {
	name := phaseNames[phase]
	word, paren := "", ""
	if len(words) > 0 {
		word = words[0]
	}
	if i := strings.IndexByte(word, '('); i >= 0 {
		word, paren = word[:i], word[i:]
	}
	a := actions[word]
	if a == nil || a.In&phase == 0 || paren != "" {
		if word != "" && conf.IsKnown("proxy", name+" "+word) {
			return nil, conf.NotYet("action", name+" "+word)
		}
		var can []string
		for n, o := range actions {
			if o.In&phase != 0 {
				can = append(can, n)
			}
		}
		slices.Sort(can)
		list := "'" + strings.Join(can, "', '") + "'"
		if phase == Connection {
			return nil, fmt.Errorf("'%s' expects %s in %s (got '%s').", name, list, where(c), word)
		}
		if word == "" {
			return nil, fmt.Errorf("'%s' expects %s, but got '' (missing argument).", name, list)
		}
		msg := fmt.Sprintf("'%s' expects %s, but got '%s'.", name, list, words[0])
		if s := config.Suggest(word, can); s != "" {
			msg += " Did you mean '" + s + "' maybe ?"
		}
		return nil, errors.New(msg)
	}
	l := &Line{Ctx: c, Phase: phase, words: words[1:]}
	exec, err := a.Parse(l)
	if err != nil && phase == Connection {
		return nil, fmt.Errorf("'%s %s' %w in %s", name, word, err, where(c))
	}
	if err != nil {
		title := "'" + name + " " + word + "'"
		if c.Keyword == "redirect" {
			title = "redirect"
		}
		return nil, fmt.Errorf("error detected in %s while parsing %s rule : %w.", where(c), title, err)
	}
	r := &rule{exec: exec}
	if len(l.words) > 0 {
		if l.words[0] != "if" && l.words[0] != "unless" {
			return nil, fmt.Errorf("'%s %s' expects either 'if' or 'unless' followed by a condition but found '%s'.", name, word, l.words[0])
		}
		at, title := place(c.Proxy, phase)
		if r.cond, err = condition(c, l.words, at, title); err != nil {
			return nil, fmt.Errorf("error detected while parsing an '%s %s' condition : %w.", name, word, err)
		}
	}
	r.ends = r.cond == nil && slices.Contains(final, word)
	return r, nil
}

// final are the actions that no other follows.
var final = []string{"accept", "allow", "deny", "redirect", "reject", "return", "silent-drop"}

func where(c *conf.Ctx) string { return fmt.Sprintf("%s '%s'", c.Section, c.Proxy.Name) }

func useBackend(c *conf.Ctx) error {
	if len(c.Args) == 0 {
		return fmt.Errorf("'use_backend' expects a backend name.")
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
		if r.Cond, err = condition(c, rest, sample.UseBackend, "frontend use-backend rule"); err != nil {
			return fmt.Errorf("error detected while parsing switching rule : %w.", err)
		}
	}
	c.Proxy.Switching = append(slices.Clip(c.Proxy.Switching), r)
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
