package sandbox_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/sandbox"
	"golang.org/x/sys/unix"
)

// The test runs itself again as the process that enters the sandbox: what is
// given up cannot be taken back.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SANDBOX_TEST_DIR"); dir != "" {
		inside(dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// inside enters the sandbox and prints what it can still do, from several
// threads.
func inside(dir string) {
	o := sandbox.Options{UID: -1, GID: -1, Off: os.Getenv("SANDBOX_TEST_OFF") != ""}
	if os.Getenv("SANDBOX_TEST_USER") != "" {
		o.UID, o.GID = 65534, 65534
	}
	if w, err := sandbox.Enter(o); err != nil || w != "" {
		fmt.Println("enter:", w, err)
		return
	}
	done := make(chan bool)
	for range 4 {
		go func() { // each on a thread of its own
			syscall.Getpid()
			attempt(dir)
			done <- true
		}()
		<-done
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	unix.Capget(&h, &d[0])
	bound, _ := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_ADMIN, 0, 0, 0)
	fmt.Printf("caps %x %x bound %d uid %d gid %d\n", d[0].Permitted&^(1<<unix.CAP_NET_BIND_SERVICE), d[1].Permitted, bound, os.Getuid(), os.Getgid())
}

func attempt(dir string) {
	did := func(what string, err error) {
		if err == nil {
			fmt.Println("could", what)
		}
	}
	_, err := os.ReadFile("/etc/passwd")
	did("read", err)
	_, err = os.ReadDir("/")
	did("list", err)
	did("create", os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	did("remove", os.Remove(filepath.Join(dir, "old")))
	did("truncate", os.Truncate(filepath.Join(dir, "old"), 0))
	did("mkdir", os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	did("exec", exec.Command("/bin/true").Run())
	_, err = os.Open("/proc/self/environ")
	did("proc", err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("network:", err)
		return
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err != nil {
		fmt.Println("network:", err)
	}
}

func run(t *testing.T, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), append(env, "SANDBOX_TEST_DIR="+dir)...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestNothingIsWithinReach(t *testing.T) {
	want := fmt.Sprintf("caps 0 0 bound 0 uid %d gid %d\n", os.Getuid(), os.Getgid())
	if os.Getuid() != 0 {
		want = strings.Replace(want, "bound 0", "bound 1", 1) // only root can lower it
	}
	if got := run(t); got != want {
		t.Errorf("inside the sandbox:\n%swant:\n%s", got, want)
	}
}

func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changing the user needs root")
	}
	if got, want := run(t, "SANDBOX_TEST_USER=1"), "caps 0 0 bound 0 uid 65534 gid 65534\n"; got != want {
		t.Errorf("inside the sandbox:\n%swant:\n%s", got, want)
	}
}

// TestOff makes sure that the other tests see the sandbox and not a machine that
// forbids everything anyway.
func TestOff(t *testing.T) {
	got := run(t, "SANDBOX_TEST_OFF=1")
	for _, what := range []string{"read", "list", "create", "exec"} {
		if !strings.Contains(got, "could "+what+"\n") {
			t.Errorf("without the sandbox: could not %s:\n%s", what, got)
		}
	}
}
