package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/version"
)

func TestShowProc(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	got := s.ask(s.control, "show proc")
	want := `^#<PID>          <type>          <reloads>       <uptime>        <version>      
\d+ +master          0 \[failed: 0\]   0d00h00m\d\ds     ` + regexp.QuoteMeta(version.Full()) + ` *
# workers
\d+ +worker          0               0d00h00m\d\ds     ` + regexp.QuoteMeta(version.Full()) + ` *

$`
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("show proc:\n%s", got)
	}
}

func TestMasterCommands(t *testing.T) {
	s := newSite(t)
	low := filepath.Join(s.dir, "low")
	p := launch(t, command("-W", "-S", s.control, "-S", low+",level,user", "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	if got := s.ask(s.control, "@1 show info"); !strings.Contains(got, "\nPid: "+pid+"\n") || !strings.HasSuffix(got, "\n\n") || strings.HasSuffix(got, "\n\n\n") {
		t.Errorf("@1 show info:\n%q", got)
	}
	if got := s.ask(s.control, "@!"+pid+" show info"); !strings.Contains(got, "\nPid: "+pid+"\n") {
		t.Errorf("@!pid show info:\n%s", got)
	}
	if got := s.ask(s.control, "@1; show info; @; show proc"); !strings.Contains(got, "\nPid: "+pid+"\n") || !strings.Contains(got, "master") {
		t.Errorf("switching:\n%s", got)
	}
	if got := s.ask(s.control, "@7 show info"); got != "Can't find the target PID matching the prefix '@7'\n\n" {
		t.Errorf("@7: %q", got)
	}
	if got := s.ask(low, "reload"); got != "Permission denied\n\n" {
		t.Errorf("reload at level user: %q", got)
	}
	if got := s.ask(low, "@1 disable server app/s1"); !strings.Contains(got, "Permission denied") {
		t.Errorf("a worker's command at level user: %q", got)
	}
	c, err := net.Dial("unix", s.control)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, "prompt\n@1\n@\nquit\n")
	b := make([]byte, 0, 4096)
	r := bufio.NewReader(c)
	for {
		x, err := r.ReadByte()
		if err != nil {
			break
		}
		b = append(b, x)
	}
	if got, want := string(b), "\nmaster> "+pid+"> master> "; got != want {
		t.Errorf("interactive: %q, want %q", got, want)
	}
}

// TestReloadInPlace: the same worker, by signal and by command, and a file with
// mistakes changes nothing.
func TestReloadInPlace(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)

	second := freePort(t)
	s.extra = "frontend more\n  bind " + second + "\n  default_backend app\n"
	s.write()
	p.signal(syscall.SIGUSR2)
	p.await(2, "Loading success.")
	s.mustGet(second)

	s.extra = "  bogus\n"
	s.write()
	got := s.ask(s.control, "reload")
	if !strings.HasPrefix(got, "Success=0\n--\n") || !strings.Contains(got, "unknown keyword 'bogus'") {
		t.Errorf("reload of a bad file:\n%s", got)
	}
	if s.ask(s.control, "show startup-logs") == "\n" {
		t.Error("no startup logs after a failed reload")
	}
	s.mustGet(s.addr)
	s.mustGet(second)
	if got := s.ask(s.control, "show proc"); !strings.Contains(got, "2 [failed: 1]") {
		t.Errorf("show proc:\n%s", got)
	}

	s.extra = ""
	s.write()
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n--\n") {
		t.Errorf("reload:\n%s", got)
	}
	if s.get(second) == nil {
		t.Error("the removed frontend still answers")
	}
	if now, old := s.workers(); one(t, now) != pid || len(old) != 0 {
		t.Errorf("worker %s was replaced by %v", pid, now)
	}
}

// TestReloadRefused: what would take all listeners down, or make the master wait
// for ever, changes nothing, and the answer says why.
func TestReloadRefused(t *testing.T) {
	s := newSite(t)
	folder := filepath.Join(s.dir, "conf")
	os.Mkdir(folder, 0o755)
	s.cfg = filepath.Join(folder, "a.cfg")
	s.write()
	second := filepath.Join(s.dir, "more.cfg")
	more := freePort(t)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(second, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	full := "frontend more\n  mode http\n  timeout client 5s\n  bind " + more + "\n  http-request return status 200 string hello\\n content-type text/plain\n"
	write(full)
	p := launch(t, command("-W", "-S", s.control, "-f", folder, "-f", second))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	fail := func(what, why string) {
		t.Helper()
		got := s.ask(s.control, "reload")
		if !strings.HasPrefix(got, "Success=0\n") || !strings.Contains(got, why) {
			t.Errorf("%s: reload:\n%s", what, got)
		}
		s.mustGet(s.addr)
		s.mustGet(more)
		if now, old := s.workers(); one(t, now) != pid || len(old) > 0 {
			t.Errorf("%s: workers %v, leaving %v", what, now, old)
		}
	}
	replace := func(make func(path string) error) {
		t.Helper()
		os.RemoveAll(second)
		if err := make(second); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(s.cfg)
	write("")
	fail("an empty folder and an empty file", "No enabled listener found (check for 'bind' directives)")
	write("defaults\n  mode http\n")
	fail("no frontend", "No enabled listener found")
	os.WriteFile(s.cfg, text, 0o600)
	replace(func(path string) error { return syscall.Mkfifo(path, 0o600) })
	fail("a pipe", second+" : it is neither a file nor a folder")
	replace(func(path string) error { return os.Symlink("/dev/zero", path) })
	fail("a device", second+" : it is neither a file nor a folder")
	fifo := filepath.Join(s.dir, "fifo")
	syscall.Mkfifo(fifo, 0o600)
	replace(func(path string) error { return nil })
	write(full + "backend b\n  mode http\n  errorfile 503 " + fifo + "\n")
	fail("a pipe that the configuration names", "error opening file '"+fifo+"'")
	write(full + "backend b\n  mode http\n  timeout server 5s\n  timeout connect 5s\n  errorfile 503 /dev/null\n")
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("the null device as error file:\n%s", got)
	}
}

// TestReadyTimeout: a new worker that never serves is given up, at start and at
// reload.
func TestReadyTimeout(t *testing.T) {
	s := newSite(t)
	flag := filepath.Join(s.dir, "hang")
	c := func() *exec.Cmd {
		c := command("-W", "-S", s.control, "-f", s.cfg)
		c.Env = append(c.Env, hangIf+"="+flag, readyWithin+"=5s")
		return c
	}
	p := launch(t, c())
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	os.WriteFile(flag, nil, 0o600)
	s.global = "  nbthread 1"
	s.write()
	got := s.ask(s.control, "reload")
	if !regexp.MustCompile(`^Success=0\n(.*\n)*.*new worker \(\d+\) did not serve within 5s and was ended`).MatchString(got) {
		t.Errorf("reload:\n%s", got)
	}
	s.mustGet(s.addr)
	if now, old := s.workers(); one(t, now) != pid || len(old) > 0 {
		t.Errorf("workers %v, leaving %v, want %s", now, old, pid)
	}
	os.Remove(flag)
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("reload:\n%s", got)
	}
	p.signal(syscall.SIGTERM)
	p.exit()
	os.WriteFile(flag, nil, 0o600)
	p = launch(t, c())
	if code := p.exit(); code != 1 || !strings.Contains(p.output(), "did not serve within 5s") {
		t.Errorf("start: exit code %d", code)
	}
}

// TestReloadNewWorker: what cannot be applied in place takes a new worker, which
// inherits the sockets. No request is lost, whatever the number of threads.
func TestReloadNewWorker(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	s.ask(s.stats, "set server app/s1 weight 0")
	s.ask(s.stats, "set weight app/s1 40")
	s.global = "  maxconn 99"
	s.write()
	for _, want := range []string{"change: = server app/s1: weight 40 instead of 1 (set at run time)", "Applied in place"} {
		if got := s.ask(s.control, "reload"); !strings.Contains(got, want) {
			t.Errorf("reload in place: no %q in\n%s", want, got)
		}
	}
	s.global = "  nbthread 3"
	s.write()
	if got := s.ask(s.control, "reload"); !strings.Contains(got, "not kept by the new worker: server app/s1: weight 40 instead of 1 (set at run time)") {
		t.Errorf("reload in a new worker:\n%s", got)
	}
	now, _ := s.workers()
	pid := one(t, now)
	stop := s.load()
	for i := range 6 {
		s.global = fmt.Sprintf("  nbthread %d", i%3+1)
		s.write()
		if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") || !strings.Contains(got, "needs a reload") {
			t.Errorf("reload:\n%s", got)
		}
		now, _ := s.workers()
		if next := one(t, now); next == pid {
			t.Error("the worker was not replaced")
		} else {
			pid = next
		}
	}
	good, bad := stop()
	if bad > 0 || good == 0 {
		t.Errorf("%d requests failed, %d did not", bad, good)
	}
	p.await(7, "Former worker")
	p.signal(syscall.SIGUSR1)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestManySignals: reloads that are asked for all at once are done one after the
// other, and the last one sees the newest file.
func TestManySignals(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	second := freePort(t)
	for i := range 50 {
		if i == 49 {
			s.extra = "frontend more\n  bind " + second + "\n  default_backend app\n"
			s.write()
		}
		p.signal(syscall.SIGUSR2)
	}
	for !strings.Contains(s.ask(s.control, "@1 show stat"), "more,FRONTEND") {
	}
	s.mustGet(second)
}

// installed is a copy of the program, which can be replaced.
type installed struct {
	t    *testing.T
	path string
	text []byte
}

func install(s *site) *installed {
	s.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		s.t.Fatal(err)
	}
	p := &installed{s.t, filepath.Join(s.dir, "forebay"), self}
	p.replace(self)
	return p
}

// replace puts another program in its place.
func (p *installed) replace(text []byte) {
	p.t.Helper()
	if err := os.WriteFile(p.path+".new", text, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.path+".new", p.path); err != nil {
		p.t.Fatal(err)
	}
}

func (p *installed) upgrade() { p.t.Helper(); p.replace(p.text) }

func (p *installed) command(args ...string) *exec.Cmd {
	c := command(args...)
	c.Path = p.path
	return c
}

// openIn tells what a process has open, but for its standard streams.
func openIn(t *testing.T, pid int) (list []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		to, _ := os.Readlink(filepath.Join(dir, e.Name()))
		list = append(list, e.Name()+" "+to)
	}
	return list
}

// TestNewProgram: a reload after the program on disk was replaced makes the new
// one the master, in the same process and with the same sockets, and starts a
// worker of it, even if the configuration is the same. From then on reloads are
// in place again. No request and no command is lost, and no descriptor.
func TestNewProgram(t *testing.T) {
	s := newSite(t)
	f := install(s)
	p := launch(t, f.command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	master := p.cmd.Process.Pid
	now, _ := s.workers()
	pid := one(t, now)
	if got := s.ask(s.control, "reload"); !strings.Contains(got, "Applied in place") {
		t.Errorf("reload of the same program:\n%s", got)
	}
	stop := s.load()
	quit, commands := make(chan struct{}), make(chan int)
	go func() { // each command gets its answer, whenever it comes
		n := 0
		for ; ; n++ {
			select {
			case <-quit:
				commands <- n
				return
			default:
			}
			if got := s.ask(s.control, "show version; @1 show version"); !regexp.MustCompile(`^(3\.4\.0\+\S+\n\n){2}$`).MatchString(got) {
				t.Errorf("a command during the reload: %q", got)
			}
		}
	}()
	var open []string
	for i := range 3 {
		f.upgrade()
		var got string
		if i == 1 {
			n := strings.Count(p.output(), "Loading success.")
			p.signal(syscall.SIGUSR2)
			p.await(n+1, "Loading success.")
			got = "Success=1\n" + s.ask(s.control, "show startup-logs")
		} else {
			got = s.ask(s.control, "reload")
		}
		if !strings.HasPrefix(got, "Success=1\n") || !strings.Contains(got, "The master runs the new program: ") ||
			!strings.Contains(got, "worker ("+pid+") runs another program") {
			t.Errorf("reload:\n%s", got)
		}
		p.await(i+1, "Former worker")
		now, old := s.workers()
		next := one(t, now)
		if next == pid || len(old) > 0 {
			t.Errorf("worker %s, then %s, leaving %v", pid, next, old)
		}
		pid = next
		for _, n := range []string{next, strconv.Itoa(master)} {
			if exe, _ := os.Readlink("/proc/" + n + "/exe"); exe != f.path {
				t.Errorf("process %s runs %s", n, exe)
			}
		}
		if got := s.ask(s.stats, "show info"); !strings.Contains(got, "\nPid: "+next+"\n") {
			t.Errorf("the stats socket is not the new worker's:\n%s", got)
		}
		s.extra = fmt.Sprintf("backend b%d\n", i)
		s.write()
		if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") || !strings.Contains(got, "Applied in place by worker ("+pid+")") {
			t.Errorf("a reload after the upgrade:\n%s", got)
		}
		if i == 0 {
			open = openIn(t, master)
		}
	}
	close(quit)
	if n := <-commands; n < 10 {
		t.Errorf("only %d commands", n)
	}
	good, bad := stop()
	if bad > 0 || good == 0 {
		t.Errorf("%d requests failed, %d did not", bad, good)
	}
	if got := s.ask(s.control, "show proc"); !strings.Contains(got, "7 [failed: 0]") {
		t.Errorf("show proc:\n%s", got)
	}
	if after := openIn(t, master); len(after) > len(open)+2 { // a client may be there
		t.Errorf("the master holds\n%s\nand after two more upgrades\n%s", strings.Join(open, "\n"), strings.Join(after, "\n"))
	}
	p.signal(syscall.SIGUSR1)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestNewProgramFails: what does not start, or is something else, does not
// become the master, and the answer says why.
func TestNewProgramFails(t *testing.T) {
	s := newSite(t)
	f := install(s)
	p := launch(t, f.command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	wrong := append([]byte{}, f.text...)
	wrong[18] ^= 0xff // the machine's number of an ELF file
	for _, c := range []struct {
		name, text, why string
	}{
		{"an empty file", "", "exec format error"},
		{"another machine's program", string(wrong), "exec format error"},
		{"half a program", string(f.text[:len(f.text)/2]), ""},
		{"a program that fails", "#!/bin/sh\necho no luck >&2\nexit 3\n", "exit status 3: no luck"},
		{"a program that is killed", "#!/bin/sh\nkill -9 $$\n", "Killed"},
		{"another program", "#!/bin/sh\necho forebay 9.9\n", `it answers "forebay 9.9"`},
	} {
		f.replace([]byte(c.text))
		got := s.ask(s.control, "reload")
		if !strings.HasPrefix(got, "Success=0\n") || !strings.Contains(got, "the new program "+f.path+" does not take over: ") || !strings.Contains(got, c.why) {
			t.Errorf("%s: reload:\n%s", c.name, got)
		}
		if now, old := s.workers(); one(t, now) != pid || len(old) != 0 {
			t.Errorf("%s: worker %v, leaving %v", c.name, now, old)
		}
		s.mustGet(s.addr)
	}
	os.Remove(f.path)
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") || !strings.Contains(got, "there is no program "+f.path) || !strings.Contains(got, "Applied in place") {
		t.Errorf("reload without a file:\n%s", got)
	}
	f.upgrade()
	s.extra = "  bogus\n"
	s.write()
	// The program is fine, the file is not: the new master goes on with the worker.
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=0\n") || !strings.Contains(got, "bogus") {
		t.Errorf("reload with mistakes:\n%s", got)
	}
	if now, _ := s.workers(); one(t, now) != pid {
		t.Errorf("worker %v", now)
	}
	s.mustGet(s.addr)
	s.extra = ""
	s.write()
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") || !strings.Contains(got, "runs another program") {
		t.Errorf("reload:\n%s", got)
	}
	if now, _ := s.workers(); one(t, now) == pid {
		t.Error("the worker of the old program goes on")
	}
}

// TestNewProgramKeeps: what the master holds besides goes to the new one: old
// workers, passed descriptors, clients with their place, the word with systemd.
func TestNewProgramKeeps(t *testing.T) {
	s := newSite(t)
	f := install(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	passed, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Close()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(s.dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	told := func(pattern string) {
		t.Helper()
		notify.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 4096)
		n, err := notify.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(pattern).MatchString(string(b[:n])) {
			t.Errorf("systemd was told %q, want %s", b[:n], pattern)
		}
	}
	s.extra = "frontend passed\n  bind fd@3\n  default_backend app\n"
	s.write()
	c := f.command("-Ws", "-S", s.control, "-S", filepath.Join(s.dir, "low")+",level,user", "-f", s.cfg)
	c.ExtraFiles = []*os.File{passed}
	c.Env = append(c.Env, "NOTIFY_SOCKET="+filepath.Join(s.dir, "notify"))
	p := launch(t, c)
	told(`^READY=1\n`)
	now, _ := s.workers()
	pid := one(t, now)
	busy, err := net.Dial("tcp", s.addr) // keeps the old worker
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	fmt.Fprintf(busy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	for !strings.Contains(s.ask(s.stats, "show sess"), "be=app") {
	}
	// Clients: with a prompt and switched to the worker; with half a line; lowered.
	dial := func(socket, text, want string) *bufio.ReadWriter {
		t.Helper()
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		rw := bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
		fmt.Fprint(c, text)
		b := make([]byte, len(want))
		if _, err := io.ReadFull(rw, b); err != nil || string(b) != want {
			t.Fatalf("%q: %q, %v; want %q", text, b, err, want)
		}
		return rw
	}
	more := func(rw *bufio.ReadWriter, text, want string) {
		t.Helper()
		rw.WriteString(text)
		rw.Flush()
		b := make([]byte, len(want))
		if n, err := io.ReadFull(rw, b); err != nil || string(b) != want {
			t.Errorf("%q: %q, %v; want %q", text, b[:n], err, want)
		}
	}
	there := dial(s.control, "prompt\n@1\n", "\nmaster> "+pid+"> ")
	half := dial(s.control, "prompt i\nshow ver", "\n")
	lowered := dial(s.control, "prompt i\nuser\n", "\n\n")
	low := dial(filepath.Join(s.dir, "low"), "prompt i\n", "\n")

	f.upgrade()
	got := s.ask(s.control, "prompt i; show proc; reload; show proc")
	if strings.Count(got, "# workers") != 1 || strings.Count(got, "Success=1") != 1 || !strings.Contains(got, "\n\nSuccess=1\n--\n") {
		t.Errorf("commands before and after the reload:\n%s", got)
	}
	told(`^RELOADING=1\n`)
	told(fmt.Sprintf(`^READY=1\nSTATUS=Ready.\nMAINPID=%d\n$`, p.cmd.Process.Pid))
	now, old := s.workers()
	next := one(t, now)
	if one(t, old) != pid || next == pid {
		t.Errorf("workers %v, leaving %v; was %s", now, old, pid)
	}
	s.mustGet(l.Addr().String())
	version := s.ask(s.control, "show version")
	more(there, "show version\n", s.ask(s.control, "@!"+pid+" show version")+pid+"> ")
	more(half, "sion\n", version)
	more(lowered, "reload\n", "Permission denied\n\n")
	more(lowered, "@1 disable server app/s1\n", "Permission denied\n\n")
	more(low, "reload\n", "Permission denied\n\n")
	// Another descriptor's turn: the configuration lets go of it and takes it again.
	s.extra = ""
	s.write()
	s.ask(s.control, "reload")
	told(`^RELOADING=1\n`)
	told(`^READY=1\n`)
	f.upgrade()
	s.ask(s.control, "reload")
	told(`^RELOADING=1\n`)
	told(`^READY=1\n`)
	s.extra = "frontend passed\n  bind fd@3\n  default_backend app\n"
	s.write()
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("the descriptor again:\n%s", got)
	}
	s.mustGet(l.Addr().String())
	told(`^RELOADING=1\n`)
	told(`^READY=1\n`)

	fmt.Fprint(busy, "123456")
	p.await(1, "Former worker ("+pid+") exited with code 0 (Exit)")
	p.signal(syscall.SIGTERM)
	told(`^STOPPING=1\n`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestNewProgramBusyClients: a command that runs gets its answer before the
// program is replaced; one that has no end is cut, and one that comes waits.
func TestNewProgramBusyClients(t *testing.T) {
	s := newSite(t)
	f := install(s)
	p := launch(t, f.command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	dial := func(text string) net.Conn {
		t.Helper()
		c, err := net.Dial("unix", s.control)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, text)
		return c
	}
	all := func(c net.Conn) string {
		t.Helper()
		b, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	late := dial("prompt i\n")
	io.ReadFull(late, make([]byte, 1))
	short := dial("@1 wait 1s\n")
	f.upgrade()
	first := make(chan string)
	go func() { first <- s.ask(s.control, "reload") }()
	if got := all(short); got != "Done.\n\n" {
		t.Errorf("a command that runs: %q", got)
	}
	if got := <-first; !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("reload:\n%s", got)
	}
	endless := dial("@1 wait 1h\n")
	f.upgrade()
	go func() { first <- s.ask(s.control, "reload") }()
	fmt.Fprint(late, "show version;quit\n") // before, while or after the program is replaced
	if got := all(late); got != version.Full()+"\n\n" {
		t.Errorf("a command that comes meanwhile: %q", got)
	}
	if got := <-first; !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("reload:\n%s", got)
	}
	if got := all(endless); got != "" {
		t.Errorf("a command without end: %q", got)
	}
}

// TestNewProgramDaemon: a daemon stays one, with its number, and a program that is
// called by a symbolic link is the one that the link names.
func TestNewProgramDaemon(t *testing.T) {
	s := newSite(t)
	f := install(s)
	link, pidfile := filepath.Join(s.dir, "link"), filepath.Join(s.dir, "pid")
	if err := os.Symlink(f.path, link); err != nil {
		t.Fatal(err)
	}
	c := command("-W", "-D", "-S", s.control, "-p", pidfile, "-f", "a.cfg", "-C", s.dir)
	c.Path, c.Args[0] = link, link
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, _ := os.ReadFile(pidfile)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(pid, syscall.SIGTERM)
		for !gone(pid) {
		}
	}()
	next := f.path + "-2"
	if err := os.WriteFile(next, f.text, 0o700); err != nil {
		t.Fatal(err)
	}
	os.Remove(link)
	if err := os.Symlink(next, link); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") || !strings.Contains(got, "The master runs the new program") {
		t.Errorf("reload:\n%s", got)
	}
	if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe != next {
		t.Errorf("the master runs %s, want %s", exe, next)
	}
	for fd := range 3 {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); to != "/dev/null" {
			t.Errorf("descriptor %d is %s", fd, to)
		}
	}
	s.mustGet(s.addr)
}

// TestNewProgramSignals: signals that come while the program is replaced are
// none the less obeyed, and the workers' signals are not blocked.
func TestNewProgramSignals(t *testing.T) {
	s := newSite(t)
	f := install(s)
	p := launch(t, f.command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	second := freePort(t)
	for i := range 40 {
		if i == 20 {
			s.extra = "frontend more\n  bind " + second + "\n  default_backend app\n"
			s.write()
		}
		f.upgrade()
		for range 5 {
			p.signal(syscall.SIGUSR2)
		}
	}
	for end := time.Now().Add(patience); !strings.Contains(s.ask(s.control, "@1 show stat"), "more,FRONTEND"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a signal was lost:\n%s", p.output())
		}
	}
	s.mustGet(second)
	s.ask(s.control, "reload")
	now, _ := s.workers()
	threads, _ := filepath.Glob("/proc/" + one(t, now) + "/task/*/status")
	free := false
	for _, name := range threads {
		status, _ := os.ReadFile(name)
		m := regexp.MustCompile(`(?m)^SigBlk:\t(\S+)$`).FindStringSubmatch(string(status))
		if m == nil {
			continue
		}
		n, _ := strconv.ParseUint(m[1], 16, 64)
		free = free || n&(1<<(syscall.SIGUSR2-1)) == 0
	}
	if !free {
		t.Error("all threads of the worker block signals")
	}
	f.upgrade()
	p.signal(syscall.SIGUSR2)
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 && code != 143 {
		t.Errorf("exit code %d", code)
	}
}

// TestProcessNames: the processes have the program's name, for who looks for them
// by it, although they were executed as /proc/self/exe.
func TestProcessNames(t *testing.T) {
	s := newSite(t)
	f := install(s)
	p := launch(t, f.command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	for _, pid := range []string{strconv.Itoa(p.cmd.Process.Pid), one(t, now)} {
		if comm, err := os.ReadFile("/proc/" + pid + "/comm"); err != nil || string(comm) != filepath.Base(p.cmd.Args[0])+"\n" {
			t.Errorf("process %s is called %q (%v)", pid, comm, err)
		}
	}
}

// TestClientGone: a command that a worker takes long for ends with the client that
// sent it to the master.
func TestClientGone(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	open := func() int {
		n := 0
		for _, pid := range []string{strconv.Itoa(p.cmd.Process.Pid), one(t, now)} {
			list, err := os.ReadDir("/proc/" + pid + "/fd")
			if err != nil {
				t.Fatal(err)
			}
			n += len(list)
		}
		return n
	}
	await := func(what string, done func(n int) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !done(open()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d descriptors", what, open())
			}
		}
	}
	before := open()
	var clients []net.Conn
	for range 20 {
		c, err := net.Dial("unix", s.control)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(c, "@1 wait 1h")
		clients = append(clients, c)
	}
	await("waiting", func(n int) bool { return n >= before+2*len(clients) })
	for _, c := range clients {
		c.Close()
	}
	await("gone", func(n int) bool { return n <= before })
}

// TestPassedDescriptor: "bind fd@3" is the master's descriptor 3, in every
// worker.
func TestPassedDescriptor(t *testing.T) {
	s := newSite(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.extra = "frontend passed\n  bind fd@3\n  default_backend app\n"
	s.write()
	c := command("-W", "-S", s.control, "-f", s.cfg)
	c.ExtraFiles = []*os.File{f}
	p := launch(t, c)
	p.await(1, "Loading success.")
	s.mustGet(l.Addr().String())
	for _, n := range []int{1, 2, 3} {
		s.global = fmt.Sprintf("  nbthread %d", n)
		s.write()
		if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
			t.Errorf("reload:\n%s", got)
		}
		s.mustGet(l.Addr().String())
	}
}

func TestHardReload(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	if got := s.ask(s.control, "hard-reload"); !strings.HasPrefix(got, "Success=1\n") {
		t.Errorf("hard-reload:\n%s", got)
	}
	p.await(1, "Former worker")
	s.mustGet(s.addr)
}

// TestMaxReloads: a worker that does not come to an end is ended when it has
// survived too many reloads.
func TestMaxReloads(t *testing.T) {
	s := newSite(t)
	s.global = "  mworker-max-reloads 1\n  nbthread 1"
	s.write()
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	for !strings.Contains(s.ask(s.stats, "show sess"), "be=app") {
	}
	s.global = "  mworker-max-reloads 1\n  nbthread 2"
	s.write()
	s.ask(s.control, "reload")
	if now, old := s.workers(); one(t, old) != pid || one(t, now) == pid {
		t.Errorf("after one reload: %v, leaving %v", now, old)
	}
	if got := s.ask(s.control, "@!"+pid+" show info"); !strings.Contains(got, "\nStopping: 1\n") {
		t.Errorf("the leaving worker says:\n%s", got)
	}
	s.ask(s.control, "reload")
	p.await(1, "Former worker ("+pid+") exited with code 143 (Terminated)")
}

// TestWorkerDies: the master goes with it, with its code.
func TestWorkerDies(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid, _ := strconv.Atoi(one(t, now))
	syscall.Kill(pid, syscall.SIGKILL)
	if code := p.exit(); code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
}

// TestMasterDies: a worker does not outlive it.
func TestMasterDies(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	p.signal(syscall.SIGKILL)
	p.exit() // the pipe of its output ends only with the worker
	if s.get(s.addr) == nil {
		t.Error("the worker goes on")
	}
}

func TestNotify(t *testing.T) {
	for _, abstract := range []bool{false, true} {
		s := newSite(t)
		name := filepath.Join(s.dir, "notify")
		if abstract {
			name = "@forebay-test-" + strconv.Itoa(os.Getpid())
		}
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		read := func() string {
			t.Helper()
			l.SetReadDeadline(time.Now().Add(patience))
			b := make([]byte, 4096)
			n, err := l.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			return string(b[:n])
		}
		c := command("-Ws", "-f", s.cfg)
		c.Env = append(c.Env, "NOTIFY_SOCKET="+name)
		p := launch(t, c)
		want := func(pattern string) {
			t.Helper()
			if got := read(); !regexp.MustCompile(pattern).MatchString(got) {
				t.Errorf("systemd was told %q, want %s", got, pattern)
			}
		}
		want(fmt.Sprintf(`^READY=1\nSTATUS=Ready.\nMAINPID=%d\n$`, p.cmd.Process.Pid))
		p.signal(syscall.SIGUSR2)
		want(`^RELOADING=1\nSTATUS=.*\nMONOTONIC_USEC=\d+\n$`)
		want(`^READY=1\n`)
		p.signal(syscall.SIGTERM)
		want(`^STOPPING=1\n`)
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}
