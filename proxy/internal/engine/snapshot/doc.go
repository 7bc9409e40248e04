// Package snapshot puts configurations in force without a new process.
//
// [Load] reads a configuration (package conf) and remembers its text. [Start]
// begins with the first one: it binds the listeners and gives every frontend,
// backend and server its state. [Apply] replaces the one in force by another:
// state is found again by the name of what it belongs to, listeners that both
// have stay open, those that are new are opened before anything changes, and
// one pointer is swapped. Either all of that happens or nothing. [Changes] tells
// beforehand what would be done, and what cannot be done without a new process.
//
// What lives is carried over by its [Carrier], in two phases: Prepare gives the
// new graph the things that live, and may refuse; then all commit. Frontends,
// backends and listeners are carried so, and what features register (log sockets,
// checks, certificates). The commands "prepare config" to "abort config" of the
// Runtime socket are in runtime.go.
//
// The package never reads a file by itself and owns no state of its own but the
// configurations that clients prepare.
package snapshot
