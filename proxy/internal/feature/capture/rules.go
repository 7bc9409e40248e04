package capture

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	rule.RegisterAction(rule.Action{Name: "capture", In: rule.RequestContent | rule.Request | rule.Response | rule.AfterResponse, Parse: parse})
}

// parse reads "capture <sample> len <length>", which declares a place, or "capture
// <sample> id <id>", which fills one.
func parse(l *rule.Line) (rule.Exec, error) {
	s := response
	want := "expects <expression> id <idx>"
	switch l.Phase {
	case rule.Request:
		s, want = request, "expects <expression> [ 'len' <length> | id <idx> ]"
	case rule.RequestContent:
		s, want = request, ""
	}
	if want != "" && words(l, 3) < 3 {
		return nil, errors.New(want)
	}
	e, err := l.Expr()
	if err != nil {
		return nil, err
	}
	switch word := l.Next(); {
	case l.Phase == rule.RequestContent && word != "len":
		return nil, conf.Causef("a positive 'len' argument is mandatory")
	case s == request && word == "len":
		return capture(l, e)
	case word == "id":
		return captureByID(l, e, s)
	case s == request:
		return nil, fmt.Errorf("expects 'len' or 'id', found '%s'", word)
	default:
		return nil, fmt.Errorf("expects 'id', found '%s'", word)
	}
}

// words counts the words of a rule, up to what restricts it, no farther than most.
func words(l *rule.Line, most int) (n int) {
	for w := l.Words; n < most && w.Peek() != ""; n++ {
		w.Next()
	}
	return n
}

// capture declares a place of the frontend's requests for the rule alone.
func capture(l *rule.Line, e *sample.Expr) (rule.Exec, error) {
	if !l.InDefaults && !l.Proxy.Frontend {
		return nil, fmt.Errorf("proxy '%s' has no frontend capability", l.Proxy.Name)
	}
	n, err := strconv.Atoi(l.Next())
	if err != nil || n <= 0 {
		return nil, errors.New("length must be > 0")
	}
	d := declared{max: min(n, maxLen), by: l.Proxy.Kind + " " + l.Proxy.Name}
	n = layouts.Make(l.Proxy).add(request, d)
	return func(sc *stream.Scope) stream.Verdict {
		// The rule may run in a proxy that another frontend has chosen.
		if v := of(sc.Stream); v != nil && n < len(v.l.req) && v.l.req[n] == d && !v.evaluate(sc, n, e) && sc.Undecided() {
			return stream.Wait // for what it is to come: "tcp-request inspect-delay"
		}
		return stream.Continue
	}, nil
}

// captureByID fills a place that a frontend has declared: of a backend, any that
// leads there.
func captureByID(l *rule.Line, e *sample.Expr, s side) (rule.Exec, error) {
	text := l.Next()
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("cannot parse id '%s'", text)
	}
	layouts.Make(l.Proxy).refer(reference{s, n, l.Pos})
	return func(sc *stream.Scope) stream.Verdict {
		if v := of(sc.Stream); v != nil && n < len(*v.l.list(s)) {
			v.evaluate(sc, v.l.index(s, n), e)
		}
		return stream.Continue
	}, nil
}

// evaluate keeps the value of an expression, and tells whether it has one.
func (v *values) evaluate(sc *stream.Scope, i int, e *sample.Expr) bool {
	x := sample.Borrow(sc)
	defer x.Return(sc)
	if !e.Eval(sc, x) {
		return false
	}
	v.set(i, x.Line())
	return true
}
