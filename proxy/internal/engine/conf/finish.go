package conf

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// finish resolves names, numbers what has no number, and looks at what goes
// together. It runs before the features' own steps.
func (l *Loading) finish(base *stream.Snapshot) {
	broken := l.Diags.HasErrors() // what seems to be missing may be there, with a fault
	g := l.Snap.Global
	g.Complete()
	l.number(base)
	l.binds()
	l.protocols()
	l.always(func() {
		for _, p := range l.Snap.Proxies {
			if p.Frontend {
				l.route(p)
			}
		}
	})
	for _, f := range l.todo {
		f()
	}
	l.todo = nil
	l.end(referred)
	l.always(func() {
		for _, p := range l.Snap.Proxies {
			if !p.Disabled && !broken {
				l.judge(p)
			}
		}
	})
	l.fullConn()
	l.servers()
	if r := Runtime.Of(g); r != nil {
		for i, b := range r.Binds {
			if b.ID == 0 {
				b.ID = i + 1
			}
		}
	}
}

// servers runs the features' own steps for each server.
func (l *Loading) servers() {
	for p := range l.Fresh() {
		l.serversOf(p)
	}
	for _, p := range l.private {
		l.serversOf(p)
	}
}

func (l *Loading) serversOf(p *stream.Proxy) {
	for _, s := range p.ServerLines {
		c := &Ctx{Loading: l, Pos: s.Pos, Section: p.Kind, Proxy: p}
		if err := c.finishServer(s.Name, s.Settings); err != nil {
			l.Alert(s.Pos, "%s", err)
		}
	}
}

func (c *Ctx) finishServer(name string, set *stream.ServerSettings) error {
	for _, f := range serverFinishers {
		if err := f(c, c.Proxy, name, set); err != nil {
			return say("'server %s/%s' : %w", c.Proxy.Name, name, err)
		}
	}
	return nil
}

// number gives numbers to what has none as HAProxy does: each proxy, bind and
// server takes its place in the order (proxies from 2), or the next free one.
// Proxies of the configuration before keep theirs.
func (l *Loading) number(base *stream.Snapshot) {
	for i, id := range Numbers(base, l.Snap) {
		if l.Snap.Proxies[i].ID != id {
			l.own(i).ID = id
		}
	}
	for p := range l.Fresh() {
		l.numberBinds(p)
		numberServers(p)
	}
}

// Numbers gives the numbers of a configuration's proxies in the statistics: those
// that the configuration says, those that live on keep the number they have, and
// the others take free ones.
func Numbers(old, new *stream.Snapshot) []int {
	ids := make([]int, len(new.Proxies))
	used := numberSet{low: make([]bool, 2*len(ids)+2)}
	for i, p := range new.Proxies {
		if p.ForcedID {
			ids[i] = p.ID
			used.add(p.ID)
		}
	}
	next := 2
	if old == nil {
		for i := range new.Proxies {
			if ids[i] == 0 {
				ids[i] = used.free(&next)
			}
			next++
		}
		return ids
	}
	for i, o := range Before(old, new) {
		if o == nil || ids[i] != 0 || used.has(o.ID) {
			continue
		}
		if p := new.Proxies[i]; p.Frontend && o.Frontend || !p.Frontend && o.Backend {
			ids[i] = o.ID
			used.add(o.ID)
		}
	}
	for i := range ids {
		if ids[i] == 0 {
			ids[i] = used.free(&next)
		}
	}
	return ids
}

// numberSet is a set of numbers, most of which are low.
type numberSet struct {
	low  []bool
	high map[int]bool
}

func (s *numberSet) has(n int) bool {
	if n < len(s.low) {
		return s.low[n]
	}
	return s.high[n]
}

func (s *numberSet) add(n int) {
	if n < len(s.low) {
		s.low[n] = true
		return
	}
	if s.high == nil {
		s.high = make(map[int]bool)
	}
	s.high[n] = true
}

// free takes the first number from next on that is not used.
func (s *numberSet) free(next *int) int {
	for s.has(*next) {
		*next++
	}
	s.add(*next)
	return *next
}

// Before gives for each proxy of a configuration the one of its name in the one
// before, nil if there is none.
func Before(old, new *stream.Snapshot) []*stream.Proxy {
	list := make([]*stream.Proxy, len(new.Proxies))
	if old == nil {
		return list
	}
	rest := old.Proxies // most are in the same order
	for i, p := range new.Proxies {
		if len(rest) > 0 && (rest[0] == p || rest[0].Name == p.Name) {
			list[i], rest = rest[0], rest[1:]
			continue
		}
		o := old.Frontends[p.Name]
		if o == nil {
			o = old.Backends[p.Name]
		}
		list[i] = o
		if at := slices.Index(rest[:min(len(rest), skipped)], o); at >= 0 {
			rest = rest[at+1:]
		}
	}
	return list
}

// skipped bounds how many proxies that are gone are looked over for the next one
// that stays.
const skipped = 16

// binds gives binds what they take from their frontend, and numbers those of the
// same address. Paths and descriptors cannot be shared.
func (l *Loading) binds() {
	for p := range l.Fresh() {
		for _, b := range p.Binds {
			if b.Backlog == 0 {
				b.Backlog = p.Backlog
			}
			if b.Backlog == 0 && b.MaxConn == 0 {
				b.Backlog = p.MaxConn
			}
		}
	}
	type place struct{ proxy, bind int } // proxy -1: of the Runtime socket
	same := map[string][]place{}
	at := func(x place) *stream.Bind {
		if x.proxy < 0 {
			return Runtime.Of(l.Snap.Global).Binds[x.bind]
		}
		return l.Snap.Proxies[x.proxy].Binds[x.bind]
	}
	check := func(x place) {
		b := *at(x)
		b.Twin = 0
		key := b.Key()
		twins := same[key]
		if len(twins) > 0 && (b.Addr.IsUnix() || b.FD >= 0) {
			l.Alert(b.Pos, "'bind' : address [%s] is used already at %s.", b.Addr, at(twins[0]).Pos)
			return
		}
		same[key] = append(twins, x)
	}
	for i, p := range l.Snap.Proxies {
		for j := range p.Binds {
			if !p.Disabled {
				check(place{i, j})
			}
		}
	}
	if r := Runtime.Of(l.Snap.Global); r != nil {
		for j := range r.Binds {
			check(place{-1, j})
		}
	}
	for _, twins := range same {
		for n, x := range twins {
			b := at(x)
			if b.Twin == n && b.Twins == len(twins) {
				continue
			}
			if x.proxy >= 0 {
				b = l.own(x.proxy).Binds[x.bind]
			}
			b.Twin, b.Twins = n, len(twins)
		}
	}
}

func nextFree(used map[int]bool, next *int) int {
	for used[*next] {
		*next++
	}
	used[*next] = true
	return *next
}

func (l *Loading) numberBinds(p *stream.Proxy) {
	used, first := map[int]bool{}, map[int]*stream.Bind{}
	for _, b := range p.Binds {
		if o := first[b.ID]; o != nil && b.ID != 0 {
			l.Alert(b.Pos, "'bind %s' in section '%s' : 'id' : custom id %d already used at %s ('bind %s')", b.Addr, p.Kind, b.ID, o.Pos, o.Addr)
		}
		used[b.ID], first[b.ID] = b.ID != 0, b
	}
	next := 1
	for _, b := range p.Binds {
		if b.ID == 0 {
			b.ID = nextFree(used, &next)
		}
		next++
	}
}

// numberServers sets the number that a server gets when it is new. A server
// that is live already keeps the number it has.
func numberServers(p *stream.Proxy) {
	used := map[int]bool{}
	for _, s := range p.ServerLines {
		used[s.Settings.ID] = s.Settings.ID != 0
	}
	next := 1
	for _, s := range p.ServerLines {
		s.ID = s.Settings.ID
		if s.ID == 0 {
			s.ID = nextFree(used, &next)
		}
		next++
	}
}

// route looks whether there is what a frontend sends its traffic to. Streams find
// it by its name.
func (l *Loading) route(p *stream.Proxy) {
	if p.DefaultName != "" && l.backend(p, p.DefaultName, "default_backend", "as its default backend") && len(p.ServerLines) > 0 {
		l.Diags.Warn(p.Pos, "In proxy '%s', the 'default_backend' rule always has precedence over the servers, which will never be used.", p.Name)
	}
	for i := range p.Switching {
		if r := &p.Switching[i]; r.Find == nil {
			l.backend(p, r.Target, "use_backend", "in a 'use_backend' rule")
		}
	}
}

// backend tells whether there is a backend of a name, and reports what is wrong
// with it.
func (l *Loading) backend(p *stream.Proxy, name, rule, as string) bool {
	b := l.Snap.Backends[name]
	switch {
	case b == p:
		l.Alert(p.Pos, "Proxy '%s': loop detected for %s: '%s'.", p.Name, rule, name)
		return false
	case b == nil:
		l.Alert(p.Pos, "Proxy '%s': unable to find required %s: '%s'.", p.Name, rule, name)
	case b.Mode == p.Mode:
	case p.Mode == stream.TCP:
		l.Alert(p.Pos, "tcp %s '%s' uses http %s '%s' %s: turning a connection into HTTP on the way is not supported by Forebay yet.",
			kindOf(p), p.Name, kindOf(b), b.Name, as)
	default:
		l.Alert(p.Pos, "%s %s '%s' (%s) tries to use incompatible %s %s '%s' (%s) %s (see 'mode').",
			p.Mode, kindOf(p), p.Name, p.Pos, b.Mode, kindOf(b), b.Name, b.Pos, as)
	}
	return b != nil
}

// judge warns of what can hardly be meant.
func (l *Loading) judge(p *stream.Proxy) {
	warn := func(format string, args ...any) { l.Diags.Warn(p.Pos, format, args...) }
	kind := kindOf(p)
	if p.Frontend && len(p.Binds) == 0 {
		warn("%s '%s' has no 'bind' directive. Please declare it as a backend if this was intended.", kind, p.Name)
	}
	t := &p.Timeouts
	servers := p.Backend && len(p.ServerLines) > 0
	if p.Frontend && t.Client == 0 || servers && (t.Connect == 0 || t.Server == 0 && (p.Mode == stream.HTTP || t.Tunnel == 0)) {
		warn("missing timeouts for %s '%s'.\n"+
			"   | While not properly invalid, you will certainly encounter various problems\n"+
			"   | with such a configuration. To fix this, please ensure that all following\n"+
			"   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.", kind, p.Name)
	}
	if p.Mode == stream.HTTP {
		return
	}
	if p.Frontend && len(p.MonitorURI) > 0 {
		warn("monitor-uri will be ignored for %s '%s' (needs 'mode http').", kind, p.Name)
	}
	if p.Backend && p.Balance.HTTP {
		warn("Layer 7 hash not possible for %s '%s' (needs 'mode http'). Falling back to round robin.", kind, p.Name)
		// It stays one that needs HTTP, so that the next configuration says so again.
		p.Balance = stream.Balance{Algorithm: "roundrobin", Config: p.Balance.Config, HTTP: true}
	}
	if p.ForwardFor != nil {
		warn("'option %s' ignored for %s '%s' as it requires HTTP mode.", "forwardfor", kind, p.Name)
	}
	for _, r := range ruleSetsOf(p) {
		if r.HTTP {
			warn("'%s' rules ignored for %s '%s' as they require HTTP mode.", r.Name, kind, p.Name)
		}
	}
}

// fullConnSaid is what the configuration says of Proxy.FullConn.
var fullConnSaid = slot.New[*stream.Proxy, int]()

// fullConn gives backends their default: a tenth of what the frontends that can
// reach them may have (manual 4.2, "fullconn").
func (l *Loading) fullConn() {
	s := l.Snap
	reach := map[*stream.Proxy]int{}
	all := map[stream.Mode]int{} // of frontends that can reach any backend of a mode
	for _, p := range s.Proxies {
		if !p.Frontend {
			continue
		}
		limit := p.MaxConn
		if limit == 0 {
			limit = s.Global.MaxConn
		}
		to := map[*stream.Proxy]bool{s.Backends[p.DefaultName]: true, p: p.Backend}
		any := false
		for _, r := range p.Switching {
			if r.Find != nil { // any backend of its mode
				any = true
			} else {
				to[s.Backends[r.Target]] = true
			}
		}
		if any {
			all[p.Mode] += limit
		}
		for b, yes := range to {
			if b != nil && yes && !(any && b.Backend && b.Mode == p.Mode) {
				reach[b] += limit
			}
		}
	}
	for i, p := range s.Proxies {
		if !p.Backend {
			continue
		}
		n := max((reach[p]+all[p.Mode]+9)/10, 1)
		if said := fullConnSaid.Of(p); said != nil && *said > 0 {
			n = *said
		}
		if p.FullConn != n {
			l.own(i).FullConn = n
		}
	}
}
