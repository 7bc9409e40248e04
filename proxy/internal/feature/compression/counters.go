package compression

import (
	"iter"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// counters are of a frontend or a backend, and of responses: bytes given to
// compressors, made by them, and passed by because of a limit; and whole responses.
// All reactors count in one place: once a slice.
type counters struct{ in, out, passed, done atomic.Int64 }

var (
	fronts = slot.NewLive[*stream.FrontState, counters]()
	backs  = slot.NewLive[*stream.BackState, counters]()
)

// ofStream gives the counters of the stream's proxies.
func ofStream(st *stream.Stream) iter.Seq[*counters] {
	return func(yield func(*counters) bool) {
		if st.FE.FE != nil && !yield(fronts.In(st.FE.FE)) {
			return
		}
		if st.BE.BE != nil {
			yield(backs.In(st.BE.BE))
		}
	}
}

func init() {
	for _, c := range []struct {
		name, desc string
		of         func(*counters) *atomic.Int64
	}{
		{"comp_in", "Bytes given to the compressor", func(c *counters) *atomic.Int64 { return &c.in }},
		{"comp_out", "Bytes made by the compressor", func(c *counters) *atomic.Int64 { return &c.out }},
		{"comp_byp", "Bytes that went past the compressor", func(c *counters) *atomic.Int64 { return &c.passed }},
		{"comp_rsp", "Responses compressed", func(c *counters) *atomic.Int64 { return &c.done }},
	} {
		stream.RegisterColumn(stream.Column{
			Name: c.name, Desc: c.desc,
			Of: [column.Kinds]stream.ColumnFunc{
				column.Frontend: func(o *stream.Object) column.Value { return column.Total(c.of(fronts.In(o.Proxy.FE)).Load()) },
				column.Backend:  func(o *stream.Object) column.Value { return column.Total(c.of(backs.In(o.Proxy.BE)).Load()) },
			},
			Clear: func(p *stream.Proxy) {
				if p.FE != nil {
					c.of(fronts.In(p.FE)).Store(0)
				}
				if p.BE != nil {
					c.of(backs.In(p.BE)).Store(0)
				}
			},
		})
	}
}
