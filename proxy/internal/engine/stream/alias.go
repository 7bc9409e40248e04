package stream

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// Alias is a log-format alias ("%Tr", manual 8.2.6): a short name for something
// that a scope knows. Whoever owns what it tells registers it; package logformat
// reads the names and writes the values.
type Alias struct {
	Name string

	// One of these gives the value.
	Int    func(*Scope) int64
	Addr   func(*Scope) reactor.Addr // its IP address, or with Port its port
	Append func(dst []byte, sc *Scope) []byte
	// Field gives value number n of a list, nil for one that there is not; !ok: the
	// list has ended.
	Field func(sc *Scope, n int) (value []byte, ok bool)

	// Hex makes Int hexadecimal where the format asks for that.
	Hex  bool
	Port bool
	// Form is how what Append gives is written.
	Form Form
	// Grows tells that "option logasap" may log the value before it is final.
	Grows bool
	// Line tells that it is made from [Stream.ReqLine].
	Line bool
}

// Form is how a text is written.
type Form uint8

// Forms of texts.
const (
	// Text is quoted if the format asks for that, and what is not printable is
	// encoded.
	Text Form = iota
	// Clean is quoted only: it has nothing to encode.
	Clean
	// Plain is neither.
	Plain
	// Known is written like the value of an expression: where there is none, a sign
	// stands for that.
	Known
	// Braces is a list between braces, "{a|b}", nothing if it is empty; each value is
	// encoded.
	Braces
	// Spaced is a list with blanks between, each value quoted as the format asks for.
	Spaced
)

var aliases = make(map[string]*Alias)

// RegisterAlias adds aliases, from init functions. It panics on a name that is
// taken: a mistake of the program.
func RegisterAlias(list ...Alias) {
	for i := range list {
		a := &list[i]
		if aliases[a.Name] != nil {
			panic("log-format alias registered twice: " + a.Name)
		}
		aliases[a.Name] = a
	}
}

// FindAlias gives an alias by its name, nil if there is none.
func FindAlias(name string) *Alias { return aliases[name] }

// Aliases are the names that there are, sorted.
func Aliases() []string {
	var out []string
	for name := range aliases {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
