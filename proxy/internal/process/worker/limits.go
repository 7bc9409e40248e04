package worker

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// raiseLimits lets the process have the descriptors that maxconn needs
// (management.txt 5), or that "ulimit-n" says. What fails is an error, with "no
// strict-limits" a warning.
func raiseLimits(snap *stream.Snapshot, c *console.Console) error {
	g := snap.Global
	limit := conf.Files.Value(g).Limit
	need := uint64(2*g.MaxConn + conf.Reserved(snap))
	fail := func(format string, args ...any) error {
		if said.Value(g).noFileLimits {
			c.Warn(format, args...)
			return nil
		}
		return fmt.Errorf(format, args...)
	}
	want := need
	if limit > 0 {
		want = uint64(limit)
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fail("[forebay.main()] cannot read the FD limit: %w", err)
	}
	if lim.Cur < want || limit > 0 && lim.Cur != want {
		raised := unix.Rlimit{Cur: want, Max: max(want, lim.Max)}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) != nil {
			if err := fail("[forebay.main()] Cannot raise FD limit to %d, limit is %d.", want, lim.Max); err != nil {
				return err
			}
			raised = unix.Rlimit{Cur: lim.Max, Max: lim.Max}
			unix.Setrlimit(unix.RLIMIT_NOFILE, &raised)
		}
		lim.Cur = raised.Cur
	}
	if lim.Cur < need {
		return fail("[forebay.main()] FD limit (%d) too low for maxconn=%d/maxsock=%d. Please raise 'ulimit-n' to %d or more to avoid any trouble.", lim.Cur, g.MaxConn, need, need)
	}
	return nil
}
