package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// What the counters of frontends, backends, servers and listeners count.
func init() {
	RegisterColumn(
		// Sessions, queues, rates.
		newColumn("scur", "Sessions open now", of(
			func(o *Object) column.Value { return column.Gauge(o.Proxy.FE.Cur.Load()) },
			func(o *Object) column.Value { return column.Gauge(o.Proxy.BE.Cur.Load()) },
			func(o *Object) column.Value { return column.Gauge(o.Server.Cur.Load()) },
			func(o *Object) column.Value { return column.Gauge(o.Listener.Cur.Load()) })),
		newColumn("smax", "Highest number of sessions open at once", of(
			func(o *Object) column.Value { return column.Peak(o.Proxy.FE.Max.Load()) },
			func(o *Object) column.Value { return column.Peak(o.Proxy.BE.Max.Load()) },
			func(o *Object) column.Value { return column.Peak(o.Server.MaxCur.Load()) },
			func(o *Object) column.Value { return column.Peak(o.Listen.Max.Load()) })),
		newColumn("slim", "Limit of sessions", of(frontLimit,
			func(o *Object) column.Value { return column.Limit(int64(fullConn(o.W, o.Snap, o.Proxy))) },
			func(o *Object) column.Value {
				if o.State.MaxConn <= 0 {
					return column.Value{}
				}
				return column.Limit(int64(o.State.MaxConn))
			},
			func(o *Object) column.Value { return column.Limit(int64(o.Bind.MaxConn)) })),
		newColumn("stot", "Sessions since the start", of(
			inFront(func(c *FrontCounters) *counter.Int { return &c.Sessions }), inBack(func(c *BackCounters) *counter.Int { return &c.Sessions }),
			inServer(func(c *server.Counters) *counter.Int { return &c.Sessions }), inListener(func(c *ListenCounters) *counter.Int { return &c.Conns }))),
		newColumn("rate", "Sessions begun in the last second", of(
			func(o *Object) column.Value { return column.Rate(o.Proxy.FE.SessRate.Cur.Load()) },
			func(o *Object) column.Value { return column.Gauge(o.Proxy.BE.SessRate.Cur.Load()) },
			func(o *Object) column.Value { return column.Rate(o.Server.SessRate.Cur.Load()) }, nil)),
		newColumn("rate_max", "Highest number of sessions begun in a second", of(
			func(o *Object) column.Value { return column.Peak(o.Proxy.FE.SessRate.Peak.Load()) },
			func(o *Object) column.Value { return column.Gauge(o.Proxy.BE.SessRate.Peak.Load()) },
			func(o *Object) column.Value { return column.Peak(o.Server.SessRate.Peak.Load()) }, nil)),
		newColumn("rate_lim", "Limit of sessions a second", of(func(o *Object) column.Value { return column.Limit(int64(o.Proxy.RateLimit)) }, nil, nil, nil)),
		newColumn("req_rate", "Requests in the last second", of(func(o *Object) column.Value { return column.Rate(o.Proxy.FE.ReqRate.Cur.Load()) }, nil, nil, nil)),
		newColumn("req_rate_max", "Highest number of requests in a second", of(func(o *Object) column.Value { return column.Peak(o.Proxy.FE.ReqRate.Peak.Load()) }, nil, nil, nil)),
		newColumn("req_tot", "Requests since the start", of(inFront(func(c *FrontCounters) *counter.Int { return &c.Requests }),
			inHTTP(inBack(func(c *BackCounters) *counter.Int { return &c.Requests })), inHTTP(inServer(func(c *server.Counters) *counter.Int { return &c.Requests })), nil)),
		newColumn("conn_rate", "Connections accepted in the last second", of(func(o *Object) column.Value { return column.Rate(o.Proxy.FE.ConnRate.Cur.Load()) }, nil, nil, nil)),
		newColumn("conn_rate_max", "Highest number of connections accepted in a second", of(func(o *Object) column.Value { return column.Peak(o.Proxy.FE.ConnRate.Peak.Load()) }, nil, nil, nil)),
		newColumn("conn_tot", "Connections since the start", of(inFront(func(c *FrontCounters) *counter.Int { return &c.Conns }), nil, nil, inListener(func(c *ListenCounters) *counter.Int { return &c.Conns }))),
		newColumn("lastsess", "Seconds since the last session, -1 for none", of(nil,
			func(o *Object) column.Value { return column.S32("MAPV", sinceLast(o.W, o.Proxy.BE.LastUsed.Load())) },
			func(o *Object) column.Value { return column.S32("MAPV", sinceLast(o.W, o.Server.LastUsed.Load())) }, nil)),

		// Bytes.
		newColumn("bin", "Bytes of requests received from clients", traffic(func(t *counter.Traffic) *counter.Int { return &t.ReqIn })),
		newColumn("bout", "Bytes of responses received from servers", traffic(func(t *counter.Traffic) *counter.Int { return &t.ResIn })),
		newColumn("reqbin", "Bytes of requests received from clients", traffic(func(t *counter.Traffic) *counter.Int { return &t.ReqIn })),
		newColumn("reqbout", "Bytes of requests sent to servers", traffic(func(t *counter.Traffic) *counter.Int { return &t.ReqOut })),
		newColumn("resbin", "Bytes of responses received from servers", traffic(func(t *counter.Traffic) *counter.Int { return &t.ResIn })),
		newColumn("resbout", "Bytes of responses sent to clients", traffic(func(t *counter.Traffic) *counter.Int { return &t.ResOut })),

		// What went wrong, or was refused.
		newColumn("dreq", "Requests denied by rules", of(inFront(func(c *FrontCounters) *counter.Int { return &c.DeniedReq }),
			inBack(func(c *BackCounters) *counter.Int { return &c.DeniedReq }), nil, inListener(func(c *ListenCounters) *counter.Int { return &c.DeniedReq }))),
		newColumn("dresp", "Responses denied by rules", of(inFront(func(c *FrontCounters) *counter.Int { return &c.DeniedResp }), inBack(func(c *BackCounters) *counter.Int { return &c.DeniedResp }),
			inServer(func(c *server.Counters) *counter.Int { return &c.DeniedResp }), inListener(func(c *ListenCounters) *counter.Int { return &c.DeniedResp }))),
		newColumn("ereq", "Requests that were invalid or incomplete", of(inFront(func(c *FrontCounters) *counter.Int { return &c.ReqErrors }), nil, nil,
			inListener(func(c *ListenCounters) *counter.Int { return &c.ReqErrors }))),
		newColumn("econ", "Connections to servers that failed", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.ConnErrors }),
			inServer(func(c *server.Counters) *counter.Int { return &c.ConnErrors }), nil)),
		newColumn("eresp", "Responses that were invalid or incomplete", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.RespErrors }),
			inServer(func(c *server.Counters) *counter.Int { return &c.RespErrors }), nil)),
		newColumn("wretr", "Connections to servers that were tried again", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.Retries }),
			inServer(func(c *server.Counters) *counter.Int { return &c.Retries }), nil)),
		newColumn("wredis", "Requests sent to another server after a failure", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.Redisp }),
			inServer(func(c *server.Counters) *counter.Int { return &c.Redisp }), nil)),
		newColumn("cli_abrt", "Transfers that the client aborted", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.ClientAborts }),
			inServer(func(c *server.Counters) *counter.Int { return &c.ClientAborts }), nil)),
		newColumn("srv_abrt", "Transfers that the server aborted", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.ServerAborts }),
			inServer(func(c *server.Counters) *counter.Int { return &c.ServerAborts }), nil)),
		newColumn("dcon", "Connections denied by rules", of(inFront(func(c *FrontCounters) *counter.Int { return &c.DeniedConn }), nil, nil,
			inListener(func(c *ListenCounters) *counter.Int { return &c.DeniedConn }))),
		newColumn("dses", "Sessions denied by rules", of(inFront(func(c *FrontCounters) *counter.Int { return &c.DeniedSess }), nil, nil,
			inListener(func(c *ListenCounters) *counter.Int { return &c.DeniedSess }))),
		newColumn("wrew", "Header changes that did not fit", of(inFront(func(c *FrontCounters) *counter.Int { return &c.FailedRewrites }),
			inBack(func(c *BackCounters) *counter.Int { return &c.FailedRewrites }), zeroes, inListener(func(c *ListenCounters) *counter.Int { return &c.FailedRewrites }))),
		newColumn("eint", "Internal errors", of(inFront(func(c *FrontCounters) *counter.Int { return &c.Internal }), inBack(func(c *BackCounters) *counter.Int { return &c.Internal }),
			inServer(func(c *server.Counters) *counter.Int { return &c.Internal }), inListener(func(c *ListenCounters) *counter.Int { return &c.Internal }))),
		newColumn("intercepted", "Requests that the proxy itself answered", of(inHTTP(inFront(func(c *FrontCounters) *counter.Int { return &c.Intercepted })), nil, nil, nil)),
	)
	for i, k := range []struct{ name, desc string }{
		{"hrsp_other", "Responses with another status"}, {"hrsp_1xx", "Responses with status 100 to 199"}, {"hrsp_2xx", "Responses with status 200 to 299"},
		{"hrsp_3xx", "Responses with status 300 to 399"}, {"hrsp_4xx", "Responses with status 400 to 499"}, {"hrsp_5xx", "Responses with status 500 to 599"},
	} {
		RegisterColumn(newColumn(k.name, k.desc, of(
			inHTTP(inFront(func(c *FrontCounters) *counter.Int { return &c.Status[i] })), inHTTP(inBack(func(c *BackCounters) *counter.Int { return &c.Status[i] })),
			inHTTP(inServer(func(c *server.Counters) *counter.Int { return &c.Status[i] })), nil)))
	}
}

func frontLimit(o *Object) column.Value {
	if n := o.Proxy.FE.Limit.Load(); n != 0 {
		return column.Limit(n)
	}
	return column.Limit(o.W.MaxConn.Load())
}

// sinceLast gives the seconds since a moment of the reactors' clock, -1 if it
// never came.
func sinceLast(w *Worker, at int64) int64 {
	if at == 0 {
		return -1
	}
	return max((w.Reactors[0].Sys.Now()-at)/1e9, 0)
}

// fullConn is the number of sessions at which a backend is full: as configured,
// or a tenth of what all the frontends that may use it accept.
func fullConn(w *Worker, snap *Snapshot, p *Proxy) int {
	if p.FullConn > 0 {
		return p.FullConn
	}
	sum := 0
	for _, fe := range snap.Proxies {
		uses := fe == p && fe.Frontend || fe.Frontend && p.Backend && fe.DefaultName == p.Name
		for i := range fe.Switching {
			uses = uses || fe.Frontend && (fe.Switching[i].Find != nil || p.Backend && fe.Switching[i].Target == p.Name)
		}
		if uses {
			n := int(fe.FE.Limit.Load())
			if n == 0 {
				n = int(w.MaxConn.Load())
			}
			sum += n
		}
	}
	return max((sum+9)/10, 1)
}
