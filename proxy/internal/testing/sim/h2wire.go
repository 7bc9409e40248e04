package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire is a simulated peer's end of an HTTP/2 connection: frames in random order
// and sizes, both directions of flow control, and what each side knows of the
// other's settings. It is made of golang.org/x/net's Framer and hpack, which have
// nothing in common with the proxy's.
//
// It holds the proxy to the protocol: what it sends that its peer has not
// allowed is an error.
type wire struct {
	w      *World
	rnd    *rand.Rand
	e      *end
	owner  wireOwner
	server bool

	in     []byte
	rd     bytes.Reader
	out    bytes.Buffer
	fr     *http2.Framer
	enc    *hpack.Encoder
	encBuf bytes.Buffer
	dec    *hpack.Decoder

	greeted   bool // the proxy's preface has come
	shy       bool // says nothing before that
	mine      prefs
	sent      []prefs // not acknowledged yet, oldest first
	theirs    prefs
	known     bool // theirs have come
	smaller   bool // the proxy has to say that its table shrank
	pings     [][8]byte
	recvWin   int64
	sendWin   int64
	target    int64
	granting  bool
	strands   map[uint32]*strand
	order     []*strand // those that may have something to send
	block     []byte    // of a head that is not complete
	blockEnds bool      // with it the message
	next      uint32    // the next stream to be opened
	highest   uint32    // the highest stream that was opened
	awayID    uint32    // of the GOAWAY that was sent
	away      bool      // GOAWAY was sent
	aways     []uint32  // last streams of those of which the proxy may not know yet
	warned    bool      // it knows of one
	warnedID  uint32
	proxyAway bool   // it was received
	proxyID   uint32 // its last stream
	loose     bool   // this end broke the protocol: the proxy may do as it likes
	deaf      bool   // what it says then is not understood any more

	noise     int // one in so many frames is of no use
	noises    int // how many there were
	writePace int
	readPace  int
	abortAt   int // bytes written, -1: never
	count     int
	paused    bool
	resting   bool // does not read for now
	stalled   bool // gives no room
	waker
	ended bool
}

// prefs are the settings of one side.
type prefs struct {
	window, frame, table, streams uint32
	connect                       bool
}

var defaults = prefs{window: 65535, frame: 16384, table: 4096, streams: 1 << 30}

// strand is a stream as a simulated peer sees it.
type strand struct {
	id               uint32
	t                *truth
	recvWin, sendWin int64
	target           int64
	granting         bool

	// What is to be sent.
	heads   [][]hpack.HeaderField
	body    []byte
	off     int
	tail    []hpack.HeaderField
	fin     bool // nothing will be added
	hold    bool // the body has to wait
	cutAt   int  // bytes of the body after which something else happens, -1: never
	sentEnd bool
	began   bool // the final head was sent

	// What was received.
	head    *head // the final one
	got     int
	gotEnd  bool
	trailer string
	upgrade bool // was asked for
	tunnel  bool

	dead    bool // reset by one of the sides, or refused
	byProxy bool // it was the proxy

	// The owner's.
	nonce   int
	started bool // it has begun to be answered
	length  bool // its length was said
	bare    bool // the request is a head alone: it can be sent again
	over    bool
}

func (s *strand) open() bool { return !s.dead && !(s.sentEnd && s.gotEnd) }

// told tells whether all of the message was sent but an empty frame that ends it:
// without a body it is complete with its head, and the proxy need not wait.
func (s *strand) told() bool { return s.began && s.tail == nil && len(s.body) == 0 }

// wireOwner is the client or server that a wire belongs to.
type wireOwner interface {
	// head is a complete field block: a request when s is new, a response, or
	// trailers.
	head(s *strand, h *head, isNew bool) error
	data(s *strand, p []byte) error
	end(s *strand) error
	reset(s *strand, code http2.ErrCode) error
	goAway(last uint32, code http2.ErrCode) error
	// cut is when the part of a body before its cutAt was sent.
	cut(s *strand)
	// finished is when the end of a message was sent.
	finished(s *strand)
	// turn is called before frames are made.
	turn()
	over(reset bool)
	aborted()
	// plain is given what comes and is not HTTP/2: it was not agreed on yet, or the
	// proxy does not begin with its preface.
	plain(in []byte) error
	fail(err error)
}

func (c *wire) init(w *World, rnd *rand.Rand, owner wireOwner, server bool) {
	c.w, c.rnd, c.owner, c.server = w, rnd, owner, server
	c.fr = http2.NewFramer(&c.out, &c.rd)
	c.fr.SetMaxReadFrameSize(1<<24 - 1)
	c.enc = hpack.NewEncoder(&c.encBuf)
	c.dec = hpack.NewDecoder(4096, nil)
	c.mine, c.theirs = defaults, defaults
	c.recvWin, c.sendWin = 65535, 65535
	c.strands = make(map[uint32]*strand)
	c.proxyID, c.awayID = 1<<31-1, 1<<31-1
	c.abortAt = -1
	c.greeted = !server
	c.target = 20000 + rnd.Int64N(1<<(10+rnd.IntN(12)))
	c.noise = []int{0, 10, 10, 100}[rnd.IntN(4)]
	if rnd.IntN(6) == 0 {
		c.writePace = 16 << rnd.IntN(10)
	}
	if rnd.IntN(6) == 0 {
		c.readPace = 256 << rnd.IntN(9)
	}
}

// draw makes random settings.
func (c *wire) draw() prefs {
	rnd := c.rnd
	p := defaults
	switch rnd.IntN(6) {
	case 0:
		p.window = uint32(rnd.IntN(3))
	case 1:
		p.window = uint32(rnd.IntN(20000))
	case 2:
		p.window = uint32(65536 + rnd.IntN(1<<20))
	}
	if rnd.IntN(3) == 0 {
		p.frame = uint32(16384 + rnd.IntN(1<<17))
	}
	if rnd.IntN(3) == 0 {
		p.table = []uint32{0, 60, 1000, 65536}[rnd.IntN(4)]
	}
	if c.server {
		p.streams = []uint32{1, 2, 5, 100, 1 << 30}[rnd.IntN(5)]
		p.connect = true
	}
	return p
}

// tell sends settings. They count once the proxy has acknowledged them.
func (c *wire) tell(p prefs) {
	was := c.mine
	if n := len(c.sent); n > 0 {
		was = c.sent[n-1]
	}
	var list []http2.Setting
	add := func(id http2.SettingID, before, v uint32) {
		if before != v || c.rnd.IntN(8) == 0 {
			list = append(list, http2.Setting{ID: id, Val: v})
		}
	}
	add(http2.SettingInitialWindowSize, was.window, p.window)
	add(http2.SettingMaxFrameSize, was.frame, p.frame)
	add(http2.SettingHeaderTableSize, was.table, p.table)
	if c.server {
		add(http2.SettingMaxConcurrentStreams, was.streams, p.streams)
		if p.connect && !was.connect {
			list = append(list, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		}
	} else if c.rnd.IntN(2) == 0 {
		list = append(list, http2.Setting{ID: http2.SettingEnablePush})
	}
	if c.rnd.IntN(4) == 0 {
		list = append(list, http2.Setting{ID: 0x4a4a, Val: c.rnd.Uint32()}) // to be ignored
	}
	c.rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	c.sent = append(c.sent, p)
	c.fr.WriteSettings(list...)
}

func (c *wire) wake(*end) {
	if !c.ended {
		c.soon(c.w, c.rnd, c.run)
	}
}

// later does f, unless the connection has ended by then, and goes on.
func (c *wire) later(d int64, f func()) {
	c.w.after(d, func() {
		if !c.ended {
			f()
			c.work()
		}
	})
}

func (c *wire) close(rst bool) {
	if !c.ended {
		c.ended = true
		c.e.close(rst)
	}
}

func (c *wire) run() {
	if c.ended || c.e.state == connecting {
		return
	}
	if c.e.state == failed {
		c.owner.over(true)
		return
	}
	c.read()
	c.work()
}

func (c *wire) read() {
	for !c.ended && !c.resting {
		want := max(len(c.e.rx), 1)
		if c.readPace > 0 {
			want = min(want, c.readPace)
		}
		buf := make([]byte, want)
		n, no := c.e.read(buf)
		if no == 11 {
			return
		}
		if no != 0 || n == 0 {
			c.owner.over(no != 0)
			return
		}
		c.in = append(c.in, buf[:n]...)
		if err := c.frames(); err != nil {
			if !c.loose {
				c.owner.fail(err)
				return
			}
			c.deaf = true
		}
		if c.readPace > 0 && !c.ended {
			c.resting = true
			c.w.after(c.rnd.Int64N(1e6), func() {
				c.resting = false
				c.run()
			})
		}
	}
}

// frames takes complete frames out of what was read.
func (c *wire) frames() error {
	for !c.ended && len(c.in) > 0 {
		if c.deaf {
			c.in = nil
			return nil
		}
		if !c.server && (!c.greeted || !c.known && c.in[0] == 'H') {
			return c.owner.plain(c.in)
		}
		if !c.greeted {
			n := min(len(c.in), len(http2.ClientPreface))
			if string(c.in[:n]) != http2.ClientPreface[:n] {
				return c.owner.plain(c.in)
			}
			if n < len(http2.ClientPreface) {
				return nil
			}
			c.in = c.in[n:]
			c.greeted = true
			if c.shy {
				c.shy = false
				c.tell(c.draw())
			}
		}
		if len(c.in) < 9 {
			return nil
		}
		n := int(c.in[0])<<16 | int(c.in[1])<<8 | int(c.in[2])
		most := c.mine.frame
		for _, p := range c.sent {
			most = max(most, p.frame)
		}
		if n > int(most) {
			return fmt.Errorf("a frame of %d bytes, %d are allowed", n, most)
		}
		if len(c.in) < 9+n {
			return nil
		}
		c.rd.Reset(c.in[:9+n])
		f, err := c.fr.ReadFrame()
		if err != nil {
			return fmt.Errorf("frame %x: %w (%v)", c.in[:9], err, c.fr.ErrorDetail())
		}
		c.in = c.in[9+n:]
		if err := c.frame(f); err != nil {
			return fmt.Errorf("%v: %w", f.Header(), err)
		}
	}
	return nil
}

func (c *wire) frame(f http2.Frame) error {
	id := f.Header().StreamID
	c.w.trace("frame", c.e.c.id, int64(f.Header().Type)<<8|int64(f.Header().Flags), int64(id))
	set, isSettings := f.(*http2.SettingsFrame)
	if !c.known && (!isSettings || set.IsAck()) {
		return fmt.Errorf("it comes before settings")
	}
	if c.warned && id > c.warnedID {
		return fmt.Errorf("the proxy knows that the last stream is %d", c.warnedID)
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.fr.WritePing(true, f.Data)
			return nil
		}
		if len(c.pings) == 0 || c.pings[0] != f.Data {
			return fmt.Errorf("no such PING was sent")
		}
		c.pings = c.pings[1:]
		if f.Data == afterAway {
			c.warned, c.warnedID = true, c.aways[0]
			c.aways = c.aways[1:]
		}
	case *http2.GoAwayFrame:
		if c.proxyAway && f.LastStreamID > c.proxyID {
			return fmt.Errorf("the last stream grows from %d to %d", c.proxyID, f.LastStreamID)
		}
		c.proxyAway, c.proxyID = true, f.LastStreamID
		c.w.note("conn %d: GOAWAY, last stream %d, %v", c.e.c.id, f.LastStreamID, f.ErrCode)
		return c.owner.goAway(f.LastStreamID, f.ErrCode)
	case *http2.WindowUpdateFrame:
		win := &c.sendWin
		if id != 0 {
			s := c.strands[id]
			if s == nil {
				return c.unknown(id)
			}
			win = &s.sendWin
		}
		if *win += int64(f.Increment); *win > 1<<31-1 {
			return fmt.Errorf("the window grows to %d", *win)
		}
	case *http2.RSTStreamFrame:
		s := c.strands[id]
		if s == nil {
			return c.unknown(id)
		}
		if s.byProxy {
			return fmt.Errorf("it was reset before")
		}
		s.byProxy = true
		if s.dead {
			return nil
		}
		s.dead = true
		c.w.note("conn %d: stream %d is reset, %v", c.e.c.id, id, f.ErrCode)
		return c.owner.reset(s, f.ErrCode)
	case *http2.HeadersFrame:
		if f.HasPriority() {
			return fmt.Errorf("it has a priority")
		}
		c.block = append(c.block[:0], f.HeaderBlockFragment()...)
		c.blockEnds = f.StreamEnded()
		if f.HeadersEnded() {
			return c.headers(id, c.blockEnds)
		}
	case *http2.ContinuationFrame:
		c.block = append(c.block, f.HeaderBlockFragment()...)
		if f.HeadersEnded() {
			return c.headers(id, c.blockEnds)
		}
	case *http2.DataFrame:
		return c.dataFrame(f)
	default:
		return fmt.Errorf("it is out of place")
	}
	return nil
}

// afterAway is what a PING behind a GOAWAY holds.
var afterAway = [8]byte{'g', 'o', ' ', 'a', 'w', 'a', 'y'}

// sayAway sends a GOAWAY, and finds out when the proxy has seen it.
func (c *wire) sayAway(last uint32, code http2.ErrCode) {
	c.fr.WriteGoAway(last, code, nil)
	c.aways = append(c.aways, last)
	c.pings = append(c.pings, afterAway)
	c.fr.WritePing(false, afterAway)
}

// unknown is a frame on a stream that there is not: after a GOAWAY those that
// were on their way are none.
func (c *wire) unknown(id uint32) error {
	if c.server && id > c.awayID && id <= c.highest {
		return nil
	}
	return fmt.Errorf("no such stream")
}

func (c *wire) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		if len(c.sent) == 0 {
			return fmt.Errorf("no settings to acknowledge")
		}
		p := c.sent[0]
		c.sent = c.sent[1:]
		// What the proxy sent before this frame kept to the old windows, what comes
		// after keeps to the new ones.
		for _, s := range c.strands {
			s.recvWin += int64(p.window) - int64(c.mine.window)
		}
		c.smaller = c.smaller || p.table < c.mine.table
		c.dec.SetAllowedMaxDynamicTableSize(p.table)
		c.mine = p
		c.grantAll()
		return nil
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		t := &c.theirs
		switch s.ID {
		case http2.SettingInitialWindowSize:
			for _, x := range c.strands {
				x.sendWin += int64(s.Val) - int64(t.window)
			}
			t.window = s.Val
		case http2.SettingMaxFrameSize:
			t.frame = s.Val
		case http2.SettingHeaderTableSize:
			t.table = s.Val
			c.enc.SetMaxDynamicTableSizeLimit(s.Val)
		case http2.SettingMaxConcurrentStreams:
			t.streams = s.Val
		case http2.SettingEnableConnectProtocol:
			t.connect = s.Val == 1
		case http2.SettingEnablePush:
			if c.server && s.Val != 0 {
				return fmt.Errorf("the proxy asks for pushes")
			}
		}
		return nil
	})
	c.known = true
	c.fr.WriteSettingsAck()
	return err
}

func (c *wire) dataFrame(f *http2.DataFrame) error {
	n := int64(f.Header().Length)
	if c.recvWin -= n; c.recvWin < 0 && n > 0 {
		return fmt.Errorf("%d bytes more than the connection's window", -c.recvWin)
	}
	c.grantConn()
	s := c.strands[f.StreamID]
	switch {
	case s == nil:
		return c.unknown(f.StreamID)
	case s.byProxy:
		return fmt.Errorf("the proxy has reset the stream before")
	case s.dead:
		return nil
	case s.gotEnd:
		return fmt.Errorf("the stream has ended")
	case !c.server && s.head == nil:
		return fmt.Errorf("there was no head")
	}
	if s.recvWin -= n; s.recvWin < 0 && n > 0 { // the end alone needs no room
		return fmt.Errorf("%d bytes more than the stream's window", -s.recvWin)
	}
	if err := c.owner.data(s, f.Data()); err != nil {
		return err
	}
	s.got += len(f.Data())
	if f.StreamEnded() && !c.ended {
		s.gotEnd = true
		return c.owner.end(s)
	}
	c.grant(s)
	return nil
}

// headers is a complete field block.
func (c *wire) headers(id uint32, end bool) error {
	s := c.strands[id]
	h, err := c.decode(s != nil && (c.server || s.head != nil))
	if err != nil {
		return err
	}
	isNew := false
	switch {
	case s == nil && !c.server:
		return fmt.Errorf("no such stream")
	case s == nil:
		if id > c.awayID && id <= c.highest {
			return nil // trailers of one that was on its way
		}
		if id&1 == 0 || id <= c.highest {
			return fmt.Errorf("stream %d is not new", id)
		}
		c.highest = id
		if c.warned {
			return fmt.Errorf("the proxy opens stream %d, although it was told to open no more", id)
		}
		if id > c.awayID {
			return nil // it was on its way when the proxy was told
		}
		open := 0
		for _, x := range c.order {
			if x.open() {
				open++
			}
		}
		if open >= int(c.mine.streams) {
			return fmt.Errorf("%d streams are open already", open)
		}
		s, isNew = c.newStrand(), true
		c.enter(s, id)
	case s.byProxy:
		return fmt.Errorf("the proxy has reset the stream before")
	case s.dead:
		return nil
	case s.gotEnd:
		return fmt.Errorf("the stream has ended")
	}
	if !c.server && s.head == nil && h.status == 0 {
		return fmt.Errorf("no status")
	}
	trailers := s.head != nil
	if trailers && !end {
		return fmt.Errorf("trailers that are not the end")
	}
	if err := c.owner.head(s, h, isNew); err != nil || c.ended {
		return err
	}
	if end {
		s.gotEnd = true
		if !s.dead {
			return c.owner.end(s)
		}
		return nil
	}
	c.grant(s)
	return nil
}

// newStrand makes a strand. A client's gets its number when its head is sent:
// numbers have to grow.
func (c *wire) newStrand() *strand {
	s := &strand{cutAt: -1}
	s.target = max(int64(c.mine.window), 2000+c.rnd.Int64N(1<<(8+c.rnd.IntN(10))))
	c.order = append(c.order, s)
	return s
}

// enter gives a strand its number.
func (c *wire) enter(s *strand, id uint32) {
	s.id = id
	s.recvWin, s.sendWin = int64(c.mine.window), int64(c.theirs.window)
	c.strands[id] = s
}

// decode takes the field block apart and looks at what HTTP/2 asks of it.
func (c *wire) decode(trailers bool) (*head, error) {
	if c.smaller {
		if len(c.block) == 0 || c.block[0]&0xe0 != 0x20 {
			return nil, fmt.Errorf("the block does not begin with the table's new size")
		}
		c.smaller = false
	}
	list, err := c.dec.DecodeFull(c.block)
	if err != nil {
		return nil, err
	}
	h := &head{fields: make(map[string]string)}
	regular := false
	for _, f := range list {
		name, value := f.Name, f.Value
		if f.IsPseudo() {
			if regular || trailers {
				return nil, fmt.Errorf("%s is out of place", name)
			}
			if _, ok := h.fields[name]; ok {
				return nil, fmt.Errorf("%s twice", name)
			}
		} else {
			regular = true
		}
		if name != strings.ToLower(name) || strings.TrimSpace(value) != value || strings.ContainsAny(name+value, "\r\n\x00") {
			return nil, fmt.Errorf("field %q: %q", name, value)
		}
		switch name {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "sec-websocket-key", "sec-websocket-accept", "host":
			return nil, fmt.Errorf("field %s in HTTP/2", name)
		}
		if old, ok := h.fields[name]; ok {
			if name == "content-length" || strings.HasPrefix(name, "x-") {
				return nil, fmt.Errorf("field %s twice: %q and %q", name, old, value)
			}
			value = old + "," + value
		}
		h.fields[name] = value
	}
	if v, ok := h.fields[":status"]; ok {
		if h.status, err = strconv.Atoi(v); err != nil || c.server || h.status == 101 {
			return nil, fmt.Errorf("status %q", v)
		}
	}
	return h, nil
}

// grantConn gives the proxy room on the connection when it has little.
func (c *wire) grantConn() {
	if c.granting || c.recvWin >= c.target/2 || c.ended {
		return
	}
	c.granting = true
	c.later(c.rnd.Int64N(1<<(8+c.rnd.IntN(14))), func() {
		c.granting = false
		if !c.stalled && c.recvWin < c.target {
			n := c.roomFor(c.target - c.recvWin)
			c.recvWin += n
			c.fr.WriteWindowUpdate(0, uint32(n))
			c.grantConn()
		}
	})
}

// grant does the same for a stream.
func (c *wire) grant(s *strand) {
	if s.granting || s.id == 0 || s.recvWin >= s.target/2 || s.gotEnd || s.dead || c.ended {
		return
	}
	s.granting = true
	c.later(c.rnd.Int64N(1<<(8+c.rnd.IntN(14))), func() {
		s.granting = false
		if !c.stalled && !s.dead && !s.gotEnd && s.recvWin < s.target {
			n := c.roomFor(s.target - s.recvWin)
			s.recvWin += n
			c.fr.WriteWindowUpdate(s.id, uint32(n))
			c.grant(s)
		}
	})
}

func (c *wire) roomFor(most int64) int64 {
	if c.rnd.IntN(3) == 0 {
		return 1 + c.rnd.Int64N(most)
	}
	return most
}

// grantAll looks at all windows again.
func (c *wire) grantAll() {
	c.grantConn()
	for _, s := range c.order {
		c.grant(s)
	}
}

// rst resets a stream.
func (c *wire) rst(s *strand, code http2.ErrCode) {
	if s.dead {
		return
	}
	c.w.note("conn %d: peer resets stream %d, %v", c.e.c.id, s.id, code)
	s.dead = true
	if s.id != 0 {
		c.fr.WriteRSTStream(s.id, code)
	}
}

// enough is how many bytes stand in the output before no more are made.
const enough = 8 << 10

// work makes frames and sends them, as far as they go.
func (c *wire) work() {
	if c.ended || c.e.state != established {
		return
	}
	c.owner.turn()
	for !c.ended {
		for c.out.Len() < enough && !c.ended && c.produce() {
		}
		if c.out.Len() == 0 || !c.flush() {
			return
		}
	}
}

// flush tells whether all went out.
func (c *wire) flush() bool {
	for c.out.Len() > 0 {
		if c.paused || c.ended {
			return false
		}
		p := c.out.Bytes()
		if c.writePace > 0 {
			p = p[:min(len(p), c.writePace)]
		}
		if c.abortAt >= 0 {
			if c.count >= c.abortAt {
				c.owner.aborted()
				return false
			}
			p = p[:min(len(p), c.abortAt-c.count)]
		}
		n, no := c.e.send(p, false)
		if no != 0 && no != 11 {
			c.out.Reset()
			return false // the reading side will tell
		}
		c.count += n
		c.out.Next(n)
		if n == 0 {
			return false
		}
		if c.writePace > 0 {
			c.paused = true
			c.w.after(c.rnd.Int64N(1e6), func() {
				c.paused = false
				c.work()
			})
		}
	}
	return true
}

// produce makes one frame, of a random stream that has something to send.
func (c *wire) produce() bool {
	if !c.greeted && !c.server || c.shy {
		return false
	}
	if c.noise > 0 && c.noises < 300 && c.rnd.IntN(c.noise) == 0 {
		c.noises++ // more would not be tolerated
		c.rattle()
	}
	live := c.order[:0]
	var able []*strand
	for _, s := range c.order {
		if !s.open() {
			continue
		}
		live = append(live, s)
		if c.able(s) {
			able = append(able, s)
		}
	}
	clear(c.order[len(live):])
	c.order = live
	if len(able) == 0 {
		return false
	}
	s := able[c.rnd.IntN(len(able))]
	c.emit(s)
	if s.sentEnd {
		c.owner.finished(s)
		c.owner.turn()
	}
	return true
}

// able tells whether a frame can be made for s.
func (c *wire) able(s *strand) bool {
	if s.sentEnd || s.dead {
		return false
	}
	if len(s.heads) > 0 {
		return true
	}
	if s.hold {
		return false
	}
	if s.cutAt >= 0 && s.off >= s.cutAt && s.started {
		return true
	}
	if s.off < len(s.body) {
		return s.sendWin > 0 && c.sendWin > 0
	}
	return s.fin
}

// emit makes one frame for s.
func (c *wire) emit(s *strand) {
	rnd := c.rnd
	left := len(s.body) - s.off
	switch {
	case len(s.heads) > 0:
		h := s.heads[0]
		s.heads = s.heads[1:]
		if s.id == 0 {
			c.next += 2
			if rnd.IntN(8) == 0 {
				c.next += uint32(2 * rnd.IntN(4))
			}
			c.enter(s, c.next-1)
		}
		s.began = h[0].Name != ":status" || h[0].Value[0] != '1'
		end := len(s.heads) == 0 && s.fin && len(s.body) == 0 && s.tail == nil && s.cutAt < 0 && rnd.IntN(3) > 0
		c.writeHead(s, h, end)
		s.sentEnd = end
		c.grant(s)
	case s.cutAt >= 0 && s.off >= s.cutAt:
		s.cutAt = -1
		c.owner.cut(s)
	case left > 0:
		most := min(int64(left), int64(c.theirs.frame), s.sendWin, c.sendWin)
		if s.cutAt >= 0 {
			most = min(most, int64(s.cutAt-s.off))
		}
		n := int(most)
		if rnd.IntN(3) > 0 {
			n = min(n, 1+rnd.IntN(1<<rnd.IntN(16)))
		}
		var pad []byte
		if room := min(int64(c.theirs.frame), s.sendWin, c.sendWin) - int64(n) - 1; room >= 0 && rnd.IntN(6) == 0 {
			pad = make([]byte, rnd.Int64N(min(room, 255)+1))
		}
		end := n == left && s.fin && s.tail == nil && s.cutAt < 0 && rnd.IntN(3) > 0
		p := s.body[s.off : s.off+n]
		size := int64(n)
		if pad != nil {
			size += int64(len(pad)) + 1
			c.fr.WriteDataPadded(s.id, end, p, pad)
		} else {
			c.fr.WriteData(s.id, end, p)
		}
		s.off += n
		s.sendWin -= size
		c.sendWin -= size
		s.sentEnd = end
	case s.tail != nil:
		c.writeHead(s, s.tail, true)
		s.sentEnd = true
	default:
		c.fr.WriteData(s.id, true, nil)
		s.sentEnd = true
	}
}

// writeHead makes a HEADERS frame, and CONTINUATION frames as it likes.
func (c *wire) writeHead(s *strand, fields []hpack.HeaderField, end bool) {
	rnd := c.rnd
	c.encBuf.Reset()
	if rnd.IntN(8) == 0 {
		c.enc.SetMaxDynamicTableSize(uint32(rnd.IntN(int(c.theirs.table) + 1)))
	}
	for _, f := range fields {
		c.enc.WriteField(f)
	}
	b := bytes.Clone(c.encBuf.Bytes())
	split := func(most int) int {
		if rnd.IntN(4) == 0 {
			return min(len(b), rnd.IntN(most)+1)
		}
		return min(len(b), most)
	}
	p := http2.HeadersFrameParam{StreamID: s.id, EndStream: end}
	if rnd.IntN(6) == 0 {
		p.PadLength = uint8(rnd.IntN(256))
	}
	if rnd.IntN(6) == 0 && !c.server {
		p.Priority = http2.PriorityParam{StreamDep: uint32(rnd.IntN(20) * 2), Weight: uint8(rnd.IntN(256)), Exclusive: rnd.IntN(2) == 0}
	}
	n := split(16000)
	p.BlockFragment = b[:n]
	b = b[n:]
	p.EndHeaders = len(b) == 0
	c.fr.WriteHeaders(p)
	for len(b) > 0 {
		n := split(max(16000, len(b)/10))
		c.fr.WriteContinuation(s.id, n == len(b), b[:n])
		b = b[n:]
	}
}

// rattle makes a frame that means little.
func (c *wire) rattle() {
	rnd := c.rnd
	switch rnd.IntN(7) {
	case 0:
		if len(c.pings) < 20 {
			var d [8]byte
			binary.BigEndian.PutUint64(d[:], rnd.Uint64())
			c.pings = append(c.pings, d)
			c.fr.WritePing(false, d)
		}
	case 1:
		c.fr.WritePriority(uint32(1+2*rnd.IntN(50)), http2.PriorityParam{StreamDep: uint32(2 * rnd.IntN(50)), Weight: uint8(rnd.IntN(256))})
	case 2:
		c.fr.WriteRawFrame(http2.FrameType(0x20+rnd.IntN(100)), http2.Flags(rnd.IntN(256)), uint32(rnd.IntN(10)), make([]byte, rnd.IntN(100)))
	case 3:
		if len(c.sent) < 4 {
			p := c.draw()
			if c.rnd.IntN(2) == 0 {
				p.window = 65535
			}
			c.tell(p)
		}
	case 4:
		if c.recvWin < 1<<20 {
			n := 1 + rnd.Int64N(5000)
			c.recvWin += n
			c.fr.WriteWindowUpdate(0, uint32(n))
		}
	case 5:
		if len(c.order) > 0 {
			s := c.order[rnd.IntN(len(c.order))]
			if s.id != 0 && !s.dead && s.recvWin < 1<<20 { // also when the proxy has nothing more to send there
				n := 1 + rnd.Int64N(5000)
				s.recvWin += n
				c.fr.WriteWindowUpdate(s.id, uint32(n))
			}
		}
	case 6:
		if len(c.order) > 0 {
			s := c.order[rnd.IntN(len(c.order))]
			if s.open() && !s.sentEnd && !s.hold && len(s.heads) == 0 && s.began {
				c.fr.WriteData(s.id, false, nil)
			}
		}
	}
}

// fields makes a list of fields of names and values, some of which are not to be
// put into tables.
func (c *wire) fields(kv ...string) []hpack.HeaderField {
	var list []hpack.HeaderField
	for i := 0; i < len(kv); i += 2 {
		list = append(list, hpack.HeaderField{Name: kv[i], Value: kv[i+1], Sensitive: c.rnd.IntN(5) == 0})
	}
	return list
}

// acknowledged tells whether the proxy has answered all that it has to.
func (c *wire) acknowledged() bool { return len(c.sent) == 0 && len(c.pings) == 0 }
