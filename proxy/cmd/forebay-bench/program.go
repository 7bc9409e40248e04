package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is one of the two that are compared.
type program struct {
	name, path, version string
	number              int // 0 or 1
}

// find looks up a program by an environment variable, or else in places where it
// usually is.
func find(name, env string, places ...string) (*program, error) {
	path := os.Getenv(env)
	for _, p := range places {
		if path != "" {
			break
		}
		if full, err := exec.LookPath(p); err == nil {
			path = full
		}
	}
	if path == "" {
		return nil, fmt.Errorf("no %s found: set %s", name, env)
	}
	out, err := exec.Command(path, "-v").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s -v: %w", path, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return &program{name: name, path: path, version: line}, nil
}

// running is a proxy that serves.
type running struct {
	*program
	cmd    *exec.Cmd
	at     map[string]netip.AddrPort // by the names of ports
	errors bytes.Buffer
	ready  time.Duration // from the start to the first answer
}

// ports are the addresses that a proxy listens on, by what they are for.
var ports = []string{"http", "always", "edits", "bwlim", "gzip", "uri", "cookie", "tcp", "close", "hold", "h2", "ecdsa", "rsa", "map"}

// configuration is what both programs run. {name} is the address of that port,
// {a} and {b} the two servers.
const configuration = `global
    nbthread {threads}
    maxconn 9200

defaults
    mode http
    balance roundrobin
    timeout connect 10s
    timeout client 300s
    timeout server 300s
    option forwardfor
    http-reuse safe

frontend http
    bind {http}
    default_backend origin

backend origin
    server s1 {a}
    server s2 {b}

frontend always
    bind {always}
    default_backend origin-always

backend origin-always
    http-reuse always
    server s1 {a}
    server s2 {b}

frontend edits
    bind {edits}
{edit lines}    default_backend origin

frontend bwlim
    bind {bwlim}
{bwlim lines}    default_backend origin

frontend gzip
    bind {gzip}
    compression algo gzip
    compression type text/html
    default_backend origin

frontend uri
    bind {uri}
    default_backend origin-uri

backend origin-uri
    balance uri
    hash-type consistent
{uri servers}
frontend cookie
    bind {cookie}
    default_backend origin-cookie

backend origin-cookie
    cookie SRV insert indirect nocache
    server s1 {a} cookie s1
    server s2 {b} cookie s2

frontend h2
    bind {h2} proto h2
    bind {ecdsa} ssl crt {dir}/ecdsa.pem alpn h2,http/1.1
    bind {rsa} ssl crt {dir}/rsa.pem alpn h2,http/1.1
    default_backend origin

frontend tcp
    mode tcp
    bind {tcp}
    default_backend origin-tcp

backend origin-tcp
    mode tcp
    server s1 {a}
    server s2 {b}

frontend hold
    bind {hold}
    default_backend one

backend one
    server s1 {a}

frontend close
    bind {close}
    default_backend origin-many

backend origin-many
`

// editLines are 10 conditions and 20 edits of header fields, of which half apply.
func editLines() string {
	var b strings.Builder
	for i := range 10 {
		path := "/"
		if i%2 == 1 {
			path = "/never"
		}
		fmt.Fprintf(&b, "    acl a%d path_beg %s\n", i, path)
	}
	for i := range 10 {
		fmt.Fprintf(&b, "    http-request set-header X-Request-%d %%[src] if a%d\n", i, i)
		fmt.Fprintf(&b, "    http-response set-header X-Response-%d value-%d\n", i, i)
	}
	return b.String()
}

// bwlimLines make every response pass the filter, with a limit that none reaches.
const bwlimLines = `    filter bwlim-out wide default-limit 1g default-period 1s
    http-response set-bandwidth-limit wide
`

// withoutBwlim are the releases of HAProxy that do not know the filter: they serve the
// scenario without it.
var withoutBwlim = regexp.MustCompile(`^HAProxy version (1\.|2\.[0-6]\.)`)

// uriServers are a thousand servers, which stand for the two that there are.
func uriServers(origin [2]netip.AddrPort) string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "    server u%d %s\n", i, origin[i%2])
	}
	return b.String()
}

// manyOrigins is how many addresses of the origin there are where each request
// takes a connection: a proxy has some 28,000 ports for each of them, and those of
// a minute are in TIME_WAIT. With one address the search for a free port would
// be all that is measured.
const manyOrigins = 32

// start runs a proxy, with what a scenario adds to the configuration, and waits until
// it answers.
func (p *program) start(dir string, threads int, origin [2]netip.AddrPort, extra string) (*running, error) {
	r := &running{program: p, at: map[string]netip.AddrPort{}}
	fill := []string{"{threads}", strconv.Itoa(threads), "{dir}", dir, "{a}", origin[0].String(), "{b}", origin[1].String(), "{edit lines}", editLines(), "{uri servers}", uriServers(origin)}
	lines := bwlimLines
	if withoutBwlim.MatchString(p.version) {
		lines = ""
	}
	fill = append(fill, "{bwlim lines}", lines)
	var held []net.Listener // until all are chosen: each port once
	for _, name := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, l)
		r.at[name] = l.Addr().(*net.TCPAddr).AddrPort()
		fill = append(fill, "{"+name+"}", l.Addr().String())
	}
	for _, l := range held {
		l.Close()
	}
	file := filepath.Join(dir, p.name+".cfg")
	text := strings.NewReplacer(fill...).Replace(configuration)
	for i := range manyOrigins { // own ones for each program
		text += fmt.Sprintf("    server m%d 127.0.%d.%d:%d\n", i, 2+p.number, i+1, origin[0].Port())
	}
	text += strings.NewReplacer(fill...).Replace(extra)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	r.cmd = exec.Command(p.path, "-db", "-f", file)
	r.cmd.Stderr = &r.errors
	began := time.Now()
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", r.at["http"].String())
		if err == nil {
			err = request(c) // a connection alone may wait for the program
			r.ready = time.Since(began)
			if c.Close(); err == nil {
				return r, nil
			}
		}
		if time.Now().After(end) {
			r.stop()
			return nil, fmt.Errorf("%s does not serve: %s", p.path, r.errors.String())
		}
	}
}

func (r *running) stop() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// usage is CPU time.
type usage struct {
	total        time.Duration // as the scheduler counts it, to the nanosecond
	user, system time.Duration // the same in ticks of the clock
}

func (u usage) sub(o usage) usage {
	return usage{u.total - o.total, u.user - o.user, u.system - o.system}
}

const clockTick = 10 * time.Millisecond // USER_HZ is 100 on every Linux

// cpu is the time that all threads of the proxy have used.
func (r *running) cpu() (u usage, err error) {
	base := fmt.Sprintf("/proc/%d", r.cmd.Process.Pid)
	tasks, err := os.ReadDir(base + "/task")
	if err != nil {
		return u, err
	}
	for _, t := range tasks {
		b, err := os.ReadFile(base + "/task/" + t.Name() + "/schedstat")
		if err != nil {
			continue // a thread that has just ended
		}
		first, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		u.total += time.Duration(ns)
	}
	b, err := os.ReadFile(base + "/stat")
	if err != nil {
		return u, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return u, fmt.Errorf("%s/stat: %d fields", base, len(f))
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	u.user, u.system = time.Duration(user)*clockTick, time.Duration(system)*clockTick
	if u.total == 0 { // a kernel without schedstat
		u.total = u.user + u.system
	}
	return u, nil
}

// rss is the resident memory in bytes.
func (r *running) rss() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("statm: %q", b)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
