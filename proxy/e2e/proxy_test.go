package e2e

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// proxy is a running forebay (or HAProxy) with its file and sockets.
type proxy struct {
	*program
	dir, file     string
	stats, master string // sockets
}

// preface opens every configuration that has no reason for another one.
const preface = `global
    stats socket @DIR@/s level admin expose-fd listeners
    nbthread 2

defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s

`

// configure writes a configuration: in it, @DIR@ is the folder.
func configure(t *testing.T, dir, text string) string {
	t.Helper()
	return write(t, dir, "a.cfg", strings.ReplaceAll(text, "@DIR@", dir))
}

// serve starts forebay with a configuration and waits until it is ready. With
// "-W" among the arguments, it has a master socket too.
func serve(t *testing.T, text string, args ...string) *proxy {
	t.Helper()
	return serveWith(t, forebay, text, args...)
}

func serveWith(t *testing.T, path, text string, args ...string) *proxy {
	t.Helper()
	return serveIn(t, path, scratch(t), text, args...)
}

// serveIn is serveWith in a folder that has files already.
func serveIn(t *testing.T, path, dir, text string, args ...string) *proxy {
	t.Helper()
	p := &proxy{dir: dir}
	p.file = configure(t, p.dir, text)
	p.stats, p.master = filepath.Join(p.dir, "s"), filepath.Join(p.dir, "m")
	args = append([]string{"-f", p.file}, args...)
	for _, a := range args {
		if a == "-W" || a == "-Ws" {
			args = append(args, "-S", p.master)
		}
	}
	p.program = launch(t, exec.Command(path, args...))
	p.awaitReady()
	return p
}

// awaitReady waits until the Runtime socket answers.
func (p *proxy) awaitReady() {
	p.t.Helper()
	until(p.t, "the proxy comes up", func() bool {
		if !p.running() {
			p.t.Fatalf("ended at once with %d:\n%s", p.exit(), p.output())
		}
		_, err := ask(p.stats, "show version")
		return err == nil
	})
}

// ask sends commands to a socket and gives the reply.
func ask(socket, text string) (string, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(c, text); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

func (p *proxy) ask(text string) string {
	p.t.Helper()
	r, err := ask(p.stats, text)
	if err != nil {
		p.t.Fatalf("%s: %v after %q", text, err, r)
	}
	return r
}

func (p *proxy) askMaster(text string) string {
	p.t.Helper()
	r, err := ask(p.master, text)
	if err != nil {
		p.t.Fatalf("%s: %v after %q", text, err, r)
	}
	return r
}

// reload tells the master to, and wants success.
func (p *proxy) reload() {
	p.t.Helper()
	if r := p.askMaster("reload"); !strings.HasPrefix(r, "Success=1") {
		p.t.Fatalf("reload: %s", r)
	}
}

// info gives a field of "show info".
func (p *proxy) info(name string) string {
	p.t.Helper()
	for l := range strings.Lines(p.ask("show info")) {
		if v, is := strings.CutPrefix(l, name+": "); is {
			return strings.TrimSpace(v)
		}
	}
	p.t.Fatalf("show info has no %s", name)
	return ""
}

// stat gives a field of a row of "show stat"; "" when there is no such row.
func (p *proxy) stat(proxy, server, field string) string {
	p.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(p.ask("show stat"), "# "))).ReadAll()
	if err != nil {
		p.t.Fatal(err)
	}
	for i, name := range rows[0] {
		for _, r := range rows[1:] {
			if name == field && r[0] == proxy && r[1] == server {
				return r[i]
			}
		}
	}
	return ""
}

func (p *proxy) statInt(proxy, server, field string) int {
	p.t.Helper()
	n, err := strconv.Atoi(p.stat(proxy, server, field))
	if err != nil {
		p.t.Fatalf("%s/%s %s: %v", proxy, server, field, err)
	}
	return n
}

// awaitStat waits for a value.
func (p *proxy) awaitStat(proxy, server, field, value string) {
	p.t.Helper()
	until(p.t, fmt.Sprintf("%s of %s/%s becomes %q", field, proxy, server, value), func() bool {
		return strings.HasPrefix(p.stat(proxy, server, field), value)
	})
}

// workers gives the pids of "show proc": in charge, and leaving.
func (p *proxy) workers() (now, old []string) {
	p.t.Helper()
	into := &now
	for l := range strings.Lines(p.askMaster("show proc")) {
		if f := strings.Fields(l); strings.HasPrefix(l, "# old") {
			into = &old
		} else if len(f) > 2 && f[1] == "worker" {
			*into = append(*into, f[0])
		}
	}
	return now, old
}

// worker gives the pid of the only one in charge.
func (p *proxy) worker() string {
	p.t.Helper()
	now, _ := p.workers()
	if len(now) != 1 {
		p.t.Fatalf("want one worker, have %v", now)
	}
	return now[0]
}

// origin is an application server that says its name.
type origin struct {
	name, addr string
	srv        *http.Server
}

func newOrigin(t *testing.T, name string) *origin {
	t.Helper()
	return newOriginAt(t, name, "127.0.0.1:0")
}

func newOriginAt(t *testing.T, name, addr string) *origin {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{name: name, addr: l.Addr().String()}
	o.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })}
	go o.srv.Serve(l)
	t.Cleanup(func() { o.srv.Close() })
	return o
}

// port gives the number.
func (o *origin) port() int {
	_, p, _ := net.SplitHostPort(o.addr)
	n, _ := strconv.Atoi(p)
	return n
}

// get fetches a path on a connection of its own.
func get(addr, path string) (status int, body string, err error) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	r, err := c.Get("http://" + addr + path)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

func mustGet(t *testing.T, addr, path, want string) {
	t.Helper()
	if status, body, err := get(addr, path); err != nil || status != 200 || body != want {
		t.Fatalf("%s%s: %d %q %v, want %q", addr, path, status, body, err, want)
	}
}

// keepAlive is a client connection that stays.
type keepAlive struct {
	t    *testing.T
	addr string
	c    http.Client
	Dial int // how many were needed
}

func newKeepAlive(t *testing.T, addr string) *keepAlive {
	k := &keepAlive{t: t, addr: addr}
	k.c = http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, a string) (net.Conn, error) {
		k.Dial++
		return new(net.Dialer).DialContext(ctx, network, a)
	}}}
	t.Cleanup(k.c.CloseIdleConnections)
	return k
}

func (k *keepAlive) get(path string) string {
	k.t.Helper()
	r, err := k.c.Get("http://" + k.addr + path)
	if err != nil {
		k.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		k.t.Fatalf("%s: %s %q %v", path, r.Status, b, err)
	}
	return string(b)
}
