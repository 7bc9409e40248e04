package stream

import (
	"slices"
	"syscall"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// turnAround is how long to wait before the same server is tried again.
const turnAround = time.Second

// connect is the phase of that name: an idle connection to the server is taken, or
// a new one made.
func (st *Stream) connect() step {
	if st.reuse() {
		st.serverCounters().Sessions.Add(1)
		if st.Time.Connected == 0 {
			st.Time.Connected = st.R.Now()
		}
		st.logStep(LogConnect)
		return next
	}
	st.dialErr = st.dial()
	switch st.dialErr {
	case nil:
		st.Time.Connected = st.R.Now()
		st.logStep(LogConnect)
		return next
	case reactor.ErrKilled:
		return stop
	case errClientLeft:
		st.clientLeft('C')
		return stop
	}
	return st.notConnected(st.dialErr)
}

// notConnected has the exchange try again as the configuration allows, if need be
// after a pause.
func (st *Stream) notConnected(err error) step {
	be := st.BE
	if st.Retries >= be.Retries {
		c := st.serverCounters()
		c.ConnErrors.Add(1)
		be.BE.Counters[st.R.Index].ConnErrors.Add(1)
		cause := byte('S')
		if err == reactor.ErrTimeout {
			cause = 's'
		}
		st.fail(503, cause, 'C')
		return stop
	}
	st.Retries++
	active, _, _ := be.BE.Usable()
	wait := err != reactor.ErrTimeout // refused at once: give the server the time to come back
	if st.redispatches(active) {
		st.failed = st.Srv
		st.releaseServer()
		st.Srv, st.Persist.Server = nil, nil
		wait = wait && active <= 1 // another server need not be waited for
	} else {
		st.tryAgain(st.Srv)
	}
	if wait && !st.turnAround() {
		return stop
	}
	return again
}

// redispatches tells whether the next attempt may go to another server ("option
// redispatch"). Where any server does as well as another, it goes there at once.
func (st *Stream) redispatches(active int) bool {
	be := st.BE
	n := be.Redispatch
	switch {
	case !st.mayLeave():
		return false
	case st.Srv.Down() || active > 1 && !be.Balance.Deterministic() && st.Persist.Server == nil:
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
		if st.Persist.Request == 'V' { // valid it was, and the server is not to be had
			st.Persist.Request = 'D'
		}
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
	c := &ServerConn{srv: srv, addr: addr, uses: 1, reuse: st.BE.Reuse, private: up.Preamble != nil, security: up.TLS}
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
	st.protocolTo(c, set).back(c, st)
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
	if p := st.agreedWith(c, set); p != nil {
		p.back(c, st)
	}
	c.back.connected()
	st.goOver(c)
	st.Reused = false
	return nil
}

// protocolTo is the protocol that a new connection to a server begins with.
func (st *Stream) protocolTo(c *ServerConn, set *server.Settings) *Protocol {
	if st.BE.Mode == TCP {
		return rawProtocol
	}
	p := ProtocolNamed(set.Proto)
	switch {
	case p == nil:
		return h1Protocol
	case p != h1Protocol && st.webSocketH1(set, nil):
		c.once = true
		return h1Protocol
	}
	return p
}

// agreedWith is the protocol that TLS agreed on with a server, if the connection did
// not begin with it, nil if it goes on as it is.
func (st *Stream) agreedWith(c *ServerConn, set *server.Settings) *Protocol {
	if c.TLS == nil || set.Proto != "" || st.BE.Mode != HTTP || c.once {
		return nil
	}
	p := protocolOf(c.TLS.Protocol())
	if p == nil || p.back == nil || p == c.back.protocol() {
		return nil
	}
	return p
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
		c.once = slices.ContainsFunc(cfg.NextProtos, func(name string) bool { return name != h1Protocol.ALPN })
		cfg = cfg.Clone()
		cfg.NextProtos = []string{h1Protocol.ALPN}
	}
	if err := st.W.mayTLS(); err != nil {
		st.ErrText = err.Error()
		return err
	}
	c.Client(cfg)
	st.W.beginTLS(c.TLS)
	n := &st.W.Counters[r.Index]
	err := c.Handshake(deadline)
	st.serverCounters().TLS.Count(err != nil, c.TLS.Resumed(), counter.NoStaple)
	st.BE.BE.Counters[r.Index].TLS.Count(err != nil, c.TLS.Resumed(), counter.NoStaple)
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
