package http2

//lint:file-ignore SA1019 that package is the other implementation here; the standard library hides its connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	xhttp2 "golang.org/x/net/http2"
)

// wire runs a connection of ours over a net.Conn.
type wire struct {
	sync.Mutex
	side
	conn net.Conn
	err  error
}

func newWire(t testing.TB, cfg *Config, conn net.Conn) *wire {
	w := &wire{conn: conn}
	w.t, w.size = t, 16384
	w.c.Init(cfg, w)
	return w
}

// flush sends what is queued; w is locked.
func (w *wire) flush() {
	for b := w.c.Out(); len(b) > 0; b = w.c.Out() {
		n, err := w.conn.Write(b)
		if err != nil {
			w.c.Abort(err)
			return
		}
		w.c.Sent(n)
	}
}

// run reads until the connection ends.
func (w *wire) run() {
	buf := make([]byte, 8192)
	w.Lock()
	w.flush()
	w.Unlock()
	for {
		n, err := w.conn.Read(buf)
		w.Lock()
		if n > 0 {
			if e := w.c.Feed(buf[:n]); e != nil {
				w.err = e
				w.flush()
				err = e
			}
		}
		w.flush()
		if err != nil {
			w.c.Abort(err)
			w.Unlock()
			w.conn.Close()
			return
		}
		w.Unlock()
	}
}

// socketPair is the two ends of a connection.
func socketPair(t *testing.T) (a, b net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// echo answers requests with what they say.
type echo struct {
	*wire
}

func (o echo) begin(s *Stream) {
	if s.Err() != nil {
		o.close(s)
		return
	}
	q := s.Req
	if q.Has("x-early") {
		s.SendHead(answer(103, message.NoBody, -1, "link", "</style.css>"), false)
	}
	res := answer(200, message.Chunked, -1, "x-method", string(q.MethodName), "x-target", string(q.Target), "x-host", string(q.Host))
	if n := q.Get("content-length"); n != nil {
		res.Framing, res.ContentLength = message.Length, q.ContentLength
	}
	if q.Method == message.Head {
		res.Framing = message.NoBody
	}
	s.SendHead(res, q.Method == message.Head)
	o.pump(s)
}

func (o echo) pump(s *Stream) {
	if s.Err() != nil {
		o.close(s)
		return
	}
	for len(s.Data()) > 0 {
		n := s.SendData(s.Data(), false)
		if n == 0 {
			return
		}
		s.Consume(n)
	}
	if s.RecvEnd() {
		if len(s.Trailers) > 0 {
			s.SendTrailers(s.Trailers)
		} else {
			s.SendData(nil, true)
		}
		o.close(s)
	}
}

// The client of golang.org/x/net talks to our server.
func TestBesideClient(t *testing.T) {
	for _, cfg := range []Config{{}, {InitialWindow: 16384, RxBuf: 1638400}, {InitialWindow: 3000, RxBuf: 65536, MaxStreams: 5}} {
		cfg.Server = true
		cl, sv := socketPair(t)
		e := echo{newWire(t, &cfg, sv)}
		e.request, e.change = e.begin, e.pump
		done := make(chan bool)
		go func() { e.run(); close(done) }()
		tr := &xhttp2.Transport{AllowHTTP: true, StrictMaxConcurrentStreams: true}
		cc, err := tr.NewClientConn(cl)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 7))
				for range 15 {
					besideClient(t, cc, rnd)
				}
			})
		}
		wg.Wait()
		if err := cc.Ping(context.Background()); err != nil {
			t.Error(err)
		}
		cc.Close()
		<-done
		e.Lock()
		if e.c.Streams() != 0 || e.lent != 0 || e.err != nil || e.c.Glitches() != 0 {
			t.Error(e.c.Streams(), e.lent, e.err, e.c.Glitches())
		}
		e.Unlock()
	}
}

func besideClient(t *testing.T, cc *xhttp2.ClientConn, rnd *rand.Rand) {
	body := make([]byte, rnd.IntN(4)*rnd.IntN(100000))
	for i := range body {
		body[i] = byte(i >> 3)
	}
	method := "POST"
	switch {
	case len(body) == 0 && rnd.IntN(2) == 0:
		method = "HEAD"
	case len(body) == 0:
		method = "GET"
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	early := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if early++; code != 103 || h.Get("Link") != "</style.css>" {
			t.Error(code, h)
		}
		return nil
	}})
	var r io.Reader = bytes.NewReader(body)
	if len(body) == 0 {
		r = nil
	} else if rnd.IntN(2) == 0 {
		r = struct{ io.Reader }{r} // of unknown length
	}
	target := fmt.Sprintf("/%d?%s", rnd.Uint32(), strings.Repeat("q", rnd.IntN(300)))
	q, err := http.NewRequestWithContext(ctx, method, "http://host.example"+target, r)
	if err != nil {
		t.Error(err)
		return
	}
	q.Header.Set("Cookie", "a=b; c=d; e=f")
	wantEarly := rnd.IntN(3) == 0
	if wantEarly {
		q.Header.Set("X-Early", "1")
	}
	trailer := len(body) > 0 && rnd.IntN(3) == 0
	if trailer {
		q.Trailer = http.Header{"X-Sum": {"42"}}
		q.ContentLength = -1
	}
	res, err := cc.RoundTrip(q)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if h := res.Header; res.StatusCode != 200 || h.Get("X-Method") != method || h.Get("X-Target") != target || h.Get("X-Host") != "host.example" || wantEarly != (early == 1) {
		t.Error(res.StatusCode, h, early)
	}
	if rnd.IntN(10) == 0 {
		return // leaves it half read
	}
	got, err := io.ReadAll(res.Body)
	if err != nil || method != "HEAD" && !bytes.Equal(got, body) {
		t.Error(len(got), len(body), err)
	}
	if trailer != (res.Trailer.Get("X-Sum") == "42") {
		t.Error(res.Trailer)
	}
}

// call is a request that our client makes.
type call struct {
	body []byte
	sent int
	got  []byte
	res  message.Response
	last int // status
	done chan error
	early,
	cancel bool
}

func (*call) Changed() {} // caller is told

type caller struct{ *wire }

func (o caller) changed(s *Stream) {
	k := s.User.(*call)
	for s.HasHead() {
		if k.last = k.res.Status; k.last >= 200 {
			break
		}
		k.early = true
		s.NextHead()
	}
	for k.sent < len(k.body) && s.Err() == nil {
		n := s.SendData(k.body[k.sent:], true)
		if n == 0 {
			break
		}
		k.sent += n
	}
	for len(s.Data()) > 0 {
		k.got = append(k.got, s.Data()...)
		s.Consume(len(s.Data()))
		if k.cancel {
			s.Close()
			k.done <- nil
			return
		}
	}
	if s.RecvEnd() || s.Err() != nil {
		err := s.Err()
		if show(s.Trailers) != "x-sum: 42\n" && err == nil {
			err = fmt.Errorf("trailers %s", show(s.Trailers))
		}
		s.Close()
		k.done <- err
	}
}

// Our client talks to the server of golang.org/x/net.
func TestBesideServer(t *testing.T) {
	for _, cfg := range []Config{{}, {InitialWindow: 16384, RxBuf: 1638400}, {InitialWindow: 3000, RxBuf: 65536, MaxStreams: 30}} {
		cl, sv := socketPair(t)
		go (&xhttp2.Server{MaxConcurrentStreams: 50}).ServeConn(sv, &xhttp2.ServeConnOpts{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Early") != "" {
				w.Header().Set("Link", "x")
				w.WriteHeader(103)
			}
			w.Header().Set("Trailer", "X-Sum")
			w.Header().Set("X-Target", r.URL.String())
			w.Header().Set("X-Host", r.Host)
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			io.Copy(w, r.Body)
			w.Header().Set("X-Sum", "42")
		})})
		o := caller{newWire(t, &cfg, cl)}
		o.change, o.reply = o.changed, o.changed
		done := make(chan bool)
		go func() { o.run(); close(done) }()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 9))
				for range 15 {
					k := &call{body: bytes.Repeat([]byte{byte(i)}, rnd.IntN(3)*rnd.IntN(200000)), done: make(chan error, 1)}
					k.cancel = len(k.body) > 0 && rnd.IntN(6) == 0
					target := fmt.Sprint("/", rnd.Uint32())
					q := get(target)
					if rnd.IntN(3) == 0 {
						q.AddString("x-early", "1")
					}
					early := q.Has("x-early")
					if len(k.body) > 0 {
						q.Method, q.MethodName = message.Post, []byte("POST")
						if q.Framing = message.Chunked; rnd.IntN(2) == 0 {
							q.Framing, q.ContentLength = message.Length, int64(len(k.body))
						}
					}
					o.Lock()
					s, err := o.c.Open(q, &k.res, k, len(k.body) == 0)
					if err != nil {
						t.Error(err)
						o.Unlock()
						return
					}
					o.changed(s)
					o.flush()
					o.Unlock()
					if err := <-k.done; err != nil {
						t.Error(err)
					}
					if k.last != 200 || string(k.res.Get("x-target")) != target || string(k.res.Get("x-host")) != "example.org" || early != k.early || !k.cancel && !bytes.Equal(k.got, k.body) {
						t.Error(k.last, show(k.res.Fields), early, k.early, len(k.got), len(k.body))
					}
				}
			})
		}
		wg.Wait()
		o.Lock()
		o.c.GoAway(NoError)
		o.flush()
		o.Unlock()
		cl.Close()
		<-done
		if o.c.Streams() != 0 || o.lent != 0 || o.err != nil || o.c.Glitches() != 0 {
			t.Error(o.c.Streams(), o.lent, o.err, o.c.Glitches())
		}
	}
}

// A server that shuts down lets the streams end that it has accepted.
func TestBesideShutdown(t *testing.T) {
	cl, sv := socketPair(t)
	e := echo{newWire(t, &Config{Server: true}, sv)}
	e.request, e.change = e.begin, e.pump
	go e.run()
	tr := &xhttp2.Transport{AllowHTTP: true}
	cc, err := tr.NewClientConn(cl)
	if err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	q, _ := http.NewRequest("POST", "http://a/", pr)
	res, err := cc.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	e.Lock()
	e.c.GoAway(NoError)
	e.flush()
	e.Unlock()
	pw.Write([]byte("still"))
	pw.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "still" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if !e.c.Draining() || cc.CanTakeNewRequest() {
		t.Error("it takes more")
	}
	q, _ = http.NewRequest("GET", "http://a/", nil)
	if _, err := cc.RoundTrip(q); err == nil || errors.Is(err, io.EOF) {
		t.Error(err)
	}
	cc.Close()
}
