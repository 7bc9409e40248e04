//go:build race

// Package race tells tests whether the race detector is on: it makes sync.Pool
// drop values at random, so that code allocates which otherwise does not.
package race

// Enabled tells whether the race detector is on.
const Enabled = true
