package runtimeapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// errTooBig ends a connection that sends more than it may.
var errTooBig = errors.New("too big")

// Serve speaks with the client at fd until either side ends it. It must run in a
// coroutine of fd's reactor. It does not close fd.
func Serve(fd *transport.Conn, set *Set, o Options) { New(fd, set, o).Serve() }

// New is the connection of the client at fd, to be served.
func New(fd *transport.Conn, set *Set, o Options) *Conn {
	c := &Conn{Options: o, R: fd.Reactor(), FD: fd, set: set}
	if c.MaxLine == 0 {
		c.MaxLine = MaxLine
	}
	c.Level = max(c.Level, User)
	return c
}

// Serve speaks with the client until either side ends it. It must run in a
// coroutine of its reactor.
func (c *Conn) Serve() {
	if c.Mode == Prompt && !c.resumed {
		c.prompt()
	}
	for c.err == nil && !c.quit {
		line, err := c.readLine(c.MaxLine)
		if err == errTooBig {
			c.reply(Errorf("The command is too big for the buffer size. Please change tune.bufsize in the configuration to use a bigger command.\n"))
			c.WriteString("\n")
		}
		if err != nil {
			break
		}
		c.line(line)
		if c.Mode == OneShot {
			break
		}
	}
	c.Flush()
	c.drain()
}

// drain takes what the client sent beyond the last command, so that closing the
// connection does not reset it before the client has read the reply.
func (c *Conn) drain() {
	for range 64 {
		if n, err := c.FD.TryRead(c.R.Scratch); n == 0 || err != nil {
			return
		}
	}
}

// line runs the commands of one line. The last may have a payload.
func (c *Conn) line(all string) {
	defer func() { c.rest = "" }()
	line, end, hasPayload := cutPayload(all)
	cmds := splitCommands(line)
	at := 0
	for i, text := range cmds {
		c.rest = all[at:] + "\n"
		at += len(text) + 1
		if c.Before != nil {
			c.Before(c)
		}
		words := splitWords(text)
		c.Payload, c.HasPayload = "", false
		if i == len(cmds)-1 && hasPayload {
			p, err := c.readPayload(end, c.payloadLimit(words))
			if err == errTooBig {
				c.reply(Errorf("The payload is too big. Please change tune.cli.max-payload-size in the configuration to use a bigger payload.\n"))
				c.WriteString("\n")
			}
			if err != nil {
				c.quit = true
				return
			}
			c.Payload, c.HasPayload = p, true
		}
		c.run(text, words)
		c.Payload = ""
		if c.err != nil || c.quit {
			return
		}
		c.trailer()
	}
	c.Flush()
}

// trailer ends a reply.
func (c *Conn) trailer() {
	if !c.noLF {
		c.WriteString("\n")
	}
	if c.Mode == Prompt {
		c.prompt()
	}
	c.noLF = false
}

func (c *Conn) prompt() {
	if c.timed {
		c.WriteString("[" + clock(c.uptime()) + "]")
		if c.PromptText != nil {
			c.WriteString(" ")
		}
	}
	if c.PromptText != nil {
		c.WriteString(c.PromptText(c) + " ")
	} else {
		c.WriteString("> ")
	}
	c.Flush()
}

func (c *Conn) uptime() time.Duration {
	switch {
	case c.Options.Started != nil:
		return c.R.Wall().Sub(c.Options.Started(c))
	case c.Worker != nil:
		return c.R.Wall().Sub(c.Worker.Started)
	}
	return 0
}

// clock formats d as "d:hh:mm:ss".
func clock(d time.Duration) string {
	s := max(int64(d/time.Second), 0)
	return fmt.Sprintf("%d:%02d:%02d:%02d", s/86400, s/3600%24, s/60%60, s%60)
}

// run runs one command.
func (c *Conn) run(text string, words []string) {
	if len(words) > 0 && words[0][:min(1, len(words[0]))] == "#" {
		return
	}
	if c.Route != nil {
		done, err := c.Route(c, text, words)
		if err != nil {
			c.reply(err)
		}
		if done {
			return
		}
	}
	c.Do(words)
}

// Do runs a command of the connection's own set.
func (c *Conn) Do(words []string) {
	cmd, n := c.set.find(words)
	switch {
	case cmd == nil:
		c.unknown(words)
	case cmd.Experimental && !c.experimental:
		c.reply(Errorf("This command is restricted to experimental mode only.\n"))
	case c.Level < cmd.Level:
		c.reply(Errorf("Permission denied\n"))
	default:
		if err := cmd.Run(c, words[n:]); err != nil {
			c.reply(err)
		}
	}
}

// Perform runs a command of the worker's set for somebody who has no connection, and
// gives its error only. It must run in a coroutine of r, and is not for commands that
// answer at length.
func Perform(r *reactor.Reactor, w *stream.Worker, words ...string) error {
	c := &Conn{Options: Options{Worker: w, Level: Admin}, R: r, set: Worker}
	cmd, n := Worker.find(words)
	if cmd == nil {
		return Errorf("Unknown command.\n")
	}
	return cmd.Run(c, words[n:])
}

// NoEmptyLine leaves out the empty line after the present reply.
func (c *Conn) NoEmptyLine() { c.noLF = true }

// reply shows an error.
func (c *Conn) reply(err error) {
	if c.err == nil && err != c.err {
		c.Message(3, "%s", err.Error())
	}
}

func (c *Conn) payloadLimit(words []string) int {
	if c.Limit != nil {
		if n := c.Limit(c, words); n > 0 {
			return n
		}
	}
	limit := MaxPayload
	if c.Worker != nil {
		if n := Payloads.Of(c.Worker.Snapshot().Global); n != nil {
			limit = *n
		}
	}
	// Who may not run the command may not make the process hold its payload.
	if cmd, _ := c.set.find(words); cmd != nil && c.Level >= cmd.Level {
		limit = max(limit, cmd.MaxPayload)
	}
	return limit
}

// readPayload reads lines up to the one that is end. The newline before it does
// not belong to the payload.
func (c *Conn) readPayload(end string, limit int) (string, error) {
	var b []byte
	for {
		if c.Mode == Prompt {
			c.WriteString("+ ")
		}
		if err := c.Flush(); err != nil {
			return "", err
		}
		raw, err := c.readRaw(limit - len(b))
		if err != nil {
			return "", err
		}
		if string(trimCR(raw)) == end {
			return string(bytes.TrimSuffix(b, []byte("\n"))), nil
		}
		b = append(b, raw...)
		b = append(b, '\n')
	}
}

// readLine reads a line of at most limit bytes, without its end.
func (c *Conn) readLine(limit int) (string, error) {
	if err := c.Flush(); err != nil {
		return "", err
	}
	c.idle = true
	b, err := c.readRaw(limit)
	c.idle = false
	return string(trimCR(b)), err
}

func trimCR(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\r")) }

// readRaw gives the next line without its newline. The result is good until the
// next read.
func (c *Conn) readRaw(limit int) ([]byte, error) {
	for {
		if i := bytes.IndexByte(c.in[c.scan:], '\n'); i >= 0 {
			i += c.scan
			if i >= limit {
				return nil, errTooBig
			}
			line := c.in[:i]
			c.in = c.in[i+1:]
			c.scan = 0
			return line, nil
		}
		c.scan = len(c.in)
		if len(c.in) >= limit {
			return nil, errTooBig
		}
		if c.eof {
			return nil, io.EOF
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// readAhead is how much is read at once, in bytes.
const readAhead = 4 << 10

func (c *Conn) fill() error {
	if cap(c.in)-len(c.in) < readAhead {
		// Also lets go of what was used: c.in moves along its array.
		grown := make([]byte, len(c.in), max(2*len(c.in), 2*readAhead))
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.FD.Read(c.in[len(c.in):cap(c.in)], c.R.After(c.Timeout))
	c.in = c.in[:len(c.in)+n]
	if err == io.EOF {
		c.eof = true
		return nil
	}
	return err
}
