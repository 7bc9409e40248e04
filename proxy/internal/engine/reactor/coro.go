package reactor

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
)

// Errors of waiting.
var (
	// ErrTimeout is returned when a deadline passed.
	ErrTimeout = errors.New("timeout")
	// ErrKilled is returned from every wait of a coroutine that was killed.
	ErrKilled = errors.New("killed")
)

// Task is what a coroutine runs.
type Task interface{ Run() }

// TaskFunc makes a function a [Task].
type TaskFunc func()

// Run calls f.
func (f TaskFunc) Run() { f() }

// Coro is a coroutine: straight-line code that runs on one reactor and parks
// while it waits. It is pooled: a reference to it is good only while its task
// runs.
type Coro struct {
	r     *Reactor
	task  Task
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	timer Timer
	relay Relay // see FD.WaitRelay

	parked   bool
	queued   bool // in the ready queue
	woken    bool // a wake-up came while it was not parked
	timedOut bool
	killed   bool
}

// stopped is the panic that unwinds a coroutine of a reactor that is closed.
type stopped struct{}

func newCoro(r *Reactor) *Coro {
	co := &Coro{r: r}
	co.timer.Fire = co
	co.next, co.stop = iter.Pull(co.loop)
	return co
}

// Fire is the coroutine's deadline.
func (co *Coro) Fire() {
	co.timedOut = true
	co.r.wake(co)
}

func (co *Coro) loop(yield func(struct{}) bool) {
	co.yield = yield
	for co.task != nil {
		if !co.runTask() {
			return
		}
		co.task = nil
		co.killed = false
		co.woken = false
		co.timer.Unset()
		co.r.busy--
		co.r.idle = append(co.r.idle, co)
		if !yield(struct{}{}) {
			return
		}
	}
}

// runTask runs one task. A panic ends that task alone: it is counted and
// reported. It returns false when the coroutine must end.
func (co *Coro) runTask() (ok bool) {
	defer func() {
		if !ok {
			ok = co.recovered(recover())
		}
	}()
	co.task.Run()
	return true
}

func (co *Coro) recovered(p any) bool {
	if _, is := p.(stopped); is {
		return false
	}
	co.r.report(p)
	if t, is := co.task.(panicker); is {
		t.Panicked()
	}
	return true
}

// panicker is told that a panic ended what it was doing.
type panicker interface{ Panicked() }

// report counts a panic and tells of it.
func (r *Reactor) report(p any) {
	r.Panics.Add(1)
	if r.OnPanic != nil {
		r.OnPanic(p, debug.Stack())
	} else {
		fmt.Fprintf(os.Stderr, "[ALERT] panic in a stream: %v\n%s\n", p, debug.Stack())
	}
}

// Contain is deferred around callbacks: a panic ends the callback alone. Whose it
// was is told by its method Panicked, if it has one, and should close what it
// owns; a second panic there is the end of that.
func (r *Reactor) Contain(who any) {
	p := recover()
	if p == nil {
		return
	}
	r.cur, r.held = nil, false
	r.report(p)
	if h, is := who.(panicker); is {
		defer func() {
			if p := recover(); p != nil {
				r.report(p)
			}
		}()
		h.Panicked()
	}
}

// Kill makes every wait of co, from now on, return ErrKilled. It must be called
// on co's reactor.
func (co *Coro) Kill() {
	co.killed = true
	co.r.wake(co)
}

// Wake makes the wait that co is in return early, once. It must be called on
// co's reactor.
func (co *Coro) Wake() { co.r.wake(co) }

// Reactor gives the reactor that co belongs to.
func (co *Coro) Reactor() *Reactor { return co.r }

// resume switches to co until it parks or ends. Only the loop calls it.
func (r *Reactor) resume(co *Coro) {
	co.parked = false
	r.cur = co
	co.next()
	r.cur = nil
}

// wake makes a parked coroutine run: at once when the caller is the loop, soon
// when the caller is another coroutine.
func (r *Reactor) wake(co *Coro) {
	if !co.parked {
		co.woken = true
		return
	}
	if co.queued {
		return
	}
	if r.cur == nil && !r.held {
		r.resume(co)
		return
	}
	co.queued = true
	r.ready = append(r.ready, co)
}

// Hold makes coroutines that are woken or started run soon instead of at once,
// until it is called with false: for a callback that is in the middle of
// something that they may touch. It returns what it was before.
func (r *Reactor) Hold(on bool) (was bool) {
	was, r.held = r.held, on
	return was
}

// Go runs f in a coroutine: at once when called by the loop, soon when called
// from a coroutine.
func (r *Reactor) Go(f func()) { r.Start(TaskFunc(f)) }

// Start runs t in a coroutine, see [Reactor.Go]. It does not allocate when the
// pool has a coroutine.
func (r *Reactor) Start(t Task) {
	var co *Coro
	if n := len(r.idle); n > 0 {
		co = r.idle[n-1]
		r.idle[n-1] = nil
		r.idle = r.idle[:n-1]
		if n-1 < r.idleLow {
			r.idleLow = n - 1
		}
	} else {
		co = newCoro(r)
	}
	co.task = t
	co.parked = true
	r.busy++
	r.wake(co)
}

// Coroutines is the number of coroutines that have a task.
func (r *Reactor) Coroutines() int { return r.busy }

// Current gives the running coroutine, nil in a callback.
func (r *Reactor) Current() *Coro { return r.cur }

// park suspends the current coroutine until it is woken or the deadline passes
// (0: none). Wake-ups may be spurious: callers test their condition again.
func (r *Reactor) park(deadline int64) error {
	co := r.cur
	if co == nil {
		panic("reactor: a callback must not wait")
	}
	if co.killed {
		return ErrKilled
	}
	if co.woken {
		co.woken = false
		return nil
	}
	co.timedOut = false
	if deadline != 0 {
		if deadline <= r.now {
			return ErrTimeout
		}
		r.Set(&co.timer, deadline)
	}
	co.parked = true
	if !co.yield(struct{}{}) {
		panic(stopped{})
	}
	co.timer.Unset()
	if co.killed {
		return ErrKilled
	}
	if co.timedOut {
		co.timedOut = false
		return ErrTimeout
	}
	return nil
}

// Sleep parks the current coroutine for d nanoseconds.
func (r *Reactor) Sleep(d int64) error {
	until := r.now + d
	for r.now < until {
		if err := r.park(until); err == ErrKilled {
			return err
		}
	}
	return nil
}

// Yield lets everything else that is ready run before the current coroutine goes
// on.
func (r *Reactor) Yield() error {
	co := r.cur
	if !co.queued {
		co.queued = true
		r.ready = append(r.ready, co)
	}
	return r.park(0)
}

// Waiter is an event that one coroutine waits for and others announce. The zero
// value is ready. Wait belongs to one reactor; Notify may be called on any.
type Waiter struct {
	co *Coro
}

// Wait parks until Notify, or a spurious wake-up, or the deadline (0: none).
func (w *Waiter) Wait(r *Reactor, deadline int64) error {
	w.co = r.cur
	err := r.park(deadline)
	w.co = nil
	return err
}

// Notify wakes the coroutine in Wait, if there is one. Call it on its reactor.
func (w *Waiter) Notify() {
	if w.co != nil {
		w.co.r.wake(w.co)
	}
}

// Until parks until done, whatever else happens to the coroutine: the wait for
// helpers that are sure to end.
func (w *Waiter) Until(r *Reactor, done func() bool) {
	co := r.cur
	killed := co.killed
	for !done() {
		co.killed = false
		w.co = co
		r.park(0)
		killed = killed || co.killed
	}
	w.co = nil
	co.killed = killed
}
