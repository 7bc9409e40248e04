package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// comparison holds what two programs did against each other, case by case.
// Differences that are meant have a name in a table of decisions, and each of
// those has to show.
type comparison struct {
	t         *testing.T
	only      string // cases whose name has this in it: E2E_CASE
	decisions map[string]string
	used      map[string]bool
	cases     int
}

func compare(t *testing.T, decisions map[string]string) *comparison {
	return &comparison{t: t, only: os.Getenv("E2E_CASE"), decisions: decisions, used: map[string]bool{"": true}}
}

// skips tells whether a case was not asked for.
func (c *comparison) skips(name string) bool { return !strings.Contains(name, c.only) }

// outcome is what became of a case: what the client got, what the server got,
// and the log.
type outcome struct{ client, server, log string }

// same checks one case.
func (c *comparison) same(name, decided string, ours, theirs outcome) {
	c.cases++
	c.used[decided] = true
	var diff strings.Builder
	for _, p := range []struct{ what, ours, theirs string }{{"client", ours.client, theirs.client}, {"server", ours.server, theirs.server}, {"log", ours.log, theirs.log}} {
		if p.ours != p.theirs {
			fmt.Fprintf(&diff, "%s:\n  forebay %.2000q\n  haproxy %.2000q\n", p.what, p.ours, p.theirs)
		}
	}
	switch {
	case decided != "" && c.decisions[decided] == "":
		c.t.Errorf("%q is not in the table of decisions", decided)
	case decided != "" && diff.Len() == 0:
		c.t.Errorf("%.300s: the same, in spite of the decision %q", name, decided)
	case decided == "" && diff.Len() > 0:
		c.t.Errorf("%.300s:\n%s", name, diff.String())
	}
	if testing.Verbose() && c.only != "" {
		c.t.Logf("%.300s:\n%s%s\n%s", name, ours.client, ours.server, ours.log)
	}
}

// end checks that the table has no decision too many.
func (c *comparison) end() {
	for d := range c.decisions {
		if c.only == "" && !c.used[d] {
			c.t.Errorf("no case shows the decision %q", d)
		}
	}
	c.t.Logf("%d cases", c.cases)
}
