package stream

import (
	"slices"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Object is a frontend, a backend, a server or a listener that is looked at.
type Object struct {
	Kind  column.Kind
	W     *Worker
	Snap  *Snapshot
	Now   time.Time
	Proxy *Proxy
	// Server, Settings and State are those of a server.
	Server   *server.Server
	Settings *server.Settings
	State    server.State
	// Listener, Bind and Listen are those of a listener.
	Listener *Listener
	Bind     *Bind
	Listen   *ListenStats
	// Details also shows what only operators may see.
	Details bool
	// Count adds to a backend's status how many of its servers are up.
	Count bool
}

// SetServer makes o the server s.
func (o *Object) SetServer(s *server.Server) {
	o.Kind, o.Server, o.Settings, o.State = column.Server, s, s.Settings(), s.State()
}

// SetListener makes o the listener l, and tells whether it is counted by itself
// ("option socket-stats").
func (o *Object) SetListener(l *Listener) bool {
	o.Kind, o.Listener, o.Bind, o.Listen = column.Listener, l, l.Bind.Load(), l.Stats.Load()
	return o.Listen != nil
}

// ColumnFunc gives the value of an object, none where the column does not apply to
// it.
type ColumnFunc func(o *Object) column.Value

// Column is one thing that is shown of objects: a column of "show stat", a metric of
// an exporter. Whoever counts something registers its column; who shows columns finds
// them by name, and says in which order they stand.
type Column struct {
	// Name is the name in "show stat", Desc what the value is, in a few words.
	Name, Desc string
	// Module is the feature whose own the column is ("ssl"): it then stands behind
	// those that every object has.
	Module string
	// Of are the functions by kind, nil where it does not apply.
	Of [column.Kinds]ColumnFunc
	// Clear begins to count anew for a proxy, nil if that needs nothing: what the
	// engine's counters have is cleared with them.
	Clear func(p *Proxy)
}

// Value gives an object's value.
func (c *Column) Value(o *Object) column.Value {
	if f := c.Of[o.Kind]; f != nil {
		return f(o)
	}
	return column.Value{}
}

var (
	columns       = make(map[string]*Column)
	moduleColumns []*Column
)

// RegisterColumn adds columns, from init functions.
func RegisterColumn(list ...Column) {
	for i := range list {
		c := &list[i]
		if columns[c.Name] != nil {
			panic("stream: column " + c.Name + " is registered twice")
		}
		columns[c.Name] = c
		if c.Module != "" {
			moduleColumns = append(moduleColumns, c)
		}
	}
}

// FindColumn gives a column by its name; nil if nobody has registered it.
func FindColumn(name string) *Column { return columns[name] }

// moduleOrder is the order of modules in "show stat" and of their metrics, as in
// HAProxy 3.4; others follow.
var moduleOrder = []string{"ssl", "h3", "qpack", "quic", "h2", "h1"}

// ModuleColumns are the columns of single features: by module, and in the order in
// which they were registered.
func ModuleColumns() []*Column {
	place := func(c *Column) int {
		if i := slices.Index(moduleOrder, c.Module); i >= 0 {
			return i
		}
		return len(moduleOrder)
	}
	return slices.SortedStableFunc(slices.Values(moduleColumns), func(a, b *Column) int { return place(a) - place(b) })
}

func newColumn(name, desc string, of [column.Kinds]ColumnFunc) Column {
	return Column{Name: name, Desc: desc, Of: of}
}

// Sums of what all reactors counted.

func inFront(f func(*FrontCounters) *counter.Int) ColumnFunc {
	return func(o *Object) column.Value { return column.Total(o.Proxy.FE.Counters.Sum(f)) }
}

func inBack(f func(*BackCounters) *counter.Int) ColumnFunc {
	return func(o *Object) column.Value { return column.Total(o.Proxy.BE.Counters.Sum(f)) }
}

func inServer(f func(*server.Counters) *counter.Int) ColumnFunc {
	return func(o *Object) column.Value { return column.Total(o.Server.Counters.Sum(f)) }
}

func inListener(f func(*ListenCounters) *counter.Int) ColumnFunc {
	return func(o *Object) column.Value { return column.Total(o.Listen.Counters.Sum(f)) }
}

// traffic gives one of the four counters of bytes that every object has.
func traffic(f func(*counter.Traffic) *counter.Int) [column.Kinds]ColumnFunc {
	return of(inFront(func(c *FrontCounters) *counter.Int { return f(&c.Traffic) }), inBack(func(c *BackCounters) *counter.Int { return f(&c.Traffic) }),
		inServer(func(c *server.Counters) *counter.Int { return f(&c.Traffic) }), inListener(func(c *ListenCounters) *counter.Int { return f(&c.Traffic) }))
}

// inHTTP leaves the value out of proxies of mode tcp.
func inHTTP(f ColumnFunc) ColumnFunc {
	return func(o *Object) column.Value {
		if o.Proxy.Mode != HTTP {
			return column.Value{}
		}
		return f(o)
	}
}

// byMode is of proxies of mode http, or of mode tcp.
func byMode(http, tcp ColumnFunc) ColumnFunc {
	return func(o *Object) column.Value {
		if o.Proxy.Mode == HTTP {
			return http(o)
		}
		return tcp(o)
	}
}

func zeroes(*Object) column.Value { return column.Total(0) }

func fixed(v column.Value) ColumnFunc { return func(*Object) column.Value { return v } }

// all is the same for all kinds.
func all(f ColumnFunc) [column.Kinds]ColumnFunc {
	return [column.Kinds]ColumnFunc{f, f, f, f}
}

// of gives the functions of a frontend, a backend, a server and a listener.
func of(frontend, backend, server, listener ColumnFunc) [column.Kinds]ColumnFunc {
	return [column.Kinds]ColumnFunc{frontend, backend, server, listener}
}

// detail leaves the value out for those who may not see it.
func detail(f ColumnFunc) ColumnFunc {
	return func(o *Object) column.Value {
		if !o.Details {
			return column.Value{}
		}
		return f(o)
	}
}

var infos = make(map[string]func(*Worker) column.Value)

// RegisterInfo adds the value of a field of "show info", from init functions: who
// shows the fields knows their names and their order.
func RegisterInfo(name string, of func(*Worker) column.Value) {
	if infos[name] != nil {
		panic("stream: field " + name + " is registered twice")
	}
	infos[name] = of
}

// Info gives the value of a field that somebody registered, none if nobody did.
func Info(w *Worker, name string) column.Value {
	if of := infos[name]; of != nil {
		return of(w)
	}
	return column.Value{}
}

// ClearColumns begins to count anew what columns have of a proxy beside the engine's
// counters.
func ClearColumns(p *Proxy) {
	for _, c := range columns {
		if c.Clear != nil {
			c.Clear(p)
		}
	}
}
