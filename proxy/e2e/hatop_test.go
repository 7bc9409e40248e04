package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// screen is a terminal that a program runs in.
type screen struct {
	t      *testing.T
	tmux   string
	socket string
}

// openScreen runs a command in a terminal until the test ends.
func openScreen(t *testing.T, dir string, command ...string) *screen {
	t.Helper()
	s := &screen{t: t, tmux: tool(t, "tmux"), socket: dir + "/tmux"}
	t.Cleanup(func() { exec.Command(s.tmux, "-S", s.socket, "kill-server").Run() })
	// What it says last stays to be seen.
	s.do("-f", "/dev/null", "new-session", "-d", "-x", "132", "-y", "40", strings.Join(command, " ")+"; echo ended with $?; read")
	return s
}

func (s *screen) do(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(s.tmux, append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %s: %v\n%s", args, err, out)
	}
	return string(out)
}

func (s *screen) keys(keys ...string) {
	s.t.Helper()
	s.do(append([]string{"send-keys"}, keys...)...)
}

// await waits until all texts are on the screen.
func (s *screen) await(texts ...string) {
	s.t.Helper()
	var seen string
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the screen:\n%s", seen)
		}
	}()
	until(s.t, fmt.Sprintf("the screen shows %q", texts), func() bool {
		seen = s.do("capture-pane", "-p")
		for _, want := range texts {
			if !strings.Contains(seen, want) {
				return false
			}
		}
		return true
	})
}

// TestHatop: hatop shows its screens, and its commands work.
func TestHatop(t *testing.T) {
	t.Parallel()
	app, web := newOrigin(t, "app"), address(t)
	p := serve(t, preface+fmt.Sprintf("frontend web\n    bind %s\n    default_backend app\nbackend app\n    server s1 %s\n    server s2 %s weight 7\n", web, app.addr, app.addr))
	for range 5 {
		mustGet(t, web, "/", "app")
	}
	s := openScreen(t, p.dir, tool(t, "hatop"), "-s", p.stats)
	s.await("Forebay Version: "+p.info("Version")[:5], "(released", "PID: "+p.info("Pid"), ">>> web", ">>> app", "FRONTEND", "s2", "BACKEND", "OPEN")
	s.keys("2")
	s.await("LBTOT", "BOUT", ">>> app")
	s.keys("3")
	s.await("2xx", ">>> web")
	s.keys("4")
	s.await("ERRORS", ">>> web")
	s.keys("5")
	s.await("Welcome on the embedded interactive HAProxy shell")
	s.keys("get weight app/s2", "Enter")
	s.await("7 (initial 7)")
	s.keys("M-1")
	s.await(">>> web", "FRONTEND")
	s.keys("q")
	s.await("ended with 0")
}
