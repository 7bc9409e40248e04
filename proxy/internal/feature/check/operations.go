package check

import (
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Operation is a rule of "http-check" that neither sends nor receives anything:
// what it does, it does to the check's scope. Its word goes on with an argument in
// parentheses.
type Operation struct {
	Name string
	// Parse reads the line: its first word, and those behind it.
	Parse func(c *conf.Ctx, word string, args []string) (func(*stream.Scope), error)
}

var operations = map[string]Operation{}

// RegisterOperation adds operations.
func RegisterOperation(list ...Operation) {
	for _, o := range list {
		operations[o.Name] = o
	}
}

// operationRule reads "http-check <operation>(…) …". It runs right before the rule
// behind it, or at the end.
func operationRule(c *conf.Ctx) error {
	first := word(c.Args, 0)
	name, _, _ := strings.Cut(first, "(")
	o, ok := operations[name]
	if !ok {
		return say("'http-check' only supports 'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '%s'", first)
	}
	run, err := o.Parse(c, first, c.Args[1:])
	if err != nil {
		return say("'http-check %s' : '%s' : %w.", first, name, err)
	}
	s := rules.Make(c.Proxy)
	s.own(c)
	s.pending = append(s.pending, run)
	return nil
}

// own lets go of the rules of a defaults section.
func (s *settings) own(c *conf.Ctx) {
	if s.inherited {
		s.steps, s.pending, s.inherited = nil, nil, false
		s.pos = c.Pos
	}
	if s.pos == (config.Pos{}) {
		s.pos = c.Pos
	}
}

// operate runs operations in the check's scope.
func (p *probe) operate(list []func(*stream.Scope)) {
	if len(list) == 0 {
		return
	}
	if p.scope == nil {
		p.scope = &stream.Scope{W: p.w, R: p.r, Snap: p.w.Snapshot(), BE: p.px, Srv: p.srv, Check: &stream.Check{Conn: &p.conn}}
	}
	p.scope.Check.Res = nil
	if p.head != 0 {
		p.scope.Check.Res = &p.res
	}
	for _, f := range list {
		f(p.scope)
	}
}

// forget ends the check's scope.
func (p *probe) forget() {
	if p.scope != nil {
		p.scope.Check.End(p.w)
	}
}
