package config

import (
	"errors"
	"strings"
)

// directive runs a line that begins with a dot (manual 2.4).
func (e *evaluator) directive(args []string) {
	name := args[0]
	switch name {
	case ".if":
		e.ifDirective(args)
	case ".elif", ".else", ".endif":
		if len(e.conds) == 0 {
			e.alert("lone '%s' with no matching '.if'.", name)
			return
		}
		e.armDirective(args)
	case ".diag", ".notice", ".warning", ".alert":
		if e.live() {
			e.message(args)
		}
	default:
		if e.live() {
			e.alert("unknown directive '%s'.", name)
		}
	}
}

func (e *evaluator) ifDirective(args []string) {
	tooMany := len(e.conds)+1 >= maxNestedConditions
	if tooMany && e.live() {
		e.alert("too many nested '.if', max is %d.", maxNestedConditions)
		// keep the pairs matching: this one counts, but is dead
	}
	b := branch{}
	if !e.live() || tooMany {
		b.done = true
	} else {
		b.live, b.done = e.decide(args)
	}
	e.conds = append(e.conds, b)
}

func (e *evaluator) armDirective(args []string) {
	name := args[0]
	b := &e.conds[len(e.conds)-1]
	if name != ".elif" && len(args) > 1 {
		e.alert("Unexpected argument '%s' for '%s'.", args[1], name)
	}
	if name == ".endif" {
		e.conds = e.conds[:len(e.conds)-1]
		return
	}
	if b.isElse {
		e.alert("'%s' after '.else' is not permitted.", name)
		b.live = false
		return
	}
	b.live = false
	switch {
	case name == ".else":
		b.isElse = true
		b.live = !b.done
	case !b.done:
		b.live, b.done = e.decide(args)
	}
}

// decide evaluates the condition of a directive. An arm with a broken condition ends the search for a live arm: what
// the condition meant is unknown, and errors about lines that would never have counted help nobody.
func (e *evaluator) decide(args []string) (live, done bool) {
	expr := strings.Join(args[1:], " ")
	ok, err := EvalCondition(expr, *e.opt)
	if err != nil {
		at := 0
		var ce *ConditionError
		if errors.As(err, &ce) {
			at = ce.At
		}
		shown := args[0] + " " + expr
		e.alert("%s in '%s' at position %d:\n%s", err, args[0], at+1, e.mark([]byte(shown), at+len(args[0])+1))
		return false, true
	}
	return ok, ok
}

func (e *evaluator) message(args []string) {
	text := ""
	if len(args) > 1 {
		text = args[1]
	}
	if len(args) > 2 {
		e.alert("Unexpected argument '%s' for '%s'. Use quotes if the message should contain spaces.", args[2], args[0])
		return
	}
	sev := map[string]Severity{".diag": Diag, ".notice": Notice, ".warning": Warning, ".alert": Alert}[args[0]]
	e.d.lexical(sev, e.pos, "'%s'.", text)
}
