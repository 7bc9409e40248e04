package runtimeapi

import (
	"fmt"
	"sort"
	"strings"
)

// Level is what a connection may do (management.txt 9.3, "level" in
// configuration.txt 5.1).
type Level int

// Levels.
const (
	User Level = iota + 1
	Operator
	Admin
)

// String gives the name that the configuration has for l.
func (l Level) String() string {
	switch l {
	case User:
		return "user"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "unknown"
}

// ParseLevel is the inverse of [Level.String].
func ParseLevel(s string) (Level, error) {
	for l := User; l <= Admin; l++ {
		if l.String() == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("'%s' is not a level, expects user, operator or admin", s)
}

// Limits of what a client may send, in bytes.
const (
	// MaxLine bounds a command line where [Options] says nothing else.
	MaxLine = 16 << 10
	// MaxPayload bounds the payload of a command that does not ask for more,
	// as tune.cli.max-payload-size does by default.
	MaxPayload = 128 << 10
	// MaxBundle bounds the payload of commands that carry configurations.
	MaxBundle = 64 << 20
)

// Command is one command.
type Command struct {
	// Words are the words that name it: "show servers state".
	Words string
	// Level is the least level that may run it.
	Level Level
	// Experimental tells that the connection must be in experimental mode.
	Experimental bool
	// Usage is what follows Words in the help listing, up to the colon, and Help
	// what follows the colon. A command without Help is not listed.
	Usage, Help string
	// Payload tells that the command takes a payload; MaxPayload bounds it in
	// bytes (0: [MaxPayload]).
	Payload    bool
	MaxPayload int
	// Run answers. args are the words after the name, never more than 63. It
	// runs in a coroutine on c.R and may wait. A returned error is the reply:
	// see [Errorf].
	Run func(c *Conn, args []string) error

	words []string
}

// Set is a set of commands. It is filled before it is used.
type Set struct {
	// Master tells that they are those of a master socket.
	Master bool

	list []*Command
}

// Worker is the set of the worker process's Runtime socket.
var Worker = &Set{}

// Register adds commands to the worker's set. It panics on a name that is taken:
// a mistake of the program.
func Register(cmds ...Command) { Worker.Register(cmds...) }

// Register adds commands. It panics on a name that is taken.
func (s *Set) Register(cmds ...Command) {
	for i := range cmds {
		c := &cmds[i]
		c.words = strings.Fields(c.Words)
		for _, o := range s.list {
			if o.Words == c.Words {
				panic("runtimeapi: command registered twice: " + c.Words)
			}
		}
		s.list = append(s.list, c)
	}
	sort.SliceStable(s.list, func(i, j int) bool { return s.list[i].Words < s.list[j].Words })
}

// Commands gives the commands in the order of their names.
func (s *Set) Commands() []*Command { return s.list }

// find gives the command that words begin with, the one with the longest name
// if there are several, and how many words are its name.
func (s *Set) find(words []string) (*Command, int) {
	var best *Command
	for _, c := range s.list {
		if common(c.words, words) == len(c.words) && (best == nil || len(c.words) > len(best.words)) {
			best = c
		}
	}
	if best == nil {
		return nil, 0
	}
	return best, len(best.words)
}

// common counts the words that a and b begin with in common.
func common(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Error is a reply that says why a command was not done.
type Error string

// Error gives the text.
func (e Error) Error() string { return string(e) }

// Errorf makes an error reply. It is printed as it is, with a newline at its end
// if it has none.
func Errorf(format string, args ...any) error {
	if len(args) == 0 {
		return Error(format)
	}
	return Error(fmt.Sprintf(format, args...))
}
