package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/reactor"

// Greeting is a set of what a client has to say before anything else, TLS
// included.
type Greeting uint8

// Greetings, in the order in which they come when there are several.
const (
	// ClientIP is a NetScaler Client IP header.
	ClientIP Greeting = 1 << iota
	// ProxyHeader is a header of the PROXY protocol, version 1 or 2.
	ProxyHeader
)

// Greeter reads one kind of greeting.
type Greeter struct {
	Greeting Greeting
	// Read reads it in a coroutine, not one byte more, and puts it in force: see
	// [Session.Relay]. deadline is on the reactor's clock (0: none). Errors are
	// [ConnError] or [reactor.ErrKilled].
	Read func(c *ClientConn, deadline int64) error
	// Timeout is the error of a client that said nothing at all.
	Timeout *ConnError
}

// greeters are those that were registered, in the order of their greetings.
var greeters []Greeter

// RegisterGreeter adds a greeter. Those of smaller greetings are registered
// first.
func RegisterGreeter(g Greeter) { greeters = append(greeters, g) }

// ConnError is why a connection was given up before its first request.
// configuration.txt lists them at fc_err_str.
type ConnError struct {
	ID   int
	Name string
	Text string
}

// Error gives the text that logs show.
func (e *ConnError) Error() string { return e.Text }

// Relayed is the client's connection to another proxy, which made this one for it.
type Relayed struct {
	dst  reactor.Addr // where the client connected to
	peer reactor.Addr // where this connection itself comes from
}

// Relay tells that the connection was made for a client of another proxy, which
// connected from src to dst. Without a path or an IP address they are those of a
// UNIX socket without a name. What is told later is in force. The session notes it
// in r, which is the caller's memory and stays with the session.
func (s *Session) Relay(src, dst reactor.Addr, r *Relayed) {
	*r = Relayed{dst, s.Peer()}
	s.Src, s.relay = src, r
}

// Local is the connection's own address on this side: a system call, the first time.
func (s *Session) Local() reactor.Addr {
	if s.conn == nil {
		return reactor.Addr{}
	}
	return s.conn.local()
}

// Dst is the address that the client connected to: the one of the PROXY protocol
// if it told one, otherwise the local address.
func (s *Session) Dst() reactor.Addr {
	if s.relay != nil {
		return s.relay.dst
	}
	return s.Local()
}

// Peer is where the connection itself comes from; Src is where the client of a
// proxy in between comes from.
func (s *Session) Peer() reactor.Addr {
	if s.relay != nil {
		return s.relay.peer
	}
	return s.Src
}

// Expect makes the client say g first. It is for rules of the connection.
func (s *Session) Expect(g Greeting) { s.greeting |= g }

// late is the error of a client that said nothing in time.
func (s *Session) late() error {
	for i := range greeters {
		if s.greeting&greeters[i].Greeting != 0 {
			return greeters[i].Timeout
		}
	}
	return reactor.ErrTimeout
}

// passes evaluates rules on the connection itself: those of "tcp-request connection",
// before anything else, or of "tcp-request session", when all handshakes are done and
// nothing was read. false: they have closed it.
func (s *Session) passes(rules []Rule) bool {
	if len(rules) == 0 {
		return true
	}
	sc := s.Scope()
	v := evaluate(sc, rules)
	sc.Release()
	if v <= Stop {
		return true
	}
	s.close()
	return false
}

// greet reads what the client has to say before anything else, in a coroutine.
// deadline is on the reactor's clock (0: none). The error is a [ConnError] or
// [reactor.ErrKilled]. It does nothing the second time.
func (c *ClientConn) greet(deadline int64) error {
	for i := range greeters {
		g := &greeters[i]
		if c.greeting&g.Greeting == 0 {
			continue
		}
		if err := g.Read(c, deadline); err != nil {
			return err
		}
		c.greeting &^= g.Greeting
		c.greeted = true
	}
	return nil
}
