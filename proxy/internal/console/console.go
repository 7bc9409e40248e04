// Package console speaks to whoever started the process: messages on standard
// error in the form that users of HAProxy know. It knows nothing of logs
// (package logs), which are about traffic.
package console

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/forebay-lb/forebay/proxy/config"
)

// Console writes messages. It may be used from any thread.
type Console struct {
	// Quiet keeps messages from Out (-q); Tap still sees them.
	Quiet bool
	Out   io.Writer

	// Preamble, if set, gives lines that go before the first message.
	Preamble []string

	mu  sync.Mutex
	tap func(line string)
}

// New makes a console on standard error.
func New() *Console { return &Console{Out: os.Stderr} }

// Alert says what is fatal.
func (c *Console) Alert(format string, args ...any) { c.say("[ALERT]   ", format, args) }

// Warn says what went on although something is not right.
func (c *Console) Warn(format string, args ...any) { c.say("[WARNING] ", format, args) }

// Notice says what is good to know.
func (c *Console) Notice(format string, args ...any) { c.say("[NOTICE]  ", format, args) }

func (c *Console) say(label, format string, args []any) {
	c.mu.Lock()
	pre := c.Preamble
	c.Preamble = nil
	c.mu.Unlock()
	for _, text := range pre {
		c.Line(fmt.Sprintf("[NOTICE]   (%d) : %s\n", os.Getpid(), text))
	}
	c.Line(fmt.Sprintf("%s (%d) : %s\n", label, os.Getpid(), fmt.Sprintf(format, args...)))
}

// Line writes text that is formatted already, line end included.
func (c *Console) Line(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.Quiet && c.Out != nil {
		io.WriteString(c.Out, line)
	}
	if c.tap != nil {
		c.tap(line)
	}
}

// Tap makes f see every line too; nil ends that. f must not use the console.
func (c *Console) Tap(f func(line string)) {
	c.mu.Lock()
	c.tap = f
	c.mu.Unlock()
}

// Diagnostics writes the findings about a configuration, with HAProxy's last
// lines if it cannot be used. Those for the diagnostic mode only are shown if
// diag is set.
func (c *Console) Diagnostics(d *config.Diagnostics, diag bool) {
	failed := map[string]bool{}
	var files []string
	for _, x := range d.All() {
		switch x.Severity {
		case config.Diag:
			if diag {
				c.say("[DIAG]    ", "%s", []any{x})
			}
		case config.Notice:
			c.Notice("%s", x)
		case config.Warning:
			c.Warn("%s", x)
		default:
			c.Alert("%s", x)
			if f := x.Pos.File; f != "" && !failed[f] {
				failed[f] = true
				files = append(files, f)
			}
		}
	}
	if !d.HasErrors() {
		return
	}
	for _, f := range files {
		c.Alert("config : Error(s) found in configuration file : %s", f)
	}
	c.Alert("config : Fatal errors found in configuration.")
}
