package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
)

// siege is a forebay that hostile clients of HTTP/2 are let loose on, and the
// server behind it.
type siege struct {
	*proxy
	h2, h1    string
	seen      atomic.Int64 // requests that reached the server
	now, most atomic.Int64 // at the same time
	stop      chan struct{}
	others    sync.WaitGroup
	served    atomic.Int64 // requests of other clients that went well
	before    int          // KiB that the process had at the beginning
}

// besiege starts them, and a client that minds its own business meanwhile.
func besiege(t *testing.T) *siege {
	t.Helper()
	s := &siege{h2: address(t), h1: address(t), stop: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(s.answer)}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	s.proxy = serve(t, fmt.Sprintf(`global
    stats socket @DIR@/s level admin
    nbthread 2
    maxconn 4000

defaults
    mode http
    timeout connect 5s
    timeout client 1s
    timeout server 30s
    timeout http-keep-alive 30s

frontend web
    bind %s proto h2
    bind %s
    default_backend app

backend app
    server s1 %s
`, s.h2, s.h1, l.Addr()))
	s.other(t)
	until(t, "another client is served", func() bool { return s.served.Load() > 0 })
	s.before = s.peak()
	t.Cleanup(func() { s.relieved(t) })
	return s
}

// answer is the server.
func (s *siege) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/other" {
		return
	}
	s.seen.Add(1)
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
	}
	switch r.URL.Path {
	case "/hang":
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	case "/endless":
		for b := make([]byte, 64<<10); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	default:
		io.WriteString(w, r.Header.Get("Cookie"))
	}
}

// other is the client that has nothing to do with it.
func (s *siege) other(t *testing.T) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: 1}}
	s.others.Go(func() {
		defer c.CloseIdleConnections()
		for {
			select {
			case <-s.stop:
				return
			default:
			}
			r, err := c.Get("http://" + s.h1 + "/other")
			if err != nil {
				t.Errorf("another client: %v", err)
				return
			}
			r.Body.Close()
			if r.StatusCode != 200 {
				t.Errorf("another client: %s", r.Status)
				return
			}
			s.served.Add(1)
		}
	})
}

// relieved is the end: all was well meanwhile, and is.
func (s *siege) relieved(t *testing.T) {
	n := s.served.Load()
	until(t, "another client is served", func() bool { return s.served.Load() > n+10 || t.Failed() })
	close(s.stop)
	s.others.Wait()
	h := dialH2(t, s.h2)
	h.get(1, "/fine")
	h.awaitAnswers()
	if v := h.stream(1).status(); v != "200" {
		t.Errorf("a client of HTTP/2 gets %q, GOAWAY %q, %s", v, h.goaway, h.closed)
	}
	h.c.Close()
	until(t, "nothing is left of the requests", func() bool { return s.now.Load() == 0 })
	t.Logf("the server saw %d requests, %d at a time; the process grew by %d KiB", s.seen.Load(), s.most.Load(), s.peak()-s.before)
}

// peak is how much memory the process ever had, in KiB.
func (s *siege) peak() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if v, is := strings.CutPrefix(l, "VmHWM:"); is {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatal("the process has no VmHWM")
	return 0
}

// grewBy wants the process not to have taken more memory than that.
func (s *siege) grewBy(most int) {
	s.t.Helper()
	if n := s.peak() - s.before; n > most {
		s.t.Errorf("the process grew by %d KiB, %d are allowed", n, most)
	}
}

// flood says more and more until the connection is ended, and gives the codes of
// the GOAWAY frames that came. Nothing that comes back is waited for.
func (h *h2conn) flood(more func(i int)) (codes []http2.ErrCode, rounds int, ended error) {
	h.t.Helper()
	defer h.c.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		f := http2.NewFramer(io.Discard, h.c)
		for {
			fr, err := f.ReadFrame()
			if err != nil {
				ended = err
				return
			}
			if g, is := fr.(*http2.GoAwayFrame); is {
				codes = append(codes, g.ErrCode)
			}
		}
	}()
	var err error
	for ; err == nil; rounds++ {
		select {
		case <-over:
			return codes, rounds, ended
		default:
		}
		more(rounds)
		if rounds%64 == 0 {
			err = h.w.Flush()
		}
	}
	if e, is := err.(net.Error); is && e.Timeout() {
		h.t.Error("it never ends")
		h.c.Close()
	}
	<-over
	return codes, rounds, ended
}

// away floods a connection and wants it to be ended: with an error, or politely
// where that is enough. It gives how often more was said.
func (h *h2conn) away(what string, politely bool, more func(i int)) int {
	h.t.Helper()
	codes, n, err := h.flood(more)
	if !slices.Contains(codes, http2.ErrCodeEnhanceYourCalm) && !(politely && slices.Contains(codes, http2.ErrCodeNo)) {
		h.t.Errorf("%s: GOAWAY %v after %d rounds, then %v", what, codes, n, err)
	}
	return n
}

// id is the number of a client's stream.
func id(i int) uint32 { return uint32(2*i + 1) }

// CVE-2023-44487: requests that are cancelled as soon as they are made.
func TestAbuseRapidReset(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	sent := 0
	for range 10 {
		h := dialH2(t, s.h2)
		sent += h.away("rapid reset", true, func(i int) {
			h.get(id(i), "/hang")
			h.WriteRSTStream(id(i), http2.ErrCodeCancel)
		})
	}
	if n := int(s.seen.Load()); n > sent/10 {
		t.Errorf("%d of %d requests reached the server", n, sent)
	}
	// One that waits until its request is on its way does not overwhelm the server either.
	h := dialH2(t, s.h2)
	for i := 0; i < 300 && !h.leaving; i++ {
		h.get(id(i), "/hang")
		h.sync()
		h.WriteRSTStream(id(i), http2.ErrCodeCancel)
	}
	h.c.Close()
	if n := s.most.Load(); n > 110 {
		t.Errorf("the server had %d requests at once", n)
	}
	s.grewBy(64 << 10)
}

// CVE-2025-8671: the client has the proxy reset its requests.
func TestAbuseMadeYouReset(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	sent := 0
	for name, provoke := range map[string]func(h *h2conn, id uint32){
		"window too large": func(h *h2conn, id uint32) { h.WriteWindowUpdate(id, 1<<31-1) },
		"window by 0":      func(h *h2conn, id uint32) { h.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4)) },
		"data at the end":  func(h *h2conn, id uint32) { h.WriteData(id, true, []byte("x")) },
		"second head":      func(h *h2conn, id uint32) { h.get(id, "/hang") },
	} {
		h := dialH2(t, s.h2)
		sent += h.away(name, true, func(i int) {
			h.get(id(i), "/hang")
			provoke(h, id(i))
		})
	}
	h := dialH2(t, s.h2)
	h.away("malformed requests", true, func(i int) { h.get(id(i), "/x", "connection", "close") })
	if n := int(s.seen.Load()); n > sent/10 {
		t.Errorf("%d of %d requests reached the server", n, sent)
	}
	if n := s.most.Load(); n > 110 {
		t.Errorf("the server had %d requests at once", n)
	}
	s.grewBy(64 << 10)
}

// CVE-2024-27316: heads that never end.
func TestAbuseContinuationFlood(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	for _, size := range []int{0, 1, 1000, 16384} {
		for range 5 {
			h := dialH2(t, s.h2)
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(usual("GET", "/x")...), EndStream: true})
			// A field that is repeated, and never indexed.
			b := bytes.Repeat([]byte("\x00\x01x\x01y"), size/5+1)[:size]
			h.away(fmt.Sprintf("%d bytes", size), false, func(int) { h.WriteContinuation(1, false, b) })
		}
	}
	if n := s.seen.Load(); n > 0 {
		t.Errorf("%d requests reached the server", n)
	}
	s.grewBy(32 << 10)
}

// A small head that is large once its compression is undone.
func TestAbuseHPACKBomb(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	h := dialH2(t, s.h2)
	h.get(1, "/fine", "bomb", strings.Repeat("b", 3000)) // it is in the table now, the latest entry
	h.awaitAnswers()
	if v := h.stream(1).status(); v != "200" {
		t.Fatalf("%q", v)
	}
	block := append([]byte("\x82\x86\x04\x02/x\x01\x01a"), bytes.Repeat([]byte{0xbe}, 16000)...)
	for i := 1; i < 200; i++ {
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: id(i), BlockFragment: block, EndStream: true, EndHeaders: true})
		h.expect(id(i))
		h.awaitAnswers()
		if v := h.stream(id(i)).end; v != "PROTOCOL_ERROR" {
			t.Fatalf("%d: %q, %q %s", i, v, h.goaway, h.closed)
		}
	}
	h.get(1001, "/fine")
	h.awaitAnswers()
	if v := h.stream(1001).status(); v != "200" {
		t.Errorf("the connection is of no use any more: %q", v)
	}
	h.c.Close()
	if n := s.seen.Load(); n != 2 {
		t.Errorf("%d requests reached the server", n)
	}
	s.grewBy(32 << 10)
}

// A cookie in very many pieces.
func TestAbuseCookieCrumbs(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	h := dialH2(t, s.h2)
	crumbs := func(n int) []string {
		var l []string
		for range n {
			l = append(l, "cookie", "a=b")
		}
		return l
	}
	h.get(1, "/fine", crumbs(150)...)
	h.get(3, "/fine", crumbs(15000)...)
	h.get(5, "/fine", crumbs(200)...)
	h.awaitAnswers()
	if c := string(h.stream(1).body); c != strings.Repeat("a=b; ", 149)+"a=b" {
		t.Errorf("%q", c)
	}
	if v := h.stream(3).end; v != "PROTOCOL_ERROR" {
		t.Errorf("%q", v)
	}
	if c := string(h.stream(5).body); c != strings.Repeat("a=b; ", 199)+"a=b" {
		t.Errorf("%q", c)
	}
	h.c.Close()
	s.grewBy(16 << 10)
}

// CVE-2019-9512, CVE-2019-9515: frames whose answers nobody reads.
func TestAbuseUnreadAnswers(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	for name, more := range map[string]func(h *h2conn){
		"PING":            func(h *h2conn) { h.WritePing(false, [8]byte{}) },
		"SETTINGS":        func(h *h2conn) { h.WriteSettings() },
		"PING and a head": func(h *h2conn) { h.WritePing(false, [8]byte{}); h.WriteRSTStream(1, http2.ErrCodeCancel) },
	} {
		d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		}}
		c, err := d.Dial("tcp", s.h2)
		if err != nil {
			t.Fatal(err)
		}
		h := newH2conn(t, c)
		h.w.WriteString(http2.ClientPreface)
		h.WriteSettings()
		h.head(1, false, usual("POST", "/hang")...)
		n := 0
		for err = nil; err == nil; n++ {
			more(h)
			if n%64 == 0 {
				err = h.w.Flush()
			}
		}
		if e, is := err.(net.Error); is && e.Timeout() {
			t.Errorf("%s: the connection lives after %d frames: %v", name, n, err)
		}
		c.Close()
	}
	s.grewBy(32 << 10)
}

// Frames that bring nothing (CVE-2019-9513, CVE-2019-9518).
func TestAbuseUselessFrames(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	for name, more := range map[string]func(h *h2conn){
		"empty DATA": func(h *h2conn) { h.WriteData(1, false, nil) },
		"padding":    func(h *h2conn) { h.WriteDataPadded(1, false, nil, make([]byte, 200)) },
		"PRIORITY":   func(h *h2conn) { h.WritePriority(1, http2.PriorityParam{StreamDep: 3}) },
		"SETTINGS":   func(h *h2conn) { h.WriteSettings() },
		"unknown":    func(h *h2conn) { h.WriteRawFrame(0x99, 0, 1, nil) },
		"empty heads": func(h *h2conn) {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1})
			h.WriteContinuation(1, true, nil)
		},
	} {
		h := dialH2(t, s.h2)
		h.head(1, false, usual("POST", "/hang")...)
		h.away(name, false, func(int) { more(h) })
	}
	s.grewBy(32 << 10)
}

// CVE-2019-9511, CVE-2019-9517: clients that ask for much and take nothing. The
// proxy holds a bounded part of each answer, until "timeout client" ends it.
func TestAbuseWindowStall(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	const conns, streams = 5, 100
	var all []*h2conn
	for range conns {
		h := dialH2(t, s.h2, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for i := range streams {
			h.get(id(i), "/endless")
		}
		h.w.Flush()
		all = append(all, h)
	}
	for _, h := range all {
		h.awaitAnswers()
		for i := range streams {
			if v := h.stream(id(i)); v.end == "" && h.closed == "" || v.end == "END" || len(v.body) > 0 {
				t.Errorf("stream %d: %s", id(i), v)
			}
		}
		if h.closed == "HANGS" {
			t.Error("the connection is kept for ever")
		}
		h.c.Close()
	}
	if n := s.seen.Load(); n != conns*streams {
		t.Errorf("%d requests reached the server", n)
	}
	s.grewBy(conns * streams * 2 * 16) // two buffers for each stream
}
