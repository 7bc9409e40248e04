package conf

import (
	"crypto/sha256"
	"io/fs"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Input is what a configuration is loaded from.
type Input struct {
	// Sources are the files in their order, as read by config.ReadSources.
	Sources []*config.File
	// Files is where files that the configuration names are read from, by the
	// name as written. It may accept absolute names.
	Files fs.FS
	// Options are for the language's conditions and variables.
	Options config.Options
	// Threads is the number of reactors that there are; 0: what "nbthread" says.
	Threads int
	// MaxConn is the command line's -n, which wins over "maxconn"; 0: not given.
	MaxConn int
	// ProxyMaxConn is the command line's -N: the maxconn of frontends that say
	// nothing about it; 0: not given.
	ProxyMaxConn int
	// Memory is the command line's -m in MiB, 0 without: it bounds a maxconn that
	// nobody set.
	Memory int
	// Descriptors are those that the process was started with: the descriptor
	// here, by the number that the configuration knows it by. nil: numbers are
	// taken as they are, for who only checks a configuration.
	Descriptors map[int]int
	// Switches are the flags of [Switch] that the command line has ("dV").
	Switches []string
	// Base is a configuration that was loaded before: what has not changed since is
	// taken over from it. The new one can only come into force after this one.
	Base *stream.Snapshot
}

// Load reads a configuration. The snapshot is nil if there were errors; they and
// the warnings are in the diagnostics. The environment in the options is not
// changed. It may block: files are read and names resolved.
func Load(in Input) (*stream.Snapshot, *config.Diagnostics) {
	if in.Base != nil {
		if base := records.Of(in.Base.Global); base != nil && base.usable(&in) {
			if snap, d, ok := loadFrom(in, base); ok {
				return snap, d
			}
		}
	}
	snap, d, _ := loadFrom(in, nil)
	return snap, d
}

// loadFrom reads a configuration. Sections of base are taken over; ok is false if that
// cannot be.
func loadFrom(in Input, base *record) (snap *stream.Snapshot, d *config.Diagnostics, ok bool) {
	d = new(config.Diagnostics)
	env := new(config.Environment)
	if in.Options.Env != nil {
		env = in.Options.Env.Clone()
	}
	l := &Loading{
		Snap:   newSnapshot(in.Base),
		Diags:  d,
		values: make([]any, values),
		seen:   make(map[string]config.Pos),

		Descriptors: in.Descriptors,
		env:         env,
		sums:        &recorder{fs: in.Files, sums: make(map[string][sha256.Size]byte)},
	}
	if in.Files != nil {
		l.Files = &relative{FS: l.sums, l: l}
	}
	opt := in.Options
	opt.Env = env
	var find config.Known
	if base != nil {
		l.takeover = &takeover{base: base, l: l, sums: make(map[string]bool), defs: make(map[string]*Loaded), moved: make(map[config.Pos]*Loaded)}
		find = l.takeover.find
	}
	blocks := config.EvaluateKnown(in.Sources, opt, d, find)
	if base != nil && (base.others != others(blocks) || base.env != env.Sum()) {
		return nil, nil, false
	}
	if !l.build(blocks, in) {
		return nil, nil, false
	}
	if d.HasErrors() {
		return nil, d, true
	}
	l.keep(in, blocks)
	l.forget()
	return l.Snap, d, true
}

// forget drops what is of no use any more: parts of the snapshot may know the
// loading that made them.
func (l *Loading) forget() {
	l.cur, l.read, l.fresh, l.of, l.takeover, l.recurring, l.owned = nil, nil, nil, nil, nil, nil, nil
	l.defs, l.last, l.seen, l.todo, l.wishes, l.private = nil, nil, nil, nil, nil, nil
}

// build makes the graph of sections. It fails if some that are taken over do not
// fit.
func (l *Loading) build(blocks []*config.Block, in Input) bool {
	d := l.Diags
	g := l.Snap.Global
	l.Threads, l.wanted = l.configuredThreads(blocks)
	if in.Threads > 0 {
		l.Threads = in.Threads
	}
	g.Threads = l.Threads
	for _, flag := range in.Switches {
		if s := FindSwitch(flag); s != nil {
			s.Apply(&Ctx{Loading: l, Section: "global"})
		}
	}
	l.read, l.room = make([]*reading, 0, len(blocks)), make([]reading, len(blocks))
	l.stages[evaluated] = d.Len()
	for _, b := range blocks {
		l.block(b)
	}
	l.stages[parsed] = d.Len()
	l.cur, l.room = nil, nil
	if l.failed || !l.answered() {
		return false
	}
	l.arrange()
	l.assignAll()
	if in.MaxConn > 0 {
		g.MaxConn = in.MaxConn
	}
	if g.MaxConn == 0 {
		g.MaxConn = automaticMaxConn(l)
		if in.Memory > 0 {
			g.MaxConn = min(g.MaxConn, affordable(l, in.Memory))
		}
	}
	if in.ProxyMaxConn > 0 {
		for _, p := range l.Snap.Proxies {
			if p.Frontend && p.MaxConn == 0 {
				p.MaxConn = in.ProxyMaxConn
			}
		}
	}
	l.finish(in.Base)
	for _, f := range finishers {
		f(&Ctx{Loading: l})
	}
	if l.failed {
		return false
	}
	l.end(finished)
	if g.ZeroWarning && d.Count(config.Warning) > 0 && !d.HasErrors() {
		d.Alert(config.Pos{}, "Some warnings were found and 'zero-warning' is set. Aborting.")
	}
	return true
}

// newSnapshot begins a configuration, with room for as much as base has.
func newSnapshot(base *stream.Snapshot) *stream.Snapshot {
	if base == nil {
		base = new(stream.Snapshot)
	}
	return &stream.Snapshot{
		Global: &stream.Global{
			BufSize: 16384, MaxRewrite: 1024, MaxHeaders: 101, LineLength: 1023,
		},
		Proxies:   make([]*stream.Proxy, 0, len(base.Proxies)),
		Frontends: make(map[string]*stream.Proxy, len(base.Frontends)),
		Backends:  make(map[string]*stream.Proxy, len(base.Backends)),
	}
}
