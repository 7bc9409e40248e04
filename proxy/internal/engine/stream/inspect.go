package stream

import (
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// This file is the inspection of content: the "tcp-request content" and
// "tcp-response content" rules (manual 4.2), which look at data that nobody has
// taken, and may wait for more of it. All rules of a set are evaluated again for
// every piece that comes, until one of them decides, or nothing can change any more:
// the delay is over, the buffer is full, the sender has ended, or, in mode http,
// the message is complete.

// inspection is the part of a [Scope] that has to do with that.
type inspection struct {
	open      bool // what is there may still become more
	undecided bool // that mattered for what was evaluated
	response  bool // the server's data is looked at, or was
	active    bool // it is just now
}

// peeked is what the first bytes of a connection in mode tcp are as a message of
// HTTP/1. Parsing writes into its buffer: the bytes themselves are not to be touched.
type peeked struct {
	buf   []byte
	n     int // so many bytes were looked at
	ok    bool
	never bool // more bytes make no message of them
}

// look parses p, unless that was done, and tells whether it is the beginning of a
// message with its whole head.
func (k *peeked) look(st *Stream, p []byte, parse func(b []byte) (int, error)) bool {
	if k.buf == nil {
		k.buf, k.n = st.R.Buffer(), -1
	}
	if !k.never && k.n != len(p) {
		k.n = len(p)
		n, err := parse(k.buf[:copy(k.buf, p)])
		k.ok, k.never = n > 0, err != nil
	}
	if !k.ok && !k.never {
		st.MayChange()
	}
	return k.ok
}

// MayChange is for fetches that look at what is in a buffer: what they give, or that
// they give nothing, may be otherwise when more has come. It tells whether more will.
func (sc *Scope) MayChange() bool {
	if sc.inspect.open {
		sc.inspect.undecided = true
	}
	return sc.inspect.open
}

// Undecided tells whether [Scope.MayChange] was called, to any effect, since it was
// last asked. A condition that does not hold is asked once more if so.
func (sc *Scope) Undecided() bool {
	u := sc.inspect.undecided
	sc.inspect.undecided = false
	return u
}

// Received is what has come from the client, or the server, and was not passed on;
// false in mode http, where it is a message.
func (sc *Scope) Received(response bool) ([]byte, bool) {
	st := sc.Stream
	switch {
	case sc.Check != nil:
		return sc.Check.Data, response && sc.Check.Data != nil
	case st == nil || st.Sess == nil || st.FE.Mode != TCP:
		return nil, false
	case !response:
		return st.h1.in.bytes(), true
	}
	return st.h1srv.in.bytes(), true
}

// OfResponse tells whether what is evaluated is about what the server sends.
func (sc *Scope) OfResponse() bool {
	return sc.inspect.response || sc.Stream != nil && sc.Stream.HasResponse || sc.Check != nil
}

// BodyReceived is how many bytes of the body of the request, or the response, are at
// hand.
func (st *Stream) BodyReceived(response bool) int {
	switch {
	case !response && st.client != nil:
		return st.client.received()
	case response && st.up != nil:
		return st.server.received()
	}
	return 0
}

// bodyIn tells how much of the body of the head h is in p, from its start, and
// whether that is all of it.
func bodyIn(p []byte, h *message.Header) (n int, all bool) {
	switch h.Framing {
	case message.NoBody:
		return 0, true
	case message.Length:
		n = int(min(int64(len(p)), h.ContentLength))
		return n, int64(n) == h.ContentLength
	case message.Chunked:
		for chunks := (http1.Chunks{}); ; {
			data, used, done, err := chunks.Next(p, nil)
			n += len(data)
			if done || err != nil || used == 0 {
				return n, done || err != nil
			}
			p = p[used:]
		}
	}
	return len(p), false
}

// peekRequest reads what the client of mode tcp has sent so far as a request, nil if
// it is none, or not complete, or on its way already.
func (st *Stream) peekRequest() *message.Request {
	if st.Sess == nil || st.FE.Mode != TCP || st.tunnelling || st.Time.End != 0 {
		return nil
	}
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: st.FE.Has(AcceptInvalidRequest)}
	ok := st.peeks[0].look(st, st.h1.in.bytes(), func(b []byte) (int, error) { return http1.ParseRequest(b, &st.Req, &st.limits) })
	if !ok {
		return nil
	}
	return &st.Req
}

// peekResponse is the same of the server's data, while it is inspected.
func (st *Stream) peekResponse() *message.Response {
	if !st.inspect.active || st.FE.Mode != TCP {
		return nil
	}
	st.limits = http1.Limits{MaxHeaders: st.Snap.Global.MaxHeaders, AcceptInvalid: st.BE.Has(AcceptInvalidResponse)}
	ok := st.peeks[1].look(st, st.h1srv.in.bytes(), func(b []byte) (int, error) { return http1.ParseResponse(b, &st.Res, message.Get, &st.limits) })
	if !ok {
		return nil
	}
	return &st.Res
}

// unpeek gives back what peeking took.
func (st *Stream) unpeek() {
	for i := range st.peeks {
		if b := st.peeks[i].buf; b != nil {
			st.R.Release(b)
			st.peeks[i] = peeked{}
		}
	}
}

// inspectRequest applies the tcp-request content rules of p. false: the exchange is
// over, or answered.
func (st *Stream) inspectRequest(p *Proxy) bool {
	if len(p.ContentRules) == 0 {
		return true
	}
	since := st.Time.Request
	until := deadlineIn(st.R, int64(p.InspectDelay))
	http := st.FE.Mode == HTTP
	var err error
	if !http {
		_, err = st.h1.in.read(st.h1.conn)
	}
	for {
		all := true
		if err == nil {
			all, err = st.requestThere()
		}
		st.inspect.open = until > st.R.Now() && err == nil && !all
		v := evaluate(&st.Scope, p.ContentRules)
		st.inspect.open = false
		if v != Wait {
			switch {
			case p == st.FE && http && v > Stop:
				since = 0 // it never was one
			case p == st.FE && http && since != st.Time.Request:
				since = st.R.Now() // with what was awaited the request is complete
			}
			st.Time.Request = since
			return st.goesOn(v)
		}
		if p == st.FE {
			st.Time.Request = 0
		}
		switch err = st.awaitContent(until); {
		case err == nil, err == io.EOF:
		case err == reactor.ErrKilled:
			return false
		case err == reactor.ErrTimeout && st.R.Now() >= until:
			err = nil
		case !http:
			st.contentFailed(err)
			return false
		}
	}
}

// requestThere tells whether the request is at hand as a whole, or as much of it as is
// kept.
func (st *Stream) requestThere() (bool, error) {
	if st.FE.Mode == TCP {
		return st.h1.in.w-st.h1.in.r >= st.R.BufSize()-st.Snap.Global.MaxRewrite, nil
	}
	if st.Req.Framing == message.NoBody || st.Req.Framing == message.Tunnel {
		return true, nil
	}
	return st.client.arrived()
}

// awaitContent waits until more has come from the client, not beyond until.
func (st *Stream) awaitContent(until int64) error {
	if d := deadlineIn(st.R, int64(st.FE.Timeouts.Client)); d > 0 {
		until = min(until, d)
	}
	return st.client.more(until)
}

// contentFailed ends a connection of mode tcp that broke, or whose client said
// nothing for too long, while its first bytes were awaited.
func (st *Stream) contentFailed(err error) {
	st.FE.FE.Counters[st.R.Index].ReqErrors.Add(1)
	st.listenerError()
	if err == reactor.ErrTimeout {
		st.end('c', 'R')
	}
	st.clientLeft('R')
}

// inspectResponse applies the tcp-response content rules of the backend. false: they
// are against the response, or it broke off.
func (st *Stream) inspectResponse() bool {
	p := st.BE
	if len(p.ResponseContent) == 0 {
		return true
	}
	st.inspect.response = true
	until := deadlineIn(st.R, int64(p.RespInspectDelay))
	var err error
	for {
		all := true
		if err == nil {
			all, err = st.server.arrived()
		}
		st.inspect.open = until > st.R.Now() && err == nil && !all
		st.inspect.active = true
		v := evaluate(&st.Scope, p.ResponseContent)
		st.inspect.open, st.inspect.active = false, false
		if v != Wait {
			if err != nil && err != io.EOF && v <= Stop {
				return st.responseBroke(err)
			}
			return st.goesOn(v)
		}
		switch err = st.server.more(until); {
		case err == nil, err == io.EOF:
		case err == reactor.ErrTimeout && st.R.Now() >= until:
			err = nil
		default:
			return st.responseBroke(err)
		}
	}
}

// responseBroke ends a response that broke off while it was looked at.
func (st *Stream) responseBroke(err error) bool {
	switch {
	case err == reactor.ErrKilled:
	case st.FE.Mode == TCP:
		st.download.rerr = err
	case err == reactor.ErrTimeout:
		st.badAnswer(504, 's')
	default:
		st.badAnswer(502, 'S')
	}
	return false
}

// CloseServer has the connection to the server closed. What it has sent so far goes to
// the client.
func (st *Stream) CloseServer() {
	if st.up != nil {
		st.server.cut()
	}
}
