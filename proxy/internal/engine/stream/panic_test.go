package stream_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// bomb panics wherever a feature's code may run.
type bomb struct{}

func (bomb) Exec(*stream.Scope) stream.Verdict           { panic("bomb") }
func (bomb) Match(*stream.Scope) bool                    { panic("bomb") }
func (bomb) Append(dst []byte, st *stream.Stream) []byte { panic("bomb") }
func (bomb) log(*stream.Stream)                          { panic("bomb") }
func (bomb) begin(*stream.Session)                       { panic("bomb") }
func (bomb) find(*stream.Scope) *stream.Proxy            { panic("bomb") }
func (bomb) forward(*stream.Stream)                      { panic("bomb") }
func (b bomb) preamble(bed *bed) {
	b.settings(bed, func(s *server.Settings) { stream.Uplinks.Edit(s).Preamble = b })
}
func (bomb) settings(b *bed, f func(*server.Settings)) {
	for _, s := range b.be.BE.Servers() {
		set := *s.Settings()
		f(&set)
		s.Replace(time.Now(), &set)
	}
}

// bombs are the places.
var bombs = map[string]func(*bed){
	"connection rule":      func(b *bed) { b.fe.ConnRules = []stream.Rule{bomb{}} },
	"frontend's rule":      func(b *bed) { b.fe.RequestRules = []stream.Rule{bomb{}} },
	"use_backend":          func(b *bed) { b.fe.Switching = []stream.SwitchRule{{Cond: bomb{}, Target: "app"}} },
	"use_backend's name":   func(b *bed) { b.fe.Switching = []stream.SwitchRule{{Find: bomb{}.find}} },
	"backend's rule":       func(b *bed) { b.be.RequestRules = []stream.Rule{bomb{}} },
	"redirect":             func(b *bed) { b.be.Redirects = []stream.Rule{bomb{}} },
	"on its way":           func(b *bed) { b.fe.OnForward = []func(*stream.Stream){bomb{}.forward} },
	"preamble":             bomb{}.preamble,
	"backend's response":   func(b *bed) { b.be.ResponseRules = []stream.Rule{bomb{}} },
	"frontend's response":  func(b *bed) { b.fe.ResponseRules = []stream.Rule{bomb{}} },
	"after response":       func(b *bed) { b.fe.AfterRules = []stream.Rule{bomb{}} },
	"begin of the log":     func(b *bed) { b.fe.LogBegin = bomb{}.begin },
	"log":                  func(b *bed) { b.fe.Log = bomb{}.log },
	"log of one who slept": func(b *bed) { b.fe.Log, b.fe.Timeouts.HTTPRequest = bomb{}.log, 10*time.Millisecond },
}

// A panic takes the exchange with it, and nothing else: connections, slots and
// numbers of what is under way are given back.
func TestPanicLeavesNothing(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "fine")
	})
	for _, how := range []struct {
		name   string
		mode   stream.Mode
		server string // protocol
	}{{"http", stream.HTTP, "h1"}, {"http to h2", stream.HTTP, "h2"}, {"http to h2s", stream.HTTP, "h2s"}, {"tcp", stream.TCP, "h1"}} {
		for name, set := range bombs {
			if how.mode == stream.TCP && name == "log of one who slept" {
				continue // there is no such thing
			}
			t.Run(how.name+", "+name, func(t *testing.T) {
				addr, opt := over{back: how.server}.origin(t, h)
				filter := &sim.Filter{Kind: sim.Delay, Rand: rand.New(rand.NewPCG(1, 1)), Most: 1e6}
				b := newBed(t, how.mode, []string{addr}, opt, func(b *bed) {
					b.fe.Filters = []stream.Filter{filter}
					b.w.Reactors[0].OnPanic = func(p any, stack []byte) {
						if p != "bomb" {
							t.Errorf("%v\n%s", p, stack)
						}
					}
					set(b)
				})
				for range 3 {
					for _, body := range []string{"", "Content-Length: 100000\r\n"} {
						c := b.dial()
						if b.fe.Timeouts.HTTPRequest == 0 {
							fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\n"+body+"\r\n")
							if body != "" {
								c.Write(bytes.Repeat([]byte("x"), 70000)) // and no more
							} else if how.mode == stream.TCP {
								c.CloseWrite()
							}
						}
						if body == "" {
							await(t, "the connection's end", func() string { return reads(c) })
						}
						c.Close()
					}
					if how.mode == stream.HTTP && name != "log of one who slept" && name != "connection rule" {
						viaH2(t, b.addr)
					}
				}
				b.balanced(t)
				ended(t, b, filter) // it is told of each, be it by a panic
			})
		}
	}
}

// reads waits for the end of a connection.
func reads(c net.Conn) string {
	io.Copy(io.Discard, c)
	return ""
}

// viaH2 makes two requests at once on a connection of HTTP/2.
func viaH2(t *testing.T, addr string) {
	t.Helper()
	c := dialH2(t, addr)
	defer c.conn.Close()
	for _, id := range []uint32{1, 3} {
		c.headers(id, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	}
	ended := 0
	for ended < 2 {
		f, err := c.ReadFrame()
		if err != nil {
			return
		}
		if h := f.Header(); h.Type == 3 || (h.Type == 0 || h.Type == 1) && h.Flags&1 != 0 { // RST_STREAM, END_STREAM
			ended++
		}
	}
}

// await asks until there is nothing left to complain of.
func await(t *testing.T, what string, ask func() string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		left := ask()
		if left == "" {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s: %s", what, left)
			return
		}
	}
}

// balanced waits until nothing is under way, and nothing is counted as if it were.
func (b *bed) balanced(t *testing.T) {
	t.Helper()
	await(t, "left behind", func() string {
		var out []string
		count := func(what string, n int64) {
			if n != 0 {
				out = append(out, fmt.Sprintf("%d %s", n, what))
			}
		}
		count("connections", b.w.Curr.Load())
		count("connections of the frontend", b.fe.FE.Cur.Load())
		count("sessions of the backend", b.be.BE.Cur.Load())
		count("waiting", b.be.BE.Queue.Len.Load())
		for _, s := range b.be.BE.Servers() {
			count("slots of "+s.Name, s.Cur.Load())
			count("connections in use of "+s.Name, s.Used.Load())
		}
		done := make(chan struct{})
		r := b.w.Reactors[0]
		r.Post(func() {
			defer close(done)
			count("streams", b.w.Counters[0].Streams.Load())
			count("coroutines", int64(r.Coroutines()))
			b.w.EachStream(r, func(*stream.Stream) bool { out = append(out, "a listed stream"); return true })
			idle := int64(0)
			for _, s := range b.be.BE.Servers() {
				idle += s.Idle.Load()
				count("idle connections more or less than pooled", s.Idle.Load()-int64(s.Pools[0].Len()))
			}
			count("descriptors too many or too few", int64(r.Descriptors())-1-idle)
		})
		<-done
		return strings.Join(out, ", ")
	})
}
