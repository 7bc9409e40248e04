package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/queue"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Persistence is what is known of the server that had the client before. Who finds
// out sets it ([Proxy.OnEnter], [Proxy.OnChoose]); the engine obeys.
type Persistence struct {
	// Server is the one that the exchange belongs to, whatever the algorithm says, nil
	// if it belongs to none. It is nil again once another is to be tried.
	Server *server.Server
	// Forced tells that it is tried even if it is down, and that no other will do
	// ("force-persist"); Ignored that it does not matter who had the client
	// ("ignore-persist").
	Forced, Ignored bool
	// Request and Response are the third and the fourth sign of the termination state
	// (manual 8.5), 0: nothing was found.
	Request, Response byte
}

// MayBelong tells whether s may be what [Persistence.Server] is: it is not down, or
// that does not matter.
func (st *Stream) MayBelong(s *server.Server) bool {
	return !s.Down() || st.Persist.Forced || st.BE.Has(PersistDown)
}

// belongs is the server that the exchange belongs to, or that one of the client's
// connections does; nil: any will do.
func (st *Stream) belongs() *server.Server {
	if s := st.Persist.Server; s != nil {
		return s
	}
	return st.Sess.lastServer(st.BE.BE)
}

// mayLeave tells whether another server may be tried than the one that the exchange
// belongs to.
func (st *Stream) mayLeave() bool { return st.BE.Redispatch != 0 && !st.Persist.Forced }

// stays says for how long the exchange waits for s while that takes nobody new.
func (st *Stream) stays(s *server.Server) queue.Stay {
	p := &st.Persist
	switch {
	case s == nil || p.Server != s:
		return queue.Never
	case p.Forced:
		return queue.Always
	case st.BE.Has(PersistDown) || st.BE.Redispatch == 0:
		return queue.Down
	}
	return queue.Draining
}

// cookieState are the signs that tell what became of a persistence cookie.
func (st *Stream) cookieState() (request, response byte) {
	if !st.BE.CookieState || !st.HasRequest {
		return '-', '-'
	}
	request, response = st.Persist.Request, st.Persist.Response
	if request == 0 {
		request = 'N'
	}
	if response == 0 {
		response = 'N'
	}
	return request, response
}
