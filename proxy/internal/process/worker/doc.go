// Package worker is the process that serves traffic, from the loaded
// configuration to its exit.
//
// [Run] makes the reactors, opens the sockets, closes the sandbox, tells that it
// is ready, and then waits for signals: SIGUSR1 to finish what there is and
// leave, SIGTERM and SIGINT to leave at once, SIGTTOU and SIGTTIN to pause and
// resume the listeners, SIGHUP to show the state of the servers, SIGQUIT that of
// the memory (management.txt 4 and 9).
//
// With a master, the worker is its child and has a [Control] socket to it. The
// master hands over connections to the Runtime commands there; when it is gone,
// the worker ends too. The package never opens a path: what it serves was loaded
// by its caller.
package worker
