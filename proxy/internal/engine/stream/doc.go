// Package stream is the life of one exchange, and the graph it runs through.
//
// A [Worker] is the process: its reactors and the current [Snapshot], an
// immutable graph of [Proxy] (frontends and backends) with their binds, rules
// and limits. What lives and changes hangs beside it ([FrontState], [BackState],
// server.Server) and is found again by the next snapshot.
//
// A connection is accepted by a [Listener]; a [Session] begins, and a [Stream] with
// the newest snapshot for each of its exchanges. The life of an exchange is a list of
// phases, one for each mode (phases.go); each is a function in the file of its name.
// The chart in ARCHITECTURE.md says what they do, who may answer in them, what they
// count and which times and timeouts are theirs. Phases know no protocol: what clients
// and servers are spoken to in is behind interfaces (front.go, back.go), and each
// [Protocol] is in files of its own.
//
// [Client] is a client that the proxy itself is.
//
// README.md has the timers, statuses and counters of what goes wrong in one table,
// and whose a server connection is.
//
// Features hang in by registering keywords (package conf) that set fields of a
// Proxy, rules and conditions ([Rule], [Cond]), or slots (package slot). The
// package never reads a file and knows no keyword.
package stream
