package sandbox_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/process/sandbox"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
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
	if err := workertest.OldKernel(lacks[os.Getenv("SANDBOX_TEST_LACKS")]...); err != nil {
		fmt.Println("old kernel:", err)
	}
	state, err := sandbox.Enter(o)
	if err != nil {
		fmt.Println("enter:", err)
		return
	}
	if os.Getenv("SANDBOX_TEST_LACKS") != "" {
		fmt.Println(state, state.Lacking)
		return
	}
	if len(state.Lacking) > 0 {
		fmt.Println("enter:", state.Lacking)
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

var lacks = map[string][]uintptr{"landlock": {unix.SYS_LANDLOCK_CREATE_RULESET}, "seccomp": {unix.SYS_SECCOMP}, "": nil}

// forbidden are calls that do nothing when they are let through, but do not fail
// with EPERM either: but for the filter, they are anybody's.
var forbidden = []struct {
	name string
	nr   uintptr
	args [4]uintptr
}{
	{"execve", unix.SYS_EXECVE, [4]uintptr{}},
	{"execveat", unix.SYS_EXECVEAT, [4]uintptr{}},
	{"openat", unix.SYS_OPENAT, [4]uintptr{}},
	{"openat2", unix.SYS_OPENAT2, [4]uintptr{}},
	{"fork", unix.SYS_CLONE, [4]uintptr{unix.CLONE_THREAD | unix.CLONE_NEWUSER}},
	{"ptrace", unix.SYS_PTRACE, [4]uintptr{unix.PTRACE_PEEKTEXT, 1 << 30}},
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [4]uintptr{1 << 30}},
	{"pidfd_open", unix.SYS_PIDFD_OPEN, [4]uintptr{1 << 30}},
	{"kill another", unix.SYS_KILL, [4]uintptr{1 << 30}},
	{"tgkill another", unix.SYS_TGKILL, [4]uintptr{1 << 30, 1 << 30}},
	{"unshare", unix.SYS_UNSHARE, [4]uintptr{1}},
	{"newfstatat", newfstatat, [4]uintptr{}},
	{"statx", unix.SYS_STATX, [4]uintptr{}},
	{"getdents64", unix.SYS_GETDENTS64, [4]uintptr{1 << 30}},
	{"chdir", unix.SYS_CHDIR, [4]uintptr{}},
	{"fchmodat", unix.SYS_FCHMODAT, [4]uintptr{}},
	{"unlinkat", unix.SYS_UNLINKAT, [4]uintptr{}},
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, [4]uintptr{}},
	{"memfd_create", unix.SYS_MEMFD_CREATE, [4]uintptr{}},
	{"add_key", unix.SYS_ADD_KEY, [4]uintptr{}},
	{"personality", unix.SYS_PERSONALITY, [4]uintptr{0xffffffff}},
	{"raw prctl", unix.SYS_PRCTL, [4]uintptr{unix.PR_GET_DUMPABLE}},
	{"ioctl", unix.SYS_IOCTL, [4]uintptr{1 << 30}},
	{"socket netlink", unix.SYS_SOCKET, [4]uintptr{unix.AF_NETLINK, unix.SOCK_RAW, 99}},
	{"socket alg", unix.SYS_SOCKET, [4]uintptr{unix.AF_ALG, unix.SOCK_STREAM, 99}},
	{"seccomp", unix.SYS_SECCOMP, [4]uintptr{99}},
	{"a call that does not exist", 5000, [4]uintptr{}},
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
	for _, c := range forbidden {
		if _, _, e := unix.RawSyscall6(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], 0, 0); e != unix.EPERM {
			fmt.Println("could", c.name)
		}
	}
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

// TestOldKernel: what the kernel lacks is said, and the rest is done.
func TestOldKernel(t *testing.T) {
	for lacks, want := range map[string]string{
		"landlock": "no Landlock, seccomp [the kernel has no Landlock (function not implemented): the file system stays within reach.]\n",
		"seccomp":  "Landlock 0, no seccomp [the kernel cannot limit the system calls (seccomp: function not implemented).]\n",
	} {
		got := regexp.MustCompile("Landlock [0-9]+").ReplaceAllString(run(t, "SANDBOX_TEST_LACKS="+lacks), "Landlock 0")
		if got != want {
			t.Errorf("%s: got %swant %s", lacks, got, want)
		}
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
	for _, c := range forbidden {
		if !strings.Contains(got, "could "+c.name+"\n") {
			t.Errorf("without the sandbox, %s is forbidden as well: the test says nothing", c.name)
		}
	}
}
