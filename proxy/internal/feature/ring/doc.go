// Package ring is the "ring" section (manual 12.5): buffers in memory that logs
// are written to ("log ring@name"), that the Runtime command "show events" shows,
// and that are forwarded to syslog servers over TCP.
//
// It owns the live buffers of a worker, which outlive configurations by their
// names, the connections to their servers, and the two rings that there are
// without a section, buf0 and dpapi.
//
// A ring is of a fixed size, and the newest events win: who writes never waits
// for who reads. Reactors gather what they write during a turn of their loop, and
// take the ring's lock once at its end. The package opens no file.
package ring
