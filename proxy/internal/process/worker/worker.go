package worker

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/process/sandbox"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

// Options are what a worker begins with.
type Options struct {
	Snapshot  *stream.Snapshot
	Inherited stream.Inherited
	Console   *console.Console
	// Control is the socket to the master, nil if there is none.
	Control *Control
	// Old are processes to stop once this one serves, with OldSignal (-sf, -st).
	Old       []int
	OldSignal syscall.Signal
	// BeforeSandbox runs last before files are out of reach; Ready once the
	// worker serves.
	BeforeSandbox func() error
	Ready         func()
	NoSandbox     bool
	// Strict is -dW: what the kernel lacks for the sandbox ends the start.
	Strict bool
	// Memory is -m, in MiB; 0: no limit.
	Memory int
	// Descriptors are those of [Settings.Descriptors].
	Descriptors map[int]int
	Debug       bool // shows every exchange on standard output
}

// process is the running worker.
type process struct {
	Options
	w       *stream.Worker
	signals chan os.Signal
	drained chan struct{}
	orphan  chan struct{}
	next    int // reactor for the next connection of the master
}

// Run serves until it is told to leave, and returns the exit code. A process
// that is to die of a signal does so and does not return.
func Run(o Options) int {
	p := &process{Options: o, signals: make(chan os.Signal, 16), drained: make(chan struct{}), orphan: make(chan struct{})}
	signal.Notify(p.signals, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTTOU, syscall.SIGTTIN)
	signal.Ignore(syscall.SIGPIPE)
	if err := p.start(); err != nil {
		o.Console.Alert("%v", err)
		return 1
	}
	if o.Ready != nil {
		o.Ready()
	}
	if o.Control != nil {
		if err := o.Control.Ready(version.Full()); err != nil {
			return 1
		}
	}
	return p.wait()
}

// start brings the worker to the point where it serves.
func (p *process) start() error {
	g := p.Snapshot.Global
	p.closeStray()
	if err := raiseLimits(p.Snapshot, p.Console); err != nil {
		return err
	}
	p.bindProcess()
	// As many as reactors: with one to spare, the monitor's regular preemption
	// lets another thread take a reactor over, which the slowest percent of
	// requests feels. What else there is to run gets its turn when a reactor
	// waits for longer than a moment, or is preempted.
	runtime.GOMAXPROCS(g.Threads)
	rs, err := p.openReactors()
	if err != nil {
		return err
	}
	p.w = stream.NewWorker(rs)
	p.w.Init()
	if p.Debug {
		p.w.Trace = os.Stdout
	}
	p.w.MaxConn.Store(int64(g.MaxConn))
	p.w.Announce = p.announce
	p.w.OnDrained = sync.OnceFunc(func() { close(p.drained) })
	p.runReactors()
	if err := p.bind(); err != nil {
		return err
	}
	life.Serve(p.w)
	if p.BeforeSandbox != nil {
		if err := p.BeforeSandbox(); err != nil {
			return err
		}
	}
	// Now, because who has changed its user may not signal them any more.
	for _, pid := range p.Old {
		syscall.Kill(pid, p.OldSignal)
	}
	life.Seal()
	if err := p.confine(); err != nil {
		return err
	}
	if p.Control != nil {
		if err := p.Control.serve(p.w.Reactors[0], p.attach, func() { close(p.orphan) }); err != nil {
			return fmt.Errorf("cannot listen to the master: %w", err)
		}
	}
	return nil
}

// closeStray closes descriptors that came along and that nothing in the
// configuration is about: what they are would be within reach for good.
func (p *process) closeStray() {
	for n, fd := range p.Descriptors {
		if !slices.Contains(conf.Descriptors.Value(p.Snapshot.Global), n) {
			syscall.Close(fd)
			delete(p.Descriptors, n)
		}
	}
}

// openReactors makes a reactor for each thread.
func (p *process) openReactors() ([]*reactor.Reactor, error) {
	g := p.Snapshot.Global
	set := said.Value(g)
	memory, err := p.limitMemory()
	if err != nil {
		return nil, err
	}
	var rs []*reactor.Reactor
	for i := range g.Threads {
		r, err := reactor.New(i, reactor.Linux, reactor.Options{BufSize: g.BufSize, MaxEvents: cmp.Or(set.pollEvents, defaultPollEvents)})
		if err != nil {
			return nil, fmt.Errorf("cannot start thread %d: %w", i+1, err)
		}
		r.NoTrim, r.Memory = set.noTrim, memory
		r.OnPanic = func(v any, stack []byte) { p.Console.Alert("a stream was given up: %v\n%s", v, stack) }
		rs = append(rs, r)
	}
	return rs, nil
}

// runReactors starts the threads. It returns when each is on its processors, which
// it could not choose in the sandbox any more.
func (p *process) runReactors() {
	var bound sync.WaitGroup
	for i, r := range p.w.Reactors {
		bound.Add(1)
		go func() {
			p.bindThread(i)
			bound.Done()
			r.Run()
		}()
	}
	bound.Wait()
}

// confine enters the sandbox.
func (p *process) confine() error {
	g := p.Snapshot.Global
	box := sandbox.Wanted(g)
	box.Off = p.NoSandbox
	state, err := sandbox.Enter(box)
	if err != nil {
		return fmt.Errorf("[forebay] %w", err)
	}
	for _, text := range state.Lacking {
		p.Console.Warn("%s", text)
	}
	if len(state.Lacking) > 0 && (p.Strict || g.ZeroWarning) {
		return errors.New("Some warnings were found and 'zero-warning' is set. Aborting.")
	}
	text := state.String()
	p.w.Sandbox.Store(&text)
	// A configuration that is applied later cannot make UNIX sockets.
	p.w.Confined.Store(!p.NoSandbox || box.Chroot != "")
	return nil
}

// announce says on standard error what became of a server.
func (p *process) announce(severity int, text string) {
	if severity == 0 {
		p.Console.Alert("%s", text)
		return
	}
	p.Console.Warn("%s", text)
}

// bindTries is how often a port that is taken is asked for again, with old
// processes told to let go of it.
const bindTries = 20

// bind opens the sockets. Old processes that hold them are paused for the
// moment (management.txt 4).
func (p *process) bind() error {
	var err error
	for try := range bindTries {
		if err = snapshot.Start(p.w, p.Snapshot, p.Inherited); err == nil {
			break
		}
		if len(p.Old) == 0 {
			break
		}
		if try == 0 {
			for _, pid := range p.Old {
				syscall.Kill(pid, syscall.SIGTTOU)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		for _, pid := range p.Old {
			syscall.Kill(pid, syscall.SIGTTIN)
		}
	}
	return err
}

// attach serves Runtime commands of the master.
func (p *process) attach(fd int) {
	r := p.w.Reactors[p.next%len(p.w.Reactors)]
	p.next++
	r.Post(func() {
		if runtimeapi.Attach(r, fd, runtimeapi.Worker, runtimeapi.Options{Worker: p.w, Level: runtimeapi.Admin, ExposeFD: true}, nil) != nil {
			syscall.Close(fd)
		}
	})
}

// wait handles signals until the worker is to leave.
func (p *process) wait() int {
	var hard <-chan time.Time
	for {
		select {
		case s := <-p.signals:
			switch s {
			case syscall.SIGTERM, syscall.SIGINT:
				die(s.(syscall.Signal))
				return 128 + int(s.(syscall.Signal))
			case syscall.SIGUSR1:
				if hard == nil {
					hard = p.stop()
				}
			case syscall.SIGHUP:
				p.dumpServers()
			case syscall.SIGQUIT:
				p.dumpMemory()
			case syscall.SIGTTOU:
				p.eachListener((*stream.Listener).Pause)
			case syscall.SIGTTIN:
				p.eachListener((*stream.Listener).Resume)
			}
		case <-p.drained:
			return 0
		case <-hard:
			p.Console.Warn("soft-stop running for too long, performing a hard-stop.")
			return 0
		case <-p.orphan:
			// Without its master nobody could reload or stop this process.
			return 1
		}
	}
}

// die ends the process by the signal it got, so that its parent sees which.
func die(s syscall.Signal) {
	signal.Reset(s)
	syscall.Kill(os.Getpid(), s)
	time.Sleep(time.Second) // not reached but where the signal is blocked
}

// stop begins the graceful stop and gives the time at which patience ends.
func (p *process) stop() <-chan time.Time {
	set := said.Value(p.w.Snapshot().Global)
	end := make(<-chan time.Time)
	if set.hardStopAfter > 0 {
		end = time.After(set.grace + set.hardStopAfter)
	}
	softStop := func() {
		for _, px := range p.w.Snapshot().Proxies {
			fe, be := connections(px)
			p.Console.Warn("Proxy %s stopped (cumulated conns: FE: %d, BE: %d).", px.Name, fe, be)
		}
		p.w.SoftStop()
		// The Runtime sockets too: they are those of the process that follows.
		p.w.Mu.Lock()
		for key, l := range p.w.Listeners {
			l.Close(nil)
			delete(p.w.Listeners, key)
		}
		p.w.Mu.Unlock()
		// Their sockets would go on to take connections that nobody serves.
		for _, fd := range p.Descriptors {
			syscall.Close(fd)
		}
		p.Descriptors = nil
	}
	if set.grace > 0 {
		time.AfterFunc(set.grace, softStop)
	} else {
		softStop()
	}
	return end
}

func (p *process) eachListener(f func(*stream.Listener)) {
	p.w.Mu.Lock()
	defer p.w.Mu.Unlock()
	for _, l := range p.w.Listeners {
		if l.Bind.Load().Handler == nil {
			f(l)
		}
	}
}
