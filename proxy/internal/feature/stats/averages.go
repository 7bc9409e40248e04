package stats

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

type (
	object = stream.Object
	value  = column.Value
)

// The columns of what is made here of what others count: sliding averages, and, for
// aggregation, numbers of servers. The others stand with what they are about.
func init() {
	c := func(name, desc string, of ...stream.ColumnFunc) stream.Column {
		col := stream.Column{Name: name, Desc: desc}
		copy(col.Of[:], of)
		return col
	}
	for i, k := range []struct{ name, desc, most string }{
		{"qtime", "Average milliseconds in the queue over the last 1024 requests", "Longest time in the queue, in milliseconds"},
		{"ctime", "Average milliseconds to connect over the last 1024 requests", "Longest time to connect, in milliseconds"},
		{"rtime", "Average milliseconds to answer over the last 1024 requests", "Longest time to answer, in milliseconds"},
		{"ttime", "Average milliseconds in all over the last 1024 requests", "Longest time in all, in milliseconds"},
	} {
		average := func(t times) value { return column.U32("MaPV", int64(t.avg[i]+0.5)) }
		stream.RegisterColumn(
			c(k.name, k.desc, nil, func(o *object) value { return average(backTimes(o.Proxy.BE)) }, func(o *object) value { return average(serverTimes(o.Server)) }),
			c(k.name+"_max", k.most, nil, func(o *object) value { return column.Peak(backSums(o.Proxy.BE).max[i]) }, func(o *object) value { return column.Peak(serverSums(o.Server).max[i]) }),
		)
	}
	none := func(*object) value { return column.Gauge(0) }
	stream.RegisterColumn(
		// Servers by status: the exporter's own, "show stat" has no form for them.
		c("agg_server_status", "Servers by status, for aggregation", nil, none),
		c("agg_server_check_status", "Servers by check status (deprecated)", nil, none),
		c("agg_check_status", "Checks by status, for aggregation", nil, none),
	)
	// What Forebay does not have yet counts nothing.
	zeroHTTP := func(o *object) value {
		if o.Proxy.Mode != stream.HTTP {
			return value{}
		}
		return column.Total(0)
	}
	stream.RegisterColumn(
		c("cache_lookups", "Look-ups in the cache", zeroHTTP, zeroHTTP),
		c("cache_hits", "Look-ups in the cache that found something", zeroHTTP, zeroHTTP),
	)
}
