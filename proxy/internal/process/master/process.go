package master

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
)

// process is one worker. Its fields but the channels are guarded by the
// master's mu once it is listed.
type process struct {
	pid     int
	control *worker.Control
	started time.Time
	version string
	image   image // of the program that it runs
	reloads int   // how many it has survived
	leaving bool  // another has taken its place
	listed  bool
	ready   chan struct{} // closed when it serves
	exited  chan struct{} // closed when it has ended
	code    int           // exit code, once exited
	reason  string
}

// spawn starts a worker, with what another one has left. The sockets are closed
// here afterwards; descriptors, which the master was started with, stay open for
// the next worker.
func (m *Master) spawn(b *bundle.Bundle, descriptors []int, sockets []worker.Socket, legacies map[string][]byte, old []int, oldSignal syscall.Signal) (*process, error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	set := m.o.Settings
	set.Descriptors = make(map[int]int)
	o := worker.Order{Settings: set, Bundle: *b, Quiet: m.o.Console.Quiet, Daemon: m.o.Daemon, NoSandbox: m.o.NoSandbox, Old: old, OldSignal: int(oldSignal), Secret: m.secret, Legacies: legacies}
	for _, s := range sockets {
		o.Sockets = append(o.Sockets, s.Key)
	}
	passed := sockets
	for _, number := range descriptors {
		fd, ok := m.o.Settings.Descriptors[number]
		if !ok || set.Descriptors[number] != 0 {
			continue
		}
		if n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			set.Descriptors[number] = worker.SocketsFD + len(passed)
			passed = append(passed, worker.Socket{FD: n})
		}
	}
	control, end, err := worker.ControlPair()
	if err != nil {
		closeSockets(passed)
		return nil, err
	}
	files = append(files, end)
	order, err := memory(o)
	if err != nil {
		control.Close()
		closeSockets(passed)
		return nil, fmt.Errorf("cannot keep the configuration for the worker: %w", err)
	}
	files = append(files, order)
	for _, s := range passed {
		files = append(files, os.NewFile(uintptr(s.FD), s.Key))
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{os.Args[0]}
	cmd.Env = append(withoutVariable(os.Environ(), worker.Variable), worker.Variable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	// A group of its own: what the terminal sends (Ctrl-C) goes to the master,
	// which tells its workers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := unmasked(cmd.Start); err != nil {
		control.Close()
		return nil, fmt.Errorf("cannot fork: %w", err)
	}
	p := &process{
		pid: cmd.Process.Pid, control: control, started: time.Now(), image: m.image,
		ready: make(chan struct{}), exited: make(chan struct{}),
	}
	m.o.Console.Notice("New worker (%d) forked", p.pid)
	m.follow(p, cmd.Process)
	return p, nil
}

// follow listens to a worker, and waits for its end.
func (m *Master) follow(p *process, child *os.Process) {
	gone := make(chan struct{})
	go func() {
		p.control.Follow(m.keep, func(version string) {
			p.version = version
			close(p.ready)
		})
		close(gone)
	}()
	go func() {
		state, err := child.Wait()
		<-gone // its last words first
		p.control.Close()
		p.code, p.reason = 1, "Unknown"
		if err == nil {
			p.code, p.reason = outcome(state)
		}
		close(p.exited)
		m.exits <- p
	}()
}

// ReadyTimeout is how long a new worker may take until it serves: then it is
// given up. It is long, since a worker that has begun to load is no harm, and
// files can be many.
var ReadyTimeout = 2 * time.Minute

// await waits until the worker serves. If it does not, it is gone afterwards.
func (p *process) await(who string) error {
	late := time.NewTimer(ReadyTimeout)
	defer late.Stop()
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return fmt.Errorf("%s (%d) exited with code %d (%s)", who, p.pid, p.code, p.reason)
	case <-late.C:
	}
	syscall.Kill(p.pid, syscall.SIGKILL)
	<-p.exited
	return fmt.Errorf("%s (%d) did not serve within %s and was ended", who, p.pid, ReadyTimeout)
}

// outcome gives the exit code as a shell would, and what it means.
func outcome(s *os.ProcessState) (int, string) {
	ws, ok := s.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int(ws.Signal()), signalName(ws.Signal())
	}
	code := s.ExitCode()
	if code > 128 && code < 160 {
		return code, signalName(syscall.Signal(code - 128))
	}
	return code, "Exit"
}

func signalName(s syscall.Signal) string {
	n := s.String()
	return strings.ToUpper(n[:1]) + n[1:]
}

// memory puts v into a file that has no name.
func memory(v any) (*os.File, error) {
	fd, err := unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "order")
	err = bundle.Encode(f, v)
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func closeSockets(list []worker.Socket) {
	for _, s := range list {
		unix.Close(s.FD)
	}
}

func withoutVariable(env []string, name string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return out
}
