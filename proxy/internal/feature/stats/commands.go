package stats

import (
	"reflect"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	runtimeapi.Register(
		runtimeapi.Command{Words: "show info", Level: runtimeapi.User, Usage: "[desc|json|typed|float]*", Help: "report information about the running process", Run: showInfo},
		runtimeapi.Command{Words: "show stat", Level: runtimeapi.User, Usage: "[desc|json|no-maint|typed|up]*", Help: "report counters for each proxy and server", Run: showStat},
		runtimeapi.Command{Words: "show version", Level: runtimeapi.User, Help: "show version of the current process", Run: func(c *runtimeapi.Conn, _ []string) error {
			return c.Printf("%s\n", Version)
		}},
		runtimeapi.Command{Words: "clear counters", Level: runtimeapi.Operator, Usage: "[all]", Help: "clear max statistics counters (or all counters)", Run: clearCounters},
	)
}

func showInfo(c *runtimeapi.Conn, args []string) error {
	how, desc, float := CSV, false, false
	for _, a := range args {
		switch a {
		case "typed":
			how = Typed
		case "json":
			how = JSON
		case "desc":
			desc = true
		case "float":
			float = true
		}
	}
	return writeInfo(c, infoValues(c.Worker, float), how, desc)
}

func showStat(c *runtimeapi.Conn, args []string) error {
	if len(args) > 0 && args[0] == "domain" {
		if len(args) < 2 || args[1] != "proxy" && args[1] != "resolvers" {
			return runtimeapi.Errorf("Invalid statistics domain.\n")
		}
		if args[1] == "resolvers" {
			return c.Printf("# id,pid,sent,send_error,valid,update,cname,cname_error,any_err,nx,timeout,refused,other,invalid,too_big,outdated,\n")
		}
		args = args[2:]
	}
	snap := c.Worker.Snapshot()
	f := Filter{Kinds: -1, Server: -1, Details: c.Level >= runtimeapi.Operator}
	var w Writer
	if err := w.read(&f, snap, args); err != nil {
		return err
	}
	b := w.Begin(nil)
	for rows := Walk(c.Worker, snap, f, nil); rows.Next(); b = w.Row(b[:0], rows.Row()) {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	c.Write(b)
	_, err := c.Write(w.End(nil))
	return err
}

// read reads what is selected, and the form.
func (w *Writer) read(f *Filter, snap *stream.Snapshot, args []string) error {
	if len(args) >= 3 && selects(args) {
		if n, err := strconv.Atoi(args[0]); err != nil || n > 0 {
			if f.Proxy = findProxy(snap, args[0]); f.Proxy == nil {
				return runtimeapi.Errorf("No such proxy.\n")
			}
		}
		f.Kinds, f.Server = number(args[1]), number(args[2])
		args = args[3:]
	}
	for _, a := range args {
		switch a {
		case "typed":
			w.How = Typed
		case "json":
			w.How = JSON
		case "desc":
			w.Desc = true
		case "no-maint":
			f.NoMaint = true
		case "up":
			f.Up = true
		}
	}
	return nil
}

// selects tells whether args begin with a proxy, kinds and a server, not with
// words that choose the format.
func selects(args []string) bool {
	_, err1 := strconv.Atoi(args[1])
	_, err2 := strconv.Atoi(args[2])
	return err1 == nil && err2 == nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func findProxy(snap *stream.Snapshot, name string) *stream.Proxy {
	if p := snap.Backends[name]; p != nil {
		return p
	}
	if p := snap.Frontends[name]; p != nil {
		return p
	}
	if n, err := strconv.Atoi(name); err == nil {
		for _, p := range snap.Proxies {
			if p.ID == n {
				return p
			}
		}
	}
	return nil
}

// clearCounters resets the highest values, and with "all" everything that only
// counts. That takes an administrator.
func clearCounters(c *runtimeapi.Conn, args []string) error {
	all := len(args) > 0 && args[0] == "all"
	if all && c.Level < runtimeapi.Admin {
		return runtimeapi.Errorf("Permission denied\n")
	}
	w := c.Worker
	snap := w.Snapshot()
	for _, p := range snap.Proxies {
		clearHighest(w, p)
	}
	w.ConnRate.Peak.Store(0)
	w.SessRate.Peak.Store(0)
	s := samplers.In(w)
	for _, r := range []*counter.Rate{&s.tls, &s.frontKeys, &s.backKeys} {
		r.Peak.Store(0)
	}
	w.Each(c.R, func(r *reactor.Reactor) {
		for _, p := range snap.Proxies {
			if p.BE != nil {
				clearLongest(p.BE, r.Index)
			}
		}
	})
	if !all {
		return nil
	}
	// Only its reactor may write to a counter.
	w.Each(c.R, func(r *reactor.Reactor) {
		for _, p := range snap.Proxies {
			if p.FE != nil {
				zero(&p.FE.Counters[r.Index])
				for _, l := range w.ListenersOf(p) {
					if k := l.Stats.Load(); k != nil {
						zero(&k.Counters[r.Index])
					}
				}
			}
			if p.BE != nil {
				zero(&p.BE.Counters[r.Index])
				for _, s := range p.BE.Servers() {
					zero(&s.Counters[r.Index])
				}
			}
		}
	})
	for _, p := range snap.Proxies {
		stream.ClearColumns(p)
		if p.BE == nil {
			continue
		}
		p.BE.Downs.Store(0)
		forget(p.BE)
		for _, s := range p.BE.Servers() {
			s.Update(c.R.Wall(), "", func(st *server.State) { st.CheckFails, st.Downs = 0, 0 })
		}
	}
	return nil
}

// clearLongest resets the longest times that a reactor has seen.
func clearLongest(b *stream.BackState, i int) {
	reset := func(list ...*counter.Int) {
		for _, c := range list {
			c.Store(0)
		}
	}
	k := &b.Counters[i]
	reset(&k.MaxQueue, &k.MaxConnect, &k.MaxResp, &k.MaxTotal)
	for _, s := range b.Servers() {
		k := &s.Counters[i]
		reset(&k.MaxQueue, &k.MaxConnect, &k.MaxResp, &k.MaxTotal)
	}
}

func clearHighest(w *stream.Worker, p *stream.Proxy) {
	if f := p.FE; f != nil {
		for _, l := range w.ListenersOf(p) {
			if k := l.Stats.Load(); k != nil {
				k.Max.Store(l.Cur.Load())
			}
		}
		f.Max.Store(f.Cur.Load())
		clearRates(&f.ConnRate, &f.SessRate, &f.ReqRate)
	}
	if b := p.BE; b != nil {
		b.Max.Store(b.Cur.Load())
		b.Queue.Max.Store(b.Queue.Len.Load())
		clearRates(&b.SessRate)
		for _, s := range b.Servers() {
			s.MaxCur.Store(s.Cur.Load())
			s.MaxQueued.Store(s.Queued.Load())
			clearRates(&s.SessRate)
		}
	}
}

func clearRates(rates ...*counter.Rate) {
	for _, r := range rates {
		r.Peak.Store(0)
	}
}

// zero resets every counter of a struct of counters.
func zero(counters any) {
	v := reflect.ValueOf(counters).Elem()
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		switch f := v.Field(i).Addr().Interface().(type) {
		case *counter.Int:
			f.Store(0)
		case *[6]counter.Int:
			for j := range f {
				f[j].Store(0)
			}
		case interface{ Clear() }:
			f.Clear()
		case *counter.TLS, *counter.Traffic:
			zero(f)
		}
	}
}
