package check

import (
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Operation is a rule of "http-check" and "tcp-check" that neither sends nor receives anything:
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

// operationRule reads "http-check <operation>(…) …", or the same of "tcp-check". It
// runs right before the rule behind it, or at the end.
func operationRule(c *conf.Ctx, r *ruleset) error {
	first := word(c.Args, 0)
	name, _, _ := strings.Cut(first, "(")
	o, ok := operations[name]
	if !ok {
		only := "'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect'"
		if r.word == "tcp-check" {
			only = "'comment', 'connect', 'send', 'send-binary', 'expect'"
		}
		return say("'%s' only supports %s, 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '%s'", r.word, only, first)
	}
	run, err := o.Parse(c, first, c.Args[1:])
	if err != nil {
		return say("'%s %s' : '%s' : %w.", r.word, first, name, err)
	}
	r.lines++
	r.pending = append(r.pending, run)
	return nil
}

// operate runs operations in the check's scope.
func (p *probe) operate(list []func(*stream.Scope)) {
	for _, f := range list {
		f(p.scope())
	}
}
