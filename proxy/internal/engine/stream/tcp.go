package stream

// serveTCP is the life of a connection in mode tcp.
func (s *Session) serveTCP() {
	s.attach().live(tcpLife)
	s.detach()
	s.close()
}

// frontendTCP is the phase "frontend" of mode tcp.
func (st *Stream) frontendTCP() step {
	s, fe := st.Sess, st.FE
	st.Time.Begin = s.Accepted
	st.Time.Request = s.Accepted + int64(s.HandshakeMs)*1e6
	s.Requests++
	st.number()
	if fe.LogBegin != nil {
		fe.LogBegin(s)
	}
	st.attach(fe)
	if !st.inspectRequest(fe) {
		return stop
	}
	return next
}

// backendTCP is the phase "backend" of mode tcp.
func (st *Stream) backendTCP() step {
	if st.BE != st.FE && !st.inspectRequest(st.BE) {
		return stop
	}
	st.unpeek()
	st.awaitFirst()
	return next
}

// responseRulesTCP is the phase "response rules" of mode tcp.
func (st *Stream) responseRulesTCP() step {
	st.logSoon(st.Time.Connected)
	st.beginTunnel()
	if st.inspectResponse() || st.download.failed() {
		return next // what failed is noted there
	}
	st.came(false, int64(len(st.up.in.bytes()))) // what was only looked at
	st.abortServer()
	return stop
}

// forwardTCP is the phase "forward" of mode tcp.
func (st *Stream) forwardTCP() step {
	st.tunnel()
	return next
}

// finishTCP is the phase "end" of mode tcp.
func (st *Stream) finishTCP() step {
	st.came(true, int64(len(st.h1.in.bytes()))) // what was only looked at
	st.quiet = st.FE.Has(DontLogNull) && st.ReqIn == 0 && !st.Sess.spoke()
	return st.finish()
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
