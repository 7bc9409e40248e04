package master_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/process/master"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// What the configuration says of how the program is started.
func TestKeywords(t *testing.T) {
	snap := bed.MustLoad(t, 1, "global\n daemon\n master-worker\n pidfile /run/x.pid\n mworker-max-reloads 0\n")
	if s := master.Said.Of(snap.Global); !s.Daemon || !s.MasterWorker || s.PidFile != "/run/x.pid" || master.MaxReloads(snap) != 0 {
		t.Errorf("%+v", s)
	}
	if n := master.MaxReloads(bed.MustLoad(t, 1, "global\n")); n != 50 {
		t.Errorf("%d reloads by default", n)
	}

	const twice = "global\n pidfile a\n pidfile b\n"
	if s := master.Said.Of(bed.MustLoad(t, 1, twice).Global); s.PidFile != "a" {
		t.Errorf("%+v", s)
	}
	ours, theirs := oracle.Check(t, twice)
	if want := ":3] : 'pidfile' already specified. Continuing."; !strings.Contains(ours.Text, want) || !strings.Contains(theirs.Text, want) {
		t.Errorf("ours: %s\nHAProxy: %s", ours.Text, theirs.Text)
	}
	for _, c := range []struct {
		text, want string
		ours       bool // HAProxy 2.6 takes the line
	}{
		{"daemon x", "'daemon' cannot handle unexpected argument 'x'.", false},
		{"pidfile", "'pidfile' expects a file name as an argument.", false},
	} {
		ours, theirs := oracle.Check(t, "global\n "+c.text+"\n")
		if ours.OK || !strings.Contains(ours.Text, c.want) {
			t.Errorf("%s: %s", c.text, ours.Text)
		}
		if theirs.OK && !c.ours {
			t.Errorf("%s: HAProxy takes it", c.text)
		}
	}
}
