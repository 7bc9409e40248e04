package stats

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The columns of what the engine itself counts. Those of features stand with them.

type (
	object = column.Object
	value  = column.Value
	front  = stream.FrontCounters
	back   = stream.BackCounters
	serv   = server.Counters
	listen = stream.ListenCounters
)

// Sums of what all reactors counted.

func inFront(f func(*front) *counter.Int) column.Func {
	return func(o *object) value { return column.Total(o.Proxy.FE.Counters.Sum(f)) }
}

func inBack(f func(*back) *counter.Int) column.Func {
	return func(o *object) value { return column.Total(o.Proxy.BE.Counters.Sum(f)) }
}

func inServer(f func(*serv) *counter.Int) column.Func {
	return func(o *object) value { return column.Total(o.Server.Counters.Sum(f)) }
}

func inListener(f func(*listen) *counter.Int) column.Func {
	return func(o *object) value { return column.Total(o.Listen.Counters.Sum(f)) }
}

// traffic gives one of the four counters of bytes that every object has.
func traffic(f func(*counter.Traffic) *counter.Int) [column.Kinds]column.Func {
	return of(inFront(func(c *front) *counter.Int { return f(&c.Traffic) }), inBack(func(c *back) *counter.Int { return f(&c.Traffic) }),
		inServer(func(c *serv) *counter.Int { return f(&c.Traffic) }), inListener(func(c *listen) *counter.Int { return f(&c.Traffic) }))
}

// inHTTP leaves the value out of proxies of mode tcp.
func inHTTP(f column.Func) column.Func {
	return func(o *object) value {
		if o.Proxy.Mode != stream.HTTP {
			return value{}
		}
		return f(o)
	}
}

// byMode is of proxies of mode http, or of mode tcp.
func byMode(http, tcp column.Func) column.Func {
	return func(o *object) value {
		if o.Proxy.Mode == stream.HTTP {
			return http(o)
		}
		return tcp(o)
	}
}

func zeroes(*object) value { return column.Total(0) }

func fixed(v value) column.Func { return func(*object) value { return v } }

// all is the same for all kinds.
func all(f column.Func) [column.Kinds]column.Func {
	return [column.Kinds]column.Func{f, f, f, f}
}

// of gives the functions of a frontend, a backend, a server and a listener.
func of(frontend, backend, server, listener column.Func) [column.Kinds]column.Func {
	return [column.Kinds]column.Func{frontend, backend, server, listener}
}

// Name is the name of an object within its proxy.
func objectName(o *object) string {
	switch o.Kind {
	case column.Frontend:
		return "FRONTEND"
	case column.Backend:
		return "BACKEND"
	case column.Server:
		return o.Server.Name
	}
	return ListenerName(o.Bind)
}

// ListenerName is what a listener is called: the bind's name, or "sock-" and its
// number.
func ListenerName(b *stream.Bind) string {
	if b.Name != "" {
		return b.Name
	}
	return fmt.Sprintf("sock-%d", b.ID)
}

// objectID is the number of an object within its proxy.
func objectID(o *object) int {
	switch o.Kind {
	case column.Server:
		return o.Server.ID
	case column.Listener:
		return o.Bind.ID
	}
	return 0
}

func init() {
	c := func(name, desc string, of [column.Kinds]column.Func) column.Column {
		return column.Column{Name: name, Desc: desc, Of: of}
	}
	column.Register(
		// What it is.
		c("pxname", "Name of the proxy", all(func(o *object) value { return column.Str("KNSV", o.Proxy.Name) })),
		c("svname", "Name of the server, FRONTEND or BACKEND", all(func(o *object) value { return column.Str("KNSV", objectName(o)) })),
		c("pid", "Number of the process", all(fixed(column.U32("KGPV", 1)))),
		c("iid", "Number of the proxy", all(func(o *object) value { return column.U32("KGSV", int64(o.Proxy.ID)) })),
		c("sid", "Number of the server in its proxy", all(func(o *object) value { return column.U32("KGSV", int64(objectID(o))) })),
		c("srid", "Revision of the server's number", of(nil, nil, fixed(column.U32("KGSV", 0)), nil)),
		c("type", "Kind of object (0 frontend, 1 backend, 2 server, 3 listener)", all(func(o *object) value { return column.Setting(int64(o.Kind)) })),
		c("mode", "Mode of the proxy", all(func(o *object) value { return column.Str("CGSV", o.Proxy.Mode.String()) })),
		c("algo", "Load balancing algorithm", of(nil, detail(func(o *object) value { return column.Str("CGSV", algorithm(o.Proxy)) }), nil, nil)),
		c("addr", "Address and port of the server", of(nil, nil,
			detail(func(o *object) value { return column.Str("CGSV", addrText(o.State.Addr)) }),
			detail(func(o *object) value { return column.Str("CGSV", addrText(o.Bind.Addr)) }))),
		c("proto", "Protocol of the listener", of(nil, nil, nil, func(o *object) value { return column.Str("SGPV", protocol(o.Bind.Addr)) })),

		// Its state.
		c("status", "Status (UP, DOWN, NOLB, MAINT, no check, OPEN …)", of(
			func(o *object) value { return column.Str("SGPV", frontStatus(o.Proxy.FE)) },
			func(o *object) value { return column.Str("SGPV", backStatus(o)) },
			func(o *object) value { return column.Str("SGPV", ServerStatus(o.Settings, o.State)) },
			func(o *object) value { return column.Str("SGPV", o.Listener.Status()) })),
		c("weight", "Effective weight of the server, or of all active servers", of(nil,
			func(o *object) value { _, _, n := o.Proxy.BE.Usable(); return column.U32("MaPV", int64(n)) },
			func(o *object) value {
				w := int64(o.State.UserWeight)
				if o.State.Op == server.Starting {
					w = int64(o.Server.Effective()+server.Scale-1) / server.Scale
				}
				return column.U32("MaPV", w)
			}, nil)),
		c("uweight", "Weight as set by the user", of(nil,
			func(o *object) value { return column.U32("MaPV", userWeight(o.Proxy.BE)) },
			func(o *object) value { return column.U32("MaPV", int64(o.State.UserWeight)) }, nil)),
		c("act", "Active servers that are up, or 1 for a server that is active", of(nil,
			func(o *object) value { n, _, _ := o.Proxy.BE.Usable(); return column.Gauge(int64(n)) },
			func(o *object) value { return column.U32("SGPV", btoi(!o.Settings.Backup)) }, nil)),
		c("bck", "Backup servers that are up, or 1 for a server that is a backup", of(nil,
			func(o *object) value { _, n, _ := o.Proxy.BE.Usable(); return column.Gauge(int64(n)) },
			func(o *object) value { return column.U32("SGPV", btoi(o.Settings.Backup)) }, nil)),
		c("lastchg", "Seconds since the last change of the status", of(nil,
			func(o *object) value { return column.U32("MAPV", backAge(o)) },
			func(o *object) value { return column.U32("MAPV", seconds(o.Now.Sub(o.State.LastChange))) }, nil)),
		c("downtime", "Seconds spent down", of(nil, backDown, serverDown, nil)),
		c("throttle", "Percentage of the weight during a slow start", of(nil, nil, func(o *object) value {
			if o.State.Op != server.Starting || o.State.Admin&server.Drain != 0 {
				return value{}
			}
			return column.U32("MaPV", int64(o.Server.Throttle()))
		}, nil)),

		// Sessions, queues, rates.
		c("qcur", "Requests waiting in the queue", of(nil,
			func(o *object) value { return column.Gauge(o.Proxy.BE.Queue.Len.Load()) },
			func(o *object) value { return column.Gauge(o.Server.Queued.Load()) }, nil)),
		c("qmax", "Highest number of requests in the queue", of(nil,
			func(o *object) value { return column.Peak(o.Proxy.BE.Queue.Max.Load()) },
			func(o *object) value { return column.Peak(o.Server.MaxQueued.Load()) }, nil)),
		c("qlimit", "Limit of the server's queue", of(nil, nil, func(o *object) value {
			if o.Settings.MaxQueue <= 0 {
				return value{}
			}
			return column.U32("CLSV", int64(o.Settings.MaxQueue))
		}, nil)),
		c("scur", "Sessions open now", of(
			func(o *object) value { return column.Gauge(o.Proxy.FE.Cur.Load()) },
			func(o *object) value { return column.Gauge(o.Proxy.BE.Cur.Load()) },
			func(o *object) value { return column.Gauge(o.Server.Cur.Load()) },
			func(o *object) value { return column.Gauge(o.Listener.Cur.Load()) })),
		c("smax", "Highest number of sessions open at once", of(
			func(o *object) value { return column.Peak(o.Proxy.FE.Max.Load()) },
			func(o *object) value { return column.Peak(o.Proxy.BE.Max.Load()) },
			func(o *object) value { return column.Peak(o.Server.MaxCur.Load()) },
			func(o *object) value { return column.Peak(o.Listen.Max.Load()) })),
		c("slim", "Limit of sessions", of(frontLimit,
			func(o *object) value { return column.Limit(int64(FullConn(o.W, o.Snap, o.Proxy))) },
			func(o *object) value {
				if o.State.MaxConn <= 0 {
					return value{}
				}
				return column.Limit(int64(o.State.MaxConn))
			},
			func(o *object) value { return column.Limit(int64(o.Bind.MaxConn)) })),
		c("stot", "Sessions since the start", of(
			inFront(func(c *front) *counter.Int { return &c.Sessions }), inBack(func(c *back) *counter.Int { return &c.Sessions }),
			inServer(func(c *serv) *counter.Int { return &c.Sessions }), inListener(func(c *listen) *counter.Int { return &c.Conns }))),
		c("rate", "Sessions begun in the last second", of(
			func(o *object) value { return column.Rate(o.Proxy.FE.SessRate.Cur.Load()) },
			func(o *object) value { return column.Gauge(o.Proxy.BE.SessRate.Cur.Load()) },
			func(o *object) value { return column.Rate(o.Server.SessRate.Cur.Load()) }, nil)),
		c("rate_max", "Highest number of sessions begun in a second", of(
			func(o *object) value { return column.Peak(o.Proxy.FE.SessRate.Peak.Load()) },
			func(o *object) value { return column.Gauge(o.Proxy.BE.SessRate.Peak.Load()) },
			func(o *object) value { return column.Peak(o.Server.SessRate.Peak.Load()) }, nil)),
		c("rate_lim", "Limit of sessions a second", of(func(o *object) value { return column.Limit(int64(o.Proxy.RateLimit)) }, nil, nil, nil)),
		c("req_rate", "Requests in the last second", of(func(o *object) value { return column.Rate(o.Proxy.FE.ReqRate.Cur.Load()) }, nil, nil, nil)),
		c("req_rate_max", "Highest number of requests in a second", of(func(o *object) value { return column.Peak(o.Proxy.FE.ReqRate.Peak.Load()) }, nil, nil, nil)),
		c("req_tot", "Requests since the start", of(inFront(func(c *front) *counter.Int { return &c.Requests }),
			inHTTP(inBack(func(c *back) *counter.Int { return &c.Requests })), inHTTP(inServer(func(c *serv) *counter.Int { return &c.Requests })), nil)),
		c("conn_rate", "Connections accepted in the last second", of(func(o *object) value { return column.Rate(o.Proxy.FE.ConnRate.Cur.Load()) }, nil, nil, nil)),
		c("conn_rate_max", "Highest number of connections accepted in a second", of(func(o *object) value { return column.Peak(o.Proxy.FE.ConnRate.Peak.Load()) }, nil, nil, nil)),
		c("conn_tot", "Connections since the start", of(inFront(func(c *front) *counter.Int { return &c.Conns }), nil, nil, inListener(func(c *listen) *counter.Int { return &c.Conns }))),
		c("lastsess", "Seconds since the last session, -1 for none", of(nil,
			func(o *object) value { return column.S32("MAPV", sinceLast(o.W, o.Proxy.BE.LastUsed.Load())) },
			func(o *object) value { return column.S32("MAPV", sinceLast(o.W, o.Server.LastUsed.Load())) }, nil)),
		c("lbtot", "How often the server was chosen", of(nil,
			inBack(func(c *back) *counter.Int { return &c.Chosen }), inServer(func(c *serv) *counter.Int { return &c.Chosen }), nil)),

		// Bytes.
		c("bin", "Bytes of requests received from clients", traffic(func(t *counter.Traffic) *counter.Int { return &t.ReqIn })),
		c("bout", "Bytes of responses received from servers", traffic(func(t *counter.Traffic) *counter.Int { return &t.ResIn })),
		c("reqbin", "Bytes of requests received from clients", traffic(func(t *counter.Traffic) *counter.Int { return &t.ReqIn })),
		c("reqbout", "Bytes of requests sent to servers", traffic(func(t *counter.Traffic) *counter.Int { return &t.ReqOut })),
		c("resbin", "Bytes of responses received from servers", traffic(func(t *counter.Traffic) *counter.Int { return &t.ResIn })),
		c("resbout", "Bytes of responses sent to clients", traffic(func(t *counter.Traffic) *counter.Int { return &t.ResOut })),

		// What went wrong, or was refused.
		c("dreq", "Requests denied by rules", of(inFront(func(c *front) *counter.Int { return &c.DeniedReq }),
			inBack(func(c *back) *counter.Int { return &c.DeniedReq }), nil, inListener(func(c *listen) *counter.Int { return &c.DeniedReq }))),
		c("dresp", "Responses denied by rules", of(inFront(func(c *front) *counter.Int { return &c.DeniedResp }), inBack(func(c *back) *counter.Int { return &c.DeniedResp }),
			inServer(func(c *serv) *counter.Int { return &c.DeniedResp }), inListener(func(c *listen) *counter.Int { return &c.DeniedResp }))),
		c("ereq", "Requests that were invalid or incomplete", of(inFront(func(c *front) *counter.Int { return &c.ReqErrors }), nil, nil,
			inListener(func(c *listen) *counter.Int { return &c.ReqErrors }))),
		c("econ", "Connections to servers that failed", of(nil, inBack(func(c *back) *counter.Int { return &c.ConnErrors }),
			inServer(func(c *serv) *counter.Int { return &c.ConnErrors }), nil)),
		c("eresp", "Responses that were invalid or incomplete", of(nil, inBack(func(c *back) *counter.Int { return &c.RespErrors }),
			inServer(func(c *serv) *counter.Int { return &c.RespErrors }), nil)),
		c("wretr", "Connections to servers that were tried again", of(nil, inBack(func(c *back) *counter.Int { return &c.Retries }),
			inServer(func(c *serv) *counter.Int { return &c.Retries }), nil)),
		c("wredis", "Requests sent to another server after a failure", of(nil, inBack(func(c *back) *counter.Int { return &c.Redisp }),
			inServer(func(c *serv) *counter.Int { return &c.Redisp }), nil)),
		c("cli_abrt", "Transfers that the client aborted", of(nil, inBack(func(c *back) *counter.Int { return &c.ClientAborts }),
			inServer(func(c *serv) *counter.Int { return &c.ClientAborts }), nil)),
		c("srv_abrt", "Transfers that the server aborted", of(nil, inBack(func(c *back) *counter.Int { return &c.ServerAborts }),
			inServer(func(c *serv) *counter.Int { return &c.ServerAborts }), nil)),
		c("dcon", "Connections denied by rules", of(inFront(func(c *front) *counter.Int { return &c.DeniedConn }), nil, nil,
			inListener(func(c *listen) *counter.Int { return &c.DeniedConn }))),
		c("dses", "Sessions denied by rules", of(inFront(func(c *front) *counter.Int { return &c.DeniedSess }), nil, nil,
			inListener(func(c *listen) *counter.Int { return &c.DeniedSess }))),
		c("wrew", "Header changes that did not fit", of(inFront(func(c *front) *counter.Int { return &c.FailedRewrites }),
			inBack(func(c *back) *counter.Int { return &c.FailedRewrites }), zeroes, inListener(func(c *listen) *counter.Int { return &c.FailedRewrites }))),
		c("eint", "Internal errors", of(inFront(func(c *front) *counter.Int { return &c.Internal }), inBack(func(c *back) *counter.Int { return &c.Internal }),
			inServer(func(c *serv) *counter.Int { return &c.Internal }), inListener(func(c *listen) *counter.Int { return &c.Internal }))),
		c("intercepted", "Requests that the proxy itself answered", of(inHTTP(inFront(func(c *front) *counter.Int { return &c.Intercepted })), nil, nil, nil)),

		// Connections with servers.
		c("connect", "Connections to servers tried", of(nil, inBack(func(c *back) *counter.Int { return &c.Connects }),
			inServer(func(c *serv) *counter.Int { return &c.Connects }), nil)),
		c("reuse", "Server connections used again", of(nil, inBack(func(c *back) *counter.Int { return &c.Reuses }),
			inServer(func(c *serv) *counter.Int { return &c.Reuses }), nil)),
		c("srv_icur", "Idle connections to the server", of(nil, nil, func(o *object) value { return column.Gauge(shared(o.Server)) }, nil)),
		c("src_ilim", "Limit of idle connections to the server", of(nil, nil, func(o *object) value {
			if o.Settings.PoolMaxConn == -1 {
				return value{}
			}
			return column.Limit(int64(o.Settings.PoolMaxConn))
		}, nil)),
		c("idle_conn_cur", "Idle connections that are not known to be safe to reuse", of(nil, nil, fixed(column.Gauge(0)), nil)),
		c("safe_conn_cur", "Idle connections that are safe to reuse", of(nil, nil, func(o *object) value { return column.Gauge(shared(o.Server)) }, nil)),
		c("used_conn_cur", "Connections in use", of(nil, nil, func(o *object) value { return column.Gauge(o.Server.Used.Load()) }, nil)),
		c("need_conn_est", "Estimate of the connections needed", of(nil, nil, func(o *object) value { return column.Gauge(o.Server.Needed()) }, nil)),
		c("priv_idle_cur", "Idle connections that belong to a client", of(nil, nil, func(o *object) value { return column.Gauge(o.Server.Private.Load()) }, nil)),

		// Protocols of clients.
		c("sess_other", "Sessions that are not HTTP", of(byMode(zeroes, inFront(func(c *front) *counter.Int { return &c.Sessions })), nil, nil, nil)),
		c("h1sess", "HTTP/1 sessions", of(byMode(func(o *object) value {
			return column.Total(max(o.Proxy.FE.Counters.Sum(func(c *front) *counter.Int { return &c.Sessions })-o.Proxy.FE.Counters.Sum(func(c *front) *counter.Int { return &c.H2Sess }), 0))
		}, zeroes), nil, nil, nil)),
		c("h2sess", "HTTP/2 sessions", of(byMode(inFront(func(c *front) *counter.Int { return &c.H2Sess }), zeroes), nil, nil, nil)),
		c("h3sess", "HTTP/3 sessions", of(zeroes, nil, nil, nil)),
		c("req_other", "Requests that are not HTTP", of(byMode(zeroes, inFront(func(c *front) *counter.Int { return &c.Sessions })), nil, nil, nil)),
		c("h1req", "HTTP/1 requests", of(byMode(func(o *object) value {
			return column.Total(max(o.Proxy.FE.Counters.Sum(func(c *front) *counter.Int { return &c.Requests })-o.Proxy.FE.Counters.Sum(func(c *front) *counter.Int { return &c.H2Req }), 0))
		}, zeroes), nil, nil, nil)),
		c("h2req", "HTTP/2 requests", of(byMode(inFront(func(c *front) *counter.Int { return &c.H2Req }), zeroes), nil, nil, nil)),
		c("h3req", "HTTP/3 requests", of(zeroes, nil, nil, nil)),

		// Servers by status: the exporter's own, "show stat" has no form for them.
		c("agg_server_status", "Servers by status, for aggregation", of(nil, fixed(column.Gauge(0)), nil, nil)),
		c("agg_server_check_status", "Servers by check status (deprecated)", of(nil, fixed(column.Gauge(0)), nil, nil)),
		c("agg_check_status", "Checks by status, for aggregation", of(nil, fixed(column.Gauge(0)), nil, nil)),
	)
	for i, k := range []struct{ name, desc string }{
		{"hrsp_other", "Responses with another status"}, {"hrsp_1xx", "Responses with status 100 to 199"}, {"hrsp_2xx", "Responses with status 200 to 299"},
		{"hrsp_3xx", "Responses with status 300 to 399"}, {"hrsp_4xx", "Responses with status 400 to 499"}, {"hrsp_5xx", "Responses with status 500 to 599"},
	} {
		column.Register(c(k.name, k.desc, of(
			inHTTP(inFront(func(c *front) *counter.Int { return &c.Status[i] })), inHTTP(inBack(func(c *back) *counter.Int { return &c.Status[i] })),
			inHTTP(inServer(func(c *serv) *counter.Int { return &c.Status[i] })), nil)))
	}
	for i, k := range []struct{ name, desc, most string }{
		{"qtime", "Average milliseconds in the queue over the last 1024 requests", "Longest time in the queue, in milliseconds"},
		{"ctime", "Average milliseconds to connect over the last 1024 requests", "Longest time to connect, in milliseconds"},
		{"rtime", "Average milliseconds to answer over the last 1024 requests", "Longest time to answer, in milliseconds"},
		{"ttime", "Average milliseconds in all over the last 1024 requests", "Longest time in all, in milliseconds"},
	} {
		average := func(t times) value { return column.U32("MaPV", int64(t.avg[i]+0.5)) }
		column.Register(
			c(k.name, k.desc, of(nil, func(o *object) value { return average(backTimes(o.Proxy.BE)) }, func(o *object) value { return average(serverTimes(o.Server)) }, nil)),
			c(k.name+"_max", k.most, of(nil, func(o *object) value { return column.Peak(backSums(o.Proxy.BE).max[i]) }, func(o *object) value { return column.Peak(serverSums(o.Server).max[i]) }, nil)),
		)
	}
	// What Forebay does not have yet counts nothing.
	for name, desc := range map[string]string{
		"comp_in": "Bytes given to the compressor", "comp_out": "Bytes made by the compressor", "comp_byp": "Bytes that went past the compressor", "comp_rsp": "Responses compressed",
	} {
		column.Register(c(name, desc, of(zeroes, zeroes, nil, nil)))
	}
	column.Register(
		c("cache_lookups", "Look-ups in the cache", of(inHTTP(zeroes), inHTTP(zeroes), nil, nil)),
		c("cache_hits", "Look-ups in the cache that found something", of(inHTTP(zeroes), inHTTP(zeroes), nil, nil)),
	)
}

// detail leaves the value out for those who may not see it.
func detail(f column.Func) column.Func {
	return func(o *object) value {
		if !o.Details {
			return value{}
		}
		return f(o)
	}
}

func frontLimit(o *object) value {
	if n := o.Proxy.FE.Limit.Load(); n != 0 {
		return column.Limit(n)
	}
	return column.Limit(o.W.MaxConn.Load())
}

func frontStatus(fe *stream.FrontState) string {
	if fe.Paused.Load() {
		return "PAUSED"
	}
	return "OPEN"
}

// backUp tells whether a backend takes streams.
func backUp(be *stream.BackState) bool {
	_, _, weight := be.Usable()
	return weight > 0 || len(be.Servers()) == 0
}

func backStatus(o *object) string {
	be, status := o.Proxy.BE, "UP"
	if !backUp(be) {
		status = "DOWN"
	}
	if !o.Count {
		return status
	}
	up := 0
	for _, s := range be.Servers() {
		if s.State().Up() {
			up++
		}
	}
	return fmt.Sprintf("%s (%d/%d)", status, up, len(be.Servers()))
}

// backAge is the time since a backend's last change, in seconds.
func backAge(o *object) int64 {
	changed := o.Proxy.BE.LastChange.Load()
	if changed == 0 {
		changed = o.W.Started.Unix()
	}
	return max(o.Now.Unix()-changed, 0)
}

func backDown(o *object) value {
	down := o.Proxy.BE.DownTime.Load()
	if !backUp(o.Proxy.BE) {
		down += backAge(o)
	}
	return column.U32("MCPV", down)
}

func serverDown(o *object) value {
	if !o.Settings.Check.Enabled || o.State.CheckPaused {
		return value{}
	}
	down := o.State.DownTotal
	if !o.State.DownSince.IsZero() {
		down += o.Now.Sub(o.State.DownSince)
	}
	return column.U32("MCPV", seconds(down))
}

func userWeight(be *stream.BackState) (sum int64) {
	for _, s := range be.Servers() {
		if s.Weight() > 0 && !s.Settings().Backup {
			sum += int64(s.State().UserWeight)
		}
	}
	return sum
}

// shared is how many idle connections any client may use.
func shared(s *server.Server) int64 { return max(s.Idle.Load()-s.Private.Load(), 0) }

func protocol(a reactor.Addr) string {
	switch {
	case a.IsUnix():
		return "unix_stream"
	case a.IP.Is4():
		return "tcpv4"
	}
	return "tcpv6"
}

func algorithm(p *stream.Proxy) string {
	if p.Balance.Algorithm == "" {
		return "roundrobin"
	}
	return p.Balance.Algorithm
}

func seconds(d time.Duration) int64 { return max(int64(d/time.Second), 0) }

// sinceLast gives the seconds since a moment of the reactors' clock, -1 if it
// never came.
func sinceLast(w *stream.Worker, at int64) int64 {
	if at == 0 {
		return -1
	}
	return max((w.Reactors[0].Sys.Now()-at)/second, 0)
}

func addrText(a reactor.Addr) string {
	if a.IsUnix() {
		return "unix"
	}
	if !a.IsValid() {
		return ""
	}
	return net.JoinHostPort(a.IP.Unmap().String(), strconv.Itoa(int(a.Port)))
}

// FullConn is the number of sessions at which a backend is full: as configured,
// or a tenth of what all the frontends that may use it accept.
func FullConn(w *stream.Worker, snap *stream.Snapshot, p *stream.Proxy) int {
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

// ServerStatus is a server's status in words: "UP", "UP 1/3", "DOWN", "DRAIN",
// "no check" …
func ServerStatus(set *server.Settings, st server.State) string {
	switch {
	case st.Admin&server.ResolveMaint != 0:
		return "MAINT (resolution)"
	case st.Admin&server.Maint != 0:
		return "MAINT"
	}
	checked := set.Check.Enabled && !st.CheckPaused
	rise, fall := set.Check.Rise, set.Check.Fall
	full := !checked || st.Health >= rise+fall-1
	going := func(word string) string {
		if full {
			return word
		}
		return fmt.Sprintf("%s %d/%d", word, st.Health-rise+1, fall)
	}
	switch st.Op {
	case server.Running, server.Starting:
		switch {
		case st.Admin&server.Drain != 0:
			return going("DRAIN")
		case !checked:
			return "no check"
		}
		return going("UP")
	case server.Stopping:
		return going("NOLB")
	}
	if checked && st.Health > 0 {
		return fmt.Sprintf("DOWN %d/%d", st.Health, rise)
	}
	return "DOWN"
}
