package stream_test

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// A status of the server's is logged as it is, whatever others use it for.
func TestStatusIsLoggedAsSent(t *testing.T) {
	logged := make(chan int, 1)
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(499) })
	b := newBed(t, stream.HTTP, []string{addr}, func(b *bed) {
		b.fe.Log = func(st *stream.Stream) { logged <- st.Status }
	})
	c := b.dial()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, _ := readResponse(t, bufio.NewReader(c), "GET"); res.StatusCode != 499 {
		t.Fatal(res.Status)
	}
	if n := <-logged; n != 499 {
		t.Errorf("logged as %d", n)
	}
}
