package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// haproxy gives the path of the real thing.
func haproxy(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("HAPROXY"), "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"} {
		if _, err := os.Stat(p); p != "" && err == nil {
			return p
		}
	}
	t.Fatal("no haproxy: install the distribution's package (make deps)")
	return ""
}

// TestTakeOverHAProxy: -x gets the sockets from a running HAProxy, and HAProxy
// gets them from us, with no request lost.
func TestTakeOverHAProxy(t *testing.T) {
	real := haproxy(t)
	s := newSite(t)
	theirs := func(args ...string) *program {
		return launch(t, exec.Command(real, append([]string{"-db", "-f", s.cfg}, args...)...))
	}
	old := theirs()
	awaitServing(t, old, s)
	stop := s.load()
	ours := launch(t, command("-db", "-f", s.cfg, "-x", s.stats, "-sf", strconv.Itoa(old.cmd.Process.Pid)))
	if code := old.exit(); code != 0 {
		t.Errorf("HAProxy: exit code %d", code)
	}
	next := theirs("-x", s.stats, "-sf", strconv.Itoa(ours.cmd.Process.Pid))
	if code := ours.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	good, bad := stop()
	if bad > 0 || good == 0 {
		t.Errorf("%d requests failed, %d did not", bad, good)
	}
	next.signal(syscall.SIGTERM)
	next.exit()
}

// TestExamples: every example is a configuration that loads without a warning,
// in both programs.
func TestExamples(t *testing.T) {
	files, _ := filepath.Glob("../../../deploy/examples/*.cfg")
	etc := t.TempDir() // for /etc/forebay
	ca := certtest.NewCA(t, "ca")
	certtest.Write(t, etc, "servers-ca.pem", ca.CertPEM())
	if err := os.Mkdir(filepath.Join(etc, "certs"), 0o755); err != nil {
		t.Fatal(err)
	}
	certtest.Write(t, etc, "certs/site.pem", ca.Issue(t, "site").PEM(t))
	hosts, err := os.ReadFile("../../../deploy/examples/hosts.map")
	if err != nil {
		t.Fatal(err)
	}
	certtest.Write(t, etc, "hosts.map", hosts)
	for _, f := range files {
		if filepath.Base(f) == "demo.cfg" {
			continue // a template
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		f = filepath.Join(t.TempDir(), filepath.Base(f))
		if err := os.WriteFile(f, []byte(strings.ReplaceAll(string(text), "/etc/forebay", etc)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := command("-c", "-dW", "-f", f).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
		if out, err := exec.Command(haproxy(t), "-c", "-dW", "-f", f).CombinedOutput(); err != nil {
			t.Errorf("HAProxy, %s: %v\n%s", f, err, out)
		}
	}
	if len(files) < 5 {
		t.Errorf("found only %v", files)
	}
}
