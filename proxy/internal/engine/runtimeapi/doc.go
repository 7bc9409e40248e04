// Package runtimeapi is the Runtime socket: the command language that operators,
// scripts and the control plane speak to a running process (management.txt 9.3).
//
// It owns the language (lines, words, payloads, modes and levels, in [Serve]),
// the registry of commands ([Set], [Register]) and the commands that act on
// frontends, backends, servers and streams. Features register further commands
// from their own packages. The loop runs on any descriptor of a reactor and with
// any set, so the master process uses it for its own socket.
//
// It never touches a file, never blocks a reactor, and never changes what it
// does not hold the worker's lock for.
package runtimeapi
