package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/process/master"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
	"golang.org/x/sys/unix"
)

// asProgram makes the test binary behave as the program, so that the tests need
// no build of their own and see the race detector in it.
const asProgram = "FOREBAY_TEST_PROGRAM"

// Variables of the program under test.
const (
	hangIf      = "FOREBAY_TEST_HANG"  // workers hang while this file is there
	readyWithin = "FOREBAY_TEST_READY" // for master.ReadyTimeout
)

// oldKernel names what the kernel shall lack for the program.
const oldKernel = "FOREBAY_TEST_LACKS"

func TestMain(m *testing.M) {
	switch os.Getenv(oldKernel) {
	case "landlock":
		workertest.OldKernel(unix.SYS_LANDLOCK_CREATE_RULESET)
	case "seccomp":
		workertest.OldKernel(unix.SYS_SECCOMP)
	}
	if os.Getenv(asProgram) != "" || os.Getenv(worker.Variable) != "" || os.Getenv(master.Variable) != "" {
		if name := os.Getenv(hangIf); os.Getenv(worker.Variable) != "" && name != "" {
			if _, err := os.Stat(name); err == nil {
				select {}
			}
		}
		if d, err := time.ParseDuration(os.Getenv(readyWithin)); err == nil {
			master.ReadyTimeout = d
		}
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// patience ends tests that wait for what does not come.
const patience = 60 * time.Second

// program is a running forebay.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	mu    sync.Mutex
	text  strings.Builder
	more  chan struct{} // receives after new lines
	ended chan struct{}
}

// command makes the program with arguments.
func command(args ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

// launch runs the program in the background.
func launch(t *testing.T, c *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: c, more: make(chan struct{}, 1), ended: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		s := bufio.NewScanner(r)
		for s.Scan() {
			p.mu.Lock()
			p.text.WriteString(s.Text() + "\n")
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
		c.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(patience):
			c.Process.Kill()
			t.Errorf("does not end")
		}
		if t.Failed() {
			t.Logf("its output:\n%s", p.output())
		}
		if strings.Contains(p.output(), "DATA RACE") {
			t.Errorf("race:\n%s", p.output())
		}
	})
	return p
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// await waits for a text in the output, n times.
func (p *program) await(n int, text string) {
	p.t.Helper()
	late := time.After(patience)
	for strings.Count(p.output(), text) < n {
		select {
		case <-p.more:
		case <-p.ended:
			if strings.Count(p.output(), text) < n {
				p.t.Fatalf("ended without saying %q:\n%s", text, p.output())
			}
		case <-late:
			p.t.Fatalf("did not say %q:\n%s", text, p.output())
		}
	}
}

// exit waits for the end and gives the exit code (128 + the signal).
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("does not end:\n%s", p.output())
	}
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// site is a configuration on disk, with a server behind it.
type site struct {
	t              *testing.T
	dir, cfg       string
	addr, origin   string
	global, extra  string
	timeouts       string
	control, stats string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "fb") // short: UNIX sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello\n") }))
	t.Cleanup(o.Close)
	s := &site{t: t, timeouts: "10s", dir: dir, cfg: filepath.Join(dir, "a.cfg"), addr: freePort(t), origin: o.Listener.Addr().String(), control: filepath.Join(dir, "m"), stats: filepath.Join(dir, "s")}
	s.write()
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	return tcptest.Reserve(t).String()
}

func (s *site) write() {
	text := fmt.Sprintf("global\n  stats socket %s level admin expose-fd listeners\n%s\ndefaults\n  mode http\n  timeout client %s\n  timeout server %s\n  timeout connect 5s\nfrontend web\n  bind %s\n  default_backend app\nbackend app\n  server s1 %s\n%s\n", s.stats, s.global, s.timeouts, s.timeouts, s.addr, s.origin, s.extra)
	if err := os.WriteFile(s.cfg, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// get fetches the page through the proxy.
func (s *site) get(addr string) error {
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + addr + "/")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && string(b) != "hello\n" {
		err = fmt.Errorf("%s: %q", r.Status, b)
	}
	return err
}

func (s *site) mustGet(addr string) {
	s.t.Helper()
	if err := s.get(addr); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends one line to a socket and gives the reply.
func (s *site) ask(socket, text string) string {
	s.t.Helper()
	b, err := s.try(socket, text)
	if err != nil {
		s.t.Fatalf("%s: %v after %q", text, err, b)
	}
	return b
}

// try is ask of a process that may be about to end.
func (s *site) try(socket, text string) (string, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, text)
	b, err := io.ReadAll(c)
	return string(b), err
}

// workers gives the pids of "show proc": in charge, and leaving.
func (s *site) workers() (now, old []string) {
	s.t.Helper()
	into := &now
	for _, l := range strings.Split(s.ask(s.control, "show proc"), "\n") {
		if f := strings.Fields(l); strings.HasPrefix(l, "# old") {
			into = &old
		} else if len(f) > 2 && f[1] == "worker" {
			*into = append(*into, f[0])
		}
	}
	return now, old
}

func one(t *testing.T, list []string) string {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("want one worker, got %v", list)
	}
	return list[0]
}

// serves waits until the stats socket answers.
func (p *program) serves(s *site) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", s.stats)
		if err == nil {
			fmt.Fprintln(c, "show info")
			b, _ := io.ReadAll(c)
			c.Close()
			if strings.Contains(string(b), "\nSandbox: ") {
				return
			}
		}
		if time.Now().After(end) {
			p.t.Fatalf("does not serve:\n%s", p.output())
		}
	}
}
