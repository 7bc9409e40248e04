package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// What a command and a rule have changed of a map lives on through reloads, in
// place and with a new worker, until the file is another one.
func TestMapsOutliveReloads(t *testing.T) {
	at := tcptest.Reserve(t).String()
	dir := t.TempDir()
	file := filepath.Join(dir, "hosts.map")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a one\nb two\n")
	text := func(threads int, more string) string {
		return fmt.Sprintf(`global
    stats socket @DIR@/s level admin
    nbthread %d
%s
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind %s
    http-request set-map(%s) %%[path,field(3,/)] %%[path,field(4,/)] if { path_beg /set/ }
    http-request return content-type text/plain lf-string %%[path,field(2,/),map(%s,none)]
`, threads, more, at, file, file)
	}
	p := serve(t, text(1, ""), "-W")
	want := func(when, a, b, c string) {
		t.Helper()
		for key, value := range map[string]string{"a": a, "b": b, "c": c} {
			// A worker that was told to end may still have taken a connection.
			until(t, fmt.Sprintf("%s: %s is %q", when, key, value), func() bool {
				_, body, err := get(at, "/"+key)
				return err == nil && strings.TrimSpace(body) == value
			})
		}
	}
	want("at first", "one", "two", "none")
	p.ask("set map " + file + " b zwei; del map " + file + " a")
	get(at, "/set/c/drei")
	want("changed", "none", "zwei", "drei")
	before := p.worker()
	configure(t, p.dir, text(1, "    description other"))
	p.reload()
	if p.worker() != before {
		t.Error("not in place")
	}
	want("applied", "none", "zwei", "drei")
	configure(t, p.dir, text(2, ""))
	p.reload()
	if p.worker() == before {
		t.Error("no new worker")
	}
	want("in a new worker", "none", "zwei", "drei")
	write("a one\nb two\nc three\n")
	if answer := p.askMaster("reload"); !strings.Contains(answer, "what was changed at run time (the file on the disk is another one)") {
		t.Errorf("%s", answer)
	}
	want("with another file", "one", "two", "three")
	p.ask("del map " + file + " a")
	write("a one\n")
	configure(t, p.dir, text(1, ""))
	if answer := p.askMaster("reload"); !strings.Contains(answer, "is lost") {
		t.Errorf("%s", answer)
	}
	want("with another file in a new worker", "one", "none", "none")
	// A file of many lines is read, kept and shown whole.
	var b strings.Builder
	for i := range 200000 {
		fmt.Fprintf(&b, "host%d.example.com backend%d\n", i, i%10)
	}
	write(b.String())
	p.reload()
	if got := p.ask("show map " + file); len(regexp.MustCompile(`(?m)^0x[0-9a-f]+ host`).FindAllString(got, -1)) != 200000 {
		t.Errorf("%d bytes of a large map", len(got))
	}
}
