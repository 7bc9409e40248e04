package conf

import (
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
	// Options are for the language's conditions and variables. The environment
	// in it is changed by loading: give a copy.
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
	// NoResolve is -dr: servers whose names have no address start without one.
	NoResolve bool
	// NoSplice is -dS: "nosplice". NoVerify is -dV: "ssl-server-verify none".
	NoSplice, NoVerify bool
}

// Load reads a configuration. The snapshot is nil if there were errors; they and
// the warnings are in the diagnostics. It may block: files are read and names
// resolved.
func Load(in Input) (*stream.Snapshot, *config.Diagnostics) {
	d := new(config.Diagnostics)
	if in.Options.Env == nil {
		in.Options.Env = new(config.Environment)
	}
	blocks := config.Evaluate(in.Sources, in.Options, d)
	return Build(blocks, in, d), d
}

// Build makes a snapshot of sections that were evaluated before, see [Load], with
// the environment that this left.
func Build(blocks []*config.Block, in Input, d *config.Diagnostics) *stream.Snapshot {
	l := &Loading{
		Snap:   newSnapshot(),
		Files:  in.Files,
		Diags:  d,
		values: make([]any, values),
		seen:   make(map[string]config.Pos),

		Descriptors: in.Descriptors,
		env:         in.Options.Env,
		host:        hosts{lenient: in.NoResolve},
	}
	if in.Files != nil {
		l.Files = &relative{FS: in.Files}
	}
	g := l.Snap.Global
	l.Threads, l.wanted = l.configuredThreads(blocks)
	if in.Threads > 0 {
		l.Threads = in.Threads
	}
	g.Threads, g.NoSplice, g.NoVerify = l.Threads, in.NoSplice, in.NoVerify
	for _, f := range early {
		f(&Ctx{Loading: l, Section: "global"})
	}
	for _, b := range blocks {
		l.block(b)
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
	l.finish()
	for _, f := range finishers {
		f(&Ctx{Loading: l})
	}
	if g.ZeroWarning && d.Count(config.Warning) > 0 && !d.HasErrors() {
		d.Alert(config.Pos{}, "Some warnings were found and 'zero-warning' is set. Aborting.")
	}
	if d.HasErrors() {
		return nil
	}
	return l.Snap
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
	reserved := 100
	for _, p := range l.Snap.Proxies {
		reserved += len(p.Binds) * l.Threads
		reserved += len(p.ServerLines)
	}
	return max((min(limit, 1<<20)-reserved)/2, 100)
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
