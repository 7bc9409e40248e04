// Package column is the registry of what is shown of frontends, backends, servers
// and listeners: the columns of "show stat" and the metrics of an exporter. Whoever
// counts something registers its column; who shows columns finds them by name, and
// says in which order they stand.
package column

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Kind is a kind of object.
type Kind uint8

// Kinds, in the order of their numbers in "show stat" (its column "type").
const (
	Frontend Kind = iota
	Backend
	Server
	Listener
	Kinds = iota
)

// Object is a frontend, a backend, a server or a listener that is looked at.
type Object struct {
	Kind  Kind
	W     *stream.Worker
	Snap  *stream.Snapshot
	Now   time.Time
	Proxy *stream.Proxy
	// Server, Settings and State are those of a server.
	Server   *server.Server
	Settings *server.Settings
	State    server.State
	// Listener, Bind and Listen are those of a listener.
	Listener *stream.Listener
	Bind     *stream.Bind
	Listen   *stream.ListenStats
	// Details also shows what only operators may see.
	Details bool
	// Count adds to a backend's status how many of its servers are up.
	Count bool
}

// SetServer makes o the server s.
func (o *Object) SetServer(s *server.Server) {
	o.Kind, o.Server, o.Settings, o.State = Server, s, s.Settings(), s.State()
}

// SetListener makes o the listener l, and tells whether it is counted by itself
// ("option socket-stats").
func (o *Object) SetListener(l *stream.Listener) bool {
	o.Kind, o.Listener, o.Bind, o.Listen = Listener, l, l.Bind.Load(), l.Stats.Load()
	return o.Listen != nil
}

// Func gives the value of an object, none where the column does not apply to it.
type Func func(o *Object) Value

// Column is one thing that is shown of objects.
type Column struct {
	// Name is the name in "show stat", Desc what the value is, in a few words.
	Name, Desc string
	// Module is the feature whose own the column is ("ssl"): it then stands behind
	// those that every object has.
	Module string
	// Of are the functions by kind, nil where it does not apply.
	Of [Kinds]Func
}

// Value gives an object's value.
func (c *Column) Value(o *Object) Value {
	if f := c.Of[o.Kind]; f != nil {
		return f(o)
	}
	return Value{}
}

var (
	byName  = make(map[string]*Column)
	modules []*Column
)

// Register adds columns, from init functions.
func Register(list ...Column) {
	for i := range list {
		c := &list[i]
		if byName[c.Name] != nil {
			panic("column " + c.Name + " is registered twice")
		}
		byName[c.Name] = c
		if c.Module != "" {
			modules = append(modules, c)
		}
	}
}

// Find gives a column by its name; nil if nobody has registered it.
func Find(name string) *Column { return byName[name] }

// OfModules are the columns of single features, in the order in which they were
// registered.
func OfModules() []*Column { return modules }
