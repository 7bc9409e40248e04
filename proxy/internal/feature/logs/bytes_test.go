package logs_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// The fetches of bytes say what the client and the server have seen, each on its
// side and in its direction; in rules what there was until then.
func TestBytesOnBothSides(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-long: 1234567890\r\n\r\nanswer"
	heard := make(chan int, 1)
	server := tcptest.Serve(t, func(c net.Conn) {
		defer c.Close()
		n := &counted{r: c}
		q, err := http.ReadRequest(bufio.NewReader(n))
		if err != nil {
			return
		}
		io.Copy(io.Discard, q.Body)
		heard <- n.n
		io.WriteString(c, answer)
	})
	s := oracle.RunOne(t, "forebay", oracle.Head+`
listen f
  bind {f}
  log {log} format raw local0
  log-format "%[req.bytes_in] %[req.bytes_out] %[res.bytes_in] %[res.bytes_out] %[bytes_in] %[bytes_out] %[var(txn.q)] %[var(txn.a)] %U %B"
  http-request set-var(txn.q) req.bytes_out
  http-request set-header x-more 0123456789
  http-response set-var(txn.a) res.bytes_out
  http-response del-header x-long
  server s `+server+"\n")
	const ask = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody"
	got := s.Exchange("f", ask)
	want := fmt.Sprintf("%d %d %d %d %d %d 0 0 %d %d", len(ask), <-heard, len(answer), len(got), len(ask), len(answer), len(ask), len(answer))
	if line := s.Line("log"); !strings.HasSuffix(strings.TrimSpace(line), want) {
		t.Errorf("%q, want %q", line, want)
	}
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
