package master

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
)

// Options are what a master begins with.
type Options struct {
	Program   string   // the path of this program, see [Program]
	Files     []string // of the command line, read again at each reload
	Settings  worker.Settings
	Console   *console.Console
	Binds     []string // -S
	Notify    bool     // -Ws
	Diag      bool
	Strict    bool // -dW
	PidFile   string
	Old       []int // -sf, -st
	OldSignal syscall.Signal
	TakeFrom  string // -x
	NoSandbox bool
	Daemon    bool
	Ready     func() // is called once, when the first worker serves
	First     *bundle.Bundle
	// Descriptors are those of [worker.Settings] that the configuration names.
	Descriptors []int
	MaxReloads  int
}

// Master supervises workers.
type Master struct {
	o       Options
	notify  notifier
	started time.Time
	path    string // of the program, "" if that is not known
	image   image  // of the program that runs
	cli     *cli   // nil without -S
	exits   chan *process
	wanted  chan bool   // rings when asked is set
	asked   atomic.Bool // a reload by a signal; any that begins afterwards will do
	secret  []byte      // see worker.Order

	waiting syscall.RawConn // signals that the kernel holds, nil if it does not
	taking  sync.Mutex      // from when one of these is read until it is obeyed
	signals chan os.Signal  // the others
	calls   chan func()     // for who obeys those

	reloading sync.Mutex // one reload at a time; it guards the next three
	announced bool       // the service manager knows of the reload that is to come
	news      string     // to be told with it
	known     *known     // nil: the files are to be loaded here first

	mu       sync.Mutex
	workers  []*process // the newest first
	reloads  int        // since the start
	failed   int        // reloads in a row that failed
	stopping bool
	log      bytes.Buffer // messages of the latest start or reload
}

// maxLog bounds the messages kept for "show startup-logs", in bytes.
const maxLog = 1 << 20

// Run is the master; it returns the exit code. The process executes this program
// once more for it, with signals blocked, see [held]; a daemon is started so.
func Run(o Options) int {
	if !holding() && !o.Daemon {
		o.Console.Warn("cannot block signals: one that comes in the moment of an upgrade can be lost: %v", again(o))
	}
	m := newMaster(o)
	m.started, m.secret = time.Now(), make([]byte, life.SecretSize)
	rand.Read(m.secret)
	m.path, m.image = o.Program, imageOf("/proc/self/exe")
	if err := m.begin(); err != nil {
		o.Console.Alert("%v", err)
		m.killAll(syscall.SIGTERM)
		return 1
	}
	return m.loop()
}

func newMaster(o Options) *Master {
	m := &Master{o: o, exits: make(chan *process, 16), wanted: make(chan bool, 1), signals: make(chan os.Signal, 64), calls: make(chan func())}
	var err error
	if m.waiting, err = openHeld(); err != nil {
		o.Console.Warn("cannot read signals: %v", err) // these wait for ever
	}
	m.catch()
	signal.Ignore(syscall.SIGPIPE)
	return m
}

// begin starts the first worker and waits until it serves.
func (m *Master) begin() error {
	var err error
	if m.o.Notify {
		if m.notify, err = openNotifier(); err != nil {
			m.o.Console.Warn("cannot notify systemd: %v", err)
		}
	}
	if err := WritePID(m.o.PidFile); err != nil {
		return err
	}
	if m.cli, err = m.openCLI(nil); err != nil {
		return err
	}
	var sockets []worker.Socket
	if m.o.TakeFrom != "" && m.o.TakeFrom != "/dev/null" {
		if sockets, err = worker.FetchFrom(m.o.TakeFrom); err != nil {
			return fmt.Errorf("failed to get the sockets from the old process (%s): %w", m.o.TakeFrom, err)
		}
	}
	m.reloading.Lock() // whoever is told of the success may reload at once
	defer m.reloading.Unlock()
	m.o.Console.Tap(m.keep)
	defer m.o.Console.Tap(nil)
	p, err := m.spawn(m.o.First, m.o.Descriptors, sockets, nil, m.o.Old, m.o.OldSignal)
	if err != nil {
		return err
	}
	m.known, m.o.First = knownOf(m.o.First), nil
	if err := p.await("current worker"); err != nil {
		return err
	}
	m.mu.Lock()
	m.list(p)
	m.mu.Unlock()
	m.cli.start()
	m.o.Console.Notice("Loading success.")
	m.notify.ready()
	m.o.Ready()
	debug.FreeOSMemory() // what loading took is the worker's now
	return nil
}

// keep adds to the messages of the latest start or reload.
func (m *Master) keep(line string) {
	m.mu.Lock()
	if m.log.Len()+len(line) <= maxLog {
		m.log.WriteString(line)
	}
	m.mu.Unlock()
}

// list puts a worker in charge. The caller holds mu.
func (m *Master) list(p *process) {
	p.listed = true
	m.workers = append([]*process{p}, m.workers...)
}

// current is the worker in charge, nil if there is none.
func (m *Master) current() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.workers {
		if !p.leaving {
			return p
		}
	}
	return nil
}

// loop handles the ends of workers until none is left, and meanwhile signals.
func (m *Master) loop() int {
	go func() {
		for range m.wanted {
			if m.asked.Load() {
				m.Reload(false, false)
			}
		}
	}()
	m.listen()
	code := 0
	for p := range m.exits {
		if p != nil {
			m.ended(p, &code)
		}
		if left, stopping := m.left(); left == 0 && stopping {
			m.o.Console.Warn("All workers exited. Exiting... (%d)", code)
			break
		}
	}
	return code
}

// want asks for a reload. One that has not begun will read the newest files: it
// does for several.
func (m *Master) want() {
	m.asked.Store(true)
	select {
	case m.wanted <- true:
	default:
	}
}

// obey does what a signal says, without waiting.
func (m *Master) obey(s syscall.Signal) {
	switch s {
	case syscall.SIGUSR2, syscall.SIGHUP:
		m.want()
	case syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT:
		if !m.stop() || s != syscall.SIGUSR1 {
			m.o.Console.Warn("Exiting Master process...")
			m.killAll(s)
		}
		select {
		case m.exits <- nil: // for a master without workers
		default: // others have ended, and it looks then
		}
	case syscall.SIGTTIN, syscall.SIGTTOU:
		m.killAll(s)
	case syscall.SIGQUIT:
		if p := m.current(); p != nil {
			syscall.Kill(p.pid, syscall.SIGQUIT)
		}
	}
}

// stop notes that the end has begun, and returns whether it had before.
func (m *Master) stop() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.stopping
	m.stopping = true
	if !was {
		m.notify.stopping()
	}
	return was
}

func (m *Master) left() (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.workers), m.stopping
}

// killAll signals all workers.
func (m *Master) killAll(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.workers {
		syscall.Kill(p.pid, s)
	}
}

// ended takes a worker off the list. If it was in charge and nobody told it to
// leave, the service has failed: the others go too, and the master with its
// code.
func (m *Master) ended(p *process, code *int) {
	m.mu.Lock()
	listed := p.listed
	m.workers = slices.DeleteFunc(m.workers, func(q *process) bool { return q == p })
	leaving, stopping := p.leaving, m.stopping
	m.mu.Unlock()
	say := m.o.Console.Alert
	if p.code == 0 {
		say = func(format string, args ...any) { m.o.Console.Notice(format, args...) }
	}
	switch {
	case !listed: // never served; who started it reports that
	case leaving:
		m.o.Console.Warn("Former worker (%d) exited with code %d (%s)", p.pid, p.code, p.reason)
	case stopping:
		say("Current worker (%d) exited with code %d (%s)", p.pid, p.code, p.reason)
	default:
		m.o.Console.Alert("Current worker (%d) exited with code %d (%s)", p.pid, p.code, p.reason)
		m.o.Console.Alert("exit-on-failure: killing every processes with SIGTERM")
		*code = p.code
		m.stop()
		m.killAll(syscall.SIGTERM)
	}
}
