package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/version"
)

func TestExitCodes(t *testing.T) {
	s := newSite(t)
	bad, empty := filepath.Join(s.dir, "bad.cfg"), filepath.Join(s.dir, "empty.cfg")
	os.WriteFile(bad, []byte("global\n  zzz\nfrontend f\n  bond :1\n"), 0o600)
	os.WriteFile(empty, nil, 0o600)
	dump, name := filepath.Join(s.dir, "dump.cfg"), filepath.Join(s.dir, "name.cfg")
	os.WriteFile(dump, []byte("# c\nglobal\n  maxconn   10 # x\n\n.if streq(a,b)\n  zzz\n.endif\nfrontend f\n bind :9 name \"a b\"\n   no option httplog\n"), 0o600)
	os.WriteFile(name, []byte("listen l\n  mode tcp\n  bind 127.0.0.1:9\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n  server s nowhere.invalid:80\n"), 0o600)
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"-v", 0, []string{"Forebay version " + version.Full() + " " + version.Date() + " (compatible with HAProxy 3.4)\n"}},
		{"-vv", 0, []string{"Forebay version " + version.Full() + " ", "Build options :"}},
		{"-vq", 0, []string{version.Full() + "\n"}},
		{"-vqs", 0, []string{"3.4.0\n"}},
		{"-vqb", 0, []string{"3.4\n"}},
		{"-h", 0, []string{"Forebay version ", "Usage : forebay"}},
		{"-dC -f " + dump, 0, []string{"global \n\tmaxconn 10 \nfrontend f \n\tbind :9 name a b \n\tno option httplog \n"}},
		{"-dC -f " + s.dir + "/none", 1, []string{"no such file"}},
		{"-c -q -dL -f " + s.cfg, 0, []string{"/forebay.test\n"}},
		{"-c -q -dL -f " + bad, 1, nil},
		{"-c -f " + name, 1, []string{"could not resolve address 'nowhere.invalid'"}},
		{"-c -dr -f " + name, 0, []string{"could not resolve address 'nowhere.invalid', disabling server."}},
		{"-de -f " + s.cfg, 1, []string{"'-de' : epoll is the only poller"}},
		{"-c -f " + s.cfg, 0, nil},
		{"-c -V -f " + s.cfg, 0, []string{"Configuration file is valid\n"}},
		{"-c -V -q -f " + bad, 1, nil},
		{"-c -f " + bad, 1, []string{"[ALERT]    (", "config : parsing [" + bad + ":2] : unknown keyword 'zzz' in 'global' section", bad + ":4] : unknown keyword 'bond'", "did you mean 'bind' maybe ?", "config : Fatal errors found in configuration.\n"}},
		{"-c -f /nonexistent", 1, []string{"config : Cannot open configuration file/directory /nonexistent : no such file or directory"}},
		{"-C /nonexistent -f x", 1, []string{"Could not change to directory /nonexistent : no such file or directory"}},
		{"-c -f " + empty, 2, []string{"No enabled listener found"}},
		{"-cc streq(a,a)", 0, nil},
		{"-cc streq(a,b)", 1, nil},
		{"-cc bogus(", 2, []string{"Failed to evaluate condition"}},
		{"", 1, []string{"Usage : forebay"}},
		{"-Z", 1, []string{"Usage : forebay"}},
		{"-W -S /x,bogus -f " + s.cfg, 1, []string{"'bogus'", "Can't create the master's CLI"}},
		{"-dKcfg -q -c -f " + s.cfg, 0, []string{"bind"}},
	} {
		out, _ := command(strings.Fields(c.args)...).CombinedOutput()
		cmd := command(strings.Fields(c.args)...)
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s", c.args, got, c.code, out)
		}
		for _, w := range c.want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: no %q in\n%s", c.args, w, out)
			}
		}
		if c.want == nil && len(out) > 0 {
			t.Errorf("%s: should be silent, says\n%s", c.args, out)
		}
	}
}

// awaitServing waits until the program answers.
func awaitServing(t *testing.T, p *program, s *site) {
	t.Helper()
	for s.get(s.addr) != nil { // refused at once until it listens
		select {
		case <-p.ended:
			t.Fatalf("ended:\n%s", p.output())
		default:
		}
	}
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}, {syscall.SIGUSR1, 0}} {
		t.Run(c.signal.String(), func(t *testing.T) {
			s := newSite(t)
			p := launch(t, command("-db", "-f", s.cfg))
			awaitServing(t, p, s)
			p.signal(syscall.SIGHUP)
			p.await(1, "SIGHUP: Server app/s1 is UP.")
			p.signal(syscall.SIGQUIT)
			p.await(1, "SIGQUIT received")
			p.signal(c.signal)
			if got := p.exit(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
		})
	}
}

// TestSoftStopFinishes: a connection that is busy outlives SIGUSR1, and
// hard-stop-after ends one that does not end by itself.
func TestSoftStopFinishes(t *testing.T) {
	s := newSite(t)
	s.global = "  hard-stop-after 300ms"
	s.write()
	p := launch(t, command("-db", "-f", s.cfg))
	awaitServing(t, p, s)
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	for !strings.Contains(s.ask(s.stats, "show sess"), "be=app") {
	}
	p.signal(syscall.SIGUSR1)
	p.await(1, "performing a hard-stop")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestSandbox(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^(CapPrm|CapBnd|NoNewPrivs):\s*(\S+)$`).FindAllStringSubmatch(string(status), -1)
	for _, f := range m {
		v, _ := strconv.ParseUint(f[2], 16, 64)
		const bindService = 1 << 10
		if f[1] == "CapPrm" && v&^bindService != 0 || f[1] == "CapBnd" && v != 0 && os.Getuid() == 0 || f[1] == "NoNewPrivs" && v != 1 {
			t.Errorf("the worker has %s", f[0])
		}
	}
	if len(m) != 3 {
		t.Errorf("found only %v", m)
	}
}

func TestDaemon(t *testing.T) {
	for _, mode := range []string{"-D", "-W -D"} {
		t.Run(mode, func(t *testing.T) {
			s := newSite(t)
			pidfile := filepath.Join(s.dir, "pid")
			c := command(append(strings.Fields(mode), "-p", "pid", "-C", ".", "-f", "a.cfg")...)
			c.Dir = s.dir
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			b, err := os.ReadFile(pidfile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil {
				t.Fatal(err)
			}
			s.mustGet(s.addr) // it serves as soon as the command has returned
			syscall.Kill(pid, syscall.SIGTERM)
			for !gone(pid) {
			}
		})
	}
}

// gone tells whether a process has ended.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	// nobody reaps it in a container without init
	st, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Contains(string(st), ") Z ")
}

// load keeps requests coming until stopped, and counts those that failed.
func (s *site) load() (stop func() (good, bad int64)) {
	var good, bad atomic.Int64
	var first atomic.Value
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-quit:
					return
				default:
				}
				if err := s.get(s.addr); err != nil {
					bad.Add(1)
					first.CompareAndSwap(nil, err.Error())
				} else {
					good.Add(1)
				}
			}
		}()
	}
	return func() (int64, int64) {
		close(quit)
		wg.Wait()
		if e := first.Load(); e != nil {
			s.t.Log("first failure:", e)
		}
		return good.Load(), bad.Load()
	}
}

// TestTakeOver: -x and -sf hand the service to a new process without a request
// lost, and -sf alone makes the old one leave.
func TestTakeOver(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-db", "-f", s.cfg))
	awaitServing(t, p, s)
	stop := s.load()
	for range 3 {
		old := p
		p = launch(t, command("-db", "-f", s.cfg, "-x", s.stats, "-sf", strconv.Itoa(old.cmd.Process.Pid)))
		if code := old.exit(); code != 0 {
			t.Errorf("the old process: exit code %d", code)
		}
	}
	good, bad := stop()
	if bad > 0 || good == 0 {
		t.Errorf("%d requests failed, %d did not", bad, good)
	}
}

func TestPortTaken(t *testing.T) {
	s := newSite(t)
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, mode := range []string{"-db", "-W"} {
		cmd := command(mode, "-f", s.cfg)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "cannot bind socket") {
			t.Errorf("%s: exit code %d:\n%s", mode, cmd.ProcessState.ExitCode(), out)
		}
	}
}
