package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// A body that went out together with its head must not be taken for the next
// request.
func TestBodyIsUsedUp(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{origin(t, hello)})
	c := b.dial()
	br := bufio.NewReader(c)
	for i := range 3 {
		fmt.Fprintf(c, "POST /p%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i)
		res, _ := readResponse(t, br, "POST")
		if got := res.Header.Get("X-Method"); got != "POST" {
			t.Fatalf("request %d: the server saw method %q", i, got)
		}
	}
}

// A response that ends with the connection, and was cut off, must not end with a
// FIN: the client would take it for complete.
func TestCutOffResponseIsReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		c.Close()
	}()
	b := newBed(t, stream.HTTP, []string{l.Addr().String()})
	c := b.dial()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if out, err := io.ReadAll(c); err == nil {
		t.Fatalf("the response ended as if it were complete: %q", out)
	}
}

// Trailers that the end of the buffer cuts in two are awaited, wherever it does:
// there has to be room to read the rest into.
func TestTrailersAtTheEndOfTheBuffer(t *testing.T) {
	const size, trailers = 16384, "X-Sum: 3\r\n\r\n"
	// upTo gives head and a chunked body whose trailers begin at n.
	upTo := func(head string, n int) string {
		data := n - len(head) - len("3fff\r\n\r\n0\r\n")
		return fmt.Sprintf("%s%04x\r\n%s\r\n0\r\n", head, data, strings.Repeat("x", data))
	}
	addr := tcptest.Serve(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if req.Method == "POST" {
				body, _ := io.ReadAll(req.Body)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Got: %d %s\r\nContent-Length: 0\r\n\r\n", len(body), req.Trailer.Get("X-Sum"))
				continue
			}
			cut, _ := strconv.Atoi(req.URL.Path[1:])
			io.WriteString(c, upTo("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", size-cut)+trailers)
		}
	})
	b := newBed(t, stream.HTTP, []string{addr})
	c := b.dial()
	br := bufio.NewReader(c)
	for cut := range len(trailers) {
		fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", cut)
		if res, _ := readResponse(t, br, "GET"); res.Trailer.Get("X-Sum") != "3" {
			t.Fatalf("cut at %d of a response: trailers %q", cut, res.Trailer)
		}
		io.WriteString(c, upTo("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", size-cut)+trailers)
		if res, _ := readResponse(t, br, "POST"); !strings.HasSuffix(res.Header.Get("X-Got"), " 3") {
			t.Fatalf("cut at %d of a request: the server got %q", cut, res.Header.Get("X-Got"))
		}
	}
}

// Trailers for which there is no room beside the head are refused.
func TestTrailersWithoutRoom(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{origin(t, hello)})
	head := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Long: "
	out := b.raw(head + strings.Repeat("x", 15000-len(head)) + "\r\n\r\n0\r\nX-Sum: " + strings.Repeat("3", 2000) + "\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 400 ") {
		t.Fatalf("got %q", out)
	}
}
