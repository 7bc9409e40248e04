package worker

import (
	"runtime"
	"runtime/debug"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// connections counts what a proxy has accepted and what it has served.
func connections(p *stream.Proxy) (fe, be int64) {
	if p.Frontend && p.FE != nil {
		fe = p.FE.Counters.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.Conns })
	}
	if p.Backend && p.BE != nil {
		be = p.BE.Counters.Sum(func(c *stream.BackCounters) *counter.Int { return &c.Sessions })
	}
	return fe, be
}

// dumpServers shows the state of the servers (management.txt 9, SIGHUP).
func (p *process) dumpServers() {
	p.Console.Warn("SIGHUP received, dumping servers states.")
	for _, px := range p.w.Snapshot().Proxies {
		var active, backup int
		var list []*server.Server
		if px.Backend && px.BE != nil {
			list = px.BE.Servers()
		}
		for _, s := range list {
			state := "DOWN"
			if s.State().Up() {
				state = "UP"
				if s.Settings().Backup {
					backup++
				} else {
					active++
				}
			}
			total := s.Counters.Sum(func(c *server.Counters) *counter.Int { return &c.Sessions })
			p.Console.Warn("SIGHUP: Server %s/%s is %s. Conn: %d act, %d pend, %d tot.", px.Name, s.Name, state, s.Cur.Load(), s.Queued.Load(), total)
		}
		var feCur, beCur int64
		if px.Frontend && px.FE != nil {
			feCur = px.FE.Cur.Load()
		}
		if px.Backend && px.BE != nil {
			beCur = px.BE.Cur.Load()
		}
		fe, be := connections(px)
		tail := []any{feCur, beCur, fe, be}
		switch {
		case len(list) == 0:
			p.Console.Warn("SIGHUP: Proxy %s has no servers. Conn: act(FE+BE): %d+%d, tot(FE+BE): %d+%d.", append([]any{px.Name}, tail...)...)
		case active+backup == 0:
			p.Console.Warn("SIGHUP: Proxy %s has no server available ! Conn: act(FE+BE): %d+%d, tot(FE+BE): %d+%d.", append([]any{px.Name}, tail...)...)
		default:
			p.Console.Warn("SIGHUP: Proxy %s has %d active servers and %d backup servers available. Conn: act(FE+BE): %d+%d, tot(FE+BE): %d+%d.", append([]any{px.Name, active, backup}, tail...)...)
		}
	}
}

// dumpMemory shows what memory is used for and gives back what is free
// (management.txt 9, SIGQUIT).
func (p *process) dumpMemory() {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.Console.Notice("SIGQUIT received. Memory: %d bytes from the system, %d in objects, %d in stacks, %d goroutines; what was free was given back.",
		m.Sys-m.HeapReleased, m.HeapAlloc, m.StackInuse, runtime.NumGoroutine())
}
