package runtimeapi_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/check"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/stats"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

func newBed(t testing.TB, threads int) *stream.Worker {
	t.Helper()
	w := workertest.New(t, threads)
	w.Init()
	w.SetSnapshot(graph(threads, w.Reactors[0].Sys.Wall()))
	w.MaxConn.Store(2000)
	workertest.Run(t, w)
	return w
}

func graph(threads int, now time.Time) *stream.Snapshot {
	fe := &stream.Proxy{Name: "fe1", Kind: "frontend", Frontend: true, Mode: stream.HTTP, ID: 2, FE: stream.NewFrontState("fe1", threads)}
	fe.FE.Limit.Store(100)
	be := &stream.Proxy{Name: "app", Kind: "backend", Backend: true, Mode: stream.HTTP, ID: 3, BE: stream.NewBackState("app", threads, now)}
	li := &stream.Proxy{Name: "l1", Kind: "listen", Frontend: true, Backend: true, Mode: stream.TCP, ID: 4,
		FE: stream.NewFrontState("l1", threads), BE: stream.NewBackState("l1", threads, now)}
	fe.DefaultName, li.DefaultName = "app", "l1"
	be.Balance.Algorithm, li.Balance.Algorithm = "roundrobin", "static-rr"
	li.Balance.New, li.Balance.Static = balance.StaticRR, true
	for _, p := range []*stream.Proxy{be, li} {
		p.BE.SetBalance(p.Balance, false)
	}
	add := func(p *stream.Proxy, id int, name string, port uint16, change func(*server.Settings)) {
		set := &server.Settings{Host: "127.0.0.1", Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: port}, Weight: 1,
			PoolMaxConn: -1, MaxReuse: -1, PoolPurgeDelay: 5 * time.Second}
		set.Check.Rise, set.Check.Fall, set.Check.Inter = 2, 3, 2*time.Second
		change(set)
		p.BE.Add(server.New(p.Name, name, id, threads, set, now))
	}
	add(be, 1, "s1", 1, func(s *server.Settings) { s.Weight, s.Check.Enabled = 10, true })
	add(be, 2, "s2", 1, func(*server.Settings) {})
	add(be, 3, "s3", 1, func(s *server.Settings) { s.Backup, s.Disabled, s.MaxConn = true, true, 5 })
	add(li, 1, "x", 1, func(*server.Settings) {})
	return &stream.Snapshot{
		Global:    &stream.Global{Threads: threads, MaxConn: 2000, BufSize: 16384},
		Proxies:   []*stream.Proxy{fe, be, li},
		Frontends: map[string]*stream.Proxy{"fe1": fe, "l1": li},
		Backends:  map[string]*stream.Proxy{"app": be, "l1": li},
		Version:   1,
	}
}
