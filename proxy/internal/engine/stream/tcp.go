package stream

import (
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// serveTCP is the life of a connection in mode tcp.
func (s *Session) serveTCP() {
	st := s.attach()
	fe := st.FE
	st.Time.Begin = s.Accepted
	st.Time.Request = s.Accepted + int64(s.HandshakeMs)*1e6
	s.Requests++
	st.number()
	if fe.LogBegin != nil {
		fe.LogBegin(s)
	}
	if be := st.chooseBackend(); be == nil {
		st.end('S', 'C')
	} else {
		st.setBackend(be)
		if st.connectServer() {
			st.logSoon(st.Time.Connected)
			st.tunnel(nil)
		}
		st.releaseServer()
	}
	st.dropServerConn()
	st.quiet = fe.Has(DontLogNull) && st.BytesIn == 0 && !s.spoke()
	st.finish()
	s.detach()
	s.close()
}

// spoke tells whether the client has sent something that nobody has read. What
// it is gets lost.
func (s *Session) spoke() bool {
	if !s.IsOpen() {
		return false
	}
	n, _ := s.TryRead(s.Reactor().Scratch)
	return n > 0
}

// tunnelHTTP is what follows a 101, or a 2xx to CONNECT: the head goes to the
// client, then bytes go both ways.
func (st *Stream) tunnelHTTP() bool {
	st.Status = st.Res.Status
	st.finishUpload()
	in := &st.up.in
	if st.server.on() {
		in = nil
	}
	if st.client.on() {
		st.Res.Status, st.Res.Upgrade = 200, nil // as an extended CONNECT is accepted
		st.Res.Del("sec-websocket-accept")
		err := st.sendHead(&st.Res, false)
		if err != nil {
			st.failWrite(err)
		} else {
			st.logSoon(st.Time.Response)
			st.tunnel(in)
		}
		st.dropServerConn()
		return err == nil
	}
	head := http1.AppendResponse(st.R.Scratch[:0], &st.Res, http1.WriteOptions{})
	st.BytesOut += int64(len(head))
	if err := st.write(&st.Sess.Conn, head, nil, 0, int64(st.FE.Timeouts.Client)); err != nil {
		st.failWrite(err)
	} else {
		st.logSoon(st.Time.Response)
		st.tunnel(in)
	}
	st.dropServerConn()
	return false
}

// lane is one direction of a tunnel.
type lane struct {
	st       *Stream
	src, dst end
	in       *input // what was read before the tunnel began
	client   bool   // src is the client
	bytes    *int64
	ended    bool
	err      error
	fromRead bool // err is of src
	wait     reactor.Waiter
}

// tunnel moves bytes both ways until both directions have ended. The stream's own
// coroutine takes one direction, a second one the other.
func (st *Stream) tunnel(fromServer *input) {
	st.activity = st.R.Now()
	client, server := end{&st.Sess.Conn, st.client.orNil()}, end{&st.up.Conn, st.server.orNil()}
	req := &lane{st: st, src: client, dst: server, in: &st.in, client: true, bytes: &st.BytesIn}
	res := &lane{st: st, src: server, dst: client, in: fromServer, bytes: &st.BytesOut}
	st.R.Start(req)
	res.move()
	if res.err != nil && !req.ended { // broken: the other direction has no use any more
		server.abort()
		if st.client.on() || !st.FE.Has(NoLinger) { // else a reset is to follow
			client.closeWrite()
		}
		req.stop()
	}
	req.wait.Until(st.R, func() bool { return req.ended })
	for _, l := range [2]*lane{res, req} {
		if l.err == nil {
			continue
		}
		side, tside := byte('S'), byte('s')
		if l.client == l.fromRead {
			side, tside = 'C', 'c'
		}
		switch l.err {
		case reactor.ErrTimeout:
			if st.BE.Timeouts.Tunnel > 0 && !st.half {
				tside = 'c' // it is over for both sides: which coroutine was told first means nothing
			}
			st.broken(tside)
		case reactor.ErrKilled, reactor.ErrClosed:
		default:
			st.broken(side)
		}
	}
	if st.FE.Mode == HTTP && st.Term.Cause == 0 && st.firstEnd != 0 {
		st.end(st.firstEnd, 'D') // an upgraded connection is ended by who closes first
	}
}

// broken ends a tunnel that one side broke off, and counts that.
func (st *Stream) broken(side byte) {
	if st.Term.Cause != 0 {
		return
	}
	st.end(side, 'D')
	if side == 'C' || side == 'c' {
		st.clientLeft('D')
	} else {
		st.serverLeft()
	}
}

// Run is the second coroutine.
func (l *lane) Run() {
	l.st.side = l.st.R.Current()
	l.move()
	l.st.side = nil
	l.ended = true
	if l.err != nil {
		// Wake the other direction: its descriptor is of no use any more.
		if l.client {
			l.dst.abort()
		} else {
			l.src.abort()
		}
		l.st.co.Wake()
	}
	l.wait.Notify()
}

// Panicked is told by the reactor.
func (l *lane) Panicked() {
	l.ended = true
	l.st.side = nil
	l.st.internal()
	l.st.Kill('I')
	l.wait.Notify()
}

func (l *lane) stop() {
	if l.st.side != nil {
		l.st.side.Kill()
	}
}

// timeout is how long nothing may happen, in nanoseconds.
func (l *lane) timeout() int64 {
	st := l.st
	t := st.BE.Timeouts.Tunnel
	if t == 0 {
		if l.client {
			t = st.FE.Timeouts.Client
		} else {
			t = st.BE.Timeouts.Server
		}
	}
	if st.half {
		fin := st.BE.Timeouts.ServerFin
		if l.client {
			fin = st.FE.Timeouts.ClientFin
		}
		if fin > 0 {
			t = fin
		}
	}
	return int64(t)
}

// bulk is how many full reads in a row make a direction go through splice(2).
const bulk = 2

func (l *lane) move() {
	st := l.st
	r := st.R
	if l.in != nil && !l.in.empty() {
		b := l.in.bytes()
		if err := l.dst.write(st, b, l.timeout()); err != nil {
			l.err = err
			return
		}
		*l.bytes += int64(len(b))
		l.in.r = l.in.w
	}
	full := 0
	splice := l.src.clear() && l.dst.clear() && st.maySplice(l.client)
	for {
		if full >= bulk && splice {
			n, _, rerr, werr := reactor.Splice(&l.dst.conn.FD, &l.src.conn.FD, -1, -1, l.timeout())
			*l.bytes += n
			st.W.Counters[r.Index].SplicedBytes.Add(n)
			st.activity = r.Now()
			if outOfPipes(rerr) {
				splice = false
				continue
			}
			if werr != nil {
				l.err = werr
				return
			}
			if rerr == io.EOF {
				l.half()
				return
			}
			if rerr != nil {
				l.err, l.fromRead = rerr, true
				return
			}
			full = 0
		} else {
			buf := r.Scratch
			n, err := l.src.tryRead(buf)
			if n > 0 {
				if err := l.dst.write(st, buf[:n:n], l.timeout()); err != nil {
					l.err = err
					return
				}
				*l.bytes += int64(n)
				st.activity = r.Now()
				if n == len(buf) {
					full++
				} else {
					full = 0
				}
				continue
			}
			if err == io.EOF {
				l.half()
				return
			}
			if err != nil {
				l.err, l.fromRead = err, true
				return
			}
		}
		if l.src.canRead() {
			continue
		}
		if err := l.await(); err != nil {
			l.err, l.fromRead = err, true
			return
		}
	}
}

// await parks until src has something. Activity in the other direction counts
// as activity.
func (l *lane) await() error {
	st := l.st
	for {
		var deadline int64
		t := l.timeout()
		if t > 0 {
			deadline = max(st.activity+t, st.R.Now()+1)
		}
		err := l.src.wait(deadline)
		if err == reactor.ErrTimeout && st.activity+t > st.R.Now() {
			continue
		}
		return err
	}
}

// half passes the end of one direction on.
func (l *lane) half() {
	l.dst.closeWrite()
	if !l.st.half {
		l.st.half = true
		if !l.st.client.on() { // the end of a stream is no close
			l.st.firstEnd = 'S'
			if l.client {
				l.st.firstEnd = 'C'
			}
		}
	}
	l.st.activity = l.st.R.Now()
	// The other direction has less time now ("client-fin", "server-fin").
	if l.client {
		l.st.co.Wake()
	} else if l.st.side != nil {
		l.st.side.Wake()
	}
}
