package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
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
	Persist    Persistence
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

// private is what of a stream concerns nobody else.
type private struct {
	// OwnReply is for rules that compute their answer: they fill it and set Reply
	// to it.
	OwnReply Reply

	exchangeState
	client     clientSide
	h1         h1Client   // of a client that has its connection to itself
	h2         h2Client   // of one that speaks HTTP/2
	server     serverSide // while up is set
	h1srv      h1Server   // of a server's connection that the exchange has to itself
	h2srv      h2Server   // of one of HTTP/2
	slots      slot.Values
	links      []attached
	vars       streamVars
	bodies     bool        // one of the following was used
	own        bytesSource // what is there as a whole
	upload     upload      // what the client sends
	download   transfer    // what it is sent
	limits     http1.Limits
	peeks      [2]peeked // of the client's data, and the server's
	prev, next *Stream
}

// exchangeState is what begins anew with every exchange.
type exchangeState struct {
	co          *reactor.Coro
	reqBody     Source // of the request as it was received, nil: none
	reqData     Source // what filters made of it
	filtered    bool   // they have seen it
	up          *ServerConn
	failed      *server.Server // its connection failed, and another is to be asked
	last        *ServerConn    // what up was last: it goes back to the pool before the log line is made
	dialing     *ServerConn    // the connection that is being made
	dialErr     error          // why the last attempt to make up failed
	activity    int64          // when data was last sent on
	asked       int64          // since when the server has to answer
	tunnelling  bool           // bytes go both ways
	slot        bool           // a slot of Srv is held
	routed      bool           // counted at the backend
	bodyStarted bool
	keep        bool // the client's connection may be used again
	reusable    bool // the server's as well
	buffered    bool // its body was waited for
	quiet       bool // not logged: monitor requests
	logged      bool // the log line is written
	left        bool // the client gave the exchange up, and that was counted
	pipelined   bool // after the request came more, which nobody will read
	half        bool // one direction of a tunnel has ended
	firstEnd    byte // which: 'C' or 'S'
	sentFirst   bool // the body went out with the head, and is counted
	noReuse     bool // the next attempt takes a new connection
	upHalf      bool // the server was told that the client says nothing more
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
	st.Status, st.Term, st.Persist = 0, Termination{}, Persistence{}
	st.Retries, st.Redispatch = 0, false
	st.SrvQueue, st.BackQueue = 0, 0
	st.PriorityClass, st.PriorityOffset, st.queueEnd = 0, 0, 0
	st.ReqLine = st.ReqLine[:0]
	st.slots.Reset()
	st.unpeek()
	st.ErrText = ""
	st.exchangeState = exchangeState{}
	if st.h2.st != nil {
		st.h2 = h2Client{}
	}
	st.server = nil
	if st.h2srv.st != nil {
		st.h2srv = h2Server{}
	}
	if st.bodies {
		st.bodies = false
		st.h1.from = h1Source{trailers: st.h1.from.trailers[:0]}
		st.h1srv = h1Server{from: h1Source{trailers: st.h1srv.from.trailers[:0]}}
		st.own = bytesSource{}
		st.h1.to = h1Sink{}
		st.upload, st.download = upload{}, transfer{}
	}
	if st.OwnReply.Status != 0 {
		st.OwnReply = Reply{Fields: st.OwnReply.Fields[:0]}
	}
}
