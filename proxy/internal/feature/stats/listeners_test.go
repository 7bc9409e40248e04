package stats_test

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/stats"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// compared are the columns of listeners that both programs fill alike. Bytes are
// not among them: HAProxy counts a head by its internal form.
var compared = []string{"pxname", "svname", "scur", "smax", "slim", "stot", "dreq", "dresp", "ereq", "status", "iid", "sid", "type", "dcon", "dses", "wrew", "eint", "qcur", "rate", "req_tot"}

// listing gives what show stat says, by those columns.
func listing(t *testing.T, text string) string {
	t.Helper()
	rd := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "# "))))
	rd.FieldsPerRecord = -1
	rows, err := rd.ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%v: %q", err, text)
	}
	var b strings.Builder
	for _, row := range rows[1:] {
		kind := row[slices.Index(rows[0], "type")]
		for _, c := range compared {
			if i := slices.Index(rows[0], c); i >= 0 && (kind == "3" || c == "svname" || c == "pxname") {
				fmt.Fprintf(&b, " %s=%s", c, row[i])
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Listeners have rows of their own with option socket-stats, beside HAProxy's.
func TestListenersBesideHAProxy(t *testing.T) {
	both := oracle.Run(t, strings.Replace(oracle.Head, "defaults", "  stats socket ipv4@{stats} level admin\ndefaults", 1)+`
frontend ready
  bind {ready}
frontend f
  bind {first} name web
  bind {second},{third}
  bind {fourth} maxconn 7 id 77
  option socket-stats
  http-request deny if { path /deny }
  http-request return status 200 if { path /made }
  http-response deny if { status 200 }
  default_backend b
frontend g
  bind {fifth}
  option socket-stats
  tcp-request connection reject
frontend off
  bind {sixth}
  http-request return status 200
listen l
  mode tcp
  bind {seventh}
  option socket-stats
  server s {origin}
backend b
  server s {origin}
`)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" }
	for _, s := range both {
		for _, x := range [][2]string{
			{"first", get("/made")}, {"first", get("/deny")}, {"second", get("/made")}, {"second", get("/b")}, {"third", "BAD\r\n\r\n"},
			{"fifth", get("/")}, {"sixth", get("/")}, {"seventh", get("/")},
		} {
			s.Exchange(x[0], x[1])
		}
		atRest(t, s)
	}
	for _, line := range []string{
		"show stat", "show stat -1 8 -1", "show stat f 9 -1", "show stat f 8 2", "show stat -1 8 77", "show stat -1 15 1", "show stat -1 7 -1", "show stat off 8 -1", "show stat b 8 -1",
		"clear counters;show stat -1 8 -1", "clear counters all;show stat -1 8 -1",
	} {
		var got [2]string
		for i, s := range both {
			text := s.Exchange("stats", line+"\n")
			got[i] = listing(t, text[strings.Index(text, "#"):])
		}
		if got[0] != got[1] {
			t.Errorf("%s\n%s\nHAProxy:\n%s", line, got[0], got[1])
		}
		if line == "show stat" && strings.Count(got[0], "type=3") != 6 {
			t.Errorf("%s\n%s", line, got[0])
		}
	}
}

// atRest waits until a program has ended all sessions: a client has its answer, and
// the end of it, before.
func atRest(t *testing.T, s *oracle.Side) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		busy := ""
		for _, line := range strings.Split(s.Exchange("stats", "show stat\n"), "\n") {
			if f := strings.Split(line, ","); len(f) > 4 && f[4] != "" && f[4] != "0" && f[4] != "scur" {
				busy = line
			}
		}
		if busy == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a session never ends: %s", busy)
		}
	}
}

// What is counted is the frontend's, listener by listener, and only while the
// option is on.
func TestListenerCounters(t *testing.T) {
	const head = "defaults\n mode http\n timeout client 1m\n timeout server 1m\n timeout connect 5s\n"
	text := func(option string) string {
		return head + "frontend f\n bind 10.1.0.1:80\n bind 10.1.0.2:80 maxconn 1\n " + option + "\n http-request return status 200 if { path /made }\n"
	}
	s := sim.NewStage(t, text("option socket-stats"), nil)
	find := func(i int) *stream.Listener {
		return s.Worker.ListenersOf(s.Worker.Snapshot().Frontends["f"])[i]
	}
	p := s.Dial("10.1.0.2:80")
	p.Send("GET /made HTTP/1.1\r\nhost: a\r\n\r\nGET /made HTTP/1.1\r\nhost: a\r\n\r\n")
	s.Pass(time.Second)
	if k := find(0).Stats.Load(); k.Max.Load() != 0 || k.Counters[0].Conns.Load() != 0 || k.Counters[0].ResOut.Load() != 0 {
		t.Error("counted at another listener")
	}
	fe, k := s.Frontend("f"), find(1).Stats.Load()
	if n := &k.Counters[0]; k.Max.Load() != 1 || n.Conns.Load() != 1 || n.ReqIn.Load() == 0 || n.ReqIn.Load() != fe.ReqIn.Load() ||
		n.ResOut.Load() != int64(len(p.Got())) || n.ResOut.Load() != fe.ResOut.Load() {
		t.Errorf("at most %d, %d connections, %d and %d bytes", k.Max.Load(), n.Conns.Load(), n.ReqIn.Load(), n.ResOut.Load())
	}
	if a, b := find(0).Status(), find(1).Status(); a != "OPEN" || b != "FULL" {
		t.Errorf("%s, %s", a, b)
	}
	s.Worker.Snapshot().Frontends["f"].FE.Limit.Store(1)
	if a := find(0).Status(); a != "WAITING" {
		t.Errorf("%s", a)
	}
	rows := func() int {
		snap := s.Worker.Snapshot()
		n := 0
		for c := stats.Walk(s.Worker, snap, stats.Filter{Kinds: 8, Server: -1, Proxy: snap.Frontends["f"]}, nil); c.Next(); n++ {
		}
		return n
	}
	if n := rows(); n != 2 {
		t.Errorf("%d rows", n)
	}
	s.Apply(text(""))
	if n := rows(); n != 0 || find(1).Stats.Load() != nil {
		t.Errorf("%d rows, and counted: %t", n, find(1).Stats.Load() != nil)
	}
	p.Send("GET /made HTTP/1.1\r\nhost: a\r\n\r\n")
	s.Pass(time.Second)
	s.Apply(text("option socket-stats"))
	if k := find(1).Stats.Load(); k == nil || k.Counters[0].ReqIn.Load() != 0 || k.Max.Load() != 1 {
		t.Error("counted while it was off")
	}
}
