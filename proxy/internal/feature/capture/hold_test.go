package capture_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// hold is a server whose answers the test gives.
type hold struct {
	t       *testing.T
	addr    string
	asked   chan struct{}
	answers chan string
}

func newHold(t *testing.T) *hold {
	h := &hold{t: t, asked: make(chan struct{}), answers: make(chan string)}
	h.addr = tcptest.Serve(t, func(c net.Conn) {
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		h.asked <- struct{}{}
		io.WriteString(c, <-h.answers)
	})
	return h
}

// ask sends a request and returns when the server has it. What it gives waits for the
// answer.
func (h *hold) ask(addr, request string) (await func()) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	io.WriteString(c, request)
	<-h.asked
	return func() {
		io.Copy(io.Discard, c)
		c.Close()
	}
}

func (h *hold) answer(text string) { h.answers <- text }
