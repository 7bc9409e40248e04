package stream

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// reuse takes a connection that there is already, if the configuration allows it:
// one of the client's own, one that carries streams, or an idle one.
func (st *Stream) reuse() bool {
	if st.BE.Mode != HTTP || st.noReuse || st.Req.Upgrade != nil && st.webSocketH1(st.Srv.Settings(), nil) {
		return false
	}
	return st.reuseOwn() || st.share(st.BE.Reuse == ReuseAlways) || st.reuseIdle()
}

// reuseOwn takes one of the connections that the client keeps for itself.
func (st *Stream) reuseOwn() bool {
	for c, next := st.Sess.priv, (*ServerConn)(nil); c != nil; c = next {
		next = c.next
		if !c.idle || c.srv != st.Srv {
			continue
		}
		if c.fits(st.Srv, st.serverName()) && c.back.vacant() {
			st.take(c)
			return true
		}
		c.Discard()
	}
	return false
}

// reuseIdle takes one of the server's idle connections, as "http-reuse" says.
func (st *Stream) reuseIdle() bool {
	s, how := st.Sess, st.BE.Reuse
	if how == ReuseNever {
		return false
	}
	if how == ReuseSafe && s.Requests <= 1 {
		return false
	}
	pool := &st.Srv.Pools[st.R.Index]
	if pool.Len() == 0 {
		return false
	}
	name := st.serverName()
	for i := pool.Len() - 1; i >= 0; i-- {
		c := pool.At(i).(*ServerConn)
		if c.sni != name {
			continue
		}
		if how == ReuseAggressive && s.Requests <= 1 && c.uses < 2 {
			continue // it has not proved that it can be used again
		}
		pool.TakeAt(i)
		if c.back.vacant() && c.fits(st.Srv, name) {
			st.take(c)
			return true
		}
		c.Discard()
	}
	return false
}

// share takes a connection that carries exchanges already: those of the same client,
// or any when anyone's may be mixed.
func (st *Stream) share(any bool) bool {
	pool := &st.Srv.Pools[st.R.Index]
	n := pool.Shared()
	if n == 0 {
		return false
	}
	name := st.serverName()
	wait := true
	for i := n - 1; i >= 0; i-- {
		c := pool.SharedAt(i).(*ServerConn)
		if (!any || c.private) && c.owner != st.Sess || !c.fits(st.Srv, name) || c.spent() {
			continue
		}
		ok, waited := c.back.share(st, wait)
		if ok {
			st.reused(c)
			return true
		}
		if waited {
			wait, i = false, pool.Shared()
		}
	}
	return false
}

// serverName is the name that a connection to the server asks for under TLS.
func (st *Stream) serverName() string {
	if t := UplinkOf(st.Srv.Settings()).TLS; t != nil {
		return t.Name(&st.Scope)
	}
	return ""
}

// fits tells whether an idle connection is still what the server's settings
// would make anew.
func (c *ServerConn) fits(s *server.Server, name string) bool {
	return c.addr == s.Addr() && c.sni == name && c.security == UplinkOf(s.Settings()).TLS
}

// take makes an idle connection the stream's.
func (st *Stream) take(c *ServerConn) {
	c.back.resumed(st.Sess)
	c.setIdle(false)
	c.srv.Use()
	st.reused(c)
}

// reused has the exchange go over a connection that was used before.
func (st *Stream) reused(c *ServerConn) {
	c.uses++
	st.goOver(c)
	st.Reused = true
	st.serverCounters().Reuses.Add(1)
	st.BE.BE.Counters[st.R.Index].Reuses.Add(1)
}

// rest makes a connection idle that carries nothing any more, for whoever may use it
// again: anyone, or s alone. false: it is to be closed.
func (c *ServerConn) rest(w *Worker, s *Session) bool {
	srv, private := c.srv, c.keptPrivate()
	if c.HungUp() || srv.Deleted() || srv.Down() || w.Stopping.Load() || c.spent() ||
		private && !s.mayKeepConn() || !private && c.superfluous() {
		return false
	}
	srv.Used.Add(-1)
	if private {
		s.keepConn(c)
		c.setIdle(true)
		return true
	}
	c.owner = nil
	c.setIdle(true)
	srv.Pools[c.Reactor().Index].Put(c)
	return true
}

// keptPrivate tells whether only one client's requests may use the connection.
func (c *ServerConn) keptPrivate() bool { return c.reuse == ReuseNever || c.private || c.kept }

// spent tells whether the connection was used as often as it may be ("max-reuse").
func (c *ServerConn) spent() bool {
	n := c.srv.Settings().MaxReuse
	return n >= 0 && int(c.uses) > n
}

// purgePools gives what closes idle server connections that were not needed for a
// while, on a reactor, and all of those of servers that went away or down. It tells
// about how many bytes that has freed.
func (w *Worker) purgePools(r *reactor.Reactor) func() int {
	closed := 0
	k := NewWalk(r, nil, func(s *server.Server) {
		if r.Index == 0 {
			s.Estimate()
		}
		pool := &s.Pools[r.Index]
		if pool.Len() == 0 {
			return
		}
		if s.Down() {
			closed += pool.Purge(true)
			return
		}
		delay := s.Settings().PoolPurgeDelay
		if delay <= 0 {
			delay = 5 * time.Second
		}
		if pool.Due(r.Now(), int64(delay)) {
			closed += pool.Purge(false)
		}
	})
	return func() int {
		if snap := w.Snapshot(); snap != nil {
			k.Begin(snap.Proxies) // in order, for the simulation
		}
		n := closed
		closed = 0
		return n * 512
	}
}

// ServerSide is the local address of the connection to the server, no address
// when there is none.
func (st *Stream) ServerSide() reactor.Addr {
	if st.up == nil || !st.up.IsOpen() {
		return reactor.Addr{}
	}
	return st.up.Local()
}

func init() {
	RegisterColumn(
		// Connections with servers.
		newColumn("connect", "Connections to servers tried", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.Connects }),
			inServer(func(c *server.Counters) *counter.Int { return &c.Connects }), nil)),
		newColumn("reuse", "Server connections used again", of(nil, inBack(func(c *BackCounters) *counter.Int { return &c.Reuses }),
			inServer(func(c *server.Counters) *counter.Int { return &c.Reuses }), nil)),
		newColumn("srv_icur", "Idle connections to the server", of(nil, nil, func(o *Object) column.Value { return column.Gauge(shared(o.Server)) }, nil)),
		newColumn("src_ilim", "Limit of idle connections to the server", of(nil, nil, func(o *Object) column.Value {
			if o.Settings.PoolMaxConn == -1 {
				return column.Value{}
			}
			return column.Limit(int64(o.Settings.PoolMaxConn))
		}, nil)),
		newColumn("idle_conn_cur", "Idle connections that are not known to be safe to reuse", of(nil, nil, fixed(column.Gauge(0)), nil)),
		newColumn("safe_conn_cur", "Idle connections that are safe to reuse", of(nil, nil, func(o *Object) column.Value { return column.Gauge(shared(o.Server)) }, nil)),
		newColumn("used_conn_cur", "Connections in use", of(nil, nil, func(o *Object) column.Value { return column.Gauge(o.Server.Used.Load()) }, nil)),
		newColumn("need_conn_est", "Estimate of the connections needed", of(nil, nil, func(o *Object) column.Value { return column.Gauge(o.Server.Needed()) }, nil)),
		newColumn("priv_idle_cur", "Idle connections that belong to a client", of(nil, nil, func(o *Object) column.Value { return column.Gauge(o.Server.Private.Load()) }, nil)),
	)
}

// shared is how many idle connections any client may use.
func shared(s *server.Server) int64 { return max(s.Idle.Load()-s.Private.Load(), 0) }
