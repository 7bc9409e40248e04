package sample_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// What is told of backends and servers is what HAProxy tells, with nothing to do and
// with a server that is busy, and has a queue.
func TestServersBesideHAProxy(t *testing.T) {
	var list []string
	for _, b := range []string{"full", "free", "down", "spare", "all", "mixed"} {
		for _, f := range []string{"nbsrv", "be_conn", "queue", "avg_queue", "connslots", "be_conn_free"} {
			list = append(list, fmt.Sprintf("%s(%s)", f, b))
		}
	}
	for _, s := range []string{"full/s1", "full/s2", "free/s1", "down/s1", "down/s2", "spare/s1", "spare/s2"} {
		for _, f := range []string{"srv_conn", "srv_conn_free", "srv_queue", "srv_is_up", "srv_weight", "srv_iweight", "srv_uweight"} {
			list = append(list, fmt.Sprintf("%s(%s)", f, s))
		}
	}
	taken, release := make(chan bool, 2), make(chan bool)
	slow := tcptest.Serve(t, func(c net.Conn) {
		defer c.Close()
		c.Read(make([]byte, 4096))
		taken <- true
		<-release
		io.WriteString(c, "HTTP/1.0 204 No\r\n\r\n")
	})
	sides := oracle.Run(t, oracle.Head+`
frontend ask
  bind {ask}
  http-request return status 200 content-type text/plain lf-string "%[`+strings.Join(list, "] %[")+`]"
frontend busy
  bind {busy}
  default_backend full
backend full
  balance roundrobin
  server s1 `+slow+` maxconn 1 maxqueue 5 weight 20
  server s2 `+slow+` maxconn 4 maxqueue 3 disabled
backend free
  server s1 127.0.0.1:1 maxconn 8
backend down
  server s1 127.0.0.1:1 disabled weight 7 maxconn 3 maxqueue 2
  server s2 127.0.0.1:1 backup disabled
backend spare
  server s1 127.0.0.1:1 backup maxconn 5 maxqueue 5
  server s2 127.0.0.1:1 backup maxconn 7 maxqueue 5
backend mixed
  server s1 127.0.0.1:1 maxconn 5 maxqueue 5
  server s2 127.0.0.1:1 backup maxconn 7 maxqueue 5
backend all
  option allbackups
  server s1 127.0.0.1:1 backup maxconn 5 maxqueue 5
  server s2 127.0.0.1:1 backup maxconn 7 maxqueue 5
`)
	ask := func(s *oracle.Side) string {
		_, body, _ := strings.Cut(s.Exchange("ask", "GET / HTTP/1.0\r\n\r\n"), "\r\n\r\n")
		return body
	}
	compare := func(when string) {
		t.Helper()
		ours, theirs := strings.Fields(ask(sides[0])), strings.Fields(ask(sides[1]))
		if len(ours) != len(list) || len(theirs) != len(list) {
			t.Fatalf("%d and %d values, not %d", len(ours), len(theirs), len(list))
		}
		for i, f := range list {
			if ours[i] != theirs[i] {
				t.Errorf("%s: %s is %s, HAProxy: %s", when, f, ours[i], theirs[i])
			}
		}
	}
	compare("idle")
	done := make(chan bool)
	for _, s := range sides {
		visit := func() {
			s.Exchange("busy", "GET / HTTP/1.0\r\n\r\n")
			done <- true
		}
		go visit()
		<-taken
		go visit() // waits in the server's queue, or the backend's
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			for i, v := range strings.Fields(ask(s)) {
				if list[i] == "queue(full)" && v == "1" {
					end = time.Time{}
				}
			}
			if end.IsZero() {
				break
			}
			if time.Now().After(end) {
				t.Fatal(s.Name, ": nobody waits")
			}
		}
	}
	compare("busy")
	close(release)
	for range 4 {
		<-done
	}
}
