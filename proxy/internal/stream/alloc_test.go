package stream_test

import (
	"io"
	"net"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/stream"
)

// fixed answers every request of a connection with the same bytes and allocates
// nothing meanwhile.
func fixed(t testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := []byte(answer)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						c.Close()
						return
					}
					c.Write(out)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestNoAllocationPerRequest(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
	b := newBed(t, stream.HTTP, []string{fixed(t, answer)})
	c := b.dial()
	req := []byte("GET /x HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	want := 0
	one := func() {
		c.Write(req)
		if want == 0 {
			n, _ := c.Read(buf)
			want = n
			return
		}
		if _, err := io.ReadFull(c, buf[:want]); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		one()
	}
	if n := testing.AllocsPerRun(500, one); n >= 0.5 {
		t.Errorf("%v allocations per request", n)
	}
}
