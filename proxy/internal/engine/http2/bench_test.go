package http2

import (
	"bytes"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// loop is a server that answers each request at once, in pooled messages.
type loop struct {
	bufs [][]byte
	req  message.Request
	res  message.Response
	body []byte
	done int
}

func (o *loop) Buffer() []byte {
	if n := len(o.bufs); n > 0 {
		b := o.bufs[n-1]
		o.bufs = o.bufs[:n-1]
		return b
	}
	return make([]byte, 16384)
}
func (o *loop) Release(b []byte)                     { o.bufs = append(o.bufs, b[:cap(b)]) }
func (o *loop) Refuse() bool                         { return false }
func (o *loop) NewStream(s *Stream) *message.Request { return &o.req }
func (o *loop) Response(s *Stream)                   {}
func (o *loop) Changed(s *Stream)                    {}
func (o *loop) Request(s *Stream) {
	s.SendHead(&o.res, false)
	s.SendData(o.body, true)
	s.Close()
	o.done++
}

func newLoop(body int) *loop {
	o := &loop{body: make([]byte, body)}
	o.res = *answer(200, message.Length, int64(body), "server", "forebay", "date", "Mon, 23 Nov 2026 03:37:45 GMT", "content-type", "text/plain", "content-length", "5")
	return o
}

var browser = append(ask[:len(ask):len(ask)], "user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "accept-language", "en-US,en;q=0.5", "accept-encoding", "gzip, deflate, br", "cookie", "session=0123456789abcdef0123456789abcdef")

// requests is what a client sends: the beginning, and a number of requests that
// the dynamic table has all of.
func requests(t testing.TB, n int, fields []string) (first []byte, rest [][]byte) {
	p := barePeer(t, server)
	p.out.WriteString(xhttp2.ClientPreface)
	p.WriteSettings()
	p.WriteSettingsAck()
	for i := range n {
		p.headers(uint32(2*i+1), true, p.encode(fields))
		if i == 0 {
			first = bytes.Clone(p.out.Bytes())
		} else {
			rest = append(rest, bytes.Clone(p.out.Bytes()))
		}
		p.out.Reset()
	}
	return first, rest
}

func drain(c *Conn) {
	for b := c.Out(); len(b) > 0; b = c.Out() {
		c.Sent(len(b))
	}
}

// A request and its response cost no allocation on either side.
func TestNoAllocations(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		const n = 1000
		for _, fields := range [][]string{ask, browser} {
			o := newLoop(100)
			cfg := server
			var c Conn
			c.Init(&cfg, o)
			first, rest := requests(t, n+10, fields)
			if err := c.Feed(first); err != nil {
				t.Fatal(err)
			}
			i := 0
			if got := testing.AllocsPerRun(n, func() {
				if err := c.Feed(rest[i]); err != nil {
					t.Fatal(err)
				}
				i++
				drain(&c)
			}); got != 0 && !race.Enabled {
				t.Errorf("%v allocations", got)
			}
			if o.done != n+2 {
				t.Error(o.done)
			}
		}
	})
	t.Run("both", func(t *testing.T) {
		so, co := newLoop(100), newLoop(0)
		scfg, ccfg := server, Config{}
		var s, c Conn
		s.Init(&scfg, so)
		c.Init(&ccfg, co)
		q := get("/path", "accept", "*/*", "user-agent", "test")
		if got := testing.AllocsPerRun(1000, func() { roundTrip(t, &c, &s, q, &co.res) }); got != 0 && !race.Enabled {
			t.Errorf("%v allocations", got)
		}
	})
}

func roundTrip(t testing.TB, c, s *Conn, q *message.Request, res *message.Response) {
	res.Reset()
	st, err := c.Open(q, res, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for c.Pending()+s.Pending() > 0 {
		for b := c.Out(); len(b) > 0; b = c.Out() {
			if err := s.Feed(b); err != nil {
				t.Fatal(err)
			}
			c.Sent(len(b))
		}
		for b := s.Out(); len(b) > 0; b = s.Out() {
			if err := c.Feed(b); err != nil {
				t.Fatal(err)
			}
			s.Sent(len(b))
		}
	}
	n := len(st.Data())
	st.Consume(n)
	if !st.HasHead() || !st.RecvEnd() || res.Status != 200 || n != 100 {
		t.Fatal(st.HasHead(), st.RecvEnd(), res.Status, n)
	}
	st.Close()
}

func BenchmarkServer(b *testing.B) {
	for _, c := range []struct {
		name   string
		fields []string
	}{{"small", ask}, {"browser", browser}} {
		b.Run(c.name, func(b *testing.B) {
			o := newLoop(100)
			cfg := server
			var conn Conn
			first, rest := requests(b, 10001, c.fields)
			b.ReportAllocs()
			i := len(rest)
			for b.Loop() {
				if i == len(rest) {
					i = 0
					conn.Init(&cfg, o)
					if err := conn.Feed(first); err != nil {
						b.Fatal(err)
					}
				}
				if err := conn.Feed(rest[i]); err != nil {
					b.Fatal(err)
				}
				i++
				drain(&conn)
			}
		})
	}
}

// Requests as they come to one connection for the first time.
func BenchmarkLiterals(b *testing.B) {
	o := newLoop(100)
	cfg := server
	p := barePeer(b, server)
	p.enc.SetMaxDynamicTableSize(0)
	p.encode(nil)
	p.headers(1, true, p.encode(browser))
	frame := p.out.Bytes()
	var conn Conn
	conn.Init(&cfg, o)
	conn.Feed([]byte(preface))
	conn.Feed(appendFrame(nil, 0, frameSettings, 0, 0))
	id := uint32(1)
	for b.Loop() {
		if err := conn.Feed(frame); err != nil {
			b.Fatal(err)
		}
		id += 2
		append32(frame[:5], id)
		drain(&conn)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	so, co := newLoop(100), newLoop(0)
	scfg, ccfg := server, Config{}
	var s, c Conn
	s.Init(&scfg, so)
	c.Init(&ccfg, co)
	q := get("/path", "accept", "*/*", "user-agent", "test")
	b.ReportAllocs()
	for b.Loop() {
		roundTrip(b, &c, &s, q, &co.res)
	}
}

func BenchmarkHuffman(b *testing.B) {
	src := hpack.AppendHuffmanString(nil, browser[9])
	dst := make([]byte, 0, 256)
	b.SetBytes(int64(len(browser[9])))
	for b.Loop() {
		if _, ok := appendHuffman(dst, src); !ok {
			b.Fatal("invalid")
		}
	}
}
