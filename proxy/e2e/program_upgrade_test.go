package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// installCopy makes a copy of a program that can be replaced, as a package does.
func installCopy(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".new", text, 0o755)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpgradeUnderLoad replaces the program on the disk while requests flow:
// master and worker are of the new one after one reload, the master in the same
// process, not one request fails, and reloads are in place again.
func TestUpgradeUnderLoad(t *testing.T) {
	app := newOrigin(t, "app")
	dir := scratch(t)
	program := filepath.Join(dir, "forebay")
	installCopy(t, forebay, program)
	s := shop{web: address(t), origin: app.addr, threads: 2, timeout: 30}
	p := serveIn(t, program, dir, s.text(), "-W")
	l := startLoad(p, s.web, 32)
	master := p.cmd.Process.Pid
	worker := p.worker()
	for i := range 6 {
		installCopy(t, forebay, program)
		if i%2 == 0 {
			if r := p.askMaster("reload"); !strings.HasPrefix(r, "Success=1") || !strings.Contains(r, "The master runs the new program") {
				t.Fatalf("reload: %s", r)
			}
		} else {
			p.hangUp(syscall.SIGUSR2)
		}
		now := p.worker()
		if now == worker {
			t.Errorf("worker %s goes on after the upgrade", now)
		}
		worker = now
		for _, pid := range []string{worker, fmt.Sprint(master)} {
			if exe, err := os.Readlink("/proc/" + pid + "/exe"); err != nil || exe != program {
				t.Errorf("process %s runs %s, %v", pid, exe, err)
			}
		}
		s.timeout = 31 + i
		configure(t, dir, s.text())
		if r := p.askMaster("reload"); !strings.HasPrefix(r, "Success=1") || !strings.Contains(r, "Applied in place by worker ("+worker+")") {
			t.Errorf("a reload after the upgrade: %s", r)
		}
	}
	until(t, "the old workers leave", func() bool { _, old := p.workers(); return len(old) == 0 })
	if r := p.askMaster("show proc"); !strings.Contains(r, fmt.Sprintf("\n%d ", master)) || !strings.Contains(r, "12 [failed: 0]") {
		t.Errorf("show proc: %s", r)
	}
	t.Logf("%d requests over 6 upgrades", l.finish())
	p.noServerErrors()
}
