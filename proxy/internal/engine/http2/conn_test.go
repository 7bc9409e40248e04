package http2

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unsafe"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	xhttp2 "golang.org/x/net/http2"
)

// What a connection begins with.
func TestBegin(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Server: true}, "SETTINGS 3=100\n"},
		{Config{}, "SETTINGS 2=0\n"},
		{Config{Server: true, InitialWindow: 16384, RxBuf: 1638400, MaxStreams: 7, MaxFrame: 20000, HeaderTable: 8192, ExtendedConnect: true},
			"SETTINGS 1=8192 3=7 4=16384 5=20000 8=1\n"},
		{Config{InitialWindow: 1 << 20, RxBuf: 1, MaxFrame: 1}, "SETTINGS 2=0 4=1048576\n"},
	} {
		p := barePeer(t, c.cfg)
		if !c.cfg.Server && !strings.HasPrefix(string(p.o.c.Out()), preface) {
			t.Error("no preface")
		}
		if got := p.hear(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if p.o.c.PeerSettings() || p.o.c.Draining() || !p.o.c.Idle() {
			t.Error("not new")
		}
	}
}

// The connection's window is opened once, after the first settings were
// acknowledged.
func TestWindowFollowsSettings(t *testing.T) {
	for _, isServer := range []bool{true, false} {
		p := barePeer(t, Config{Server: isServer, RxBuf: 1638400})
		p.hear()
		if isServer {
			p.out.WriteString(preface)
		}
		p.WriteSettings()
		p.WriteSettings()
		p.must()
		if got, want := p.hear(), "SETTINGS ack\nWINDOW_UPDATE 0 1572865\nSETTINGS ack\n"; got != want {
			t.Errorf("server %v: %q, want %q", isServer, got, want)
		}
	}
}

// An idle connection is small.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 1024 {
		t.Errorf("%d bytes", n)
	}
	if n := unsafe.Sizeof(Stream{}); n > 512 {
		t.Errorf("a stream: %d bytes", n)
	}
	p := newPeer(t, server)
	p.o.request = func(s *Stream) {
		s.SendHead(answer(200, message.NoBody, -1), true)
		p.o.close(s)
	}
	for i := range uint32(100) {
		p.headers(2*i+1, true, p.encode(ask))
	}
	p.must()
	p.hear()
	c := &p.o.c
	if n := len(c.dec.bytes) + 8*len(c.dec.entries) + 8*cap(c.buckets) + 40*cap(c.out); n > 1024 || p.o.lent != 0 {
		t.Errorf("%d bytes, %d buffers", n, p.o.lent)
	}
}

func TestPing(t *testing.T) {
	p := newPeer(t, server)
	p.WritePing(false, [8]byte{1, 2, 3})
	p.must()
	p.o.c.Ping()
	if got := p.hear(); got != "PING true\nPING false\n" {
		t.Error(got)
	}
	p.WritePing(true, [8]byte{1, 2, 3})
	p.must()
	if got := p.hear(); got != "" {
		t.Error(got)
	}
}

// GOAWAY of a server: what was accepted goes on, what comes later is not taken.
func TestServerGoAway(t *testing.T) {
	p := newPeer(t, server)
	l := p.accepted()
	p.post(1)
	p.must()
	p.o.c.GoAway(NoError)
	p.o.c.GoAway(NoError)
	p.get(3)
	p.WriteData(1, true, []byte("x"))
	p.post(5)
	p.WriteData(5, true, []byte("ignored"))
	p.must()
	if got := p.hear(); got != "GOAWAY NO_ERROR\n" || len(*l) != 1 || !p.o.c.Draining() {
		t.Errorf("%q %d", got, len(*l))
	}
	s := (*l)[0]
	s.SendHead(answer(200, message.NoBody, -1), true)
	if all(s) != "x" || s.Err() != nil {
		t.Error(s.Err())
	}
	p.o.close(s)
	if got := p.hear(); got != "HEADERS 1 end :status=200\n" || p.o.c.Streams() != 0 {
		t.Error(got)
	}
}

// A client moves on after as many streams as are wanted; those that are on
// their way are taken.
func TestMaxTotal(t *testing.T) {
	p := newPeer(t, Config{Server: true, MaxTotal: 3, MaxStreams: 2})
	p.o.request = func(s *Stream) {
		s.SendHead(answer(200, message.NoBody, -1), true)
		p.o.close(s)
	}
	for i := range uint32(4) {
		p.get(2*i + 1)
		p.must()
		if got := p.hear(); strings.Contains(got, "GOAWAY NO_ERROR") != (i == 2) || !strings.Contains(got, "HEADERS") {
			t.Error(i, got)
		}
	}
	p.o.c.GoAway(NoError) // the last word
	if got := p.hear(); got != "GOAWAY NO_ERROR\n" {
		t.Error(got)
	}
	p.get(9)
	p.must()
	if got := p.hear(); got != "" {
		t.Error(got)
	}
}

// GOAWAY to a client, and what may be tried again.
func TestClientGoAway(t *testing.T) {
	p := newPeer(t, Config{})
	var l []*Stream
	for range 3 {
		s, err := p.o.c.Open(get("/"), new(message.Response), nil, true)
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, s)
	}
	p.hear()
	p.head(3, true, ":status", "200")
	p.WriteGoAway(1, xhttp2.ErrCodeNo, []byte("bye"))
	p.must()
	var re *ResetError
	if l[0].Err() != nil || l[1].Err() != nil || !errors.As(l[2].Err(), &re) || !re.Retry || re.Code != RefusedStream {
		t.Error(l[0].Err(), l[1].Err(), l[2].Err())
	}
	if _, err := p.o.c.Open(get("/"), new(message.Response), nil, true); err != ErrNoStream || p.o.c.Available() != 0 || !p.o.c.Draining() {
		t.Error(err)
	}
	p.head(1, true, ":status", "200")
	p.must()
	for _, s := range l {
		s.Close()
	}
	if got := p.hear(); got != "" || l[0].Err() != nil {
		t.Error(got)
	}
}

// What a reset tells the owner of a request.
func TestClientReset(t *testing.T) {
	open := func(t *testing.T) (*peer, *Stream) {
		p := newPeer(t, Config{})
		q := get("/")
		q.Method, q.MethodName, q.Framing = message.Post, []byte("POST"), message.Chunked
		s, err := p.o.c.Open(q, new(message.Response), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		p.hear()
		return p, s
	}
	t.Run("refused", func(t *testing.T) {
		p, s := open(t)
		p.WriteRSTStream(1, xhttp2.ErrCodeRefusedStream)
		p.must()
		if e, ok := s.Err().(*ResetError); !ok || !e.Retry || p.o.changes != 1 || !strings.Contains(e.Error(), "refused") {
			t.Error(s.Err())
		}
		if n := s.SendData([]byte("x"), true); n != 0 || s.Room() != 0 {
			t.Error(n)
		}
		s.Close()
		if got := p.hear(); got != "" {
			t.Error(got)
		}
	})
	t.Run("failed", func(t *testing.T) {
		p, s := open(t)
		p.head(1, false, ":status", "200")
		p.WriteData(1, false, []byte("part"))
		p.WriteRSTStream(1, 99)
		p.must()
		if e, ok := s.Err().(*ResetError); !ok || e.Retry || e.Code != InternalError || all(s) != "part" || s.RecvEnd() {
			t.Error(s.Err())
		}
		s.Close()
		if got := p.hear(); got != "" || p.o.lent != 0 {
			t.Error(got, p.o.lent)
		}
	})
	t.Run("after the whole answer", func(t *testing.T) {
		p, s := open(t)
		p.head(1, false, ":status", "413")
		p.WriteData(1, true, []byte("too much"))
		p.WriteRSTStream(1, xhttp2.ErrCodeNo)
		p.must()
		if s.Err() != nil || !s.HasHead() || all(s) != "too much" || !s.RecvEnd() {
			t.Error(s.Err())
		}
		if n := s.SendData(make([]byte, 1<<20), true); n != 1<<20 {
			t.Error("the rest of the request is not forgotten", n)
		}
		s.Close()
		if got := p.hear(); got != "" {
			t.Error(got)
		}
	})
	t.Run("given up", func(t *testing.T) {
		p, s := open(t)
		s.Close()
		p.head(1, false, ":status", "200", "x", "y")
		p.WriteData(1, true, []byte("late"))
		p.must()
		if got := p.hear(); got != "RST_STREAM 1 CANCEL\n" || p.o.c.Glitches() != 0 {
			t.Error(got)
		}
	})
}

// The END_STREAM of a response that has no body may come in a frame of its own.
// Its stream is not reset for that, and counts until then.
func TestClientLateEnd(t *testing.T) {
	open := func(t *testing.T, p *peer, fields ...string) {
		q := get("/")
		q.Method, q.MethodName = message.Head, []byte("HEAD")
		s, err := p.o.c.Open(q, new(message.Response), nil, true)
		if err != nil {
			t.Fatal(err)
		}
		p.hear()
		p.head(s.ID, false, append([]string{":status", "200"}, fields...)...)
		p.must()
		s.Close()
	}
	is := func(t *testing.T, p *peer, available int, said string) {
		t.Helper()
		if got := p.hear(); got != said || p.o.c.Available() != available || p.o.c.Streams() != 0 || p.o.c.Glitches() != 0 {
			t.Errorf("%q, %d available, %d glitches", got, p.o.c.Available(), p.o.c.Glitches())
		}
	}
	p := newPeer(t, Config{})
	most := p.o.c.Available()
	for i, f := range []struct {
		name string
		send func(id uint32)
		said string
	}{
		{"DATA", func(id uint32) { p.WriteData(id, true, nil) }, ""},
		{"trailers", func(id uint32) { p.head(id, true, "x", "y") }, ""},
		{"RST_STREAM", func(id uint32) { p.WriteRSTStream(id, xhttp2.ErrCodeNo) }, ""},
		{"a body", func(id uint32) { p.WriteData(id, false, []byte("body")) }, "RST_STREAM %d PROTOCOL_ERROR\n"},
	} {
		t.Run(f.name, func(t *testing.T) {
			open(t, p, "content-length", "4")
			is(t, p, most-1, "")
			f.send(uint32(2*i + 1))
			p.must()
			said := f.said
			if said != "" {
				said = fmt.Sprintf(said, 2*i+1)
			}
			is(t, p, most, said)
		})
	}
	t.Run("many", func(t *testing.T) {
		p := newPeer(t, Config{})
		for range maxLate {
			open(t, p)
		}
		is(t, p, most-maxLate, "")
		open(t, p)
		is(t, p, most-maxLate, "RST_STREAM 1 CANCEL\n")
	})
	t.Run("as many as may be", func(t *testing.T) {
		p := newPeer(t, Config{})
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2})
		p.must()
		p.hear()
		open(t, p)
		is(t, p, 1, "")
		open(t, p)
		is(t, p, 1, "RST_STREAM 3 CANCEL\n")
	})
}

// How a server's stream is closed, by what is complete.
func TestServerClose(t *testing.T) {
	for _, c := range []struct {
		what            string
		request, answer bool // complete
		want            string
	}{
		{"both", true, true, ""}, {"answer", false, true, "RST_STREAM 1 NO_ERROR\n"},
		{"request", true, false, "RST_STREAM 1 CANCEL\n"}, {"none", false, false, "RST_STREAM 1 CANCEL\n"},
	} {
		p := newPeer(t, server)
		l := p.accepted()
		p.head(1, c.request, ask...)
		p.must()
		s := (*l)[0]
		s.SendHead(answer(200, message.Chunked, -1), c.answer)
		p.hear()
		p.o.close(s)
		if got := p.hear(); got != c.want {
			t.Errorf("%s: %q", c.what, got)
		}
	}
	p := newPeer(t, server)
	l := p.accepted()
	p.get(1)
	p.must()
	s := (*l)[0]
	s.Reset(InternalError)
	s.Reset(Cancel)
	s.SendHead(answer(200, message.NoBody, -1), true)
	s.SendTrailers(nil)
	if s.Err() == nil || s.SendData([]byte("x"), true) != 0 {
		t.Error("it goes on")
	}
	p.o.close(s)
	if got := p.hear(); got != "RST_STREAM 1 INTERNAL_ERROR\n" {
		t.Error(got)
	}
}

// A peer opens no more streams than the other allows.
func TestMaxStreams(t *testing.T) {
	p := newPeer(t, Config{MaxStreams: 10})
	if n := p.o.c.Available(); n != 10 {
		t.Error(n)
	}
	p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2})
	p.must()
	var l []*Stream
	for p.o.c.Available() > 0 {
		s, err := p.o.c.Open(get("/"), new(message.Response), nil, true)
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, s)
	}
	if len(l) != 2 || l[0].ID != 1 || l[1].ID != 3 {
		t.Error(len(l))
	}
	if _, err := p.o.c.Open(get("/"), new(message.Response), nil, true); err != ErrNoStream {
		t.Error(err)
	}
	l[0].Close()
	if p.o.c.Available() != 1 {
		t.Error(p.o.c.Available())
	}
	p.o.c.last = maxID - 2
	if s, err := p.o.c.Open(get("/"), new(message.Response), nil, true); err != nil || s.ID != maxID {
		t.Error(err)
	}
	l[1].Close()
	if p.o.c.Available() != 0 {
		t.Error("no numbers are left")
	}
}

// An owner that takes no streams.
func TestRefusedByOwner(t *testing.T) {
	p := newPeer(t, server)
	p.o.refuse = true
	p.get(1, "x", "y")
	p.must()
	if got := p.hear(); got != "RST_STREAM 1 REFUSED_STREAM\n" || p.o.c.Streams() != 0 {
		t.Error(got)
	}
}

// An owner without memory for more of a body: the stream ends, the others and the
// connection's window do not suffer.
func TestNoMemoryForData(t *testing.T) {
	p := newPeer(t, server)
	streams := p.accepted()
	p.post(1)
	p.post(3)
	p.WriteData(1, false, make([]byte, 10))
	p.must()
	p.hear()
	p.o.full = true
	p.WriteData(1, false, make([]byte, 10)) // there is room in the buffer that it has
	p.must()
	if got := p.hear(); got != "" || (*streams)[0].Err() != nil {
		t.Fatal(got)
	}
	for range 5 { // more than a window
		p.WriteData(3, false, make([]byte, 16384))
	}
	p.must()
	if got := p.hear(); !strings.HasPrefix(got, "RST_STREAM 3 ENHANCE_YOUR_CALM\n") || !strings.Contains(got, "WINDOW_UPDATE 0 ") {
		t.Error(got)
	}
	if (*streams)[0].Err() != nil || (*streams)[1].Err() == nil || p.o.lent != 1 {
		t.Error((*streams)[0].Err(), (*streams)[1].Err(), p.o.lent)
	}
}

// RFC 8441.
func TestExtendedConnect(t *testing.T) {
	cl, sv := pair(t, Config{}, Config{ExtendedConnect: true})
	converse(t, cl, sv, 0)
	if !cl.c.PeerExtendedConnect() || !cl.c.PeerSettings() || sv.c.PeerExtendedConnect() {
		t.Error("settings")
	}
	var got *Stream
	sv.request = func(s *Stream) { got = s }
	q := get("/chat")
	q.Upgrade = []byte("websocket")
	var res message.Response
	s, err := cl.c.Open(q, &res, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, cl, sv, 0)
	if string(got.Protocol) != "websocket" || got.Req.Method != message.Connect || string(got.Req.Target) != "/chat" || got.EndReceived() {
		t.Errorf("%+v", got.Req)
	}
	got.SendHead(answer(200, message.Tunnel, -1), false)
	got.SendData([]byte("ping"), false)
	s.SendData([]byte("pong"), false)
	converse(t, cl, sv, 0)
	if res.Framing != message.Tunnel || all(s) != "ping" || all(got) != "pong" || s.RecvEnd() {
		t.Errorf("%+v", res)
	}
	s.SendData(nil, true)
	got.SendData(nil, true)
	converse(t, cl, sv, 0)
	if !s.RecvEnd() || !got.RecvEnd() || s.Err() != nil {
		t.Error(s.Err())
	}
}

// A connection that is lost.
func TestAbort(t *testing.T) {
	p := newPeer(t, server)
	l := p.accepted()
	p.post(1)
	p.WriteData(1, false, []byte("data"))
	p.get(3)
	p.must()
	(*l)[1].SendHead(answer(200, message.Chunked, -1), false)
	p.o.changes = 0
	p.o.c.Abort(io.EOF)
	p.o.c.Abort(io.ErrUnexpectedEOF)
	if p.o.changes != 2 || (*l)[0].Err() != io.EOF || (*l)[1].Err() != io.EOF || p.o.c.Out() != nil || p.o.c.Pending() != 0 {
		t.Error(p.o.changes, (*l)[0].Err())
	}
	p.o.c.Free()
	p.held(0)
	for _, s := range *l {
		s.SendData([]byte("x"), true)
		s.Consume(1)
		p.o.close(s)
	}
	p.o.c.Ping()
	p.o.c.GoAway(NoError)
	if p.o.c.Streams() != 0 || p.o.c.Out() != nil || p.o.c.Feed([]byte("x")) != io.EOF {
		t.Error(p.o.c.Streams())
	}
	p.held(0)
	p.o.c.Init(&server, p.o)
	if p.o.c.Draining() || p.o.c.Pending() == 0 {
		t.Error("not new")
	}
}

// After a violation the GOAWAY is still sent.
func TestAbortAfterError(t *testing.T) {
	p := newPeer(t, server)
	l := p.accepted()
	p.get(1)
	p.must()
	p.WriteData(0, false, nil)
	err := p.say()
	p.o.c.Abort(err)
	if (*l)[0].Err() != err {
		t.Error((*l)[0].Err())
	}
	if got := p.hear(); got != "GOAWAY PROTOCOL_ERROR\n" {
		t.Error(got)
	}
}

// Streams that want to send much share the connection.
func TestFairness(t *testing.T) {
	p := newPeer(t, server)
	p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
	p.WriteWindowUpdate(0, 1<<30)
	l := p.accepted()
	for i := range uint32(10) {
		p.get(2*i + 1)
	}
	p.must()
	p.hear()
	big := make([]byte, 1<<20)
	sent := map[*Stream]int{}
	var woken []*Stream
	p.o.change = func(s *Stream) { woken = append(woken, s) } // they run later, as coroutines do
	for _, s := range *l {
		s.SendHead(answer(200, message.Chunked, -1), false)
		for n := 1; n > 0; { // as greedy as can be
			n = s.SendData(big, false)
			sent[s] += n
		}
	}
	total := 0
	for range 1000 {
		b := p.o.c.Out()
		p.o.c.Sent(min(len(b), 10000))
		total += min(len(b), 10000)
		run := woken
		woken = nil
		for _, s := range run {
			for n := 1; n > 0; {
				n = s.SendData(big, false)
				sent[s] += n
			}
		}
		if p.o.c.Pending() > maxQueue+1000 || p.o.c.Pending() == 0 {
			t.Fatal(p.o.c.Pending())
		}
	}
	for _, s := range *l {
		if n := sent[s]; n < total/10*8/10 || n > total/10*12/10 {
			t.Errorf("stream %d sent %d of %d", s.ID, n, total)
		}
	}
	// Those that leave pass their turn on.
	for _, s := range (*l)[:9] {
		p.o.close(s)
	}
	p.o.c.Sent(p.o.c.Pending())
	if s := (*l)[9]; s.Room() < quota {
		t.Error(s.Room())
	}
}

// A stream that has the connection to itself may use all of it.
func TestRoom(t *testing.T) {
	p := newPeer(t, server)
	p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
	l := p.accepted()
	p.get(1)
	p.must()
	s := (*l)[0]
	p.hear()
	if n := s.Room(); n != 65535 {
		t.Error(n)
	}
	if n := s.SendData(make([]byte, 100000), true); n < 60000 || n > 65535 {
		t.Error(n)
	}
	p.hear()
	s.SendData(make([]byte, 100000), true)
	if n := s.Room(); n != 0 || p.o.c.sendWin != 0 {
		t.Error(n, p.o.c.sendWin) // the connection's window is used up
	}
	p.o.changes = 0
	p.WriteWindowUpdate(0, 5)
	p.must()
	if n := s.Room(); n != 5 || p.o.changes != 1 {
		t.Error(n, p.o.changes)
	}
}

// Who waits for a whole body must know when no more of it can come.
func TestWindowUsed(t *testing.T) {
	p := newPeer(t, Config{Server: true, InitialWindow: 65535})
	l := p.accepted()
	p.post(1)
	for range 5 {
		p.must()
		if (*l)[0].WindowUsed() {
			t.Error("used up after", (*l)[0].Queued())
		}
		p.WriteData(1, false, make([]byte, 13107))
	}
	p.must()
	s := (*l)[0]
	if s.Queued() != 65535 || !s.WindowUsed() {
		t.Error(s.Queued(), s.WindowUsed())
	}
	s.Consume(s.Queued())
	if s.WindowUsed() {
		t.Error("used up after all was consumed")
	}
}

// Uploads share the receive buffer: one alone has most of it, and each at least
// the initial window.
func TestReceiveWindows(t *testing.T) {
	p := newPeer(t, Config{Server: true, InitialWindow: 16384, RxBuf: 1638400})
	l := p.accepted()
	p.post(1)
	p.WriteData(1, false, make([]byte, 1000))
	p.must()
	if got := p.hear(); got != fmt.Sprintf("WINDOW_UPDATE 1 %d\n", (1638400-16384)/8*7) {
		t.Error(got)
	}
	for i := range uint32(99) {
		p.post(2*i + 3)
		p.WriteData(2*i+3, false, make([]byte, 1000))
	}
	p.must()
	sum := int64(0)
	for _, s := range *l {
		sum += s.recvWin
		if s.recvWin < 14000 {
			t.Error(s.ID, s.recvWin)
		}
	}
	p.held(101)
	p.hear()
	for _, s := range *l {
		s.Consume(1000)
	}
	p.hear()
	s := (*l)[99]
	for range 16 {
		p.WriteData(s.ID, false, make([]byte, 1000))
		p.must()
		s.Consume(1000)
	}
	if got := p.hear(); strings.Count(got, fmt.Sprintf("WINDOW_UPDATE %d", s.ID)) == 0 {
		t.Error("it stalls", got)
	}
}

// The table's size is confirmed to a peer that limits it (RFC 7541 4.2).
func TestTableSize(t *testing.T) {
	p := newPeer(t, server)
	p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 0})
	l := p.accepted()
	p.get(1)
	p.get(3)
	p.must()
	p.hear()
	for i, want := range []byte{0x20, 0x88} {
		(*l)[i].SendHead(answer(200, message.NoBody, -1), true)
		if b := p.o.c.Out(); b[frameHeader] != want {
			t.Errorf("%x", b)
		}
		p.hear()
	}
}

func TestErrors(t *testing.T) {
	for err, want := range map[error]string{
		&Error{FlowControl, "why"}:      "http/2: FLOW_CONTROL_ERROR: why",
		resetError(Cancel, false):       "http/2: stream reset: CANCEL",
		resetError(RefusedStream, true): "http/2: stream refused: REFUSED_STREAM",
		resetError(1234, false):         "http/2: stream reset: INTERNAL_ERROR",
		&ResetError{Code: 1234}:         "http/2: stream reset: error 1234",
		ErrNoStream:                     "http/2: no stream can be opened on the connection",
	} {
		if err.Error() != want {
			t.Error(err)
		}
	}
}
