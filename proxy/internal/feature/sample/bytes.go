package sample

import "github.com/forebay-lb/forebay/proxy/internal/engine/stream"

// Where bytes may be asked for.
const (
	reqBytes = "..YYYYYYYYYYYYYYYYY..."
	resBytes = ".........YYYYYYYYYY..."
)

func init() {
	for _, f := range []struct {
		name, where string
		of          func(*stream.Traffic) int64
	}{
		{"req.bytes_in", reqBytes, func(t *stream.Traffic) int64 { return t.ReqIn }}, {"bytes_in", reqBytes, func(t *stream.Traffic) int64 { return t.ReqIn }},
		{"req.bytes_out", reqBytes, func(t *stream.Traffic) int64 { return t.ReqOut }},
		{"res.bytes_in", resBytes, func(t *stream.Traffic) int64 { return t.ResIn }}, {"bytes_out", resBytes, func(t *stream.Traffic) int64 { return t.ResIn }},
		{"res.bytes_out", resBytes, func(t *stream.Traffic) int64 { return t.ResOut }},
	} {
		RegisterFetch(Fetch{Name: f.name, Out: Int, Where: f.where, Compile: one(func(sc *stream.Scope, v *Value) bool {
			return sc.Stream != nil && v.SetInt(f.of(&sc.Stream.Traffic))
		})})
	}
}
