package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// side is the owner of one end of a connection in tests.
type side struct {
	t       testing.TB
	c       Conn
	bufs    [][]byte // free ones
	lent    int
	size    int
	refuse  bool
	full    bool
	streams map[*Stream]bool // opened by the peer, not closed
	request func(s *Stream)
	reply   func(s *Stream)
	change  func(s *Stream)
	changes int
}

func (o *side) Buffer() []byte {
	o.lent++
	if n := len(o.bufs); n > 0 {
		b := o.bufs[n-1]
		o.bufs = o.bufs[:n-1]
		return b
	}
	return make([]byte, o.size)
}

func (o *side) Release(b []byte) {
	o.lent--
	if cap(b) == o.size {
		o.bufs = append(o.bufs, b[:o.size])
	}
}

func (o *side) Refuse() bool { return o.full }

type exchange struct{ req message.Request }

func (*exchange) Changed() {}

func (o *side) NewStream(s *Stream) *message.Request {
	if o.refuse {
		return nil
	}
	e := new(exchange)
	s.User = e
	if o.streams == nil {
		o.streams = map[*Stream]bool{}
	}
	o.streams[s] = true
	return &e.req
}

func (o *side) Request(s *Stream) {
	if o.request != nil {
		o.request(s)
	}
}

func (o *side) Response(s *Stream) {
	if o.reply != nil {
		o.reply(s)
	}
}

func (o *side) Changed(s *Stream) {
	o.changes++
	if o.change != nil {
		o.change(s)
	}
}

func (o *side) close(s *Stream) {
	delete(o.streams, s)
	s.Close()
}

func newSide(t testing.TB, cfg *Config) *side {
	o := &side{t: t, size: 16384}
	o.c.Init(cfg, o)
	return o
}

// pair is a client and a server.
func pair(t testing.TB, client, server Config) (cl, sv *side) {
	server.Server = true
	client.Server = false
	cl, sv = newSide(t, &client), newSide(t, &server)
	return cl, sv
}

// move hands over what from has to say in pieces of step bytes (0: as it comes).
func move(from, to *side, step int) (moved int, err error) {
	for b := from.c.Out(); len(b) > 0; b = from.c.Out() {
		if step > 0 && len(b) > step {
			b = b[:step]
		}
		b = bytes.Clone(b)
		from.c.Sent(len(b))
		moved += len(b)
		if err := to.c.Feed(b); err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// converse moves bytes until nobody has anything to say.
func converse(t testing.TB, a, b *side, step int) {
	t.Helper()
	for {
		n, err := move(a, b, step)
		if err != nil {
			t.Fatal(err)
		}
		m, err := move(b, a, step)
		if err != nil {
			t.Fatal(err)
		}
		if n+m == 0 {
			return
		}
	}
}

func get(target string, fields ...string) *message.Request {
	q := new(message.Request)
	q.Reset()
	q.Method, q.MethodName, q.Target, q.Host = message.Get, []byte("GET"), []byte(target), []byte("example.org")
	q.AddString("host", "example.org")
	for i := 0; i < len(fields); i += 2 {
		q.AddString(fields[i], fields[i+1])
	}
	return q
}

func answer(status int, framing message.Framing, n int64, fields ...string) *message.Response {
	r := new(message.Response)
	r.Reset()
	r.Status, r.Framing, r.ContentLength = status, framing, n
	for i := 0; i < len(fields); i += 2 {
		r.AddString(fields[i], fields[i+1])
	}
	return r
}

func show(fields []message.Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

// all takes all that a stream has received.
func all(s *Stream) string {
	var b []byte
	for len(s.Data()) > 0 {
		b = append(b, s.Data()...)
		s.Consume(len(s.Data()))
	}
	return string(b)
}

// An exchange with bodies and trailers both ways, whatever the bytes are cut
// into.
func TestExchange(t *testing.T) {
	for _, step := range []int{0, 1, 2, 7, 100} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			cl, sv := pair(t, Config{}, Config{})
			var got *Stream
			sv.request = func(s *Stream) { got = s }
			q := get("/path?x=1", "accept", "*/*", "x-own", "value", "connection", "close", "cookie", "a=b")
			q.Method, q.MethodName, q.Framing = message.Post, []byte("POST"), message.Chunked
			var res message.Response
			s, err := cl.c.Open(q, &res, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.SendData([]byte("the body"), false); n != 8 {
				t.Fatal(n)
			}
			s.SendTrailers([]message.Field{{Name: []byte("x-sum"), Value: []byte("42")}, {Name: []byte("content-length"), Value: []byte("42")}})
			converse(t, cl, sv, step)
			r := got.Req
			if r.Method != message.Post || string(r.MethodName) != "POST" || string(r.Target) != "/path?x=1" || string(r.Host) != "example.org" ||
				string(got.Scheme) != "http" || r.Framing != message.Chunked || r.Version != message.HTTP2 || !r.KeepAlive {
				t.Errorf("%+v", r)
			}
			if f := show(r.Fields); f != "host: example.org\naccept: */*\nx-own: value\ncookie: a=b\n" {
				t.Error(f)
			}
			if !got.EndReceived() || got.RecvEnd() || got.Queued() != 8 || all(got) != "the body" || !got.RecvEnd() {
				t.Error("request body")
			}
			if f := show(got.Trailers); f != "x-sum: 42\n" {
				t.Error(f)
			}

			got.SendHead(answer(103, message.NoBody, -1, "link", "x"), false)
			got.SendHead(answer(200, message.Length, 5, "server", "test", "upgrade", "no"), false)
			if n := got.SendData([]byte("hello"), true); n != 5 {
				t.Fatal(n)
			}
			converse(t, cl, sv, step)
			if !s.HasHead() || res.Status != 103 || show(res.Fields) != "link: x\n" {
				t.Errorf("%+v", res)
			}
			if s.NextHead(); !s.HasHead() || res.Status != 200 || show(res.Fields) != "server: test\ncontent-length: 5\n" || res.Framing != message.Length || res.ContentLength != 5 {
				t.Errorf("%+v", res)
			}
			if s.NextHead(); s.HasHead() {
				t.Error("a third head")
			}
			if all(s) != "hello" || !s.RecvEnd() || s.Err() != nil || got.Err() != nil {
				t.Error("response body", s.Err(), got.Err())
			}
			s.Close()
			sv.close(got)
			converse(t, cl, sv, step)
			if !cl.c.Idle() || !sv.c.Idle() || cl.lent != 0 || sv.lent != 0 {
				t.Error(cl.c.Streams(), sv.c.Streams(), cl.lent, sv.lent)
			}
		})
	}
}

// A body far larger than the windows and the output goes through as it is
// consumed.
func TestLargeBody(t *testing.T) {
	for _, cfg := range []Config{{}, {InitialWindow: 16384, RxBuf: 1638400}, {InitialWindow: 1000, RxBuf: 65536}} {
		cl, sv := pair(t, Config{}, cfg)
		var got *Stream
		sv.request = func(s *Stream) { got = s }
		q := get("/")
		q.Framing, q.ContentLength = message.Length, 3<<20
		s, err := cl.c.Open(q, new(message.Response), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		body := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
		left := body
		most := 0
		n := 0
		for rounds := 0; got == nil || !got.RecvEnd(); rounds++ {
			if rounds > 1<<14 {
				t.Fatalf("stalled with %d to go", len(left))
			}
			if len(left) > 0 {
				left = left[s.SendData(left, true):]
			}
			converse(t, cl, sv, 0)
			if got != nil {
				most = max(most, got.Queued())
				for d := got.Data(); len(d) > 0; d = got.Data() {
					if !bytes.Equal(d, body[n:n+len(d)]) {
						t.Fatal("other bytes")
					}
					n += len(d)
					got.Consume(len(d))
				}
			}
		}
		if n != len(body) || most > max(65535, cfg.RxBuf) {
			t.Error(n, most)
		}
	}
}
