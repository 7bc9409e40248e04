package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/counter"

// route is the phase of that name: use_backend and default_backend choose who gets
// the exchange.
func (st *Stream) route() step {
	be := st.chooseBackend()
	if be == nil {
		st.fail(503, 'S', 'C')
		return stop
	}
	st.setBackend(be)
	call(be.OnEnter, st)
	return next
}

// backend is the phase of that name: its rules decide about the request.
func (st *Stream) backend() step {
	fe, be := st.FE, st.BE
	if be.Has(HTTPNoDelay) {
		st.Sess.Prompt(true)
	}
	if be != fe {
		if s := st.requestRules(be); s != next {
			return s
		}
	}
	call(fe.OnForward, st)
	if f := be.ForwardFor; f != nil || fe.ForwardFor != nil {
		if f == nil {
			f = fe.ForwardFor
		}
		st.forwardFor(f)
	}
	call(be.OnChoose, st)
	return next
}

// chooseBackend applies use_backend and default_backend; nil: there is none.
func (st *Stream) chooseBackend() *Proxy {
	for i := range st.FE.Switching {
		rule := &st.FE.Switching[i]
		if rule.Cond != nil && !rule.Cond.Match(&st.Scope) {
			continue
		}
		if rule.Find == nil {
			return st.Snap.Backends[rule.Target]
		}
		if be := rule.Find(&st.Scope); be != nil {
			return be
		}
	}
	if be := st.Snap.Backends[st.FE.DefaultName]; be != nil {
		return be
	}
	if st.FE.Backend {
		return st.FE
	}
	return nil
}

// setBackend enters a backend.
func (st *Stream) setBackend(be *Proxy) {
	if be != st.FE {
		st.attach(be)
	}
	st.BE = be
	st.routed = true
	b := be.BE
	counter.Max(&b.Max, b.Cur.Add(1))
	c := &b.Counters[st.R.Index]
	c.Sessions.Add(1)
	if be.Mode == HTTP {
		c.Requests.Add(1)
	}
}

// forwardFor adds the client's address.
func (st *Stream) forwardFor(f *ForwardFor) {
	if f.IfNone && st.Req.Has(f.Header) {
		return
	}
	ip := st.Sess.Src.IP
	if !ip.IsValid() || f.Except.IsValid() && f.Except.Contains(ip) {
		return
	}
	var buf [64]byte
	name := st.Req.CopyString(f.Header)
	st.Req.Add(name, st.Req.Copy(ip.AppendTo(buf[:0])))
}
