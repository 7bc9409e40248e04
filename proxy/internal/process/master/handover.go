package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

// Variable is what tells the program that it is to take a master's place. Its
// value says how, and the descriptor of the estate.
const Variable = "FOREBAY_MASTER"

// Words of [Variable].
const (
	probe = "probe" // only tell whether it could
	take  = "take"
	begin = "begin" // be the first master, see again
)

// format is that of the estate. It changes when an older program must not read a
// newer estate, or the other way round; fields that are added are no reason.
const format = 1

// estate is what a master leaves to the program that takes its place in the same
// process. Descriptors are open in both.
type estate struct {
	Format    int
	Options   bequest
	Path      string
	Version   string // of the program before
	Started   time.Time
	Secret    []byte
	Reloads   int
	Failed    int
	Stopping  bool
	Quiet     bool
	Workers   []heir
	Listeners map[string][]int // of the master sockets, by the binds' keys
	Clients   []visitor
	Notify    int // descriptor, 0: none
	Reload    bool
	Hard      bool
	Signals   []int // that an older program has taken and not obeyed
}

// bequest is Options as far as they go on.
type bequest struct {
	Files                []string
	Settings             worker.Settings
	Binds                []string
	Notify, Diag, Strict bool
	NoSandbox, Daemon    bool
	MaxReloads           int
	TakeFrom, PidFile    string
}

// heir is a worker.
type heir struct {
	PID     int
	Control int // descriptor
	Started time.Time
	Version string
	Image   image
	Reloads int
	Leaving bool
}

// visitor is a client of the master socket.
type visitor struct {
	FD    int
	PID   int // see client
	State runtimeapi.State
}

const (
	// probeTime is how long a new program may take to say that it can.
	probeTime = 10 * time.Second
	// clientTime is how long commands that run are waited for.
	clientTime = 5 * time.Second
)

// handOver puts the program on the disk in the place of this one, in the same
// process, if it is another: with the workers, the sockets, and the clients of
// the master socket. Then it does not return. An error says why that could not
// be; nothing has changed then.
func (m *Master) handOver(hard, again bool) error {
	if !m.changed() {
		return nil
	}
	next := imageOf(m.path)
	if err := m.probe(); err != nil {
		return fmt.Errorf("the new program %s does not take over: %w", m.path, err)
	}
	end := time.Now().Add(clientTime)
	for {
		done := make(chan error)
		attempt := func() {
			if m.cli != nil {
				m.cli.holding = true
				if m.cli.busy() && time.Now().Before(end) {
					done <- nil
					return
				}
			}
			done <- m.become(next, hard, again)
		}
		if m.cli != nil {
			m.cli.r.Post(attempt)
		} else {
			go attempt()
		}
		if err := <-done; err != nil {
			if m.cli != nil {
				m.cli.r.Post(m.cli.release)
			}
			return fmt.Errorf("cannot execute the new program %s: %w", m.path, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// probe asks the program on the disk whether it could take over. Its arguments
// are harmless to programs that do not know the question.
func (m *Master) probe() error {
	m.mu.Lock()
	e := m.estate()
	m.mu.Unlock()
	f, err := memory(e)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.path, "-v")
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(withoutVariable(os.Environ(), Variable), Variable+"="+probe+":3")
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{&out}, &limited{&errs}
	if err = unmasked(cmd.Start); err == nil {
		err = cmd.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("it did not answer within %s", probeTime)
	case err != nil:
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return cause(err)
		}
		_, reason := outcome(exit.ProcessState)
		if reason == "Exit" {
			reason = exit.Error()
		}
		if text := firstLine(errs.String()); text != "" {
			reason += ": " + text
		}
		return errors.New(reason)
	case !strings.HasPrefix(out.String(), probeAnswer):
		return fmt.Errorf("it answers %q, which is not what this program's next version would", firstLine(out.String()))
	}
	return nil
}

// probeAnswer is what a program says that can take over.
const probeAnswer = "takes over: "

// limited is a buffer for what may have no end.
type limited struct{ b *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(0, 4096-l.b.Len()))])
	return len(p), nil
}

// cause gives the last error of a chain: what the system said.
func cause(err error) error {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return err
}

// estate gives what is to be left, without the descriptors. The caller holds mu.
func (m *Master) estate() *estate {
	return &estate{
		Format: format, Path: m.path, Version: version.Full(), Started: m.started, Secret: m.secret,
		Reloads: m.reloads, Failed: m.failed, Stopping: m.stopping, Quiet: m.o.Console.Quiet, Options: bequestOf(m.o),
	}
}

func bequestOf(o Options) bequest {
	return bequest{Files: o.Files, Settings: o.Settings, Binds: o.Binds, Notify: o.Notify, Diag: o.Diag, Strict: o.Strict,
		NoSandbox: o.NoSandbox, Daemon: o.Daemon, MaxReloads: o.MaxReloads, TakeFrom: o.TakeFrom, PidFile: o.PidFile}
}

// options gives them back, and makes them hold for this program.
func (b bequest) options(con *console.Console) Options {
	if n := b.Settings.Memory; n > 0 {
		debug.SetMemoryLimit(int64(n) << 20)
	}
	for _, fd := range b.Settings.Descriptors {
		unix.CloseOnExec(fd)
	}
	return Options{
		Files: b.Files, Settings: b.Settings, Console: con, Binds: b.Binds, Notify: b.Notify, Diag: b.Diag, Strict: b.Strict,
		NoSandbox: b.NoSandbox, Daemon: b.Daemon, MaxReloads: b.MaxReloads, TakeFrom: b.TakeFrom, PidFile: b.PidFile,
	}
}

// become executes the program on the disk in this process. It runs on the
// reactor of the master socket, if there is one: nothing is received meanwhile.
func (m *Master) become(next image, hard, again bool) error {
	return m.quietly(func() error { return m.executeNext(next, hard, again) })
}

func (m *Master) executeNext(next image, hard, again bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return errors.New("the master is stopping")
	}
	e := m.estate()
	e.Reload, e.Hard = !again || m.asked.Load(), hard && !again
	keep := slices.Collect(maps.Values(m.o.Settings.Descriptors))
	for _, p := range m.workers {
		fd, err := p.control.Duplicate()
		if err != nil {
			continue // it has ended
		}
		defer unix.Close(fd)
		keep = append(keep, fd)
		e.Workers = append(e.Workers, heir{p.pid, fd, p.started, p.version, p.image, p.reloads, p.leaving})
	}
	if m.notify.c != nil {
		raw, err := m.notify.c.SyscallConn()
		if err != nil {
			return err
		}
		raw.Control(func(n uintptr) { e.Notify = int(n) })
		keep = append(keep, e.Notify)
	}
	if m.cli != nil {
		e.Listeners = make(map[string][]int)
		for _, l := range m.cli.open {
			fds := l.Descriptors()
			e.Listeners[l.Bind.Load().Key()] = fds
			keep = append(keep, fds...)
		}
		for k := range m.cli.clients {
			if k.movable() {
				e.Clients = append(e.Clients, visitor{FD: k.fd.Fd(), PID: k.pid, State: k.conn.State()})
				keep = append(keep, k.fd.Fd())
			}
		}
	}
	return execute(m.path, next, e, keep)
}

// execute becomes the program, with the descriptors.
func execute(path string, next image, e *estate, keep []int) error {
	f, err := memory(e)
	if err != nil {
		return err
	}
	defer f.Close()
	if imageOf(path) != next {
		return errors.New("it has changed again meanwhile")
	}
	return becomeProgram(path, take, f, keep)
}

// becomeProgram executes a program that reads f as the word says, with the
// descriptors.
func becomeProgram(path, word string, f *os.File, keep []int) error {
	keep = append(keep, int(f.Fd()))
	for _, fd := range keep {
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
	env := append(withoutVariable(os.Environ(), Variable), Variable+"="+word+":"+strconv.Itoa(int(f.Fd())))
	err := masked(func() error { return syscall.Exec(path, os.Args, env) })
	for _, fd := range keep {
		unix.CloseOnExec(fd)
	}
	return err
}

// Resume takes a master's place, as value (of [Variable]) says, and returns the
// exit code.
func Resume(value string) int {
	os.Unsetenv(Variable)
	con := console.New()
	word, number, _ := strings.Cut(value, ":")
	fd, err := strconv.Atoi(number)
	if err != nil {
		con.Alert("%s=%s makes no sense", Variable, value)
		return 1
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "estate")
	worker.NameProcess()
	if word == begin {
		return resumeStart(f, con)
	}
	var e estate
	err = bundle.Decode(f, &e)
	f.Close()
	if err == nil && e.Format != format {
		err = fmt.Errorf("its format is %d, not %d", e.Format, format)
	}
	if err != nil {
		con.Alert("cannot read what the running master (%s) leaves: %v", e.Version, err)
		return 1
	}
	if word == probe {
		fmt.Printf("%s%s\n", probeAnswer, version.Full())
		return 0
	}
	return succeed(&e, con)
}

// succeed is the master from here on.
func succeed(e *estate, con *console.Console) int {
	con.Quiet = e.Quiet
	if e.Options.Daemon {
		con.Out = nil
	}
	b := e.Options
	m := newMaster(b.options(con))
	m.path, m.image, m.started, m.secret = e.Path, imageOf("/proc/self/exe"), e.Started, e.Secret
	m.reloads, m.failed, m.stopping, m.announced = e.Reloads, e.Failed, e.Stopping, true
	if e.Notify > 0 {
		m.notify = inheritNotifier(e.Notify)
	}
	for _, h := range e.Workers {
		m.adopt(h)
	}
	var err error
	if m.cli, err = m.openCLI(inherit(e.Listeners)); err != nil {
		con.Alert("the master sockets are lost: %v", err) // the service is more
	}
	m.news = fmt.Sprintf("The master runs the new program: %s -> %s", e.Version, version.Full())
	m.cli.start()
	for _, v := range e.Clients {
		unix.CloseOnExec(v.FD)
		if m.cli != nil {
			m.cli.r.Post(func() { m.cli.resume(v) })
		} else {
			unix.Close(v.FD)
		}
	}
	switch {
	case e.Reload && e.Hard:
		go m.Reload(true, false)
	case e.Reload:
		m.want()
	}
	for _, n := range e.Signals {
		m.signals <- syscall.Signal(n)
	}
	return m.loop()
}

// inherit marks listening sockets so that workers do not get them.
func inherit(listeners map[string][]int) stream.Inherited {
	in := make(stream.Inherited)
	for key, fds := range listeners {
		for _, fd := range fds {
			unix.CloseOnExec(fd)
		}
		in[key] = fds
	}
	return in
}

// adopt takes on a worker that this process started as another program.
func (m *Master) adopt(h heir) {
	unix.CloseOnExec(h.Control)
	control, err := worker.OpenControl(h.Control)
	if err != nil {
		m.o.Console.Alert("worker (%d) is lost: %v", h.PID, err)
		return
	}
	child, err := os.FindProcess(h.PID)
	if err != nil {
		m.o.Console.Alert("worker (%d) is lost: %v", h.PID, err)
		control.Close()
		return
	}
	p := &process{
		pid: h.PID, control: control, started: h.Started, version: h.Version, image: h.Image, reloads: h.Reloads, leaving: h.Leaving,
		listed: true, ready: make(chan struct{}), exited: make(chan struct{}),
	}
	close(p.ready)
	m.workers = append(m.workers, p)
	m.follow(p, child)
}

// movable tells whether the next program can go on with a client. What is under
// TLS cannot be handed over.
func (k *client) movable() bool {
	return k.conn != nil && k.fd.TLS == nil && k.fd.IsOpen() && (k.still || k.conn.Idle())
}

// busy tells whether a command runs that is to be finished first.
func (c *cli) busy() bool {
	for k := range c.clients {
		if !k.still && (k.conn == nil || !k.conn.Idle()) {
			return true
		}
	}
	return false
}

// hold makes a client wait before a command while the program is replaced.
func (c *cli) hold(conn *runtimeapi.Conn) {
	if !c.holding {
		return
	}
	conn.Flush()
	k := clientOf(conn)
	for c.holding && !conn.Closed() {
		k.still = true
		k.wait.Wait(c.r, 0)
		k.still = false
	}
}

// release lets them go on.
func (c *cli) release() {
	c.holding = false
	for k := range c.clients {
		if k.still {
			k.wait.Notify()
		}
	}
}

// resume goes on with a client.
func (c *cli) resume(v visitor) {
	fd := &transport.Conn{}
	if err := c.r.Open(&fd.FD, v.FD, nil); err != nil {
		reactor.Linux.Close(v.FD)
		return
	}
	k := &client{fd: fd, pid: v.PID}
	c.clients[k] = true
	k.conn = runtimeapi.New(fd, c.set, c.options(v.State.Level))
	clients.Set(k.conn, k)
	k.conn.Resume(v.State)
	c.r.Go(func() {
		defer func() {
			delete(c.clients, k)
			fd.Close()
		}()
		k.conn.Serve()
	})
}
