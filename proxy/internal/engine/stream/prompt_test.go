package stream_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// events are the sizes of what is said in turn: each is sent when the one before
// it has arrived, so that one that is kept back keeps all others back. Some fill
// the buffers, a pipe or a record exactly.
var events = []int{1, 5, 4096, 16384, 1, 32768, 70_000, 1, reactor.PipeSize, 1, 3, reactor.PipeSize + 1, 17, 1, 1, 1, 200_000, 1, 1, 1}

var eventBytes = func() []byte {
	b := make([]byte, slices.Max(events))
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}()

func allEvents() (n int) {
	for _, e := range events {
		n += e
	}
	return n
}

// say sends the events to w, each when arrived tells that the one before has
// come.
func say(w io.Writer, flush func(), arrived <-chan time.Time) error {
	for _, n := range events {
		if _, err := w.Write(eventBytes[:n]); err != nil {
			return err
		}
		flush()
		<-arrived
	}
	return nil
}

// saying is say for whoever reads: the end comes with the last event, since some
// clients wait for it before they send that.
type saying struct {
	arrived <-chan time.Time
	i, said int
}

func (s *saying) Read(p []byte) (int, error) {
	if s.said == events[s.i] {
		if s.i == len(events)-1 {
			return 0, io.EOF
		}
		<-s.arrived
		s.i, s.said = s.i+1, 0
	}
	n := copy(p, eventBytes[s.said:events[s.i]])
	s.said += n
	if s.i == len(events)-1 && s.said == events[s.i] {
		return n, io.EOF
	}
	return n, nil
}

// hear receives the events, and fails the test if half of them took as long as
// the kernel keeps bytes back for.
func hear(t *testing.T, r io.Reader, arrived chan<- time.Time) {
	t.Helper()
	buf := make([]byte, len(eventBytes))
	var took []time.Duration
	at := time.Now()
	for i, n := range events {
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			t.Errorf("event %d of %d bytes: %v", i, n, err)
			close(arrived)
			return
		}
		took = append(took, time.Since(at))
		at = time.Now()
		arrived <- at
	}
	slices.Sort(took)
	if m := took[len(took)/2]; m > 150*time.Millisecond {
		t.Errorf("half of the events took more than %v", m)
	}
}

// Whatever the protocols and the framing, each part of a response arrives when it
// was sent, and each part of a request.
func TestNothingIsKeptBack(t *testing.T) {
	for _, o := range append([]over{{"h1", "h1"}, {"h1s", "h1"}, {"h1", "h1s"}, {"h1s", "h1s"}}, ways...) {
		for _, framing := range []string{"length", "chunks", "close"} {
			if framing == "close" && o.back[:2] != "h1" {
				continue
			}
			t.Run(o.String()+"/"+framing, func(t *testing.T) {
				t.Run("response", func(t *testing.T) { o.respond(t, framing) })
				if framing != "close" {
					t.Run("request", func(t *testing.T) { o.request(t, framing) })
				}
			})
		}
	}
}

func (o over) respond(t *testing.T, framing string) {
	arrived := make(chan time.Time, 1)
	_, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if framing == "close" {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(rw, "HTTP/1.1 200 OK\r\n\r\n")
			say(rw, func() { rw.Flush() }, arrived)
			return
		}
		if framing == "length" {
			w.Header().Set("Content-Length", fmt.Sprint(allEvents()))
		}
		say(w, w.(http.Flusher).Flush, arrived)
	}))
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	hear(t, res.Body, arrived)
	if n, err := io.Copy(io.Discard, res.Body); n != 0 || err != nil {
		t.Errorf("%d bytes more, %v", n, err)
	}
}

func (o over) request(t *testing.T, framing string) {
	arrived := make(chan time.Time, 1)
	_, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hear(t, r.Body, arrived)
	}))
	req, _ := http.NewRequest("POST", url, &saying{arrived: arrived})
	if framing == "length" {
		req.ContentLength = int64(allEvents())
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// The same of tunnels, whoever speaks: of mode tcp, of an upgrade and of CONNECT.
func TestNothingIsKeptBackInTunnels(t *testing.T) {
	for _, kind := range []string{"tcp", "upgrade", "connect"} {
		for _, front := range []string{"clear", "tls"} {
			for _, up := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/up %v", kind, front, up), func(t *testing.T) {
					arrived := make(chan time.Time, 1)
					ended := make(chan struct{})
					addr := tcptest.Serve(t, func(c net.Conn) {
						defer close(ended)
						br := bufio.NewReader(c)
						if kind != "tcp" {
							if _, err := http.ReadRequest(br); err != nil {
								t.Error(err)
								return
							}
							answer := "HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
							if kind == "connect" {
								answer = "HTTP/1.1 200 Fine\r\n\r\n"
							}
							io.WriteString(c, answer)
						}
						if up {
							hear(t, br, arrived)
						} else {
							say(c, func() {}, arrived)
						}
					})
					mode := stream.HTTP
					if kind == "tcp" {
						mode = stream.TCP
					}
					var opts []bedOption
					if front == "tls" {
						opts = append(opts, secured(0))
					}
					b := newBed(t, mode, []string{addr}, opts...)
					var c net.Conn = b.dial()
					if front == "tls" {
						c = tls.Client(c, clientTLS())
					}
					br := bufio.NewReader(c)
					if kind != "tcp" {
						req := "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
						if kind == "connect" {
							req = "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"
						}
						io.WriteString(c, req)
						if res, err := http.ReadResponse(br, &http.Request{Method: strings.Fields(req)[0]}); err != nil || res.StatusCode > 200 {
							t.Fatal(res, err)
						}
					}
					if up {
						say(c, func() {}, arrived)
					} else {
						hear(t, br, arrived)
					}
					<-ended
				})
			}
		}
	}
}

// What an exchange costs in sends: head and body go together, more is said only
// directly before the close, and never with "option http-no-delay", whichever
// proxy has it.
func TestSends(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	none := func(*bed) {}
	for _, c := range []struct {
		name, request string
		opt           bedOption
		more          int64
	}{
		{"kept", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", none, 0},
		{"closed", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", none, 1},
		{"upload", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", none, 0},
		{"frontend without delay", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", func(b *bed) { b.fe.Options |= stream.HTTPNoDelay }, 0},
		{"backend without delay", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", func(b *bed) { b.be.Options |= stream.HTTPNoDelay }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, stream.HTTP, []string{fixed(t, answer)}, c.opt)
			conn := b.dial()
			io.WriteString(conn, c.request)
			if _, body := readResponse(t, bufio.NewReader(conn), "GET"); body != "hello" {
				t.Errorf("body %q", body)
			}
			if strings.Contains(c.request, "close") {
				io.Copy(io.Discard, conn)
			}
			if n, m, p := b.sends.Count.Load(), b.sends.More.Load(), b.sends.Pushed.Load(); n != 2 || m != c.more || p != 0 {
				t.Errorf("%d sends, %d with more, %d pushed; want 2, %d and 0", n, m, p, c.more)
			}
		})
	}
	t.Run("chunks without delay", func(t *testing.T) {
		addr := tcptest.Serve(t, func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
			io.WriteString(c, "0\r\n\r\n")
		})
		b := newBed(t, stream.HTTP, []string{addr}, func(b *bed) { b.be.Options |= stream.HTTPNoDelay })
		b.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if m := b.sends.More.Load(); m != 0 {
			t.Errorf("more was said %d times", m)
		}
	})
}

// After an answer that the connection ends with, it is closed at once, whether the
// client closes or not, if that has nothing left to say: in clear and under TLS.
func TestClosedAtOnce(t *testing.T) {
	addr := tcptest.Serve(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
			if req.URL.Path == "/length" {
				answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
			}
			io.WriteString(c, answer)
		}
	})
	for _, front := range []string{"clear", "tls"} {
		for _, request := range []string{
			"GET /chunks HTTP/1.0\r\n\r\n",
			"POST /chunks HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
			"GET /chunks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"GET /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"POST /chunks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			"GET /own HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"GARBAGE\r\n\r\n",
		} {
			t.Run(front+"/"+strings.ReplaceAll(request[:len(request)-4], "\r\n", " "), func(t *testing.T) {
				own := ruleFunc(func(st *stream.Stream) stream.Verdict {
					if string(st.Req.Target) == "/own" {
						st.Reply = stream.DefaultReply(403)
						return stream.Answer
					}
					return stream.Continue
				})
				opts := []bedOption{func(b *bed) { b.fe.RequestRules = []stream.Rule{own} }}
				if front == "tls" {
					opts = append(opts, secured(0))
				}
				b := newBed(t, stream.HTTP, []string{addr}, opts...)
				var c net.Conn = b.dial()
				if front == "tls" {
					c = tls.Client(c, clientTLS())
				}
				io.WriteString(c, request)
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Error(err)
				}
				await(t, "still open", func() string { // though the client's side is
					if n := b.w.Curr.Load(); n > 0 {
						return fmt.Sprintf("%d connections", n)
					}
					return ""
				})
				if n := b.sends.Shut.Load(); n > 0 {
					t.Error("the connection was half closed before it was closed")
				}
			})
		}
	}
	t.Run("pipelined", func(t *testing.T) {
		b := newBed(t, stream.HTTP, []string{addr}, secured(0))
		c := tls.Client(b.dial(), clientTLS())
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"+strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 5000))
		if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), "0\r\n\r\n") {
			t.Errorf("%q, %v", got, err)
		}
	})
}
