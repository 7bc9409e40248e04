package master_test

import (
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
	oracle.CheckSaid(t, twice, ":3] : 'pidfile' already specified. Continuing.")
	oracle.CheckRefused(t, "global\n", []oracle.Refused{
		{Line: "daemon x", Want: "'daemon' cannot handle unexpected argument 'x'."},
		{Line: "pidfile", Want: "'pidfile' expects a file name as an argument."},
	})
}
