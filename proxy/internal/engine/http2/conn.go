package http2

import (
	"encoding/binary"
)

// Bounds that have no keyword.
const (
	maxContinuations = 64   // frames of one head
	maxControl       = 1000 // frames that answer the peer's, in the output
	maxUseless       = 2000 // frames that bring nothing, one after the other
	maxEarlyResets   = 1000 // streams given up before their answer, beyond those that went well
	maxInterim       = 16   // interim responses that the owner has not looked at
)

// Conn is one end of an HTTP/2 connection. Call Init before anything else.
type Conn struct {
	// Secure tells that requests are sent over TLS: their scheme is https.
	Secure bool
	// Lenient lets the connection live however many glitches there were.
	Lenient bool
	// AcceptInvalid lets fragments ("#") into paths ("option
	// accept-unsafe-violations-in-http-request").
	AcceptInvalid bool
	// Counters are where the connection is counted; without any it has its own.
	Counters *Counters

	cfg *Config
	o   Owner
	err error // why it failed or was given up

	// What comes in.
	header   [frameHeader]byte
	gathered uint8 // bytes of header, or of the preface
	started  bool  // the preface was read
	settings bool  // the peer's first settings were read
	acked    bool  // the peer knows our settings
	inFrame  bool
	f        frame
	left     uint32  // payload bytes still to come
	pad      uint32  // of those, padding at the end
	data     *Stream // whose the DATA frame is, nil: nobody's
	part     []byte  // the start of a frame's payload
	block    []byte  // the start of a head that CONTINUATION frames go on
	head     frame   // the HEADERS frame of block
	more     int     // CONTINUATION frames of block
	dec      decoder

	// Streams.
	buckets   []*Stream // buckets; the length is a power of two
	streams   int       // open ones, as the owner sees it
	complete  int       // of those, that have ended well
	last      uint32    // the highest that was opened
	accepted  uint32    // the highest of the peer's that was not refused
	total     int       // how many were
	old       [32]uint32
	olds      uint32
	late      []uint32 // closed streams that lack just the peer's END_STREAM, see finishLate
	receiving int      // streams that DATA is expected of

	// Flow control, in bytes.
	recvWin, increment int64 // what the peer may send; what was given back since it was told
	granted            int64 // the peer's window, when nothing is under way
	extra              int64 // what streams hold and may receive beyond their initial windows
	sendWin            int64
	recvInit, sendInit int64 // of new streams

	peerFrame   uint32
	peerStreams uint32
	peerConnect bool

	// What goes out.
	out      []chunk
	pending  int // bytes
	control  int // frames that answer the peer's
	waiting  queue
	turns    int    // streams that were told of room and have not used it
	walking  bool   // through all streams: nobody is woken
	shrink   bool   // the peer changed the size of our table, which we do not use
	goneAway bool   // GOAWAY was sent
	goAwayID uint32 // the last stream that is accepted
	peerAway bool   // GOAWAY was received
	peerID   uint32 // streams above are not processed by the peer
	glitches int
	useless  int
	early    int
	rsts     int // since Throttled was asked
	frames   int
	pongs    int
	aborted  bool
}

// Init makes c a new connection and queues what a connection begins with: the
// preface in the client's role, and settings. The connection's window follows
// the acknowledgement of the peer's.
func (c *Conn) Init(cfg *Config, o Owner) {
	*c = Conn{
		Secure: c.Secure, Lenient: c.Lenient, AcceptInvalid: c.AcceptInvalid, Counters: c.Counters, cfg: cfg, o: o,
		out: c.out[:0], buckets: c.buckets,
		recvWin: defaultWindow, granted: defaultWindow, sendWin: defaultWindow, recvInit: int64(cfg.window()), sendInit: defaultWindow,
		peerFrame: minFrame, peerStreams: maxID, goAwayID: maxID, peerID: maxID,
	}
	if c.Counters == nil {
		c.Counters = new(Counters)
	}
	clear(c.buckets)
	c.dec.init(cfg.headerTable())
	if cfg.Server {
		c.recvInit = max(c.recvInit, defaultWindow) // until the client knows of a smaller one
	} else {
		c.started = true
	}
	c.begin()
}

func (c *Conn) begin() {
	ch := c.space(128)
	b := ch.b
	if !c.cfg.Server {
		b = append(b, preface...)
	}
	at := len(b)
	b = appendFrame(b, 0, frameSettings, 0, 0)
	if n := c.cfg.headerTable(); n != defaultTable {
		b = appendSetting(b, setHeaderTable, n)
	}
	if !c.cfg.Server {
		b = appendSetting(b, setEnablePush, 0)
	} else {
		b = appendSetting(b, setMaxStreams, uint32(c.cfg.maxStreams()))
	}
	if n := c.cfg.window(); n != defaultWindow {
		b = appendSetting(b, setInitialWindow, n)
	}
	if n := c.cfg.maxFrame(); n != minFrame {
		b = appendSetting(b, setMaxFrame, n)
	}
	if c.cfg.Server && c.cfg.ExtendedConnect {
		b = appendSetting(b, setExtendedConnect, 1)
	}
	b[at+2] = byte(len(b) - at - frameHeader)
	c.grew(ch, b)
}

// Feed takes in bytes from the peer, all of p; it keeps no reference to p. An
// error is an *[Error]: a GOAWAY that says so is queued, the connection is to be
// closed when that was sent, and Feed returns the same error from then on.
func (c *Conn) Feed(p []byte) error {
	if c.err != nil {
		return c.err
	}
	if !c.started {
		n := min(len(p), len(preface)-int(c.gathered))
		if string(p[:n]) != preface[c.gathered:int(c.gathered)+n] {
			return c.fail(ProtocolError, "no client preface")
		}
		c.gathered += uint8(n)
		if p = p[n:]; int(c.gathered) < len(preface) {
			return nil
		}
		c.started, c.gathered = true, 0
	}
	for len(p) > 0 {
		if !c.inFrame {
			h := p
			if c.gathered > 0 || len(p) < frameHeader {
				n := copy(c.header[c.gathered:], p)
				p = p[n:]
				if c.gathered += uint8(n); c.gathered < frameHeader {
					return nil
				}
				h, c.gathered = c.header[:], 0
			} else {
				p = p[frameHeader:]
			}
			c.f = parseFrame(h)
			c.left = c.f.len
			if err := c.beginFrame(); err != nil {
				return err
			}
			c.Counters.came(c.f.kind)
			c.inFrame = true
		}
		var err error
		if p, err = c.payload(p); err != nil {
			return err
		}
		if c.inFrame {
			continue
		}
		c.frames++
		if c.control > maxControl {
			return c.fail(EnhanceYourCalm, "answers are not read")
		}
		if c.useless > maxUseless {
			return c.fail(EnhanceYourCalm, "too many frames of no use")
		}
	}
	return nil
}

// beginFrame looks at a frame's header. It has a case for each kind of frame, with
// what RFC 9113 6 asks of it.
func (c *Conn) beginFrame() error {
	f := &c.f
	if f.len > c.cfg.maxFrame() {
		return c.fail(FrameSize, "frame above the maximum size")
	}
	if c.block != nil && (f.kind != frameContinuation || f.id != c.head.id) {
		return c.fail(ProtocolError, "another frame within a head")
	}
	if !c.settings && (f.kind != frameSettings || f.has(flagAck)) {
		return c.fail(ProtocolError, "no settings at the beginning")
	}
	switch f.kind {
	case frameData:
		return c.beginData()
	case frameHeaders:
		if f.id == 0 {
			return c.fail(ProtocolError, "HEADERS on stream 0")
		}
	case framePriority:
		if f.id == 0 {
			return c.fail(ProtocolError, "PRIORITY on stream 0")
		}
		if f.len != 5 {
			return c.fail(FrameSize, "PRIORITY of wrong size")
		}
		c.useless++
	case frameRst:
		if f.len != 4 {
			return c.fail(FrameSize, "RST_STREAM of wrong size")
		}
		if f.id == 0 || c.isIdle(f.id) {
			return c.fail(ProtocolError, "RST_STREAM on an idle stream")
		}
	case frameSettings:
		switch {
		case f.id != 0:
			return c.fail(ProtocolError, "SETTINGS on a stream")
		case f.len%6 != 0 || f.has(flagAck) && f.len > 0:
			return c.fail(FrameSize, "SETTINGS of wrong size")
		}
		c.useless++
	case framePushPromise:
		return c.fail(ProtocolError, "PUSH_PROMISE")
	case framePing:
		if f.id != 0 {
			return c.fail(ProtocolError, "PING on a stream")
		}
		if f.len != 8 {
			return c.fail(FrameSize, "PING of wrong size")
		}
	case frameGoAway:
		if f.id != 0 {
			return c.fail(ProtocolError, "GOAWAY on a stream")
		}
		if f.len < 8 {
			return c.fail(FrameSize, "GOAWAY of wrong size")
		}
	case frameWindowUpdate:
		if f.len != 4 {
			return c.fail(FrameSize, "WINDOW_UPDATE of wrong size")
		}
		if f.id != 0 && c.isIdle(f.id) {
			return c.fail(ProtocolError, "WINDOW_UPDATE on an idle stream")
		}
	case frameContinuation:
		if c.block == nil {
			return c.fail(ProtocolError, "CONTINUATION of nothing")
		}
		if c.more++; c.more > maxContinuations {
			return c.fail(EnhanceYourCalm, "too many CONTINUATION frames")
		}
		if int(f.len) > cap(c.block)-len(c.block) {
			return c.fail(EnhanceYourCalm, "head too large")
		}
		if f.len == 0 || c.more > 1 {
			return c.glitch()
		}
	default:
		c.useless++
	}
	return nil
}

// payload takes what p has of the frame's payload, and acts when it is complete.
func (c *Conn) payload(p []byte) ([]byte, error) {
	n := min(int(c.left), len(p))
	switch {
	case c.f.kind == frameData:
		if err := c.takeData(p[:n]); err != nil {
			return nil, err
		}
		c.left -= uint32(n)
		if c.left > 0 {
			return p[n:], nil
		}
		c.inFrame = false
		return p[n:], c.endData()
	case c.f.kind > frameContinuation:
		c.left -= uint32(n)
		c.inFrame = c.left > 0
		return p[n:], nil
	case c.f.kind == frameContinuation:
		c.block = append(c.block, p[:n]...)
		if c.left -= uint32(n); c.left > 0 {
			return p[n:], nil
		}
		c.inFrame = false
		if !c.f.has(flagEndHeaders) {
			return p[n:], nil
		}
		b := c.block
		c.block = nil
		err := c.headers(&c.head, b)
		c.o.Release(b)
		return p[n:], err
	}
	if n < int(c.left) || c.part != nil {
		if c.part == nil {
			if c.part = c.o.Buffer()[:0]; int(c.f.len) > cap(c.part) {
				return nil, c.fail(EnhanceYourCalm, "frame larger than a buffer")
			}
		}
		c.part = append(c.part, p[:n]...)
		if c.left -= uint32(n); c.left > 0 {
			return p[n:], nil
		}
	}
	c.inFrame, c.left = false, 0
	if b := c.part; b != nil {
		c.part = nil
		err := c.whole(b)
		c.o.Release(b)
		return p[n:], err
	}
	return p[n:], c.whole(p[:n])
}

// whole acts on a frame whose payload is complete.
func (c *Conn) whole(b []byte) error {
	f := &c.f
	switch f.kind {
	case frameHeaders:
		return c.headersFrame(b)
	case framePriority:
		if binary.BigEndian.Uint32(b)&maxID == f.id {
			return c.fail(ProtocolError, "stream that depends on itself")
		}
	case frameRst:
		return c.rst(ErrCode(binary.BigEndian.Uint32(b)))
	case frameSettings:
		return c.settingsFrame(b)
	case framePing:
		if f.has(flagAck) {
			c.pongs++
		} else {
			ch := c.space(frameHeader + 8)
			c.answered(ch, append(appendFrame(ch.b, 8, framePing, flagAck, 0), b...))
		}
	case frameGoAway:
		c.goAwayFrame(binary.BigEndian.Uint32(b)&maxID, ErrCode(binary.BigEndian.Uint32(b[4:])))
	case frameWindowUpdate:
		return c.windowUpdate(int64(binary.BigEndian.Uint32(b) & maxID))
	}
	return nil
}

// headersFrame cuts padding and priority off a HEADERS frame.
func (c *Conn) headersFrame(b []byte) error {
	f := &c.f
	pad := 0
	if f.has(flagPadded) {
		if len(b) < 1 {
			return c.fail(FrameSize, "HEADERS of wrong size")
		}
		pad, b = int(b[0]), b[1:]
	}
	if f.has(flagPriority) {
		if len(b) < 5 {
			return c.fail(FrameSize, "HEADERS of wrong size")
		}
		if binary.BigEndian.Uint32(b)&maxID == f.id {
			return c.fail(ProtocolError, "stream that depends on itself")
		}
		b = b[5:]
	}
	if pad > len(b) {
		return c.fail(ProtocolError, "more padding than payload")
	}
	b = b[:len(b)-pad]
	if f.has(flagEndHeaders) {
		return c.headers(f, b)
	}
	c.head, c.more = *f, 0
	c.block = c.o.Buffer()[:0]
	if len(b) > cap(c.block) {
		return c.fail(EnhanceYourCalm, "head too large")
	}
	c.block = append(c.block, b...)
	if len(b) == 0 {
		return c.glitch()
	}
	return nil
}

// settingsFrame takes over the peer's settings.
func (c *Conn) settingsFrame(b []byte) error {
	if c.f.has(flagAck) {
		if c.acked {
			return c.glitch()
		}
		c.acked = true
		if n := int64(c.cfg.window()); n != c.recvInit {
			delta := n - c.recvInit
			c.recvInit = n
			c.each(func(s *Stream) {
				s.recvWin += delta
				s.grant() // it may be below 0, and all consumed
			})
		}
		return nil
	}
	if err := c.applySettings(b); err != nil {
		return err
	}
	first := !c.settings
	c.settings = true
	ch := c.space(frameHeader)
	c.answered(ch, appendFrame(ch.b, 0, frameSettings, flagAck, 0))
	if n := c.cfg.connWindow() - defaultWindow; first && n > 0 {
		// In HAProxy's order: the peer's settings are always the first that comes, so
		// that nobody waits for it.
		c.grantWindow(0, n)
		c.recvWin += n
		c.granted += n
	}
	return nil
}

func (c *Conn) applySettings(b []byte) error {
	window := c.sendInit
	for ; len(b) >= 6; b = b[6:] {
		id, n := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])
		if code, why := badSetting(id, n, c.cfg.Server); why != "" {
			return c.fail(code, why)
		}
		switch id {
		case setHeaderTable:
			c.shrink = true // we use none, and say so
		case setMaxStreams:
			c.peerStreams = n
		case setInitialWindow:
			window = int64(n)
		case setMaxFrame:
			c.peerFrame = n
		case setExtendedConnect:
			if n == 0 && c.peerConnect {
				return c.fail(ProtocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL taken back")
			}
			c.peerConnect = n == 1
		}
	}
	return c.changeWindows(window) // once: a frame may say thousands
}

// badSetting tells what is wrong with a setting of the peer's; "" is nothing.
func badSetting(id uint16, n uint32, server bool) (ErrCode, string) {
	switch {
	case id == setEnablePush && (n > 1 || n == 1 && !server):
		return ProtocolError, "invalid SETTINGS_ENABLE_PUSH"
	case id == setInitialWindow && n > maxWindow:
		return FlowControl, "invalid SETTINGS_INITIAL_WINDOW_SIZE"
	case id == setMaxFrame && (n < minFrame || n > maxFrame):
		return ProtocolError, "invalid SETTINGS_MAX_FRAME_SIZE"
	case id == setExtendedConnect && n > 1:
		return ProtocolError, "invalid SETTINGS_ENABLE_CONNECT_PROTOCOL"
	}
	return NoError, ""
}

// changeWindows is a change of the peer's SETTINGS_INITIAL_WINDOW_SIZE: windows
// may become negative (RFC 9113 6.9.2).
func (c *Conn) changeWindows(n int64) error {
	delta := n - c.sendInit
	if delta == 0 {
		return nil
	}
	c.sendInit = n
	over, odd := false, false
	c.each(func(s *Stream) {
		was := s.sendWin
		s.sendWin += delta
		over = over || s.sendWin > maxWindow
		odd = odd || was >= 0 && s.sendWin < 0
		if s.blocked && s.sendWin > 0 {
			s.blocked = false
			c.o.Changed(s)
		}
	})
	if over {
		return c.fail(FlowControl, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large")
	}
	if odd && c.settings {
		return c.glitch() // it comes late
	}
	return nil
}

func (c *Conn) windowUpdate(n int64) error {
	if c.f.id == 0 {
		switch {
		case n == 0:
			return c.fail(ProtocolError, "WINDOW_UPDATE of 0")
		case c.sendWin+n > maxWindow:
			return c.fail(FlowControl, "WINDOW_UPDATE makes the window too large")
		}
		c.sendWin += n
		c.wake()
		return nil
	}
	s := c.find(c.f.id)
	if s == nil || s.err != nil || s.sentEnd {
		if n == 0 {
			return c.glitch()
		}
		return nil
	}
	switch {
	case n == 0:
		return c.streamError(s, ProtocolError)
	case s.sendWin+n > maxWindow:
		return c.streamError(s, FlowControl)
	}
	s.sendWin += n
	if s.blocked && s.sendWin > 0 {
		s.blocked = false
		c.o.Changed(s)
	}
	return nil
}

// goAwayFrame is the peer's last word: streams above last will not be processed.
func (c *Conn) goAwayFrame(last uint32, code ErrCode) {
	c.peerAway = true
	if c.cfg.Server {
		return
	}
	c.peerID = min(c.peerID, last)
	c.each(func(s *Stream) {
		if s.ID > c.peerID && s.err == nil && !s.recvEnd {
			c.broken(s, resetError(RefusedStream, true))
		}
	})
}

// GoAway queues a GOAWAY. With [NoError] streams that were opened go on, those
// that the peer opens from now on are not accepted; saying it again is of no
// effect. Another code is for a connection that will be closed at once.
func (c *Conn) GoAway(code ErrCode) {
	if c.err != nil {
		return
	}
	if code == NoError && c.goneAway && c.goAwayID == c.accepted {
		return
	}
	c.goAway(code, c.accepted)
}

func (c *Conn) goAway(code ErrCode, last uint32) {
	c.goneAway, c.goAwayID = true, last
	ch := c.space(frameHeader + 8)
	c.grew(ch, append32(append32(appendFrame(ch.b, 8, frameGoAway, 0, 0), last), uint32(code)))
}

// LeaveSoon tells a client to go to another connection. Streams that may be on
// their way are still accepted, until [Conn.GoAway] says which one was the last
// (RFC 9113 6.8). For a server it is GoAway.
func (c *Conn) LeaveSoon() {
	if c.goneAway {
		return
	}
	if c.cfg.Server {
		c.goAway(NoError, uint32(min(int64(c.last)+2*int64(c.cfg.maxStreams()), maxID)))
	} else {
		c.GoAway(NoError)
	}
}

// Accepting tells whether streams that the peer opens from now on are accepted.
func (c *Conn) Accepting() bool {
	return c.err == nil && !c.peerAway && (!c.goneAway || c.goAwayID > c.last)
}

// fail ends the connection.
func (c *Conn) fail(code ErrCode, reason string) error {
	if c.err != nil {
		return c.err
	}
	c.glitches++
	c.Counters.failed(code)
	return c.Quit(code, reason)
}

// Quit ends the connection by our own choice, with a GOAWAY. The rest is as after an
// error of Feed: see [Conn.Abort].
func (c *Conn) Quit(code ErrCode, reason string) error {
	if c.err == nil {
		c.goAway(code, c.accepted)
		c.err = &Error{code, reason}
		c.drop()
	}
	return c.err
}

// drop gives back the buffers of what comes in.
func (c *Conn) drop() {
	if c.part != nil {
		c.o.Release(c.part)
		c.part = nil
	}
	if c.block != nil {
		c.o.Release(c.block)
		c.block = nil
	}
	c.data = nil
}

// glitch counts an oddity of the peer that is tolerated up to a point.
func (c *Conn) glitch() error {
	c.glitches++
	if most := c.cfg.Glitches; most > 0 {
		if c.glitches >= most && !c.Lenient {
			return c.fail(EnhanceYourCalm, "too many glitches")
		}
		if c.glitches >= most*3/4 {
			c.LeaveSoon()
		}
	}
	return nil
}

// givenUp counts a stream that ended for the peer's sake before its answer: work
// that an attacker gets for nothing.
func (c *Conn) givenUp() error {
	c.early++
	switch {
	case c.early > maxEarlyResets:
		return c.fail(EnhanceYourCalm, "too many streams given up")
	case c.early > maxEarlyResets*3/4:
		c.LeaveSoon()
	}
	return nil
}

// streamError resets a stream for a mistake of the peer.
func (c *Conn) streamError(s *Stream, code ErrCode) error {
	c.Counters.StreamErrors.Add(1)
	c.refuseFrame(s.ID, code)
	answered := s.headSent || s.final
	c.broken(s, resetError(code, false))
	if !answered && c.cfg.Server {
		if err := c.givenUp(); err != nil {
			return err
		}
	}
	return c.glitch()
}

// rst is an RST_STREAM from the peer.
func (c *Conn) rst(code ErrCode) error {
	c.rsts++
	c.finishLate(c.f.id)
	s := c.find(c.f.id)
	if s == nil || s.err != nil || s.over() {
		return nil
	}
	s.peerReset = true
	if !c.cfg.Server && s.recvEnd {
		// The answer is complete: the server just wants no more of the request
		// (RFC 9113 8.1).
		if !s.sentEnd {
			s.sentEnd, s.swallow = true, true
			c.leaveQueue(s)
			c.ended(s)
		}
		c.o.Changed(s)
		return nil
	}
	early := !s.headSent && !s.final
	c.broken(s, resetError(code, !c.cfg.Server && code == RefusedStream))
	if early && c.cfg.Server {
		return c.givenUp()
	}
	return nil
}

// broken ends a stream by an error and lets its owner know.
func (c *Conn) broken(s *Stream, err error) {
	c.setErr(s, err)
	c.o.Changed(s)
}

// setErr ends a stream: nothing is sent or received any more. What was received
// of a response is kept; of a request it is of no use, and what is thrown away
// must not look complete to its reader.
func (c *Conn) setErr(s *Stream, err error) {
	if s.over() {
		c.complete-- // it counts again, until the owner has closed it
	}
	s.err = err
	s.account()
	s.blocked = false
	s.notReceiving()
	if s.queued > 0 && c.cfg.Server {
		s.forget()
		s.recvEnd = false
	}
	c.leaveQueue(s)
	if c.data == s {
		c.data = nil
	}
}

// reset queues an RST_STREAM.
func (c *Conn) reset(id uint32, code ErrCode) {
	ch := c.space(frameHeader + 4)
	c.answered(ch, append32(appendFrame(ch.b, 4, frameRst, 0, id), uint32(code)))
}

// refuseFrame resets the stream of a frame that is not as it should be.
func (c *Conn) refuseFrame(id uint32, code ErrCode) {
	c.Counters.RstSent.Add(1)
	c.reset(id, code)
}

// Ping queues a PING.
func (c *Conn) Ping() {
	if c.err != nil {
		return
	}
	ch := c.space(frameHeader + 8)
	c.grew(ch, append(appendFrame(ch.b, 8, framePing, 0, 0), "forebay!"...))
}

// Pongs is how many PINGs the peer has acknowledged.
func (c *Conn) Pongs() int { return c.pongs }

// Abort ends the connection: its streams fail with err and wait to be closed, but
// for those that are complete on both sides; nothing more is sent. After an error of Feed or Quit, what is queued, with the
// GOAWAY at its end, stays to be sent until Abort is called again.
func (c *Conn) Abort(err error) {
	failed := c.err != nil && !c.aborted
	c.aborted = true
	if c.err == nil {
		c.Counters.Lost.Add(c.lost())
		c.err = err
	}
	c.drop()
	if !failed {
		c.dropOut()
	}
	c.each(func(s *Stream) {
		if s.err == nil && !s.over() {
			c.broken(s, err)
		}
	})
}

// Free gives the connection's memory back. The streams have to be closed still.
func (c *Conn) Free() {
	if c.err == nil {
		c.err = ErrNoStream
	}
	c.drop()
	c.dropOut()
	c.each(func(s *Stream) { s.discard() })
	c.dec = decoder{}
	c.out = nil
	if c.streams == 0 {
		c.buckets = nil
	}
}

// Draining tells whether no new streams are to be opened: a GOAWAY was sent or
// received, or the connection has ended.
func (c *Conn) Draining() bool { return c.goneAway || c.peerAway || c.err != nil }

// Streams is how many streams are open: those that the owner has not closed.
func (c *Conn) Streams() int { return c.streams }

// Idle tells whether there are no streams and nothing is to be sent.
func (c *Conn) Idle() bool { return c.streams == 0 && c.pending == 0 }

// Available is how many streams may be opened now (client role).
func (c *Conn) Available() int {
	if c.cfg.Server || c.Draining() || c.Full() {
		return 0
	}
	n := min(int64(c.peerStreams), int64(c.cfg.maxStreams())) - int64(c.streams) - int64(len(c.late))
	return int(max(0, min(n, int64(maxID-c.last)/2)))
}

// Glitches is how many oddities of the peer were tolerated: see the README.
func (c *Conn) Glitches() int { return c.glitches }

// PeerSettings tells whether the peer's settings have come.
func (c *Conn) PeerSettings() bool { return c.settings }

// PeerExtendedConnect tells whether the peer's settings allow extended CONNECT
// (RFC 8441 3).
func (c *Conn) PeerExtendedConnect() bool { return c.peerConnect }

// Throttled tells whether more frames came since it was last asked than are to be
// taken at once ([Config.MaxRst], [Config.MaxFrames]): the owner lets others
// have their turn before it reads on.
func (c *Conn) Throttled() bool {
	yes := c.cfg.MaxRst > 0 && c.rsts >= c.cfg.MaxRst || c.cfg.MaxFrames > 0 && c.frames >= c.cfg.MaxFrames
	c.rsts, c.frames = 0, 0
	return yes
}

// EachStream calls f with every open stream; f must not close any but its own.
func (c *Conn) EachStream(f func(*Stream)) { c.each(f) }
