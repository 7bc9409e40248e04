package stream_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// asking runs f with a client that is connected to 10.2.0.1:80, in a coroutine.
func asking(t *testing.T, s *sim.Stage, f func(c *stream.Client)) (done func()) {
	r := s.Worker.Reactors[0]
	over := false
	r.Post(func() {
		r.Go(func() {
			defer func() { over = true }()
			c := s.Worker.NewClient(r)
			defer c.Close(false)
			to := reactor.Addr{IP: netip.MustParseAddr("10.2.0.1"), Port: 80}
			if err := c.Connect(to, reactor.Addr{}, r.Now()+1e9); err != nil {
				t.Error(err)
				return
			}
			c.Deadline = r.Now() + 5e9
			f(c)
		})
	})
	return func() {
		t.Helper()
		if s.Pass(time.Millisecond); !over {
			t.Error("the client still waits")
		}
	}
}

// askFor sends a request, and gives the status and the body of the response.
func askFor(c *stream.Client, proto, method, path string, body []byte) (string, error) {
	q, err := c.Request(c.Speaks(proto))
	if err != nil {
		return "", err
	}
	q.MethodName, q.Target, q.Version, q.KeepAlive = []byte(method), []byte(path), message.HTTP11, true
	q.Method = message.MethodOf(q.MethodName)
	q.AddString("host", "a")
	if err := c.Send(body); err != nil {
		return "", err
	}
	res, err := c.Receive()
	if err != nil {
		return "", err
	}
	var got []byte
	for {
		p, last, err := c.Next(100)
		got = append(got, p...)
		switch {
		case last:
			return fmt.Sprintf("%d %s %s", res.Status, res.Get("x"), got), nil
		case err != nil:
			return fmt.Sprintf("%d %s %s", res.Status, res.Get("x"), got), err
		case len(p) == 0:
			if err := c.Wait(); err != nil {
				return "", err
			}
		}
	}
}

// The proxy's own client speaks what the registered protocols do, several times over a
// connection, with bodies that are larger than windows and buffers.
func TestOwnClient(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 20_000)
	for _, proto := range []string{"h1", "h2", "hello"} {
		t.Run(proto, func(t *testing.T) {
			s := stage(t, "")
			host := s.Listen("10.2.0.1:80")
			var got []string
			done := asking(t, s, func(c *stream.Client) {
				for i, body := range [][]byte{nil, big, nil} {
					x, err := askFor(c, proto, "POST", fmt.Sprintf("/%d", i), body)
					got = append(got, x)
					if err != nil {
						t.Error(err)
					}
				}
			})
			v := host.Accept()
			var h *h2peer
			sizes := []int{0, 30_000, 10_000} // the last one fits in the buffer of its head
			for i := range 3 {
				answer := strings.Repeat("x", sizes[i])
				switch proto {
				case "h1":
					v.Head()
					if i == 1 {
						v.Expect(string(big))
					}
					v.Send("HTTP/1.1 103 Early Hints\r\n\r\n")
					s.Pass(time.Millisecond)
					if i == 2 {
						v.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nx: 2\r\ncontent-length: %d\r\n\r\n", len(answer)))
						for p := answer; len(p) > 0; p = p[5000:] {
							v.Send(p[:5000])
							s.Pass(time.Millisecond)
						}
						break
					}
					v.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nx: %d\r\ntransfer-encoding: chunked\r\n\r\n", i))
					for p := answer; len(p) > 0; p = p[10_000:] {
						v.Send(fmt.Sprintf("2710\r\n%s\r\n", p[:10_000]))
						s.Pass(time.Millisecond)
					}
					v.Send("0\r\n\r\n")
				case "h2":
					if h == nil {
						h = startH2Peer(t, v, true)
					}
					id, _, end := h.head()
					for n := 0; !end; {
						f, err := h.ReadFrame()
						if err != nil {
							t.Fatal(err)
						}
						if d, ok := f.(*http2.DataFrame); ok {
							n += len(d.Data())
							end = d.StreamEnded()
							if len(d.Data()) > 0 {
								h.WriteWindowUpdate(0, uint32(len(d.Data())))
								h.WriteWindowUpdate(id, uint32(len(d.Data())))
							}
							if end && n != len(big) {
								t.Errorf("%d bytes of the body", n)
							}
						}
					}
					h.send(id, false, ":status", "103")
					h.send(id, false, ":status", "200", "x", fmt.Sprint(i))
					for p := answer; len(p) > 0; p = p[10_000:] {
						h.WriteData(id, false, []byte(p[:10_000]))
						s.Pass(time.Millisecond)
					}
					h.WriteData(id, true, nil)
				case "hello":
					v.Expect(fmt.Sprintf("POST /%d\n", i))
					v.Expect("0\r\n\r\n")
					v.Send("200\n")
					for p := answer; len(p) > 0; p = p[10_000:] {
						v.Send(fmt.Sprintf("2710\r\n%s\r\n", p[:10_000]))
						s.Pass(time.Millisecond)
					}
					v.Send("0\r\n\r\n")
				}
				s.Pass(time.Millisecond)
			}
			done()
			for i := range 3 {
				x := fmt.Sprint(i)
				if proto == "hello" {
					x = "" // it has no fields
				}
				if want := fmt.Sprintf("200 %s %s", x, strings.Repeat("x", sizes[i])); len(got) <= i || got[i] != want {
					t.Errorf("response %d is not %.20s", i, want)
				}
			}
			if !host.Idle() {
				t.Error("more than one connection")
			}
			if v.Got(); !v.Ended() && proto != "h2" {
				t.Error("the connection is left")
			}
			if n := s.Worker.Counters[0].Streams.Load(); n != 0 {
				t.Errorf("%d streams are counted", n)
			}
		})
	}
}

// Whatever a client of our own waits for ends at its deadline, and with its server.
func TestOwnClientFails(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		drips      bool
		end        func(*sim.Peer)
		body       int
		want       string
		at         time.Duration
	}{
		{name: "no response", want: "timeout", at: 5 * time.Second},
		{name: "the head drips", sent: "HTTP/1.1 200 OK\r\nx: " + strings.Repeat("y", 1000), drips: true, want: "timeout", at: 5 * time.Second},
		{name: "the body drips", sent: "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + strings.Repeat("y", 900), drips: true, want: "timeout", at: 5 * time.Second},
		{name: "the request is not taken", body: 8 << 20, want: "timeout", at: 5 * time.Second},
		{name: "the server closes", end: func(p *sim.Peer) { p.Close() }, want: "EOF"},
		{name: "the server resets", end: (*sim.Peer).Reset, want: "connection reset by peer"},
		{name: "the body breaks off", sent: "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nyy", end: func(p *sim.Peer) { p.Close() }, want: "EOF"},
		{name: "no HTTP", sent: "SSH-2.0 x\r\n\r\n", want: "http"},
		{name: "a large head", sent: "HTTP/1.1 200 OK\r\nx: " + strings.Repeat("y", 20000), want: "http"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stage(t, "")
			host := s.Listen("10.2.0.1:80")
			var err error
			var began, ended time.Duration
			done := asking(t, s, func(cl *stream.Client) {
				began = s.Now()
				_, err = askFor(cl, "h1", "POST", "/", make([]byte, c.body))
				ended = s.Now()
			})
			v := host.Accept()
			if c.body > 0 {
				v.Pause()
			} else {
				v.Head()
			}
			if c.drips {
				v.Drip(c.sent, 10*time.Millisecond)
			} else {
				v.Send(c.sent)
			}
			if c.end != nil {
				s.Pass(0)
				c.end(v)
			}
			s.Pass(10 * time.Second)
			done()
			got := fmt.Sprint(err)
			if err == reactor.ErrTimeout {
				got = "timeout"
			} else if strings.HasPrefix(fmt.Sprintf("%T", err), "*http1.") {
				got = "http"
			}
			if got != c.want || c.at > 0 && ended-began != c.at {
				t.Errorf("%q after %v, want %q after %v", got, ended-began, c.want, c.at)
			}
		})
	}
}
