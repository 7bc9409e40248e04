package runtimeapi

import (
	"fmt"
	"io"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// Mode is how a connection reads commands (management.txt 9.3).
type Mode int

// Modes.
const (
	// OneShot answers one line and closes.
	OneShot Mode = iota
	// Interactive waits for the next line.
	Interactive
	// Prompt is Interactive with a prompt.
	Prompt
)

// Options are what [Serve] needs to know of a connection.
type Options struct {
	// Worker is what commands act on. The master has none.
	Worker *stream.Worker
	Level  Level
	// Timeout is how long to wait for the client, to send or to take in
	// something; 0: for ever.
	Timeout time.Duration
	// MaxLine bounds a command line in bytes (0: [MaxLine]).
	MaxLine int
	Mode    Mode
	// ExposeFD allows the listening sockets to be fetched.
	ExposeFD bool
	// Route, if set, sees each command before the set does. It returns true when
	// it has answered. text is the command as it was sent, words what it was
	// split into.
	Route func(c *Conn, text string, words []string) (bool, error)
	// Limit, if set, gives the largest payload in bytes for a command that the
	// set does not have (or Route takes).
	Limit func(c *Conn, words []string) int
	// PromptText, if set, is the prompt without the final space ("master>").
	PromptText func(c *Conn) string
	// Started is the beginning of the uptime that "prompt timed" shows. Zero:
	// the worker's.
	Started func(c *Conn) time.Time
	// Before, if set, is called before each command. It may park.
	Before func(c *Conn)
}

// Conn is a client's connection, as commands see it. It lives on one reactor.
type Conn struct {
	Options
	R  *reactor.Reactor
	FD *transport.Conn
	// Payload is the payload of the command that runs, HasPayload whether there
	// was one.
	Payload    string
	HasPayload bool

	set      *Set
	timed    bool
	severity int // how messages show their severity
	noLF     bool
	quit     bool
	// experimental commands are allowed
	experimental bool
	idle         bool   // it waits for the next line
	resumed      bool   // another process has begun it
	rest         string // of the line whose commands run, from the present one on
	in           []byte // what was received and not yet used
	scan         int    // how much of in is known to hold no line end
	eof          bool
	out          []byte
	err          error // of writing: sticky
	slots        slot.Values
}

// Slots are what the owner of the set knows of the connection.
func (c *Conn) Slots() *slot.Values { return &c.slots }

// flushAt is how much output is gathered before it is sent, in bytes.
const flushAt = 32 << 10

// Write adds to the reply. It parks while the client does not take it in; once
// it returns an error, so do all later calls, and the command should return.
func (c *Conn) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), c.spill()
}

// WriteString is Write of a string.
func (c *Conn) WriteString(s string) (int, error) {
	c.out = append(c.out, s...)
	return len(s), c.spill()
}

// Printf adds to the reply, see [Conn.Write].
func (c *Conn) Printf(format string, args ...any) error {
	c.out = fmt.Appendf(c.out, format, args...)
	return c.spill()
}

// Message adds a line with a severity (of syslog, 0 to 7), which is shown if
// "set severity-output" asked for that.
func (c *Conn) Message(severity int, format string, args ...any) error {
	c.mark(severity)
	c.out = fmt.Appendf(c.out, format, args...)
	if n := len(c.out); n > 0 && c.out[n-1] != '\n' {
		c.out = append(c.out, '\n')
	}
	return c.spill()
}

// mark shows a severity, if that was asked for.
func (c *Conn) mark(severity int) {
	switch c.severity {
	case severityNumber:
		c.out = fmt.Appendf(c.out, "[%d]: ", severity)
	case severityString:
		c.out = fmt.Appendf(c.out, "[%s]: ", severityNames[severity&7])
	}
}

func (c *Conn) spill() error {
	if c.err == nil && len(c.out) < flushAt {
		return nil
	}
	return c.Flush()
}

// Flush sends what was written so far.
func (c *Conn) Flush() error {
	if c.err == nil && len(c.out) > 0 {
		_, c.err = c.FD.Write(c.out, 0, int64(c.Timeout))
	}
	if cap(c.out) > 2*flushAt {
		c.out = nil
	}
	c.out = c.out[:0]
	return c.err
}

// Err is the error that ended the output, if any.
func (c *Conn) Err() error { return c.err }

// Closed tells whether the client is known to have gone.
func (c *Conn) Closed() bool { return c.err != nil || c.FD.Broken() }

// Interrupted waits for more, or for the client to send something or to leave: it
// tells whether that was it. What was sent is discarded. The wait may end for
// nothing.
func (c *Conn) Interrupted(more *reactor.Waiter) (bool, error) {
	if len(c.in) > 0 || c.eof {
		c.in, c.scan = c.in[:0], 0
		return true, nil
	}
	n, err := c.FD.TryRead(c.R.Scratch)
	switch {
	case err == io.EOF:
		c.eof = true
		return true, nil
	case n > 0 || err != nil:
		return true, err
	}
	c.FD.Watch(c.R.Current())
	defer c.FD.Watch(nil)
	return false, more.Wait(c.R, 0)
}

// Quit ends the connection after the present command.
func (c *Conn) Quit() { c.quit = true }

// Values of "set severity-output".
const (
	severityNone = iota
	severityNumber
	severityString
)

var severityNames = [8]string{"EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"}
