package http1_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oracle is a running HAProxy between a client and a raw server, both ours.
type oracle struct {
	front string
	back  net.Listener
	out   *os.File
}

// patience bounds every wait for the other program; it is never waited for when
// things work.
const patience = 15 * time.Second

func findHAProxy(t *testing.T) string {
	if p := os.Getenv("HAPROXY"); p != "" {
		return p
	}
	for _, p := range []string{"haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"} {
		if p, err := exec.LookPath(p); err == nil {
			return p
		}
	}
	if os.Getuid() == 0 {
		for _, args := range [][]string{{"apt-get", "update", "-q"}, {"apt-get", "install", "-qy", "--no-install-recommends", "haproxy"}} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Logf("%v: %v\n%s", args, err, out)
			}
		}
		if p, err := exec.LookPath("haproxy"); err == nil {
			return p
		}
	}
	t.Skip("NOT COMPARED WITH HAPROXY: install the haproxy package, or name a program in $HAPROXY")
	return ""
}

func startOracle(t *testing.T) *oracle {
	program := findHAProxy(t)
	if v, err := exec.Command(program, "-v").Output(); err == nil {
		t.Logf("%s: %s", program, bytes.SplitN(v, []byte("\n"), 2)[0])
	}
	o := new(oracle)
	var err error
	if o.back, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.back.Close() })
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.front = front.Addr().String()
	file, err := front.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	front.Close()
	defer file.Close()

	dir := t.TempDir()
	conf := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
defaults
  mode http
  http-reuse never
  timeout connect 10s
  timeout client 10s
  timeout server 10s
frontend f
  bind fd@3
  default_backend b
backend b
  server s %s
`, o.back.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.out, err = os.Create(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", conf)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stdout, cmd.Stderr = o.out, o.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(o.out.Name())
			t.Logf("haproxy said:\n%s", text)
		}
		o.out.Close()
	})
	return o
}

// exchange sends raw bytes through HAProxy. It returns what reached the server,
// nil when nothing did, and what came back. The server reads one request and
// answers with reply, then closes.
func (o *oracle) exchange(t *testing.T, send, reply string) (forwarded, back []byte) {
	t.Helper()
	client, err := net.Dial("tcp", o.front)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(patience))

	o.back.(*net.TCPListener).SetDeadline(time.Time{})
	got := make(chan []byte, 1)
	stop := make(chan struct{})
	go func() {
		defer close(got)
		server, err := o.back.Accept()
		if err != nil {
			return
		}
		defer server.Close()
		select {
		case <-stop: // a connection that came too late to matter
			return
		default:
		}
		server.SetDeadline(time.Now().Add(patience))
		got <- serve(server, reply)
	}()

	if _, err := io.WriteString(client, send); err != nil {
		t.Fatal(err)
	}
	client.(*net.TCPConn).CloseWrite()
	back, err = io.ReadAll(client)
	if err != nil && len(back) == 0 && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("%q: %v", send, err)
	}
	// The client has its whole answer, so HAProxy has made its connection to the
	// server if it ever will.
	if !bytes.HasPrefix(back, []byte("HTTP/1.1 4")) {
		select {
		case forwarded = <-got:
			return forwarded, back
		case <-time.After(patience):
			t.Fatalf("%q: answered %q, but nothing reached the server", send, back)
		}
	}
	close(stop)
	o.back.(*net.TCPListener).SetDeadline(time.Unix(1, 0))
	forwarded = <-got
	return forwarded, back
}

// serve reads one request and answers it. It takes the standard library's word
// for where the request ends.
func serve(server net.Conn, reply string) []byte {
	var raw bytes.Buffer
	r := bufio.NewReaderSize(io.TeeReader(server, &raw), 64<<10)
	req, err := http.ReadRequest(r)
	if err == nil && req.Method != http.MethodConnect {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return raw.Bytes() // incomplete: no answer
		}
	}
	io.WriteString(server, reply)
	server.(*net.TCPConn).CloseWrite()
	text := bytes.Clone(raw.Bytes())
	if req != nil && req.Method == http.MethodConnect || strings.HasPrefix(reply, "HTTP/1.1 101") {
		return text
	}
	io.Copy(io.Discard, server) // until HAProxy closes, lest a reset overtakes the reply
	return text
}
