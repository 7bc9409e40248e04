package conf

import (
	"crypto/sha256"
	"io/fs"
	"math"

	"golang.org/x/sys/unix"

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
		Snap:   newSnapshot(),
		Diags:  d,
		values: make([]any, values),
		seen:   make(map[string]config.Pos),

		Descriptors: in.Descriptors,
		env:         env,
		sums:        &recorder{fs: in.Files, sums: make(map[string][sha256.Size]byte)},
		shared:      make(map[*stream.Proxy]*reading),
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
	l.cur, l.read, l.fresh, l.shared, l.takeover, l.recurring = nil, nil, nil, nil, nil, nil
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
	for _, b := range blocks {
		l.block(b)
	}
	l.cur = nil
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
	if g.ZeroWarning && d.Count(config.Warning) > 0 && !d.HasErrors() {
		d.Alert(config.Pos{}, "Some warnings were found and 'zero-warning' is set. Aborting.")
	}
	return true
}

func newSnapshot() *stream.Snapshot {
	return &stream.Snapshot{
		Global: &stream.Global{
			BufSize: 16384, MaxRewrite: 1024, MaxHeaders: 101, MaxPollEvents: 200,
			UID: -1, GID: -1,
		},
		Frontends: make(map[string]*stream.Proxy),
		Backends:  make(map[string]*stream.Proxy),
	}
}

// automaticMaxConn is how many connections the limit of descriptors allows: two
// each, less what listeners, pollers and checks need.
func automaticMaxConn(l *Loading) int {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return 2000
	}
	limit := int(min(max(lim.Cur, lim.Max), math.MaxInt32))
	if n := l.Snap.Global.FileLimit; n > 0 {
		limit = n
	}
	if n := l.Snap.Global.MaxFiles; n > 0 {
		limit = min(limit, n)
	}
	reserved := common
	for _, cur := range l.read {
		if cur.proxy != nil && cur.proxy.Kind != "defaults" {
			if cur.taken == nil {
				cur.reserved = reservedOf(cur.proxy, l.Threads)
			}
			reserved += cur.reserved
		}
	}
	return max((min(limit, 1<<20)-reserved)/2, 100)
}

// common is how many descriptors a process has at most that are nobody's in
// particular: pollers, pipes, logs.
const common = 100

// Reserved is how many descriptors a configuration needs besides those of
// connections, two each: for listeners, and for checks, one a server that is
// checked.
func Reserved(s *stream.Snapshot) int {
	n := common
	for _, p := range s.Proxies {
		n += reservedOf(p, s.Global.Threads)
	}
	return n
}

func reservedOf(p *stream.Proxy, threads int) int {
	n := len(p.Binds) * threads
	for _, s := range p.ServerLines {
		if s.Settings.Check.Enabled {
			n++
		}
	}
	return n
}

// Memory is what a feature needs for each connection, in bytes: of clients to a
// bind line, and with a server. It is asked before the finishers run.
type Memory struct {
	Bind   func(b *stream.Bind) int
	Server func(set *stream.ServerSettings) int
}

var memories []Memory

// RegisterMemory adds m to what limits connections where memory does.
func RegisterMemory(m Memory) { memories = append(memories, m) }

// affordable is how many connections a limit of memory allows, in MiB, were all of
// them to be served at once, each at the cost of the dearest one.
func affordable(l *Loading, limit int) int {
	const (
		program   = 16 << 20 // what there is before the first connection
		exchange  = 16 << 10 // stacks, and what is known of the sides
		mebibytes = 1 << 20
	)
	each := 2*l.Snap.Global.BufSize + exchange
	var front, back int
	for _, p := range l.Snap.Proxies {
		for _, m := range memories {
			for _, b := range p.Binds {
				front = max(front, m.Bind(b))
			}
			for _, s := range p.ServerLines {
				back = max(back, m.Server(s.Settings))
			}
		}
	}
	return max((limit*mebibytes-program)/16*15/(each+front+back), 1)
}
