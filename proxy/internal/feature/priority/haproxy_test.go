package priority_test

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// slow is a server that says what it is asked for, and answers when it is told to.
type slow struct {
	addr string
	came chan string
	next chan bool
}

func newSlow(t *testing.T) *slow {
	s := &slow{came: make(chan string, 20), next: make(chan bool, 20)}
	s.addr = tcptest.Serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		line, err := r.ReadString('\n')
		for l := line; err == nil && l != "\r\n"; {
			l, err = r.ReadString('\n')
		}
		if f := strings.Fields(line); err == nil && len(f) > 1 {
			s.came <- f[1]
			select {
			case <-s.next:
			case <-t.Context().Done():
				return
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	})
	return s
}

// The order of those who wait, and what happens to those who do not get their turn, are
// those of HAProxy.
func TestQueueAsHAProxy(t *testing.T) {
	var got [2][]string
	for i, program := range []string{"forebay", "haproxy"} {
		long, short := newSlow(t), newSlow(t)
		side := oracle.RunOne(t, program, oracle.Head+`
  timeout queue 30s
  log {log} format raw local0
  log-format "%HU %sq/%bq %ts %ST"
frontend ready
  bind {ready}
  no log
frontend q
  bind {q}
  no log
  http-request return status 200 content-type text/plain lf-string "<%[queue(long)]>"
listen long
  bind {long}
  http-request set-priority-class req.hdr(x-class) if { req.hdr(x-class) -m found }
  http-request set-priority-offset req.hdr(x-offset) if { req.hdr(x-offset) -m found }
  balance hdr(x-key)
  server s `+long.addr+` maxconn 1 maxqueue 6
listen short
  bind {short}
  timeout queue 300ms
  server s `+short.addr+` maxconn 1
`)
		answers := make(chan string, 20)
		ask := func(frontend, path, fields string) {
			go func() {
				head, _, _ := strings.Cut(side.Exchange(frontend, "GET "+path+" HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nConnection: close\r\n"+fields+"\r\n"), "\r\n")
				answers <- path + " " + head
			}()
		}
		waiting := func(n int) {
			t.Helper()
			for begun := time.Now(); ; {
				_, said, _ := strings.Cut(side.Exchange("q", "GET / HTTP/1.0\r\n\r\n"), "\r\n\r\n")
				if said == fmt.Sprintf("<%d>", n) {
					return
				}
				if time.Since(begun) > 20*time.Second {
					t.Fatalf("%s: %q, not %d wait", program, said, n)
				}
			}
		}
		say := func(what string) { got[i] = append(got[i], what) }
		ask("long", "/serving", "")
		say(<-long.came)
		for n, r := range [][2]string{{"/a", ""}, {"/late", "X-Offset: 400000\r\n"}, {"/high", "X-Class: -5\r\n"}, {"/low", "X-Class: 5\r\n"}, {"/soon", "X-Offset: -400000\r\n"}, {"/b", ""}} {
			ask("long", r[0], r[1])
			waiting(n + 1)
		}
		ask("long", "/full", "")
		say(<-answers) // at once
		for range 6 {
			long.next <- true
			say(<-answers)
			say(<-long.came)
		}
		long.next <- true
		say(<-answers)
		ask("short", "/first", "")
		say(<-short.came)
		ask("short", "/waits", "")
		say(<-answers)
		short.next <- true
		say(<-answers)
		var lines []string
		for range 10 {
			lines = append(lines, strings.TrimSpace(side.Line("log")))
		}
		slices.Sort(lines)
		got[i] = append(got[i], lines...)
	}
	if !slices.Equal(got[0], got[1]) {
		t.Errorf("forebay\n%s\nhaproxy\n%s", strings.Join(got[0], "\n"), strings.Join(got[1], "\n"))
	}
}
