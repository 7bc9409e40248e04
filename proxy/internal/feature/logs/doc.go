// Package logs sends what happens to log servers: traffic lines in the formats
// of chapter 8 of the manual, and messages about servers and the process.
//
// It registers the "log" keyword with its targets (syslog over UDP and UNIX
// datagrams, stdout, stderr, descriptors), the formats ("option httplog",
// "log-format" …) and what goes before a message (RFC 3164, RFC 5424 and the
// shorter ones).
//
// A line is made and sent by the reactor that served the stream, without
// allocation. Nothing waits: what a socket does not take is dropped and counted;
// lines for descriptors are gathered until the end of the reactor's turn and
// written by a goroutine. Sockets are opened when a configuration comes into
// force, before the worker gives up the filesystem.
package logs
