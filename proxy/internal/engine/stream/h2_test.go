package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// over names a way that an exchange goes: which version on which side, and
// whether under TLS.
type over struct{ front, back string }

var ways = []over{{"h2", "h1"}, {"h1", "h2"}, {"h2", "h2"}, {"h2s", "h1"}, {"h1", "h2s"}, {"h2s", "h2s"}, {"h2", "h2s"}, {"h2s", "h2"}}

func (o over) String() string { return o.front + "-" + o.back }

// h2origin is a server of the kind that o says.
func (o over) origin(t *testing.T, h http.Handler) (addr string, opt bedOption) {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	set := func(*server.Settings) {}
	switch o.back {
	case "h1":
		s.Config.Protocols.SetHTTP1(true)
		s.Start()
	case "h1s":
		s.Config.Protocols.SetHTTP1(true)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
		s.StartTLS()
		sec := &security{clientTLS()}
		set = func(x *server.Settings) { stream.Uplinks.Edit(x).TLS = sec }
	case "h2":
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		set = func(x *server.Settings) { x.Proto = "h2" }
		s.Start()
	case "h2s":
		s.Config.Protocols.SetHTTP2(true)
		s.EnableHTTP2 = true
		s.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned()}, NextProtos: []string{"h2"}}
		s.StartTLS()
		cfg := clientTLS()
		cfg.NextProtos = []string{"h2"}
		sec := &security{cfg}
		set = func(x *server.Settings) { stream.Uplinks.Edit(x).TLS = sec }
	}
	t.Cleanup(func() {
		s.CloseClientConnections() // handlers may wait for a proxy that is gone
		s.Close()
	})
	return s.Listener.Addr().String(), func(b *bed) {
		for _, srv := range b.be.BE.Servers() {
			x := *srv.Settings()
			set(&x)
			srv.Replace(time.Now(), &x)
		}
	}
}

// bed is a proxy in front of it, and a client of the kind that o says.
func (o over) bed(t *testing.T, h http.Handler, opts ...bedOption) (*bed, *http.Client, string) {
	addr, opt := o.origin(t, h)
	opts = append(opts, opt)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	scheme := "http"
	switch o.front {
	case "h1":
		tr.Protocols.SetHTTP1(true)
	case "h2":
		tr.Protocols.SetUnencryptedHTTP2(true)
	case "h1s":
		tr.Protocols.SetHTTP1(true)
		tr.TLSClientConfig = clientTLS()
		scheme = "https"
		opts = append(opts, secured(0))
	case "h2s":
		tr.Protocols.SetHTTP2(true)
		tr.TLSClientConfig = clientTLS()
		scheme = "https"
		opts = append(opts, func(b *bed) {
			b.tls = &tls.Config{Certificates: []tls.Certificate{selfSigned()}, NextProtos: []string{"h2", "http/1.1"}}
		})
	}
	b := newBed(t, stream.HTTP, []string{addr}, opts...)
	t.Cleanup(tr.CloseIdleConnections)
	return b, &http.Client{Transport: tr, Timeout: 20 * time.Second}, scheme + "://" + b.addr
}

func TestVersions(t *testing.T) {
	for _, o := range ways {
		t.Run(o.String(), func(t *testing.T) {
			var front, back atomic.Value
			b, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				back.Store(r.Proto)
				w.Header().Set("X-Host", r.Host)
				w.Header().Set("X-Path", r.URL.RequestURI())
				w.Header().Set("X-Cookie", strings.Join(r.Header["Cookie"], "|"))
				if r.Method == "POST" {
					body, _ := io.ReadAll(r.Body)
					w.Header().Set("X-Trailer", r.Trailer.Get("Sum"))
					w.Write(body)
				}
			}), func(b *bed) { b.fe.Log = func(st *stream.Stream) { front.Store(st.Req.Version.String()) } })
			for _, size := range []int{0, 1, 1000, 16384, 70_000, 3 << 20} {
				for _, known := range []bool{true, false} {
					body := bytes.Repeat([]byte("x"), size)
					req, _ := http.NewRequest("POST", url+"/a/b?c=d", bytes.NewReader(body))
					if !known {
						req.ContentLength = -1
						req.Body = io.NopCloser(bytes.NewReader(body))
						req.Trailer = http.Header{"Sum": {"42"}}
					}
					req.Host = "example.com"
					req.Header["Cookie"] = []string{"a=1; b=2"}
					res, err := c.Do(req)
					if err != nil {
						t.Fatalf("%d bytes: %v", size, err)
					}
					got, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || !bytes.Equal(got, body) {
						t.Fatalf("%d of %d bytes: %v", len(got), size, err)
					}
					if h := res.Header; h.Get("X-Host") != "example.com" || h.Get("X-Path") != "/a/b?c=d" || h.Get("X-Cookie") != "a=1; b=2" {
						t.Errorf("%v", h)
					}
					if tr := res.Header.Get("X-Trailer"); !known && tr != "42" {
						t.Errorf("%d bytes: trailer %q", size, tr)
					}
				}
			}
			res, err := c.Head(url)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if v := front.Load(); v == nil || (v == "HTTP/2.0") != strings.HasPrefix(o.front, "h2") {
				t.Errorf("the client spoke %v", v)
			}
			if v := back.Load(); (v == "HTTP/2.0") != strings.HasPrefix(o.back, "h2") {
				t.Errorf("the server was spoken to in %v", v)
			}
			_ = b
		})
	}
}

// Hundreds of requests at once come back to who asked, whatever shares a
// connection with what.
func TestManyStreams(t *testing.T) {
	for _, o := range ways {
		t.Run(o.String(), func(t *testing.T) {
			_, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.URL.Path, strings.Repeat(".", 20_000))
			}), func(b *bed) {
				b.be.Reuse = stream.ReuseAlways
				// Hundreds of handshakes are on their way at once, on a machine that may have
				// more to do.
				patient := stream.Timeouts{Client: time.Minute, Server: time.Minute, Connect: time.Minute}
				b.fe.Timeouts, b.be.Timeouts = patient, patient
			})
			var wg sync.WaitGroup
			for i := range 300 {
				wg.Go(func() {
					path := fmt.Sprintf("/%d", i)
					res, err := c.Get(url + path)
					if err != nil {
						t.Error(err)
						return
					}
					defer res.Body.Close()
					got, err := io.ReadAll(res.Body)
					if err != nil || string(got) != path+strings.Repeat(".", 20_000) {
						t.Errorf("%s: %d bytes, %v", path, len(got), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// coldBed is a proxy before a new server of HTTP/2 that takes most streams at once
// (0: hundreds), a client, and how many connections the server was made.
func coldBed(t *testing.T, most int, h http.HandlerFunc, opts ...bedOption) (b *bed, c *http.Client, s *httptest.Server, made *atomic.Int64) {
	s = httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: most}
	made = new(atomic.Int64)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	b = newBed(t, stream.HTTP, []string{s.Listener.Addr().String()}, append(opts, func(b *bed) {
		srv := b.be.BE.Servers()[0]
		x := *srv.Settings()
		x.Proto = "h2"
		srv.Replace(time.Now(), &x)
	})...)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return b, &http.Client{Transport: tr, Timeout: 20 * time.Second}, s, made
}

// What a server says of how many streams it takes is awaited before it is sent a
// second one: those above would be refused with their bodies on the way.
func TestFewStreams(t *testing.T) {
	for _, reuse := range []stream.Reuse{stream.ReuseNever, stream.ReuseSafe, stream.ReuseAlways} {
		b, c, _, _ := coldBed(t, 3, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		}, func(b *bed) { b.be.Reuse = reuse })
		for range 5 {
			var wg sync.WaitGroup
			for i := range 30 {
				wg.Go(func() {
					size := 1000 * (i % 5)
					res, err := c.Post("http://"+b.addr, "text/plain", bytes.NewReader(make([]byte, size)))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || res.StatusCode != 200 || string(got) != fmt.Sprint(size) {
						t.Errorf("%v: %d %q %v", reuse, res.StatusCode, got, err)
					}
				})
			}
			wg.Wait()
		}
	}
}

// A burst of one client's requests makes one connection to a server of HTTP/2:
// they wait for it while it is made, and are answered if it cannot be made.
func TestColdBurst(t *testing.T) {
	for _, up := range []bool{true, false} {
		b, c, s, made := coldBed(t, 0, func(http.ResponseWriter, *http.Request) {}, func(b *bed) { b.be.Retries = 1 })
		status, connections := 200, int64(1)
		if !up {
			s.Close()
			status, connections = 503, 0
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				res, err := c.Get("http://" + b.addr)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode != status {
					t.Errorf("status %d, want %d", res.StatusCode, status)
				}
			})
		}
		wg.Wait()
		if n := made.Load(); n != connections {
			t.Errorf("%d connections were made, want %d", n, connections)
		}
	}
}

func TestInterimAndTrailers(t *testing.T) {
	for _, o := range append(ways, over{"h1", "h1"}) {
		t.Run(o.String(), func(t *testing.T) {
			_, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", "</a.css>")
				w.WriteHeader(103)
				w.Header().Set("Trailer", "Sum")
				fmt.Fprint(w, "body")
				w.(http.Flusher).Flush()
				w.Header().Set("Sum", "7")
			}))
			hints := 0
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == 103 && h.Get("Link") == "</a.css>" {
					hints++
				}
				return nil
			}})
			req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(got) != "body" || hints != 1 || res.Trailer.Get("Sum") != "7" {
				t.Errorf("%q %v, %d hints, trailers %v", got, err, hints, res.Trailer)
			}
		})
	}
}

// Heads need no window. A client that reads none of its answers has no more of
// them kept for it than it may have requests at a time, and gets them all once it
// reads.
func TestUnreadHeads(t *testing.T) {
	const total = 1000
	large := strings.Repeat("v", 14_000)
	var asked, logged atomic.Int64
	all := make(chan struct{})
	b := newBed(t, stream.HTTP, []string{origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Large", large)
		w.Header().Set("Content-Length", "0")
		if r.URL.Path == "/all" && asked.Add(1) == total {
			close(all)
		}
	})}, func(b *bed) {
		b.streams = total
		b.fe.Log = func(*stream.Stream) { logged.Add(1) }
	})
	h := dialH2(t, b.addr)
	for i := range uint32(total) {
		h.headers(2*i+1, true, ":method", "GET", ":scheme", "http", ":path", "/all", ":authority", "a")
	}
	select {
	case <-all:
	case <-time.After(10 * time.Second):
		t.Fatalf("%d requests reached the server", asked.Load())
	}
	if res, err := http.Get("http://" + b.addr + "/other"); err != nil {
		t.Error(err)
	} else {
		res.Body.Close()
	}
	if n := logged.Load(); n >= total {
		t.Errorf("%d answers are kept that nobody reads", n)
	}
	for n := 0; n < total; {
		f, err := h.ReadFrame()
		if err != nil {
			t.Fatalf("after %d answers: %v", n, err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if n++; f.PseudoValue("status") != "200" || !f.StreamEnded() {
				t.Fatal(f)
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatal(f)
		}
	}
}

// A client that gives up ends its stream alone, and the server is told.
func TestClientGivesUp(t *testing.T) {
	for _, o := range ways {
		t.Run(o.String(), func(t *testing.T) {
			told := make(chan struct{})
			begun, over := make(chan struct{}), make(chan struct{})
			defer close(over)
			_, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					fmt.Fprint(w, "fine")
					return
				}
				fmt.Fprint(w, "some")
				w.(http.Flusher).Flush()
				close(begun)
				select {
				case <-r.Context().Done():
					close(told)
				case <-over:
				}
			}))
			ctx, cancel := context.WithCancel(context.Background())
			req, _ := http.NewRequestWithContext(ctx, "GET", url+"/slow", nil)
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			<-begun
			if res2, err := c.Get(url + "/"); err != nil {
				t.Error(err)
			} else {
				io.Copy(io.Discard, res2.Body)
				res2.Body.Close()
			}
			cancel()
			res.Body.Close()
			if o.front == "h1" {
				return // its server is not told before bytes are to be sent
			}
			select {
			case <-told:
			case <-time.After(10 * time.Second):
				t.Error("the server was not told")
			}
		})
	}
}

// ruleFunc is a rule of a test.
type ruleFunc func(*stream.Stream) stream.Verdict

func (f ruleFunc) Exec(sc *stream.Scope) stream.Verdict { return f(sc.Stream) }

// A client that gives up a request that no backend has yet: a rule of the
// frontend is in the middle of it, or its answer waits for the client's window.
func TestClientGivesUpAtTheFrontend(t *testing.T) {
	for name, rule := range map[string]func(st *stream.Stream) stream.Verdict{
		"rule":   func(st *stream.Stream) stream.Verdict { st.R.Sleep(3600e9); return stream.Drop },
		"answer": func(st *stream.Stream) stream.Verdict { st.Reply = stream.DefaultReply(403); return stream.Answer },
	} {
		t.Run(name, func(t *testing.T) {
			begun, logged := make(chan struct{}), make(chan stream.Termination, 1)
			b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) {
				b.fe.RequestRules = []stream.Rule{ruleFunc(func(st *stream.Stream) stream.Verdict {
					close(begun)
					return rule(st)
				})}
				b.fe.Log = func(st *stream.Stream) { logged <- st.Term }
			})
			h := dialH2(t, b.addr)
			h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")
			<-begun
			h.WriteRSTStream(1, http2.ErrCodeCancel)
			select {
			case term := <-logged:
				if term.Cause != 'C' {
					t.Errorf("%c%c", term.Cause, term.State)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("nothing was logged")
			}
		})
	}
}

// A client's connection may be closed while exchanges of HTTP/2 go on: they are
// logged with the addresses that it had.
func TestConnectionClosedMeanwhile(t *testing.T) {
	begun := make(chan struct{})
	logged := make(chan [2]reactor.Addr, 1)
	b := newBed(t, stream.HTTP, []string{origin(t, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})}, func(b *bed) {
		b.fe.Log = func(st *stream.Stream) { logged <- [2]reactor.Addr{st.Sess.Src, st.Sess.Dst()} }
	})
	h := dialH2(t, b.addr)
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")
	<-begun
	want := [2]string{h.conn.LocalAddr().String(), b.addr}
	h.conn.Close()
	select {
	case got := <-logged:
		if got := [2]string{got[0].String(), got[1].String()}; got != want {
			t.Errorf("from and to %v, want %v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was logged")
	}
}

// A rule that drops a connection of HTTP/2 ends all of it, and the client is told
// nothing. A malformed request that came with it is logged all the same.
func TestLeave(t *testing.T) {
	waits := make(chan struct{})
	logged, failed := make(chan string, 2), make(chan struct{}, 1)
	b := newBed(t, stream.HTTP, []string{origin(t, func(_ http.ResponseWriter, r *http.Request) {
		close(waits)
		<-r.Context().Done()
	})}, func(b *bed) {
		b.fe.RequestRules = []stream.Rule{ruleFunc(func(st *stream.Stream) stream.Verdict {
			if !bytes.HasSuffix(st.Req.Target, []byte("/leave")) {
				return stream.Continue
			}
			st.Term = stream.Termination{Cause: 'P', State: 'R'}
			st.Leave()
			return stream.Drop
		})}
		b.fe.Log = func(st *stream.Stream) { logged <- fmt.Sprintf("%s %c", st.Req.PathQuery(), st.Term.Cause) }
		b.fe.LogFail = func(s *stream.Session, _ error) { s.Scope().Release(); failed <- struct{}{} }
	})
	c := b.dial()
	var out bytes.Buffer
	h := newRawH2(t, c)
	h.Framer = http2.NewFramer(&out, c)
	out.WriteString(http2.ClientPreface)
	h.WriteSettings()
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/waits", ":authority", "a")
	c.Write(out.Bytes())
	<-waits
	out.Reset()
	h.headers(3, true, ":method", "GET", ":scheme", "http", ":path", "/leave", ":authority", "a")
	h.headers(5, true, ":method", "GET", ":scheme", "http", ":path", "malformed", ":authority", "a")
	c.Write(out.Bytes())
	for {
		f, err := h.ReadFrame()
		if err != nil {
			break
		}
		if f.Header().StreamID != 0 {
			t.Errorf("the client is told %v", f)
		}
	}
	over := time.After(10 * time.Second)
	var got []string
	for len(got) < 3 {
		select {
		case <-failed:
			got = append(got, "malformed")
		case l := <-logged:
			got = append(got, l)
		case <-over:
			t.Fatalf("%q was logged", got)
		}
	}
	if !slices.Contains(got, "/waits C") || !slices.Contains(got, "/leave P") {
		t.Error(got)
	}
	if n := b.be.BE.Counters[0].ClientAborts.Load(); n != 1 {
		t.Errorf("%d clients gave up", n)
	}
	if n := b.w.Reactors[0].Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// A client that gives up an answer that waits for its window counts once.
func TestAbortIsCountedOnce(t *testing.T) {
	logged := make(chan stream.Termination, 1)
	b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) {
		b.fe.Log = func(st *stream.Stream) { logged <- st.Term }
	})
	h := dialH2(t, b.addr)
	h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")
	for answered := false; !answered; {
		f, err := h.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		_, answered = f.(*http2.MetaHeadersFrame)
	}
	h.WriteRSTStream(1, http2.ErrCodeCancel)
	select {
	case term := <-logged:
		if term != (stream.Termination{Cause: 'C', State: 'D'}) {
			t.Errorf("%c%c", term.Cause, term.State)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was logged")
	}
	of, ofServer := &b.be.BE.Counters[0].ClientAborts, &b.be.BE.Servers()[0].Counters[0].ClientAborts
	if n, m := of.Load(), ofServer.Load(); n != 1 || m != 1 {
		t.Errorf("%d aborts are counted, %d of the server's", n, m)
	}
}

// A response that breaks off is not mistaken for a complete one.
func TestBrokenResponse(t *testing.T) {
	for _, o := range ways {
		t.Run(o.String(), func(t *testing.T) {
			_, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "some")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}))
			res, err := c.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%q, and no error", got)
			}
		})
	}
}

// A server that is down makes a 503, over HTTP/2 as well.
func TestH2Errors(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{tcptest.Reserve(t).String()}, func(b *bed) { b.be.Retries = 0 })
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	for range 3 {
		res, err := (&http.Client{Transport: tr}).Get("http://" + b.addr)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 503 || !strings.Contains(string(body), "503 Service Unavailable") {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	}
}

// A request for h2c is one without: no server makes a tunnel of it, and neither
// do we.
func TestH2CIsIgnored(t *testing.T) {
	const settings = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
	for _, c := range []struct{ name, first, upgrade string }{
		{"as RFC 7540 has it", "", settings + "Upgrade: h2c\r\n"},
		{"second request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", settings + "Upgrade: h2c\r\n"},
		{"no settings", "", "Connection: Upgrade\r\nUpgrade: h2c\r\n"},
		{"one of several", "", settings + "Upgrade: foo, H2C\r\n"},
		{"two fields", "", settings + "Upgrade: foo\r\nUpgrade: h2c\r\n"},
		{"under TLS's name", "", settings + "Upgrade: h2\r\n"},
		{"for no hop", "", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, stream.HTTP, []string{origin(t, func(w http.ResponseWriter, r *http.Request) {
				for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
					if v := r.Header[name]; v != nil {
						t.Errorf("the server got %s: %s", name, v)
					}
				}
				fmt.Fprint(w, "plain")
			})})
			conn := b.dial()
			r := bufio.NewReader(conn)
			if c.first != "" {
				io.WriteString(conn, c.first)
				readResponse(t, r, "GET")
			}
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", c.upgrade)
			if res, body := readResponse(t, r, "GET"); res.StatusCode != 200 || body != "plain" {
				t.Errorf("%d %q", res.StatusCode, body)
			}
		})
	}
}

// A stop lets requests end and tells clients of HTTP/2 to go elsewhere.
func TestSoftStopH2(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	o := over{"h2", "h1"}
	b, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-end
		fmt.Fprint(w, "done")
	}))
	drained := make(chan struct{})
	b.w.OnDrained = sync.OnceFunc(func() { close(drained) })
	got := make(chan error)
	go func() {
		res, err := c.Get(url)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(res.Body)
			res.Body.Close()
			if string(body) != "done" {
				err = errors.Join(err, fmt.Errorf("%q", body))
			}
		}
		got <- err
	}()
	<-begun
	b.w.SoftStop()
	close(end)
	if err := <-got; err != nil {
		t.Error(err)
	}
	select {
	case <-drained:
	case <-time.After(10 * time.Second):
		t.Error("the connection stayed")
	}
}
