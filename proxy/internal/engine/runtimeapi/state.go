package runtimeapi

import "time"

// State is a connection as it is before one of its commands, so that another
// process can go on with it.
type State struct {
	Level    Level
	Timeout  time.Duration
	Mode     Mode
	Timed    bool
	Severity int
	// Experimental is experimental mode.
	Experimental bool
	Input        []byte // what was received, from that command on
}

// State gives the state of the connection, as if the command that runs, if one
// does, had not begun. It must be called on its reactor.
func (c *Conn) State() State {
	in := append([]byte(c.rest), c.in...)
	return State{Level: c.Level, Timeout: c.Timeout, Mode: c.Mode, Timed: c.timed, Severity: c.severity, Experimental: c.experimental, Input: in}
}

// Resume makes a connection that was not served yet go on from a state.
func (c *Conn) Resume(s State) {
	c.Level, c.Timeout, c.Mode, c.timed, c.severity = s.Level, s.Timeout, s.Mode, s.Timed, s.Severity
	c.in, c.resumed, c.experimental = s.Input, true, s.Experimental
}

// Idle tells whether the client has had its answers and what it sends next is
// awaited. It must be called on the connection's reactor.
func (c *Conn) Idle() bool { return c.idle }
