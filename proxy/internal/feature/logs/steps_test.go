package logs_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

const get = "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// TestSamplesAsHAProxy: each target gets those lines that its ranges name.
func TestSamplesAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, strings.Replace(oracle.Head, "global\n", "global\n log {log9} format raw sample 2:3 local0\n", 1)+`frontend ready
 bind {ready}
 http-request return status 200
frontend f
 bind {f}
 log global
 log {log1} format raw sample 1:2 local0
 log {log2} format raw sample 2-3,5:5 local0
 log {log3} len 80 format raw sample 4:4 local0
 log {log4} format raw sample 1:1 local0
 log-format %HP
 http-request return status 200
frontend g
 bind {g}
 log global
 log-format %HP
 http-request return status 200
`)
	for _, s := range sides {
		for i := range 20 {
			s.Exchange("f", fmt.Sprintf(get, fmt.Sprintf("/%d", i)))
			s.Exchange("g", fmt.Sprintf(get, fmt.Sprintf("/g%d", i)))
		}
	}
	for log, n := range map[string]int{"log1": 10, "log2": 12, "log3": 5, "log4": 20, "log9": 14} {
		var lines [2][]string
		for k, s := range sides {
			for range n {
				lines[k] = append(lines[k], s.Line(log))
			}
			slices.Sort(lines[k]) // of two sections
		}
		if !slices.Equal(lines[0], lines[1]) {
			t.Errorf("%s\nforebay: %q\nhaproxy: %q", log, lines[0], lines[1])
		}
	}
}

// TestLogErrorsAsHAProxy: the two programs refuse the same lines, for the same reasons.
func TestLogErrorsAsHAProxy(t *testing.T) {
	said := regexp.MustCompile(`(?m)log : .*$|expects exactly [^\n)]*`)
	for _, line := range []string{
		"log 127.0.0.1 sample", "log 127.0.0.1 sample 1 local0", "log 127.0.0.1 sample 1: local0", "log 127.0.0.1 sample 1:0 local0", "log 127.0.0.1 sample 1:x local0",
		"log 127.0.0.1 sample 0:2 local0", "log 127.0.0.1 sample 1,3-4:4 local0", "log 127.0.0.1 sample 1,3-5:4 local0", "log 127.0.0.1 sample 4-3:5 local0",
		"log 127.0.0.1 sample 1-3,2:5 local0", "log 127.0.0.1 sample a:5 local0", "log 127.0.0.1 sample ,1:5 local0", "log 127.0.0.1 sample 1-:5 local0",
		"log 127.0.0.1 sample 3,1:5 local0", "log 127.0.0.1 sample 1,1:5 local0", "log 127.0.0.1 sample :5 local0", "log 127.0.0.1 sample 1:2:3 local0",
		"log 127.0.0.1 sample 1:-2 local0", "log 127.0.0.1 sample 1-2-3:5 local0",
		"http-request set-log-level", "http-request set-log-level foo", "http-request set-log-level info x", "http-request set-log-level silent",
		"http-response set-log-level debug", "tcp-request content set-log-level", "tcp-request content set-log-level crit",
		"tcp-request connection set-log-level crit",
	} {
		ours, theirs := oracle.Check(t, oracle.Head+"frontend f\n bind 127.0.0.1:36700\n "+line+"\n")
		if ours.OK != theirs.OK || !ours.OK && said.FindString(ours.Text) != said.FindString(theirs.Text) {
			t.Errorf("%s\nforebay %v: %s\nhaproxy %v: %s", line, ours.OK, ours.Text, theirs.OK, theirs.Text)
		}
	}
}

// TestLevelsAsHAProxy: rules say at what level an exchange is logged, the last one, or
// that it is not.
func TestLevelsAsHAProxy(t *testing.T) {
	time := regexp.MustCompile(` \d+\n`) // which keeps 2.6 from logging before the end
	sides := oracle.Run(t, oracle.Head+`frontend ready
 bind {ready}
 http-request return status 200
frontend f
 bind {f}
 log {log} format priority local0
 log {log1} format priority local0 err
 log-format "%HP %Tt"
 option log-separate-errors
 tcp-request content set-log-level notice if { src 127.0.0.9 }
 http-request set-log-level silent if { path_beg /silent }
 http-request set-log-level warning if { path_beg /warn }
 http-request set-log-level debug if { path_end /debug }
 http-request set-log-level emerg if { path_beg /emerg }
 http-request return status 503 if { path_end /503 }
 http-request deny if { path_end /deny }
 http-response set-log-level crit if { status 404 }
 http-response set-log-level alert if { status 418 }
 default_backend b
backend b
 http-request set-log-level notice if { path_beg /back }
 http-request set-log-level info if { path_end /loud }
 server o {origin}
`)
	for _, path := range []string{
		"/", "/silent", "/warn", "/warn/debug", "/emerg", "/503", "/deny", "/warn/503", "/silent/loud", "/silent/deny", "/back", "/want404", "/want418", "/silent/want404", "/last",
	} {
		var line [2]string
		for k, s := range sides {
			more := ""
			if i := strings.Index(path, "want"); i >= 0 {
				more = "want: " + path[i+4:] + "\r\n"
			}
			s.Exchange("f", strings.Replace(fmt.Sprintf(get, path), "Connection", more+"Connection", 1))
			if path != "/silent" && path != "/silent/deny" {
				line[k] = time.ReplaceAllString(s.Line("log"), "")
			}
		}
		if line[0] != line[1] {
			t.Errorf("%s\nforebay: %q\nhaproxy: %q", path, line[0], line[1])
		}
	}
	for range 6 { // emerg, 503, deny, 404, 418, silent 404
		if a, b := time.ReplaceAllString(sides[0].Line("log1"), ""), time.ReplaceAllString(sides[1].Line("log1"), ""); a != b {
			t.Errorf("forebay: %q\nhaproxy: %q", a, b)
		}
	}
}

const stepped = oracle.Head + `log-profile brief
 log-tag brief
 on accept format "accept %OG %ci"
 on connect drop
 on error format "error %OG %ST" sd "[e@1]"
 on http-req format "rule %OG"
 on any sd "[any@1 o=\"%OG\"]"
log-profile other
 on any format "other %OG"
`

// TestSteps: "log-steps" says when there are lines, and profiles what is in them.
func TestSteps(t *testing.T) {
	s := oracle.RunOne(t, "forebay", stepped+`frontend all
 bind {all}
 log {log} format raw local0
 log-format "%OG %HP %b/%s %ST %hr %hs"
 log-steps all
 capture request header host len 9
 capture response header server len 9
 http-request deny if { path /deny }
 default_backend b
frontend some
 bind {some}
 log {log1} format raw local0
 log-format "%OG %HP"
 log-steps accept,response
 default_backend b
frontend profiled
 bind {profiled}
 log {log2} format rfc5424 profile brief local0
 log {log3} format raw local0
 log-format "%OG %HP"
 log-steps all
 option dontlog-normal
 no option dontlog-normal
 http-request deny if { path /deny }
 default_backend b
frontend only
 bind {only}
 log {log4} format raw profile other local0
 log-steps connect,close
 default_backend b
frontend abnormal
 bind {abnormal}
 log {log5} format raw local0
 log-format "%OG %HP %ST"
 log-steps close
 option dontlog-normal
 error-log-format "%OG error %HP %ST"
 http-request return status 503 if { path /503 }
 default_backend b
listen tcp
 mode tcp
 bind {tcp}
 log {log6} format raw local0
 log-format "%OG %b/%s %B"
 log-steps all
 server o {origin}
frontend soon
 bind {soon}
 log {log7} format raw local0
 log-format "%OG %HP"
 option logasap
 default_backend b
backend b
 server o {origin}
`)
	head := regexp.MustCompile(`^<\d+>1 \S+ - (\S+) \d+ - `)
	check := func(front, path, log string, want ...string) {
		t.Helper()
		s.Exchange(front, fmt.Sprintf(get, path))
		for _, w := range want {
			if line := strings.TrimSuffix(head.ReplaceAllString(s.Line(log), "$1 "), "\n"); line != w {
				t.Errorf("%s %s: %q, want %q", front, path, line, w)
			}
		}
	}
	check("all", "/a", "log", "txn_accept /a all/<NOSRV> -1 {} {}", "txn_request /a all/<NOSRV> -1 {h} {}", "txn_connect /a b/o -1 {h} {}", "txn_response /a b/o -1 {h} {origin}", "txn_close /a b/o 200 {h} {origin}")
	check("all", "/deny", "log", "txn_accept /deny all/<NOSRV> -1 {} {}", "txn_request /deny all/<NOSRV> -1 {h} {}", "txn_close /deny all/<NOSRV> 403 {h} {}")
	check("some", "/b", "log1", "txn_accept /b", "txn_response /b")
	check("some", "/c", "log1", "txn_accept /c")
	check("profiled", "/d", "log2", "brief - accept txn_accept 127.0.0.1", `brief [any@1 o="txn_request"] txn_request /d`, `brief [any@1 o="txn_response"] txn_response /d`, `brief [any@1 o="txn_close"] txn_close /d`)
	check("profiled", "/deny", "log2", "brief - accept txn_accept 127.0.0.1", `brief [any@1 o="txn_request"] txn_request /deny`, "brief [e@1] error txn_close 403")
	for _, w := range []string{"txn_accept /d", "txn_request /d", "txn_connect /d", "txn_response /d", "txn_close /d"} {
		if line := s.Line("log3"); line != w+"\n" {
			t.Errorf("%q, want %q", line, w)
		}
	}
	check("only", "/e", "log4", "other txn_connect", "other txn_close")
	check("abnormal", "/f", "log5")
	check("abnormal", "/503", "log5", "txn_close error /503 503")
	check("tcp", "/g", "log6", "txn_accept tcp/<NOSRV> 0", "txn_connect tcp/o 0")
	if line := s.Line("log6"); !strings.HasPrefix(line, "txn_close tcp/o ") {
		t.Errorf("%q", line)
	}
	check("soon", "/h", "log7", "txn_response /h")
}

// TestDoLog: rules log at any place, beside what is logged anyway.
func TestDoLog(t *testing.T) {
	s := oracle.RunOne(t, "forebay", stepped+`frontend f
 bind {f}
 log {log} format priority local0
 log-format "%OG %HP"
 tcp-request connection do-log
 tcp-request session do-log
 tcp-request content do-log
 http-request do-log if { path /a }
 http-request do-log profile other
 http-request set-log-level notice if { path /b }
 http-request set-log-level silent if { path /c }
 http-response do-log
 http-after-response do-log
 default_backend b
backend b
 tcp-request content do-log profile brief
 http-request do-log profile brief
 tcp-response content do-log
 server o {origin}
frontend nothing
 bind {nothing}
 http-request do-log
 http-request return status 200
listen tcp
 mode tcp
 bind {tcp}
 log {log1} format raw local0
 log-format "%OG %b"
 tcp-request inspect-delay 10s
 tcp-request content do-log
 tcp-request content accept if { req.payload(0,4) -m found }
 tcp-response content do-log
 server o {origin}
`)
	// What is waited for more is evaluated again, but logged once.
	c, err := net.Dial("tcp", s.Addr("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line := s.Line("log1"); line != "tcp-req-cont tcp\n" {
		t.Errorf("%q", line)
	}
	for _, b := range "GET / HTTP/1.1\r\nConnection: close\r\n\r\n" {
		c.Write([]byte{byte(b)})
	}
	io.Copy(io.Discard, c)
	for _, w := range []string{"tcp-res-cont tcp\n", "txn_close tcp\n"} {
		if line := s.Line("log1"); line != w {
			t.Errorf("%q, want %q", line, w)
		}
	}
	for _, x := range []struct {
		front, path, log string
		want             []string
	}{
		{"f", "/a", "log", []string{
			"<134>tcp-req-conn <BADREQ>", "<134>tcp-req-sess <BADREQ>", "<134>tcp-req-cont /a", "<134>http-req /a", "<134>other http-req",
			"<134>tcp-req-cont /a", "<134>rule http-req", "<134>tcp-res-cont /a", "<134>http-res /a", "<134>http-after-res /a", "<134>txn_close /a",
		}},
		{"f", "/b", "log", []string{
			"<134>tcp-req-conn <BADREQ>", "<134>tcp-req-sess <BADREQ>", "<134>tcp-req-cont /b", "<134>other http-req",
			"<133>tcp-req-cont /b", "<133>rule http-req", "<133>tcp-res-cont /b", "<133>http-res /b", "<133>http-after-res /b", "<133>txn_close /b",
		}},
		{"f", "/c", "log", []string{"<134>tcp-req-conn <BADREQ>", "<134>tcp-req-sess <BADREQ>", "<134>tcp-req-cont /c", "<134>other http-req"}},
		{"nothing", "/d", "log", nil},
		{"tcp", "/e", "log1", []string{"tcp-req-cont tcp", "tcp-res-cont tcp", "txn_close tcp"}},
		{"f", "/d", "log", []string{"<134>tcp-req-conn <BADREQ>"}},
	} {
		s.Exchange(x.front, fmt.Sprintf(get, x.path))
		for _, w := range x.want {
			if line := s.Line(x.log); line != w+"\n" {
				t.Errorf("%s: %q, want %q", x.path, line, w)
			}
		}
	}
}

// What is wrong with profiles, and with steps, is said.
func TestProfileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"frontend f\n bind :1\n log 127.0.0.1 profile p local0":                     "unknown log-profile 'p'",
		"global\n log 127.0.0.1 profile p local0":                                   "unknown log-profile 'p'",
		"frontend f\n bind :1\n log 127.0.0.1 local0\n http-request do-log profile": "missing log-profile name",
		"frontend f\n bind :1\n http-request do-log profile p":                      "unknown log-profile 'p'",
		"log-profile p\nlog-profile p":                                              "already defined",
		"log-profile p\n on":                                                        "expects a log step",
		"log-profile p\n on accept":                                                 "expects 'drop', 'format' or 'sd'",
		"log-profile p\n on accept foo":                                             "found 'foo'",
		"log-profile p\n on accept format":                                          "expects a format behind 'format'",
		"log-profile p\n on accept sd %nosuch":                                      "no such format alias 'nosuch'",
		"log-profile p\n log-tag":                                                   "expects a tag",
		"frontend f\n bind :1\n log-steps accept,nosuch":                            "invalid log step name (nosuch)",
		"frontend f\n bind :1\n log-steps http-req":                                 "changes nothing here",
	} {
		_, d := bed.Load(1, "defaults\n mode http\n timeout client 1s\n"+text+"\n")
		found := false
		for _, m := range d.All() {
			found = found || strings.Contains(m.Text, want)
		}
		if !found {
			t.Errorf("%s\n%v", text, d.All())
		}
	}
}

// A profile that changes is that of sections that have not changed, too.
func TestProfileApplied(t *testing.T) {
	const target = " log {log} format raw profile p local0\n"
	for _, where := range [][2]string{
		{"global\n", "global\n" + target}, // and "log global" of the frontend
		{" mode http\n", " mode http\n" + target},
		{"bind {f}\n", "bind {f}\n" + target},
		{"log global\n", "log {log} format raw local0\n log-steps connect\n http-request do-log profile p\n"},
	} {
		text := func(format string) string {
			return strings.Replace(oracle.Head+"log-profile p\n on any format \""+format+"\"\nfrontend f\n bind {f}\n log global\n log-format x\n http-request return status 200\n", where[0], where[1], 1)
		}
		s := oracle.RunOne(t, "forebay", text("one"))
		for _, format := range []string{"one", "two", "three"} {
			if format != "one" {
				bed.Apply(t, s.Worker(), s.Fill(text(format)))
			}
			s.Exchange("f", fmt.Sprintf(get, "/"))
			if line := s.Line("log"); line != format+"\n" {
				t.Errorf("%q: %q, want %q", where[0], line, format)
			}
		}
	}
}

func FuzzSample(f *testing.F) {
	for _, s := range []string{"1:2", "1,3-4:10", "a", "1-2-3:9", ":", ",:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\n\r\"'\\#$ \x00\t") {
			return
		}
		bed.Load(1, "global\n log 127.0.0.1 sample "+s+" local0\n")
	})
}
