package runtimeapi_test

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// diffConfig is the configuration that [graph] is the graph of. Nobody listens
// on port 1; the only check is made at the start and passes.
const diffConfig = `
global
  maxconn 2000
  nbthread 2
  node node1
  stats socket %s/sock level admin
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend fe1
  bind unix@%s/fe1
  maxconn 100
  default_backend app
backend app
  balance roundrobin
  server s1 127.0.0.1:1 check port %d weight 10 inter 1h
  server s2 127.0.0.1:1
  server s3 127.0.0.1:1 backup disabled maxconn 5
listen l1
  bind unix@%s/l1
  mode tcp
  balance static-rr
  server x 127.0.0.1:1
`

// haproxy starts the distribution's program and gives the path of its socket.
func haproxy(t *testing.T) string {
	t.Helper()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	dir := t.TempDir()
	sock := filepath.Join(dir, "sock")
	oracle.Start(t, fmt.Sprintf(diffConfig, dir, dir, up.Addr().(*net.TCPAddr).Port, dir), "unix", sock)
	return sock
}

func askHAProxy(t *testing.T, sock, line string) string {
	t.Helper()
	c, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, line+"\n")
	c.(*net.UnixConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return string(b)
}

// same are commands that both must answer alike, in this order: each finds the
// state that those before it left.
var same = strings.Split(strings.TrimSpace(`
add server
add server app
add server app/s9
add server nope/s9 127.0.0.1:1
add server app/s1 127.0.0.1:1
add server app/s9 127.0.0.1:1 weight 5
show servers state app
add server app/s9 127.0.0.1:1
add server app/s!0 127.0.0.1:1
add server app/s10 127.0.0.1:1 id 9
get weight app/s9
enable server app/s9
show servers state app
del server
del server app
del server app/nope
del server nope/x
del server app/s9
disable server app/s9
del server app/s9
del server app/s9
enable server
enable server app
enable server app/
enable server app/nope
enable server nope/s1
enable health
enable health app/s2
disable health app/s2
disable health app/s1
enable health app/s1
enable agent app/s1
disable agent app/s1
enable agent
disable frontend
disable frontend nope
enable frontend
enable frontend app
enable frontend l1
shutdown frontend
shutdown frontend nope
set server
set server app
set server app/nope
set server app/s1
set server app/s1 foo
set server app/s1 weight
set server app/s1 weight x
set server app/s1 weight 1x
set server app/s1 weight -1
set server app/s1 weight 257
set server app/s1 weight 300%
get weight app/s1
set server app/s1 weight 50%
get weight app/s1
set server app/s1 weight 10000%
get weight app/s1
set server app/s1 weight -5%
set server app/s1 weight x%
set weight
set weight app
set weight app/s1
set weight app/s1 4
set weight app/nope 4
set weight l1/x 5
set weight l1/x 50%
get weight l1/x
set weight l1/x 200%
set weight l1/x 100%
set server l1/x weight 2
set server l1/x weight 0
set server l1/x weight 1
get weight l1/x
get weight
get weight app
get weight app/s1
get weight app/nope
show servers state app
set server app/s2 state
set server app/s2 state foo
set server app/s2 state maint
show servers state app
set server app/s2 state drain
show servers state app
set server app/s2 state ready
show servers state app
set server app/s2 health
set server app/s2 health foo
set server app/s2 health down
show servers state app
set server app/s2 health up
set server app/s2 health stopping
show servers state app
set server app/s2 health up
show servers state app
set server app/s2 addr
set server app/s2 addr foo
set server app/s2 addr 127.0.0.1
set server app/s2 addr 127.0.0.2
set server app/s2 addr 127.0.0.2 port
set server app/s2 addr 127.0.0.2 port x
set server app/s2 addr 127.0.0.2 port 18105
set server app/s2 addr 127.0.0.3 port 18106
set server app/s2 addr 127.0.0.3 foo 3
set server app/s2 addr ::1 port 18101
show servers state app
set server app/s2 check-port
set server app/s2 check-port 99
set server app/s2 check-addr
set server app/s2 check-addr 127.0.0.1
set server app/s1 check-port x
set server app/s1 check-port 70000
set server app/s1 check-port 99
set server app/s2 fqdn
set server app/s2 fqdn foo
set server app/s2 agent up
set server app/s2 agent-addr 127.0.0.1
set server app/s2 agent-send x
set maxconn frontend
set maxconn frontend nope 4
set maxconn frontend fe1
set maxconn frontend fe1 -4
set maxconn frontend fe1 50
set maxconn server
set maxconn server app/s2
set maxconn server app/s2 x
set maxconn server app/s2 1x
set maxconn server app/s2 -1
set maxconn server app/s2 30
set maxconn server app/nope 30
set maxconn global
set maxconn global 999999999
set maxconn global 500
set maxconn global 0
set rate-limit ssl-sessions global
set rate-limit ssl-sessions global -1
set rate-limit ssl-sessions global 50
set rate-limit ssl-sessions global 0
shutdown session
shutdown session 0x1
shutdown sessions server
shutdown sessions server app
shutdown sessions server app/nope
shutdown sessions server app/s1
clear counters
clear counters all
show backend
show cli level
show servers state
show servers state nope
show servers state l1
show servers conn nope
show stat nope 2 -1
show stat domain foo
show sess 0x1
show env SURELY_NOT_SET
set timeout
set timeout cli
set timeout cli x
set timeout cli 10s
set severity-output x
set severity-output number;set server;show cli level
operator;set server app/s1 weight 1;show cli level
user;show cli level;operator
`), "\n")

// Ages differ by when the programs began, and the server that is checked by how
// far its first check is.
var (
	ages    = regexp.MustCompile(`(?m)^(\d+ \S+ \d+ \S+ \S+ \d \d+ \d+ \d+) \d+ `)
	checked = regexp.MustCompile(`(?m)^\d+ app 1 s1 .*\n`)
)

// masked takes out what may differ. Releases after 2.6 end every message with a
// newline of its own, so the number of those is not compared.
func masked(s string) string {
	s = checked.ReplaceAllString(ages.ReplaceAllString(s, "$1 AGE "), "")
	return strings.TrimRight(s, "\n")
}

func TestSameAsHAProxy(t *testing.T) {
	sock := haproxy(t)
	w := newBed(t, 2)
	for _, line := range same {
		theirs, ours := masked(askHAProxy(t, sock, line)), masked(bed.Ask(t, w, line))
		if theirs != ours {
			t.Errorf("%s\nhaproxy:\n%s\nforebay:\n%s", line, theirs, ours)
		}
	}
}

// Columns and fields of "show stat" and "show info" begin as HAProxy's do and
// have its values where nothing has happened yet.
func TestStatisticsAsHAProxy(t *testing.T) {
	sock := haproxy(t)
	w := newBed(t, 2)
	theirs, ours := table(askHAProxy(t, sock, "show stat")), table(bed.Ask(t, w, "show stat"))
	if len(theirs) != len(ours) {
		t.Fatalf("%d and %d lines", len(theirs), len(ours))
	}
	for i, a := range theirs {
		for col, name := range theirs[0] {
			if name == "-" {
				break
			}
			b := ours[i]
			if col >= len(b) || a[col] != b[col] && !expected[name] && name != "lastchg" {
				t.Errorf("%s/%s %s: haproxy %q, forebay %q", a[0], a[1], name, a[col], b[col])
			}
		}
	}
	names := func(s string) (list []string) {
		for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
			n, _, _ := strings.Cut(l, ":")
			list = append(list, strings.Replace(n, "Splicded", "Spliced", 1))
		}
		return list
	}
	a, b := names(askHAProxy(t, sock, "show info typed")), names(bed.Ask(t, w, "show info typed"))
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("field %d of show info: haproxy %s, forebay %s", i, a[i], b[i])
		}
	}
}

// expected differences of columns: HAProxy 3.4 has other columns than 2.6 where
// 2.6 ended the list, and the state of a check that has not been made yet shows
// for a moment only.
var expected = map[string]bool{"check_status": true, "check_desc": true, "check_duration": true, "last_chk": true, "status": true,
	"check_health": true, "chkfail": true, "chkdown": true, "downtime": true, "need_conn_est": true}

func table(s string) [][]string {
	var rows [][]string
	for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
		rows = append(rows, strings.Split(strings.TrimPrefix(l, "# "), ","))
	}
	return rows
}
