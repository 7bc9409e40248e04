package http2

// Bounds of the output.
const (
	maxQueue = 64 << 10     // bytes queued, from which on no more DATA is taken
	maxHeads = 2 * maxQueue // and no more heads, which need no window
	quota    = 16 << 10     // bytes that a stream may queue when others wait
	minRoom  = 4 << 10      // bytes below which it is not worth a frame
)

// chunk is a part of the output: b[from:] is still to be sent.
type chunk struct {
	b       []byte
	from    int
	control int // frames in it that answer the peer's
}

// space gives the last chunk with room for n more bytes.
func (c *Conn) space(n int) *chunk {
	if k := len(c.out); k > 0 {
		if ch := &c.out[k-1]; cap(ch.b)-len(ch.b) >= n {
			return ch
		}
	}
	b := c.o.Buffer()
	if cap(b) < n {
		c.o.Release(b)
		b = make([]byte, 0, n) // a head beyond all measure
	}
	c.out = append(c.out, chunk{b: b[:0]})
	return &c.out[len(c.out)-1]
}

// grew takes down that a chunk has become b.
func (c *Conn) grew(ch *chunk, b []byte) {
	c.pending += len(b) - len(ch.b)
	ch.b = b
}

// answered is grew for a frame that answers one of the peer's.
func (c *Conn) answered(ch *chunk, b []byte) {
	ch.control++
	c.control++
	c.grew(ch, b)
}

// Out gives the first bytes that are to be sent, nil when there are none. They
// are good until the next call of any method.
func (c *Conn) Out() []byte {
	if len(c.out) == 0 {
		return nil
	}
	return c.out[0].b[c.out[0].from:]
}

// Pending is how many bytes are to be sent.
func (c *Conn) Pending() int { return c.pending }

// Full tells whether no more heads are to be queued before some of the output was
// sent. The owner keeps what it has to say meanwhile: a peer that reads nothing
// would else have any number of answers waiting for it.
func (c *Conn) Full() bool { return c.pending >= maxHeads }

// Sent says that the first n bytes were sent. Streams that wait for room are
// told.
func (c *Conn) Sent(n int) {
	n = min(n, c.pending)
	c.pending -= n
	done := 0
	for n > 0 {
		ch := &c.out[done]
		k := min(n, len(ch.b)-ch.from)
		ch.from += k
		n -= k
		if ch.from < len(ch.b) {
			break
		}
		c.control -= ch.control
		c.o.Release(ch.b)
		done++
	}
	if done > 0 {
		left := copy(c.out, c.out[done:])
		clear(c.out[left:])
		c.out = c.out[:left]
		if left == 0 && cap(c.out) > 16 {
			c.out = nil
		}
	}
	c.wake()
}

func (c *Conn) dropOut() {
	for i := range c.out {
		c.o.Release(c.out[i].b)
		c.out[i] = chunk{}
	}
	c.out, c.pending, c.control = c.out[:0], 0, 0
}

// queue is a list of streams in the order of their coming.
type queue struct{ head, tail *Stream }

// wait puts a stream at the end of those that want room.
func (c *Conn) wait(s *Stream) {
	if s.queuedUp {
		return
	}
	s.queuedUp = true
	q := &c.waiting
	s.before, s.after = q.tail, nil
	if q.tail != nil {
		q.tail.after = s
	} else {
		q.head = s
	}
	q.tail = s
}

// unlink takes a stream out of those that wait.
func (c *Conn) unlink(s *Stream) {
	s.queuedUp = false
	q := &c.waiting
	if s.before != nil {
		s.before.after = s.after
	} else {
		q.head = s.after
	}
	if s.after != nil {
		s.after.before = s.before
	} else {
		q.tail = s.before
	}
	s.before, s.after = nil, nil
}

// leaveQueue ends a stream's wish for room, or its turn.
func (c *Conn) leaveQueue(s *Stream) {
	if s.queuedUp {
		c.unlink(s)
	}
	if s.turn {
		s.turn = false
		c.turns--
		c.wake()
	}
}

// free is how many bytes of DATA the connection takes from anyone.
func (c *Conn) free() int64 {
	n := min(int64(maxQueue-c.pending), c.sendWin)
	if maxQueue-c.pending < minRoom {
		return 0
	}
	return n
}

// wake gives their turn to streams that wait, as far as there is a quota of room
// for each. Whoever has a turn passes it on, used or not.
func (c *Conn) wake() {
	for c.waiting.head != nil && c.err == nil && !c.walking {
		promised := c.turns * quota
		if maxQueue-c.pending-promised < quota || c.sendWin-int64(promised) < quota && (c.sendWin <= 0 || promised > 0) {
			return
		}
		s := c.waiting.head
		c.unlink(s)
		s.turn = true
		c.turns++
		c.o.Changed(s)
	}
}

// room is how many bytes of DATA s may queue now. When it is none, s is told
// when there is some.
func (c *Conn) room(s *Stream) int {
	if s.sendWin <= 0 {
		s.blocked = true
		c.leaveQueue(s)
		return 0
	}
	n := c.free()
	switch {
	case s.turn:
		if c.turns > 1 || c.waiting.head != nil {
			n = min(n, quota)
		}
		if n <= 0 {
			s.turn = false
			c.turns--
		}
	case s.queuedUp:
		return 0 // others were first
	case c.waiting.head != nil:
		n = 0
	default:
		n -= int64(c.turns) * quota // it is promised to others
	}
	if n <= 0 {
		c.wait(s)
		return 0
	}
	return int(min(n, s.sendWin))
}

// Room is how many bytes of DATA may be queued now: by the windows, by the
// output's bound, and by the shares of others that wait. When there are none,
// the owner's Changed is called once there are.
func (s *Stream) Room() int {
	if s.err != nil || s.c.err != nil || s.sentEnd {
		return 0
	}
	return s.c.room(s)
}

// SendData queues DATA, as much of p as there is room for, and returns how many
// bytes it took. end ends the message when all were taken; p may be empty then.
// When bytes are left, Changed is called once there is room. Bytes for a peer
// that wants no more of them are taken and forgotten.
func (s *Stream) SendData(p []byte, end bool) int {
	c := s.c
	if s.swallow {
		return len(p)
	}
	if s.err != nil || c.err != nil || s.sentEnd {
		return 0
	}
	taken := 0
	for taken < len(p) {
		n := c.room(s)
		if n == 0 {
			return taken
		}
		n = min(n, len(p)-taken)
		had := s.turn
		c.sendFrames(s, p[taken:taken+n], end && taken+n == len(p))
		taken += n
		if had {
			s.turn = false
			c.turns--
			c.wake()
		}
	}
	if end {
		if len(p) == 0 {
			c.leaveQueue(s)
			ch := c.space(frameHeader)
			c.grew(ch, appendFrame(ch.b, 0, frameData, flagEndStream, s.ID))
		}
		s.endSent()
	}
	return taken
}

// endSent takes down that our message has ended.
func (s *Stream) endSent() {
	s.sentEnd = true
	s.blocked = false
	s.c.leaveQueue(s)
	s.c.ended(s)
}

// sendFrames queues p, for which there is room, as DATA frames.
func (c *Conn) sendFrames(s *Stream, p []byte, end bool) {
	s.sendWin -= int64(len(p))
	c.sendWin -= int64(len(p))
	for len(p) > 0 {
		ch := c.space(frameHeader + min(len(p), minRoom))
		n := min(len(p), int(c.peerFrame), max(cap(ch.b)-len(ch.b)-frameHeader, 1))
		flags := uint8(0)
		if end && n == len(p) {
			flags = flagEndStream
		}
		b := appendFrame(ch.b, n, frameData, flags, s.ID)
		c.grew(ch, append(b, p[:n]...))
		p = p[n:]
	}
}
