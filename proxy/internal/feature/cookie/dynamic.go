package cookie

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// secret is what the cookies of a backend's servers are made with, where their lines
// do not say any. It is never changed, but replaced.
type secret struct {
	on  bool
	key string
}

// secrets are those in force, which commands may have set.
var secrets = slot.NewLive[*stream.BackState, atomic.Pointer[secret]]()

// made is a server's cookie, with what it was made of.
type made struct {
	secret *secret
	addr   *reactor.Addr
	value  string
}

var cookies = slot.NewLive[*server.Server, atomic.Pointer[made]]()

// secretOf is the secret in force, nil if there are no dynamic cookies.
func secretOf(be *stream.Proxy) *secret {
	if k := secrets.In(be.BE).Load(); k != nil && k.on && k.key != "" {
		return k
	}
	return nil
}

// valueOf is the cookie of a server, "" if it has none.
func valueOf(s *server.Server, k *secret) string {
	if v := servers.Of(s.Settings()); v != nil {
		return *v
	}
	if k == nil {
		return ""
	}
	at, addr := cookies.In(s), s.Addr()
	if m := at.Load(); m != nil && m.secret == k && m.addr == addr {
		return m.value
	}
	m := &made{k, addr, dynamic(k.key, addr)}
	at.Store(m)
	return m.value
}

// dynamic makes a cookie of an address; "" of one that is no IP address. It is what
// HAProxy makes of it, so that both can serve the same clients.
func dynamic(key string, a *reactor.Addr) string {
	if !a.IP.IsValid() {
		return ""
	}
	b := append([]byte(key), a.IP.Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(a.Port))
	return fmt.Sprintf("%016x", xxhash.Sum64(b))
}

// said is the secret of a configuration.
func said(p *stream.Proxy) (k secret) {
	if set := sections.Of(p); set != nil {
		k = secret{set.cookie != nil && set.cookie.dynamic, set.key}
	}
	return k
}

// warnTwins tells of servers that get the same cookie: they have the same address.
func warnTwins(c *conf.Ctx, p *stream.Proxy, set *settings) {
	if k := said(p); !k.on || k.key == "" {
		return
	}
	seen := make(map[string]bool, len(p.ServerLines))
	for _, s := range p.ServerLines {
		v := dynamic(set.key, &s.Settings.Addr)
		if servers.Of(s.Settings) != nil || v == "" || s.Settings.Disabled {
			continue
		}
		if seen[v] {
			c.Diags.Warn(s.Pos, "We generated two equal cookies for two different servers. Please change the secret key for '%s'.", p.Name)
		}
		seen[v] = true
	}
}

func init() {
	snapshot.RegisterCarrier(snapshot.Carrier{Name: "dynamic cookies", Losses: losses, Prepare: carry})
	snapshot.RegisterKept(kept)
}

// before is the backend that p takes the place of, nil if there is none.
func before(t *snapshot.Transition, p *stream.Proxy) *stream.Proxy {
	if t.Old == nil {
		return nil
	}
	if o := t.Old.Backends[p.Name]; o != nil && o.Backend {
		return o
	}
	return nil
}

// carry puts the secrets of a configuration in force, unless a command has set another,
// and the configuration says nothing new.
func carry(t *snapshot.Transition) (snapshot.Steps, error) {
	return snapshot.Steps{Commit: func() {
		for _, p := range t.Changed() {
			k := said(p)
			if o := before(t, p); o == nil || said(o) != k {
				secrets.In(p.BE).Store(&k)
			}
		}
	}}, nil
}

func losses(t *snapshot.Transition) (list []string) {
	if t.Old == nil {
		return nil
	}
	for _, p := range t.New.Proxies {
		o := before(t, p)
		if o == nil || !p.Backend || o == p || said(o) == said(p) {
			continue
		}
		for _, text := range kept(o) {
			list = append(list, "backend "+p.Name+": "+text)
		}
	}
	return list
}

// kept says what commands have set otherwise than the configuration of a backend.
func kept(p *stream.Proxy) (list []string) {
	k, now := said(p), secrets.In(p.BE).Load()
	switch {
	case now == nil:
		return nil
	case now.on && !k.on:
		list = append(list, "dynamic cookies enabled")
	case !now.on && k.on:
		list = append(list, "dynamic cookies disabled")
	}
	if now.key != k.key {
		list = append(list, "another key of dynamic cookies") // which is a secret
	}
	return list
}
