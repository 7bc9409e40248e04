// Package check makes the health checks of servers: a TCP connection, HTTP
// requests with "option httpchk" and "http-check" rules, or any exchange with
// "option tcp-check" and "tcp-check" rules. It owns the "check" options of server
// lines, those keywords, the timing of checks, and what is said when a server's
// state changes.
//
// Each kind of check is a sequence of steps (settings.go), which a probe goes
// through (probe.go) over a connection of its own (conn.go). What it asks over HTTP it
// asks as a [stream.Client], in whatever protocol is registered (response.go).
//
// A checked server has a [reactor.Timer] on one reactor; a coroutine exists only
// while a check is made. What a check finds goes through [server.Server.Update],
// which tells the load balancing.
//
// The package never sends traffic of clients, and decides nothing about servers
// but up, down and stopping.
package check
