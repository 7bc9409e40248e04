// Package stream is the life of one exchange, and the graph it runs through.
//
// A [Worker] is the process: its reactors and the current [Snapshot], an
// immutable graph of [Proxy] (frontends and backends) with their binds, rules
// and limits. What lives and changes hangs beside it ([FrontState], [BackState],
// server.Server) and is found again by the next snapshot.
//
// The life of an HTTP exchange, a function for each phase (http.go):
//
//	accept     a connection is accepted by a [Listener]; a [Session] begins
//	request    its head is parsed; a [Stream] begins with the newest snapshot
//	frontend   monitor-uri, then the frontend's http-request rules
//	route      use_backend and default_backend choose the backend
//	backend    the backend's http-request rules; forwardfor
//	assign     a server is chosen, a slot or a place in the queue is taken
//	connect    an idle connection is taken or a new one made; retries
//	send       the request goes out; a body is pumped by a second coroutine
//	response   its head is awaited and parsed; http-response rules
//	forward    head and body go to the client
//	end        counters, log line, keep-alive or close
//
// A TCP exchange (tcp.go) has accept, route, assign, connect, forward and end.
//
// README.md has the timers, statuses and counters of each phase in one table, and
// whose a server connection is.
//
// Features hang in by registering keywords (package conf) that set fields of a
// Proxy, rules and conditions ([Rule], [Cond]), or slots (package slot). The
// package never reads a file and knows no keyword.
package stream
