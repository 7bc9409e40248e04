package http2

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	xhttp2 "golang.org/x/net/http2"
)

// A stream that the peer has reset itself is closed: what it sends there
// afterwards is its mistake, and not what was on its way.
func TestFramesAfterOwnReset(t *testing.T) {
	p := barePeer(t, Config{Server: true})
	p.out.WriteString(preface)
	p.WriteSettings()
	p.WriteSettingsAck()
	p.must()
	got := p.accepted()
	p.post(1)
	p.must()
	p.hear()
	p.WriteRSTStream(1, xhttp2.ErrCodeCancel)
	p.must()
	p.o.close((*got)[0])
	p.hear()
	p.WriteData(1, false, []byte("x"))
	p.must()
	if got := p.hear(); !strings.Contains(got, "RST_STREAM 1 STREAM_CLOSED\n") {
		t.Errorf("DATA after the peer's own reset: %q", got)
	}
}

// What is consumed of a stream opens the connection's window again at once, and
// not only when more of it comes.
func TestConsumedOpensTheConnection(t *testing.T) {
	b := newBook(t, Config{InitialWindow: 1 << 20, RxBuf: 1 << 20})
	got := b.accepted()
	id := b.open()
	b.turn()
	for b.data(id, false, 1000, -1) {
	}
	b.turn()
	for b.data(id, false, 1000, -1) { // the window may have been opened meanwhile
		b.turn()
	}
	if b.conn > 2*free {
		t.Fatalf("the connection's window has %d left: the stream's was smaller", b.conn)
	}
	s := (*got)[0]
	for len(s.Data()) > 0 {
		s.Consume(len(s.Data()))
	}
	b.turn()
	if b.conn < 65535/2 {
		t.Errorf("all was consumed, and the window has %d", b.conn)
	}
}

// No frame is larger than the peer takes, however large the buffers are.
func TestFramesFitThePeer(t *testing.T) {
	cl, sv := pair(t, Config{}, Config{})
	cl.size = 64 << 10
	var got *Stream
	sv.request = func(s *Stream) { got = s }
	q := get("/")
	q.Framing, q.ContentLength = message.Length, 60000
	s, err := cl.c.Open(q, new(message.Response), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, cl, sv, 0)
	if n := s.SendData(make([]byte, 60000), true); n == 0 {
		t.Fatal("nothing was taken")
	}
	for b := cl.c.Out(); len(b) > frameHeader; {
		n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if n > 16384 {
			t.Errorf("a frame of %d bytes", n)
		}
		b = b[min(len(b), frameHeader+n):]
	}
	converse(t, cl, sv, 0)
	if got == nil || got.Queued() == 0 {
		t.Error("nothing arrived")
	}
}

// Once many streams have gone, so has what kept them.
func TestTableShrinks(t *testing.T) {
	cl, sv := pair(t, Config{}, Config{MaxStreams: 300})
	var open, served []*Stream
	sv.request = func(s *Stream) { served = append(served, s) }
	converse(t, cl, sv, 0)
	for range 90 {
		s, err := cl.c.Open(get("/"), new(message.Response), nil, true)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	converse(t, cl, sv, 0)
	if len(served) != 90 || len(sv.c.buckets) < 64 {
		t.Fatalf("%d streams, %d buckets", len(served), len(sv.c.buckets))
	}
	for i, s := range served {
		s.SendHead(answer(204, message.NoBody, -1), true)
		converse(t, cl, sv, 0)
		sv.close(s)
		open[i].Close()
	}
	converse(t, cl, sv, 0)
	if len(sv.c.buckets) > 16 || len(cl.c.buckets) > 16 {
		t.Errorf("%d and %d buckets for no stream", len(sv.c.buckets), len(cl.c.buckets))
	}
}
