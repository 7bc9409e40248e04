package sample_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// All that a fetch and a converter need: they register themselves.
func init() {
	sample.RegisterFetch(sample.Fetch{
		Name: "test_hello", Out: sample.Str, Where: sample.Everywhere,
		Compile: func(*conf.Ctx, []string) (sample.Func, error) {
			return func(sc *stream.Scope, v *sample.Value, n int) bool {
				return n <= 0 && v.SetText(sc, "hello") // one value, in the scope's memory
			}, nil
		},
	})
	sample.RegisterConverter(sample.Converter{
		Name: "test_greet", Args: "string", In: sample.Str, Out: sample.Str,
		Compile: func(_ *conf.Ctx, args []string) (sample.Convert, error) {
			whom := []byte(" " + args[0])
			return func(sc *stream.Scope, v *sample.Value) bool {
				return v.SetStr(sc.Join(v.Bytes, whom))
			}, nil
		},
	})
}

func TestHello(t *testing.T) {
	e, err := parse("test_hello,test_greet(world),upper")
	if err != nil {
		t.Fatal(err)
	}
	sc := exchange(t, head)
	v := sample.Borrow(sc)
	defer v.Return(sc)
	if !e.Eval(sc, v) || string(v.Bytes) != "HELLO WORLD" {
		t.Errorf("%q", v.Bytes)
	}
}
