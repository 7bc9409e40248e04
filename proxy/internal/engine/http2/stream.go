package http2

import (
	"errors"
	"slices"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// Stream is one exchange on a connection. It is the owner's until Close.
type Stream struct {
	// ID is the stream's number.
	ID uint32
	// User is who uses the stream for the owner, nil if nobody.
	User User
	// Req is the request that is received (server role).
	Req *message.Request
	// Res is where responses are received (client role).
	Res *message.Response
	// Trailers are those of the received message; their memory is the stream's.
	Trailers []message.Field
	// Protocol is the :protocol of an extended CONNECT, nil when it is none; Scheme
	// and Authority are the :scheme and the :authority of a request, nil when there
	// is none. They are memory of Req (server role).
	Protocol, Scheme, Authority []byte
	// HeadOut is the size of the head that was sent as HTTP/1 would have it (client
	// role).
	HeadOut int

	c    *Conn
	next *Stream // in its bucket
	err  error

	// What was received and not consumed: full buffers but for the last.
	bufs   [][]byte
	from   int // in the first
	to     int // in the last
	queued int

	recvWin, sendWin int64
	extra, charged   int64 // see account and charge
	left             int64 // bytes of the body still to come, -1 unknown
	trail            message.Header
	later            []*message.Response // heads that came before NextHead

	before, after *Stream // in the queue of those that wait for room

	recvEnd   bool // END_STREAM was received
	sentEnd   bool // END_STREAM was queued
	headSent  bool // a final response was queued
	final     bool // a final response was received
	hasHead   bool // Res has a head that was not taken
	headOnly  bool // it answers a HEAD
	connect   bool // it answers a CONNECT
	receiving bool // counts in Conn.receiving
	peerReset bool // by RST_STREAM
	swallow   bool // the peer wants no more of the body
	requested bool // Req has a head that is well-formed
	blocked   bool // waits for the stream's window
	queuedUp  bool // waits in Conn.waiting
	turn      bool // was told of room
	counted   bool // is one of Counters.OpenStreams
}

var pool = sync.Pool{New: func() any { return new(Stream) }}

// newStream makes a stream and enters it.
func (c *Conn) newStream(id uint32) *Stream {
	s := pool.Get().(*Stream)
	s.ID, s.c, s.left = id, c, -1
	s.recvWin, s.sendWin = c.recvInit, c.sendInit
	if c.streams >= len(c.buckets) {
		c.growBuckets()
	}
	b := c.bucket(id)
	s.next, *b = *b, s
	c.streams++
	return s
}

// count counts a stream that is a request.
func (s *Stream) count() {
	s.counted = true
	s.c.Counters.Streams.Add(1)
	s.c.Counters.OpenStreams.Add(1)
}

func (c *Conn) bucket(id uint32) **Stream { return &c.buckets[(id>>1)&uint32(len(c.buckets)-1)] }

func (c *Conn) growBuckets() {
	was := c.buckets
	c.buckets = make([]*Stream, max(4, 2*len(was)))
	for _, s := range was {
		for s != nil {
			next := s.next
			b := c.bucket(s.ID)
			s.next, *b = *b, s
			s = next
		}
	}
}

func (c *Conn) find(id uint32) *Stream {
	if len(c.buckets) == 0 {
		return nil
	}
	for s := *c.bucket(id); s != nil; s = s.next {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// each calls f with every stream. f may close its own; nobody else is called
// meanwhile.
func (c *Conn) each(f func(*Stream)) {
	c.walking = true
	for _, s := range c.buckets {
		for s != nil {
			next := s.next
			f(s)
			s = next
		}
	}
	c.walking = false
	c.wake()
}

// remove takes a stream out.
func (c *Conn) remove(s *Stream) {
	p := c.bucket(s.ID)
	for *p != s {
		p = &(*p).next
	}
	*p = s.next
	c.extra -= s.extra
	if c.streams--; c.streams == 0 && len(c.buckets) > 16 {
		c.buckets = nil
	}
}

// isIdle tells whether a stream was never opened.
func (c *Conn) isIdle(id uint32) bool { return id&1 == 0 || id > c.last }

// ours marks, in Conn.old, a stream that we have reset: frames that were on
// their way are no mistake.
const ours = 1 << 31

// remember takes down that a stream has ended.
func (c *Conn) remember(id uint32) {
	c.old[c.olds%uint32(len(c.old))] = id
	c.olds++
}

// recall tells how a stream ended: known is false when that was too long ago, or
// never.
func (c *Conn) recall(id uint32) (byUs, known bool) {
	for _, o := range c.old {
		if o&maxID == id {
			return o&ours != 0, true
		}
	}
	return false, false
}

// maxLate bounds Conn.late.
const maxLate = 16

// closeLate closes a stream whose response is complete, but for the END_STREAM
// that a server may send in a frame of its own (HEAD, 204, 304). A reset would be
// as good to us; but a server that was not quick enough may count it as abuse.
// The stream counts as an open one until the END_STREAM comes, see finishLate.
func (c *Conn) closeLate(s *Stream) {
	if len(c.late) == maxLate {
		c.reset(c.late[0], Cancel)
		c.late = slices.Delete(c.late, 0, 1)
	}
	c.late = append(c.late, s.ID)
	c.remember(s.ID | ours)
}

// finishLate tells whether the stream was one of closeLate, and forgets it.
func (c *Conn) finishLate(id uint32) bool {
	i := slices.Index(c.late, id)
	if i >= 0 {
		c.late = slices.Delete(c.late, i, i+1)
	}
	return i >= 0
}

// over tells whether both messages are complete.
func (s *Stream) over() bool { return s.recvEnd && s.sentEnd }

// forgot tells whether streams have ended of which recall knows nothing.
func (c *Conn) forgot() bool { return c.olds > uint32(len(c.old)) }

// ended counts a stream that ended well on both sides.
func (c *Conn) ended(s *Stream) {
	if s.over() && s.err == nil {
		c.complete++
		if c.early > 0 {
			c.early--
		}
	}
}

// Err tells why the stream ended before its time: a *[ResetError], or the error
// of the connection; nil while all is well, and after a good end.
func (s *Stream) Err() error { return s.err }

// Malformed tells whether the stream ended because of what the peer sent on it,
// and not because the peer reset it.
func (s *Stream) Malformed() bool {
	var re *ResetError
	return !s.peerReset && errors.As(s.err, &re)
}

// HasRequest tells whether Req has the head of a request that is well-formed,
// whatever became of the stream since (server role).
func (s *Stream) HasRequest() bool { return s.requested }

// EndReceived tells whether the end of the peer's message has come. Bytes may
// still wait to be consumed.
func (s *Stream) EndReceived() bool { return s.recvEnd }

// RecvEnd tells whether all of the peer's message has come and was consumed.
func (s *Stream) RecvEnd() bool { return s.recvEnd && s.queued == 0 }

// Queued is how many bytes wait to be consumed.
func (s *Stream) Queued() int { return s.queued }

// WindowUsed tells whether the peer may send nothing more until some of what is
// queued is consumed.
func (s *Stream) WindowUsed() bool { return s.recvWin <= 0 && s.c.data != s }

// HasHead tells whether s.Res has a complete head (client role). It stays so
// until NextHead.
func (s *Stream) HasHead() bool { return s.hasHead }

// NextHead says that the interim response in s.Res was dealt with. The next
// head may be there at once.
func (s *Stream) NextHead() {
	s.hasHead = false
	if len(s.later) > 0 {
		*s.Res = *s.later[0]
		s.later = append(s.later[:0], s.later[1:]...)
		s.hasHead = true
	}
}

// Close says that the owner is done with the stream and forgets it. A stream
// that is not complete is reset, unless just the END_STREAM of a response is
// missing. Close is legal after [Conn.Abort] and
// [Conn.Free].
func (s *Stream) Close() {
	c := s.c
	if s.err == nil && c.err == nil {
		switch {
		case s.over():
			c.complete--
			c.remember(s.ID)
		case s.sentEnd && c.cfg.Server:
			// The response is complete, the rest of the request of no use
			// (RFC 9113 8.1).
			c.reset(s.ID, NoError)
			c.remember(s.ID | ours)
		case s.sentEnd && s.final && s.left == 0 && s.queued == 0 && c.Available() > 0:
			c.closeLate(s)
		default:
			c.reset(s.ID, Cancel)
			c.remember(s.ID | ours)
		}
	} else if s.peerReset {
		c.remember(s.ID)
	} else {
		c.remember(s.ID | ours)
	}
	s.notReceiving()
	s.discard()
	c.leaveQueue(s)
	if c.data == s {
		c.data = nil
	}
	c.remove(s)
	if s.counted {
		c.Counters.OpenStreams.Add(-1)
	}
	trail, bufs, later := &s.trail, s.bufs[:0], s.later[:0]
	trail.Reset()
	trail.Shrink()
	clear(s.later)
	if cap(bufs) > 64 {
		bufs = nil
	}
	*s = Stream{trail: *trail, bufs: bufs, later: later}
	pool.Put(s)
}

// Reset ends the stream with an error, unless it has ended already.
func (s *Stream) Reset(code ErrCode) {
	if s.err != nil || s.c.err != nil || s.over() {
		return
	}
	s.c.reset(s.ID, code)
	s.c.setErr(s, resetError(code, false))
}
