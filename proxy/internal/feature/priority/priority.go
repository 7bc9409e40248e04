// Package priority is "set-priority-class" and "set-priority-offset": which of the
// streams that wait for a server is next.
//
// The queue itself is the engine's.
package priority

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// The manual's bounds: what is outside is as good as the bound.
const (
	maxClass  = 2047
	maxOffset = 524287
)

// places is where the fetches may stand (manual 7.3.1): all but the configuration's own
// expressions.
const places = "YYYYYYYYYYYYYYYYYYYY.Y"

func class(st *stream.Stream) *int  { return &st.PriorityClass }
func offset(st *stream.Stream) *int { return &st.PriorityOffset }

func init() {
	rule.RegisterAction(
		rule.Action{Name: "set-priority-class", In: rule.Request | rule.RequestContent, Parse: action(class, maxClass)},
		rule.Action{Name: "set-priority-offset", In: rule.Request | rule.RequestContent, Parse: action(offset, maxOffset)},
	)
	sample.RegisterFetch(
		sample.Fetch{Name: "prio_class", Out: sample.Int, Where: places, Compile: fetch(class)},
		sample.Fetch{Name: "prio_offset", Out: sample.Int, Where: places, Compile: fetch(offset)},
	)
}

func action(field func(*stream.Stream) *int, most int64) func(*rule.Line) (rule.Exec, error) {
	return func(l *rule.Line) (rule.Exec, error) {
		e, err := l.Expr()
		if err != nil {
			return nil, err
		}
		return func(sc *stream.Scope) stream.Verdict {
			v := sample.Borrow(sc)
			defer v.Return(sc)
			if sc.Stream == nil || !e.Eval(sc, v) {
				return stream.Continue
			}
			if n, ok := v.Number(); ok {
				*field(sc.Stream) = int(min(max(n, -most), most))
			}
			return stream.Continue
		}, nil
	}
}

func fetch(field func(*stream.Stream) *int) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(*conf.Ctx, []string) (sample.Func, error) {
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			return n <= 0 && sc.Stream != nil && v.SetInt(int64(*field(sc.Stream)))
		}, nil
	}
}
