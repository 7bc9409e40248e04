package stream

import (
	"bytes"
	"errors"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// private is what of a stream concerns nobody else.
type private struct {
	// OwnReply is for rules that compute their answer: they fill it and set Reply
	// to it.
	OwnReply Reply

	exchangeState
	client     clientSide
	h1         h1Client // of a client that has its connection to itself
	h2         h2Client // of one that speaks HTTP/2
	server     h2Side   // of a server that speaks HTTP/2
	slots      slot.Values
	links      []attached
	vars       streamVars
	bodies     bool // one of the following was used
	fromServer h1Source
	own        bytesSource // what is there as a whole
	toServer   h1Sink
	upload     upload   // what the client sends
	download   transfer // what it is sent
	limits     http1.Limits
	prev, next *Stream
}

// exchangeState is what begins anew with every exchange.
type exchangeState struct {
	co          *reactor.Coro
	reqBody     Source // of the request as it was received, nil: none
	reqData     Source // what filters made of it
	filtered    bool   // they have seen it
	up          *ServerConn
	last        *ServerConn // what up was last: it goes back to the pool before the log line is made
	dialing     *ServerConn // the connection that is being made
	dialErr     error       // why the last attempt to make up failed
	activity    int64       // when data was last sent on
	asked       int64       // since when the server has to answer
	tunnelling  bool        // bytes go both ways
	slot        bool        // a slot of Srv is held
	routed      bool        // counted at the backend
	bodyStarted bool
	buffered    bool // its body was waited for
	quiet       bool // not logged: monitor requests
	logged      bool // the log line is written
	left        bool // the client gave the exchange up, and that was counted
	pipelined   bool // after the request came more, which nobody will read
	half        bool // one direction of a tunnel has ended
	firstEnd    byte // which: 'C' or 'S'
	sentFirst   bool // the body went out with the head, and is counted
	noReuse     bool // the next attempt takes a new connection
	upHalf      bool // the server was told that the client left
	extended    bool // an extended CONNECT of HTTP/2 that became an upgrade
	headOnly    bool // the client's method is HEAD, whatever rules made of it
	early       bool // the response is complete, and the request is not
	ended       bool // killed while a server had it, by us or whoever runs us
	cut         bool // only a reset tells the client that the response is incomplete
}

// reset makes the stream ready for its next use, keeping its memory.
func (st *Stream) reset() {
	st.Req.Reset()
	st.Res.Reset()
	st.Req.Shrink()
	st.Res.Shrink()
	st.dropVars(&st.vars.reqres)
	st.dropVars(&st.vars.txn)
	st.vars.res = false
	st.Scope.clear()
	st.Reply, st.Service, st.Reused = nil, nil, false
	st.HasRequest, st.HasResponse = false, false
	st.Time = Times{}
	st.Traffic = Traffic{}
	st.Status, st.Term = 0, Termination{}
	st.Retries, st.Redispatch = 0, false
	st.SrvQueue, st.BackQueue = 0, 0
	st.PriorityClass, st.PriorityOffset, st.queueEnd = 0, 0, 0
	st.ReqLine = st.ReqLine[:0]
	st.slots.Reset()
	st.ErrText = ""
	st.exchangeState = exchangeState{}
	if st.h2.st != nil {
		st.h2 = h2Client{}
	}
	if st.server.st != nil {
		st.server = h2Side{}
	}
	if st.bodies {
		st.bodies = false
		st.h1.from = h1Source{trailers: st.h1.from.trailers[:0]}
		st.fromServer = h1Source{trailers: st.fromServer.trailers[:0]}
		st.own = bytesSource{}
		st.h1.to, st.toServer = h1Sink{}, h1Sink{}
		st.upload, st.download = upload{}, transfer{}
	}
	if st.OwnReply.Status != 0 {
		st.OwnReply = Reply{Fields: st.OwnReply.Fields[:0]}
	}
}

// serve is the phases from "frontend" to "end" of a request that was received.
// It tells whether the exchange is complete and its connection may be used for
// another.
func (st *Stream) serve() (keep bool) {
	r, s := st.R, st.Sess
	s.Requests++
	fe := st.FE
	s.Prompt(fe.Has(HTTPNoDelay))
	fe.FE.Counters[r.Index].Requests.Add(1)
	st.W.Counters[r.Index].Requests.Add(1)
	st.number()
	if fe.LogBegin != nil {
		fe.LogBegin(s)
	}

	st.attach(fe)
	if st.frontend() && st.route() {
		switch {
		case st.client.revoked():
			st.clientLeft('R') // rules have seen it, and it is logged: the server is spared
		case st.extended && (http1.HasElement(st.Req.Upgrade, "h2c") || http1.HasElement(st.Req.Upgrade, "h2")):
			st.ErrText = "extended CONNECT for HTTP/2" // which HTTP/1 does not ask a server for either
			st.fail(501, 'P', 'R')
		default:
			if st.reqData = st.reqBody; len(st.links) > 0 {
				st.filterHead()
			}
			keep = st.proxy()
		}
	}
	if st.answering() && !st.HasResponse {
		keep = st.answer()
	}
	st.finish()
	return keep && st.Time.End != 0
}

// badRequest answers what is no request, or never became one.
func (st *Stream) badRequest(status int, cause byte) {
	st.ReqLine = append(st.ReqLine[:0], "<BADREQ>"...)
	c := &st.FE.FE.Counters[st.R.Index]
	c.Requests.Add(1)
	c.ReqErrors.Add(1)
	st.listenerError()
	st.fail(status, cause, 'R')
}

// keepLine copies the request line: the buffer is reused before the exchange
// ends, and rules may make another line of it.
func (st *Stream) keepLine() {
	if st.FE.Log == nil && !st.Snap.KeepLines.Load() {
		return
	}
	q := &st.Req
	l := append(st.ReqLine[:0], q.MethodName...)
	l = append(l, ' ')
	l = append(l, q.Target...)
	if q.Version == message.HTTP11 {
		l = append(l, " HTTP/1.1"...)
	} else {
		l = append(append(l, ' '), q.Version.String()...)
	}
	st.ReqLine = l
}

// run evaluates a rule set. false: it was answered or is to be dropped.
func (st *Stream) run(rules []Rule) bool {
	for _, rule := range rules {
		switch rule.Exec(&st.Scope) {
		case Continue:
		case Stop:
			return true
		case Answer:
			if !st.answering() {
				st.fail(500, 'I', 'R')
			}
			return false
		case Drop:
			return false
		}
	}
	return true
}

// frontend is the phase of that name.
func (st *Stream) frontend() bool {
	fe := st.FE
	if fe.MonitorURI != nil && st.monitors(fe.MonitorURI) {
		st.quiet = true
		st.fail(200, 'P', 'R')
		for _, c := range fe.MonitorFail {
			if c.Match(&st.Scope) {
				st.Reply = st.ErrorReply(503)
			}
		}
		fe.FE.Counters[st.R.Index].Intercepted.Add(1)
		return false
	}
	return st.request(fe)
}

// monitors tells whether the request asks for monitor-uri: for its very target, or
// its path if that is all that is configured.
func (st *Stream) monitors(uri []byte) bool {
	q := &st.Req
	return bytes.Equal(q.Target, uri) || uri[0] == '/' && bytes.Equal(q.PathQuery(), uri)
}

// request applies the http-request rules and the "redirect" lines of p, once there
// is the body if p waits for it. false: it was answered or is to be dropped.
func (st *Stream) request(p *Proxy) bool {
	if len(p.ContentRules) > 0 && !st.run(p.ContentRules) {
		st.intercepted(p)
		return false
	}
	if p.awaitsBody(st) && !st.bufferBody(p) {
		return false
	}
	if len(p.RequestRules) > 0 && !st.run(p.RequestRules) || len(p.Redirects) > 0 && !st.run(p.Redirects) {
		st.intercepted(p)
		return false
	}
	return true
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

// intercepted counts an answer that a rule made.
func (st *Stream) intercepted(p *Proxy) {
	if p.FE != nil && st.Term.Cause == 'L' {
		p.FE.Counters[st.R.Index].Intercepted.Add(1)
	}
}

// route is the phase of that name, and the next: backend.
func (st *Stream) route() bool {
	be := st.chooseBackend()
	if be == nil {
		st.fail(503, 'S', 'C')
		return false
	}
	st.setBackend(be)
	if be.Has(HTTPNoDelay) {
		st.Sess.Prompt(true)
	}
	if be != st.FE && !st.request(be) {
		return false
	}
	for _, f := range st.FE.OnForward {
		f(st)
	}
	if f := be.ForwardFor; f != nil || st.FE.ForwardFor != nil {
		if f == nil {
			f = st.FE.ForwardFor
		}
		st.forwardFor(f)
	}
	return true
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

// mayKeep tells whether the client's connection may be kept as far as the
// configuration and the request say.
func (st *Stream) mayKeep() bool {
	return st.Req.KeepAlive && !st.W.Stopping.Load() && !st.FE.Has(HTTPClose) && st.Req.Framing != message.Tunnel
}

// proxy is the phases from "assign" to "forward".
func (st *Stream) proxy() (keep bool) {
	defer st.releaseServer()
	for {
		if !st.connectServer() {
			return false
		}
		again, ok := st.sendRequest()
		if ok {
			ok, again = st.readResponse()
		}
		if ok {
			break
		}
		st.finishUpload()
		st.dropServerConn()
		if !again {
			return false
		}
	}
	return st.forward()
}

// replayable tells whether the request can be sent once more: nothing of it was
// consumed, and no harm is done if the server saw it already.
func (st *Stream) replayable() bool {
	if st.bodyStarted {
		return false
	}
	switch st.Req.Method {
	case message.Get, message.Head, message.Options, message.Trace, message.Put, message.Delete:
		return true
	}
	return false
}

// closesServer tells whether the server's connection ends with the exchange: either
// side may ask for that.
func (st *Stream) closesServer() bool {
	return (st.BE.Options|st.FE.Options)&(HTTPServerClose|HTTPClose) != 0
}

// retryReused decides about a kept connection that turned out to be dead: the
// request goes to a new one, or, when it must not be sent twice, the client is
// left to decide.
func (st *Stream) retryReused() (again bool) {
	if st.replayable() {
		st.noReuse = true
		return true
	}
	st.end('S', 'H')
	st.serverCounters().ConnErrors.Add(1)
	if st.Sess.Requests > 1 {
		return false // close silently: the client knows that keep-alive may end
	}
	st.Reply = st.ErrorReply(502)
	return false
}

// answered counts a response head of the server, be it interim, by the status that
// it had before rules.
func (st *Stream) answered() {
	c := st.serverCounters()
	c.Requests.Add(1)
	countStatus(&c.Status, st.Res.Status)
}

// gotResponse notes that the head of a final response is there.
func (st *Stream) gotResponse() {
	st.Time.Response = st.R.Now()
	st.HasResponse = true
	st.noteUser()
	st.traceResponse()
}

// badAnswer ends an exchange whose response did not come, or is none.
func (st *Stream) badAnswer(status int, cause byte) {
	st.serverCounters().RespErrors.Add(1)
	st.BE.BE.Counters[st.R.Index].RespErrors.Add(1)
	st.fail(status, cause, 'H')
}

var errClientLeft = errors.New("the client left")

// clientLeft ends an exchange that the client gave up. It may be found out in
// several places, and is counted once.
func (st *Stream) clientLeft(state byte) {
	st.end('C', state)
	if st.left {
		return
	}
	st.left = true
	if b := st.BE.BE; b != nil { // nil: no backend has the request yet
		b.Counters[st.R.Index].ClientAborts.Add(1)
	}
	if st.Srv != nil {
		st.serverCounters().ClientAborts.Add(1)
	}
}

// serverLeft counts that the server broke a transfer off.
func (st *Stream) serverLeft() {
	st.serverCounters().ServerAborts.Add(1)
	st.BE.BE.Counters[st.R.Index].ServerAborts.Add(1)
}

// clientBroke ends an exchange whose client left, or did not deliver what it had
// promised, while a response was awaited. Whoever still reads is told.
func (st *Stream) clientBroke(state byte) {
	st.fail(400, 'C', state)
	st.clientLeft(state)
}

// headDeadline is when the head of a response must be there: the server has its
// time from the end of the request on, and anew after each interim response. It
// owes nothing while the client still sends.
func (st *Stream) headDeadline() int64 {
	t := int64(st.BE.Timeouts.Server)
	if t <= 0 || st.upload.running {
		return 0
	}
	return st.asked + t
}

// aborts tells whether a client that closes its side ends what has not begun:
// "option abortonclose", which is the default of mode http.
func (st *Stream) aborts() bool {
	return st.BE.Has(AbortOnClose) || st.BE.Mode == HTTP && st.BE.NoOptions&AbortOnClose == 0
}

// interim passes a 1xx on to the client, unless it speaks HTTP/1.0.
func (st *Stream) interim() bool {
	st.asked = st.R.Now()
	if st.Req.Version < message.HTTP11 {
		return true
	}
	if st.sendInterim(&st.Res) != nil {
		st.clientLeft('H')
		return false
	}
	return true
}

// forward is the phase of that name: head and body go to the client. It tells
// whether the client's connection may be used again.
func (st *Stream) forward() (keep bool) {
	be, res := st.BE, &st.Res
	if len(be.ResponseContent) > 0 && !st.run(be.ResponseContent) || len(be.ResponseRules) > 0 && !st.run(be.ResponseRules) || be != st.FE && len(st.FE.ResponseRules) > 0 && !st.run(st.FE.ResponseRules) {
		uploaded := st.finishUpload()
		st.dropServerConn()
		st.HasResponse = false
		if st.answering() {
			return st.answer() && uploaded
		}
		return false
	}
	st.afterRules()
	if res.Framing == message.Tunnel {
		st.filterResponse(nil)
		return st.tunnelHTTP()
	}
	reusable := res.KeepAlive && res.Framing != message.Close
	body := st.responseBody()
	received := body != nil
	if received && st.headOnly {
		body, reusable = nil, false // "set-method" made the server send it
	}
	if len(st.links) > 0 {
		if body = st.filterResponse(body); st.headOnly {
			body = nil
		}
	}
	st.Status = res.Status
	keep = st.client.begin(body, true)
	t := &st.download
	if t.werr == nil {
		st.logSoon(st.Time.Response)
		st.up.in.base = 0 // the head has gone: the whole buffer is free for the body
		t.run()
	}
	if t.failed() {
		st.breakOff(t.rerr, t.werr)
		return false
	}
	keep = keep && st.restOfUpload()
	if !st.finishUpload() {
		st.dropServerConn()
	} else {
		st.releaseConn(reusable && (!received || st.responseTaken()))
	}
	return keep
}

// breakOff ends an exchange in the middle of a response.
func (st *Stream) breakOff(rerr, werr error) {
	st.failForward(rerr, werr)
	st.client.cut()
	st.dropServerConn()
	st.finishUpload()
}

// failWrite ends an exchange whose response the client did not take.
func (st *Stream) failWrite(err error) {
	if err == reactor.ErrKilled {
		return
	}
	if err == reactor.ErrTimeout {
		st.end('c', 'D')
	}
	st.clientLeft('D')
}

// failForward ends an exchange that broke in the middle of a response.
func (st *Stream) failForward(rerr, werr error) {
	switch {
	case werr != nil:
		st.failWrite(werr)
	case rerr == reactor.ErrTimeout:
		st.end('s', 'D')
		st.serverLeft()
	case rerr == reactor.ErrKilled:
	default:
		var he *http1.Error
		if errors.As(rerr, &he) {
			st.ErrText = he.Reason
			st.end('P', 'D')
		} else {
			st.end('S', 'D')
			st.serverLeft()
		}
		st.serverCounters().RespErrors.Add(1)
		st.BE.BE.Counters[st.R.Index].RespErrors.Add(1)
	}
}
