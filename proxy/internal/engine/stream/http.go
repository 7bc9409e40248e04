package stream

import (
	"bytes"
	"errors"
	"io"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
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
	in         input  // of the client's connection
	client     h2Side // of a client that speaks HTTP/2
	server     h2Side // of a server that speaks HTTP/2
	slots      slot.Values
	links      []attached
	vars       streamVars
	bodies     bool // one of the following was used
	fromClient h1Source
	fromServer h1Source
	own        bytesSource // what is there as a whole
	toClient   h1Sink
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
	if st.client.st != nil {
		st.client = h2Side{}
	}
	if st.server.st != nil {
		st.server = h2Side{}
	}
	if st.bodies {
		st.bodies = false
		st.fromClient = h1Source{trailers: st.fromClient.trailers[:0]}
		st.fromServer = h1Source{trailers: st.fromServer.trailers[:0]}
		st.own = bytesSource{}
		st.toClient, st.toServer = h1Sink{}, h1Sink{}
		st.upload, st.download = upload{}, transfer{}
	}
	if st.OwnReply.Status != 0 {
		st.OwnReply = Reply{Fields: st.OwnReply.Fields[:0]}
	}
}

// serveHTTP handles requests until the connection is idle or ends.
func (s *Session) serveHTTP() {
	if s.forcedH2() {
		s.startH2(nil)
		return
	}
	st := s.attach()
	if st.R.Refuse() {
		st.starve()
		s.detach()
		s.close()
		return
	}
	if (s.TLS != nil || s.Proxied != nil) && s.Requests == 0 {
		// What came first need not be followed by a request at once.
		if n, err := st.in.read(&s.Conn); n == 0 && err == nil {
			s.detach()
			s.armRequest()
			return
		}
	}
	for n := 1; ; n++ {
		keep := st.exchange()
		if s.mux != nil { // it began with HTTP/2's preface
			s.st = st
			s.detach()
			return
		}
		if !keep || !s.IsOpen() {
			if !st.cut {
				s.linger(st)
			}
			s.detach()
			s.close()
			return
		}
		if st.in.empty() && s.CanRead() {
			// Maybe: an edge that was not used up proves nothing.
			if n, err := st.in.read(&s.Conn); n == 0 && err != nil {
				s.detach()
				s.close()
				return
			}
		}
		if st.in.empty() {
			s.detach()
			s.arm(s.idleTimeout())
			return
		}
		// The next request is there already.
		st.in.compact()
		co := st.co
		ended := st.Time.End
		st.reset()
		st.co = co
		st.Snap = st.W.Snapshot()
		s.FE = s.Listener.Front.Load()
		st.FE, st.BE = s.FE, s.FE
		st.Time.Accept = ended
		if n%16 == 0 && st.R.Yield() != nil {
			s.detach()
			s.close()
			return
		}
	}
}

// starve answers a request for which there is no memory, unread.
func (st *Stream) starve() {
	st.Time.Begin = st.R.Now()
	st.fail(503, 'R', 'R')
	st.answer()
	// What is there already would reset the connection, and the answer with it.
	st.Sess.TryRead(st.R.Scratch)
	st.finish()
}

// exchange is one request and its response. It tells whether the connection may
// be used for another.
func (st *Stream) exchange() (keep bool) {
	s := st.Sess
	st.Time.Begin = st.R.Now()
	if !st.readRequest() {
		if s.mux != nil {
			return false // it was no request, but HTTP/2
		}
		if st.answering() {
			st.answer()
		}
		st.finish()
		return false
	}
	return st.serve()
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
	if st.client.on() {
		fe.FE.Counters[r.Index].H2Req.Add(1)
	}
	st.W.Counters[r.Index].Requests.Add(1)
	st.number()
	if fe.LogBegin != nil {
		fe.LogBegin(s)
	}

	st.attach(fe)
	if st.frontend() && st.route() {
		switch {
		case st.client.on() && st.client.s.Err() != nil:
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

// readRequest is the phase "request".
func (st *Stream) readRequest() bool {
	s, fe := st.Sess, st.FE
	var deadline int64
	if d := fe.Timeouts.HTTPRequest; d > 0 {
		deadline = st.Time.Begin + int64(d)
		if s.Requests == 0 {
			deadline = s.Accepted + int64(d)
		}
	}
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: fe.Has(AcceptInvalidRequest)}
	limit := st.R.BufSize() - st.Snap.Global.MaxRewrite
	for {
		if !st.in.empty() {
			if s.Requests == 0 && st.in.bytes()[0] == 'P' && s.mayUpgrade() {
				if yes, sure := speaksH2(st.in.bytes()); yes {
					read := st.in.bytes()
					st.quiet = true
					s.st = nil
					s.startH2(read)
					st.in.r = st.in.w
					return false
				} else if !sure {
					if err := st.moreOfRequest(deadline); err != nil {
						st.readFailed(err)
						return false
					}
					continue
				}
			}
			n, err := http1.ParseRequest(st.in.bytes(), &st.Req, &st.limits)
			if n > 0 && n <= limit {
				st.in.r += n
				st.in.base = st.in.r
				st.HasRequest = true
				st.headOnly = st.Req.Method == message.Head
				st.Time.Request = st.R.Now()
				st.ReqIn += int64(n)
				st.keepLine()
				if st.Req.Framing != message.NoBody {
					st.reqBody = st.clientSource(&st.Req.Header)
				}
				return true
			}
			if err != nil || n > limit || st.in.w-st.in.r >= limit {
				status := 431
				st.ErrText = "request head too large"
				var he *http1.Error
				switch {
				case errors.As(err, &he):
					status, st.ErrText = he.Status, he.Reason
				case bytes.IndexByte(st.in.bytes(), '\n') < 0:
					status, st.ErrText = 414, "request target too long"
				}
				st.badRequest(status, 'P')
				return false
			}
		}
		if err := st.moreOfRequest(deadline); err != nil {
			st.readFailed(err)
			return false
		}
	}
}

// moreOfRequest reads more of a request's head, waiting until the deadline (0:
// timeout client).
func (st *Stream) moreOfRequest(deadline int64) error {
	s := st.Sess
	for {
		n, err := st.in.read(&s.Conn)
		if n > 0 || err != nil {
			if n > 0 {
				err = nil
			}
			return err
		}
		d := deadline
		if d == 0 {
			d = st.R.After(st.FE.Timeouts.Client)
		}
		if err := s.WaitRead(d); err != nil {
			return err
		}
	}
}

// readFailed ends an exchange whose request did not arrive.
func (st *Stream) readFailed(err error) {
	nothing := st.in.empty()
	if err == reactor.ErrKilled && nothing || nothing && (st.Sess.Requests > 0 || st.FE.Has(HTTPIgnoreProbes)) {
		st.quiet = true // a connection that was idle, or opened in advance, ends
		return
	}
	st.quiet = nothing && st.FE.Has(DontLogNull)
	if err == reactor.ErrTimeout {
		st.badRequest(408, 'c')
		return
	}
	st.badRequest(400, 'C') // who has closed one direction may still read
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

// sendRequest is the phase "send". A body that is not in the buffer yet is left
// to the upload coroutine.
func (st *Stream) sendRequest() (again, ok bool) {
	up := st.up
	if up.mux != nil {
		return st.sendRequestH2()
	}
	if st.extended {
		st.webSocketKey()
	}
	up.Prompt(st.FE.Has(HTTPNoDelay) || st.BE.Has(HTTPNoDelay))
	st.bodies = true
	k := &st.toServer
	*k = h1Sink{st: st, conn: &up.Conn, framing: st.Req.Framing}
	k.request(&st.Req, http1.WriteOptions{Close: st.closesServer() && !st.BE.Has(HTTPPretendKeepalive)})
	body, whole := st.wholeBody()
	var err error
	if whole {
		st.own.p = body
		t := transfer{st: st, src: &st.own, dst: k}
		t.first()
		err = t.werr
	} else {
		err = k.Flush(st.reqData.Ready() && st.Req.Framing != message.Tunnel)
	}
	if err != nil {
		if err == reactor.ErrKilled {
			return false, false
		}
		if st.Reused && isReset(err) {
			return st.retryReused(), false
		}
		if err == reactor.ErrTimeout {
			st.badAnswer(504, 's')
			return false, false
		}
		// The server may have answered before it closed.
	}
	st.asked = st.R.Now()
	if whole {
		if !st.sentFirst { // an attempt that is made again tells nothing new of the client
			st.sentFirst = true
			st.ReqIn += int64(len(body))
		}
		return false, true
	}
	if err != nil {
		return false, true
	}
	st.bodyStarted = true
	if st.Req.Framing != message.Tunnel {
		st.upload.start(st, st.reqData, k)
	}
	return false, true
}

// wholeBody gives the request's body if it is there as a whole. It is not taken:
// the request may be sent again.
func (st *Stream) wholeBody() (body []byte, whole bool) {
	if st.filtered {
		return nil, st.reqData == nil
	}
	switch st.Req.Framing {
	case message.NoBody:
		return nil, true
	case message.Length:
		if body = st.in.bytes(); st.client.on() {
			body = st.client.s.Data()
		}
		if n := st.Req.ContentLength; int64(len(body)) >= n {
			return body[:n], true
		}
	}
	return nil, false
}

// closesServer tells whether the server's connection ends with the exchange: either
// side may ask for that.
func (st *Stream) closesServer() bool {
	return (st.BE.Options|st.FE.Options)&(HTTPServerClose|HTTPClose) != 0
}

func isReset(err error) bool {
	return err == syscall.ECONNRESET || err == syscall.EPIPE || err == io.EOF
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

// readResponse is the phase "response": it waits for a final response's head,
// passing interim ones on.
func (st *Stream) readResponse() (ok, again bool) {
	up, be := st.up, st.BE
	if up.mux != nil {
		return st.readResponseH2()
	}
	limits := &st.limits
	*limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: be.Has(AcceptInvalidResponse)}
	for {
		if !up.in.empty() {
			n, err := http1.ParseResponse(up.in.bytes(), &st.Res, st.Req.Method, limits)
			if n > 0 && err == nil && st.Res.Status == 101 {
				err = st.badUpgrade()
			}
			if err != nil || n == 0 && up.in.r == 0 && up.in.w == len(up.in.buf) {
				st.ErrText = "response head too large"
				var he *http1.Error
				if errors.As(err, &he) {
					st.ErrText = he.Reason
				}
				st.badAnswer(502, 'P')
				return false, false
			}
			if n > 0 {
				up.in.r += n
				st.ResIn += int64(n)
				st.answered()
				if st.Res.Status < 200 && st.Res.Status != 101 {
					if !st.interim() {
						return false, false
					}
					continue
				}
				up.in.base = up.in.r
				st.gotResponse()
				return true, false
			}
			if up.in.r > 0 {
				up.in.compact()
			}
		}
		n, err := up.in.read(&up.Conn)
		if n > 0 {
			continue
		}
		if err == nil {
			if st.upload.broke() {
				st.uploadFailed()
				return false, false
			}
			err = st.awaitServer()
			if err == nil {
				continue
			}
		}
		if st.Term.Cause != 0 { // killed, or the client left
			return false, false
		}
		switch {
		case err == reactor.ErrTimeout:
			st.badAnswer(504, 's')
		case err == errClientLeft:
			st.clientBroke('D')
		case st.upHalf && isReset(err):
			st.clientBroke('H') // it was told that nobody waits for an answer
		case st.Reused && up.in.empty() && isReset(err):
			return false, st.retryReused()
		default:
			st.badAnswer(502, 'S')
		}
		return false, false
	}
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

// badUpgrade tells what is wrong with a 101 of a server of HTTP/1.
func (st *Stream) badUpgrade() error {
	switch {
	case len(st.Req.Upgrade) == 0:
		return errNotAsked // a tunnel would carry the client's next requests past the rules
	case st.extended && !st.upgradeAgreed():
		return errNotAgreed
	}
	return nil
}

var (
	errNotAsked  = &http1.Error{Status: 502, Reason: "101 without an upgrade in the request"}
	errNotAgreed = &http1.Error{Status: 502, Reason: "101 to another protocol, or to another key of a WebSocket"}
)

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

// awaitServer parks until the server says something. It watches the client
// where a client that left is reason to stop.
func (st *Stream) awaitServer() error {
	s, up := st.Sess, st.up
	for {
		watch := !st.client.on() && !st.upload.running && !st.upHalf && st.aborts()
		if watch && s.HungUp() {
			if s.Broken() {
				return errClientLeft
			}
			if st.clientGone() {
				// The server is told, and decides what becomes of the request.
				st.up.CloseWrite()
				st.upHalf = true
			}
			watch = false
		}
		uploading := st.upload.running
		var err error
		if watch {
			err = up.WaitReadOr(&s.Conn, st.headDeadline())
		} else {
			err = up.WaitRead(st.headDeadline())
		}
		if err != nil || up.CanRead() || uploading != st.upload.running {
			return err
		}
	}
}

// aborts tells whether a client that closes its side ends what has not begun:
// "option abortonclose", which is the default of mode http.
func (st *Stream) aborts() bool {
	return st.BE.Has(AbortOnClose) || st.BE.Mode == HTTP && st.BE.NoOptions&AbortOnClose == 0
}

// clientGone looks whether a client that is known to have closed has really
// nothing more to say (a pipelined request would still be answered).
func (st *Stream) clientGone() bool {
	s := st.Sess
	if st.client.on() {
		return st.client.s.Err() != nil
	}
	if s.Broken() {
		return true
	}
	if !st.in.empty() {
		return false
	}
	n, err := st.in.read(&s.Conn)
	return n == 0 && err != nil
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
	keep = st.beginResponse(body, st.upload.running || st.bodyRead())
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
	return keep || st.client.on() // whatever became of the request
}

// breakOff ends an exchange in the middle of a response.
func (st *Stream) breakOff(rerr, werr error) {
	st.failForward(rerr, werr)
	st.truncated()
	st.dropServerConn()
	st.finishUpload()
}

// truncated makes the connection end with a reset where a FIN would say that the
// response is complete.
func (st *Stream) truncated() {
	if st.client.on() {
		st.client.s.Reset(http2.InternalError)
		return
	}
	if st.Res.Framing == message.Close {
		st.cut = true
		st.Sess.ResetOnClose()
	}
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
