//go:build !race

package http2

// raceEnabled tells that the race detector, which drops pooled values at
// random, is off.
const raceEnabled = false
