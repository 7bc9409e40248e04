package vars

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	const everywhere = rule.Request | rule.Response | rule.AfterResponse | rule.Connection | rule.Session | rule.RequestContent | rule.ResponseContent
	rule.RegisterAction(
		rule.Action{Name: "set-var", Paren: true, In: everywhere, Parse: action},
		rule.Action{Name: "set-var-fmt", Paren: true, In: everywhere, Parse: action},
		rule.Action{Name: "unset-var", Paren: true, In: everywhere, Parse: action},
	)
}

// action reads the line of a rule set.
func action(l *rule.Line) (rule.Exec, error) {
	k, args, err := split(l.Word)
	if err != nil {
		return nil, err
	}
	exec, err := operation(k, args, l.Expr, l.FormatWord)
	if err != nil {
		return nil, err
	}
	return func(sc *stream.Scope) stream.Verdict {
		exec(sc)
		return stream.Continue
	}, nil
}

// operation makes what a line does. expr and format read the line's value.
func operation(k kind, args []string, expr func() (*sample.Expr, error), format func() (*logformat.Format, error)) (func(*stream.Scope), error) {
	if k == unset {
		name, err := settable(args[0])
		return func(sc *stream.Scope) { sc.UnsetVar(name) }, err
	}
	t, err := newTarget(args)
	if err != nil {
		return nil, err
	}
	if k == setFmt {
		f, err := format()
		return func(sc *stream.Scope) {
			b, v := f.Append(sc.Scratch(), sc), sample.Borrow(sc)
			v.SetStr(b)
			t.set(sc, v)
			v.Return(sc)
			sc.Drop(b)
		}, err
	}
	e, err := expr()
	return func(sc *stream.Scope) {
		v := sample.Borrow(sc)
		if e.Eval(sc, v) {
			t.set(sc, v)
		}
		v.Return(sc)
	}, err
}
