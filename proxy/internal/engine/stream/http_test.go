package stream_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

func TestKeepAliveAndPipelining(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{origin(t, hello)})
	c := b.dial()
	br := bufio.NewReader(c)
	for i := range 5 {
		fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		if _, body := readResponse(t, br, "GET"); body != fmt.Sprintf("hello /%d ", i) {
			t.Errorf("body %q", body)
		}
	}
	var all strings.Builder
	for i := range 40 {
		fmt.Fprintf(&all, "POST /p%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i)
	}
	io.WriteString(c, all.String())
	for i := range 40 {
		if _, body := readResponse(t, br, "POST"); body != fmt.Sprintf("hello /p%d ABC", i) {
			t.Errorf("body %q", body)
		}
	}
	if n := b.be.BE.Servers()[0].Counters.Sum(func(c *server.Counters) *counter.Int { return &c.Sessions }); n != 45 {
		t.Errorf("the server counted %d streams, want 45", n)
	}
}

func TestBodies(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/big":
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			w.Write(big)
		case "/chunked":
			for i := 0; i < len(big); i += 100_000 {
				w.Write(big[i:min(i+100_000, len(big))])
				w.(http.Flusher).Flush()
			}
		case "/echo":
			w.Write(body)
		case "/none":
			w.WriteHeader(204)
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			w.Write([]byte("abc"))
			w.Header().Set("X-Sum", "3")
		}
	})
	b := newBed(t, stream.HTTP, []string{addr})
	client := &http.Client{}
	for _, path := range []string{"/big", "/chunked"} {
		for range 3 {
			res, err := client.Get("http://" + b.addr + path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(got, big) {
				t.Errorf("%s: %d bytes, %v", path, len(got), err)
			}
		}
	}
	for _, size := range []int{0, 1, 1000, 16000, 70_000, len(big)} {
		for _, known := range []bool{true, false} {
			var body io.Reader = bytes.NewReader(big[:size])
			if !known {
				body = io.MultiReader(body)
			}
			res, err := client.Post("http://"+b.addr+"/echo", "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(got, big[:size]) {
				t.Errorf("echo of %d (length known %v): %d bytes, %v", size, known, len(got), err)
			}
		}
	}
	res, err := client.Get("http://" + b.addr + "/none")
	if err != nil || res.StatusCode != 204 {
		t.Errorf("204: %v %v", res, err)
	}
	res, err = client.Get("http://" + b.addr + "/trailer")
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(res.Body)
	if res.Trailer.Get("X-Sum") != "3" {
		t.Errorf("trailer %v", res.Trailer)
	}
	res, err = client.Head("http://" + b.addr + "/big")
	if err != nil || res.ContentLength != int64(len(big)) {
		t.Errorf("HEAD: %v, %v", res, err)
	}
}

func TestErrors(t *testing.T) {
	dead := tcptest.Reserve(t)
	closer, _ := net.Listen("tcp", "127.0.0.1:0")
	t.Cleanup(func() { closer.Close() })
	go func() {
		for {
			c, err := closer.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 1000)
			n, _ := c.Read(buf)
			switch {
			case bytes.Contains(buf[:n], []byte("/garbage")):
				io.WriteString(c, "SSH-2.0 hello\r\n")
			case bytes.Contains(buf[:n], []byte("/half")):
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			case bytes.Contains(buf[:n], []byte("/slow")):
				c.Read(buf)
			}
			c.Close()
		}
	}()
	times := func(b *bed) {
		b.be.Timeouts.Server = 100 * time.Millisecond
		b.be.Retries = 0
	}
	t.Run("refused", func(t *testing.T) {
		b := newBed(t, stream.HTTP, []string{dead.String()}, times)
		if got := b.raw("GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\n") {
			t.Errorf("%q", got)
		}
	})
	t.Run("no server", func(t *testing.T) {
		b := newBed(t, stream.HTTP, nil, times)
		if got := b.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "connection: close") {
			t.Errorf("%q", got)
		}
	})
	b := newBed(t, stream.HTTP, []string{closer.Addr().String()}, times)
	for _, c := range []struct{ path, want string }{
		{"/garbage", "HTTP/1.1 502 "},
		{"/close", "HTTP/1.1 502 "},
		{"/slow", "HTTP/1.1 504 "},
		{"/half", "HTTP/1.1 200 "},
	} {
		if got := b.raw("GET " + c.path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %s", c.path, got, c.want)
		}
	}
	for _, bad := range []string{
		"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
		"GET /\r\n\r\nGET / HTTP/1.1\r\n\r\n\x00",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"\x16\x03\x01\x00",
	} {
		if got := b.raw(bad); !strings.HasPrefix(got, "HTTP/1.1 400 Bad request\r\n") {
			t.Errorf("%q: %q", bad, got)
		}
	}
	if got := b.raw("GET /" + strings.Repeat("x", 20000) + " HTTP/1.1\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 4") {
		t.Errorf("long: %q", got)
	}
}

func TestUpgradeTunnel(t *testing.T) {
	addr := tcptest.Serve(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		req, err := http.ReadRequest(br)
		if err != nil || req.Header.Get("Upgrade") != "echo" {
			io.WriteString(c, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c, br)
	})
	b := newBed(t, stream.HTTP, []string{addr})
	c := b.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%v %v", res, err)
	}
	for i := range 10 {
		msg := fmt.Sprintf("message %d\n", i)
		io.WriteString(c, msg)
		if line, err := br.ReadString('\n'); line != msg {
			t.Fatalf("%q, %v", line, err)
		}
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

// "http-reuse aggressive" takes a connection that was used again for a client's
// first request, also when one that was not is newer.
func TestReuseAggressive(t *testing.T) {
	var gates sync.Map // of the requests that wait, by path
	arrived := make(chan string, 3)
	b := newBed(t, stream.HTTP, []string{origin(t, func(w http.ResponseWriter, r *http.Request) {
		if g, waits := gates.Load(r.URL.Path); waits {
			arrived <- r.RemoteAddr
			<-g.(chan struct{})
		}
		io.WriteString(w, r.RemoteAddr)
	})}, func(b *bed) { b.be.Reuse = stream.ReuseAggressive })
	type client struct {
		c net.Conn
		r *bufio.Reader
	}
	begin := func() client { c := b.dial(); return client{c, bufio.NewReader(c)} }
	ask := func(c client, path string) { fmt.Fprintf(c.c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path) }
	answer := func(c client) string { _, body := readResponse(t, c.r, "GET"); return body }
	gate := func(path string) chan struct{} { g := make(chan struct{}); gates.Store(path, g); return g }

	one := begin()
	ask(one, "/")
	proven := answer(one)
	if ask(one, "/"); answer(one) != proven {
		t.Fatal("a second request goes over another connection")
	}
	// A connection beside it, which becomes idle later.
	first, second := gate("/1"), gate("/2")
	ask(one, "/1")
	if a := <-arrived; a != proven {
		t.Fatal("a later request goes over another connection")
	}
	two := begin()
	ask(two, "/2")
	<-arrived
	close(first)
	answer(one)
	close(second)
	if a := answer(two); a == proven {
		t.Fatal("two requests at a time on one connection")
	}
	for range 3 {
		c := begin()
		if ask(c, "/"); answer(c) != proven {
			t.Error("a first request goes over a new connection")
		}
	}
}

func TestQueue(t *testing.T) {
	release := make(chan bool)
	entered := make(chan bool, 100)
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-release
		hello(w, r)
	})
	b := newBedOn(t, 2, stream.HTTP, []string{addr})
	srv := b.be.BE.Servers()[0]
	set := *srv.Settings()
	set.MaxConn = 1
	srv.Replace(time.Now(), &set)
	got := make(chan string, 20)
	for range 20 {
		go func() {
			res, err := http.Get("http://" + b.addr + "/q")
			if err != nil {
				got <- err.Error()
				return
			}
			body, _ := io.ReadAll(res.Body)
			got <- string(body)
		}()
	}
	for range 20 {
		<-entered
		if n := srv.Cur.Load(); n != 1 {
			t.Errorf("%d streams at a server of maxconn 1", n)
		}
		release <- true
	}
	for range 20 {
		if s := <-got; s != "hello /q " {
			t.Error(s)
		}
	}
	if b.be.BE.Queue.Max.Load() == 0 {
		t.Error("nobody ever waited")
	}
}

func TestTCP(t *testing.T) {
	echo := tcptest.Serve(t, func(c net.Conn) { io.Copy(c, c) })
	b := newBed(t, stream.TCP, []string{echo})
	for _, size := range []int{1, 1000, 100_000, 5_000_000} {
		c := b.dial()
		data := bytes.Repeat([]byte("x"), size)
		go func() { c.Write(data); c.CloseWrite() }()
		got, err := io.ReadAll(c)
		if err != nil || len(got) != size {
			t.Errorf("%d of %d bytes, %v", len(got), size, err)
		}
	}
}

func TestClientAbortWhileUploading(t *testing.T) {
	seen := make(chan error, 1)
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		seen <- err
	})
	b := newBed(t, stream.HTTP, []string{addr})
	c := b.dial()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
	c.Close()
	if err := <-seen; err == nil {
		t.Error("the server took half a body for a whole one")
	}
}
