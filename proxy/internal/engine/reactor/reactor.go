package reactor

import (
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// Options are a reactor's settings.
type Options struct {
	// BufSize is the size of the buffers in bytes (tune.bufsize).
	BufSize int
	// MaxEvents is how many events one poll returns at most
	// (tune.maxpollevents).
	MaxEvents int
}

// Reactor is one event loop. All its methods but Post, Stop and the atomic
// fields belong to its own thread.
type Reactor struct {
	// Index is the reactor's number in its process, from 0.
	Index int
	// Rand is a source of random numbers for the reactor's own use.
	Rand *rand.Rand
	// Sys is the world below.
	Sys Sys
	// OnPanic, if set, is told of panics in coroutines and callbacks.
	OnPanic func(p any, stack []byte)
	// NoTrim keeps freed memory in the process (no-memory-trimming).
	NoTrim bool
	// FreeMemory hands freed memory back to the kernel. It must not take long.
	FreeMemory func()
	// Memory, if set, bounds what all reactors together use.
	Memory *Memory
	// Scratch is a buffer for whoever runs now: it must not be used across a
	// wait. Its size is that of two buffers.
	Scratch []byte

	// Panics counts coroutines and callbacks that ended in a panic.
	Panics atomic.Int64
	// Loops and Polls count turns of the loop and events, IdleNs the time spent
	// waiting, all for statistics.
	Loops, Polls atomic.Int64
	IdleNs       atomic.Int64

	slots     slot.Values
	usage     int   // see Usage
	usageAt   int64 // when it was measured
	usageIdle int64 // IdleNs then

	poller   Poller
	events   []Ready
	now      int64
	wall     time.Time
	wallAt   int64
	fds      []*FD
	gens     []uint32
	nfds     int
	timers   []*Timer
	trim     Timer
	ready    []*Coro
	spare    []*Coro
	cur      *Coro
	held     bool // see Hold
	idle     []*Coro
	idleLow  int
	busy     int // coroutines with a task
	bufs     pool[[]byte]
	bigs     pool[[]byte]
	pipes    pool[*pipe]
	bufSize  int
	freed    int
	promised []*FD // that said More in this turn
	onTrim   []func() int
	onTurn   []func()

	mail     sync.Mutex
	letters  []func()
	reading  []func()
	hasMail  atomic.Bool
	sleeping atomic.Bool
	stopping atomic.Bool
}

// New makes a reactor. It runs when [Reactor.Run] is called.
func New(index int, sys Sys, o Options) (*Reactor, error) {
	p, err := sys.NewPoller()
	if err != nil {
		return nil, err
	}
	if o.BufSize <= 0 {
		o.BufSize = 16384
	}
	if o.MaxEvents <= 0 {
		o.MaxEvents = 200
	}
	r := &Reactor{
		Index:   index,
		Rand:    rand.New(rand.NewPCG(sys.Seed(), sys.Seed())),
		Sys:     sys,
		Scratch: make([]byte, 2*o.BufSize),

		FreeMemory: func() { go Aside(debug.FreeOSMemory) },

		poller:  p,
		events:  make([]Ready, o.MaxEvents),
		bufSize: o.BufSize,
	}
	r.tick()
	r.usageAt = r.now
	r.trim.Fire = r
	r.Set(&r.trim, r.now+trimPeriod)
	return r, nil
}

// BufSize is the size in bytes of the buffers of [Reactor.Buffer].
func (r *Reactor) BufSize() int { return r.bufSize }

// Now is the time in nanoseconds of the monotonic clock, as read when the
// current turn of the loop began.
func (r *Reactor) Now() int64 { return r.now }

// Wall is the time of day that belongs to [Reactor.Now].
func (r *Reactor) Wall() time.Time { return r.wall.Add(time.Duration(r.now - r.wallAt)) }

func (r *Reactor) tick() {
	r.now = r.Sys.Now()
	if r.now-r.wallAt > 1e9 || r.wallAt == 0 { // follow the time of day, not every turn
		r.wall, r.wallAt = r.Sys.Wall(), r.now
	}
}

// After is a deadline: d from now, or none (0) when d is 0 or less.
func (r *Reactor) After(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return r.now + int64(d)
}

// OnTurn makes f be called at the end of every turn of the loop, before it
// waits: to send what was gathered meanwhile.
func (r *Reactor) OnTurn(f func()) { r.onTurn = append(r.onTurn, f) }

// OnTrim makes f be called regularly to free what is pooled and unused. f
// returns about how many bytes it let go.
func (r *Reactor) OnTrim(f func() int) { r.onTrim = append(r.onTrim, f) }

// Post makes f be called on the reactor, not in a coroutine. Any thread may call
// it; functions of one thread are called in order.
func (r *Reactor) Post(f func()) {
	r.mail.Lock()
	r.letters = append(r.letters, f)
	r.mail.Unlock()
	r.hasMail.Store(true)
	if r.sleeping.Load() {
		r.poller.Wake()
	}
}

// Stop makes Run return. Any thread may call it.
func (r *Reactor) Stop() {
	r.stopping.Store(true)
	r.poller.Wake()
}

// Run turns the loop until Stop.
func (r *Reactor) Run() {
	for !r.stopping.Load() {
		r.Turn(-1)
	}
}

// Turn runs one turn of the loop: what is ready, what was posted, what is due,
// then waits for events for at most maxWait nanoseconds (negative: as long as
// it takes) and handles them. The simulation calls it itself.
func (r *Reactor) Turn(maxWait int64) {
	if r.hasMail.Load() {
		r.readMail()
	}
	next := r.runTimers()
	r.runReady()
	for _, f := range r.onTurn {
		f()
	}
	if len(r.promised) > 0 {
		r.keepPromises()
	}
	wait := maxWait
	if next != 0 {
		if d := max(next-r.now, 0); wait < 0 || d < wait {
			wait = d
		}
	}
	if len(r.ready) > 0 {
		wait = 0
	}
	if wait != 0 {
		r.sleeping.Store(true)
		if r.hasMail.Load() || r.stopping.Load() {
			wait = 0
		}
	}
	r.tick()
	before := r.now
	n := r.poller.Wait(r.events, wait)
	r.tick()
	if wait != 0 {
		r.sleeping.Store(false)
		r.IdleNs.Add(r.now - before)
	}
	r.Loops.Add(1)
	if r.now-r.usageAt >= usageSpan {
		r.measure()
	}
	if n > 0 {
		r.Polls.Add(int64(n))
	}
	for _, ev := range r.events[:n] {
		fd := uint32(ev.Tag)
		if int(fd) < len(r.fds) && r.fds[fd] != nil && r.gens[fd] == uint32(ev.Tag>>32) {
			r.deliver(r.fds[fd], ev.Ev)
		}
	}
	r.runReady()
}

// Slots is what features keep on each reactor.
func (r *Reactor) Slots() *slot.Values { return &r.slots }

func (r *Reactor) deliver(f *FD, ev Event) {
	defer r.Contain(f.idle)
	f.event(ev)
}

// usageSpan is what [Reactor.Usage] is measured over, in nanoseconds.
const usageSpan = 500e6

func (r *Reactor) measure() {
	idle := r.IdleNs.Load()
	r.usage = 100 - int(max(0, min(100, (idle-r.usageIdle)*100/(r.now-r.usageAt))))
	r.usageAt, r.usageIdle = r.now, idle
}

// Usage is how busy the reactor was lately, in percent of the time. It is for the
// reactor itself.
func (r *Reactor) Usage() int { return r.usage }

// Pending tells whether the reactor has something to run without waiting.
func (r *Reactor) Pending() bool { return len(r.ready) > 0 || r.hasMail.Load() }

// NextTimer is the time of the earliest timer, 0 if there is none.
func (r *Reactor) NextTimer() int64 {
	if len(r.timers) == 0 {
		return 0
	}
	return r.timers[0].key
}

// Descriptors is the number of open descriptors that the reactor polls.
func (r *Reactor) Descriptors() int { return r.nfds }

// Each calls f with the handler of every open descriptor, on the reactor.
func (r *Reactor) Each(f func(Handler)) { r.EachFrom(0, len(r.fds), f) }

// EachFrom is Each for at most n descriptors, from the number first on. It gives
// the number that follows, 0 after the last.
func (r *Reactor) EachFrom(first, n int, f func(Handler)) (next int) {
	end := min(first+n, len(r.fds))
	for _, fd := range r.fds[min(first, end):end] {
		if fd != nil && fd.idle != nil {
			f(fd.idle)
		}
	}
	if end == len(r.fds) {
		return 0
	}
	return end
}

// runReady runs the coroutines that others woke, one round.
func (r *Reactor) runReady() {
	if len(r.ready) == 0 {
		return
	}
	list := r.ready
	r.ready = r.spare[:0]
	for i, co := range list {
		list[i] = nil
		co.queued = false
		if co.parked {
			r.resume(co)
		}
	}
	r.spare = list[:0]
}

func (r *Reactor) readMail() {
	r.hasMail.Store(false)
	r.mail.Lock()
	r.reading, r.letters = r.letters, r.reading[:0]
	r.mail.Unlock()
	for i, f := range r.reading {
		r.reading[i] = nil
		r.call(f)
	}
}

func (r *Reactor) call(f func()) {
	defer r.Contain(nil)
	f()
}

// Close ends all coroutines and frees what the reactor holds. It must not be
// running.
func (r *Reactor) Close() {
	for _, f := range r.fds {
		if f != nil && f.reader != nil {
			f.reader.stop()
		}
		if f != nil && f.writer != nil {
			f.writer.stop()
		}
	}
	for _, co := range r.idle {
		co.stop()
	}
	for _, t := range r.timers {
		if co, ok := t.Fire.(*Coro); ok {
			co.stop()
		}
	}
	for _, p := range r.pipes.free {
		r.closePipe(p)
	}
	r.poller.Close()
}
