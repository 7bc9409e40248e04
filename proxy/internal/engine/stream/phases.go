package stream

// phase is a part of the life of an exchange. The fields beside run say what the
// chart in ARCHITECTURE.md says; tests hold both to what happens.
type phase struct {
	name string
	run  func(*Stream) step
	// answers tells who may answer the client here in place of a server.
	answers string
	// times are those of [Times] that are set here, for the log.
	times string
	// timeouts are those that may run out here.
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
	phase{"request", (*Stream).request, "errors", "Begin, Request", "http-request, client"},
	phase{"frontend", (*Stream).frontend, "monitor, errors, rules", "Request, GaveUp", "http-request, client, tarpit"},
	phase{"route", (*Stream).route, "errors", "", ""},
	phase{"backend", (*Stream).backend, "errors, rules", "Request, GaveUp", "http-request, client, tarpit"},
	phase{"filters", (*Stream).filters, "errors", "", ""},
	phase{"queue", (*Stream).queue, "errors", "Queued, GaveUp", "queue"},
	phase{"connect", (*Stream).connect, "errors", "Connected", "connect"},
	phase{"send", (*Stream).send, "errors", "", "server"},
	phase{"response", (*Stream).response, "server, errors", "Response", "server, client"},
	phase{"response rules", (*Stream).responseRules, "errors, rules", "", "server"},
	phase{"forward", (*Stream).forward, "", "", "server, client, tunnel, client-fin, server-fin"},
	phase{"rest", (*Stream).rest, "", "", "client"},
	phase{"release", (*Stream).release, "", "", ""},
	phase{"answer", (*Stream).answer, "", "", "client"},
	phase{"end", (*Stream).finish, "", "End", ""},
)

// tcpLife is the life of a connection in mode tcp.
var tcpLife = lifeOf(
	phase{"frontend", (*Stream).frontendTCP, "", "Begin, Request", "client"},
	phase{"route", (*Stream).route, "", "", ""},
	phase{"backend", (*Stream).backendTCP, "", "", "client"},
	phase{"queue", (*Stream).queue, "", "Queued, GaveUp", "queue"},
	phase{"connect", (*Stream).connect, "", "Connected", "connect"},
	phase{"response rules", (*Stream).responseRulesTCP, "", "", "server, tunnel"},
	phase{"forward", (*Stream).forwardTCP, "", "", "server, client, tunnel, client-fin, server-fin"},
	phase{"release", (*Stream).release, "", "", ""},
	phase{"end", (*Stream).finishTCP, "", "End", ""},
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
