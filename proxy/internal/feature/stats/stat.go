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

// Rows gives the objects of a proxy, in the order of "show stat".
func Rows(w *stream.Worker, snap *stream.Snapshot, p *stream.Proxy, f Filter) []Row {
	gone := p.Disabled || p.ID <= 0 || p.Frontend && p.FE.Stopped.Load()
	if gone || f.Proxy != nil && f.Proxy != p {
		return nil
	}
	var rows []Row
	o := object{W: w, Snap: snap, Now: w.Reactors[0].Sys.Wall(), Proxy: p, Details: f.Details, Count: f.Up || f.NoMaint}
	if p.Frontend && f.Kinds&1 != 0 {
		o.Kind = column.Frontend
		rows = append(rows, row('F', &o))
	}
	if p.Frontend && f.Kinds&8 != 0 && p.Has(stream.SocketStats) {
		rows = appendListeners(rows, &o, &f)
	}
	if p.Backend && f.Kinds&4 != 0 {
		rows = appendServers(rows, &o, &f)
	}
	if p.Backend && f.Kinds&2 != 0 {
		o.Kind = column.Backend
		rows = append(rows, row('B', &o))
	}
	return rows
}

func appendListeners(rows []Row, o *object, f *Filter) []Row {
	for _, l := range o.W.ListenersOf(o.Proxy) {
		if o.SetListener(l) && f.numbered(o.Bind.ID) {
			rows = append(rows, row('L', o))
		}
	}
	return rows
}

func appendServers(rows []Row, o *object, f *Filter) []Row {
	for _, s := range o.Proxy.BE.Servers() {
		if o.SetServer(s); f.numbered(s.ID) && f.inState(o.State) {
			rows = append(rows, row('S', o))
		}
	}
	return rows
}

// numbered tells whether a server or listener of that number is selected.
func (f *Filter) numbered(id int) bool { return f.Server <= 0 || id == f.Server }

// inState tells whether a server in that state is selected.
func (f *Filter) inState(st server.State) bool {
	maint := st.Admin&server.Maint != 0
	return !(f.NoMaint && maint) && !(f.Up && (maint || !st.Up()))
}

func row(letter byte, o *object) Row {
	list := columns()
	r := Row{Object: letter, Proxy: o.Proxy.ID, ID: stream.ObjectID(o), v: make([]value, len(list))}
	for i, c := range list {
		r.v[i] = c.Value(o)
	}
	return r
}
