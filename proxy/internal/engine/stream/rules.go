package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/reactor"

// evaluate gives the verdict of a rule set: that of the first rule that does not let
// the next one decide.
func evaluate(sc *Scope, rules []Rule) Verdict {
	for _, rule := range rules {
		if v := rule.Exec(sc); v != Continue {
			return v
		}
	}
	return Continue
}

// run evaluates a rule set. false: it was answered or is to be dropped.
func (st *Stream) run(rules []Rule) bool { return st.goesOn(evaluate(&st.Scope, rules)) }

// goesOn turns the verdict of a set of rules into what becomes of the exchange.
func (st *Stream) goesOn(v Verdict) bool {
	switch v {
	case Answer:
		if !st.answering() {
			st.fail(500, 'I', 'R')
		}
		return false
	case Drop:
		return false
	}
	return true
}

// requestRules applies the http-request rules and the "redirect" lines of p, once
// there is the body if p waits for it.
func (st *Stream) requestRules(p *Proxy) step {
	if !st.inspectRequest(p) {
		st.intercepted(p)
		return stop
	}
	if p == st.FE {
		call(p.OnRequest, st)
		if st.HasRequest {
			st.logStep(LogRequest)
		}
	}
	if p.awaitsBody(st) && !st.bufferBody(p) {
		return stop
	}
	if len(p.RequestRules) > 0 && !st.run(p.RequestRules) || len(p.Pages) > 0 && !st.run(p.Pages) || len(p.Redirects) > 0 && !st.run(p.Redirects) {
		if st.Term.Cause == 'P' && st.Reply != nil {
			call(st.FE.OnDenied, st)
			call(st.BE.OnChoose, st) // the log tells what cookie it had
		}
		st.intercepted(p)
		return stop
	}
	return next
}

// responseRules is the phase of that name: the http-response rules may replace the
// response, which then comes no further than here.
func (st *Stream) responseRules() step {
	fe, be := st.FE, st.BE
	if !st.inspectResponse() || len(be.ResponseRules) > 0 && !st.run(be.ResponseRules) ||
		be != fe && len(fe.ResponseRules) > 0 && !st.run(fe.ResponseRules) {
		st.HasResponse = false
		return stop
	}
	call(fe.OnDeliver, st)
	call(be.OnServed, st)
	st.afterRules()
	return next
}

// afterRules applies the http-after-response rules to the response that is to go
// out: the backend's first, whoever made the response.
func (st *Stream) afterRules() {
	if len(st.BE.AfterRules) > 0 {
		st.run(st.BE.AfterRules)
	}
	if st.FE != st.BE && len(st.FE.AfterRules) > 0 {
		st.run(st.FE.AfterRules)
	}
}

// call tells who asked for it of a moment of the exchange.
func call(list []func(*Stream), st *Stream) {
	for _, f := range list {
		f(st)
	}
}

// intercepted counts an answer that a rule made.
func (st *Stream) intercepted(p *Proxy) {
	if p.FE != nil && st.Term.Cause == 'L' {
		p.FE.Counters[st.R.Index].Intercepted.Add(1)
	}
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

// Denied counts a request, or a response, that a rule of the frontend or the backend
// refused.
func (st *Stream) Denied(response, frontend bool) {
	i, l := st.R.Index, st.Listening()
	if !response {
		if l != nil {
			l.DeniedReq.Add(1)
		}
		st.FE.FE.Counters[i].DeniedReq.Add(1)
		if !frontend && st.BE.BE != nil {
			st.BE.BE.Counters[i].DeniedReq.Add(1)
		}
		return
	}
	if l != nil {
		l.DeniedResp.Add(1)
	}
	st.FE.FE.Counters[i].DeniedResp.Add(1)
	if st.BE.BE != nil {
		st.BE.BE.Counters[i].DeniedResp.Add(1)
	}
	if st.Srv != nil {
		st.Srv.Counters[i].DeniedResp.Add(1)
	}
}
