// Package sim runs a whole worker on a simulated kernel, network and clock, from
// a seed, with faults injected, and checks after every step what must always
// hold.
//
// [Run] makes a world from a seed: reactors on a [reactor.Sys] of its own
// (kernel.go, net.go), a random configuration, random clients and servers, and
// random changes of the configuration while they talk. One goroutine turns the
// reactors in random order and moves the clock to whatever comes next, so that
// the same seed gives the same run, to the byte. README.md tells what is
// simulated, what is checked, and how to replay a failure.
//
// A [Stage] is a worker on the same kernel without chance, for tests that say
// what happens when.
//
// The package is for tests only. It owns the simulated world; it never opens a
// socket or reads the real clock, and knows the worker only by its public
// interface.
package sim
