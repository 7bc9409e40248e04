package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// sessionConns is how many idle server connections a client keeps for itself
// (max-session-srv-conns), unless the frontend says otherwise.
const sessionConns = 5

// mayKeepConn tells whether the client may keep one more idle server connection
// for itself.
func (s *Session) mayKeepConn() bool {
	if !s.IsOpen() {
		return false
	}
	n := sessionConns
	if m := s.FE.SessionConns; m != 0 {
		n = m
	}
	for c := s.priv; c != nil; c = c.next {
		if c.idle {
			n--
		}
	}
	return n > 0
}

// keepConn makes an idle connection one of those that only this client uses. It
// stays among them while it is in use again, so that the next request finds the
// server, until it is closed.
func (s *Session) keepConn(c *ServerConn) {
	if !c.kept {
		c.kept, c.owner = true, s
		c.next, s.priv = s.priv, c
	}
}

// leaveOwner takes a connection that is closed away from the client that kept it.
func (c *ServerConn) leaveOwner() {
	s := c.owner
	c.owner = nil
	if !c.kept {
		return
	}
	for p := &s.priv; *p != nil; p = &(*p).next {
		if *p == c {
			*p = c.next
			break
		}
	}
	c.kept, c.next = false, nil
}

// leaveConns closes what only this client used, when it leaves.
func (s *Session) leaveConns() {
	for c := s.priv; c != nil; c = s.priv {
		if c.idle {
			c.Discard()
			continue
		}
		s.priv = c.next // whoever uses it now closes it
		c.kept, c.next = false, nil
	}
}

// superfluous tells whether a connection that anyone may use would be one too
// many among the idle ones.
func (c *ServerConn) superfluous() bool {
	set := c.srv.Settings()
	return set.PoolMaxConn >= 0 && c.srv.Idle.Load() >= int64(set.PoolMaxConn) ||
		c.srv.Pools[c.Reactor().Index].Len() > 0 && c.srv.Spare()
}

// noteUser looks whether the server wants to know who the client is in a way that
// makes the connection that user's: NTLM and Negotiate authenticate connections,
// not requests. From then on nobody else's requests may go over it.
func (st *Stream) noteUser() {
	name := "www-authenticate"
	switch st.Res.Status {
	case 401:
	case 407:
		name = "proxy-authenticate"
	default:
		return
	}
	h := &st.Res.Header
	for i := h.Next(name, 0); i >= 0; i = h.Next(name, i+1) {
		if ofConnection(h.Fields[i].Value) {
			c := st.up
			c.private, c.user = true, true
			st.Sess.keepConn(c)
			return
		}
	}
}

// ofConnection tells whether one of the challenges in a field is for a scheme that
// authenticates the connection.
func ofConnection(v []byte) bool {
	start, quoted := true, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted, start = true, false
		case c == ',':
			start = true
		case c == ' ' || c == '\t':
		case start:
			if start = false; len(v)-i >= 4 && (message.EqualFold(v[i:i+4], "nego") || message.EqualFold(v[i:i+4], "ntlm")) {
				return true
			}
		}
	}
	return false
}

// lastServer is the server of the backend that authenticated a connection of this
// client: the others would not know the user.
func (s *Session) lastServer(b *BackState) *server.Server {
	for c := s.priv; c != nil; c = c.next {
		if c.user && c.srv.Backend == b.Name && c.srv.Usable() && !c.srv.Deleted() {
			return c.srv
		}
	}
	return nil
}
