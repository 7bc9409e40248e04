package stream

import (
	"math/rand/v2"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// Scope is what rules, conditions, fetches, converters and formats are evaluated
// in. What a scope does not have is nil, and whoever asks for it finds no value:
// keywords tell by their matrix where they have one, so that a configuration learns
// of it when it is read. Every scope knows the worker and its reactor, but those of
// a configuration that is read before there are any. Of the rest there is:
//
//   - of a stream: Stream, Sess, FE, BE, Srv, once there is one;
//   - of a session ("tcp-request connection" and "session", the log of a handshake
//     that failed): Sess, FE, BE, and Failed, see [Session.Scope];
//   - of a health check: Check, BE, Srv;
//   - of the configuration while it is read ("set-var" in the global section): Snap;
//   - of a command of the Runtime socket ("set var"), and of the command line: Snap.
//
// A record of log-forward has neither stream nor session: what it says gets a field
// of its own beside Stream and Check, with FE the section's proxy, so that the
// fetches of the places where they are all missing are those that it can use.
//
// A scope has memory of its own, good as long as the scope: what is evaluated
// inside another evaluation, or waits in the middle of one, harms nobody.
type Scope struct {
	W    *Worker
	R    *reactor.Reactor
	Snap *Snapshot
	Sess *Session // the client's connection
	FE   *Proxy
	BE   *Proxy         // the frontend itself until a backend is chosen
	Srv  *server.Server // nil until one is assigned

	// Stream is the exchange that the scope is a part of, Check the health check.
	Stream *Stream
	Check  *Check

	// Failed is why the client's connection ended before its first request, nil
	// unless that is what is told of.
	Failed error

	ID uint64 // %rt: number of the exchange in the process

	inspect inspection
	arena   []byte
}

// Check is what a health check shows of itself.
type Check struct {
	Conn *transport.Conn
	// Res is the head of the response once it is there; Data what has come in a
	// protocol that is none of ours, nil with HTTP.
	Res  *message.Response
	Data []byte

	vars, sess variable.Set
}

// Request is the request's head, nil if there is none.
func (sc *Scope) Request() *message.Request {
	switch st := sc.Stream; {
	case st == nil:
		return nil
	case st.HasRequest:
		return &st.Req
	default:
		return st.peekRequest()
	}
}

// Response is the response's head, nil if there is none.
func (sc *Scope) Response() *message.Response {
	switch {
	case sc.Stream != nil && sc.Stream.HasResponse:
		return &sc.Stream.Res
	case sc.Check != nil:
		return sc.Check.Res
	case sc.Stream != nil:
		return sc.Stream.peekResponse()
	}
	return nil
}

// ClientTLS is the secure layer of the client's connection, nil in clear and
// without one.
func (sc *Scope) ClientTLS() *transport.TLS {
	if sc.Sess == nil {
		return nil
	}
	return sc.Sess.TLS
}

// ServerTLS is the secure layer of the connection to the server, nil in clear and
// without one.
func (sc *Scope) ServerTLS() *transport.TLS {
	switch {
	case sc.Stream != nil && sc.Stream.last != nil:
		return sc.Stream.last.TLS
	case sc.Check != nil && sc.Check.Conn != nil:
		return sc.Check.Conn.TLS
	}
	return nil
}

// HasServer tells whether there was a connection to a server, if only an attempt.
func (sc *Scope) HasServer() bool {
	return sc.Stream != nil && sc.Stream.last != nil || sc.Check != nil
}

// Wall is the time of day.
func (sc *Scope) Wall() time.Time {
	if sc.R == nil {
		return time.Now()
	}
	return sc.R.Wall()
}

// Random is a number from 0 to below n.
func (sc *Scope) Random(n int64) int64 {
	if sc.R == nil {
		return rand.Int64N(n)
	}
	return sc.R.Rand.Int64N(n)
}

// Copy stores b in the scope's memory and returns it there.
func (sc *Scope) Copy(b []byte) []byte {
	n := len(sc.arena)
	sc.arena = append(sc.arena, b...)
	return sc.arena[n:len(sc.arena):len(sc.arena)]
}

// CopyString is Copy for a string.
func (sc *Scope) CopyString(s string) []byte {
	n := len(sc.arena)
	sc.arena = append(sc.arena, s...)
	return sc.arena[n:len(sc.arena):len(sc.arena)]
}

// Join stores a followed by b, see [Scope.Copy].
func (sc *Scope) Join(a, b []byte) []byte {
	n := len(sc.arena)
	sc.arena = append(append(sc.arena, a...), b...)
	return sc.arena[n:len(sc.arena):len(sc.arena)]
}

// Alloc gives n bytes of the scope's memory, of any content.
func (sc *Scope) Alloc(n int) []byte {
	at := len(sc.arena)
	if cap(sc.arena)-at < n {
		// What was given out stays where it is.
		sc.arena, at = make([]byte, 0, max(n, 2*cap(sc.arena), 1024)), 0
	}
	sc.arena = sc.arena[:at+n]
	return sc.arena[at : at+n : at+n]
}

// Scratch gives an empty buffer that is the caller's alone until [Scope.Keep] or
// [Scope.Drop], whatever is evaluated meanwhile.
func (sc *Scope) Scratch() []byte {
	if sc.W != nil {
		l := &sc.W.streams[sc.R.Index]
		if n := len(l.scratch); n > 0 {
			b := l.scratch[n-1]
			l.scratch = l.scratch[:n-1]
			return b[:0]
		}
	}
	return make([]byte, 0, 4<<10)
}

// Drop gives a buffer of [Scope.Scratch] back.
func (sc *Scope) Drop(b []byte) {
	if sc.W == nil {
		return
	}
	if l := &sc.W.streams[sc.R.Index]; len(l.scratch) < maxScratch && cap(b) <= maxScratchSize {
		l.scratch = append(l.scratch, b)
	}
}

// How many buffers of what size a reactor keeps for [Scope.Scratch]. Nested and
// waiting evaluations are few.
const (
	maxScratch     = 8
	maxScratchSize = 64 << 10
)

// Keep stores the content of such a buffer in the scope's memory, and gives the
// buffer back.
func (sc *Scope) Keep(b []byte) []byte {
	kept := sc.Copy(b)
	sc.Drop(b)
	return kept
}

// clear makes the scope ready for its next use, keeping its memory unless that
// grew unusually large.
func (sc *Scope) clear() {
	sc.Srv, sc.inspect = nil, inspection{}
	sc.arena = sc.arena[:0]
	if cap(sc.arena) > 4096 {
		sc.arena = nil
	}
}

// Scope gives a scope for what is evaluated of the connection alone, on its
// reactor. [Scope.Release] ends it.
func (s *Session) Scope() *Scope {
	r, w := s.r, s.Listener.worker
	l := &w.streams[r.Index]
	var sc *Scope
	if n := len(l.scopes); n > 0 {
		sc = l.scopes[n-1]
		l.scopes = l.scopes[:n-1]
	} else {
		sc = new(Scope)
	}
	sc.W, sc.R, sc.Sess, sc.Snap = w, r, s, w.Snapshot()
	s.FE = s.Listener.Front.Load()
	sc.FE, sc.BE = s.FE, s.FE
	return sc
}

// Release gives a scope of [Session.Scope] back.
func (sc *Scope) Release() {
	l := &sc.W.streams[sc.R.Index]
	sc.clear()
	sc.Sess, sc.Snap, sc.FE, sc.BE, sc.Failed, sc.ID = nil, nil, nil, nil, nil, 0
	if len(l.scopes) < 8 { // rules of connections rarely wait
		l.scopes = append(l.scopes, sc)
	}
}
