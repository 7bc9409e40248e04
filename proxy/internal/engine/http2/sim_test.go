package http2

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	xhttp2 "golang.org/x/net/http2"
)

// talker is one end of a stream in a simulation.
type talker struct {
	s          *Stream
	other      *talker
	body       []byte
	sent, got  int
	headed     bool // its head was sent
	done       bool // its end was sent
	closed     bool
	reset      bool // by itself
	res        message.Response
	trailers   bool
	interims   int
	sawInterim int
}

func (*talker) Changed() {}

// world is a client and a server that do random things.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	cl, sv  *side
	talkers []*talker
	opened  []*talker // of the client, whose requests have not come yet
}

func (w *world) open() {
	if w.cl.c.Available() == 0 {
		return
	}
	k := &talker{body: make([]byte, w.rnd.IntN(3)*w.rnd.IntN(1+w.rnd.IntN(200000))), trailers: w.rnd.IntN(4) == 0, headed: true}
	for i := range k.body {
		k.body[i] = byte(i)
	}
	q := get("/")
	q.Method, q.MethodName, q.Framing = message.Post, []byte("POST"), message.Chunked
	if w.rnd.IntN(3) == 0 && !k.trailers {
		q.Framing, q.ContentLength = message.Length, int64(len(k.body))
	}
	for range w.rnd.IntN(5) {
		q.AddString("x-field", string(bytes.Repeat([]byte{'v'}, w.rnd.IntN(2000))))
	}
	s, err := w.cl.c.Open(q, &k.res, k, false)
	if err != nil {
		w.t.Fatal(err)
	}
	k.s = s
	w.talkers = append(w.talkers, k)
	w.opened = append(w.opened, k)
}

// act is one random thing that one end of a stream does.
func (w *world) act(k *talker) {
	s := k.s
	if k.closed {
		return
	}
	switch n := w.rnd.IntN(100); {
	case n < 1:
		k.reset = true
		if w.rnd.IntN(2) == 0 {
			s.Reset(Cancel)
		} else {
			w.close(k)
		}
		return
	case n < 10:
		if s.HasHead() && k.res.Status < 200 {
			k.sawInterim++
			s.NextHead()
		}
	case n < 20:
		if !k.headed {
			if k.interims < 3 && w.rnd.IntN(2) == 0 {
				k.interims++
				s.SendHead(answer(103, message.NoBody, -1), false)
			} else {
				k.headed = true
				s.SendHead(answer(200, message.Chunked, -1), false)
			}
		}
	case n < 60:
		if !k.headed || k.done {
			break
		}
		m := min(len(k.body)-k.sent, 1+w.rnd.IntN(50000))
		last := k.sent+m == len(k.body) && !k.trailers
		took := s.SendData(k.body[k.sent:k.sent+m], last)
		k.sent += took
		if took == m && last {
			k.done = true
		} else if k.sent == len(k.body) && k.trailers {
			k.done = true
			s.SendTrailers([]message.Field{{Name: []byte("x-sum"), Value: []byte("1")}})
		}
	default:
		if d := s.Data(); len(d) > 0 {
			m := 1 + w.rnd.IntN(len(d))
			for i, b := range d[:m] {
				if b != byte(k.got+i) {
					w.t.Fatal("other bytes")
				}
			}
			s.Consume(m)
			k.got += m
		}
		if s.RecvEnd() && (k.done || s.Err() != nil) {
			w.close(k)
		}
	}
	if s.Err() != nil {
		w.close(k)
	}
}

func (w *world) close(k *talker) {
	if k.closed {
		return
	}
	s := k.s
	if o := k.other; o != nil && s.Err() == nil && !k.reset && !o.reset {
		if k.got != len(o.body) || (len(s.Trailers) == 1) != o.trailers {
			w.t.Errorf("stream %d: %d of %d bytes, %d trailers", s.ID, k.got, len(o.body), len(s.Trailers))
		}
	}
	k.closed = true
	delete(w.sv.streams, s)
	s.Close()
}

func (w *world) request(s *Stream) {
	k := &talker{s: s, body: make([]byte, w.rnd.IntN(3)*w.rnd.IntN(1+w.rnd.IntN(200000))), trailers: w.rnd.IntN(4) == 0}
	for i := range k.body {
		k.body[i] = byte(i)
	}
	for _, o := range w.opened {
		if !o.closed && o.s.ID == s.ID {
			k.other, o.other = o, k
		}
	}
	w.talkers = append(w.talkers, k)
}

// some moves a part of what one end has to say.
func (w *world) some(from, to *side) {
	b := from.c.Out()
	if len(b) == 0 {
		return
	}
	n := 1 + w.rnd.IntN(len(b))
	b = bytes.Clone(b[:n])
	from.c.Sent(n)
	if err := to.c.Feed(b); err != nil {
		w.t.Fatal(err)
	}
}

// Random exchanges in random order over connections with random windows: the
// bytes arrive, no end sees a violation, and both agree on what is left of the
// windows.
func TestRandomExchanges(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 11))
		cfg := func() Config {
			return Config{
				InitialWindow: []uint32{0, 100, 16384, 65536, 1 << 20}[rnd.IntN(5)], RxBuf: []int{0, 100000, 1638400}[rnd.IntN(3)],
				MaxStreams: []uint32{0, 1, 5}[rnd.IntN(3)], MaxFrame: []uint32{0, 100000}[rnd.IntN(2)], HeaderTable: []uint32{0, 8192}[rnd.IntN(2)],
			}
		}
		w := &world{t: t, rnd: rnd}
		w.cl, w.sv = pair(t, cfg(), cfg())
		w.sv.request = w.request
		for range 4000 {
			switch n := rnd.IntN(100); {
			case n < 2:
				w.open()
			case n < 30:
				w.some(w.cl, w.sv)
			case n < 60:
				w.some(w.sv, w.cl)
			default:
				if len(w.talkers) > 0 {
					i := rnd.IntN(len(w.talkers))
					if w.act(w.talkers[i]); w.talkers[i].closed {
						w.talkers[i] = w.talkers[len(w.talkers)-1]
						w.talkers = w.talkers[:len(w.talkers)-1]
					}
				}
			}
		}
		for _, k := range w.talkers {
			k.reset = true
			w.close(k)
		}
		converse(t, w.cl, w.sv, 0)
		for s := range w.sv.streams { // opened by what was on its way
			w.sv.close(s)
		}
		converse(t, w.cl, w.sv, 0)
		for _, d := range [][2]*side{{w.cl, w.sv}, {w.sv, w.cl}} {
			a, b := &d[0].c, &d[1].c
			if a.sendWin != b.recvWin {
				t.Errorf("seed %d: windows %d and %d", seed, a.sendWin, b.recvWin)
			}
			if !a.Idle() || d[0].lent != 0 || a.turns != 0 || a.receiving != 0 || a.complete != 0 || a.control != 0 {
				t.Errorf("seed %d: %d streams, %d buffers, %d turns, %d receiving, %d complete, %d control", seed, a.Streams(), d[0].lent, a.turns, a.receiving, a.complete, a.control)
			}
		}
		if w.cl.c.Glitches() > 0 {
			t.Errorf("seed %d: %d glitches of the server", seed, w.cl.c.Glitches())
		}
		if t.Failed() {
			return
		}
	}
}

// FuzzFeed gives a connection anything. It must not panic, must say what is
// valid HTTP/2, hold bounded memory, and come to the same end whatever pieces
// the bytes come in.
func FuzzFeed(f *testing.F) {
	add := func(srv bool, write func(p *peer)) {
		p := barePeer(f, Config{Server: srv})
		if srv {
			p.out.WriteString(preface)
		}
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 100})
		write(p)
		f.Add(srv, p.out.Bytes(), uint8(7))
	}
	add(true, func(p *peer) { p.get(1); p.post(3); p.WriteData(3, true, []byte("x")); p.WriteRSTStream(1, 8) })
	add(true, func(p *peer) {
		p.post(1, "content-length", "5", "cookie", "a", "cookie", "b")
		p.WriteDataPadded(1, false, []byte("hello"), make([]byte, 9))
		p.head(1, true, "x", "y")
		p.WriteWindowUpdate(0, 1000)
		p.WriteGoAway(1, 0, nil)
	})
	add(true, func(p *peer) {
		block := p.encode(ask)
		p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:3], Priority: xhttp2.PriorityParam{Weight: 5}})
		p.WriteContinuation(1, true, block[3:])
		p.WritePing(false, [8]byte{})
		p.WritePriority(3, xhttp2.PriorityParam{StreamDep: 1})
		p.head(5, false, with(":method", "CONNECT", ":protocol", "websocket")...)
	})
	add(false, func(p *peer) {
		p.head(1, false, ":status", "103")
		p.head(1, false, ":status", "200", "content-length", "3")
		p.WriteData(1, true, []byte("abc"))
		p.head(3, true, ":status", "404")
		p.WriteGoAway(3, 0, nil)
	})
	f.Fuzz(func(t *testing.T, srv bool, data []byte, step uint8) {
		if len(data) > 1<<17 {
			return
		}
		a, aseen, aerr := feedAll(t, srv, data, 0)
		b, bseen, berr := feedAll(t, srv, data, int(step))
		if (aerr == nil) != (berr == nil) || aerr != nil && aerr.Error() != berr.Error() {
			t.Fatalf("%v or %v", aerr, berr)
		}
		if a != b || aseen != bseen {
			t.Fatalf("%q\nor\n%q\n%q\nor\n%q", a, b, aseen, bseen)
		}
	})
}

// feedAll gives data to a connection and tells what it says and what its owner
// saw.
func feedAll(t *testing.T, srv bool, data []byte, step int) (said, seen string, err error) {
	p := barePeer(t, Config{Server: srv, ExtendedConnect: srv})
	o := p.o
	var log bytes.Buffer
	var l []*Stream
	o.request = func(s *Stream) {
		if l = append(l, s); s.Err() == nil {
			log.WriteString(show(s.Req.Fields))
		}
	}
	if !srv {
		for range 3 {
			s, err := o.c.Open(get("/"), new(message.Response), nil, true)
			if err != nil {
				t.Fatal(err)
			}
			l = append(l, s)
		}
	}
	for len(data) > 0 && err == nil {
		n := len(data)
		if step > 0 {
			n = min(n, step)
		}
		err = o.c.Feed(data[:n])
		data = data[n:]
		if o.lent > 2+len(l)+o.c.Pending()/100 || o.c.Pending() > 1<<17 {
			t.Fatalf("%d buffers, %d bytes for %d streams", o.lent, o.c.Pending(), len(l))
		}
	}
	for _, s := range l {
		log.WriteString(all(s))
		log.WriteString(show(s.Trailers))
		if srv && s.Err() == nil {
			s.SendHead(answer(200, message.Chunked, -1), false)
			s.SendData([]byte("answer"), true)
		}
		s.Close()
	}
	for line := range strings.Lines(p.hear()) {
		if !strings.HasPrefix(line, "WINDOW_UPDATE") { // in other pieces, too
			said += line
		}
	}
	if o.c.Streams() != 0 || o.c.waiting.head != nil || o.c.turns != 0 {
		t.Fatal("not all is given back")
	}
	o.c.Abort(ErrNoStream)
	o.c.Free()
	if o.lent != 0 {
		t.Fatalf("%d buffers are lost", o.lent)
	}
	return said, log.String(), err
}
