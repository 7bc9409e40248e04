package snapshot

import (
	"fmt"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

var keptBy []func(p *stream.Proxy) []string

// RegisterKept makes f say what the Runtime socket has set of a backend, otherwise than
// its configuration says: "dynamic cookies enabled".
func RegisterKept(f func(p *stream.Proxy) []string) { keptBy = append(keptBy, f) }

// kept lists what the Runtime socket has set otherwise than the configuration in
// force says, and the latest configuration has not changed.
func kept(w *stream.Worker) []Change {
	snap := w.Snapshot()
	var out []Change
	add := func(what string, list []string) {
		if len(list) > 0 {
			out = append(out, Change{'=', fmt.Sprintf("%s: %s (set at run time)", what, strings.Join(list, ", "))})
		}
	}
	instead := func(is, was int64) []string {
		if is == was {
			return nil
		}
		return []string{fmt.Sprintf("maxconn %d instead of %d", is, was)}
	}
	global := instead(w.MaxConn.Load(), int64(snap.Global.MaxConn))
	if is, was := w.MaxTLSRate(), stream.TLSSettings.Value(snap.Global).MaxRate; is != was {
		global = append(global, fmt.Sprintf("maxsslrate %d instead of %d", is, was))
	}
	add("global", global)
	for _, p := range snap.Proxies {
		if p.Frontend && p.FE != nil && !p.Disabled {
			list := instead(p.FE.Limit.Load(), int64(limitOf(p, snap.Global)))
			switch {
			case p.FE.Stopped.Load():
				list = append(list, "shut down")
			case p.FE.Paused.Load():
				list = append(list, "disabled")
			}
			add(p.Kind+" "+p.Name, list)
		}
		if p.Backend && p.BE != nil {
			for _, f := range keptBy {
				add("backend "+p.Name, f(p))
			}
			for _, s := range p.BE.ByUser() {
				add("server "+p.Name+"/"+s.Name, s.ByUser())
			}
		}
	}
	return out
}
