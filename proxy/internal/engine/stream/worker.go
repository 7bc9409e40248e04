package stream

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// ReactorCounters is one reactor's share of the process's statistics.
type ReactorCounters struct {
	Conns, Sessions, Requests counter.Int // accepted connections, streams, HTTP requests
	Streams                   counter.Int // being served now
	BytesOut                  counter.Int
	SplicedBytes              counter.Int
	DroppedLogs               counter.Int
	FailedConns               counter.Int
	// TLS handshakes with clients and with servers: complete ones, and those of
	// them that took up an older session; and failed ones.
	TLSFront, TLSFrontReused, TLSFrontFailed counter.Int
	TLSBack, TLSBackReused, TLSBackFailed    counter.Int
	_                                        [64]byte
}

// TLSCache counts look-ups in the cache of sessions of clients.
var TLSCache struct{ Lookups, Misses atomic.Int64 }

// Worker is the process as the features see it.
type Worker struct {
	Reactors []*reactor.Reactor
	Started  time.Time
	Counters counter.Shards[ReactorCounters]
	ConnRate counter.Rate
	SessRate counter.Rate
	MaxConn  atomic.Int64

	// What every connection changes has cache lines of its own.
	_ counter.Line
	// Curr is the number of client connections, counted against MaxConn.
	Curr atomic.Int64
	// CurrTLS is how many connections are under TLS, with clients and servers.
	CurrTLS atomic.Int64
	// tlsRate counts connections accepted for TLS ("maxsslrate").
	tlsRate limiter
	_       counter.Line

	// rateSet is the limit of tlsRate that was set at run time, plus one; 0: none.
	rateSet atomic.Int64
	// Stopping is set when the worker only finishes what it has.
	Stopping atomic.Bool
	// Confined is set when the process has no file system any more: paths cannot
	// be bound.
	Confined atomic.Bool

	// Sandbox says what the process has given up, once it has.
	Sandbox atomic.Pointer[string]

	// Listeners are the bound sockets by [Bind.Key], under Mu.
	Listeners map[string]*Listener
	// Trace, if set, is shown every exchange (the command line's -d).
	Trace io.Writer
	// Announce, if set, shows on the console what became of a server or a backend,
	// with syslog's number of how severe that is. Any thread may call it.
	Announce func(severity int, text string)
	// OnDrained, if set, is called once the last client connection has ended
	// while Stopping.
	OnDrained func()

	// Vars are the variables of the process.
	Vars variable.Table

	// Mu orders changes of the graph: whoever changes servers or applies a
	// snapshot holds it. No reactor waits for it while streams run: it is taken
	// for short steps only.
	Mu sync.Mutex

	// nobody counts what a server would, of streams that have none.
	nobody counter.Shards[server.Counters]
	own    ownParty

	current atomic.Pointer[Snapshot]
	streams []streamList // one a reactor
	muxes   []muxes      // one a reactor

	slots slot.Live
}

// LiveSlots are what features keep for the life of the process.
func (w *Worker) LiveSlots() *slot.Live { return &w.slots }

// NewWorker makes a worker of reactors that do not run yet.
func NewWorker(rs []*reactor.Reactor) *Worker {
	w := &Worker{
		Reactors:  rs,
		Started:   rs[0].Sys.Wall(),
		Counters:  counter.New[ReactorCounters](len(rs)),
		nobody:    counter.New[server.Counters](len(rs)),
		own:       newOwnParty(rs),
		streams:   make([]streamList, len(rs)),
		muxes:     make([]muxes, len(rs)),
		Listeners: make(map[string]*Listener),
	}
	return w
}

// Snapshot gives the graph in force.
func (w *Worker) Snapshot() *Snapshot { return w.current.Load() }

// SetSnapshot puts a graph in force. Streams keep the one they began with.
func (w *Worker) SetSnapshot(s *Snapshot) { w.current.Store(s) }

// OnAll runs f on every reactor and waits until all have. It must not be called
// on a reactor: see [Worker.Each] for that.
func (w *Worker) OnAll(f func(r *reactor.Reactor)) {
	var wg sync.WaitGroup
	wg.Add(len(w.Reactors))
	for _, r := range w.Reactors {
		r.Post(func() { f(r); wg.Done() })
	}
	wg.Wait()
}

// Each runs f on every reactor, one after the other, from a coroutine, which
// parks meanwhile.
func (w *Worker) Each(from *reactor.Reactor, f func(r *reactor.Reactor)) {
	for _, r := range w.Reactors {
		if r == from {
			f(r)
			continue
		}
		var done bool
		var wait reactor.Waiter
		r.Post(func() {
			f(r)
			from.Post(func() { done = true; wait.Notify() })
		})
		for !done {
			wait.Wait(from, 0)
		}
	}
}

// Await runs f on a goroutine of its own, for what blocks (name resolution, a
// signature, disk), and parks the calling coroutine until it has returned. A panic
// of f is one of the coroutine.
func Await(r *reactor.Reactor, f func()) {
	var done bool
	var failed error
	var wait reactor.Waiter
	go func() {
		defer func() {
			if p := recover(); p != nil {
				failed = fmt.Errorf("%v\n%s", p, debug.Stack())
			}
			r.Post(func() { done = true; wait.Notify() })
		}()
		f()
	}()
	runtime.Gosched() // nobody else may have a processor for it in the next milliseconds
	wait.Until(r, func() bool { return done })
	if failed != nil {
		panic(failed)
	}
}

// Snapshot is one configuration, loaded: immutable once it is in force.
type Snapshot struct {
	Global    *Global
	Proxies   []*Proxy // in the order of the configuration
	Frontends map[string]*Proxy
	Backends  map[string]*Proxy
	// Version counts the snapshots of this process, from 1.
	Version int
	// KeepLines makes every exchange keep its [Stream.ReqLine]: something else than
	// a log line is made from it.
	KeepLines atomic.Bool
}

// Backend gives a backend by its name, nil if there is none. s may be nil.
func (s *Snapshot) Backend(name string) *Proxy {
	if s == nil {
		return nil
	}
	return s.Backends[name]
}

// Frontend gives a frontend by its name, nil if there is none. s may be nil.
func (s *Snapshot) Frontend(name string) *Proxy {
	if s == nil {
		return nil
	}
	return s.Frontends[name]
}

// handshakeGarbage tells about how many bytes the handshakes since it was last
// asked have left behind: many of them are reason to hand memory back once all
// is quiet, which the collector would not do for minutes.
func (w *Worker) handshakeGarbage(r *reactor.Reactor) func() int {
	const each = 16 << 10
	var before int64
	return func() int {
		n := &w.Counters[r.Index]
		now := n.TLSFront.Load() + n.TLSFrontFailed.Load() + n.TLSBack.Load()
		d := now - before
		before = now
		return int(d) * each
	}
}

// Init prepares the worker's reactors for serving: it is called once, before they
// run.
func (w *Worker) Init() {
	for _, r := range w.Reactors {
		r.OnTrim(func() int { return w.streams[r.Index].trim() })
		r.OnTrim(w.purgePools(r))
		r.OnTrim(w.handshakeGarbage(r))
		r.OnTurn(func() { w.flushMuxes(r) })
	}
}
