package stats

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Row is one object of "show stat".
type Row struct {
	Object    byte // 'F', 'B', 'S', 'L'
	Proxy, ID int
	v         []value // by column
}

var objectNames = map[byte]string{'F': "Frontend", 'B': "Backend", 'S': "Server", 'L': "Listener"}

// Filter selects objects.
type Filter struct {
	Proxy  *stream.Proxy // nil: all
	Kinds  int           // 1 frontends, 2 backends, 4 servers, 8 listeners, or -1
	Server int           // or listener; -1: all
	NoMaint,
	Up bool // only servers that are up
	// Details also shows what only operators may see: addresses, algorithms and
	// cookies.
	Details bool
}

// Cursor walks over objects in the order of "show stat", one at a time: a place in
// the whole is a few numbers, however many there are.
type Cursor struct {
	// Object is the one that [Cursor.Next] came to.
	stream.Object
	f     Filter
	shown func(*stream.Proxy) bool
	proxy int // the next one
	kinds int // of the one before it, what is left
	// What is left of its listeners and servers.
	listeners []*stream.Listener
	servers   []*server.Server
	row       Row
}

// Walk begins with the first object. shown, if it is not nil, tells of which proxies
// there are any.
func Walk(w *stream.Worker, snap *stream.Snapshot, f Filter, shown func(*stream.Proxy) bool) *Cursor {
	c := &Cursor{f: f, shown: shown}
	c.W, c.Snap, c.Details, c.Count = w, snap, f.Details, f.Up || f.NoMaint
	return c
}

// Next goes to the next object that is selected; false: there is none.
func (c *Cursor) Next() bool {
	c.Now = c.W.Reactors[0].Sys.Wall()
	for {
		switch p := c.Proxy; {
		case c.take(1):
			c.Kind = column.Frontend
			return true
		case c.take(8):
			if p.Has(stream.SocketStats) {
				c.listeners = c.W.ListenersOf(p)
			}
		case len(c.listeners) > 0:
			counted := c.SetListener(c.listeners[0])
			if c.listeners = c.listeners[1:]; counted && c.f.numbered(c.Bind.ID) {
				return true
			}
		case c.take(4):
			c.servers = p.BE.Servers()
		case len(c.servers) > 0:
			c.SetServer(c.servers[0])
			if c.servers = c.servers[1:]; c.f.numbered(c.Server.ID) && c.f.inState(c.State) {
				return true
			}
		case c.take(2):
			c.Kind = column.Backend
			return true
		case c.proxy == len(c.Snap.Proxies):
			return false
		default:
			p := c.Snap.Proxies[c.proxy]
			c.proxy++
			c.Proxy, c.kinds = p, 0
			if p.Disabled || p.ID <= 0 || p.Frontend && p.FE.Stopped.Load() || c.f.Proxy != nil && c.f.Proxy != p || c.shown != nil && !c.shown(p) {
				continue
			}
			if p.Frontend {
				c.kinds |= c.f.Kinds & (1 | 8)
			}
			if p.Backend {
				c.kinds |= c.f.Kinds & (2 | 4)
			}
		}
	}
}

// take tells whether that kind is left of the proxy, and takes it off.
func (c *Cursor) take(kind int) bool {
	left := c.kinds&kind != 0
	c.kinds &^= kind
	return left
}

var letters = [column.Kinds]byte{column.Frontend: 'F', column.Backend: 'B', column.Server: 'S', column.Listener: 'L'}

// Row gives all columns of the object. It is good until the next one.
func (c *Cursor) Row() *Row {
	list := columns()
	r := &c.row
	if r.v == nil {
		r.v = make([]value, len(list))
	}
	r.Object, r.Proxy, r.ID = letters[c.Kind], c.Proxy.ID, stream.ObjectID(&c.Object)
	for i, col := range list {
		r.v[i] = col.Value(&c.Object)
	}
	return r
}

// numbered tells whether a server or listener of that number is selected.
func (f *Filter) numbered(id int) bool { return f.Server <= 0 || id == f.Server }

// inState tells whether a server in that state is selected.
func (f *Filter) inState(st server.State) bool {
	maint := st.Admin&server.Maint != 0
	return !(f.NoMaint && maint) && !(f.Up && (maint || !st.Up()))
}
