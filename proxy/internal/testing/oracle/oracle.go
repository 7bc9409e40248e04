package oracle

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
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

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature" // the keywords
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// Head is what most configurations begin with: HTTP, and times that nothing takes.
const Head = `
global
  maxconn 500
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 5s
`

// patience is how long anything may take before the test fails.
const patience = 20 * time.Second

// Side is one of the two programs with the configuration.
type Side struct {
	Name   string // "forebay" or "haproxy"
	t      *testing.T
	ports  map[string]string // addresses by name in the configuration
	logs   map[string]*net.UDPConn
	worker *stream.Worker
}

// HAProxy gives the path of the real program. The test fails if there is none.
func HAProxy(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("HAPROXY"), "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"} {
		if _, err := os.Stat(p); p != "" && err == nil {
			return p
		}
	}
	t.Fatal("haproxy is not installed: apt-get install haproxy, or set HAPROXY")
	return ""
}

// Run starts both programs. In the configuration, {name} stands for an address
// of its own in each program, {log}, {log1} … for addresses of log servers and
// {origin} for that of a server that both share, see [Origin]. If there is a
// "bind {ready}", that is where Run looks whether HAProxy is up, and no other
// frontend gets a connection from it.
func Run(t *testing.T, text string) [2]*Side {
	t.Helper()
	origin := Origin(t)
	return [2]*Side{run(t, "forebay", text, origin), run(t, "haproxy", text, origin)}
}

// RunOne starts one of the programs, "forebay" or "haproxy".
func RunOne(t *testing.T, program, text string) *Side {
	t.Helper()
	return run(t, program, text, Origin(t))
}

func run(t *testing.T, program, text, origin string) *Side {
	t.Helper()
	s := &Side{Name: program, t: t, ports: map[string]string{"origin": origin}, logs: map[string]*net.UDPConn{}}
	if text = s.fill(text); program == "forebay" {
		s.here(text)
	} else {
		s.there(text)
	}
	return s
}

var name = regexp.MustCompile(`\{([a-z]+[0-9]*)\}`)

// fill puts the addresses into a configuration.
func (s *Side) fill(text string) string {
	return name.ReplaceAllStringFunc(text, func(m string) string {
		key := m[1 : len(m)-1]
		if s.ports[key] == "" && strings.HasPrefix(key, "log") {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(func() { c.Close() })
			s.logs[key] = c
			s.ports[key] = c.LocalAddr().String()
		}
		if s.ports[key] == "" {
			s.ports[key] = tcptest.Reserve(s.t).String()
		}
		return s.ports[key]
	})
}

// Addr is the address that {name} stood for.
func (s *Side) Addr(name string) string { return s.ports[name] }

// here runs the configuration in a worker of this process.
func (s *Side) here(text string) {
	s.t.Helper()
	snap, d := bed.Load(1, text)
	if snap == nil {
		s.t.Fatal(messages(d))
	}
	s.worker = bed.StartSnapshot(s.t, snap)
}

// Worker is what runs the configuration in this process, nil in HAProxy.
func (s *Side) Worker() *stream.Worker { return s.worker }

// Fill puts the side's addresses into another configuration.
func (s *Side) Fill(text string) string { return s.fill(text) }

// there runs the configuration in HAProxy.
func (s *Side) there(text string) {
	var addrs []string
	for key, addr := range s.ports {
		if strings.Contains(text, "bind "+addr) && (key == "ready" || s.ports["ready"] == "") {
			addrs = append(addrs, addr)
		}
	}
	Start(s.t, text, "tcp", addrs...)
}

// Start runs a configuration in HAProxy until the test ends, and returns when
// connections to all the addresses are taken.
func Start(t *testing.T, text, network string, addrs ...string) {
	t.Helper()
	cfg := filepath.Join(t.TempDir(), "t.cfg")
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(HAProxy(t), "-db", "-f", cfg)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-gone })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, addr := range addrs {
		for {
			if c, err := net.Dial(network, addr); err == nil {
				if tcp, ok := c.(*net.TCPConn); ok {
					tcp.SetLinger(0)
				}
				c.Close()
				break
			}
			select {
			case <-gone:
				t.Fatalf("haproxy ended: %s", out.String())
			case <-tick.C:
			}
		}
	}
}

// Exchange sends bytes to a frontend and gives all that comes back until the
// program closes the connection. The bytes should ask for that.
func (s *Side) Exchange(frontend, request string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.ports[frontend])
	if errors.Is(err, syscall.ECONNRESET) {
		return "" // refused as soon as it was accepted
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte(request))
	var b bytes.Buffer
	if _, err := b.ReadFrom(c); err != nil && b.Len() == 0 && !strings.Contains(err.Error(), "reset") {
		s.t.Fatalf("%s, %q: %v", s.Name, request, err)
	}
	return b.String()
}

// Line gives the next datagram that came to a log server, by its name in the
// configuration.
func (s *Side) Line(log string) string {
	s.t.Helper()
	c := s.logs[log]
	c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 65536)
	n, err := c.Read(b)
	if err != nil {
		s.t.Fatalf("%s: no line for %s: %v", s.Name, log, err)
	}
	return string(b[:n])
}

// Verdict tells what a program says of a configuration: whether it loads, and
// its messages.
type Verdict struct {
	OK   bool
	Text string
}

// Check loads a configuration in both programs without running it.
func Check(t *testing.T, text string) (ours, theirs Verdict) {
	t.Helper()
	snap, d := bed.Load(1, text)
	ours.OK = snap != nil
	ours.Text = messages(d)
	cfg := filepath.Join(t.TempDir(), "t.cfg")
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(HAProxy(t), "-c", "-f", cfg).CombinedOutput()
	theirs = Verdict{err == nil, string(out)}
	return ours, theirs
}

// Refused is a line that Forebay refuses with a message that has Want in it. So does
// HAProxy, with words of its own, unless it takes the line (Ours).
type Refused struct {
	Line, Want string
	Ours       bool
}

// CheckRefused checks that each line behind head is refused.
func CheckRefused(t *testing.T, head string, list []Refused) {
	t.Helper()
	for _, c := range list {
		ours, theirs := Check(t, head+" "+c.Line+"\n")
		if ours.OK || !strings.Contains(ours.Text, c.Want) {
			t.Errorf("%s: %s", c.Line, ours.Text)
		}
		if theirs.OK && !c.Ours {
			t.Errorf("%s: HAProxy takes it", c.Line)
		}
	}
}

// CheckSaid checks that both programs say each of the texts of a configuration.
func CheckSaid(t *testing.T, text string, wants ...string) {
	t.Helper()
	ours, theirs := Check(t, text)
	for _, want := range wants {
		if !strings.Contains(ours.Text, want) || !strings.Contains(theirs.Text, want) {
			t.Errorf("%s\nours: %s\nHAProxy: %s", want, ours.Text, theirs.Text)
		}
	}
}

// Origin starts a server that answers each request with its own head, as it
// came, as the body. The field "want" of the request chooses the status, and
// each field "give" is a field of the response.
func Origin(t *testing.T) string {
	t.Helper()
	return tcptest.Serve(t, answer)
}

func answer(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		var head strings.Builder
		length, status, last := 0, "200", false
		fields := "server: origin\r\n"
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				break
			}
			key, value, _ := strings.Cut(line, ": ")
			switch strings.ToLower(key) {
			case "content-length":
				length, _ = strconv.Atoi(value)
			case "connection":
				last = value == "close"
			case "want":
				status = value
			case "give":
				fields += value + "\r\n"
			}
		}
		if _, err := br.Discard(length); err != nil {
			return
		}
		body := head.String()
		if strings.HasPrefix(body, "HEAD ") {
			body = ""
		}
		fmt.Fprintf(c, "HTTP/1.1 %s Fine\r\n%scontent-length: %d\r\n\r\n%s", status, fields, len(body), body)
		if last {
			return
		}
	}
}

func messages(d *config.Diagnostics) string {
	var b strings.Builder
	for _, m := range d.All() {
		b.WriteString(m.String() + "\n")
	}
	return b.String()
}
