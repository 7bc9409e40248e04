package snapshot

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestRuntimeCommands(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 2)
	one, two := origin(t, "one"), origin(t, "two")
	global := "global\n stats socket " + b.sock + " level admin\n"
	web := fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\n", p[0])
	b.start(global + head + web + "backend app\n server s1 " + one + "\n")
	c := dial(t, p[0])
	c.get()
	say := func(cmd, want string) {
		t.Helper()
		if got := b.command(cmd); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", strings.Split(cmd, "\n")[0], got, want)
		}
	}
	send := func(id int, path, text string) {
		t.Helper()
		say(fmt.Sprintf("add config @%d %s <<%%EOF%%\n%s%%EOF%%", id, path, text), "")
	}
	say("show config", "# id state files\n1 (running) 1\n")
	say("prepare config", "New version created: 2\n")
	say("prepare config", "New version created: 3\n")
	say("show config", "# id state files\n1 (running) 1\n2 (open) 0\n3 (open) 0\n")
	say("commit config @3", "[ALERT] config : the configuration has no files.\nFatal errors found in configuration\n")
	say("abort config @3", "Version 3 aborted\n")
	say("abort config @3", "Unknown version '3'.\n")
	say("check config @x", "Unknown version 'x'.\n")
	say("check config", "Version number expected ('@<ver>').\n")

	send(2, "a.cfg", "")
	say("commit config @2", "[ALERT] [forebay.main()] No enabled listener found (check for 'bind' directives) !\nFatal errors found in configuration\n")
	if c.get() != "one" {
		t.Error("an empty configuration came into force")
	}
	send(2, "a.cfg", global+head+"frontend web\n bnid :1\n")
	say("check config @2", "[ALERT] config : parsing [a.cfg:10] : unknown keyword 'bnid' in 'frontend' section; did you mean 'id' maybe ?\n"+
		"Fatal errors found in configuration\n")
	say("commit config @2", b.command("check config @2"))

	// Two files, in their order, with one that the configuration names.
	send(2, "a.cfg", global+head+web)
	send(2, "b.cfg", "backend app\n timeout server 6s\n errorfile 503 errors/503.http\n server s2 "+two+"\n"+fmt.Sprintf("frontend fe2\n bind 127.0.0.1:%d\n default_backend app\n", p[1]))
	say("check config @2", "[ALERT] config : parsing [b.cfg:3] : errorfile : error opening file 'errors/503.http'.\nFatal errors found in configuration\n")
	say("add config-file @2 errors/503.http <<X\nHTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nno\n\nX", "")
	say("check config @2", "Configuration file is valid\n")
	want := "~ backend app: timeout server unset -> 6s\n~ backend app: errorfile 503 unset -> errors/503.http\n+ server app/s2\n- server app/s1\n+ frontend fe2\n"
	say("show config @2", want)
	if c.get() != "one" {
		t.Error("showing has changed something")
	}
	say("commit config @2", want+"Success!\n")
	if c.get() != "two" || dial(t, p[1]).get() != "two" {
		t.Error("not applied")
	}
	say("show config", "# id state files\n2 (running) 2\n")
	say("commit config @2", "Unknown version '2'.\n")

	// What needs a reload is named, and nothing is changed.
	say("prepare config", "New version created: 4\n")
	send(4, "a.cfg", global+" nbthread 7\n"+head+web+"backend app\n server s1 "+one+"\n")
	say("commit config @4", "! global nbthread unset -> 7: needs a reload\nNot applied: the changes marked '!' need a reload\n")
	if c.get() != "two" || b.w.Snapshot().Version != 2 {
		t.Error("something was applied")
	}

	// An address that cannot be bound.
	send(4, "a.cfg", global+head+web+"backend app\n server s1 "+one+"\nfrontend x\n bind 198.51.100.1:80\n")
	if got := b.command("commit config @4"); !regexp.MustCompile(`^\[ALERT\] Binding \[a.cfg:15\] for frontend x: cannot bind socket \(.*\) for \[198.51.100.1:80\]\nFatal errors found in configuration\n$`).MatchString(got) {
		t.Errorf("%q", got)
	}
	if c.get() != "two" {
		t.Error("something was applied")
	}
	say("abort config @4", "Version 4 aborted\n")
}

func TestRuntimeLimits(t *testing.T) {
	b := newBed(t, 1)
	b.start("global\n stats socket " + b.sock + " level admin\n" + head)
	for range maxOpen {
		b.command("prepare config")
	}
	if got := b.command("prepare config"); got != "Too many open configurations (maximum is 8): commit or abort one.\n" {
		t.Error(got)
	}
	big := new(bundle)
	big.size = maxBundle - 3
	if err := big.add(true, "x", "12"); err != nil {
		t.Error(err)
	}
	if err := big.add(true, "x", "123"); err == nil {
		t.Error("too large")
	}
	if err := big.add(true, "x", "1"); err != nil || big.size != maxBundle-1 {
		t.Error(err, big.size)
	}
	for _, cmd := range []string{"add config @2", "add config @2 a b <<X\nX", "add config @2 a", "add config @99 a <<X\nX"} {
		if got := b.command(cmd); got == "" || got == "\n" {
			t.Errorf("%s: accepted", cmd)
		}
	}
}

// TestExpiry lets a configuration that nobody uses be forgotten.
func TestExpiry(t *testing.T) {
	b := newBed(t, 1)
	l, r := new(bundles), b.w.Reactors[0]
	done := make(chan *bundle)
	r.Post(func() {
		x, err := l.prepare(r, 1)
		if err != nil {
			t.Error(err)
		}
		x.used -= int64(unusedFor) - 1 // nearly
		l.expire(x)
		if len(l.list) != 1 {
			t.Error("forgotten too early")
		}
		x.used -= 2
		l.expire(x)
		if len(l.list) != 0 || x.files != nil {
			t.Error("not forgotten")
		}
		done <- x
	})
	<-done
}

func TestLevels(t *testing.T) {
	b := newBed(t, 1)
	b.start("global\n stats socket " + b.sock + " level operator\n" + head)
	if got := b.command("prepare config"); got != "Permission denied\n" {
		t.Errorf("%q", got)
	}
	if _, err := os.Stat(b.sock); err != nil {
		t.Error(err)
	}
}

// TestCommitListsWhatIsKept: what the Runtime socket has set and a configuration
// keeps is in the answer and in "show servers state", until a configuration says
// something new.
func TestCommitListsWhatIsKept(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := func(more string) string {
		return fmt.Sprintf("global\n stats socket %s level admin\n%sfrontend web\n bind 127.0.0.1:%d\n default_backend app\n"+
			"backend app\n server s1 127.0.0.1:1 weight %s\n server s2 127.0.0.1:2\n server s3 127.0.0.1:3 maxconn 7\n", b.sock, head, p[0], more)
	}
	b.start(text("9"))
	commit := func(more string) string {
		t.Helper()
		var id int
		if _, err := fmt.Sscanf(b.command("prepare config"), "New version created: %d", &id); err != nil {
			t.Fatal(err)
		}
		b.command(fmt.Sprintf("add config @%d a.cfg <<%%EOF%%\n%s%%EOF%%", id, text(more)))
		return b.command(fmt.Sprintf("commit config @%d", id))
	}
	if got := commit("9\n timeout tunnel 1s"); strings.Contains(got, "= ") {
		t.Errorf("nothing was set, and\n%s", got)
	}
	for _, c := range []string{"set server app/s1 weight 4", "set server app/s1 state drain", "set server app/s2 addr 127.0.0.9 port 99", "set maxconn server app/s3 5",
		"disable server app/s3", "set maxconn frontend web 33", "disable frontend web"} {
		b.command(c)
	}
	got := commit("9\n timeout tunnel 2s")
	for _, want := range []string{"= frontend web: maxconn 33 instead of ", ", disabled (set at run time)\n", "= server app/s1: drain, weight 4 instead of 9 (set at run time)\n",
		"= server app/s2: address 127.0.0.9:99 instead of 127.0.0.1:2 (set at run time)\n", "= server app/s3: maintenance, maxconn 5 instead of 7 (set at run time)\nSuccess!\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if list := b.command("show config runtime"); !strings.Contains(got, list) || strings.Count(list, "= ") != 4 {
		t.Errorf("show config runtime: %q", list)
	}
	want := "# kept by the reload: app/s1 drain, weight 4 instead of 9\n# kept by the reload: app/s2 address 127.0.0.9:99 instead of 127.0.0.1:2\n# kept by the reload: app/s3 maintenance, maxconn 5 instead of 7\n"
	if got := b.command("show servers state"); !strings.HasSuffix(got, want) {
		t.Errorf("show servers state:\n%s", got)
	}
	if got := commit("8"); !strings.Contains(got, "= server app/s1: drain (set") {
		t.Errorf("a new weight in the file:\n%s", got)
	}
}
