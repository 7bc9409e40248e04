package stream

import (
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/queue"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// ServerConn is a connection to a server. While it is idle it stands in its
// server's pool, or with the one session it is private to.
type ServerConn struct {
	transport.Conn
	srv  *server.Server
	addr *reactor.Addr
	in   input
	// owner is the session that keeps the connection for itself, or whose streams a
	// connection of HTTP/2 carries.
	owner *Session
	next  *ServerConn // that the owner keeps
	kept  bool        // by its owner
	uses  int32
	idle  bool
	// private tells that only the client's own connection may use it again: its
	// header of the PROXY protocol speaks of that one, or the server took it for a
	// user's (user).
	private  bool
	user     bool
	once     bool     // speaks HTTP/1 for a WebSocket, and HTTP/2 for anything else
	reuse    Reuse    // of HTTP/2: how the backend shares connections
	sni      string   // the name that was asked for under TLS
	security Security // how it was secured
	mux      *mux     // of HTTP/2, nil otherwise
}

// Readable is called when an idle connection is closed by the server, or the
// server speaks out of turn: both end it.
func (c *ServerConn) Readable() {
	if c.mux != nil {
		c.mux.readable()
		return
	}
	if !c.idle {
		return
	}
	if c.TLS != nil {
		// Session tickets and the like are no answer.
		var b [1]byte
		if n, err := c.TryRead(b[:]); n == 0 && err == nil && !c.HungUp() {
			return
		}
	}
	c.leavePool()
	c.discard()
}

// leavePool takes an idle connection away from where other sessions find it.
func (c *ServerConn) leavePool() {
	if !c.kept {
		c.srv.Pools[c.Reactor().Index].Remove(c)
	}
}

// Discard closes an idle connection that was taken out of its pool.
func (c *ServerConn) Discard() { c.discard() }

// setIdle notes and counts whether the connection is idle, with that of a client
// apart from those that anyone may use.
func (c *ServerConn) setIdle(idle bool) {
	n := int64(1)
	if !idle {
		n = -1
	}
	c.idle = idle
	c.srv.Idle.Add(n)
	if c.kept {
		c.srv.Private.Add(n)
	}
}

func (c *ServerConn) discard() {
	if c.mux != nil {
		c.mux.drain()
		c.mux.flush() // which closes it
		c.closeMux()
		return
	}
	c.setIdle(false)
	c.leaveOwner()
	c.Conn.Close()
}

// abandon closes a connection that could not be made.
func (c *ServerConn) abandon() {
	if c.mux != nil {
		c.srv.Pools[c.Reactor().Index].End(c)
		c.owner = nil
		c.mux.closed()
	}
	c.closed()
	c.Conn.Close()
}

// closed accounts for a connection in use that was closed.
func (c *ServerConn) closed() { c.srv.Used.Add(-1) }

// turnAround is how long to wait before the same server is tried again.
const turnAround = time.Second

// connectServer is the phases "assign" and "connect": it gets a connection to a
// server, trying again as the configuration allows. false: it failed, and said
// so.
func (st *Stream) connectServer() bool {
	be := st.BE
	var before *server.Server // whose connection failed, if another may be asked
	for {
		if st.Srv == nil {
			if !st.assign(before) {
				return false
			}
			if st.Srv != before {
				st.serverCounters().Chosen.Add(1)
				be.BE.Counters[st.R.Index].Chosen.Add(1)
			}
			if before != nil {
				st.tryAgain(before)
				before = nil
			}
		}
		if st.reuse() {
			st.serverCounters().Sessions.Add(1)
			if st.Time.Connected == 0 {
				st.Time.Connected = st.R.Now()
			}
			return true
		}
		err := st.dial()
		st.dialErr = err
		switch err {
		case nil:
			st.Time.Connected = st.R.Now()
			return true
		case reactor.ErrKilled:
			return false
		case errClientLeft:
			st.clientLeft('C')
			return false
		}
		if st.Retries >= be.Retries {
			c := st.serverCounters()
			c.ConnErrors.Add(1)
			be.BE.Counters[st.R.Index].ConnErrors.Add(1)
			cause := byte('S')
			if err == reactor.ErrTimeout {
				cause = 's'
			}
			st.fail(503, cause, 'C')
			return false
		}
		st.Retries++
		active, _, _ := be.BE.Usable()
		wait := err != reactor.ErrTimeout // refused at once: give the server the time to come back
		if st.redispatches(active) {
			before = st.Srv
			st.releaseServer()
			st.Srv = nil
			wait = wait && active <= 1 // another server need not be waited for
		} else {
			st.tryAgain(st.Srv)
		}
		if wait && !st.turnAround() {
			return false
		}
	}
}

// redispatches tells whether the next attempt may go to another server ("option
// redispatch"). Where any server does as well as another, it goes there at once.
func (st *Stream) redispatches(active int) bool {
	be := st.BE
	n := be.Redispatch
	switch {
	case n == 0:
		return false
	case st.Srv.Down() || active > 1 && !be.Balance.Deterministic():
		return true
	case n < 0:
		n += be.Retries + 1 // counted from the last
	}
	return n > 0 && st.Retries%n == 0
}

// tryAgain counts the next attempt: as one more on the same server, or as one on
// another. before is the server whose attempt failed.
func (st *Stream) tryAgain(before *server.Server) {
	b, s := &st.BE.BE.Counters[st.R.Index], &before.Counters[st.R.Index]
	if st.Srv != before {
		st.Redispatch = true
		b.Redisp.Add(1)
		s.Redisp.Add(1)
		return
	}
	b.Retries.Add(1)
	s.Retries.Add(1)
}

// turnAround waits before the same server is tried again. false: the exchange is
// over, since the client left.
func (st *Stream) turnAround() bool {
	d := int64(turnAround)
	if t := int64(st.BE.Timeouts.Connect); t > 0 && t < d {
		d = t
	}
	deadline := st.R.Now() + d
	for {
		if st.abandoned() {
			st.clientLeft('C')
			return false
		}
		switch err := st.pause(deadline); err {
		case nil:
		case reactor.ErrTimeout:
			return true
		default:
			return false
		}
	}
}

// pause waits until the deadline, or until something happens to a client that is
// watched because it may leave.
func (st *Stream) pause(deadline int64) error {
	if st.aborts() {
		st.client.watch(st.co)
		defer st.client.watch(nil)
	}
	var never reactor.Waiter
	return never.Wait(st.R, deadline)
}

// abandoned tells whether the client left before the request was sent to a server,
// and that is a reason to give it up.
func (st *Stream) abandoned() bool {
	if !st.aborts() {
		return false
	}
	quiet, _ := st.client.left()
	return quiet
}

// Tarpit keeps the client waiting for as long as "timeout tarpit" says, or until it
// leaves.
func (st *Stream) Tarpit() {
	t := st.BE.Timeouts.Tarpit
	if t == 0 {
		t = st.BE.Timeouts.Connect
	}
	st.client.watch(st.co)
	var wait reactor.Waiter
	for until := st.R.Now() + int64(t); st.R.Now() < until; {
		if quiet, _ := st.client.left(); quiet || wait.Wait(st.R, until) == reactor.ErrKilled {
			break
		}
	}
	st.client.watch(nil)
	st.Time.GaveUp = st.R.Now()
}

// assign chooses a server and takes a slot of it, or a place in the queue.
func (st *Stream) assign(avoid *server.Server) bool {
	b := st.BE.BE
	var only *server.Server // that will do, nil: any
	direct := false         // it knows the client
	if avoid == nil {
		if only = st.Sess.lastServer(b); only != nil {
			direct = true
			if st.grab(only) {
				return true
			}
		}
	}
	for tries := 0; ; tries++ {
		if only == nil && tries < 3 {
			if b.Picker().Len() == 0 {
				st.fail(503, 'S', 'C')
				if st.Time.Queued == 0 {
					b.Counters[st.R.Index].ConnErrors.Add(1)
				}
				return false
			}
			if only = st.choose(avoid); st.slot {
				return true
			}
		}
		switch s, err := st.enqueue(only); {
		case err == nil:
			st.assigned(s)
			return true
		case err == queue.ErrAnew, err == queue.ErrFull && (!direct && !st.BE.Balance.Deterministic() || direct && st.BE.Redispatch != 0):
			only, direct = nil, false
		default:
			st.notServed(only, err)
			return false
		}
	}
}

// grab takes a slot of s, if that does not pass those by who wait for it.
func (st *Stream) grab(s *server.Server) bool {
	if s.Queued.Load() > 0 || !queue.Acquire(s) {
		return false
	}
	st.assigned(s)
	return true
}

// choose takes a slot of the server that the algorithm gives, or else tells which
// one to wait for, nil: any.
func (st *Stream) choose(avoid *server.Server) *server.Server {
	q := st.query(avoid)
	var last *server.Server
	for range 3 {
		s := st.BE.BE.Picker().Pick(q)
		if s == nil || st.grab(s) {
			return nil
		}
		if s == last {
			break // it is not that somebody was faster
		}
		last = s
		q.Random = st.R.Rand.Uint64()
	}
	return last
}

// enqueue waits for a slot of a server, nil: of any.
func (st *Stream) enqueue(only *server.Server) (*server.Server, error) {
	t := st.BE.Timeouts.Queue
	if t == 0 {
		t = st.BE.Timeouts.Connect
	}
	st.client.watch(st.co)
	if st.queueEnd == 0 {
		st.queueEnd = st.R.After(t)
	}
	s, ahead, err := st.BE.BE.Queue.Wait(st.R, queue.Wish{
		Only: only, Class: st.PriorityClass, Offset: st.PriorityOffset, Deadline: st.queueEnd, Gone: st.abandoned,
	})
	st.client.watch(nil)
	if err == queue.ErrFull {
		return nil, err
	}
	if only != nil {
		st.SrvQueue += ahead + 1
	} else {
		st.BackQueue += ahead + 1
	}
	return s, err
}

// notServed ends an exchange that no server was found for.
func (st *Stream) notServed(only *server.Server, err error) {
	st.Time.GaveUp = st.R.Now()
	st.Srv = only // as the log says
	cause := byte('s')
	switch err {
	case queue.ErrGone:
		st.clientLeft('Q') // there is nobody to answer
		return
	case queue.ErrFull:
		cause = 'S'
	case reactor.ErrTimeout:
	default:
		return
	}
	st.fail(503, cause, 'Q')
	st.BE.BE.Counters[st.R.Index].ConnErrors.Add(1)
	if only != nil {
		st.serverCounters().ConnErrors.Add(1)
	}
}

func (st *Stream) assigned(s *server.Server) {
	st.Srv = s
	st.slot = true
	st.queueEnd = 0
	st.Time.Queued = st.R.Now()
	s.LastUsed.Store(st.R.Now())
	st.BE.BE.LastUsed.Store(st.R.Now())
}

// releaseServer gives the server's slot back.
func (st *Stream) releaseServer() {
	if st.slot {
		st.slot = false
		st.BE.BE.Queue.Release(st.Srv)
	}
}

// serverCounters are those of the server, or what nobody reads while there is none.
func (st *Stream) serverCounters() *server.Counters {
	if st.Srv == nil {
		return &st.W.nobody[st.R.Index]
	}
	return &st.Srv.Counters[st.R.Index]
}

// reuse takes an idle connection if the configuration allows it.
func (st *Stream) reuse() bool {
	if st.BE.Mode != HTTP || st.noReuse || st.Req.Upgrade != nil && st.webSocketH1(st.Srv.Settings(), nil) {
		return false
	}
	s := st.Sess
	for c, next := s.priv, (*ServerConn)(nil); c != nil; c = next {
		next = c.next
		if !c.idle || c.srv != st.Srv {
			continue
		}
		if !c.fits(st.Srv, st.serverName()) || c.HungUp() || c.mux != nil && c.mux.Available() == 0 {
			c.discard()
			continue
		}
		if c.mux != nil {
			c.begin(s)
		}
		st.take(c)
		return true
	}
	how := st.BE.Reuse
	if st.shareMux(how == ReuseAlways) {
		return true
	}
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
		if c.HungUp() || c.mux == nil && c.FD.CanRead() || c.mux != nil && c.mux.Available() == 0 || !c.fits(st.Srv, name) {
			c.discard()
			continue
		}
		if c.mux != nil {
			c.begin(s)
		}
		st.take(c)
		return true
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
	c.setIdle(false)
	c.uses++
	c.srv.Use()
	st.up, st.last = c, c
	st.Reused = true
	st.serverCounters().Reuses.Add(1)
	st.BE.BE.Counters[st.R.Index].Reuses.Add(1)
}

// dial makes a new connection.
func (st *Stream) dial() error {
	r, srv := st.R, st.Srv
	addr := srv.Addr()
	to := *addr
	set := srv.Settings()
	if set.MapPort && !to.IsUnix() {
		to.Port = uint16(int(st.Sess.Dst().Port) + set.PortOffset)
	}
	up := UplinkOf(set)
	c := &ServerConn{srv: srv, addr: addr, uses: 1, private: up.Preamble != nil, security: up.TLS}
	if c.security != nil {
		c.sni = up.TLS.Name(&st.Scope)
	}
	st.last = c
	st.serverCounters().Sessions.Add(1)
	st.serverCounters().Connects.Add(1)
	st.BE.BE.Counters[r.Index].Connects.Add(1)
	if err := Dial(r, &c.FD, c, to, set.Source); err != nil {
		return err
	}
	srv.Use()
	st.dialing = c
	if st.BE.Has(SrvtcpKA) {
		r.Sys.SetsockoptInt(c.Fd(), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	}
	if st.BE.Has(NoLinger) {
		c.ResetOnClose()
	}
	if st.BE.Mode == HTTP && set.Proto == "h2" {
		if c.once = st.webSocketH1(set, nil); !c.once {
			c.startH2(st) // others may wait for it already
			c.mux.connecting = true
		}
	}
	deadline := r.After(st.BE.Timeouts.Connect)
	err := st.connected(c, deadline)
	if err == nil {
		err = st.establish(c, set, deadline)
	}
	st.dialing = nil
	if err != nil {
		c.abandon()
		return err
	}
	switch {
	case c.mux != nil:
		c.mux.connecting = false
		c.mux.touch()
	case st.BE.Mode == HTTP && !c.once && c.negotiatedH2(set):
		c.startH2(st)
	}
	st.up = c
	st.Reused = false
	return nil
}

// patience is how long, in nanoseconds, an attempt to connect goes on although
// the client has ended its side: whoever does that right behind the request
// waits for the answer, and must not depend on what comes first.
const patience = 100e6

// connected waits until a connection is made.
func (st *Stream) connected(c *ServerConn, deadline int64) error {
	enough := st.R.Now() + patience
	for {
		until := deadline
		quiet, gone := false, false
		if st.aborts() {
			quiet, gone = st.client.left()
		}
		if quiet {
			if gone || st.R.Now() >= enough {
				return errClientLeft
			}
			if until == 0 || enough < until {
				until = enough
			}
		}
		st.client.watch(st.co)
		err := c.FD.WaitWrite(until)
		st.client.watch(nil)
		if err == reactor.ErrTimeout && until != deadline {
			continue
		}
		if err != nil {
			return err
		}
		if c.CanWrite() {
			return Connected(&c.FD)
		}
	}
}

// establish is what follows a connection to a server that was made: the
// preamble and the TLS handshake.
func (st *Stream) establish(c *ServerConn, set *server.Settings, deadline int64) error {
	r, up := st.R, UplinkOf(set)
	if up.Preamble != nil {
		if _, err := c.FD.Write(up.Preamble.Append(nil, st), moreIf(up.TLS != nil), int64(st.BE.Timeouts.Connect)); err != nil {
			return err
		}
	}
	if up.TLS == nil {
		return nil
	}
	cfg := up.TLS.Config(c.sni)
	if st.webSocketH1(set, cfg.NextProtos) {
		c.once = slices.Contains(cfg.NextProtos, "h2")
		cfg = cfg.Clone()
		cfg.NextProtos = []string{"http/1.1"}
	}
	if err := st.W.mayTLS(); err != nil {
		st.ErrText = err.Error()
		return err
	}
	c.Client(cfg)
	st.W.beginTLS(c.TLS)
	n := &st.W.Counters[r.Index]
	err := c.Handshake(deadline)
	st.serverCounters().TLS.Count(err != nil, c.TLS.Resumed())
	st.BE.BE.Counters[r.Index].TLS.Count(err != nil, c.TLS.Resumed())
	if err != nil {
		n.TLSBackFailed.Add(1)
		st.ErrText = err.Error()
		return err
	}
	n.TLSBack.Add(1)
	if c.TLS.Resumed() {
		n.TLSBackReused.Add(1)
	}
	return nil
}

// Dial opens a socket on r and begins to connect it. [reactor.FD.WaitWrite] and
// then [Connected] tell the outcome. source may be invalid.
func Dial(r *reactor.Reactor, fd *reactor.FD, idle reactor.Handler, to, source reactor.Addr) error {
	domain := syscall.AF_INET
	switch {
	case to.IsUnix():
		domain = syscall.AF_UNIX
	case to.IP.Is6():
		domain = syscall.AF_INET6
	}
	n, e := r.Sys.Socket(domain, syscall.SOCK_STREAM, 0)
	if e != 0 {
		return e
	}
	if domain != syscall.AF_UNIX {
		r.Sys.SetsockoptInt(n, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if source.IsValid() {
		if source.Port == 0 {
			r.Sys.SetsockoptInt(n, syscall.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
		if e := r.Sys.Bind(n, source); e != 0 {
			r.Sys.Close(n)
			return e
		}
	}
	e = r.Sys.Connect(n, to)
	if e != 0 && e != syscall.EINPROGRESS {
		r.Sys.Close(n)
		return e
	}
	if err := r.Open(fd, n, idle); err != nil {
		r.Sys.Close(n)
		return err
	}
	if e == syscall.EINPROGRESS {
		fd.NotWritable()
	}
	return nil
}

// Connect is [Dial], and waits until the connection is made. A deadline of 0 leaves it
// all the time it takes.
func Connect(r *reactor.Reactor, fd *reactor.FD, idle reactor.Handler, to, source reactor.Addr, deadline int64) error {
	if err := Dial(r, fd, idle, to, source); err != nil {
		return err
	}
	for !fd.CanWrite() {
		if err := fd.WaitWrite(deadline); err != nil {
			return err
		}
	}
	return Connected(fd)
}

// Connected tells whether the connection that became writable was made.
func Connected(fd *reactor.FD) error {
	if !fd.IsOpen() {
		return reactor.ErrClosed
	}
	if !fd.Broken() {
		return nil // an error would have been reported with the event
	}
	if v, e := fd.Reactor().Sys.GetsockoptInt(fd.Fd(), syscall.SOL_SOCKET, syscall.SO_ERROR); e != 0 {
		return e
	} else if v != 0 {
		return syscall.Errno(v)
	}
	return nil
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
