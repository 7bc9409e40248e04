package stream

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// reuse takes a connection that there is already, if the configuration allows it:
// one of the client's own, one that carries streams, or an idle one.
func (st *Stream) reuse() bool {
	if st.BE.Mode != HTTP || st.noReuse || st.Req.Upgrade != nil && st.webSocketH1(st.Srv.Settings(), nil) {
		return false
	}
	return st.reuseOwn() || st.shareMux(st.BE.Reuse == ReuseAlways) || st.reuseIdle()
}

// reuseOwn takes one of the connections that the client keeps for itself.
func (st *Stream) reuseOwn() bool {
	for c, next := st.Sess.priv, (*ServerConn)(nil); c != nil; c = next {
		next = c.next
		if !c.idle || c.srv != st.Srv {
			continue
		}
		if c.fits(st.Srv, st.serverName()) && c.usable() {
			st.take(c)
			return true
		}
		c.discard()
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
		if c.usable() && (c.mux != nil || !c.FD.CanRead()) && c.fits(st.Srv, name) {
			st.take(c)
			return true
		}
		c.discard()
	}
	return false
}

// usable tells whether an idle connection can carry another exchange.
func (c *ServerConn) usable() bool {
	return !c.HungUp() && (c.mux == nil || c.mux.Available() > 0)
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
	if c.mux != nil {
		c.begin(st.Sess)
	}
	c.setIdle(false)
	c.uses++
	c.srv.Use()
	st.up, st.last = c, c
	st.Reused = true
	st.serverCounters().Reuses.Add(1)
	st.BE.BE.Counters[st.R.Index].Reuses.Add(1)
}

// dropServerConn closes the server connection.
func (st *Stream) dropServerConn() {
	if c := st.up; c != nil {
		st.up = nil
		if c.mux != nil {
			st.leaveServer(c)
			return
		}
		c.in.release(st.R)
		c.leaveOwner()
		c.Conn.Close()
		c.closed()
	}
}

// releaseConn gives the server connection back after a complete exchange: to
// the pool if it can be used again.
func (st *Stream) releaseConn(keepAlive bool) {
	c := st.up
	if c == nil {
		return
	}
	if c.mux != nil {
		st.up = nil
		st.leaveServer(c)
		return
	}
	srv, be := st.Srv, st.BE
	set := srv.Settings()
	private := be.Reuse == ReuseNever || c.private || c.kept // whatever was configured since
	if keepAlive && c.in.empty() && c.CanRead() {
		// Maybe: an edge that was not used up proves nothing. Bytes after a
		// complete response, or the end, make the connection useless.
		if n, err := c.in.read(&c.Conn); n > 0 || err != nil {
			keepAlive = false
		}
	}
	if !keepAlive || c.once || st.upHalf || !c.in.empty() || c.HungUp() || st.closesServer() ||
		srv.Deleted() || st.W.Stopping.Load() || set.MaxReuse >= 0 && int(c.uses) > set.MaxReuse || srv.Down() ||
		private && !st.Sess.mayKeepConn() || !private && c.superfluous() {
		st.dropServerConn()
		return
	}
	st.up = nil
	c.in.release(st.R)
	srv.Used.Add(-1)
	if private {
		st.Sess.keepConn(c)
		c.setIdle(true)
		return
	}
	c.setIdle(true)
	srv.Pools[st.R.Index].Put(c)
}

// purgePools closes idle server connections that were not needed for a while, on
// a reactor, and all of those of servers that went away or down.
func (w *Worker) purgePools(r *reactor.Reactor) int {
	n := 0
	snap := w.Snapshot()
	if snap == nil {
		return 0
	}
	for _, p := range snap.Proxies { // in order, for the simulation
		if p.BE == nil {
			continue
		}
		for _, s := range p.BE.Servers() {
			if r.Index == 0 {
				s.Estimate()
			}
			pool := &s.Pools[r.Index]
			if pool.Len() == 0 {
				continue
			}
			if s.Down() {
				n += pool.Purge(true)
				continue
			}
			delay := s.Settings().PoolPurgeDelay
			if delay <= 0 {
				delay = 5 * time.Second
			}
			if pool.Due(r.Now(), int64(delay)) {
				n += pool.Purge(false)
			}
		}
	}
	return n * 512
}

// ServerSide is the local address of the connection to the server, no address
// when there is none.
func (st *Stream) ServerSide() reactor.Addr {
	if st.up == nil || !st.up.IsOpen() {
		return reactor.Addr{}
	}
	return st.up.Local()
}
