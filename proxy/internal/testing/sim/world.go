package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

var (
	proxyIP  = netip.MustParseAddr("10.0.0.1")
	clientIP = netip.MustParseAddr("10.1.0.1")
)

// faults are what goes wrong in the kernel and on the way: one in so many
// times, 0 is never.
type faults struct {
	noSockets, noRoute, noPipes, interrupts, stalls int
}

// World is one simulated run. It is the [reactor.Sys] of its reactors.
type World struct {
	Seed64 uint64
	// Steps is how many turns and events there were, Hash a digest of all that
	// happened, Log what the proxy logged.
	Steps    int
	Hash     uint64
	Requests int
	Answered int

	rnd     *rand.Rand
	now     int64
	seq     int64
	events  eventHeap
	files   []*file
	opened  int
	conns   int64
	pollers []*poller
	faults  faults
	long    int  // how many times as many requests a connection carries
	calm    bool // nothing goes wrong: every request must be answered
	verbose io.Writer
	err     error

	rs       []*reactor.Reactor
	worker   *stream.Worker
	origins  map[reactor.Addr]*origin
	hosts    map[reactor.Addr]host // of a stage
	stage    *Stage                // nil: it is a run of a seed
	scene    *scene
	all      []*front
	truths   []*truth
	clients  int // that have not ended
	stopped  bool
	drained  bool
	logged   int
	sessions int // logged in mode tcp
	nonces   int
	refusals int   // in calm runs, of requests that can be tried again
	endBy    int64 // when what is kept for later use has to be gone
	warmBy   int64 // when servers have to be through their slow starts
}

type event struct {
	at, seq int64
	f       func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	(*h)[n] = event{}
	*h = (*h)[:n]
	return x
}

// at calls f when the clock gets there.
func (w *World) at(when int64, f func()) {
	w.seq++
	heap.Push(&w.events, event{max(when, w.now), w.seq, f})
}

func (w *World) after(d int64, f func()) { w.at(w.now+d, f) }

func (w *World) chance(oneIn int) bool { return oneIn > 0 && w.rnd.IntN(oneIn) == 0 }

// failf ends the run: something that must hold does not.
func (w *World) failf(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("at %v, step %d: %s", time.Duration(w.now), w.Steps, fmt.Sprintf(format, args...))
		if w.verbose != nil {
			fmt.Fprintln(w.verbose, "FAILED", w.err)
		}
	}
}

// trace notes what happened, for the digest and for people.
func (w *World) trace(what string, a, b, c int64) {
	h := w.Hash
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * 1099511628211
	}
	for _, v := range [4]int64{w.now, a, b, c} {
		h = (h ^ uint64(v)) * 1099511628211
		h ^= h >> 29
	}
	w.Hash = h
	if w.verbose != nil {
		fmt.Fprintf(w.verbose, "%12.6f %-10s conn %d side %d: %d\n", float64(w.now)/1e9, what, a, b, c)
	}
}

// note is a trace in words.
func (w *World) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	h := fnv.New64a()
	io.WriteString(h, s)
	w.Hash = (w.Hash ^ h.Sum64()) * 1099511628211
	if w.verbose != nil {
		fmt.Fprintf(w.verbose, "%12.6f %s\n", float64(w.now)/1e9, s)
	}
}

const (
	maxSteps = 3_000_000
	maxTime  = int64(20 * time.Minute)
)

// Run runs the world of a seed to its end and tells what went wrong. verbose, if
// not nil, gets a trace.
func Run(seed uint64, verbose io.Writer) (*World, error) { return run(seed, 1, verbose) }

// RunLong is Run with few connections that carry many times as many requests, and
// live for as long as they take.
func RunLong(seed uint64, verbose io.Writer) (*World, error) { return run(seed, 100, verbose) }

func run(seed uint64, long int, verbose io.Writer) (*World, error) {
	w := &World{
		Seed64: seed, verbose: verbose, now: 1e9, long: long,
		rnd:     rand.New(rand.NewPCG(seed, 0x5eed)),
		origins: make(map[reactor.Addr]*origin),
	}
	w.build()
	defer func() {
		for _, r := range w.rs {
			r.Close()
		}
	}()
	for w.err == nil && !w.done() {
		w.step()
	}
	if w.err == nil {
		w.checkEnd()
	}
	return w, w.err
}

// step turns one reactor that has something to do, or lets the next thing
// happen.
func (w *World) step() {
	w.Steps++
	if w.Steps > maxSteps*w.long || w.now > maxTime*int64(w.long) {
		w.stuck()
		return
	}
	var busy []*reactor.Reactor
	var next int64
	for i, r := range w.rs {
		t := r.NextTimer()
		if r.Pending() || w.pollers[i].again || len(w.pollers[i].ready) > 0 || t != 0 && t <= w.now {
			busy = append(busy, r)
		}
		if t != 0 && (next == 0 || t < next) {
			next = t
		}
	}
	if len(w.events) > 0 && (next == 0 || w.events[0].at < next) {
		next = w.events[0].at
	}
	late := len(busy) > 0 && len(w.events) > 0 && w.events[0].at < w.now+5e6 && w.rnd.IntN(8) == 0
	switch {
	case len(busy) > 0 && !late:
		r := busy[w.rnd.IntN(len(busy))]
		r.Turn(0)
	case late: // the reactors are slow: the world goes on without them
		w.happen(w.events[0].at)
	case next == 0:
		w.stuck()
		return
	default:
		w.happen(next)
	}
	w.checkStep()
}

func (w *World) happen(t int64) {
	w.now = max(w.now, t)
	for len(w.events) > 0 && w.events[0].at <= w.now && w.err == nil {
		heap.Pop(&w.events).(event).f()
	}
}

// stuck tells that the run does not end.
func (w *World) stuck() {
	w.failf("the run does not end: %d clients, %d descriptors, %d connections counted", w.clients, w.opened, w.worker.Curr.Load())
	for _, r := range w.rs {
		w.worker.EachStream(r, func(st *stream.Stream) bool {
			w.failf("stream")
			if w.verbose != nil {
				fmt.Fprintf(w.verbose, "left: stream %d of reactor %d: %q, %+v\n", st.ID, r.Index, st.ReqLine, st.Time)
			}
			return true
		})
	}
}
