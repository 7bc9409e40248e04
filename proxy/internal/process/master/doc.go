// Package master is the process that supervises a worker (-W).
//
// It reads the configuration's files, checks them, and hands them to a worker:
// the same program, started as its child. To reload, it reads them again and
// first has the running worker check them and apply them in place, over its
// Runtime commands: what has not changed is named only, and not loaded here
// (update.go). If that does not succeed it loads the files itself. What cannot be
// applied in place takes a new worker: it inherits the listening sockets of the old
// one, which finishes what it has and leaves once the new one serves. A
// configuration that does not load changes nothing.
//
// A reload that finds another program on the disk first puts that into this
// one's place: handover.go. The worker of the old program is replaced then. So that
// no signal is lost in that moment, a master is executed with those blocked that the
// Go runtime leaves so, and reads them from the kernel: signals.go, again.go.
//
// The master owns the master socket (-S), the pid file and the word with systemd
// (-Ws). It serves no traffic, and keeps its rights: the next reload must be able
// to read files and open ports.
package master
