package promex

import (
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/stats"
)

// piece is how much is made at a time, in bytes: more is not kept, whatever the
// number of servers and however slow the client.
const piece = 8 << 10

// scrape is one answer. It is a [stream.Source] that makes a piece when the
// client has taken the one before: metric by metric, and for each of them object
// by object, so that a place in the whole is a few numbers. Between two pieces
// others get their turn.
type scrape struct {
	r    *reactor.Reactor
	w    *stream.Worker
	snap *stream.Snapshot
	opt  options

	// families are what is to come.
	families []family
	// Of the first of them: the next proxy, and the rest of the servers or listeners of
	// the proxy before that.
	proxy     int
	servers   []*server.Server
	listeners []*stream.Listener

	// prefix and metric are the name of the metric whose head was made last.
	prefix, metric string

	obj  stream.Object
	info []stats.InfoValue
	buf  []byte
	out  []byte // what of buf was not asked for yet
	turn bool   // a piece was given: it is the others' turn
}

// family is a metric of one kind of object.
type family struct {
	prefix string // "haproxy_server_"
	kind   column.Kind
	metric *metric // nil: the field of the process
	field  int
	col    *stream.Column
	module string
}

var prefixes = [column.Kinds]string{column.Frontend: "haproxy_frontend_", column.Backend: "haproxy_backend_", column.Server: "haproxy_server_", column.Listener: "haproxy_listener_"}

// ofKinds are the kinds in the order in which they are shown.
var ofKinds = []struct {
	scope  scope
	kind   column.Kind
	letter string
}{
	{frontends, column.Frontend, "f"}, {listeners, column.Listener, "l"}, {backends, column.Backend, "b"}, {ofServers, column.Server, "s"},
}

func newScrape(r *reactor.Reactor, w *stream.Worker, snap *stream.Snapshot, opt options) *scrape {
	s := &scrape{r: r, w: w, snap: snap, opt: opt, buf: make([]byte, 0, piece+piece/4), obj: stream.Object{W: w, Snap: snap}}
	if opt.scope&global != 0 {
		s.info = stats.Info(w)
		for i := range process {
			if opt.shows("haproxy_process_" + process[i].name) {
				s.families = append(s.families, family{prefix: "haproxy_process_", field: i})
			}
		}
	}
	for _, k := range ofKinds {
		if opt.scope&k.scope == 0 {
			continue
		}
		for i := range objects {
			m := &objects[i]
			if col := stream.FindColumn(m.column); col != nil && strings.Contains(m.kinds, k.letter) && opt.shows(prefixes[k.kind]+m.name) {
				s.families = append(s.families, family{prefix: prefixes[k.kind], kind: k.kind, metric: m, col: col})
			}
		}
		for _, col := range stream.ModuleColumns() {
			if opt.extra && col.Of[k.kind] != nil && opt.shows(prefixes[k.kind]+col.Name) {
				s.families = append(s.families, family{prefix: prefixes[k.kind], kind: k.kind, metric: &metric{name: col.Name, counter: true, how: ifThere}, col: col, module: col.Module})
			}
		}
	}
	return s
}

// Next is of [stream.Source].
func (s *scrape) Next(most int) (p []byte, last bool, err error) {
	if len(s.out) == 0 {
		if s.turn {
			return nil, false, nil
		}
		s.buf = s.buf[:0]
		s.obj.Now = s.r.Wall()
		for len(s.families) > 0 && len(s.buf) < piece {
			s.step()
		}
		s.out, s.turn = s.buf, true
	}
	p = s.out[:min(most, len(s.out))]
	s.out = s.out[len(p):]
	return p, len(s.out) == 0 && len(s.families) == 0, nil
}

// Wait is of [stream.Source].
func (s *scrape) Wait() error {
	s.turn = false
	return s.r.Yield()
}

// Ready is of [stream.Source].
func (s *scrape) Ready() bool { return true }

// Trailers is of [stream.Source].
func (s *scrape) Trailers() []message.Field { return nil }

// step adds the samples of one object, or goes on to the next proxy or family.
func (s *scrape) step() {
	f := &s.families[0]
	if f.metric == nil {
		s.field(&process[f.field])
		s.families = s.families[1:]
		return
	}
	o := &s.obj
	switch {
	case len(s.servers) > 0:
		o.SetServer(s.servers[0])
		s.servers = s.servers[1:]
		if !s.opt.noMaint || o.State.Admin&server.Maint == 0 {
			s.object(f)
		}
	case len(s.listeners) > 0:
		counted := o.SetListener(s.listeners[0])
		if s.listeners = s.listeners[1:]; counted {
			s.object(f)
		}
	case s.proxy < len(s.snap.Proxies):
		s.proxy++
		s.inProxy(f, s.snap.Proxies[s.proxy-1])
	default:
		s.families, s.proxy = s.families[1:], 0
	}
}

// inProxy adds the sample of a proxy, or begins with its servers or listeners.
func (s *scrape) inProxy(f *family, p *stream.Proxy) {
	if p.Disabled || p.ID <= 0 || f.metric.how&inHTTP != 0 && p.Mode != stream.HTTP {
		return
	}
	s.obj.Proxy, s.obj.Kind = p, f.kind
	front, back := p.Frontend && !p.FE.Stopped.Load(), p.Backend
	switch {
	case f.kind == column.Frontend && front, f.kind == column.Backend && back:
		s.object(f)
	case f.kind == column.Server && back:
		s.servers = p.BE.Servers()
	case f.kind == column.Listener && front && p.Has(stream.SocketStats):
		s.listeners = s.w.ListenersOf(p)
	}
}

// field adds the sample of a field of the process.
func (s *scrape) field(m *processMetric) {
	i := slices.IndexFunc(s.info, func(v stats.InfoValue) bool { return v.Name == m.field })
	if i < 0 || s.info[i].IsNone() && m.label != "" {
		return
	}
	s.head("haproxy_process_", m.name, m.counter, s.info[i].Desc)
	s.name("haproxy_process_", m.name)
	desc := conf.Names.Value(s.snap.Global).Description
	if s.opt.desc && desc != "" && m.label != "desc" {
		s.label("desc", desc)
	}
	if m.label != "" {
		s.label(m.label, s.info[i].Text())
		s.number(1)
		return
	}
	s.value(s.info[i].Value)
}

// object adds the samples of an object.
func (s *scrape) object(f *family) {
	m, o := f.metric, &s.obj
	if m.how&servers != 0 {
		s.ofServers(f)
		return
	}
	v := f.col.Value(o)
	if v.IsNone() && m.how&ifThere != 0 {
		return
	}
	if m.name == "check_code" && v.IsNone() {
		// None yet, if there are checks.
		if c := stream.FindColumn("check_status"); c == nil || c.Value(o).IsNone() {
			return
		}
		v = column.Gauge(0)
	}
	if m.how&state != 0 {
		list := statesOf(m, o)
		now := stateOf(m, o, v)
		for _, name := range list {
			s.sample(f, "state", name)
			s.number(btoi(name == now))
		}
		return
	}
	if m.code != "" {
		s.sample(f, "code", m.code)
	} else {
		s.sample(f, "", "")
	}
	if m.how&seconds != 0 && !v.IsNone() {
		s.end()
		s.buf = strconv.AppendFloat(s.buf, v.Number()/1000, 'f', 6, 64)
		s.buf = append(s.buf, '\n')
		return
	}
	s.value(v)
}

// ofServers adds how many of a backend's servers are in which state.
func (s *scrape) ofServers(f *family) {
	list := s.obj.Proxy.BE.Servers()
	if len(list) == 0 {
		return
	}
	count := make(map[string]int64)
	for _, srv := range list {
		st := srv.State()
		if f.metric.name != "agg_check_status" {
			count[serverState(st)]++
		} else if srv.Settings().Check.Enabled && !st.CheckPaused {
			count[st.CheckStatus]++
		}
	}
	names := serverStates
	if f.metric.name == "agg_check_status" {
		names = checkStates()
	}
	for _, name := range names {
		s.sample(f, "state", name)
		s.number(count[name])
	}
}

// sample begins a sample of the object: its name and labels, with one more.
func (s *scrape) sample(f *family, label, text string) {
	m, o := f.metric, &s.obj
	s.head(f.prefix, m.name, m.counter, f.col.Desc)
	s.name(f.prefix, m.name)
	s.label("proxy", o.Proxy.Name)
	if s.opt.desc && o.Proxy.Descr != "" {
		s.label("desc", o.Proxy.Descr)
	}
	switch f.kind {
	case column.Server:
		s.label("server", o.Server.Name)
	case column.Listener:
		s.label("listener", o.Bind.ListenerName())
	}
	if f.module != "" {
		s.label("mod", f.module)
	}
	if label != "" {
		s.label(label, text)
	}
}

// head adds the lines before the first sample of a metric.
func (s *scrape) head(prefix, name string, counter bool, desc string) {
	if s.prefix == prefix && s.metric == name {
		return
	}
	s.prefix, s.metric = prefix, name
	s.buf = append(s.buf, "# HELP "...)
	s.name(prefix, name)
	s.buf = append(append(append(s.buf, ' '), desc...), "\n# TYPE "...)
	s.name(prefix, name)
	if counter {
		s.buf = append(s.buf, " counter\n"...)
	} else {
		s.buf = append(s.buf, " gauge\n"...)
	}
}

func (s *scrape) name(prefix, name string) { s.buf = append(append(s.buf, prefix...), name...) }

// label adds a label behind the name, or behind another one.
func (s *scrape) label(name, text string) {
	b := s.buf
	if b[len(b)-1] == '"' {
		b = append(b, ',')
	} else {
		b = append(b, '{')
	}
	b = append(append(b, name...), '=', '"')
	for i := range len(text) {
		switch c := text[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, c)
		}
	}
	s.buf = append(b, '"')
}

// end ends the labels.
func (s *scrape) end() {
	if s.buf[len(s.buf)-1] == '"' {
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, ' ')
}

func (s *scrape) number(n int64) {
	s.end()
	s.buf = strconv.AppendInt(s.buf, n, 10)
	s.buf = append(s.buf, '\n')
}

func (s *scrape) value(v column.Value) {
	s.end()
	if v.IsNone() || v.IsText() {
		s.buf = append(s.buf, "NaN"...)
	} else {
		s.buf = v.AppendText(s.buf)
	}
	s.buf = append(s.buf, '\n')
}

func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

var (
	proxyStates    = []string{"DOWN", "UP"}
	listenerStates = []string{"WAITING", "OPEN", "FULL"}
	serverStates   = []string{"DOWN", "UP", "MAINT", "DRAIN", "NOLB"}
)

// checkStates are what checks can end with.
func checkStates() (list []string) {
	for _, k := range server.CheckStatuses() {
		if k.Number >= 4 {
			list = append(list, k.Name)
		}
	}
	return list
}

// statesOf are the states that an object can be in.
func statesOf(m *metric, o *stream.Object) []string {
	switch {
	case m.name == "check_status":
		return checkStates()
	case o.Kind == column.Server:
		return serverStates
	case o.Kind == column.Listener:
		return listenerStates
	}
	return proxyStates
}

// stateOf is the state that it is in; v is the column.
func stateOf(m *metric, o *stream.Object, v column.Value) string {
	switch {
	case m.name == "check_status" || o.Kind == column.Listener:
		return v.Text()
	case o.Kind == column.Server:
		return serverState(o.State)
	case v.Text() == "OPEN" || strings.HasPrefix(v.Text(), "UP"):
		return "UP"
	}
	return "DOWN"
}

func serverState(st server.State) string {
	switch {
	case st.Admin&server.Maint != 0:
		return "MAINT"
	case st.Op == server.Stopping:
		return "NOLB"
	case st.Op == server.Stopped:
		return "DOWN"
	case st.Admin&server.Drain != 0:
		return "DRAIN"
	}
	return "UP"
}
