package daemon

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	maxStrangers = 64          // connections of one address that nobody has logged in on
	patience     = time.Second // what they have before they make room for others of their address
)

// A gate is a listener that bounds how many connections are open at the same time. Nobody has to wait for others: where
// there are too many, the one goes that nobody has logged in on for the longest time, of the same address if that has many.
// When all are of somebody who is known, one that does nothing goes, else the new one.
type gate struct {
	net.Listener
	most int
	now  func() time.Time

	mu        sync.Mutex
	open      int
	strangers list.List             // of *guest, the oldest at the front
	idle      list.List             // of those who are known
	of        map[string]*list.List // strangers by address
}

// guest is a connection of a gate.
type guest struct {
	net.Conn
	gate    *gate
	address string
	since   time.Time
	gone    bool
	known   bool
	all     *list.Element // in strangers, or in idle
	same    *list.Element // among those of the address
}

func newGate(l net.Listener, most int) *gate {
	return &gate{Listener: l, most: most, now: time.Now, of: map[string]*list.List{}}
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		x, out := g.admit(c)
		if out != nil {
			out.Close()
		}
		if x != nil {
			return x, nil
		}
		c.Close()
	}
}

// admit takes a connection in, and says which one has to go for it.
func (g *gate) admit(c net.Conn) (x, out *guest) {
	x = &guest{Conn: c, gate: g, address: network(c.RemoteAddr()), since: g.now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	same := g.of[x.address]
	if same == nil {
		same = &list.List{}
	}
	if n := same.Len(); x.address != "" && n >= min(maxStrangers, max(g.most/4, 1)) {
		oldest := same.Front().Value.(*guest)
		if n >= g.most/2 || x.since.Sub(oldest.since) > patience {
			out = oldest
		}
	}
	if out == nil && g.open >= g.most {
		switch {
		case g.strangers.Len() > 0:
			out = g.strangers.Front().Value.(*guest)
		case g.idle.Len() > 0:
			out = g.idle.Front().Value.(*guest)
		default:
			return nil, nil
		}
	}
	if out != nil {
		g.forget(out)
	}
	g.open++
	g.of[x.address] = same
	x.all, x.same = g.strangers.PushBack(x), same.PushBack(x)
	return x, out
}

// network is what counts as one address: all that somebody has who has an address of IPv6. It is empty for a unix socket.
func network(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return ""
	}
	ip := t.AddrPort().Addr().Unmap()
	if ip.Is6() {
		return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
	}
	return ip.String()
}

// forget needs the lock. A connection is forgotten once.
func (g *gate) forget(x *guest) {
	if !x.gone {
		x.gone = true
		g.open--
		g.unlist(x)
	}
}

func (g *gate) unlist(x *guest) {
	if x.all != nil && x.known {
		g.idle.Remove(x.all)
	} else if x.all != nil {
		g.strangers.Remove(x.all)
	}
	x.all = nil
	if x.same != nil {
		l := g.of[x.address]
		l.Remove(x.same)
		if x.same = nil; l.Len() == 0 {
			delete(g.of, x.address)
		}
	}
}

func (x *guest) Close() error {
	x.gate.mu.Lock()
	x.gate.forget(x)
	x.gate.mu.Unlock()
	return x.Conn.Close()
}

// state follows what a connection does.
func state(c net.Conn, s http.ConnState) {
	x := guestOf(c)
	if x == nil {
		return
	}
	g := x.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if x.gone || !x.known {
		return
	}
	g.unlist(x)
	if s == http.StateIdle {
		x.all = g.idle.PushBack(x)
	}
}

func guestOf(c net.Conn) *guest {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	x, _ := c.(*guest)
	return x
}

type guestKey struct{}

func withGuest(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, guestOf(c))
}

// welcome notes that somebody has logged in on the connection of a request.
func welcome(ctx context.Context) {
	x, _ := ctx.Value(guestKey{}).(*guest)
	if x == nil {
		return
	}
	g := x.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !x.gone && !x.known {
		g.unlist(x)
		x.known = true
	}
}
