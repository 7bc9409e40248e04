package balance_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// farm is servers that answer at once, or hold a request until they are told.
type farm struct {
	t     *testing.T
	addrs []string
	took  chan taken          // those that are held
	held  map[int][]chan bool // by server
}

type taken struct {
	server int
	answer chan bool
}

func newFarm(t *testing.T, n int) *farm {
	f := &farm{t: t, took: make(chan taken, 100), held: map[int][]chan bool{}}
	for i := range n {
		f.addrs = append(f.addrs, tcptest.Serve(t, func(c net.Conn) {
			defer c.Close()
			br := bufio.NewReader(c)
			for {
				first, err := br.ReadString('\n')
				for line := first; err == nil && line != "\r\n"; {
					line, err = br.ReadString('\n')
				}
				if err != nil {
					return
				}
				if strings.HasPrefix(first, "GET /hold ") {
					answer := make(chan bool, 1)
					f.took <- taken{i, answer}
					<-answer
				}
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i)
			}
		}))
	}
	return f
}

// side is a farm behind one of the programs.
type side struct {
	*farm
	*oracle.Side
	clients sync.WaitGroup
}

// hold has a server take a request and keep it, and tells which.
func (s *side) hold() int {
	s.clients.Add(1)
	go func() {
		defer s.clients.Done()
		s.Exchange("f", "GET /hold HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	}()
	select {
	case k := <-s.took:
		s.held[k.server] = append(s.held[k.server], k.answer)
		return k.server
	case <-time.After(20 * time.Second):
		busy := s.busy()
		s.end()
		s.t.Fatalf("%s: nobody took it; busy are %v", s.Name, busy)
	}
	return 0
}

// release has a server answer n of those that it keeps, and waits until it has.
func (s *side) release(server, n int) {
	for range n {
		s.held[server][0] <- true
		s.held[server] = s.held[server][1:]
	}
	for end := time.Now().Add(20 * time.Second); s.busy()[server] != len(s.held[server]); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: server %d has %v", s.Name, server, s.busy())
		}
	}
}

// busy is how many streams each server has.
func (s *side) busy() (list []int) {
	for _, row := range s.stat("scur") {
		n, _ := strconv.Atoi(row)
		list = append(list, n)
	}
	return list
}

// stat is a column of the servers' statistics.
func (s *side) stat(column string) (list []string) {
	at := 0
	for i, l := range strings.Split(s.Exchange("stats", "show stat\n"), "\n") {
		f := strings.Split(l, ",")
		if i == 0 {
			at = slices.Index(f, column)
		} else if len(f) > at && f[0] == "b" && f[1] != "BACKEND" {
			list = append(list, f[at])
		}
	}
	return list
}

// quick sends so many requests that are answered at once, and counts them by server.
func (s *side) quick(n int) []int {
	c, err := net.Dial("tcp", s.Addr("f"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	br := bufio.NewReader(c)
	list := make([]int, len(s.addrs))
	for range n {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		for line := ""; line != "\r\n"; {
			if line, err = br.ReadString('\n'); err != nil {
				s.t.Fatalf("%s: %v", s.Name, err)
			}
		}
		b, err := br.ReadByte()
		if err != nil {
			s.t.Fatal(err)
		}
		list[b-'0']++
	}
	return list
}

func (s *side) end() {
	for server, list := range s.held {
		s.release(server, len(list))
	}
	go func() { // those that waited in a queue, if the test has failed
		for k := range s.took {
			k.answer <- true
		}
	}()
	s.clients.Wait()
}

// beside runs a backend of servers with weights in both programs.
func beside(t *testing.T, lines string, options ...string) (both [2]*side) {
	for i, program := range []string{"forebay", "haproxy"} {
		f := newFarm(t, len(options))
		text := "backend b\n" + lines
		for k, o := range options {
			text += fmt.Sprintf("  server s%d %s %s\n", k, f.addrs[k], o)
		}
		both[i] = &side{farm: f, Side: oracle.RunOne(t, program, strings.Replace(oracle.Head, "defaults", "  stats socket ipv4@{stats} level admin\ndefaults", 1)+
			"frontend f\n  bind {f}\n  bind {ready}\n  default_backend b\n"+text)}
	}
	return both
}

// The same requests, which take their time, go to the same servers while some of those
// end, servers leave and come back, and weights change.
func TestFirstAndStaticRRBesideHAProxy(t *testing.T) {
	for _, c := range []struct {
		algorithm string
		options   []string
		changes   bool // of servers, at run time
	}{
		{"first", []string{"maxconn 2 id 4", "maxconn 3 id 2", "maxconn 1 id 3", "id 9"}, true},
		{"first", []string{"maxconn 2 weight 1", "maxconn 2 weight 100", "maxconn 9", "backup"}, true},
		{"static-rr", []string{"weight 10", "weight 20", "weight 5"}, true},
		{"static-rr", []string{"weight 3 maxconn 2", "weight 1", "weight 1 maxconn 1"}, false},
		{"roundrobin", []string{"", "", ""}, false},
	} {
		var got [2]string
		for i, s := range beside(t, "  balance "+c.algorithm+"\n", c.options...) {
			hold := func(n int) {
				for range n {
					got[i] += fmt.Sprint(s.hold())
				}
				got[i] += " "
			}
			hold(4)
			for server := range c.options {
				if len(s.held[server]) > 0 {
					s.release(server, 1)
				}
			}
			hold(4)
			if c.changes {
				s.Exchange("stats", "set server b/s1 state maint\n")
				hold(1)
				s.Exchange("stats", "set server b/s1 state ready\n")
				for server := range c.options {
					s.release(server, len(s.held[server]))
				}
				hold(4)
			}
			s.end()
		}
		if got[0] != got[1] {
			t.Errorf("%s %q: %s, HAProxy %s", c.algorithm, c.options, got[0], got[1])
		}
	}
}

// Where it does not matter which of several is taken, the load of each is the same
// after the same events, give or take one.
func TestLeastconnBesideHAProxy(t *testing.T) {
	options := []string{"weight 10", "weight 20", "weight 30", "weight 40 maxconn 5"}
	var seen [2][][]int
	for i, s := range beside(t, "  balance leastconn\n", options...) {
		note := func() { seen[i] = append(seen[i], s.busy()) }
		hold := func(n int) {
			for range n {
				s.hold()
			}
			note()
		}
		hold(11)
		s.release(2, len(s.held[2])) // one is idle: it takes what comes
		hold(3)
		s.Exchange("stats", "set server b/s0 state drain\n")
		hold(4)
		s.Exchange("stats", "set server b/s0 state ready\n")
		hold(4)
		s.Exchange("stats", "set weight b/s1 80\n")
		hold(5)
		s.end()
	}
	for step := range seen[0] {
		for k := range options {
			if a, b := seen[0][step][k], seen[1][step][k]; a-b > 1 || b-a > 1 {
				t.Errorf("step %d: %v, HAProxy %v", step, seen[0], seen[1])
				break
			}
		}
	}
}

// Shares are those of the weights, and who is busy gets less, as much as from HAProxy:
// five deviations of what chance allows.
func TestRandomBesideHAProxy(t *testing.T) {
	const n = 1500
	for _, c := range []struct {
		algorithm string
		held      int // by the first server
		options   []string
	}{
		{"random(1)", 0, []string{"weight 10", "weight 30", "weight 60"}},
		{"random", 0, []string{"weight 10", "weight 10", "weight 10"}},
		{"random(1)", 4, []string{"weight 10", "weight 10", "weight 10"}},
		{"random(3)", 4, []string{"weight 50", "weight 50", "weight 50", "weight 50"}},
	} {
		var got [2][]int
		for i, s := range beside(t, "  balance "+c.algorithm+"\n", c.options...) {
			if c.held > 0 {
				for k := 1; k < len(c.options); k++ {
					s.Exchange("stats", fmt.Sprintf("set server b/s%d state maint\n", k))
				}
				for range c.held {
					s.hold()
				}
				for k := 1; k < len(c.options); k++ {
					s.Exchange("stats", fmt.Sprintf("set server b/s%d state ready\n", k))
				}
			}
			got[i] = s.quick(n)
			s.end()
		}
		for k := range c.options {
			p := float64(got[1][k]) / n
			if d := math.Abs(float64(got[0][k] - got[1][k])); d > 5*math.Sqrt(2*n*max(p*(1-p), 0.01)) {
				t.Errorf("%s, %d held: %v, HAProxy %v", c.algorithm, c.held, got[0], got[1])
				break
			}
		}
	}
}

// A server that comes back begins with little, and has more each second.
func TestSlowStartBesideHAProxy(t *testing.T) {
	const whole = 8 * time.Second
	var done sync.WaitGroup
	for _, s := range beside(t, "  balance roundrobin\n", "slowstart 8s weight 100 disabled", "weight 100") {
		done.Go(func() {
			start := time.Now()
			s.Exchange("stats", "set server b/s0 state ready\n")
			up := time.Now()
			last := 0
			for time.Since(up) < whole/2 {
				asked := time.Now()
				text := s.stat("throttle")[0]
				told := time.Now()
				n, err := strconv.Atoi(text)
				share := func(d time.Duration) int { return int(100 * d / whole) }
				// The weight follows once a second, and in whole seconds.
				low, high := share(asked.Sub(up)-3*time.Second), share(told.Sub(start)+2*time.Second)
				if err != nil || n < last || n < low || n > high {
					t.Errorf("%s: after %v: throttle %q, not from %d to %d", s.Name, asked.Sub(up), text, low, high)
					return
				}
				last = n
				time.Sleep(100 * time.Millisecond)
			}
			if last == 0 || last == 100 {
				t.Errorf("%s: throttle %d at the end", s.Name, last)
			}
		})
	}
	done.Wait()
}
