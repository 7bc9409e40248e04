package stream

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// Termination flags (configuration.txt 8.5): Cause is who ended the exchange,
// State in which phase.
type Termination struct{ Cause, State byte }

// Stream is one exchange: a request and its response, or one TCP connection. It
// is pooled: a reference is good only while the exchange lasts.
type Stream struct {
	Scope

	// Req and Res are the heads of mode http. HasRequest and HasResponse tell
	// whether they were received.
	Req                     message.Request
	Res                     message.Response
	HasRequest, HasResponse bool
	// Reply is the proxy's own answer, set by a rule that gives [Answer], or on
	// errors.
	Reply *Reply
	// Service answers in its place, set by such a rule.
	Service Service

	Time Times
	Traffic
	// SentUp is what reached the server, GotUp what came from it.
	Status     int // sent to the client; 0: none
	Term       Termination
	Retries    int
	Redispatch bool // the last retry went to another server
	// SrvQueue and BackQueue are the places in the queues: how many were served from
	// them until the exchange left, itself included; 0: it did not wait.
	SrvQueue, BackQueue int64
	// PriorityClass and PriorityOffset (milliseconds) are when it is its turn there.
	PriorityClass, PriorityOffset int
	queueEnd                      int64 // when it stops to wait there, 0: it does not wait
	// ReqLine is a copy of the request line for the log, "<BADREQ>" when there
	// was none that could be parsed. It is kept if [Proxy.Log] is set, or
	// [Snapshot.KeepLines].
	ReqLine []byte
	// Reused tells that the server connection was used before.
	Reused bool
	// ErrText says what was wrong with a malformed message, for the log.
	ErrText string

	private
}

// Traffic counts the bytes of an exchange: those of HTTP/1 and of mode tcp as they
// were on the wire, below TLS's records. Over HTTP/2 a head counts as the lines that
// HTTP/1 would have for it, and a body as its data, without the frames around it.
// What the proxy answers by itself did not come from a server: it is in ResOut alone.
type Traffic struct {
	ReqIn  int64 // from the client
	ReqOut int64 // to servers, each attempt
	ResIn  int64 // from the server
	ResOut int64 // to the client
}

// Session is a client's connection.
type Session struct {
	transport.Conn
	timer    reactor.Timer
	Listener *Listener
	// FE is the frontend's name's newest form; it is refreshed from the snapshot
	// at each exchange.
	FE       *Proxy
	Src      reactor.Addr // the client: as a PROXY protocol header has it, if there was one
	relay    *relay       // of whom another proxy told, nil: nobody
	Accepted int64        // reactor time
	Requests int32        // exchanges begun on it
	// HandshakeMs is how many milliseconds passed until it was established.
	HandshakeMs int32
	st          *Stream
	front       *FrontState   // where it is counted
	mux         *mux          // of HTTP/2, nil otherwise
	vars        *variable.Set // nil: none was set
	priv        *ServerConn   // server connections that only this client uses, see keepConn
	busy        bool          // a coroutine has it although there is no stream
	counted     bool          // in the numbers of connections
	ready       bool          // established: what comes before requests is done
	greeted     bool          // it has said what it has to say first
	greeting    Greeting      // what the client has to say first, and did not yet
	admitted    bool          // the rules on new connections were run, or there are none
	slots       slot.Values
}

// AcceptDate is the time of day when the connection was accepted.
func (s *Session) AcceptDate() time.Time {
	r := s.Reactor()
	return r.Wall().Add(-time.Duration(r.Now() - s.Accepted))
}
