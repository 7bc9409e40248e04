package proxyproto_test

import (
	"net"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
)

// TestAllocations: a header of the PROXY protocol makes a connection cost one
// allocation more, besides its fields.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	const text = "frontend f\n mode http\n timeout client 20s\n bind {bind} %\n http-request return status 200\n"
	cost := func(options, header string) float64 {
		b := newFront(t, strings.ReplaceAll(text, "%", options))
		buf := make([]byte, 4096)
		one := func() {
			c, err := net.Dial("tcp", b.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.(*net.TCPConn).SetLinger(0)
			c.Write([]byte(header + request))
			if n, err := c.Read(buf); n == 0 {
				t.Fatal(err)
			}
			c.Close()
		}
		for range 20 {
			one()
		}
		return testing.AllocsPerRun(200, one)
	}
	without := cost("", "")
	for what, header := range map[string]string{
		"version 1":       "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n",
		"version 1, IPv6": "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
		"version 2":       header(0x21, 0x11, v4),
	} {
		if n := cost("accept-proxy", header) - without; n > 1.5 {
			t.Errorf("%s: %v allocations more than without a header", what, n)
		}
	}
}
