package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A ring is forwarded to rsyslog over TCP, in both framings. What is logged while
// it is down reaches it afterwards, once each; a configuration that is applied
// meanwhile loses nothing.
func TestRingToRsyslog(t *testing.T) {
	rsyslogd := tool(t, "rsyslogd")
	dir := scratch(t)
	lines, counted := port(t), port(t)
	conf := write(t, dir, "rsyslog.conf", fmt.Sprintf(`global(workDirectory="%[1]s")
module(load="imtcp")
template(name="t" type="string" string="%%syslogfacility-text%% %%programname%% %%msg%%\n")
ruleset(name="lines") { action(type="omfile" file="%[1]s/lines" template="t") }
ruleset(name="counted") { action(type="omfile" file="%[1]s/counted" template="t") }
input(type="imtcp" address="127.0.0.1" port="%[2]d" ruleset="lines" SupportOctetCountedFraming="off")
input(type="imtcp" address="127.0.0.1" port="%[3]d" ruleset="counted")
`, dir, lines, counted))
	receive := func() *program {
		return start(t, rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	}
	addr := address(t)
	text := preface + fmt.Sprintf(`ring lines
    format rfc3164
    size 1000000
    timeout connect 5s
    timeout server 5s
    server s1 127.0.0.1:%d
ring counted
    format rfc5424
    size 1000000
    timeout connect 5s
    timeout server 5s
    server s1 127.0.0.1:%d log-proto octet-count
frontend f
    bind %s
    log-tag tag
    log ring@lines local3
    log ring@counted local4
    log-format "got %%HU"
    http-request return status 200
`, lines, counted, addr)
	log := receive()
	p := serve(t, text, "-W")
	n := 0
	visit := func(times int) {
		for range times {
			mustGet(t, addr, fmt.Sprintf("/%d", n), "")
			n++
		}
	}
	arrived := func(file, facility string) {
		t.Helper()
		path := filepath.Join(dir, file)
		var got string
		until(t, "all lines arrive in "+path, func() bool {
			b, _ := os.ReadFile(path)
			got = string(b)
			return strings.Count(got, "\n") >= n
		})
		seen := map[string]int{}
		for _, l := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
			seen[strings.Join(strings.Fields(l), " ")]++
		}
		for i := range n { // two threads write, each in its order
			if line := fmt.Sprintf("%s tag got /%d", facility, i); seen[line] != 1 {
				t.Fatalf("%s: %q came %d times, among\n%s", file, line, seen[line], got)
			}
		}
	}
	both := func() {
		t.Helper()
		arrived("lines", "local3")
		arrived("counted", "local4")
	}
	visit(20)
	both()
	log.stop()
	visit(20)
	p.file = configure(t, p.dir, text+"# another one\nbackend more\n")
	p.reload()
	visit(20)
	// Events come into the ring at the end of the turn that they were made in.
	until(t, "all events are in the ring", func() bool { return strings.Count(p.ask("show events counted"), "got /") == n })
	receive()
	both()
	visit(20)
	both()
	if got := p.ask("show events"); !strings.Contains(got, "    counted    : type=buffer, 0 dropped, counted\n") {
		t.Error(got)
	}
}
