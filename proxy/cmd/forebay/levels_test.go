package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
)

var levels = []string{"user", "operator", "admin"}

// table reads a file of tab-separated columns: the rows by their first column.
func table(t *testing.T, name string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for l := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSuffix(l, "\n"), "\t"); !strings.HasPrefix(l, "#") {
			rows[f[0]] = f[1:]
		}
	}
	delete(rows, "command")
	return rows
}

// denied tells whether a socket refuses a command for want of rights. What the
// command says otherwise does not count.
func denied(t *testing.T, socket, text string) bool {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, text)
	b := make([]byte, len("Permission denied\n"))
	n, _ := io.ReadFull(c, b)
	return string(b[:n]) == "Permission denied\n"
}

// TestLevels: each command at each level, on sockets of a worker, through the
// master, and after the level was lowered. A command without a row in the table
// fails, and so does a level that differs from HAProxy's without a reason.
func TestLevels(t *testing.T) {
	want := table(t, "testdata/levels.tsv")
	var names []string
	for _, c := range runtimeapi.Worker.Commands() {
		names = append(names, c.Words)
		if want[c.Words] == nil {
			t.Errorf("no row for %q", c.Words)
		}
	}
	for name, row := range want {
		if !slices.Contains(names, name) {
			t.Errorf("a row for %q, which is no command", name)
		}
		if len(row) < 2 || row[1] != "-" && row[0] != row[1] && len(row) < 3 {
			t.Errorf("%q: level %v needs a reason", name, row)
		}
	}
	s := newSite(t)
	for _, l := range levels[:2] {
		s.global += fmt.Sprintf("  stats socket %s level %s expose-fd listeners\n", s.stats+"-"+l, l)
	}
	s.write()
	args := []string{"-W", "-f", s.cfg}
	socket := func(base, level string) string {
		if level == "admin" {
			return base
		}
		return base + "-" + level
	}
	for _, l := range levels {
		args = append(args, "-S", socket(s.control, l)+",level,"+l)
	}
	p := launch(t, command(args...))
	p.await(1, "Loading success.")
	for name, row := range want {
		if name == "user" || name == "operator" {
			continue // below
		}
		least := slices.Index(levels, row[0])
		for i, l := range levels {
			for _, how := range []struct{ socket, text string }{
				{socket(s.stats, l), name},
				{socket(s.control, l), "@1 " + name},
				{socket(s.control, l), "@1; " + name},
				{s.stats, lower(l) + name},
				{s.control, lower(l) + "@1 " + name},
				{s.control, "@1; " + lower(l) + name},
			} {
				if strings.HasPrefix(name, "prompt") || strings.HasPrefix(how.text, "@1;") && (name == "quit" || name == "prompt") {
					continue
				}
				how.text = strings.ReplaceAll(how.text, "@1; ", "@1;")
				if name == "set var" {
					continue // out of experimental mode nobody may run it, which only an admin switches on
				}
				if got := denied(t, how.socket, how.text); got != (i < least) {
					t.Errorf("%q on %s at level %s: denied is %v", how.text, filepath.Base(how.socket), l, got)
				}
			}
		}
	}
	// The level goes down and never up, on both sockets, and through both.
	for _, c := range []struct{ text, want string }{
		{"user -;operator;show cli level", "Permission denied\n\nuser\n\n"},
		{"operator -;show cli level", "operator\n\n"},
		{"operator -;user -;show cli level", "user\n\n"},
		{"user -;user -;show cli level", "user\n\n"},
	} {
		for _, to := range []string{s.stats, s.control} {
			if got := s.ask(to, c.text); got != c.want {
				t.Errorf("%q on %s: %q, want %q", c.text, filepath.Base(to), got, c.want)
			}
		}
		if got := s.ask(s.control, "@1 "+strings.ReplaceAll(c.text, ";", ";@1 ")); !strings.HasSuffix(got, "admin\n\n") {
			t.Errorf("commands that are sent to the worker one by one change nothing for the next: %q", got)
		}
	}
	for i, l := range levels {
		if got := s.ask(socket(s.control, l), "@1 show cli level"); got != l+"\n\n" {
			t.Errorf("the worker takes a client at level %s for %q", l, got)
		}
		// Whatever the client puts into the command.
		for _, text := range []string{"@1 show cli level\\;enable server app/s1", "@1 @1 enable server app/s1", "prompt i;@1;enable server app/s1;quit",
			"expert-mode on;@1 enable server app/s1", "@1 operator -;@1 enable server app/s1", "@1 enable server app/s1 <<x\nadmin -;enable server app/s1\nx"} {
			got := s.ask(socket(s.control, l), text)
			if i < 2 && !strings.Contains(got, "Permission denied") && !strings.Contains(got, "Unknown command") && got != l+"\n\n" {
				t.Errorf("%q at level %s: %q", text, l, got)
			}
		}
	}
	for i, l := range levels { // one form takes more than its command
		if got := denied(t, socket(s.stats, l), "clear counters all"); got != (i < 2) {
			t.Errorf("clear counters all at level %s: denied is %v", l, got)
		}
	}
	// The master's own.
	for name, least := range map[string]int{"reload": 1, "hard-reload": 1, "show proc": 0, "show version": 0, "show startup-logs": 0, "show cli level": 0, "help": 0} {
		for i, l := range levels[:least] {
			for _, how := range []struct{ socket, text string }{{socket(s.control, l), name}, {s.control, lower(l) + name}, {socket(s.control, l), "@master " + name}} {
				if got := denied(t, how.socket, how.text); got != (i < least) {
					t.Errorf("%q at level %s: denied is %v", how.text, l, got)
				}
			}
		}
	}
}

// lower gives the command that takes a connection down to a level.
func lower(level string) string {
	if level == "admin" {
		return ""
	}
	return level + " -;"
}

// TestCommandsNotYet: what HAProxy 3.4 has and we do not is no typing mistake, on
// both sockets.
func TestCommandsNotYet(t *testing.T) {
	s := newSite(t)
	p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
	p.await(1, "Loading success.")
	for _, c := range []struct{ socket, text, name string }{
		{s.stats, "show table x", "show table"}, {s.stats, "trace h2 sink", "trace"},
		{s.stats, "set anon on 5", "set anon on"}, {s.stats, "show errors", "show errors"}, {s.stats, "debug dev hex 1", "debug dev hex"},
		{s.control, "@1 show resolvers", "show resolvers"}, {s.control, "expert-mode on", "expert-mode"}, {s.control, "mcli-debug-mode on", "mcli-debug-mode"},
		{s.control, "@@1 show info", "@@"}, {s.stats, "set rate-limit sessions global 3", "set rate-limit sessions global"}, {s.stats, "wait 1 be-removable app", "wait … be-removable"},
	} {
		if got := s.ask(c.socket, c.text); !strings.HasPrefix(got, "'"+c.name+"' of HAProxy 3.4 is not supported by Forebay yet") {
			t.Errorf("%q: %q", c.text, got)
		}
	}
	for _, c := range []struct{ socket, text string }{{s.stats, "sohw table"}, {s.stats, "show tabel"}, {s.control, "show table"}, {s.stats, "reload"}} {
		if got := s.ask(c.socket, c.text); !strings.HasPrefix(got, "Unknown command: ") {
			t.Errorf("%q: %q", c.text, got)
		}
	}
}

func TestShowActivity(t *testing.T) {
	s := newSite(t)
	s.global = "  nbthread 2"
	s.write()
	p := launch(t, command("-db", "-f", s.cfg))
	awaitServing(t, p, s)
	for args, want := range map[string]string{"": "panics: 0 [ 0 0 ]", " -1": "panics: 0 [ 0 0 ]", " 0": "panics: 0", " 2": "panics: 0", " 3": "Thread number out of range (-1..2).", " x": "Thread number out of range (-1..2)."} {
		if got := s.ask(s.stats, "show activity"+args); !strings.HasSuffix(got, want+"\n\n") {
			t.Errorf("show activity%s:\n%s", args, got)
		}
	}
}
