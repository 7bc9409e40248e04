package bwlim

import (
	"fmt"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	rule.RegisterAction(rule.Action{Name: "set-bandwidth-limit", In: rule.Request | rule.Response | rule.RequestContent | rule.ResponseContent, Parse: setLimit})
}

// number is an argument of the action: a constant or an expression.
type number struct {
	fixed int64
	expr  *sample.Expr
}

func (n *number) get(sc *stream.Scope) int64 {
	if n.expr == nil {
		return n.fixed
	}
	v := sample.Borrow(sc)
	defer v.Return(sc)
	if !n.expr.Eval(sc, v) {
		return 0
	}
	i, _ := v.Number()
	return i
}

// setLimit reads "set-bandwidth-limit <name> [limit {<expr>|<size>}] [period
// {<expr>|<time>}]".
func setLimit(l *rule.Line) (rule.Exec, error) {
	name := l.Next()
	if name == "" {
		return nil, fmt.Errorf("missing bandwidth limitation filter name")
	}
	var limit, period number
	for l.Peek() != "" {
		option := l.Next()
		n, parse := &limit, config.ParseSize
		switch option {
		case "limit":
		case "period":
			n, parse = &period, milliseconds
		default:
			return nil, fmt.Errorf("expects 'limit' or 'period' after the name of a filter, found '%s'", option)
		}
		value := l.Next()
		if value == "" {
			return nil, fmt.Errorf("missing %s expression", option)
		}
		var err error
		if n.fixed, err = parse(value); err == nil {
			continue
		}
		if c := value[0]; '0' <= c && c <= '9' {
			return nil, fmt.Errorf("invalid %s '%s' (%w)", option, value, err)
		}
		if n.expr, err = sample.Parse(l.Ctx, value); err != nil {
			return nil, err
		}
		if err = n.expr.Allowed(value, l.Place()); err != nil {
			return nil, err
		}
	}
	p, pos, phase := l.Proxy, l.Pos, l.Phase
	var f *filter
	load := l.Loading
	load.Refer(0, "", func() {
		if f = find(p, name); f == nil {
			load.Alert(pos, "Proxy '%s': unable to find bwlim filter '%s' referenced by set-bandwidth-limit rule.", p.Name, name)
		} else if f.upload && phase&(rule.Response|rule.ResponseContent) != 0 {
			f.late = true
		}
	})
	return func(sc *stream.Scope) stream.Verdict {
		if l, ok := sc.Stream.Link(f).(*link); ok {
			l.enable(limit.get(sc), period.get(sc)*int64(time.Millisecond))
		}
		return stream.Continue
	}, nil
}

// milliseconds reads a time.
func milliseconds(s string) (int64, error) {
	d, err := config.ParseTime(s, time.Millisecond)
	return d.Milliseconds(), err
}
