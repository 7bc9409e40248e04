// Package server is a server of a backend as it lives: its settings, its health
// and administrative state, its counters and its pools of idle connections.
//
// A [Server] outlives the configuration it came from: a new one that names the
// same server of the same backend finds it again and only replaces its
// [Settings]. What the hot path reads (usable or not, weight, limits) is
// published in atomics; changes of state take a lock and tell the backend.
//
// The package never opens a connection and knows no protocol.
package server
