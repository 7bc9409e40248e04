package worker

import (
	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/stream"
)

// raiseLimits lets the process have the descriptors that maxconn needs
// (management.txt 5).
func raiseLimits(snap *stream.Snapshot, c *console.Console) {
	need := uint64(2*snap.Global.MaxConn + 100)
	for _, p := range snap.Proxies {
		need += uint64(len(p.Binds)*snap.Global.Threads + len(p.ServerLines))
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur >= need {
		return
	}
	want := unix.Rlimit{Cur: need, Max: max(need, lim.Max)}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &want) == nil {
		return
	}
	lim.Cur = lim.Max
	unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
	if lim.Cur < need {
		c.Warn("[forebay] FD limit (%d) too low for maxconn=%d/maxsock=%d. Please raise 'ulimit-n' to %d or more to avoid any trouble.", lim.Cur, snap.Global.MaxConn, need, need)
	}
}
