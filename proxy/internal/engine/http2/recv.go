package http2

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// beginData looks at the header of a DATA frame and decides whose its bytes are.
func (c *Conn) beginData() error {
	f := &c.f
	n := int64(f.len)
	c.data, c.pad = nil, 0
	if f.id == 0 || c.isIdle(f.id) {
		return c.fail(ProtocolError, "DATA on an idle stream")
	}
	if c.recvWin -= n; c.recvWin < 0 {
		return c.fail(FlowControl, "more DATA than the connection's window")
	}
	if f.has(flagPadded) && n == 0 {
		return c.fail(FrameSize, "DATA of wrong size")
	}
	if n == 0 && !f.has(flagEndStream) {
		if err := c.emptyData(); err != nil {
			return err
		}
	}
	s := c.find(f.id)
	switch {
	case s == nil:
		if f.has(flagEndStream) {
			c.finishLate(f.id)
		} else if n > 0 && c.finishLate(f.id) {
			c.refuseFrame(f.id, ProtocolError) // a body where there is none
		}
		byUs, known := c.recall(f.id)
		if byUs || !known && !c.cfg.Server {
			return nil // it was on its way when we reset the stream
		}
		c.refuseFrame(f.id, StreamClosed)
		if !known && c.forgot() {
			return nil // as it may have been
		}
		return c.glitch()
	case s.err != nil:
		if s.peerReset {
			c.refuseFrame(f.id, StreamClosed)
			return c.glitch()
		}
		return nil
	case s.over():
		c.refuseFrame(f.id, StreamClosed) // it does not matter to the owner
		return c.glitch()
	case s.recvEnd:
		return c.streamError(s, StreamClosed)
	case !c.cfg.Server && !s.final:
		return c.streamError(s, ProtocolError)
	}
	if s.recvWin -= n; s.recvWin < 0 {
		return c.streamError(s, FlowControl)
	}
	c.data = s
	return nil
}

// emptyData counts a DATA frame that brings nothing.
func (c *Conn) emptyData() error {
	c.useless++
	return c.glitch()
}

// takeData takes bytes of a DATA frame's payload. Those of nobody are given back
// to the connection's window at once.
func (c *Conn) takeData(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	left := c.left - uint32(len(p)) // after p
	if c.left == c.f.len && c.f.has(flagPadded) {
		c.pad = uint32(p[0])
		if c.pad >= c.f.len {
			return c.fail(ProtocolError, "more padding than payload")
		}
		if c.pad == c.f.len-1 && !c.f.has(flagEndStream) {
			if err := c.emptyData(); err != nil {
				return err
			}
		}
		c.consumed(1)
		p = p[1:]
	}
	if left < c.pad { // the end of p is padding
		n := min(int(c.pad-left), len(p))
		c.consumed(int64(n))
		p = p[:len(p)-n]
	}
	s := c.data
	if s == nil {
		c.consumed(int64(len(p)))
		return nil
	}
	if len(p) == 0 {
		return nil
	}
	if s.left >= 0 {
		if s.left -= int64(len(p)); s.left < 0 {
			c.consumed(int64(len(p)))
			return c.streamError(s, ProtocolError)
		}
	}
	if s.full(len(p)) && c.o.Refuse() {
		c.consumed(int64(len(p)))
		c.reset(s.ID, EnhanceYourCalm)
		c.broken(s, resetError(EnhanceYourCalm, false))
		return nil
	}
	s.store(p)
	c.consumed(int64(len(p)) - s.charge())
	c.useless = 0
	if !s.receiving && !c.f.has(flagEndStream) {
		s.receiving = true
		c.receiving++
	}
	if left > 0 || !c.f.has(flagEndStream) {
		c.o.Changed(s) // else the end does
	}
	return nil
}

// endData is the end of a DATA frame.
func (c *Conn) endData() error {
	s := c.data
	c.data = nil
	if s == nil {
		return nil
	}
	if c.f.has(flagEndStream) {
		if s.left > 0 {
			return c.streamError(s, ProtocolError)
		}
		c.endReceived(s)
		c.o.Changed(s)
	} else {
		s.grant()
	}
	return nil
}

// endReceived takes down the end of the peer's message.
func (c *Conn) endReceived(s *Stream) {
	s.recvEnd = true
	s.notReceiving()
	s.account()
	c.ended(s)
}

// full tells whether n more bytes need another buffer.
func (s *Stream) full(n int) bool {
	k := len(s.bufs)
	return k == 0 || s.to+n > len(s.bufs[k-1])
}

// store puts received bytes at the end of the stream's queue.
func (s *Stream) store(p []byte) {
	s.queued += len(p)
	for len(p) > 0 {
		if n := len(s.bufs); n == 0 || s.to == len(s.bufs[n-1]) {
			s.bufs = append(s.bufs, s.c.o.Buffer())
			s.to = 0
		}
		n := copy(s.bufs[len(s.bufs)-1][s.to:], p)
		s.to += n
		p = p[n:]
	}
}

// Data gives received bytes from the front of the queue, nil when there are
// none. They are good until they are consumed or the stream is closed, also
// when it fails meanwhile.
func (s *Stream) Data() []byte {
	switch {
	case s.queued == 0:
		return nil
	case len(s.bufs) == 1:
		return s.bufs[0][s.from:s.to]
	default:
		return s.bufs[0][s.from:]
	}
}

// Consume gives back the first n bytes of what Data gave: the peer may send as
// many more.
func (s *Stream) Consume(n int) {
	if n = min(n, s.queued); n <= 0 {
		return
	}
	s.take(n)
	s.c.consumed(-s.charge())
	s.grant()
}

func (s *Stream) take(n int) {
	for n > 0 {
		k := min(n, len(s.Data()))
		s.from += k
		s.queued -= k
		n -= k
		if s.queued == 0 || s.from == len(s.bufs[0]) {
			s.c.o.Release(s.bufs[0])
			s.bufs = append(s.bufs[:0], s.bufs[1:]...)
			s.from = 0
		}
	}
}

// forget throws away what was received. The buffers stay until the stream is
// closed: its owner may be in the middle of what Data gave.
func (s *Stream) forget() {
	s.queued = 0
	s.c.consumed(-s.charge())
	s.account()
}

// discard forgets what was received and gives the buffers back.
func (s *Stream) discard() {
	s.forget()
	for _, b := range s.bufs {
		s.c.o.Release(b)
	}
	clear(s.bufs)
	s.bufs = s.bufs[:0]
}

func (s *Stream) notReceiving() {
	if s.receiving {
		s.receiving = false
		s.c.receiving--
	}
}

// free is how much each stream may hold that does not count against the
// connection's window: else one that nobody reads could keep the others from
// receiving, and wait for one of them.
const free = 16384

// charge gives by how much more the stream counts against the connection's
// window than when it was last asked.
func (s *Stream) charge() int64 {
	was := s.charged
	s.charged = max(0, int64(s.queued)-free)
	return s.charged - was
}

// consumed gives bytes back to the connection's window; the peer is told when
// half of it was used, or little is left.
func (c *Conn) consumed(n int64) {
	c.increment += n
	if most := c.cfg.connWindow(); (c.increment >= most/2 || c.increment > 0 && c.recvWin < most/8) && c.err == nil {
		c.grantWindow(0, c.increment)
		c.recvWin += c.increment
		c.increment = 0
	}
}

// lost is how much of the connection's window has leaked: what the peer may send, what
// it is to be told, what streams hold, and what is on its way in a frame that has begun
// make up the whole.
func (c *Conn) lost() int64 {
	n := c.granted - c.recvWin - c.increment
	for _, s := range c.buckets {
		for ; s != nil; s = s.next {
			n -= s.charged
		}
	}
	if c.inFrame && c.f.kind == frameData {
		n -= int64(c.left)
	}
	return n
}

// grant widens the stream's window when half of what it may have is free.
//
// Every stream has an initial window. Of what the receive buffer has beside
// those of the open streams, the ones that receive share seven eighths
// (tune.h2.fe.rxbuf).
func (s *Stream) grant() {
	c := s.c
	s.account()
	if s.recvEnd || s.err != nil || c.err != nil {
		return
	}
	room := max(0, c.cfg.connWindow()-int64(c.streams)*c.recvInit) / 8 * 7
	most := c.recvInit + min(room/int64(max(1, c.receiving)), max(0, room-c.extra+s.extra))
	if n := most - int64(s.queued) - s.recvWin; n > 0 && n >= most/2 {
		s.recvWin += n
		s.account()
		c.grantWindow(s.ID, n)
	}
}

// account takes down how much more than an initial window the stream holds and
// may still receive.
func (s *Stream) account() {
	c := s.c
	n := int64(s.queued) - c.recvInit
	if !s.recvEnd && s.err == nil {
		n += s.recvWin
	}
	n = max(0, n)
	c.extra += n - s.extra
	s.extra = n
}

func (c *Conn) grantWindow(id uint32, n int64) {
	ch := c.space(frameHeader + 4)
	c.grew(ch, append32(appendFrame(ch.b, 4, frameWindowUpdate, 0, id), uint32(n)))
}

// headers acts on a complete field block.
func (c *Conn) headers(f *frame, block []byte) error {
	if s := c.find(f.id); s != nil {
		return c.moreHeaders(s, f, block)
	}
	if !c.isIdle(f.id) {
		c.finishLate(f.id)
		byUs, known := c.recall(f.id)
		c.useless++
		switch {
		case byUs, !known && !c.cfg.Server:
			// It was on its way when we reset the stream.
		case known:
			return c.fail(StreamClosed, "HEADERS on a closed stream")
		case !c.forgot():
			return c.fail(ProtocolError, "stream that is older than others")
		default:
			c.refuseFrame(f.id, StreamClosed)
			if err := c.glitch(); err != nil {
				return err
			}
		}
		return c.skip(block)
	}
	if !c.cfg.Server || f.id&1 == 0 {
		return c.fail(ProtocolError, "HEADERS on a stream that is not the peer's to open")
	}
	c.last = f.id
	if c.goneAway && f.id > c.goAwayID {
		// It will be sent again elsewhere.
		c.remember(f.id | ours)
		if err := c.givenUp(); err != nil {
			return err
		}
		if err := c.glitch(); err != nil {
			return err
		}
		return c.skip(block)
	}
	if most := c.cfg.MaxTotal; most > 0 {
		c.total++
		switch {
		case c.total > most+c.cfg.maxStreams():
			return c.fail(EnhanceYourCalm, "too many streams")
		case c.total >= most:
			c.LeaveSoon()
		}
	} else {
		c.total = 1
	}
	most := c.cfg.maxStreams()
	if !c.acked {
		most = max(most, 100) // the client may not know of our limit yet
	}
	if c.streams-c.complete >= most {
		return c.refuse(f.id, block)
	}
	s := c.newStream(f.id)
	s.Req = c.o.NewStream(s)
	if s.Req == nil {
		c.remove(s)
		*s = Stream{trail: s.trail, bufs: s.bufs, later: s.later}
		pool.Put(s)
		return c.refuse(f.id, block)
	}
	c.accepted = f.id
	s.Req.Reset()
	var h head
	h.begin(request, &s.Req.Header, c.cfg)
	first := len(h.fields) - 1
	why := c.dec.decode(block, &h)
	end := f.has(flagEndStream)
	if h.why == "" && why == "" {
		h.why = h.request(s.Req, first, end, c)
		h.kept = len(h.buf)
	}
	h.end(&s.Req.Header)
	if why != "" {
		c.fail(Compression, why)
		c.setErr(s, c.err)
		c.o.Request(s)
		return c.err
	}
	if h.why != "" {
		return c.malformed(s)
	}
	s.requested = true
	s.count()
	s.Scheme, s.Protocol, s.Authority = h.pseudo[scheme], h.pseudo[protocol], h.pseudo[authority]
	s.headOnly = s.Req.Method == message.Head
	s.connect = s.Req.Framing == message.Tunnel
	if !s.connect {
		s.left = h.length
	}
	if end {
		c.endReceived(s)
	}
	c.useless = 0
	c.o.Request(s)
	return nil
}

// malformed resets a stream whose request is malformed, and gives it to its
// owner to be closed.
func (c *Conn) malformed(s *Stream) error {
	c.refuseFrame(s.ID, ProtocolError)
	c.setErr(s, resetError(ProtocolError, false))
	c.o.Request(s)
	if err := c.givenUp(); err != nil {
		return err
	}
	return c.glitch()
}

// refuse resets a stream that is one too many; the client may try again.
func (c *Conn) refuse(id uint32, block []byte) error {
	c.refuseFrame(id, RefusedStream)
	c.remember(id | ours)
	if err := c.glitch(); err != nil {
		return err
	}
	return c.skip(block)
}

// skip decodes a field block for the compression's sake.
func (c *Conn) skip(block []byte) error {
	b := c.o.Buffer()
	h := head{why: "skipped", buf: b[:0]}
	why := c.dec.decode(block, &h)
	c.o.Release(b)
	if why != "" {
		return c.fail(Compression, why)
	}
	return nil
}

// moreHeaders is a head on an open stream: trailers, or a response.
func (c *Conn) moreHeaders(s *Stream, f *frame, block []byte) error {
	switch {
	case s.err != nil:
		c.useless++
		if s.peerReset {
			c.refuseFrame(f.id, StreamClosed)
			if err := c.glitch(); err != nil {
				return err
			}
		}
		return c.skip(block)
	case s.over():
		c.refuseFrame(f.id, StreamClosed)
		if err := c.glitch(); err != nil {
			return err
		}
		return c.skip(block)
	case s.recvEnd:
		if err := c.streamError(s, StreamClosed); err != nil {
			return err
		}
		return c.skip(block)
	case !c.cfg.Server && !s.final:
		return c.response(s, f, block)
	case !f.has(flagEndStream):
		if err := c.streamError(s, ProtocolError); err != nil {
			return err
		}
		return c.skip(block)
	}
	var h head
	s.trail.Reset()
	h.begin(trailers, &s.trail, c.cfg)
	if why := c.dec.decode(block, &h); why != "" {
		return c.fail(Compression, why)
	}
	h.end(&s.trail)
	if h.why != "" || s.left > 0 {
		return c.streamError(s, ProtocolError)
	}
	s.Trailers = s.trail.Fields
	c.endReceived(s)
	c.o.Changed(s)
	return nil
}

// response is a response's head.
func (c *Conn) response(s *Stream, f *frame, block []byte) error {
	res := s.Res
	if s.hasHead {
		if len(s.later) >= maxInterim {
			if err := c.streamError(s, EnhanceYourCalm); err != nil {
				return err
			}
			return c.skip(block)
		}
		res = new(message.Response)
	}
	res.Reset()
	var h head
	h.begin(response, &res.Header, c.cfg)
	why := c.dec.decode(block, &h)
	end := f.has(flagEndStream)
	if h.why == "" && why == "" {
		h.why = h.response(res, end, s.headOnly, s.connect)
		h.kept = len(h.buf)
	}
	h.end(&res.Header)
	switch {
	case why != "":
		return c.fail(Compression, why)
	case h.why != "":
		return c.streamError(s, ProtocolError)
	}
	if res.Status >= 200 {
		s.final = true
		switch res.Framing {
		case message.NoBody:
			s.left = 0
		case message.Length:
			s.left = h.length
		}
	}
	c.useless = 0
	if res == s.Res {
		s.hasHead = true
	} else {
		s.later = append(s.later, res)
	}
	if end {
		c.endReceived(s)
	}
	c.o.Response(s)
	return nil
}
