package stream_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// every kind of filter, each of which sees what the one before it made.
func allFilters() []stream.Filter {
	var list []stream.Filter
	for _, k := range []sim.FilterKind{sim.Delay, sim.Grow, sim.Delay, sim.Shrink} {
		list = append(list, &sim.Filter{Kind: k, Rand: rand.New(rand.NewPCG(1, uint64(k))), Most: 1e6})
	}
	return list
}

// ended waits until each stream that the filters took part in was ended.
func ended(t *testing.T, b *bed, list ...stream.Filter) {
	t.Helper()
	none := make(chan struct{}, 1)
	b.w.Reactors[0].Post(func() {
		check := func() {
			for _, f := range list {
				if f.(*sim.Filter).Begun != f.(*sim.Filter).Ended {
					return
				}
			}
			select {
			case none <- struct{}{}:
			default:
			}
		}
		for _, f := range list {
			f.(*sim.Filter).Told = check
		}
		check()
	})
	select {
	case <-none:
	case <-time.After(20 * time.Second):
		t.Fatal("streams have not ended for their filters")
	}
}

// Filters of the frontend and the backend stand in the way of requests and responses
// of all protocols and framings, and what they change arrives.
func TestFilters(t *testing.T) {
	body := bytes.Repeat([]byte("forebay"), 5_000)
	for _, o := range append([]over{{"h1", "h1"}, {"h1s", "h1s"}}, ways...) {
		for _, where := range []string{"frontend", "backend", "both"} {
			for _, framing := range []string{"length", "chunks"} {
				t.Run(fmt.Sprintf("%s/%s/%s", o, where, framing), func(t *testing.T) {
					list := allFilters()
					b, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						got, err := io.ReadAll(r.Body)
						if err != nil || !bytes.Equal(got, body) {
							t.Errorf("the server got %d bytes, %v", len(got), err)
						}
						if framing == "length" {
							w.Header().Set("Content-Length", fmt.Sprint(len(got)))
						}
						w.Write(got)
					}), func(b *bed) {
						switch where {
						case "frontend":
							b.fe.Filters = list
						case "backend":
							b.be.Filters = list
						default:
							b.fe.Filters, b.be.Filters = list[:2], list[2:]
						}
					})
					for range 2 {
						var r io.Reader = bytes.NewReader(body)
						if framing == "chunks" {
							r = io.MultiReader(r)
						}
						res, err := c.Post(url, "text/plain", r)
						if err != nil {
							t.Fatal(err)
						}
						got, err := io.ReadAll(res.Body)
						res.Body.Close()
						if err != nil || !bytes.Equal(got, body) {
							t.Errorf("the client got %d bytes, %v", len(got), err)
						}
					}
					ended(t, b, list...)
				})
			}
		}
	}
}

// Each side gets what filters made: here the server twice as much as the client sent,
// and the client twice as much of that.
func TestFiltersChangeBothWays(t *testing.T) {
	body := bytes.Repeat([]byte("forebay"), 500)
	grown := func(p []byte) []byte {
		var out []byte
		for _, b := range p {
			out = append(out, 0xff, b)
		}
		return out
	}
	for _, o := range append([]over{{"h1", "h1"}, {"h1s", "h1s"}}, ways...) {
		t.Run(o.String(), func(t *testing.T) {
			grow := &sim.Filter{Kind: sim.Grow}
			b, c, url := o.bed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, err := io.ReadAll(r.Body)
				if err != nil || !bytes.Equal(got, grown(body)) {
					t.Errorf("the server got %d bytes, %v", len(got), err)
				}
				w.Write(got)
			}), func(b *bed) { b.fe.Filters = []stream.Filter{grow} })
			for _, r := range []io.Reader{bytes.NewReader(body), io.MultiReader(bytes.NewReader(body))} {
				res, err := c.Post(url, "text/plain", r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || !bytes.Equal(got, grown(grown(body))) {
					t.Errorf("the client got %d bytes, %v", len(got), err)
				}
			}
			ended(t, b, grow)
		})
	}
}

// What has no body stays so, and a client of HTTP/1.0 gets what grew until the end
// of its connection.
func TestFiltersWithoutBody(t *testing.T) {
	list := []stream.Filter{&sim.Filter{Kind: sim.Grow}}
	b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) { b.fe.Filters = list })
	if got := b.raw("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\n") || strings.Count(got, "\r\n\r\n") != 1 {
		t.Errorf("%q", got)
	}
	got := b.raw("GET /a HTTP/1.0\r\n\r\n")
	if want := "\r\n\r\n\xffh\xffe\xffl\xffl\xffo\xff \xff/\xffa\xff "; !strings.HasSuffix(got, want) || strings.Contains(got, "ength") {
		t.Errorf("%q", got)
	}
	ended(t, b, list...)
}

// In mode tcp, and in what follows an upgrade, both directions go through filters.
func TestFiltersInTunnels(t *testing.T) {
	for _, kind := range []string{"tcp", "upgrade"} {
		t.Run(kind, func(t *testing.T) {
			addr := tcptest.Serve(t, func(c net.Conn) {
				br := bufio.NewReader(c)
				if kind == "upgrade" {
					http.ReadRequest(br)
					io.WriteString(c, "HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
				}
				io.Copy(c, br)
				c.(*net.TCPConn).CloseWrite()
			})
			mode := stream.HTTP
			if kind == "tcp" {
				mode = stream.TCP
			}
			list := allFilters()
			b := newBed(t, mode, []string{addr}, func(b *bed) { b.fe.Filters, b.be.Filters = list[:1], list[1:] })
			c := b.dial()
			br := bufio.NewReader(c)
			if kind == "upgrade" {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
				if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 101 {
					t.Fatal(res, err)
				}
			}
			sent := bytes.Repeat([]byte("0123456789"), 30_000)
			go func() {
				c.Write(sent)
				c.CloseWrite()
			}()
			if got, err := io.ReadAll(br); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			ended(t, b, list...)
		})
	}
}

// A filter is told when an exchange is broken off, whatever it waits for.
func TestFiltersAreToldOfTheEnd(t *testing.T) {
	for name, how := range map[string]func(c *net.TCPConn){
		"client leaves": func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			began := make(chan bool)
			list := allFilters()
			b := newBed(t, stream.HTTP, []string{origin(t, func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte("some"))
				w.(http.Flusher).Flush()
				close(began)
				<-r.Context().Done()
			})}, func(b *bed) { b.fe.Filters = list })
			c := b.dial()
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
			<-began
			how(c)
			ended(t, b, list...)
		})
	}
}

// page is a service whose body comes in pieces, as it is taken.
type page struct{ pieces, made int }

func (p *page) Name() string { return "<PAGE>" }

func (p *page) Serve(st *stream.Stream) stream.Source {
	st.Res.AddString("content-type", "text/plain")
	return &pageSource{p: p}
}

type pageSource struct {
	p    *page
	n    int
	rest []byte
}

func (s *pageSource) Next(max int) ([]byte, bool, error) {
	if len(s.rest) == 0 && s.n < s.p.pieces {
		s.n++
		s.p.made++
		s.rest = []byte(strings.Repeat("x", 1000))
	}
	p := s.rest[:min(max, len(s.rest))]
	s.rest = s.rest[len(p):]
	return p, len(s.rest) == 0 && s.n == s.p.pieces, nil
}
func (s *pageSource) Wait() error               { return nil }
func (s *pageSource) Ready() bool               { return true }
func (s *pageSource) Trailers() []message.Field { return nil }

// A service answers over all protocols, with what it makes piece by piece, and its
// answer goes through filters.
func TestService(t *testing.T) {
	for _, o := range []over{{"h1", "h1"}, {"h1s", "h1"}, {"h2", "h1"}, {"h2s", "h1"}} {
		t.Run(o.String(), func(t *testing.T) {
			p := &page{pieces: 300}
			b, c, url := o.bed(t, http.NotFoundHandler(), func(b *bed) {
				b.fe.Filters = allFilters()
				b.fe.RequestRules = []stream.Rule{ruleFunc(func(st *stream.Stream) stream.Verdict {
					st.Service = p
					return stream.Answer
				})}
			})
			for i := range 2 {
				res, err := c.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || len(got) != 300_000 || res.StatusCode != 200 || res.Header.Get("content-type") != "text/plain" {
					t.Errorf("%d bytes, %v, %v", len(got), res, err)
				}
				if res, err := c.Head(url); err != nil || res.StatusCode != 200 {
					t.Error(res, err)
				}
				if n := b.fe.FE.Counters[0].Requests.Load(); n != int64(2*i+2) {
					t.Errorf("%d requests", n)
				}
			}
		})
	}
}

// A service makes no more than its client takes.
func TestServiceIsNotGathered(t *testing.T) {
	p := &page{pieces: 100_000}
	b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) {
		b.fe.RequestRules = []stream.Rule{ruleFunc(func(st *stream.Stream) stream.Verdict {
			st.Service = p
			return stream.Answer
		})}
	})
	c := b.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	made := func() int {
		n := make(chan int, 1)
		b.w.Reactors[0].Post(func() { n <- p.made })
		return <-n
	}
	// What the sockets hold is far less than a third of it.
	for took := int64(0); took < 30e6; took += 5e6 {
		if n := made(); n > int(took)/1000+p.pieces/3 {
			t.Fatalf("%d of %d pieces were made for a client that has taken %d", n, p.pieces, took/1000)
		}
		if _, err := io.CopyN(io.Discard, c, 5e6); err != nil {
			t.Fatal(err)
		}
	}
}

// cutter is a filter that ends every response at once.
type cutter struct{ stream.Passing }

func (cutter) Attach(*stream.Stream) stream.Link { return cutter{} }
func (cutter) Response(st *stream.Stream, _ stream.Source) stream.Source {
	st.Res.Framing = message.Chunked
	return cutter{}
}
func (cutter) Next(int) ([]byte, bool, error) { return nil, true, nil }
func (cutter) Wait() error                    { return nil }
func (cutter) Ready() bool                    { return true }
func (cutter) Trailers() []message.Field      { return nil }

// A connection on which a response is still to come, though no filter wants it, is not
// used again: its end would be taken for the next response.
func TestFilterLeavesResponse(t *testing.T) {
	s := stage(t, "http-reuse always\n")
	p := s.Worker.Snapshot().Frontends["x"]
	p.Filters = append(p.Filters, cutter{})
	host := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	for i := range 2 {
		c.Send(get)
		o := host.Accept()
		o.Head()
		o.Send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
		c.Expect("HTTP/1.1 200 OK")
		c.Expect("\r\n\r\n0\r\n\r\n")
		s.Pass(0)
		if !o.Ended() {
			t.Errorf("%d: the connection with a response under way is kept", i)
		}
	}
}
