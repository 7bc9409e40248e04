package config

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
)

// Environment holds the environment variables that a configuration sees and changes (manual 2.3). Changes stay inside:
// the environment of the process is never touched. The zero value is empty and ready to use.
type Environment struct {
	vars map[string]string
	sum  uint64 // of vars, 0: not known
}

// NewEnvironment takes over variables in the form of os.Environ.
func NewEnvironment(environ []string) *Environment {
	e := &Environment{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			e.Set(name, value)
		}
	}
	return e
}

// Lookup returns the value of a variable and whether it exists.
func (e *Environment) Lookup(name string) (string, bool) {
	v, ok := e.vars[name]
	return v, ok
}

// Set gives a variable a value.
func (e *Environment) Set(name, value string) {
	if e.vars == nil {
		e.vars = make(map[string]string)
	}
	e.vars[name] = value
	e.sum = 0
}

// Unset removes a variable.
func (e *Environment) Unset(name string) {
	delete(e.vars, name)
	e.sum = 0
}

// Expand replaces variables in an address that was not quoted: $NAME and ${NAME}, as the addresses of HAProxy do by
// themselves (manual 2.9). A variable that does not exist stands for nothing.
func (e *Environment) Expand(s string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, "$")
		b.WriteString(text)
		if !found {
			return b.String()
		}
		name, braced := strings.CutPrefix(rest, "{")
		n := 0
		for n < len(name) && isNameChar(name[n]) {
			n++
		}
		value, _ := e.Lookup(name[:n])
		b.WriteString(value)
		s = name[n:]
		if braced {
			s = strings.TrimPrefix(s, "}")
		}
	}
}

// Clone returns a copy that can be changed on its own.
func (e *Environment) Clone() *Environment { return &Environment{vars: maps.Clone(e.vars)} }

// Environ returns the variables in the form of os.Environ, sorted.
func (e *Environment) Environ() []string {
	list := make([]string, 0, len(e.vars))
	for _, k := range slices.Sorted(maps.Keys(e.vars)) {
		list = append(list, k+"="+e.vars[k])
	}
	return list
}

var sumSeed = maphash.MakeSeed()

// Sum tells environments apart within one process: the same variables have the same sum.
func (e *Environment) Sum() uint64 {
	if e.sum == 0 {
		var h maphash.Hash
		h.SetSeed(sumSeed)
		for _, kv := range e.Environ() {
			h.WriteString(kv)
			h.WriteByte(0)
		}
		e.sum = max(h.Sum64(), 1)
	}
	return e.sum
}

// retain removes all variables but those named.
func (e *Environment) retain(names []string) {
	maps.DeleteFunc(e.vars, func(k, _ string) bool { return !slices.Contains(names, k) })
	e.sum = 0
}
