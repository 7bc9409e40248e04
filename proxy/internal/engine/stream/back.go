package stream

// back is what a connection to a server is: its protocol, on the socket of a
// [ServerConn].
type back interface {
	protocol() *Protocol
	// carry gives the server's side of an exchange that is to go over the connection.
	carry(st *Stream) serverSide

	// connected is told when the connection is made, and secured.
	connected()
	// abandoned is told when it could not be.
	abandoned()
	// readable and writable are told by the reactor, of a socket that no coroutine
	// waits for.
	readable()
	writable()
	// vacant tells whether an idle connection can carry an exchange.
	vacant() bool
	// resumed is told when an idle connection was taken to carry one of s.
	resumed(s *Session)
	// share tells whether the exchange st can go over the connection beside those that
	// do. If that is not known yet, and wait is set, it waits until it is: meanwhile
	// the pool may have changed.
	share(st *Stream, wait bool) (ok, waited bool)
	// discard closes an idle connection that was taken out of its pool.
	discard()
	// panicked is told by the reactor that a callback died. The socket is closed next.
	panicked()

	// glitches is how many odd things it saw, limit how many exchanges it may carry at
	// once, and streams how many it carries.
	glitches() int
	limit() int
	streams() int
}

// serverSide is the server's side of an exchange, over whatever protocol.
type serverSide interface {
	side
	// send sends the request with what is at hand of its body, and has st.upload send
	// the rest.
	send() step
	// head looks whether there is a head of the response, be it an interim one, and
	// gives it in st.Res. It does not wait.
	head() (bool, error)
	// wait waits until there may be one, until the deadline (0: for ever).
	wait(deadline int64) error
	// finish tells the server that the client says nothing more, and may have left. It
	// tells whether the protocol has a way to.
	finish() bool
	// fault tells what an error of head or wait means, and, if that is of use, in words.
	fault(err error) (fault, string)

	// used is told when the head that was given is not needed any more.
	used()
	// received is how many bytes of the response's body have come, that nobody has
	// taken.
	received() int
	// arrived tells whether the body has come as a whole, or as much of it as is kept.
	arrived() (bool, error)
	// more waits until more of the response has come, until the deadline, or for
	// "timeout server".
	more(deadline int64) error

	// cut has the data end with what has come so far.
	cut()
	// abort gives the server's side up at once.
	abort()
	// leave ends it, and gives the connection back. keep tells whether that may be used
	// again, as far as the exchange is concerned.
	leave(keep bool)
}

// fault is what is wrong with a response that does not come.
type fault uint8

const (
	// broken: the server, or its connection, broke off.
	broken fault = iota
	// malformed: what came is no response.
	malformed
	// refused: the server did not process the request. It may be sent again.
	refused
	// dead: nothing came, and the connection was used before. It may have been closed
	// before the request was sent.
	dead
)

// goOver makes the exchange go over a connection.
func (st *Stream) goOver(c *ServerConn) {
	st.up, st.last = c, c
	st.server = c.back.carry(st)
}

// leaveServer gives the server's connection back, if there is one. keep tells whether
// the exchange left it so that it can be used again.
func (st *Stream) leaveServer(keep bool) {
	if st.up != nil {
		st.up = nil
		st.server.leave(keep)
	}
}
