package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
)

// What is counted of protocols.
func init() {
	RegisterColumn(
		// Protocols of clients.
		newColumn("sess_other", "Sessions that are not HTTP", of(byMode(zeroes, inFront(func(c *FrontCounters) *counter.Int { return &c.Sessions })), nil, nil, nil)),
		newColumn("h1sess", "HTTP/1 sessions", of(byMode(func(o *Object) column.Value {
			return column.Total(max(o.Proxy.FE.Counters.Sum(func(c *FrontCounters) *counter.Int { return &c.Sessions })-o.Proxy.FE.Counters.Sum(func(c *FrontCounters) *counter.Int { return &c.H2Sess }), 0))
		}, zeroes), nil, nil, nil)),
		newColumn("h2sess", "HTTP/2 sessions", of(byMode(inFront(func(c *FrontCounters) *counter.Int { return &c.H2Sess }), zeroes), nil, nil, nil)),
		newColumn("h3sess", "HTTP/3 sessions", of(zeroes, nil, nil, nil)),
		newColumn("req_other", "Requests that are not HTTP", of(byMode(zeroes, inFront(func(c *FrontCounters) *counter.Int { return &c.Sessions })), nil, nil, nil)),
		newColumn("h1req", "HTTP/1 requests", of(byMode(func(o *Object) column.Value {
			return column.Total(max(o.Proxy.FE.Counters.Sum(func(c *FrontCounters) *counter.Int { return &c.Requests })-o.Proxy.FE.Counters.Sum(func(c *FrontCounters) *counter.Int { return &c.H2Req }), 0))
		}, zeroes), nil, nil, nil)),
		newColumn("h2req", "HTTP/2 requests", of(byMode(inFront(func(c *FrontCounters) *counter.Int { return &c.H2Req }), zeroes), nil, nil, nil)),
		newColumn("h3req", "HTTP/3 requests", of(zeroes, nil, nil, nil)),
	)
}

// The columns of HTTP/2: clients' connections at frontends, servers' at backends.
func init() {
	type ints func(*http2.Counters) *counter.Int
	h2 := func(name, desc string, value func(int64) column.Value, of ints) {
		RegisterColumn(Column{Name: name, Desc: desc, Module: "h2", Of: [column.Kinds]ColumnFunc{
			column.Frontend: func(o *Object) column.Value {
				return value(o.Proxy.FE.Counters.Sum(func(c *FrontCounters) *counter.Int { return of(&c.H2) }))
			},
			column.Backend: func(o *Object) column.Value {
				return value(o.Proxy.BE.Counters.Sum(func(c *BackCounters) *counter.Int { return of(&c.H2) }))
			},
		}})
	}
	total, gauge := column.ModuleTotal, column.ModuleGauge
	h2("h2_headers_rcvd", "HEADERS frames received", total, func(c *http2.Counters) *counter.Int { return &c.Headers })
	h2("h2_data_rcvd", "DATA frames received", total, func(c *http2.Counters) *counter.Int { return &c.Data })
	h2("h2_settings_rcvd", "SETTINGS frames received", total, func(c *http2.Counters) *counter.Int { return &c.Settings })
	h2("h2_rst_stream_rcvd", "RST_STREAM frames received", total, func(c *http2.Counters) *counter.Int { return &c.Rst })
	h2("h2_goaway_rcvd", "GOAWAY frames received", total, func(c *http2.Counters) *counter.Int { return &c.GoAway })
	h2("h2_detected_conn_protocol_errors", "Violations of the protocol that ended a connection", total, func(c *http2.Counters) *counter.Int { return &c.ConnErrors })
	h2("h2_detected_strm_protocol_errors", "Violations of the protocol that ended a stream", total, func(c *http2.Counters) *counter.Int { return &c.StreamErrors })
	h2("h2_rst_stream_resp", "RST_STREAM frames sent because of an error", total, func(c *http2.Counters) *counter.Int { return &c.RstSent })
	h2("h2_goaway_resp", "GOAWAY frames sent because of an error", total, func(c *http2.Counters) *counter.Int { return &c.GoAwaySent })
	h2("h2_open_connections", "Connections that are open", gauge, func(c *http2.Counters) *counter.Int { return &c.OpenConns })
	h2("h2_backend_open_streams", "Streams that are open", gauge, func(c *http2.Counters) *counter.Int { return &c.OpenStreams })
	h2("h2_total_connections", "Connections", total, func(c *http2.Counters) *counter.Int { return &c.Conns })
	h2("h2_backend_total_streams", "Streams", total, func(c *http2.Counters) *counter.Int { return &c.Streams })
}
