package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// applying is what "-apply" measures: a master and its worker that serve, and
// configurations of many servers of which one changes.
type applying struct {
	backends, servers int
	rounds            int
	dir, config       string
	at                netip.AddrPort
	master, worker    int // process numbers
}

// The load beside an application: one that holds up a request shows it.
const (
	applyRate    = 2000
	applyClients = 16
	applyWindow  = 1500 * time.Millisecond
	// afterwards is how long what was replaced is looked at being given back.
	afterwards = 8 * time.Second
)

// maxWait is what a request may take.
const maxWait = 5 * time.Millisecond

// text is the configuration; the weight of one server is given.
func (a *applying) text(origin netip.AddrPort, weight int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "global\n    nbthread 2\n    maxconn 2000\n    no strict-limits\ndefaults\n    mode http\n    balance roundrobin\n    timeout connect 10s\n    timeout client 300s\n    timeout server 300s\n")
	fmt.Fprintf(&b, "frontend web\n    bind %s\n    default_backend origin\nbackend origin\n    server s %s\n", a.at, origin)
	for i := range a.backends {
		fmt.Fprintf(&b, "backend b%d\n", i)
		for j := range a.servers {
			w := 1
			if i == a.backends/2 && j == 0 {
				w = weight
			}
			fmt.Fprintf(&b, "    server s%d 192.0.2.%d:%d weight %d\n", j, i%250+1, 1000+j, w)
		}
	}
	return b.Bytes()
}

// applied is one round.
type applied struct {
	wall           time.Duration // until the answer to "reload"
	master, worker time.Duration // CPU
	before, peak   int64         // resident bytes of the worker
	after          int64         // some seconds later
	slowest, calm  time.Duration // of the requests during an application, and of those in as much time without
	later, rest    time.Duration // of those in the seconds that follow, and in as many without
	late, lateCalm int
	lateLater      int
	lateRest       int
}

func (b *bench) apply(backends, servers int) error {
	p, err := find("forebay", "FOREBAY", "bin/forebay", "forebay")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "forebay-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	origin, err := startOrigin(firstVariable + "=1")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a := &applying{backends: backends, servers: servers, rounds: b.rounds, dir: dir, config: filepath.Join(dir, "forebay.cfg"), at: l.Addr().(*net.TCPAddr).AddrPort()}
	l.Close()
	if err := os.WriteFile(a.config, a.text(origin, 1), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(p.path, "-W", "-f", a.config, "-S", filepath.Join(dir, "master"))
	var said bytes.Buffer
	cmd.Stderr = &said
	runtime.LockOSThread() // whose end is the master's
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	a.master = cmd.Process.Pid
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if reply, err := a.ask("show proc"); err == nil && strings.Contains(reply, "worker") {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not serve: %s", p.path, said.String())
		}
	}
	if a.worker, err = childOf(a.master); err != nil {
		return err
	}
	k, err := newKeep(a.at, applyClients)
	if err != nil {
		return err
	}
	defer k.close()
	var got []applied
	for i := range a.rounds + 1 {
		if err := os.WriteFile(a.config, a.text(origin, 2+i%2), 0o600); err != nil {
			return err
		}
		time.Sleep(6 * time.Second) // what the round before used is given back
		r, err := a.round(k)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, said.String())
		}
		if b.detail {
			fmt.Printf("  %+v\n", r)
		}
		if i > 0 { // the first one sends more
			got = append(got, r)
		}
	}
	report(got)
	return nil
}

// round changes one server.
func (a *applying) round(k *keep) (r applied, err error) {
	type load struct {
		list []time.Duration
		err  error
	}
	window := func(d time.Duration) chan load {
		c := make(chan load, 1)
		thread(func() {
			first()
			list, err := k.rate(applyRate, d)
			c <- load{list, err}
		})
		return c
	}
	idle := cpuOf(a.worker)
	calm := <-window(applyWindow)
	idle = cpuOf(a.worker) - idle // what the requests take
	if calm.err != nil {
		return r, calm.err
	}
	rest := <-window(afterwards)
	if rest.err != nil {
		return r, rest.err
	}
	if r.before, err = memoryOf(a.worker, "VmRSS"); err != nil {
		return r, err
	}
	os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", a.worker), []byte("5"), 0) // the peak begins anew
	master, worker := cpuOf(a.master), cpuOf(a.worker)
	requests := window(applyWindow)
	time.Sleep(applyWindow / 5)
	start := time.Now()
	reply, err := a.ask("reload")
	r.wall = time.Since(start)
	if err != nil {
		return r, err
	}
	if !strings.Contains(reply, "Applied in place") {
		return r, fmt.Errorf("not applied in place: %s", reply)
	}
	busy := <-requests
	if busy.err != nil {
		return r, busy.err
	}
	if r.peak, err = memoryOf(a.worker, "VmHWM"); err != nil {
		return r, err
	}
	r.master, r.worker = cpuOf(a.master)-master, cpuOf(a.worker)-worker-idle
	later := <-window(afterwards)
	if later.err != nil {
		return r, later.err
	}
	if r.after, err = memoryOf(a.worker, "VmRSS"); err != nil {
		return r, err
	}
	r.later, r.lateLater = slow(later.list)
	r.slowest, r.late = slow(busy.list)
	r.calm, r.lateCalm = slow(calm.list)
	r.rest, r.lateRest = slow(rest.list)
	return r, nil
}

func slow(list []time.Duration) (most time.Duration, n int) {
	for _, d := range list {
		most = max(most, d)
		if d > maxWait {
			n++
		}
	}
	return most, n
}

func report(got []applied) {
	mid := func(f func(applied) float64) float64 {
		var v []float64
		for _, r := range got {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	mb := func(n int64) float64 { return float64(n) / (1 << 20) }
	var late, calm, later, rest int
	for _, r := range got {
		late, calm, later, rest = late+r.late, calm+r.lateCalm, later+r.lateLater, rest+r.lateRest
	}
	fmt.Printf("applied in       %8.1f ms (median of %d; CPU: master %.1f ms, worker %.1f ms beside that of %d requests/s)\n", mid(func(r applied) float64 { return ms(r.wall) }), len(got),
		mid(func(r applied) float64 { return ms(r.master) }), mid(func(r applied) float64 { return ms(r.worker) }), applyRate)
	fmt.Printf("worker's memory  %8.1f MB before, %.1f at the peak (%+.1f %%), %.1f %.0f seconds later\n", mid(func(r applied) float64 { return mb(r.before) }), mid(func(r applied) float64 { return mb(r.peak) }),
		mid(func(r applied) float64 { return 100*float64(r.peak)/float64(r.before) - 100 }), mid(func(r applied) float64 { return mb(r.after) }), afterwards.Seconds())
	fmt.Printf("slowest request  %8.2f ms (median; in as much time without an application %.2f); in the %.0f seconds that follow %.2f (%.2f)\n", mid(func(r applied) float64 { return ms(r.slowest) }),
		mid(func(r applied) float64 { return ms(r.calm) }), afterwards.Seconds(), mid(func(r applied) float64 { return ms(r.later) }), mid(func(r applied) float64 { return ms(r.rest) }))
	fmt.Printf("above %v        %d requests of all rounds (%d); in the seconds that follow %d (%d)\n", maxWait, late, calm, later, rest)
}

// ask runs a command of the master.
func (a *applying) ask(command string) (string, error) {
	c, err := net.Dial("unix", filepath.Join(a.dir, "master"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(c)
	return string(reply), err
}

func childOf(pid int) (int, error) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	for _, t := range threads { // the child is one of the thread that made it
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if f := strings.Fields(string(data)); len(f) > 0 {
			return strconv.Atoi(f[0])
		}
	}
	return 0, fmt.Errorf("the master has no worker")
}

// memoryOf reads a line of a process's status, in bytes.
func memoryOf(pid int, what string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", what, pid)
}

// cpuOf is the time that the threads of a process have used.
func cpuOf(pid int) time.Duration {
	u, _ := (&running{cmd: &exec.Cmd{Process: &os.Process{Pid: pid}}}).cpu()
	return u.total
}
