package stream_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// rawH2 is one end of a connection of HTTP/2, frame by frame.
type rawH2 struct {
	t    *testing.T
	conn net.Conn
	*http2.Framer
	enc  *hpack.Encoder
	head bytes.Buffer
}

func newRawH2(t *testing.T, c net.Conn) *rawH2 {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	h := &rawH2{t: t, conn: c, Framer: http2.NewFramer(c, c)}
	h.enc = hpack.NewEncoder(&h.head)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return h
}

// dialH2 begins HTTP/2 with the proxy.
func dialH2(t *testing.T, addr string) *rawH2 {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, http2.ClientPreface)
	h := newRawH2(t, c)
	h.WriteSettings()
	return h
}

// headers sends a head: names and values.
func (h *rawH2) headers(id uint32, end bool, fields ...string) {
	h.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.head.Bytes(), EndHeaders: true, EndStream: end})
}

// next gives the next frame of a stream, answering what is of the connection.
func (h *rawH2) next() http2.Frame {
	h.t.Helper()
	for {
		f, err := h.ReadFrame()
		if err != nil {
			h.t.Errorf("no frame: %v", err)
			return nil
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				h.WriteSettingsAck()
			}
		case *http2.WindowUpdateFrame, *http2.PingFrame:
		default:
			return f
		}
	}
}

func field(f http2.Frame, name string) string {
	m, ok := f.(*http2.MetaHeadersFrame)
	if !ok {
		return fmt.Sprintf("%T", f)
	}
	if strings.HasPrefix(name, ":") {
		return m.PseudoValue(name[1:])
	}
	for _, x := range m.RegularFields() {
		if x.Name == name {
			return x.Value
		}
	}
	return ""
}

// acceptOf is the answer to a WebSocket's key.
func acceptOf(req *http.Request) string {
	sum := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echoing answers an upgrade in HTTP/1 and sends back what it gets.
func echoing(t *testing.T) string {
	return tcptest.Serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Method != "GET" || !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") || len(req.Header.Get("Sec-Websocket-Key")) != 24 || req.Header.Get("Sec-Websocket-Version") != "13" {
			fmt.Fprintf(c, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nX-Why: %s %v\r\n\r\n", req.Method, req.Header)
			return
		}
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+acceptOf(req)+"\r\nX-Path: "+req.URL.Path+"\r\n\r\n")
		io.Copy(c, r)
	})
}

// echoingH2 accepts extended CONNECTs and sends back what it gets. connect tells
// whether it announces RFC 8441.
func echoingH2(t *testing.T, connect bool) string {
	return tcptest.Serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		h := newRawH2(t, c)
		if connect {
			h.WriteSettings(http2.Setting{ID: 8, Val: 1})
		} else {
			h.WriteSettings()
		}
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					h.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				if field(f, ":method") != "CONNECT" || field(f, ":protocol") != "websocket" || field(f, "upgrade") != "" || field(f, "sec-websocket-key") != "" {
					h.headers(f.StreamID, true, ":status", "400")
				} else {
					h.headers(f.StreamID, false, ":status", "200", "x-path", field(f, ":path"))
				}
			case *http2.DataFrame:
				h.WriteData(f.StreamID, f.StreamEnded(), f.Data())
			}
		}
	})
}

func toH2(b *bed) {
	for _, srv := range b.be.BE.Servers() {
		x := *srv.Settings()
		x.Proto = "h2"
		srv.Replace(time.Now(), &x)
	}
}

func webSockets(b *bed) { b.webSockets = true }

// A WebSocket goes through whatever the versions are.
func TestWebSocket(t *testing.T) {
	for _, c := range []struct {
		name   string
		server string
		opts   []bedOption
	}{{"h1", echoing(t), nil}, {"h2", echoingH2(t, true), []bedOption{toH2}}} {
		type head struct {
			status   int
			req, res string // "upgrade"
		}
		logged := make(chan head, 1)
		b := newBed(t, stream.HTTP, []string{c.server}, append(c.opts, webSockets, func(b *bed) {
			b.fe.Log = func(st *stream.Stream) {
				logged <- head{st.Status, string(st.Req.Get("upgrade")), string(st.Res.Get("upgrade"))}
			}
		})...)
		t.Run("h2 to "+c.name, func(t *testing.T) {
			h := dialH2(t, b.addr)
			h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "h", "sec-websocket-version", "13")
			f := h.next()
			if field(f, ":status") != "200" || field(f, "x-path") != "/chat" || field(f, "upgrade") != "" || field(f, "sec-websocket-accept") != "" {
				t.Fatalf("%v", f)
			}
			for _, text := range []string{"hello", "again"} {
				h.WriteData(1, false, []byte(text))
				d, ok := h.next().(*http2.DataFrame)
				if !ok || string(d.Data()) != text {
					t.Fatalf("%v", d)
				}
			}
			h.WriteData(1, true, nil)
			if d, ok := h.next().(*http2.DataFrame); !ok || !d.StreamEnded() {
				t.Errorf("%v", d)
			}
			// It is an upgrade to rules and logs, whatever the versions.
			if got := <-logged; got != (head{101, "websocket", "websocket"}) {
				t.Errorf("logged as %+v", got)
			}
		})
		t.Run("h1 to "+c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", b.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprint(conn, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != 101 || res.Header.Get("X-Path") != "/chat" || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
				t.Fatalf("%v", res)
			}
			if got := res.Header.Get("Sec-Websocket-Accept"); c.name == "h2" && got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // of RFC 6455 1.3
				t.Errorf("accepted with %q", got)
			}
			fmt.Fprint(conn, "hello")
			buf := make([]byte, 5)
			if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "hello" {
				t.Errorf("%q %v", buf, err)
			}
			conn.(*net.TCPConn).CloseWrite()
			if _, err := r.ReadByte(); err != io.EOF {
				t.Error(err)
			}
		})
	}
}

// Without RFC 8441 at the server, or announced by us, there is no WebSocket over
// HTTP/2; and the server's "ws h1" makes one go over HTTP/1.
func TestWebSocketRefused(t *testing.T) {
	t.Run("by the server", func(t *testing.T) {
		b := newBed(t, stream.HTTP, []string{echoingH2(t, false)}, toH2, webSockets)
		h := dialH2(t, b.addr)
		h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "h")
		if f := h.next(); field(f, ":status") != "502" {
			t.Errorf("%v", f)
		}
	})
	t.Run("by us", func(t *testing.T) {
		b := newBed(t, stream.HTTP, []string{echoing(t)})
		h := dialH2(t, b.addr)
		h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "h")
		if f, ok := h.next().(*http2.RSTStreamFrame); !ok || f.ErrCode != http2.ErrCodeProtocol {
			t.Errorf("%v", f)
		}
	})
	t.Run("for HTTP/2", func(t *testing.T) {
		for _, protocol := range []string{"h2c", "h2"} {
			for _, to := range [][]bedOption{{webSockets}, {webSockets, toH2}} {
				b := newBed(t, stream.HTTP, []string{origin(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })}, to...)
				h := dialH2(t, b.addr)
				h.headers(1, false, ":method", "CONNECT", ":protocol", protocol, ":scheme", "http", ":path", "/chat", ":authority", "h")
				if f := h.next(); field(f, ":status") != "501" {
					t.Errorf("%s: %v", protocol, f)
				}
			}
		}
	})
	t.Run("ws h1", func(t *testing.T) {
		b := newBed(t, stream.HTTP, []string{echoing(t)}, toH2, webSockets, func(b *bed) {
			for _, srv := range b.be.BE.Servers() {
				x := *srv.Settings()
				x.WS = "h1"
				srv.Replace(time.Now(), &x)
			}
		})
		h := dialH2(t, b.addr)
		h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "h")
		if f := h.next(); field(f, ":status") != "200" {
			t.Errorf("%v", f)
		}
	})
}

// Other upgrades go through as well, as extended CONNECTs where HTTP/2 is spoken;
// a server that has none serves HTTP/1 without.
func TestUpgrade(t *testing.T) {
	oldServer := func(t *testing.T) string {
		return tcptest.Serve(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			name := req.Header.Get("Upgrade")
			if name == "wrong" {
				name = "right"
			}
			if req.Method != "GET" || req.Header.Get("Sec-Websocket-Key") != "" || name == "" {
				fmt.Fprintf(c, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nX-Why: %s %v\r\n\r\n", req.Method, req.Header)
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n", name)
			io.Copy(c, r)
		})
	}
	newServer := func(connect bool) func(t *testing.T) string {
		return func(t *testing.T) string {
			return tcptest.Serve(t, func(c net.Conn) {
				io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
				h := newRawH2(t, c)
				if connect {
					h.WriteSettings(http2.Setting{ID: 8, Val: 1})
				} else {
					h.WriteSettings()
				}
				for {
					switch f, _ := h.ReadFrame(); f := f.(type) {
					case nil:
						return
					case *http2.SettingsFrame:
						if !f.IsAck() {
							h.WriteSettingsAck()
						}
					case *http2.MetaHeadersFrame:
						h.headers(f.StreamID, f.StreamEnded(), ":status", "200", "x-asked", strings.TrimSpace(field(f, ":method")+" "+field(f, ":protocol")+field(f, "upgrade")), "sec-websocket-accept", "another's")
					case *http2.DataFrame:
						h.WriteData(f.StreamID, f.StreamEnded(), f.Data())
					}
				}
			})
		}
	}
	for _, c := range []struct {
		name    string
		server  func(t *testing.T) string
		h2      bool   // of the server
		upgrade string // of a client of HTTP/1
		to      string // what comes of it, "": nothing
		status  string // of a client of HTTP/2
		asked   string // of a server of HTTP/2
	}{
		{"h1", oldServer, false, "echo", "echo", "200", ""},
		{"h1, another", oldServer, false, "wrong", "right", "502", ""},
		{"h2", newServer(true), true, "echo", "echo", "200", "CONNECT echo"},
		{"h2, several", newServer(true), true, "echo , foo", "echo", "", "CONNECT echo"},
		{"h2, a WebSocket among them", newServer(true), true, "foo, WebSocket", "websocket", "", "CONNECT websocket"},
		{"h2, no token", newServer(true), true, "foo/1.0", "", "", "GET"},
		{"h2, not announced", newServer(false), true, "echo", "", "502", "GET"},
	} {
		options := []bedOption{webSockets}
		if c.h2 {
			options = append(options, toH2)
		}
		t.Run("h1 to "+c.name, func(t *testing.T) {
			conn := newBed(t, stream.HTTP, []string{c.server(t)}, options...).dial()
			fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: %s\r\n", c.upgrade)
			if strings.Contains(c.upgrade, "WebSocket") {
				io.WriteString(conn, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
			}
			io.WriteString(conn, "\r\n")
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if res.Header.Get("X-Asked") != c.asked {
				t.Errorf("the server was asked for %q", res.Header.Get("X-Asked"))
			}
			if c.to == "" {
				if res.StatusCode != 200 || res.Header.Get("Upgrade") != "" {
					t.Errorf("%v", res)
				}
				return
			}
			if res.StatusCode != 101 || res.Header.Get("Upgrade") != c.to {
				t.Fatalf("%v", res)
			}
			if a := res.Header.Values("Sec-Websocket-Accept"); c.to == "websocket" && (len(a) != 1 || a[0] != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") || c.to != "websocket" && len(a) > 0 {
				t.Errorf("%q", a)
			}
			fmt.Fprint(conn, "hello")
			buf := make([]byte, 5)
			if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "hello" {
				t.Errorf("%q %v", buf, err)
			}
		})
		if c.status == "" {
			continue
		}
		t.Run("h2 to "+c.name, func(t *testing.T) {
			h := dialH2(t, newBed(t, stream.HTTP, []string{c.server(t)}, options...).addr)
			h.headers(1, false, ":method", "CONNECT", ":protocol", c.upgrade, ":scheme", "http", ":path", "/chat", ":authority", "h")
			f := h.next()
			if field(f, ":status") != c.status {
				t.Fatalf("%v", f)
			}
			if c.status == "200" {
				h.WriteData(1, false, []byte("hello"))
				if d, ok := h.next().(*http2.DataFrame); !ok || string(d.Data()) != "hello" {
					t.Errorf("%v", d)
				}
			}
		})
	}
}

// What a server of HTTP/1 says to a key that we made up must be the answer to it.
func TestWebSocketKeyIsAnswered(t *testing.T) {
	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
	for _, c := range []struct{ name, key, status, answer string }{
		{"agreed", "", "200", upgrade + "Upgrade: WebSocket\r\nSec-WebSocket-Accept: @\r\n\r\n"},
		{"the client's key", "dGhlIHNhbXBsZSBub25jZQ==", "200", upgrade + "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
		{"another key's", "", "502", upgrade + "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
		{"not the client's", "dGhlIHNhbXBsZSBub25jZQ==", "502", upgrade + "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n"},
		{"no accept", "", "502", upgrade + "Upgrade: websocket\r\n\r\n"},
		{"another protocol", "", "502", upgrade + "Upgrade: foo\r\nSec-WebSocket-Accept: @\r\n\r\n"},
		{"no protocol", "", "502", upgrade + "Sec-WebSocket-Accept: @\r\n\r\n"},
		{"no upgrade", "", "403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, stream.HTTP, []string{tcptest.Serve(t, func(conn net.Conn) {
				if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, strings.ReplaceAll(c.answer, "@", acceptOf(req)))
					io.Copy(io.Discard, conn)
				}
			})}, webSockets)
			h := dialH2(t, b.addr)
			fields := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "h"}
			if c.key != "" {
				fields = append(fields, "sec-websocket-key", c.key)
			}
			h.headers(1, false, fields...)
			if got := field(h.next(), ":status"); got != c.status {
				t.Errorf("%s, want %s", got, c.status)
			}
		})
	}
}

// upgraded is a server of HTTP/1 that accepts what asks for an upgrade. Then f
// has the connection.
func upgraded(t *testing.T, f func(c *net.TCPConn, r *bufio.Reader)) string {
	return tcptest.Serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+acceptOf(req)+"\r\n\r\n")
		f(c.(*net.TCPConn), r)
	})
}

// What is left of a tunnel has "timeout client-fin" or "server-fin" although it
// was waiting already when the other direction ended.
func TestTunnelFin(t *testing.T) {
	const fin = 3 * time.Second // what else could end it takes longer
	for _, first := range []string{"client", "server"} {
		for _, mode := range []string{"http", "tcp"} {
			t.Run(first+" first, mode "+mode, func(t *testing.T) {
				s := stage(t, "listen x\n bind "+front+"\n mode "+mode+"\n timeout "+map[string]string{"client": "server-fin", "server": "client-fin"}[first]+" 3s\n")
				host := s.Listen("10.2.0.1:80")
				c := s.Dial(front)
				c.Send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
				o := host.Accept()
				req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(o.Head())))
				if err != nil {
					t.Fatal(err)
				}
				o.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + acceptOf(req) + "\r\n\r\n")
				if head := c.Head(); !strings.Contains(head, " 101 ") {
					t.Fatal(head)
				}
				s.Pass(time.Second) // both directions wait
				ends, stays := c, o
				if first == "server" {
					ends, stays = o, c
				}
				ends.Shut()
				at := s.Now() + fin
				stays.Rest()
				if stays.EndedAt() == at {
					t.Error("the end was not passed on")
				}
				ends.Rest()
				if ends.EndedAt() != at {
					t.Errorf("the rest ended at %v, want %v", ends.EndedAt(), at)
				}
			})
		}
	}
}

// patient lets nothing end by the usual times while a slow machine is waited for.
func patient(b *bed) {
	for _, p := range []*stream.Proxy{b.fe, b.be} {
		p.Timeouts.Client, p.Timeouts.Server = time.Minute, time.Minute
	}
}

// The same for a client of HTTP/2: the end of its stream's answer is not the end
// of the stream.
func TestTunnelFinH2(t *testing.T) {
	s := stage(t, "listen x\n bind "+front+" proto h2\n timeout client-fin 3s\n")
	host := s.Listen("10.2.0.1:80")
	host.Serve(func(head string) string {
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil {
			t.Error(err)
			return ""
		}
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + acceptOf(req) + "\r\n\r\n"
	})
	c := s.Dial(front)
	c.Send(http2.ClientPreface)
	h := newRawH2(t, c)
	h.WriteSettings()
	h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "h")
	if f := h.next(); field(f, ":status") != "200" {
		t.Fatalf("%v", f)
	}
	s.Pass(time.Second)
	at := s.Now() + 3*time.Second
	host.Accept().Shut()
	if d, ok := h.next().(*http2.DataFrame); !ok || !d.StreamEnded() || s.Now() == at {
		t.Fatalf("%v at %v", d, s.Now())
	}
	if f, ok := h.next().(*http2.RSTStreamFrame); !ok || s.Now() != at {
		t.Errorf("%v at %v, want %v", f, s.Now(), at)
	}
}

// A client of HTTP/2 that leaves ends a tunnel whose server has said its last
// word already.
func TestTunnelClientLeaves(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(h *rawH2)
	}{
		{"resets the stream", func(h *rawH2) { h.WriteRSTStream(1, http2.ErrCodeCancel) }},
		{"closes the connection", func(h *rawH2) { h.conn.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan struct{})
			server := upgraded(t, func(conn *net.TCPConn, r *bufio.Reader) {
				conn.CloseWrite()
				io.Copy(io.Discard, r)
				close(done)
			})
			b := newBed(t, stream.HTTP, []string{server}, webSockets, patient)
			h := dialH2(t, b.addr)
			h.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "h")
			if f := h.next(); field(f, ":status") != "200" {
				t.Fatalf("%v", f)
			}
			if d, ok := h.next().(*http2.DataFrame); !ok || !d.StreamEnded() {
				t.Fatalf("%v", d)
			}
			c.leave(h)
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Error("the server's connection is still open")
			}
		})
	}
}
