package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// front is what a client's connection is: its protocol, on what carries it.
type front interface {
	protocol() *Protocol
	// carry gives the client's side of an exchange that goes over the connection.
	carry(st *Stream) clientSide
	// socket is what the connection came over, nil if it has none of its own.
	socket() *transport.Conn
	// local is its address on this side, also after it was closed if it is known.
	local() reactor.Addr

	// serve handles what there is, in a coroutine of the session: until the connection
	// is idle or closed, or goes on by callbacks.
	serve()
	// readable and writable are told by the reactor, of a socket that no coroutine
	// waits for.
	readable()
	writable()
	// expired is told when nothing has happened for as long as the session was armed
	// for, and there is no stream of its own.
	expired()
	// finish has the connection end once what is under way has ended, and tells
	// whether nothing is.
	finish() (idle bool)
	// shut closes the connection. What is still under way will find out.
	shut()

	// glitches is how many odd things it saw, limit how many exchanges it may carry at
	// once, and streams how many it carries.
	glitches() int
	limit() int
	streams() int
}

// side is one side of an exchange: what comes from there, and what goes there.
type side interface {
	// source is what comes after the head h.
	source(h *message.Header) Source
	// taken tells whether all of that was given.
	taken() bool
	// sink is where data goes; f is its framing.
	sink(f message.Framing) sink
}

// clientSide is the client's side of an exchange, over whatever protocol.
type clientSide interface {
	side
	// request awaits the head of a request. It tells whether there is one; if not, the
	// exchange is over.
	request() bool
	// atHand is what has come of the request's body, as far as it is in one piece and
	// nobody has taken it.
	atHand() []byte
	// received is how many bytes of the body have come, that nobody has taken.
	received() int
	// arrived tells whether there is nothing to wait for any more: the body has come
	// as a whole, or as much of it as is kept.
	arrived() (bool, error)
	// more waits until more of the request has come, until the deadline (0: "timeout
	// client").
	more(deadline int64) error

	// begin sends the head in st.Res, with what is at hand of body (nil: there is
	// none), and makes st.download the transfer of the rest. may tells whether the
	// next request may follow, as far as this one is concerned; keep, whether it will.
	begin(body Source, may bool) (keep bool)
	// interim sends a head that is not the response's last, or begins a tunnel.
	interim(res *message.Response) error
	// cut says, as the protocol can, that what was sent is incomplete.
	cut()

	// watch has co woken when the client does something that may mean that it leaves,
	// until it is called with nil.
	watch(co *reactor.Coro)
	// left tells whether the client has nothing more to say, and whether nobody is
	// there any more.
	left() (quiet, gone bool)
	// revoked tells whether the client took the request back: a protocol with a word
	// for that ends the exchange by it.
	revoked() bool
	// closes tells whether the end of the data is that of the connection.
	closes() bool
	// leave closes the connection with all that there is on it, if that does not end
	// with the exchange anyway. The client is told so if the protocol can, or nothing.
	leave(told bool)
}

// sendInterim sends a head that is not the response's last, or begins a tunnel, to
// the client.
func (st *Stream) sendInterim(res *message.Response) error { return st.client.interim(res) }

// Leave closes a client's connection that carries other exchanges too, with all of
// them, without a word: for rules that drop a connection. One of HTTP/1 ends with
// its exchange.
func (st *Stream) Leave() { st.client.leave(false) }

// Reject is Leave for rules that let the client know, where its protocol has a word
// for that.
func (st *Stream) Reject() { st.client.leave(true) }
