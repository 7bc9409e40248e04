package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience ends a test that waits for what does not come.
const patience = 60 * time.Second

// until polls for what has no event to wait for: a socket that comes up, a
// counter in another process.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited too long: %s", what)
		}
	}
}

// nextPort walks below the ports that the kernel gives to outgoing connections:
// one of those could be taken between the choice and the bind.
var nextPort atomic.Int32

func init() { nextPort.Store(10000 + rand.Int32N(20000)) }

// port chooses a free TCP port of 127.0.0.1.
func port(t *testing.T) int {
	t.Helper()
	for range 1000 {
		p := 10000 + int(nextPort.Add(1))%20000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err == nil {
			l.Close()
			return p
		}
	}
	t.Fatal("no free port")
	return 0
}

// address chooses a free one.
func address(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", port(t))
}

// scratch makes a folder with a path short enough for UNIX sockets, open to
// workers that change their user.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write makes a file and gives its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// program is one that runs in the background.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	mu    sync.Mutex
	text  strings.Builder
	more  chan struct{} // receives after new lines
	ended chan struct{}
}

// start runs a program until the test ends, and keeps what it says.
func start(t *testing.T, path string, args ...string) *program {
	t.Helper()
	return launch(t, exec.Command(path, args...))
}

func launch(t *testing.T, c *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: c, more: make(chan struct{}, 1), ended: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = w, w
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children can be ended too
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		defer r.Close()
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.mu.Lock()
			p.text.WriteString(s.Text() + "\n")
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
	}()
	go func() {
		c.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.stop)
	return p
}

// stop ends it, and fails the test for what should never be seen.
func (p *program) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.t.Errorf("%s does not end", p.cmd.Path)
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
	text := p.output()
	for _, bad := range []string{"panic:", "goroutine 1 [", "DATA RACE", "fatal error:"} {
		if strings.Contains(text, bad) {
			p.t.Errorf("%s said %q", p.cmd.Path, bad)
		}
	}
	if p.t.Failed() {
		if len(text) > 20000 {
			text = text[:4000] + "\n…\n" + text[len(text)-16000:]
		}
		p.t.Logf("%s %s said:\n%s", filepath.Base(p.cmd.Path), strings.Join(p.cmd.Args[1:], " "), text)
	}
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// await waits until a text was said n times.
func (p *program) await(n int, text string) {
	p.t.Helper()
	late := time.After(patience)
	for strings.Count(p.output(), text) < n {
		select {
		case <-p.more:
		case <-time.After(50 * time.Millisecond): // the end may come before the last line
			select {
			case <-p.ended:
				if strings.Count(p.output(), text) < n {
					p.t.Fatalf("%s ended without saying %q:\n%s", p.cmd.Path, text, p.output())
				}
			default:
			}
		case <-late:
			p.t.Fatalf("%s did not say %q:\n%s", p.cmd.Path, text, p.output())
		}
	}
}

// exit waits for the end and gives the exit code, or 128 and the signal.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end:\n%s", p.cmd.Path, p.output())
	}
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *program) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// result runs a program to its end.
func result(t *testing.T, path string, args ...string) (code int, output string) {
	t.Helper()
	c := exec.Command(path, args...)
	b, err := c.CombinedOutput()
	if _, is := err.(*exec.ExitError); err != nil && !is {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(b)
}

// sh runs commands as a user would type them.
func sh(t *testing.T, commands string) string {
	t.Helper()
	c := exec.Command("bash", "-e", "-o", "pipefail", "-c", commands)
	var errs strings.Builder
	c.Stderr = &errs
	b, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s\n%s", err, commands, b, errs.String())
	}
	return string(b)
}
