package logs_test

import (
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// clients that wait for a server that says nothing: for a slot of it, or for the
// end of a tunnel.
var waits = []struct {
	name, proxy string
	say         string
	leave       bool // the client does once it is in the queue
}{
	{"the queue is given up", "mode http\n option httplog\n option abortonclose\n timeout queue 200ms\n server s {silent} maxconn 1", "GET / HTTP/1.1\r\nhost: h\r\n\r\n", false},
	{"the client leaves the queue", "mode http\n option httplog\n option abortonclose\n server s {silent} maxconn 1", "GET / HTTP/1.1\r\nhost: h\r\n\r\n", true},
	{"the queue is given up, tcp", "mode tcp\n option tcplog\n timeout queue 200ms\n server s {silent} maxconn 1", "", false},
	{"timeout tunnel", "mode tcp\n option tcplog\n timeout tunnel 200ms\n server s {silent}", "", false},
	{"timeout tunnel after some bytes", "mode tcp\n option tcplog\n timeout tunnel 200ms\n server s {silent}", "hello", false},
}

// waitTimes are a line's times, with status and size: to a client that is gone
// HAProxy 2.6 counts none.
var waitTimes = regexp.MustCompile(`(/<NOSRV>|/s)( -?\d+(/-?\d+)+)( -?\d+)+`)

// TestWaitsAsHAProxy: such clients are logged as by HAProxy, with how long they
// were in the queue.
func TestWaitsAsHAProxy(t *testing.T) {
	took := make(chan struct{}, 100)
	silent := tcptest.Serve(t, func(c net.Conn) {
		took <- struct{}{}
		io.Copy(io.Discard, c)
	})
	text := strings.Replace(head, "defaults", " stats socket ipv4@{stats}\ndefaults", 1) + "frontend ready\n bind {ready}\n http-request return status 200\n"
	for i, w := range waits {
		n := strconv.Itoa(i)
		text += "listen f" + n + "\n bind {f" + n + "}\n log {log" + n + "} format raw local0\n " + strings.ReplaceAll(w.proxy, "{silent}", silent) + "\n"
	}
	sides := oracle.Run(t, text)
	for i, w := range waits {
		t.Run(w.name, func(t *testing.T) {
			var lines [2]string
			for k, side := range sides {
				var held net.Conn
				dial := func() net.Conn {
					c, err := net.Dial("tcp", side.Addr("f"+strconv.Itoa(i)))
					if err != nil {
						t.Fatal(err)
					}
					io.WriteString(c, w.say)
					return c
				}
				if strings.Contains(w.proxy, "maxconn") {
					for len(took) > 0 {
						<-took
					}
					held = dial()
					<-took // it has the slot
				}
				c := dial()
				if w.leave {
					awaitQueued(t, side, "f"+strconv.Itoa(i))
				} else {
					c.SetDeadline(time.Now().Add(5 * time.Second))
					io.Copy(io.Discard, c)
				}
				c.Close()
				line := side.Line("log" + strconv.Itoa(i))
				if side.Name == "haproxy" && strings.Contains(w.proxy, "timeout tunnel") {
					// Both directions end at the same time. HAProxy says cD, but for a
					// millisecond between its two clocks.
					line = strings.Replace(line, " sD ", " cD ", 1)
				}
				lines[k] = waitTimes.ReplaceAllStringFunc(varying.ReplaceAllString(line, "CLIENT"), func(s string) string {
					times := strings.Fields(s)[:2]
					return positive.ReplaceAllString(strings.Join(times, " "), "${1}N")
				})
				if held != nil {
					held.Close()
					side.Line("log" + strconv.Itoa(i))
				}
			}
			if lines[0] != lines[1] {
				t.Errorf("forebay: %q\nhaproxy: %q", lines[0], lines[1])
			}
		})
	}
}

// awaitQueued asks until somebody waits for a server of a backend.
func awaitQueued(t *testing.T, side *oracle.Side, backend string) {
	for end := time.Now().Add(20 * time.Second); ; {
		for l := range strings.Lines(side.Exchange("stats", "show stat "+backend+" 2 -1\n")) {
			if f := strings.Split(l, ","); f[0] == backend && f[1] == "BACKEND" && f[2] == "1" {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s: nobody waits for a server of %s", side.Name, backend)
		}
	}
}

// TestPlacesAsHAProxy: %bq is how many were served from the queue while one was in
// it, and not how many stood before it.
func TestPlacesAsHAProxy(t *testing.T) {
	took := make(chan struct{}, 100)
	silent := tcptest.Serve(t, func(c net.Conn) {
		took <- struct{}{}
		io.Copy(io.Discard, c)
	})
	sides := oracle.Run(t, head+"frontend ready\n bind {ready}\n http-request return status 200\n"+
		"listen f\n bind {f}\n log {log} format raw local0\n log-format %ST/%ts/%sq/%bq\n timeout queue 300ms\n balance leastconn\n server s "+silent+" maxconn 1\n")
	for _, side := range sides {
		var clients []net.Conn
		for i := range 4 {
			c, err := net.Dial("tcp", side.Addr("f"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
			if i == 0 {
				<-took
			} else {
				clients = append(clients, c)
			}
		}
		for _, c := range clients {
			io.Copy(io.Discard, c)
			if got, want := side.Line("log"), "503/sQ/0/1"; strings.TrimSpace(got) != want {
				t.Errorf("%s: %q, want %q", side.Name, got, want)
			}
		}
	}
}
