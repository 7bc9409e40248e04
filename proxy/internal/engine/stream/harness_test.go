package stream_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// bed is a worker with one frontend and one backend on real sockets.
type bed struct {
	t      *testing.T
	w      *stream.Worker
	fe, be *stream.Proxy
	addr   string
	sends  *workertest.Sends
	tls    *tls.Config
	// webSockets makes extended CONNECT be announced.
	webSockets bool
	noSplice   bool
	idlePing   time.Duration
	streams    int // at a time on a client's connection, 0: the default
}

type bedOption func(*bed)

func newBed(t *testing.T, mode stream.Mode, servers []string, opts ...bedOption) *bed {
	t.Helper()
	return newBedOn(t, 1, mode, servers, opts...)
}

func newBedOn(t *testing.T, threads int, mode stream.Mode, servers []string, opts ...bedOption) *bed {
	t.Helper()
	w, sends := workertest.NewCounted(t, threads)
	w.Init()
	b := &bed{t: t, w: w, sends: sends}
	times := stream.Timeouts{Client: 20 * time.Second, Server: 20 * time.Second, Connect: 10 * time.Second}
	b.be = &stream.Proxy{Name: "app", Backend: true, Mode: mode, Timeouts: times, Retries: 3, BE: stream.NewBackState("app", threads, time.Now())}
	b.be.BE.SetBalance(stream.Balance{Algorithm: "roundrobin"}, false)
	for i, a := range servers {
		ap := netip.MustParseAddrPort(a)
		set := &server.Settings{Addr: reactor.Addr{IP: ap.Addr(), Port: ap.Port()}, Weight: 1, PoolMaxConn: -1, MaxReuse: -1}
		b.be.BE.Add(server.New("app", "s"+string(rune('1'+i)), i+1, threads, set, time.Now()))
	}
	b.fe = &stream.Proxy{Name: "web", Frontend: true, Mode: mode, Timeouts: times, DefaultName: "app", FE: stream.NewFrontState("web", threads)}
	for _, o := range opts {
		o(b)
	}
	snap := &stream.Snapshot{
		Global:    global(threads),
		Proxies:   []*stream.Proxy{b.fe, b.be},
		Frontends: map[string]*stream.Proxy{"web": b.fe},
		Backends:  map[string]*stream.Proxy{"app": b.be},
	}
	snap.Global.NoSplice = b.noSplice
	stream.HTTP2.Make(snap.Global).NoWebSocket = !b.webSockets
	if b.streams > 0 {
		stream.HTTP2.Make(snap.Global).Front.MaxStreams = b.streams
	}
	w.SetSnapshot(snap)
	bind := &stream.Bind{Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1")}, FD: -1, TLS: b.tls, IdlePing: b.idlePing}
	if threads > 1 {
		// A port of 0 would give every socket its own.
		bind.Addr.Port = tcptest.Reserve(t).Port()
	}
	l, err := w.OpenListener(bind, b.fe, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := reactor.Linux.Getsockname(l.Descriptors()[0])
	b.addr = got.String()
	l.Start()
	workertest.Run(t, w)
	return b
}

func origin(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// raw sends bytes and reads until the end.
func (b *bed) raw(send string) string {
	b.t.Helper()
	c := b.dial()
	io.WriteString(c, send)
	out, _ := io.ReadAll(c)
	return string(out)
}

func (b *bed) dial() *net.TCPConn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	b.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func readResponse(t *testing.T, br *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func hello(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Method", r.Method)
	io.WriteString(w, "hello "+r.URL.Path+" "+strings.ToUpper(string(body)))
}

// global are a process's settings as a configuration that says nothing has them.
func global(threads int) *stream.Global {
	h2 := stream.H2{InitialWindow: 16384, RxBuf: 100 * 16384, MaxStreams: 100}
	g := &stream.Global{Threads: threads, BufSize: 16384, MaxRewrite: 1024, MaxHeaders: 101}
	stream.HTTP2.Set(g, stream.H2Settings{Front: h2, Back: h2, MaxFrame: 16384, HeaderTable: 4096})
	return g
}
