package compression

import (
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// limits are what the global section says. 0 is what holds if nothing is said.
type limits struct {
	rate   int64 // maxcomprate, in bytes a second; 0: none
	spare  int   // 100 - maxcompcpuusage: percent of the CPU that have to be idle
	memory int64 // maxzlibmem, in bytes; 0: none
	level  int   // tune.comp.maxlevel
}

var globals = slot.New[*stream.Global, limits]()

const positive = "a number that is not negative."

func init() {
	conf.RegisterNumber(
		conf.Number{Name: "maxcomprate", Low: 0, High: 1 << 31, Want: positive, InPlace: true, Set: func(g *stream.Global, n int) { globals.Make(g).rate = int64(n) << 10 }},
		conf.Number{Name: "maxcompcpuusage", Low: 0, High: 100, Want: "an integer argument between 0 and 100.", InPlace: true, Set: func(g *stream.Global, n int) { globals.Make(g).spare = 100 - n }},
		conf.Number{Name: "maxzlibmem", Low: 0, High: 1 << 31, Want: positive, InPlace: true, Set: func(g *stream.Global, n int) { globals.Make(g).memory = int64(n) << 20 }},
		conf.Number{Name: "tune.comp.maxlevel", Low: 1, High: 9, Want: "a numeric value between 1 and 9", InPlace: true, Set: func(g *stream.Global, n int) { globals.Make(g).level = n }},
	)
	runtimeapi.Register(runtimeapi.Command{Words: "set rate-limit http-compression global", Level: runtimeapi.Admin, Usage: "<value>", Help: "change the maximum compression speed in kB/s", Run: setRate})
	stream.RegisterInfo("CompressBpsIn", func(w *stream.Worker) column.Value { return column.U32("MRPV", lives.In(w).in.read(now(w))) })
	stream.RegisterInfo("CompressBpsOut", func(w *stream.Worker) column.Value { return column.U32("MRPV", lives.In(w).out.read(now(w))) })
	stream.RegisterInfo("CompressBpsRateLim", func(w *stream.Worker) column.Value {
		return column.Limit(lives.In(w).limit(globals.Value(w.Snapshot().Global)))
	})
	stream.RegisterInfo("ZlibMemUsage", func(w *stream.Worker) column.Value {
		if !globals.Value(w.Snapshot().Global).remembers() {
			return column.Value{}
		}
		return column.Gauge(lives.In(w).memory.Load())
	})
	stream.RegisterInfo("MaxZlibMemUsage", func(w *stream.Worker) column.Value {
		g := globals.Value(w.Snapshot().Global)
		if !g.remembers() {
			return column.Value{}
		}
		return column.Limit(g.memory)
	})
}

// remembers tells whether compressors keep something between slices: otherwise there
// is no memory to show, as in a HAProxy with libslz.
func (g limits) remembers() bool { return g.level > fast }

func now(w *stream.Worker) int64 { return w.Reactors[0].Sys.Now() }

// setRate is "set rate-limit http-compression global <kB/s>".
func setRate(c *runtimeapi.Conn, args []string) error {
	if len(args) == 0 {
		return runtimeapi.Errorf("Expects an integer value.\n")
	}
	n, rest, ok := runtimeapi.LeadingInt(args[0])
	switch {
	case !ok || rest != "":
		return runtimeapi.Errorf("Expects an integer value.\n")
	case n < 0:
		return runtimeapi.Errorf("Value out of range.\n")
	}
	lives.In(c.Worker).set.Store(&override{rate: int64(n) << 10, instead: globals.Value(c.Worker.Snapshot().Global).rate})
	return nil
}

// live is what the process measures.
type live struct {
	in, out rate         // bytes given to compressors, and made by them
	memory  atomic.Int64 // of compressors that keep some, those that wait for use included
	set     atomic.Pointer[override]
}

// override is a limit that was set at run time. It holds until the configuration
// says something else than it did then.
type override struct{ rate, instead int64 }

var lives = slot.NewLive[*stream.Worker, live]()

// limit is the rate in force, 0 for none.
func (l *live) limit(g limits) int64 {
	if o := l.set.Load(); o != nil && o.instead == g.rate {
		return o.rate
	}
	return g.rate
}

// over tells whether a limit of the process is exceeded, so that nothing new is
// compressed, and what is being compressed less.
func (l *live) over(st *stream.Stream, g limits) bool {
	if most := l.limit(g); most > 0 && l.in.read(st.R.Now()) > most {
		return true
	}
	return g.spare > 0 && 100-st.R.Usage() < g.spare
}

// rate is bytes in the last second: those of this one, and of the one before as much
// as is missing of this one. All reactors add to it.
type rate struct{ second, this, last atomic.Int64 }

func (r *rate) turn(now int64) (second int64) {
	second = now / 1e9
	if was := r.second.Load(); was != second && r.second.CompareAndSwap(was, second) {
		n := r.this.Swap(0)
		if was+1 != second {
			n = 0
		}
		r.last.Store(n)
	}
	return second
}

func (r *rate) add(now int64, n int) {
	r.turn(now)
	r.this.Add(int64(n))
}

func (r *rate) read(now int64) int64 {
	second := r.turn(now)
	missing := 1e9 - (now - second*1e9)
	return r.this.Load() + int64(float64(r.last.Load())*float64(missing)/1e9)
}
