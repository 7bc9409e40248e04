// Package check makes the health checks of servers: a TCP connection, or an
// HTTP request with "option httpchk" and "http-check" rules. It owns the "check"
// options of server lines, those keywords, the timing of checks, and what is
// said when a server's state changes.
//
// A checked server has a [reactor.Timer] on one reactor; a coroutine exists only
// while a check is made. What a check finds goes through [server.Server.Update],
// which tells the load balancing.
//
// The package never sends traffic of clients, and decides nothing about servers
// but up, down and stopping.
package check
