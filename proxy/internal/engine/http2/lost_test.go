package http2

import (
	"io"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// posted is a POST whose body has arrived; whole tells whether that was all of it.
func posted(t *testing.T, whole bool) (cl, sv *side, sent, got *Stream) {
	cl, sv = pair(t, Config{}, Config{})
	sv.request = func(s *Stream) { got = s }
	q := get("/")
	q.Method, q.MethodName, q.Framing = message.Post, []byte("POST"), message.Chunked
	sent, err := cl.c.Open(q, new(message.Response), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	sent.SendData([]byte("the body"), whole)
	converse(t, cl, sv, 0)
	return cl, sv, sent, got
}

// An exchange that was complete on both sides when the connection was lost can
// still be read to its end: a tunnel's last bytes, say. A request that awaits the
// rest of its response is of no use any more; part of a response is. Neither
// looks complete.
func TestLostWithQueuedData(t *testing.T) {
	for _, whole := range []bool{true, false} {
		cl, sv, s, got := posted(t, true)
		got.SendHead(answer(200, message.Chunked, -1), false)
		got.SendData([]byte("hello"), whole)
		converse(t, cl, sv, 0)

		cl.c.Abort(io.EOF)
		sv.c.Abort(io.EOF)
		for _, x := range []*Stream{got, s} {
			if whole && (x.Err() != nil || !x.EndReceived()) || !whole && (x.Err() != io.EOF || x.EndReceived() && x == s || x == got && x.Queued() != 0) {
				t.Errorf("whole: %v: end: %v, %v, %d bytes", whole, x.EndReceived(), x.Err(), x.Queued())
			}
		}
		if body := all(got); body != "the body" && whole || body != "" && !whole {
			t.Errorf("whole: %v: %q", whole, body)
		}
		if body := all(s); body != "hello" {
			t.Errorf("whole: %v: %q", whole, body)
		}
		s.Close()
		sv.close(got)
		if cl.lent != 0 || sv.lent != 0 {
			t.Error("buffers are kept", cl.lent, sv.lent)
		}
	}
}

// What the owner is in the middle of stays as it is when the stream fails: the
// buffer is not given to others before the stream is closed.
func TestDataOutlivesFailure(t *testing.T) {
	cl, sv, s, got := posted(t, false)
	body, lent := got.Data(), sv.lent
	s.Reset(Cancel)
	converse(t, cl, sv, 0)
	if got.Err() == nil || got.Data() != nil || got.Queued() != 0 {
		t.Error("the stream goes on")
	}
	if sv.lent != lent {
		t.Error("the buffer was given back")
	}
	got.Consume(len(body))
	sv.close(got)
	s.Close()
	if sv.lent != 0 || cl.lent != 0 {
		t.Error("buffers are kept", sv.lent, cl.lent)
	}
}

// A request that was complete and then reset, before all of it was taken, does
// not look complete either.
func TestResetWithQueuedData(t *testing.T) {
	cl, sv, s, got := posted(t, true)
	s.Reset(Cancel)
	converse(t, cl, sv, 0)
	if got.EndReceived() || got.RecvEnd() || got.Err() == nil {
		t.Error("it looks complete")
	}
	s.Close()
	sv.close(got)
}

// A body that nobody reads does not keep other streams from receiving, however
// much of the receive buffer it took.
func TestUnreadBody(t *testing.T) {
	for _, cfg := range []Config{
		{Server: true, InitialWindow: 16384, RxBuf: 1638400},
		{Server: true, InitialWindow: 1000, MaxStreams: 3},
	} {
		p := newPeer(t, cfg)
		l := p.accepted()
		p.WriteSettingsAck()
		send := func(i int) (sent int) { // as much as the windows allow
			s := (*l)[i]
			for range 300 {
				n := min(s.recvWin, p.o.c.recvWin, 16384)
				if n == 0 {
					return sent
				}
				p.WriteData(s.ID, false, make([]byte, n))
				p.must()
				p.hear()
				sent += int(n)
			}
			t.Fatal("no end")
			return 0
		}
		p.post(1)
		p.post(3)
		p.must()
		if n := send(0); n < 16384 {
			t.Error(n)
		}
		send(1)
		p.post(5)
		p.must()
		if n := send(2); n < int(cfg.InitialWindow) {
			t.Errorf("%d bytes of the third", n)
		}
		for range 100 {
			(*l)[2].Consume((*l)[2].Queued())
			if n := send(2); n < int(cfg.InitialWindow)/2 {
				t.Fatalf("%d bytes more of the third", n)
			}
		}
	}
}
