package compression

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// outcome is what became of an exchange's response: it outlives the filter.
type outcome struct{ algo *algorithm }

var outcomes = slot.New[*stream.Stream, outcome]()

const where = "...........YYYYYYYYY.."

func init() {
	sample.RegisterFetch(
		sample.Fetch{Name: "res.comp", Out: sample.Bool, Where: where, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
			return func(sc *stream.Scope, v *sample.Value, n int) bool {
				return n <= 0 && sc.Stream != nil && v.SetBool(outcomes.Value(sc.Stream).algo != nil)
			}, nil
		}},
		sample.Fetch{Name: "res.comp_algo", Out: sample.Str, Where: where, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
			return func(sc *stream.Scope, v *sample.Value, n int) bool {
				if n > 0 || sc.Stream == nil {
					return false
				}
				a := outcomes.Value(sc.Stream).algo
				return a != nil && v.SetText(sc, a.name)
			}, nil
		}},
	)
}
