package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestConfined: a worker without a user's rights, in a root folder where there
// is nothing, still takes configurations, opens a port below 1024, and is
// replaced.
func TestConfined(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changing the user needs root")
	}
	s := newSite(t)
	empty, err := os.MkdirTemp("", "fb-empty")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(empty) })
	s.global = "  user nobody\n  group nogroup\n  chroot " + empty
	s.write()
	c := command("-W", "-S", s.control, "-f", s.cfg)
	c.Path = build(t, s.dir)
	p := launch(t, c)
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	check := func(pid string) {
		t.Helper()
		if root, _ := os.Readlink("/proc/" + pid + "/root"); root != empty {
			t.Errorf("its root folder is %s", root)
		}
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		for _, want := range []string{`Uid:\s65534\s65534\s65534\s65534`, `Gid:\s65534\s65534\s65534\s65534`, `Groups:\s*\n`, `CapEff:\s0000000000000400\n`} {
			if !regexp.MustCompile(`(?m)^` + want).Match(status) {
				t.Errorf("its status does not say %s:\n%s", want, status)
			}
		}
	}
	check(pid)
	s.mustGet(s.addr)

	s.extra = "frontend low\n  bind 127.0.0.83:83\n  default_backend app\n"
	s.write()
	if got := s.ask(s.control, "reload"); !strings.Contains(got, "Applied in place") {
		t.Errorf("reload:\n%s", got)
	}
	s.mustGet("127.0.0.83:83")
	s.global += "\n  nbthread 1"
	s.write()
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("reload:\n%s", got)
	}
	p.await(1, "Former worker ("+pid+") exited with code 0")
	now, _ = s.workers()
	check(one(t, now))
	s.mustGet("127.0.0.83:83")
}

// TestOldKernel: what the kernel lacks for the sandbox is named in the log and in
// "show info"; who wants no start with warnings gets none.
func TestOldKernel(t *testing.T) {
	for _, c := range []struct{ lacks, text, info string }{
		{"", "", `Landlock \d+, seccomp`},
		{"landlock", "the kernel has no Landlock", "no Landlock, seccomp"},
		{"seccomp", "the kernel cannot limit the system calls", `Landlock \d+, no seccomp`},
	} {
		for _, mode := range []string{"-db", "-W"} {
			s := newSite(t)
			run := func(args ...string) *exec.Cmd {
				c2 := command(append([]string{mode, "-f", s.cfg}, args...)...)
				c2.Env = append(c2.Env, oldKernel+"="+c.lacks)
				return c2
			}
			p := launch(t, run("-S", s.control))
			if c.text != "" {
				p.await(1, c.text)
			}
			p.serves(s)
			if got := s.ask(s.stats, "show info"); !regexp.MustCompile(`(?m)^Sandbox: ` + c.info + `$`).MatchString(got) {
				t.Errorf("%s %s: show info:\n%s", mode, c.lacks, got)
			}
			p.signal(syscall.SIGTERM)
			p.exit()
			if c.lacks == "" {
				continue
			}
			for _, strict := range []string{"-dW", "zero-warning"} {
				cmd := run(strict)
				if strict == "zero-warning" {
					cmd = run()
					s.global = "  zero-warning"
					s.write()
				}
				out, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(out), c.text) || !strings.Contains(string(out), "'zero-warning' is set. Aborting.") {
					t.Errorf("%s %s: %v\n%s", mode, strict, err, out)
				}
			}
		}
	}
}

// build makes the program as it is shipped, without cgo: in a test with the race
// detector, which needs cgo, no system call reaches all threads once there is no
// /proc.
func build(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(dir, "forebay")
	c := exec.Command("go", "build", "-o", out, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// TestTerminal: what the terminal sends reaches the master alone, which then
// ends the worker in order.
func TestTerminal(t *testing.T) {
	s := newSite(t)
	c := command("-W", "-S", s.control, "-f", s.cfg)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := launch(t, c)
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid, _ := strconv.Atoi(one(t, now))
	syscall.Kill(-c.Process.Pid, syscall.SIGINT)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("the worker is still there")
	}
}
