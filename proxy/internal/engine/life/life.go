// Package life is where features hang into the life of a process. What runs
// workers and masters calls them at the moments below, and knows none of them by
// name.
//
// Everything is registered from init functions, and never changes afterwards.
// What follows a configuration (checks, sockets of logs) is told by package
// snapshot instead; how an exchange goes on is package stream's.
package life

import "github.com/forebay-lb/forebay/proxy/internal/engine/stream"

var (
	sealing  []func()
	serving  []func(*stream.Worker)
	secrets  []func([]byte)
	legacies []Legacy
)

// OnSeal makes f run last before the process gives up the file system: to read
// what a library would otherwise read later (certificates of the system, tables
// of names).
func OnSeal(f func()) { sealing = append(sealing, f) }

// Seal tells those who called [OnSeal].
func Seal() {
	for _, f := range sealing {
		f()
	}
}

// OnServe makes f be called with a worker whose first configuration is in force,
// before the file system is given up. Its reactors may run already.
func OnServe(f func(w *stream.Worker)) { serving = append(serving, f) }

// Serve tells those who called [OnServe].
func Serve(w *stream.Worker) {
	for _, f := range serving {
		f(w)
	}
}

// SecretSize is the length of a master's secret, in bytes.
const SecretSize = 32

// OnSecret makes f be called with the secret of the master, which is the same for
// all its workers, before the first configuration is loaded. Keys that must
// outlive a worker follow from it. A process without a master has no secret.
func OnSecret(f func(secret []byte)) { secrets = append(secrets, f) }

// SetSecret tells those who called [OnSecret].
func SetSecret(secret []byte) {
	for _, f := range secrets {
		f(secret)
	}
}

// Legacy is something that a worker leaves to the one that takes its place.
type Legacy struct {
	// What it is: "TLS sessions".
	What string
	// Command is the Runtime command of the old worker whose reply is left. One that
	// runs an older program may not know it, and replies with the help then.
	Command string
	// Take gets the reply in the new worker before its first configuration is
	// loaded. What makes no sense is to be ignored.
	Take func(reply []byte)
}

// Leave registers l.
func Leave(l Legacy) { legacies = append(legacies, l) }

// Legacies are what workers leave.
func Legacies() []Legacy { return legacies }

// Take hands over what the worker before has left, by [Legacy.Command].
func Take(replies map[string][]byte) {
	for _, l := range legacies {
		if r, ok := replies[l.Command]; ok {
			l.Take(r)
		}
	}
}
