package ssl

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	for _, k := range []struct {
		name, desc string
		of         func(*counter.TLS) *counter.Int
	}{
		{"ssl_sess", "TLS handshakes", func(t *counter.TLS) *counter.Int { return &t.Done }},
		{"ssl_reused_sess", "TLS handshakes that resumed a session", func(t *counter.TLS) *counter.Int { return &t.Reused }},
		{"ssl_failed_handshake", "TLS handshakes that failed", func(t *counter.TLS) *counter.Int { return &t.Failed }},
		{"ssl_ocsp_staple", "OCSP responses that were stapled", func(t *counter.TLS) *counter.Int { return &t.Stapled }},
		{"ssl_failed_ocsp_staple", "OCSP responses that were asked for and not at hand", func(t *counter.TLS) *counter.Int { return &t.Unstapled }},
	} {
		stream.RegisterColumn(stream.Column{Name: k.name, Desc: k.desc, Module: "ssl", Of: [column.Kinds]stream.ColumnFunc{
			column.Frontend: func(o *stream.Object) column.Value {
				return column.ModuleTotal(o.Proxy.FE.Counters.Sum(func(c *stream.FrontCounters) *counter.Int { return k.of(&c.TLS) }))
			},
			column.Backend: func(o *stream.Object) column.Value {
				return column.ModuleTotal(o.Proxy.BE.Counters.Sum(func(c *stream.BackCounters) *counter.Int { return k.of(&c.TLS) }))
			},
			column.Server: func(o *stream.Object) column.Value {
				return column.ModuleTotal(o.Server.Counters.Sum(func(c *server.Counters) *counter.Int { return k.of(&c.TLS) }))
			},
			column.Listener: func(o *stream.Object) column.Value {
				return column.ModuleTotal(o.Listen.Counters.Sum(func(c *stream.ListenCounters) *counter.Int { return k.of(&c.TLS) }))
			},
		}})
	}
}
