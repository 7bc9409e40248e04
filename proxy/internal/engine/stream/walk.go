package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Walk is a regular look at all proxies and their servers on a reactor. It goes a
// part of the way at a time, and the reactor serves in between: looking at 100,000
// servers takes longer than a request should wait.
type Walk struct {
	r       *reactor.Reactor
	proxy   func(p *Proxy)
	server  func(s *server.Server)
	timer   reactor.Timer
	rest    []*Proxy
	servers []*server.Server // of the one before rest
}

// How long a walk goes on at once, when it does so again, and how often it looks at
// the clock.
const (
	walkFor   = 300e3 // ns
	walkEvery = 1e6   // ns
	walkLook  = 32    // proxies and servers
)

// NewWalk makes a walk. proxy, which may be nil, is called for each proxy, and server
// for each of its servers.
func NewWalk(r *reactor.Reactor, proxy func(*Proxy), server func(*server.Server)) *Walk {
	k := &Walk{r: r, proxy: proxy, server: server}
	k.timer.Fire = k
	return k
}

// Begin begins the walk, and goes the first part of it, which is all of it when there
// are few. One that is under way goes on.
func (k *Walk) Begin(list []*Proxy) {
	if len(k.rest) == 0 && len(k.servers) == 0 {
		k.rest = list
	}
	k.Fire()
}

// Fire goes a part of the way.
func (k *Walk) Fire() {
	end := k.r.Sys.Now() + walkFor
	for n := 1; k.step(); n++ {
		if n%walkLook == 0 && k.r.Sys.Now() > end {
			k.r.Set(&k.timer, k.r.Now()+walkEvery)
			return
		}
	}
	k.rest, k.servers = nil, nil
}

// step looks at the next one. It is false when there is none.
func (k *Walk) step() bool {
	switch {
	case len(k.servers) > 0:
		s := k.servers[0]
		k.servers = k.servers[1:]
		k.server(s)
	case len(k.rest) > 0:
		p := k.rest[0]
		k.rest = k.rest[1:]
		if k.proxy != nil {
			k.proxy(p)
		}
		if p.BE != nil {
			k.servers = p.BE.Servers()
		}
	default:
		return false
	}
	return true
}
