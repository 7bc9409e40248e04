package stream

// phase is a part of the life of an exchange. What stands beside run is what the
// chart in ARCHITECTURE.md says of it: nothing reads it but tests, which hold all
// three to each other, the chart, this table, and what exchanges do.
type phase struct {
	name string
	run  func(*Stream) step
	// answers tells who may answer the client here in place of a server.
	answers string
	// counts names what is counted: fields of the counters of frontends, backends,
	// servers and reactors.
	counts string
	// times names those of [Times] that are set.
	times string
	// timeouts names those that may run out.
	timeouts string
}

// step is where a phase sends its exchange.
type step uint8

const (
	next  step = iota // to the phase after it
	again             // another attempt: to "queue"
	stop              // the rest is of no concern: to "release"
)

// life is the phases of a mode, in their order.
type life struct {
	phases []phase
	// queue and release are where "again" and "stop" lead.
	queue, release int
}

// httpLife is the life of a request in mode http, over whatever protocol it came.
var httpLife = lifeOf(
	phase{"request", (*Stream).request, "errors", "Requests, ReqErrors, H2Req", "Begin, Request", "http-request, client"},
	phase{"frontend", (*Stream).frontend, "monitor, rules, errors", "Requests, Intercepted, DeniedReq, FailedRewrites, ReqErrors, ClientAborts", "Request, GaveUp", "http-request, client, tarpit"},
	phase{"route", (*Stream).route, "errors", "Sessions, Requests", "", ""},
	phase{"backend", (*Stream).backend, "rules, errors", "Intercepted, DeniedReq, FailedRewrites, ReqErrors, ClientAborts", "Request, GaveUp", "http-request, client, tarpit"},
	phase{"filters", (*Stream).filters, "errors", "ClientAborts", "", ""},
	phase{"queue", (*Stream).queue, "errors", "Chosen, ConnErrors, Retries, Redisp, ClientAborts", "Queued, GaveUp", "queue"},
	phase{"connect", (*Stream).connect, "errors", "Sessions, Connects, Reuses, TLS, ConnErrors, Retries, Redisp, ClientAborts", "Connected", "connect"},
	phase{"send", (*Stream).send, "errors", "ConnErrors, RespErrors, Retries", "", "server, connect"},
	phase{"response", (*Stream).response, "server, errors", "Requests, Status, RespErrors, ConnErrors, Retries, ReqErrors, ClientAborts", "Response", "server, client"},
	phase{"response rules", (*Stream).responseRules, "rules, errors", "DeniedResp, FailedRewrites, RespErrors", "", "server"},
	phase{"forward", (*Stream).forward, "server", "RespErrors, ClientAborts, ServerAborts, SplicedBytes, LogLines", "", "server, client, tunnel, client-fin, server-fin"},
	phase{"rest", (*Stream).rest, "", "ClientAborts", "", "client"},
	phase{"release", (*Stream).release, "", "", "", ""},
	phase{"answer", (*Stream).answer, "", "FailedRewrites", "", "client"},
	phase{"end", (*Stream).finish, "", "Traffic, BytesOut, Status, Durations, LogLines", "End", ""},
)

// tcpLife is the life of a connection in mode tcp.
var tcpLife = lifeOf(
	phase{"frontend", (*Stream).frontendTCP, "", "DeniedReq, ReqErrors, ClientAborts", "Begin, Request", "client"},
	phase{"route", (*Stream).route, "", "Sessions", "", ""},
	phase{"backend", (*Stream).backendTCP, "", "DeniedReq, ReqErrors, ClientAborts", "", "client, connect"},
	phase{"queue", (*Stream).queue, "", "Chosen, ConnErrors, Retries, Redisp, ClientAborts", "Queued, GaveUp", "queue"},
	phase{"connect", (*Stream).connect, "", "Sessions, Connects, TLS, ConnErrors, Retries, Redisp, ClientAborts", "Connected", "connect"},
	phase{"response rules", (*Stream).responseRulesTCP, "", "DeniedResp, LogLines, RespErrors", "", "server, tunnel"},
	phase{"forward", (*Stream).forwardTCP, "", "ClientAborts, ServerAborts, SplicedBytes", "", "server, client, tunnel, client-fin, server-fin"},
	phase{"release", (*Stream).release, "", "", "", ""},
	phase{"end", (*Stream).finishTCP, "", "Traffic, BytesOut, Durations, LogLines", "End", ""},
)

func lifeOf(phases ...phase) *life {
	l := &life{phases: phases}
	for i := range phases {
		switch phases[i].name {
		case "queue":
			l.queue = i
		case "release":
			l.release = i
		}
	}
	return l
}

// live takes the exchange through its phases. It tells whether the client's
// connection may be used for another.
func (st *Stream) live(l *life) (keep bool) {
	for i := 0; i < len(l.phases); {
		switch l.phases[i].run(st) {
		case next:
			i++
		case again:
			i = l.queue
		case stop:
			i = l.release
		}
	}
	return st.keep
}
