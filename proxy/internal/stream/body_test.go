package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/stream"
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
