package runtimeapi

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
)

func init() { Worker.Basics() }

// Basics registers the commands that concern the connection itself.
func (s *Set) Basics() {
	s.Register(
		Command{Words: "help", Level: User, Usage: "[<command>]", Help: "list matching or all commands", Run: (*Conn).help},
		Command{Words: "prompt", Level: User, Usage: "[help | n | i | p | timed]*", Help: "toggle interactive mode with prompt", Run: setPrompt},
		Command{Words: "quit", Level: User, Help: "disconnect", Run: func(c *Conn, _ []string) error { c.Quit(); return nil }},
		Command{Words: "user", Level: User, Help: "lower the level of the current CLI session to user", Run: lower(User)},
		Command{Words: "operator", Level: Operator, Help: "lower the level of the current CLI session to operator", Run: lower(Operator)},
		Command{Words: "experimental-mode", Level: Admin, Usage: "[on|off]", Help: "enable/disable experimental mode", Run: setExperimental},
		Command{Words: "show cli level", Level: User, Help: "display the level of the current CLI session", Run: func(c *Conn, _ []string) error {
			return c.Message(6, "%s\n", c.Level)
		}},
		Command{Words: "set severity-output", Level: User, Usage: "[none|number|string]", Help: "set presence of severity level in feedback information", Run: setSeverity},
		Command{Words: "set timeout", Level: User, Usage: "[cli] <delay>", Help: "change a timeout setting", Run: setTimeout},
		Command{Words: "echo", Level: User, Usage: "<text>", Help: "print text to the output", Run: echo},
	)
}

// setExperimental switches commands on that HAProxy calls experimental. "-" is as
// with [lower].
func setExperimental(c *Conn, args []string) error {
	if len(args) > 1 && args[1] == "-" {
		c.noLF = true
	}
	switch {
	case len(args) == 0 && c.experimental:
		return c.Printf("experimental-mode is ON\n")
	case len(args) == 0:
		return c.Printf("experimental-mode is OFF\n")
	case args[0] == "on":
		c.experimental = true
	case args[0] == "off":
		c.experimental = false
	}
	return nil
}

// Experimental tells whether experimental commands are allowed.
func (c *Conn) Experimental() bool { return c.experimental }

func setPrompt(c *Conn, args []string) error {
	if len(args) == 0 {
		if c.Mode == Prompt {
			c.Mode = OneShot
		} else {
			c.Mode = Prompt
		}
	}
	for _, a := range args {
		switch a {
		case "n":
			c.Mode = OneShot
		case "i":
			c.Mode = Interactive
		case "p":
			c.Mode = Prompt
		case "timed":
			c.timed = !c.timed
			if len(args) == 1 {
				c.Mode = Prompt
			}
		default:
			return c.Printf("Usage: prompt [help | n | i | p | timed]*\n" +
				"Changes the default prompt and interactive mode. Available options:\n" +
				"  help      display this help\n" +
				"  n         set to non-interactive mode\n" +
				"  i         set to interactive mode\n" +
				"  p         set to prompt+interactive mode\n" +
				"  timed     toggle displaying the current date in the prompt\n" +
				"Without argument, toggles between prompt/interactive and non-interactive modes.\n")
		}
	}
	return nil
}

// lower takes rights away. With "-" the empty line that ends the reply is left
// out, for programs that put the command before another one.
func lower(to Level) func(*Conn, []string) error {
	return func(c *Conn, args []string) error {
		if len(args) > 0 && args[0] == "-" {
			c.noLF = true
		}
		c.Level = min(c.Level, to)
		return nil
	}
}

func setSeverity(c *Conn, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "none":
			c.severity = severityNone
			return nil
		case "number":
			c.severity = severityNumber
			return nil
		case "string":
			c.severity = severityString
			return nil
		}
	}
	return Errorf("one of 'none', 'number', 'string' is a required argument\n")
}

func setTimeout(c *Conn, args []string) error {
	if len(args) == 0 || args[0] != "cli" {
		return Errorf("'set timeout' only supports 'cli'.\n")
	}
	if len(args) < 2 {
		return Errorf("Expects an integer value.\n")
	}
	d, err := config.ParseTime(args[1], time.Second)
	if err != nil || d < time.Millisecond {
		return Errorf("Invalid timeout value.\n")
	}
	c.Timeout = d
	return nil
}

func echo(c *Conn, args []string) error {
	for i, a := range args {
		if i > 0 {
			c.WriteString(" ")
		}
		c.WriteString(a)
	}
	_, err := c.WriteString("\n")
	return err
}
