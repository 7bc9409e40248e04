package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// book is what the peer of a connection knows of its windows: what it may send.
type book struct {
	*peer
	rnd    *rand.Rand
	conn   int64
	stream map[uint32]int64
	sent   map[uint32]int
	next   uint32
	resets int
}

func newBook(t *testing.T, cfg Config) *book {
	cfg.Server = true
	b := &book{peer: barePeer(t, cfg), rnd: rand.New(rand.NewPCG(1, 2)), conn: defaultWindow, stream: map[uint32]int64{}, sent: map[uint32]int{}, next: 1}
	b.out.WriteString(preface)
	b.WriteSettings()
	b.WriteSettingsAck()
	b.turn()
	return b
}

// open begins a request with a body.
func (b *book) open(fields ...string) uint32 {
	id := b.next
	b.next += 2
	b.post(id, fields...)
	b.stream[id] = int64(b.o.c.recvInit)
	return id
}

// data sends a frame, if the windows allow it, and tells whether they did.
func (b *book) data(id uint32, end bool, n, pad int) bool {
	whole := int64(n)
	var padding []byte
	if pad >= 0 {
		whole += int64(pad) + 1
		padding = make([]byte, pad)
	}
	if whole > b.conn || whole > b.stream[id] {
		return false
	}
	b.conn -= whole
	b.stream[id] -= whole
	b.sent[id] += n
	b.WriteDataPadded(id, end, make([]byte, n), padding)
	return true
}

// turn hands over what was written, in pieces, and reads what comes back.
func (b *book) turn() {
	b.t.Helper()
	for p := bytes.Clone(b.out.Bytes()); len(p) > 0; {
		n := min(len(p), 1+b.rnd.IntN(700))
		if err := b.o.c.Feed(p[:n]); err != nil {
			b.t.Fatal(err)
		}
		p = p[n:]
	}
	b.out.Reset()
	for l := range strings.Lines(b.hear()) {
		var id uint32
		var n int64
		if _, err := fmt.Sscanf(l, "WINDOW_UPDATE %d %d", &id, &n); err == nil && id == 0 {
			b.conn += n
		} else if err == nil {
			b.stream[id] += n
		}
		if strings.HasPrefix(l, "RST_STREAM") {
			b.resets++
		}
	}
}

// What does not leave a trace in one frame does in a thousand: whatever kinds of
// DATA a connection has seen, its window and those of its streams are as wide as
// at the beginning once all was read.
func TestWindowsOverTime(t *testing.T) {
	const frames = 1000
	for _, k := range []struct {
		name string
		do   func(b *book, i int)
	}{
		{"plain", func(b *book, i int) { b.data(1, false, 1+b.rnd.IntN(300), -1) }},
		{"padded", func(b *book, i int) { b.data(1, false, 1+b.rnd.IntN(300), b.rnd.IntN(256)) }},
		{"padded by nothing", func(b *book, i int) { b.data(1, false, 1, 0) }},
		{"only padding", func(b *book, i int) { b.data(1, false, i%2, b.rnd.IntN(256)) }},
		{"ended by padding", func(b *book, i int) {
			id := b.open()
			b.data(id, false, b.rnd.IntN(300)+1, b.rnd.IntN(256))
			b.data(id, true, 0, b.rnd.IntN(256))
		}},
		{"beyond the length", func(b *book, i int) {
			id := b.open("content-length", "100")
			b.data(id, false, 101+b.rnd.IntN(500), b.rnd.IntN(256))
			b.data(id, false, 50, b.rnd.IntN(256)) // it was on its way
		}},
		{"short of the length", func(b *book, i int) {
			id := b.open("content-length", "100")
			b.data(id, true, b.rnd.IntN(100), b.rnd.IntN(256))
		}},
		{"reset by the peer", func(b *book, i int) {
			id := b.open()
			b.data(id, false, b.rnd.IntN(500)+1, b.rnd.IntN(256))
			b.WriteRSTStream(id, 8)
		}},
		{"closed by the owner, still coming", func(b *book, i int) {
			id := b.open()
			b.data(id, false, b.rnd.IntN(500)+1, b.rnd.IntN(256))
			b.turn()
			for s := range b.o.streams {
				if s.ID == id {
					b.o.close(s) // unread
				}
			}
			b.data(id, false, b.rnd.IntN(500), b.rnd.IntN(256))
			b.data(id, true, b.rnd.IntN(500), b.rnd.IntN(256))
		}},
		{"closed by the owner, much unread", func(b *book, i int) {
			id := b.open()
			for range 4 {
				b.data(id, false, 9000, b.rnd.IntN(256))
				b.turn()
			}
			for s := range b.o.streams {
				if s.ID == id {
					b.o.close(s)
				}
			}
		}},
		{"reset by the peer, much unread", func(b *book, i int) {
			id := b.open()
			for range 4 {
				b.data(id, false, 9000, b.rnd.IntN(256))
				b.turn()
			}
			b.WriteRSTStream(id, 8)
		}},
		{"refused", func(b *book, i int) {
			b.o.refuse = true
			id := b.open()
			b.data(id, false, b.rnd.IntN(500), b.rnd.IntN(256))
			b.data(id, true, b.rnd.IntN(500), b.rnd.IntN(256))
			b.turn()
			b.o.refuse = false
		}},
		{"answered early", func(b *book, i int) {
			id := b.open()
			b.data(id, false, b.rnd.IntN(500)+1, b.rnd.IntN(256))
			b.turn()
			for s := range b.o.streams {
				if s.ID == id {
					s.SendHead(answer(200, message.NoBody, -1), true)
					b.o.close(s)
				}
			}
			b.data(id, true, b.rnd.IntN(500), b.rnd.IntN(256))
		}},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBook(t, Config{InitialWindow: 16384, RxBuf: 200_000, MaxStreams: 100})
			first := b.open()
			b.turn()
			c := &b.o.c
			c.Lenient = true
			whole := c.recvWin + c.increment
			for i := range frames {
				k.do(b, i)
				b.turn()
				for s := range b.o.streams {
					s.Consume(s.Queued())
					if s.ID != first && (s.Err() != nil || s.RecvEnd()) {
						if s.Err() == nil {
							s.SendHead(answer(200, message.NoBody, -1), true)
						}
						b.o.close(s)
					}
				}
				if c.early = min(c.early, 500); i%1000 == 0 { // how many may be given up is another test's
					c.glitches = 0
				}
				b.turn()
				if b.conn != c.recvWin {
					t.Fatalf("frame %d: the peer may send %d bytes, the connection expects %d", i, b.conn, c.recvWin)
				}
			}
			if got := c.recvWin + c.increment; got != whole {
				t.Errorf("the connection's window is %d, it was %d", got, whole)
			}
			for s := range b.o.streams {
				if s.ID != first {
					t.Errorf("stream %d is still there", s.ID)
					continue
				}
				if b.stream[first] != s.recvWin || s.recvWin < c.recvInit/2 {
					t.Errorf("the stream's window is %d, the peer's %d, it was %d", s.recvWin, b.stream[first], c.recvInit)
				}
				b.o.close(s)
			}
			b.turn()
			if b.o.lent != 0 || c.streams != 0 || c.receiving != 0 || c.extra != 0 || c.complete != 0 || c.control != 0 || c.pending != 0 {
				t.Errorf("%d buffers, %d streams, %d receiving, %d extra, %d complete, %d control, %d pending are left",
					b.o.lent, c.streams, c.receiving, c.extra, c.complete, c.control, c.pending)
			}
			if got := c.recvWin + c.increment; got != whole {
				t.Errorf("at the end the connection's window is %d, it was %d", got, whole)
			}
		})
	}
}

// The windows that the peer gives are used up to the byte and no further, however
// often streams come, go, and are reset with bytes that wait.
func TestSendingOverTime(t *testing.T) {
	b := newBook(t, Config{MaxStreams: 10})
	c := &b.o.c
	given, got := int64(defaultWindow), int64(0)
	for i := range 1000 {
		id := b.next
		b.next += 2
		b.get(id)
		if err := b.say(); err != nil {
			t.Fatal(err)
		}
		for s := range b.o.streams {
			if s.ID != id {
				continue
			}
			s.SendHead(answer(200, message.Chunked, -1), false)
			s.SendData(make([]byte, b.rnd.IntN(30000)), b.rnd.IntN(2) == 0)
		}
		switch b.rnd.IntN(5) {
		case 0:
			b.WriteRSTStream(id, 8)
		case 1:
			for s := range b.o.streams {
				if s.ID == id {
					s.Reset(Cancel)
				}
			}
		}
		if b.rnd.IntN(3) == 0 {
			n := uint32(1 + b.rnd.IntN(40000))
			b.WriteWindowUpdate(0, n)
			given += int64(n)
		}
		if err := b.say(); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(b.hear()) {
			var n int64
			if _, err := fmt.Sscanf(strings.Replace(l, " end", "", 1), "DATA %d %d", &id, &n); err == nil {
				got += n
			}
		}
		if given-got != c.sendWin || c.sendWin < 0 {
			t.Fatalf("request %d: %d bytes were allowed and %d sent, the window is %d", i, given, got, c.sendWin)
		}
		for s := range b.o.streams {
			if b.rnd.IntN(2) == 0 || len(b.o.streams) > 8 {
				b.o.close(s)
			}
		}
		c.early = min(c.early, 500)
	}
	for s := range b.o.streams {
		b.o.close(s)
	}
	b.hear()
	if c.turns != 0 || c.waiting.head != nil || c.streams != 0 || b.o.lent != 0 || c.pending != 0 || c.control != 0 {
		t.Errorf("%d turns, %d streams, %d buffers, %d pending, %d control are left", c.turns, c.streams, b.o.lent, c.pending, c.control)
	}
}
