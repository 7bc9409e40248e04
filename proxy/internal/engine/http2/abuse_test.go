package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	xhttp2 "golang.org/x/net/http2"
)

// Each attack is held off with bounded memory, and ends the connection if it
// goes on.

// held checks what the connection holds: buffers of the owner's.
func (p *peer) held(most int) {
	p.t.Helper()
	if p.o.lent > most {
		p.t.Errorf("%d buffers are held, %d allowed", p.o.lent, most)
	}
}

// accepted collects the streams that an owner is asked to serve.
func (p *peer) accepted() *[]*Stream {
	var l []*Stream
	p.o.request = func(s *Stream) { l = append(l, s) }
	return &l
}

// CVE-2023-44487: streams are opened and reset at once, before any answer.
func TestRapidReset(t *testing.T) {
	t.Run("owner that closes late", func(t *testing.T) {
		p := newPeer(t, server)
		l := p.accepted()
		id := uint32(1)
		for range 150 {
			p.get(id)
			p.WriteRSTStream(id, xhttp2.ErrCodeCancel)
			id += 2
		}
		p.must()
		// What the owner has not closed counts: it never has more to do.
		if len(*l) != 100 || p.o.c.Streams() != 100 {
			t.Error(len(*l), p.o.c.Streams())
		}
		if n := strings.Count(p.hear(), "REFUSED_STREAM"); n != 50 {
			t.Error(n)
		}
		p.held(0)
		for _, s := range *l {
			if s.Err() == nil {
				t.Error("no error")
			}
			p.o.close(s)
		}
		if p.o.c.Streams() != 0 || p.hear() != "" {
			t.Error(p.o.c.Streams())
		}
	})
	t.Run("owner that closes at once", func(t *testing.T) {
		p := newPeer(t, server)
		p.o.change = func(s *Stream) { p.o.close(s) }
		goaway := 0
		for i := range uint32(2000) {
			p.get(2*i + 1)
			p.WriteRSTStream(2*i+1, xhttp2.ErrCodeCancel)
			if err := p.say(); err != nil {
				if int(i) != maxEarlyResets || err.(*Error).Code != EnhanceYourCalm {
					t.Error(i, err)
				}
				if goaway != 1 {
					t.Error("not told before", goaway)
				}
				return
			}
			goaway += strings.Count(p.hear(), "GOAWAY NO_ERROR")
		}
		t.Error("it never ends")
	})
	t.Run("and requests that go well", func(t *testing.T) {
		p := newPeer(t, server)
		p.o.change = func(s *Stream) { p.o.close(s) }
		for i := range uint32(5000) {
			p.o.request = nil
			if i%2 == 0 {
				p.o.request = func(s *Stream) {
					s.SendHead(answer(200, message.NoBody, -1), true)
					p.o.close(s)
				}
			}
			p.get(2*i + 1)
			if i%2 == 1 {
				p.WriteRSTStream(2*i+1, xhttp2.ErrCodeCancel)
			}
			p.must()
			p.hear()
		}
		if p.o.c.Draining() {
			t.Error("users who stop every other request are sent away")
		}
	})
}

// CVE-2025-8671: the peer makes us reset streams, which are not free until the
// owner is done with them.
func TestMadeYouReset(t *testing.T) {
	for name, provoke := range map[string]func(p *peer, id uint32){
		"WINDOW_UPDATE of 0": func(p *peer, id uint32) { p.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, id, make([]byte, 4)) },
		"window overflow":    func(p *peer, id uint32) { p.WriteWindowUpdate(id, 1<<31-1) },
		"DATA after the end": func(p *peer, id uint32) { p.WriteData(id, true, []byte("x")) },
		"second head":        func(p *peer, id uint32) { p.get(id) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, server)
			l := p.accepted()
			for i := range uint32(200) {
				p.get(2*i + 1)
				p.must()
				if i < 100 {
					provoke(p, 2*i+1)
				}
				p.must()
			}
			if len(*l) != 100 || p.o.c.Streams() != 100 || p.o.c.Glitches() < 200 {
				t.Error(len(*l), p.o.c.Streams(), p.o.c.Glitches())
			}
			if heard := p.hear(); strings.Count(heard, "REFUSED_STREAM") != 100 || strings.Count(heard, "RST_STREAM") != 200 {
				t.Error(heard)
			}
			for _, s := range *l {
				p.o.close(s)
			}
			// With an owner that closes at once it ends too.
			p.o.change = func(s *Stream) { p.o.close(s) }
			for i := uint32(1000); i < 3000; i++ {
				p.get(2*i + 1)
				provoke(p, 2*i+1)
				if err := p.say(); err != nil {
					if err.(*Error).Code != EnhanceYourCalm {
						t.Error(err)
					}
					return
				}
				p.hear()
			}
			t.Error("it never ends")
		})
	}
}

// CVE-2024-27316: a head that never ends.
func TestContinuationFlood(t *testing.T) {
	t.Run("frames", func(t *testing.T) {
		p := newPeer(t, server)
		p.accepted()
		p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: raw(ask...)})
		for range maxContinuations {
			p.WriteContinuation(1, false, raw("x", "y"))
		}
		p.must()
		p.held(1)
		p.WriteContinuation(1, false, nil)
		p.fails(EnhanceYourCalm)
		p.held(0)
	})
	t.Run("bytes", func(t *testing.T) {
		p := newPeer(t, server)
		p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: raw(ask...)})
		p.WriteContinuation(1, false, raw("x", strings.Repeat("v", 8000)))
		p.must()
		p.held(1)
		p.WriteContinuation(1, false, raw("x", strings.Repeat("v", 8000)))
		p.WriteContinuation(1, false, raw("x", strings.Repeat("v", 8000)))
		p.fails(EnhanceYourCalm)
		p.held(0)
	})
	t.Run("empty ones are glitches", func(t *testing.T) {
		p := newPeer(t, Config{Server: true, Glitches: 20})
		p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1})
		for range 30 {
			p.WriteContinuation(1, false, nil)
		}
		p.fails(EnhanceYourCalm)
	})
	t.Run("another frame between", func(t *testing.T) {
		p := newPeer(t, server)
		p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: raw(ask...)})
		p.WritePing(false, [8]byte{})
		p.fails(ProtocolError)
		p.held(0)
	})
	t.Run("for another stream", func(t *testing.T) {
		p := newPeer(t, server)
		p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: raw(ask...)})
		p.WriteContinuation(3, true, nil)
		p.fails(ProtocolError)
	})
	t.Run("cut anywhere", func(t *testing.T) {
		p := newPeer(t, server)
		l := p.accepted()
		block := raw(append(ask[:len(ask):len(ask)], "x", "y")...)
		p.WriteRawFrame(xhttp2.FrameHeaders, xhttp2.FlagHeadersPadded|xhttp2.FlagHeadersPriority|xhttp2.FlagHeadersEndStream, 1, append(append([]byte{3, 0, 0, 0, 0, 0}, block[:5]...), 0, 0, 0))
		for _, b := range block[5:] {
			p.WriteContinuation(1, false, []byte{b})
		}
		p.WriteContinuation(1, true, nil)
		out := bytes.Clone(p.out.Bytes())
		p.out.Reset()
		for i := range out {
			p.out.Write(out[i : i+1])
			p.must()
		}
		if len(*l) != 1 || show((*l)[0].Req.Fields) != "host: a\nx: y\n" {
			t.Error(l)
		}
		p.held(0)
	})
}

// A small head that becomes a huge one.
func TestHPACKBomb(t *testing.T) {
	p := newPeer(t, server)
	l := p.accepted()
	// One field of 4000 bytes in the table, named 5000 times.
	bomb := append(raw(ask...), 0x40)
	bomb = appendString(appendString(bomb, []byte("x")), []byte(strings.Repeat("v", 4000)))
	for range 5000 {
		bomb = append(bomb, 0xbe)
	}
	p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: bomb, EndHeaders: true, EndStream: true})
	p.must()
	if got := p.hear(); got != "RST_STREAM 1 PROTOCOL_ERROR\n" {
		t.Error(got)
	}
	if s := (*l)[0]; s.Err() == nil || cap(s.Req.Arena()) > 128<<10 || len(s.Req.Fields) > 10 {
		t.Errorf("%d bytes, %d fields", cap(s.Req.Arena()), len(s.Req.Fields))
	}
	// The same as Huffman codes, the longest expansion that there is.
	p.get(3)
	p.must()
	if len(*l) != 2 || (*l)[1].Err() != nil {
		t.Error("the compression's state is lost")
	}
	p.held(0)
	if p.o.c.Glitches() == 0 {
		t.Error("no glitch")
	}
}

// Cookies may come in pieces, but not in any number.
func TestCookieCrumbs(t *testing.T) {
	for _, c := range []struct {
		n, size int
		ok      bool
	}{{90, 100, true}, {200, 1, true}, {201, 1, false}, {40, 400, false}, {7000, 0, false}} {
		p := newPeer(t, server)
		l := p.accepted()
		block := raw(ask...)
		block = append(block, 0x60)
		block = appendString(block, bytes.Repeat([]byte("c"), c.size))
		for range c.n - 1 {
			block = append(block, 0xbe)
		}
		p.headers(1, true, block)
		p.must()
		p.hear()
		if s := (*l)[0]; (s.Err() == nil) != c.ok {
			t.Error(c, s.Err())
		} else if c.ok && len(s.Req.Get("cookie")) != c.n*(c.size+2)-2 {
			t.Error(len(s.Req.Get("cookie")))
		}
	}
}

// CVE-2019-9512, CVE-2019-9515: frames that have to be answered, whose answers
// are not read.
func TestSettingsFlood(t *testing.T) { flood(t, func(p *peer) { p.WriteSettings() }, false) }

func TestPingFlood(t *testing.T) {
	flood(t, func(p *peer) { p.WritePing(false, [8]byte{}) }, true)
}

// flood repeats a frame until the connection ends. endless tells that a peer
// that reads the answers may go on.
func flood(t *testing.T, write func(p *peer), endless bool) {
	p := newPeer(t, server)
	n := 0
	for ; n < 10000; n++ {
		write(p)
		if err := p.say(); err != nil {
			if err.(*Error).Code != EnhanceYourCalm {
				t.Error(err)
			}
			break
		}
		if p.o.c.Pending() > 64<<10 {
			t.Fatal(p.o.c.Pending())
		}
	}
	if n == 10000 {
		t.Error("it never ends")
	}
	p.held(2)
	p = newPeer(t, server)
	for n = 0; n < 10000 && p.say() == nil; n++ {
		write(p)
		p.hear()
	}
	if endless != (n == 10000) {
		t.Error(n)
	}
}

// Frames of no use, which need no answer.
func TestUselessFrames(t *testing.T) {
	for name, write := range map[string]func(p *peer){
		"empty DATA":    func(p *peer) { p.WriteData(1, false, nil) }, // CVE-2019-9518
		"padding alone": func(p *peer) { p.WriteRawFrame(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, []byte{0}) },
		"PRIORITY":      func(p *peer) { p.WritePriority(7, xhttp2.PriorityParam{StreamDep: 3}) }, // CVE-2019-9513
		"unknown":       func(p *peer) { p.WriteRawFrame(77, 0xff, 1, []byte("what")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, server)
			p.accepted()
			p.post(1)
			for range 100 {
				write(p)
				p.WriteData(1, false, []byte("x")) // all is well as long as there is progress
			}
			p.must()
			for range maxUseless {
				write(p)
			}
			p.must()
			write(p)
			p.fails(EnhanceYourCalm)
		})
	}
}

// Heads on a stream that was reset were on their way, but not without end.
func TestHeadsAfterReset(t *testing.T) {
	p := newPeer(t, server)
	l := p.accepted()
	p.post(1)
	p.WriteWindowUpdate(1, 1<<31-1)
	p.must()
	if s := (*l)[0]; s.Err() == nil || !s.HasRequest() {
		t.Error("the request is to be known, and at an end", s.Err(), s.HasRequest())
	}
	head := raw(ask...)
	for range maxUseless {
		p.headers(1, true, head)
	}
	p.must()
	p.headers(1, true, head)
	p.fails(EnhanceYourCalm)
}

// CVE-2019-9517, CVE-2019-9511: a peer that asks for much and takes nothing,
// or byte by byte.
func TestWindowStall(t *testing.T) {
	t.Run("no window", func(t *testing.T) {
		p := barePeer(t, server)
		p.out.WriteString(preface)
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
		l := p.accepted()
		for i := range uint32(100) {
			p.get(2*i + 1)
		}
		p.must()
		big := make([]byte, 1<<20)
		for _, s := range *l {
			s.SendHead(answer(200, message.Chunked, -1), false)
			if n := s.SendData(big, true); n != 0 || s.Room() != 0 {
				t.Error(n)
			}
		}
		p.hear()
		p.held(0)
		p.o.changes = 0
		p.WriteWindowUpdate(1, 1)
		p.must()
		if p.o.changes != 1 {
			t.Error(p.o.changes)
		}
		s := (*l)[0]
		if n := s.SendData(big, true); n != 1 {
			t.Error(n)
		}
		if got := p.hear(); got != "DATA 1 1\n" {
			t.Error(got)
		}
	})
	t.Run("nothing is read", func(t *testing.T) {
		p := newPeer(t, server)
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
		p.WriteWindowUpdate(0, 1<<30)
		l := p.accepted()
		for i := range uint32(100) {
			p.get(2*i + 1)
		}
		p.must()
		big := make([]byte, 1<<20)
		for _, s := range *l {
			s.SendHead(answer(200, message.Chunked, -1), false)
			s.SendData(big, true)
		}
		p.held(8)
		if n := p.o.c.Pending(); n > 2*maxQueue {
			t.Error(n)
		}
	})
}

// Heads need no window, and are bounded all the same.
func TestUnreadHeads(t *testing.T) {
	cl, sv := pair(t, Config{MaxStreams: 1000}, Config{MaxStreams: 1000})
	converse(t, cl, sv, 0)
	var open []*Stream
	for {
		s, err := cl.c.Open(get("/", "x", strings.Repeat("v", 10_000)), new(message.Response), nil, true)
		if err != nil {
			break
		}
		open = append(open, s)
	}
	if n := cl.c.Pending(); !cl.c.Full() || cl.c.Available() != 0 || n < maxHeads || n > maxHeads+11_000 {
		t.Errorf("%d streams, %d bytes are pending", len(open), n)
	}
	converse(t, cl, sv, 0)
	if cl.c.Full() || cl.c.Available() == 0 {
		t.Error("it stays full")
	}
	for _, s := range open {
		s.Close()
	}
}

// One frame of settings changes windows once, however often it says so.
func TestManySettings(t *testing.T) {
	p := newPeer(t, server)
	var s *Stream
	p.o.request = func(got *Stream) { s = got }
	p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
	p.get(1)
	p.must()
	s.SendHead(answer(200, message.Chunked, -1), false)
	if n := s.SendData([]byte("hello"), true); n != 0 {
		t.Fatal(n)
	}
	p.hear()
	p.o.changes = 0
	var all []xhttp2.Setting
	for range 1000 {
		all = append(all, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1}, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
	}
	p.WriteSettings(all...)
	p.must()
	if p.o.changes != 0 || s.Room() != 0 {
		t.Errorf("%d changes", p.o.changes)
	}
	p.WriteSettings(append(all, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 5})...)
	p.must()
	if p.o.changes != 1 || s.SendData([]byte("hello"), true) != 5 {
		t.Errorf("%d changes", p.o.changes)
	}
	p.o.close(s)
}

// More DATA than the windows allow, and window updates beyond all measure.
func TestFlowControl(t *testing.T) {
	t.Run("stream", func(t *testing.T) {
		p := newPeer(t, Config{Server: true, InitialWindow: 1000})
		l := p.accepted()
		p.post(1)
		p.WriteData(1, false, make([]byte, 1001))
		p.must()
		if got := p.hear(); got != "RST_STREAM 1 FLOW_CONTROL_ERROR\n" || (*l)[0].Err() == nil {
			t.Error(got)
		}
		p.held(0)
	})
	t.Run("connection", func(t *testing.T) {
		p := newPeer(t, Config{Server: true, InitialWindow: 1 << 20})
		p.accepted()
		p.post(1)
		for range 5 { // 16384 of them are the stream's own
			p.WriteData(1, false, make([]byte, 16000))
		}
		p.must()
		p.held(6)
		p.WriteData(1, false, make([]byte, 16000))
		p.fails(FlowControl)
	})
	t.Run("discarded DATA is given back", func(t *testing.T) {
		p := newPeer(t, server)
		p.o.change = func(s *Stream) {}
		l := p.accepted()
		p.post(1)
		p.must()
		p.o.close((*l)[0])
		if got := p.hear(); got != "RST_STREAM 1 CANCEL\n" {
			t.Error(got)
		}
		for range 100 {
			p.WriteDataPadded(1, false, make([]byte, 16000), make([]byte, 100))
			p.must()
		}
		if got := p.hear(); strings.Count(got, "WINDOW_UPDATE 0") < 20 || strings.Contains(got, "RST") {
			t.Error(got)
		}
		p.held(0)
	})
	t.Run("window overflow", func(t *testing.T) {
		p := newPeer(t, server)
		p.accepted()
		p.get(1)
		p.WriteWindowUpdate(1, 1<<31-1)
		p.must()
		if got := p.hear(); got != "RST_STREAM 1 FLOW_CONTROL_ERROR\n" {
			t.Error(got)
		}
		p.WriteWindowUpdate(0, 1<<31-1)
		p.fails(FlowControl)
	})
	t.Run("settings overflow", func(t *testing.T) {
		p := newPeer(t, server)
		p.accepted()
		p.get(1)
		p.WriteWindowUpdate(1, 1<<30)
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
		p.fails(FlowControl)
	})
	t.Run("WINDOW_UPDATE of 0", func(t *testing.T) {
		p := newPeer(t, server)
		p.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, 0, make([]byte, 4))
		p.fails(ProtocolError)
	})
	t.Run("negative windows", func(t *testing.T) {
		p := newPeer(t, server)
		l := p.accepted()
		p.get(1)
		p.must()
		s := (*l)[0]
		s.SendHead(answer(200, message.Chunked, -1), false)
		if n := s.SendData(make([]byte, 60000), false); n != 60000 {
			t.Error(n)
		}
		p.hear()
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 100})
		p.must()
		if s.sendWin != 100-60000 || s.Room() != 0 {
			t.Error(s.sendWin)
		}
		p.hear()
		p.WriteWindowUpdate(1, 59900)
		p.must()
		if s.Room() != 0 {
			t.Error(s.Room())
		}
		p.WriteWindowUpdate(1, 1)
		p.must()
		if p.o.changes != 1 || s.Room() != 1 {
			t.Error(p.o.changes, s.Room())
		}
	})
}

// Frames that are wrong end the connection with the code that RFC 9113 says.
func TestViolations(t *testing.T) {
	frame := func(kind xhttp2.FrameType, flags xhttp2.Flags, id uint32, payload ...byte) func(p *peer) {
		return func(p *peer) { p.WriteRawFrame(kind, flags, id, payload) }
	}
	for _, c := range []struct {
		what  string
		write func(p *peer)
		code  ErrCode
	}{
		{"large frame", frame(xhttp2.FrameData, 0, 1, make([]byte, 16385)...), FrameSize},
		{"DATA on stream 0", frame(xhttp2.FrameData, 0, 0, 1), ProtocolError},
		{"DATA on an idle stream", frame(xhttp2.FrameData, 0, 1, 1), ProtocolError},
		{"HEADERS on stream 0", frame(xhttp2.FrameHeaders, 4, 0, 0x82), ProtocolError},
		{"HEADERS on an even stream", frame(xhttp2.FrameHeaders, 4, 2, 0x82), ProtocolError},
		{"HEADERS with much padding", frame(xhttp2.FrameHeaders, 0xc, 1, 2, 0x82), ProtocolError},
		{"HEADERS without padding's length", frame(xhttp2.FrameHeaders, 0xc, 1), FrameSize},
		{"HEADERS with half a priority", frame(xhttp2.FrameHeaders, 0x24, 1, 0, 0, 0), FrameSize},
		{"HEADERS that depend on themselves", frame(xhttp2.FrameHeaders, 0x24, 1, 0, 0, 0, 1, 0), ProtocolError},
		{"smaller stream", func(p *peer) { p.get(5); p.get(3) }, ProtocolError},
		{"invalid field index", frame(xhttp2.FrameHeaders, 5, 1, 0x80), Compression},
		{"field beyond the table", frame(xhttp2.FrameHeaders, 5, 1, 0xbe), Compression},
		{"field cut off", frame(xhttp2.FrameHeaders, 5, 1, 0x40, 5, 'a'), Compression},
		{"table too large", frame(xhttp2.FrameHeaders, 5, 1, 0x3f, 0xe2, 0x1f), Compression},
		{"PRIORITY on stream 0", frame(xhttp2.FramePriority, 0, 0, 0, 0, 0, 0, 0), ProtocolError},
		{"short PRIORITY", frame(xhttp2.FramePriority, 0, 1, 0, 0, 0, 0), FrameSize},
		{"PRIORITY that depends on itself", frame(xhttp2.FramePriority, 0, 1, 0, 0, 0, 1, 0), ProtocolError},
		{"RST_STREAM on stream 0", frame(xhttp2.FrameRSTStream, 0, 0, 0, 0, 0, 0), ProtocolError},
		{"RST_STREAM on an idle stream", frame(xhttp2.FrameRSTStream, 0, 1, 0, 0, 0, 0), ProtocolError},
		{"short RST_STREAM", func(p *peer) { p.get(1); p.WriteRawFrame(xhttp2.FrameRSTStream, 0, 1, []byte{0}) }, FrameSize},
		{"SETTINGS on a stream", frame(xhttp2.FrameSettings, 0, 1), ProtocolError},
		{"half SETTINGS", frame(xhttp2.FrameSettings, 0, 0, 1, 2, 3), FrameSize},
		{"SETTINGS ack with a payload", frame(xhttp2.FrameSettings, 1, 0, 0, 1, 0, 0, 0, 0), FrameSize},
		{"SETTINGS_ENABLE_PUSH", frame(xhttp2.FrameSettings, 0, 0, 0, 2, 0, 0, 0, 2), ProtocolError},
		{"SETTINGS_INITIAL_WINDOW_SIZE", frame(xhttp2.FrameSettings, 0, 0, 0, 4, 0x80, 0, 0, 0), FlowControl},
		{"small SETTINGS_MAX_FRAME_SIZE", frame(xhttp2.FrameSettings, 0, 0, 0, 5, 0, 0, 0x3f, 0xff), ProtocolError},
		{"large SETTINGS_MAX_FRAME_SIZE", frame(xhttp2.FrameSettings, 0, 0, 0, 5, 1, 0, 0, 0), ProtocolError},
		{"PUSH_PROMISE", frame(xhttp2.FramePushPromise, 4, 1, 0, 0, 0, 2, 0x82), ProtocolError},
		{"PING on a stream", frame(xhttp2.FramePing, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), ProtocolError},
		{"short PING", frame(xhttp2.FramePing, 0, 0, 0), FrameSize},
		{"GOAWAY on a stream", frame(xhttp2.FrameGoAway, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), ProtocolError},
		{"short GOAWAY", frame(xhttp2.FrameGoAway, 0, 0, 0), FrameSize},
		{"WINDOW_UPDATE on an idle stream", frame(xhttp2.FrameWindowUpdate, 0, 1, 0, 0, 0, 1), ProtocolError},
		{"short WINDOW_UPDATE", frame(xhttp2.FrameWindowUpdate, 0, 0, 1), FrameSize},
		{"CONTINUATION alone", frame(xhttp2.FrameContinuation, 4, 1, 0x82), ProtocolError},
		{"padding longer than DATA", func(p *peer) { p.post(1); p.WriteRawFrame(xhttp2.FrameData, 8, 1, []byte{2, 0}) }, ProtocolError},
		{"DATA without padding's length", func(p *peer) { p.post(1); p.WriteRawFrame(xhttp2.FrameData, 8, 1, nil) }, FrameSize},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPeer(t, server)
			p.accepted()
			c.write(p)
			p.fails(c.code)
			p.o.c.Free()
			p.held(0)
		})
	}
	t.Run("no preface", func(t *testing.T) {
		for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"} {
			p := barePeer(t, server)
			p.out.WriteString(s)
			p.fails(ProtocolError)
		}
	})
	t.Run("no settings", func(t *testing.T) {
		for _, flags := range []xhttp2.Flags{0, 1} {
			p := barePeer(t, server)
			p.out.WriteString(preface)
			if flags == 0 {
				p.WritePing(false, [8]byte{})
			} else {
				p.WriteSettingsAck()
			}
			p.fails(ProtocolError)
		}
	})
	t.Run("to a client", func(t *testing.T) {
		for what, c := range map[string]struct {
			write func(p *peer)
			code  ErrCode
		}{
			"HEADERS on an idle stream": {func(p *peer) { p.head(3, true, ":status", "200") }, ProtocolError},
			"HEADERS on its own stream": {func(p *peer) { p.head(2, true, ":status", "200") }, ProtocolError},
			"DATA on an idle stream":    {func(p *peer) { p.WriteData(3, false, nil) }, ProtocolError},
			"push allowed":              {frame(xhttp2.FrameSettings, 0, 0, 0, 2, 0, 0, 0, 1), ProtocolError},
			"PUSH_PROMISE":              {frame(xhttp2.FramePushPromise, 4, 1, 0, 0, 0, 2, 0x82), ProtocolError},
			"extended CONNECT gone": {func(p *peer) {
				p.WriteSettings(xhttp2.Setting{ID: 8, Val: 1})
				p.WriteSettings(xhttp2.Setting{ID: 8, Val: 0})
			}, ProtocolError},
		} {
			p := newPeer(t, Config{})
			s, err := p.o.c.Open(get("/"), new(message.Response), nil, true)
			if err != nil {
				t.Fatal(err)
			}
			p.hear()
			c.write(p)
			p.fails(c.code)
			p.o.c.Abort(p.o.c.err)
			if s.Err() == nil {
				t.Error(what)
			}
			s.Close()
		}
	})
}

// What is wrong with a stream ends that stream alone.
func TestStreamViolations(t *testing.T) {
	for _, c := range []struct {
		what  string
		write func(p *peer)
		code  ErrCode
	}{
		{"more than content-length", func(p *peer) { p.post(1, "content-length", "3"); p.WriteData(1, false, []byte("1234")) }, ProtocolError},
		{"less than content-length", func(p *peer) { p.post(1, "content-length", "3"); p.WriteData(1, true, []byte("12")) }, ProtocolError},
		{"less, and trailers", func(p *peer) { p.post(1, "content-length", "3"); p.head(1, true, "a", "b") }, ProtocolError},
		{"trailers that do not end", func(p *peer) { p.post(1); p.head(1, false, "a", "b") }, ProtocolError},
		{"pseudo-field in trailers", func(p *peer) { p.post(1); p.head(1, true, ":path", "b") }, ProtocolError},
		{"connection in trailers", func(p *peer) { p.post(1); p.head(1, true, "connection", "b") }, ProtocolError},
		{"DATA after the end", func(p *peer) { p.get(1); p.WriteData(1, false, []byte("x")) }, StreamClosed},
		{"HEADERS after the end", func(p *peer) { p.get(1); p.get(1) }, StreamClosed},
		{"DATA after RST_STREAM", func(p *peer) {
			p.post(1)
			p.WriteRSTStream(1, xhttp2.ErrCodeCancel)
			p.WriteData(1, false, []byte("x"))
		}, StreamClosed},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPeer(t, server)
			l := p.accepted()
			c.write(p)
			p.must()
			if got := p.hear(); got != fmt.Sprintf("RST_STREAM 1 %v\n", c.code) || (*l)[0].Err() == nil {
				t.Errorf("%q", got)
			}
			p.o.close((*l)[0])
			p.held(0)
			p.get(3)
			p.must()
			if len(*l) != 2 || (*l)[1].Err() != nil {
				t.Error("the others suffer")
			}
		})
	}
	t.Run("frames on streams that have ended", func(t *testing.T) {
		p := newPeer(t, server)
		p.o.request = func(s *Stream) {
			s.SendHead(answer(200, message.NoBody, -1), true)
			p.o.close(s)
		}
		p.get(1)
		p.WriteRSTStream(1, xhttp2.ErrCodeCancel)
		p.WriteWindowUpdate(1, 5)
		p.WritePriority(1, xhttp2.PriorityParam{StreamDep: 3})
		p.must()
		if got := p.hear(); got != "HEADERS 1 end :status=200\n" {
			t.Error(got)
		}
		p.WriteData(1, false, []byte("x"))
		p.must()
		if got := p.hear(); got != "RST_STREAM 1 STREAM_CLOSED\n" {
			t.Error(got)
		}
		p.get(1)
		p.fails(StreamClosed)
	})
}

// A server that sends interim responses without end.
func TestInterimFlood(t *testing.T) {
	p := newPeer(t, Config{})
	s, err := p.o.c.Open(get("/"), new(message.Response), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	p.hear()
	for range maxInterim + 1 {
		p.head(1, false, ":status", "103")
	}
	p.must()
	if s.Err() != nil || !s.HasHead() {
		t.Error(s.Err())
	}
	p.head(1, false, ":status", "103")
	p.must()
	if got := p.hear(); got != "RST_STREAM 1 ENHANCE_YOUR_CALM\n" || s.Err() == nil {
		t.Error(got)
	}
	s.Close()
}

// Glitches add up: the client is told to leave, and then closed.
func TestGlitches(t *testing.T) {
	p := newPeer(t, Config{Server: true, Glitches: 100})
	p.o.change = func(s *Stream) { p.o.close(s) }
	p.o.request = func(s *Stream) {
		if s.Err() != nil {
			p.o.close(s)
		}
	}
	for i := range uint32(100) {
		p.get(2*i+1, "X", "y")
		if i < 99 {
			p.must()
			if got := p.hear(); strings.Contains(got, "GOAWAY NO_ERROR") != (i == 74) || p.o.c.Glitches() != int(i)+1 {
				t.Error(i, got, p.o.c.Glitches())
			}
		}
	}
	p.fails(EnhanceYourCalm)
}

// Glitches do not end a connection that is to be let live.
func TestLenient(t *testing.T) {
	p := newPeer(t, Config{Server: true, Glitches: 10})
	p.o.request = func(s *Stream) { p.o.close(s) }
	p.o.c.Lenient = true
	for i := range uint32(20) {
		p.get(2*i+1, "X", "y")
		p.must()
	}
	p.o.c.Lenient = false
	p.get(41, "X", "y")
	p.fails(EnhanceYourCalm)
}

// RST_STREAM and other frames beyond what is taken at once.
func TestThrottled(t *testing.T) {
	p := newPeer(t, Config{Server: true, MaxRst: 2, MaxFrames: 10})
	p.o.c.Throttled()
	p.o.change = func(s *Stream) { p.o.close(s) }
	rst := func(id uint32) { p.get(id); p.WriteRSTStream(id, xhttp2.ErrCodeCancel) }
	if rst(1); p.say() != nil || p.o.c.Throttled() {
		t.Error("one")
	}
	rst(3)
	if rst(5); p.say() != nil || !p.o.c.Throttled() || p.o.c.Throttled() {
		t.Error("two")
	}
	for range 10 {
		p.WritePing(false, [8]byte{})
	}
	if p.say() != nil || !p.o.c.Throttled() {
		t.Error("frames")
	}
}
