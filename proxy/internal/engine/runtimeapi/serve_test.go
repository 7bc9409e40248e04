package runtimeapi_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// testSet has commands that show what reaches them.
func testSet() *runtimeapi.Set {
	s := &runtimeapi.Set{}
	s.Basics()
	s.Register(
		runtimeapi.Command{Words: "args", Level: runtimeapi.User, Help: "shows the arguments", Run: func(c *runtimeapi.Conn, args []string) error {
			return c.Printf("%q\n", args)
		}},
		runtimeapi.Command{Words: "args two", Level: runtimeapi.User, Help: "shows the arguments", Run: func(c *runtimeapi.Conn, args []string) error {
			return c.Printf("two %q\n", args)
		}},
		runtimeapi.Command{Words: "payload", Level: runtimeapi.User, Payload: true, MaxPayload: 1 << 20, Run: func(c *runtimeapi.Conn, args []string) error {
			if len(c.Payload) > 100 {
				return c.Printf("%d bytes\n", len(c.Payload))
			}
			return c.Printf("%q %q %t\n", args, c.Payload, c.HasPayload)
		}},
		runtimeapi.Command{Words: "root", Level: runtimeapi.Admin, Help: "for administrators", Run: func(c *runtimeapi.Conn, _ []string) error {
			return runtimeapi.Errorf("no\n")
		}},
		runtimeapi.Command{Words: "flood", Level: runtimeapi.User, Run: func(c *runtimeapi.Conn, _ []string) error {
			line := strings.Repeat("x", 1023) + "\n"
			for range 4096 {
				if _, err := c.WriteString(line); err != nil {
					return err
				}
			}
			return nil
		}},
	)
	return s
}

func TestLanguage(t *testing.T) {
	w := newBed(t, 1)
	for _, tc := range []struct{ name, in, want string }{
		{"words", "args a  b\tc\n", "[\"a\" \"b\" \"c\"]\n\n"},
		{"carriage return", "args a\r\n", "[\"a\"]\n\n"},
		{"longest name", "args two a\n", "two [\"a\"]\n\n"},
		{"several", "args a;args b; args c\n", "[\"a\"]\n\n[\"b\"]\n\n[\"c\"]\n\n"},
		{"escapes", `args a\;b a\ b \\ c\d` + "\n", "[\"a;b\" \"a b\" \"\\\\\" \"cd\"]\n\n"},
		{"one line only", "args a\nargs b\n", "[\"a\"]\n\n"},
		{"comment", "# args a\n", "\n"},
		{"no line end", "args a", ""},
		{"payload", "payload x <<\nab\ncd\n\n", "[\"x\"] \"ab\\ncd\" true\n\n"},
		{"payload with a pattern", "payload x <<%EOF%\nab\n\ncd\n\n%EOF%\n", "[\"x\"] \"ab\\n\\ncd\\n\" true\n\n"},
		{"payload keeps carriage returns", "payload <<EOF\r\na\r\nb\r\nEOF\r\n", "[] \"a\\r\\nb\\r\" true\n\n"},
		{"payload of the last command", "args a; payload <<\nx;y\n\n", "[\"a\"]\n\n[] \"x;y\" true\n\n"},
		{"empty payload", "payload <<\n\n", "[] \"\" true\n\n"},
		{"payload that does not end", "payload <<E\nabc\n", ""},
		{"no payload: glued", "payload a<<\n", "[\"a<<\"] \"\" false\n\n"},
		{"no payload: long pattern", "payload <<" + strings.Repeat("x", 65) + "\n", "[\"<<" + strings.Repeat("x", 65) + "\"] \"\" false\n\n"},
		{"interactive", "prompt i\nargs a\nargs b\n", "\n[\"a\"]\n\n[\"b\"]\n\n"},
		{"prompt", "prompt\nargs a\nquit\n", "\n> [\"a\"]\n\n> "},
		{"prompt p", "prompt p\nargs a\n", "\n> [\"a\"]\n\n> "},
		{"prompt twice", "prompt\nprompt\nargs a\n", "\n> \n"},
		{"prompt n", "prompt i;prompt n;args a\nargs b\n", "\n\n[\"a\"]\n\n"},
		{"payload in prompt mode", "prompt\npayload <<\nx\n\n", "\n> + + [] \"x\" true\n\n> "},
		{"permission", "user;root\n", "\nPermission denied\n\n"},
		{"lowered silently", "user -;show cli level\n", "user\n\n"},
		{"error", "root\n", "no\n\n"},
		{"severity", "set severity-output number;root;set severity-output string;root\n", "\n[3]: no\n\n\n[ERR]: no\n\n"},
		{"timeout", "set timeout cli 5s;set timeout cli x;set timeout cli;set timeout x\n",
			"\nInvalid timeout value.\n\nExpects an integer value.\n\n'set timeout' only supports 'cli'.\n\n"},
		{"echo", "echo a b\n", "a b\n\n"},
		{"many words", "args" + strings.Repeat(" x", 100) + "\n", "[" + strings.TrimSpace(strings.Repeat("\"x\" ", 63)) + "]\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := bed.Dial(t, w, testSet(), runtimeapi.Options{Level: runtimeapi.Admin})
			if got := bed.Talk(t, c, tc.in); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestTimedPrompt(t *testing.T) {
	w := newBed(t, 1)
	c := bed.Dial(t, w, testSet(), runtimeapi.Options{Started: func(c *runtimeapi.Conn) time.Time { return c.R.Wall().Add(-26*time.Hour - 62*time.Second) }})
	if got := bed.Talk(t, c, "prompt timed\n"); got != "\n[1:02:01:02]> " {
		t.Errorf("got %q", got)
	}
	c = bed.Dial(t, w, testSet(), runtimeapi.Options{Mode: runtimeapi.Prompt, PromptText: func(*runtimeapi.Conn) string { return "master>" }})
	if got := bed.Talk(t, c, "quit\n"); got != "master> " {
		t.Errorf("got %q", got)
	}
}

func TestUnknown(t *testing.T) {
	w := newBed(t, 1)
	basics := "  help [<command>]                        : list matching or all commands\n" +
		"  prompt [help | n | i | p | timed]*      : toggle interactive mode with prompt\n" +
		"  quit                                    : disconnect\n"
	for in, want := range map[string]string{
		"rot":       "Unknown command: 'rot', but maybe one of the following ones is a better match:\n  root                                    : for administrators\n" + basics,
		"help root": "The following commands are valid at this level:\n  root                                    : for administrators\n" + basics,
	} {
		c := bed.Dial(t, w, testSet(), runtimeapi.Options{Level: runtimeapi.User})
		if got := bed.Talk(t, c, in+"\n"); got != want+"\n" {
			t.Errorf("%s: got\n%s", in, got)
		}
	}
	c := bed.Dial(t, w, testSet(), runtimeapi.Options{Level: runtimeapi.User})
	got := bed.Talk(t, c, "\n")
	if !strings.HasPrefix(got, "Unknown command: ''. Please enter one of the following commands only:\n  args ") || !strings.HasSuffix(got, basics+"\n") {
		t.Errorf("empty line: %q", got)
	}
}

// What a client may send is bounded; whoever sends more is told and cut off.
func TestBounds(t *testing.T) {
	w := newBed(t, 1)
	long := "args " + strings.Repeat("x", 20000) + "\n"
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), runtimeapi.Options{}), long); !strings.HasPrefix(got, "The command is too big for the buffer size") {
		t.Errorf("long line: %.80q", got)
	}
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), runtimeapi.Options{MaxLine: 32 << 10}), long); !strings.HasPrefix(got, "[\"xxx") {
		t.Errorf("long line with a larger limit: %.80q", got)
	}
	payload := func(cmd string, n int) string {
		return cmd + " <<E\n" + strings.Repeat(strings.Repeat("y", 99)+"\n", n/100) + "E\n"
	}
	admin := runtimeapi.Options{Level: runtimeapi.Admin}
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), admin), payload("payload", 1<<19)); got != fmt.Sprintf("%d bytes\n\n", 1<<19/100*100-1) {
		t.Errorf("payload: %.80q", got)
	}
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), admin), payload("payload", 1<<21)); !strings.HasPrefix(got, "The payload is too big") {
		t.Errorf("large payload: %.80q", got)
	}
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), admin), payload("args", 1<<18)); !strings.HasPrefix(got, "The payload is too big") {
		t.Errorf("large payload of another command: %.80q", got)
	}
	if n := runtimeapi.Payloads.Of(bed.MustLoad(t, 1, "global\n tune.cli.max-payload-size 256k\n").Global); n == nil || *n != 256<<10 {
		t.Errorf("tune.cli.max-payload-size: %v", n)
	}
	snap, g := *w.Snapshot(), *w.Snapshot().Global
	runtimeapi.Payloads.Set(&g, 1<<19)
	snap.Global = &g
	w.SetSnapshot(&snap)
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), admin), payload("args", 1<<18)); got != "[]\n\n" {
		t.Errorf("large payload where the configuration allows it: %.80q", got)
	}
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), admin), payload("args", 1<<20)); !strings.HasPrefix(got, "The payload is too big") {
		t.Errorf("larger payload: %.80q", got)
	}
}

// A client that does not read stops the command, not the reactor; one that reads
// late gets everything.
func TestFlowControl(t *testing.T) {
	w := newBed(t, 1)
	slow := bed.Dial(t, w, testSet(), runtimeapi.Options{Level: runtimeapi.User, Timeout: 20 * time.Second})
	io.WriteString(slow, "flood\n")
	if got := bed.Talk(t, bed.Dial(t, w, testSet(), runtimeapi.Options{Level: runtimeapi.User}), "args a\n"); got != "[\"a\"]\n\n" {
		t.Fatalf("beside a slow reader: %q", got)
	}
	b, err := io.ReadAll(slow)
	if err != nil || len(b) != 4096*1024+1 {
		t.Fatalf("late reader: %d bytes, %v", len(b), err)
	}
	dead := bed.Dial(t, w, testSet(), runtimeapi.Options{Level: runtimeapi.User, Timeout: time.Millisecond})
	io.WriteString(dead, "flood\n")
	<-closed(dead.Write)
}

// closed waits until the other side has closed the connection.
func closed(write func([]byte) (int, error)) chan struct{} {
	done := make(chan struct{})
	go func() {
		for {
			if _, err := write([]byte("\n")); err != nil {
				close(done)
				return
			}
		}
	}()
	return done
}

func TestRoute(t *testing.T) {
	w := newBed(t, 1)
	o := runtimeapi.Options{Level: runtimeapi.Admin,
		Route: func(c *runtimeapi.Conn, text string, words []string) (bool, error) {
			if len(words) > 0 && strings.HasPrefix(words[0], "@") {
				return true, c.Printf("to %s: %q payload %q\n", words[0], text, c.Payload)
			}
			return false, nil
		},
		Limit: func(*runtimeapi.Conn, []string) int { return 1 << 20 },
	}
	got := bed.Talk(t, bed.Dial(t, w, testSet(), o), "@1 show info;args x;@1 cmd <<\nabc\n\n")
	if want := "to @1: \"@1 show info\" payload \"\"\n\n[\"x\"]\n\nto @1: \"@1 cmd \" payload \"abc\"\n\n"; got != want {
		t.Errorf("got %q", got)
	}
}
