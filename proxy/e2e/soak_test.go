package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// soakText takes in every version, in clear and under TLS, and goes on in every
// version, by the first element of the path.
const soakText = `
frontend web
    bind %s
    bind %s ssl crt @DIR@/site.pem alpn h2,http/1.1
    use_backend %%[path,field(2,/)]

backend h1
    server s %s
backend h1s
    server s %s ssl verify none alpn http/1.1
backend h2
    server s %s proto h2
backend h2s
    server s %s ssl verify none alpn h2
backend grpc
    server s %s proto h2
backend grpcs
    server s %s ssl verify none alpn h2
backend ws2
    server s %s proto h2

listen raw
    mode tcp
    bind %s
    server s %s
`

// TestSoak has events pass the proxy, each long after the one before: server-sent
// ones, gRPC, WebSockets and uploads, in all versions and framings. In CI this
// shows that none waits for the next one or for the kernel (200 ms). With
// FOREBAY_SOAK=10m (make soak) it takes so long, has HAProxy beside it, and no
// event of ours may be more than 20 ms late.
func TestSoak(t *testing.T) {
	length, long := 2*time.Second, false
	if v := os.Getenv("FOREBAY_SOAK"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
		long = true
	}
	s := newSoak(t)
	ours := s.through(t, forebay)
	all := map[string]*heard{"forebay": ours}
	if long {
		all["haproxy"] = s.through(t, tool(t, "haproxy"))
		all["direct"] = s.direct()
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var wg sync.WaitGroup
	for _, h := range all {
		for _, l := range h.flows {
			wg.Go(func() {
				time.Sleep(rand.N(min(length/8, 10*time.Second))) // they do not all begin at once
				l.run(ctx)
			})
		}
	}
	wg.Wait()
	for name, h := range all {
		h.report(t, name)
	}
	for _, l := range ours.flows {
		d := l.sorted()
		if l.err != nil || len(d) == 0 {
			t.Errorf("%s: %d events, %v", l.name, len(d), l.err)
			continue
		}
		if long {
			if most := d[len(d)-1]; most > 20*time.Millisecond {
				t.Errorf("%s: an event was %v late", l.name, most)
			}
		} else if q := d[len(d)/4]; q >= shortest {
			t.Errorf("%s: most of %d events were at least %v late", l.name, len(d), q)
		}
	}
}

// soak is the servers that events come from and go to.
type soak struct {
	ca                                    *certtest.Pair
	pem                                   []byte
	plain, secure, grpc, grpcs, webSocket string
	mu                                    sync.Mutex
	flows                                 map[string]*flow // of uploads and the like, by name
}

// heard is what went through one program.
type heard struct{ flows []*flow }

// flow is a sequence of events one way.
type flow struct {
	name  string
	talk  func(ctx context.Context, l *flow) error
	mu    sync.Mutex
	delay []time.Duration
	err   error
}

func (l *flow) run(ctx context.Context) {
	err := l.talk(ctx, l)
	if ctx.Err() == nil || len(l.sorted()) == 0 {
		l.err = errors.Join(err, errors.New("ended early"))
	}
}

func (l *flow) sorted() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.delay)
	return slices.Clone(l.delay)
}

func (h *heard) report(t *testing.T, program string) {
	kinds := map[string][]time.Duration{}
	for _, l := range h.flows {
		k, _, _ := strings.Cut(l.name, " ")
		kinds[k] = append(kinds[k], l.sorted()...)
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range kinds {
			if !yield(k) {
				return
			}
		}
	}) {
		d := kinds[k]
		slices.Sort(d)
		if len(d) == 0 {
			t.Logf("%-8s %-14s nothing", program, k)
			continue
		}
		late := 0
		for _, x := range d {
			if x > 20*time.Millisecond {
				late++
			}
		}
		t.Logf("%-8s %-14s %7d events, late by: median %v, 99 %% %v, 99.9 %% %v, most %v; %d by more than 20 ms",
			program, k, len(d), d[len(d)/2], d[len(d)*99/100], d[len(d)*999/1000], d[len(d)-1], late)
	}
}

var soakBegan = time.Now()

// shortest is the shortest time from one event to the next: what is kept back
// until that comes, or for as long as the kernel keeps it, is later than this.
const shortest = 100 * time.Millisecond

// pause is the time to the next event: mostly some tenths of a second.
func pause() time.Duration {
	if rand.IntN(50) == 0 {
		return 2 * time.Second
	}
	return shortest + rand.N(300*time.Millisecond)
}

// speak sends events until the context ends.
func speak(ctx context.Context, send func([]byte) error) error {
	b := make([]byte, 1024)
	for {
		n := 12 + rand.IntN(len(b)-12)
		binary.BigEndian.PutUint32(b, uint32(n))
		binary.BigEndian.PutUint64(b[4:], uint64(time.Since(soakBegan)))
		if err := send(b[:n]); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause()):
		}
	}
}

// event notes one that has come.
func (l *flow) event(b []byte) {
	d := time.Since(soakBegan) - time.Duration(binary.BigEndian.Uint64(b[4:]))
	l.mu.Lock()
	l.delay = append(l.delay, d)
	l.mu.Unlock()
}

// listen takes events until there are no more.
func (l *flow) listen(r io.Reader) error {
	b := make([]byte, 1024)
	for {
		if _, err := io.ReadFull(r, b[:12]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(b))
		if n < 12 || n > len(b) {
			return fmt.Errorf("an event of %d bytes", n)
		}
		if _, err := io.ReadFull(r, b[12:n]); err != nil {
			return err
		}
		l.event(b)
	}
}

func newSoak(t *testing.T) *soak {
	s := &soak{ca: certtest.NewCA(t, "ca"), flows: map[string]*flow{}}
	site := s.ca.Issue(t, "site", certtest.Names("localhost"))
	s.pem = site.PEM(t)
	cert := site.TLS()
	h := http.HandlerFunc(s.serve)
	plain := httptest.NewUnstartedServer(h)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	secure := httptest.NewUnstartedServer(h)
	secure.EnableHTTP2 = true
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	secure.StartTLS()
	for _, x := range []*httptest.Server{plain, secure} {
		t.Cleanup(func() { x.CloseClientConnections(); x.Close() })
	}
	s.plain, s.secure = plain.Listener.Addr().String(), secure.Listener.Addr().String()
	for _, creds := range []credentials.TransportCredentials{insecure.NewCredentials(), credentials.NewServerTLSFromCert(&cert)} {
		g := grpc.NewServer(grpc.Creds(creds), grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(s.talk))
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go g.Serve(l)
		t.Cleanup(g.Stop)
		if s.grpc == "" {
			s.grpc = l.Addr().String()
		} else {
			s.grpcs = l.Addr().String()
		}
	}
	s.webSocket = tcptest.Serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		h := newSoakH2(c, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		h.serve(s)
	})
	return s
}

// flow gives the flow of a name that a client sent.
func (s *soak) flow(name string) *flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flows[name]
}

// serve is the server of HTTP: server-sent events, uploads and WebSockets.
func (s *soak) serve(w http.ResponseWriter, r *http.Request) {
	l := s.flow(r.Header.Get("Flow"))
	kind := r.URL.Query().Get("kind")
	switch kind {
	case "upload":
		l.listen(r.Body)
		return
	case "close", "websocket":
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		if kind == "close" {
			io.WriteString(rw, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		} else {
			io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+webSocketAccept(r.Header.Get("Sec-Websocket-Key"))+"\r\n\r\n")
			go func() { l.listen(rw); c.Close() }()
		}
		speak(r.Context(), func(b []byte) error { rw.Write(b); return rw.Flush() })
		return
	case "length":
		w.Header().Set("Content-Length", "1000000000")
	}
	w.Header().Set("Content-Type", "text/event-stream")
	speak(r.Context(), func(b []byte) error {
		_, err := w.Write(b)
		w.(http.Flusher).Flush()
		return err
	})
}

// rawCodec makes messages of gRPC of bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = bytes.Clone(b); return nil }
func (rawCodec) Name() string                    { return "raw" }

// talk is the server of gRPC: both sides speak whenever they like.
func (s *soak) talk(_ any, st grpc.ServerStream) error {
	var name []byte
	if err := st.RecvMsg(&name); err != nil {
		return err
	}
	l := s.flow(string(name))
	go speak(st.Context(), func(b []byte) error { return st.SendMsg(&b) })
	for {
		var b []byte
		if err := st.RecvMsg(&b); err != nil {
			return err
		}
		l.event(b)
	}
}

// through starts a program and gives the flows that go through it.
func (s *soak) through(t *testing.T, program string) *heard {
	dir := scratch(t)
	certtest.Write(t, dir, "site.pem", s.pem)
	clear, secure, raw := address(t), address(t), address(t)
	text := fmt.Sprintf(preface+soakText, clear, secure, s.plain, s.secure, s.plain, s.secure, s.grpc, s.grpcs, s.webSocket, raw, s.plain)
	serveIn(t, program, dir, text)
	h := new(heard)
	name := func(format string, args ...any) string {
		return fmt.Sprintf(format, args...) + " through " + program[strings.LastIndexByte(program, '/')+1:]
	}
	for _, front := range []string{"h1", "h1s", "h2", "h2s"} {
		c, url, addr := s.client(t, front, clear, secure)
		for _, back := range []string{"h1", "h1s", "h2", "h2s"} {
			kinds := []string{"chunks"}
			if back[:2] == "h1" {
				kinds = []string{"chunks", "length", "close"}
			}
			for _, kind := range kinds {
				h.sse(c, name("sse-%s %s to %s", kind, front, back), url+"/"+back+"/?kind="+kind)
			}
			s.upload(h, c, name("upload %s to %s", front, back), url+"/"+back+"/?kind=upload")
		}
		for _, back := range []string{"h1", "ws2"} {
			s.socket(h, front, addr, name("websocket %s to %s", front, back), "/"+back+"/?kind=websocket")
		}
		if front[:2] == "h2" {
			for _, back := range []string{"grpc", "grpcs"} {
				s.rpc(t, h, front == "h2s", addr, name("grpc %s to %s", front, back), "/"+back+"/Talk")
			}
		}
	}
	c, url, _ := s.client(t, "h1", raw, "")
	h.sse(c, name("tcp-sse h1"), url+"/?kind=chunks")
	s.socket(h, "h1", raw, name("tcp-websocket h1"), "/?kind=websocket")
	return h
}

// direct is what no program is in the way of: what the machine itself adds.
func (s *soak) direct() *heard {
	h := new(heard)
	h.sse(http.DefaultClient, "sse-chunks direct", "http://"+s.plain+"/?kind=chunks")
	s.socket(h, "h1", s.plain, "websocket direct", "/?kind=websocket")
	return h
}

// client is one of a version, its origin, and the address.
func (s *soak) client(t *testing.T, front, clear, secure string) (*http.Client, string, string) {
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: s.tls()}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr}
	switch front {
	case "h1":
		tr.Protocols.SetHTTP1(true)
		return c, "http://" + clear, clear
	case "h1s":
		tr.Protocols.SetHTTP1(true)
		return c, "https://" + secure, secure
	case "h2":
		tr.Protocols.SetUnencryptedHTTP2(true)
		return c, "http://" + clear, clear
	}
	tr.Protocols.SetHTTP2(true)
	return c, "https://" + secure, secure
}

func (s *soak) tls() *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool(), ServerName: "localhost"}
}

func (h *heard) add(name string, talk func(context.Context, *flow) error) *flow {
	l := &flow{name: name, talk: talk}
	h.flows = append(h.flows, l)
	return l
}

// sse receives the events of a response.
func (h *heard) sse(c *http.Client, name, url string) {
	h.add(name, func(ctx context.Context, l *flow) error {
		req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		res, err := c.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != 200 {
			return errors.New(res.Status)
		}
		return l.listen(res.Body)
	})
}

// upload sends events in a request.
func (s *soak) upload(h *heard, c *http.Client, name, url string) {
	s.flows[name] = h.add(name, func(ctx context.Context, l *flow) error {
		pr, pw := io.Pipe()
		req, _ := http.NewRequestWithContext(ctx, "POST", url, pr)
		req.Header.Set("Flow", name)
		ended := make(chan error, 1)
		go func() {
			res, err := c.Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			pr.CloseWithError(io.ErrClosedPipe)
			ended <- err
		}()
		speak(ctx, func(b []byte) error { _, err := pw.Write(b); return err })
		pw.Close()
		return <-ended
	})
}

// rpc speaks gRPC both ways.
func (s *soak) rpc(t *testing.T, h *heard, secure bool, addr, name, method string) {
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(s.tls())
	}
	up := name + ", up"
	s.flows[up] = h.add(up, func(ctx context.Context, l *flow) error { <-ctx.Done(); return nil })
	h.add(name, func(ctx context.Context, l *flow) error {
		c, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
		if err != nil {
			return err
		}
		defer c.Close()
		st, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
		if err != nil {
			return err
		}
		first := []byte(up)
		if err := st.SendMsg(&first); err != nil {
			return err
		}
		go speak(ctx, func(b []byte) error { return st.SendMsg(&b) })
		for {
			var b []byte
			if err := st.RecvMsg(&b); err != nil {
				return err
			}
			l.event(b)
		}
	})
}

// socket speaks through a WebSocket, both ways.
func (s *soak) socket(h *heard, front, addr, name, path string) {
	up := name + ", up"
	s.flows[up] = h.add(up, func(ctx context.Context, l *flow) error { <-ctx.Done(); return nil })
	h.add(name, func(ctx context.Context, l *flow) error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		if strings.HasSuffix(front, "s") {
			cfg := s.tls()
			cfg.NextProtos = []string{map[string]string{"h1s": "http/1.1", "h2s": "h2"}[front]}
			c = tls.Client(c, cfg)
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		if front[:2] == "h2" {
			io.WriteString(c, http2.ClientPreface)
			return newSoakH2(c).webSocket(ctx, l, path, up)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nFlow: %s\r\n\r\n", path, up)
		br := bufio.NewReader(c)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return err
		}
		if res.StatusCode != 101 {
			return errors.New(res.Status)
		}
		go speak(ctx, func(b []byte) error { _, err := c.Write(b); return err })
		return l.listen(br)
	})
}

// soakH2 is a peer of HTTP/2 for WebSockets, which net/http has not. Its windows
// are large enough for ever.
type soakH2 struct {
	*http2.Framer
	mu  sync.Mutex
	enc *hpack.Encoder
	buf bytes.Buffer
}

func newSoakH2(c net.Conn, settings ...http2.Setting) *soakH2 {
	h := &soakH2{Framer: http2.NewFramer(c, bufio.NewReader(c))}
	h.enc = hpack.NewEncoder(&h.buf)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.WriteSettings(append(settings, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})...)
	h.WriteWindowUpdate(0, 1<<30)
	return h
}

func (h *soakH2) head(id uint32, fields ...string) {
	h.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.buf.Bytes(), EndHeaders: true})
}

// say sends an event on a stream.
func (h *soakH2) say(id uint32) func([]byte) error {
	return func(b []byte) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.WriteData(id, false, b)
	}
}

// frames reads until the end, and answers what must be answered.
func (h *soakH2) frames(f func(http2.Frame) error) error {
	for {
		x, err := h.ReadFrame()
		if err != nil {
			return err
		}
		h.mu.Lock()
		switch x := x.(type) {
		case *http2.SettingsFrame:
			if !x.IsAck() {
				h.WriteSettingsAck()
			}
		case *http2.PingFrame:
			h.WritePing(true, x.Data)
		}
		h.mu.Unlock()
		if err := f(x); err != nil {
			return err
		}
	}
}

// webSocket is the client.
func (h *soakH2) webSocket(ctx context.Context, l *flow, path, up string) error {
	pr, pw := io.Pipe()
	defer pw.Close()
	go l.listen(pr)
	asked := false
	return h.frames(func(f http2.Frame) error {
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if v, _ := f.Value(http2.SettingEnableConnectProtocol); v == 1 && !asked {
				asked = true
				h.mu.Lock()
				h.head(1, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", path, ":authority", "localhost", "sec-websocket-version", "13", "flow", up)
				h.mu.Unlock()
			}
		case *http2.MetaHeadersFrame:
			if f.PseudoValue("status") != "200" {
				return errors.New(f.PseudoValue("status"))
			}
			go speak(ctx, h.say(1))
		case *http2.DataFrame:
			pw.Write(f.Data())
		case *http2.RSTStreamFrame:
			return errors.New(f.String())
		}
		return nil
	})
}

// serve is the server.
func (h *soakH2) serve(s *soak) {
	pipes := map[uint32]*io.PipeWriter{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.frames(func(f http2.Frame) error {
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			var l *flow
			for _, x := range f.RegularFields() {
				if x.Name == "flow" {
					l = s.flow(x.Value)
				}
			}
			if l == nil || f.PseudoValue("protocol") != "websocket" {
				return errors.New("no WebSocket")
			}
			pr, pw := io.Pipe()
			pipes[f.StreamID] = pw
			go l.listen(pr)
			h.mu.Lock()
			h.head(f.StreamID, ":status", "200")
			h.mu.Unlock()
			go speak(ctx, h.say(f.StreamID))
		case *http2.DataFrame:
			if pw := pipes[f.StreamID]; pw != nil {
				pw.Write(f.Data())
			}
		}
		return nil
	})
	for _, pw := range pipes {
		pw.Close()
	}
}

// webSocketAccept is what a server answers to a key (RFC 6455 4.2.2).
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
