package stream_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestConnectionModesAsHAProxy: what the server is told of its connection, and the
// client of its own, under each mode of either side.
func TestConnectionModesAsHAProxy(t *testing.T) {
	modes := []string{"option http-keep-alive", "option http-server-close", "option httpclose"}
	pretend := []string{"no option http-pretend-keepalive", "option http-pretend-keepalive"}
	text := oracle.Head + "frontend ready\n bind {ready}\n"
	var names []string
	for f, fm := range modes {
		for b, bm := range modes {
			for p, pm := range pretend {
				n := fmt.Sprintf("f%d%d%d", f, b, p)
				names = append(names, n)
				text += fmt.Sprintf("frontend %s\n bind {%s}\n %s\n default_backend b%s\nbackend b%s\n %s\n %s\n server o {origin}\n", n, n, fm, n, n, bm, pm)
			}
		}
	}
	sides := oracle.Run(t, text)
	for _, n := range names {
		for _, req := range []string{
			"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
		} {
			ours, theirs := sides[0].Exchange(n, req), sides[1].Exchange(n, req)
			if ours != theirs {
				t.Errorf("%s %q\nforebay: %q\nhaproxy: %q", n, req, ours, theirs)
			}
			if strings.Count(ours, "HTTP/1.1 200") == 0 {
				t.Errorf("%s %q: %q", n, req, ours)
			}
		}
	}
}
