package stream_test

import (
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// probed notes whether the kernel probes the client's connection.
type probed struct{ client chan bool }

func (p probed) Exec(sc *stream.Scope) stream.Verdict {
	v, _ := sc.R.Sys.GetsockoptInt(sc.Sess.Fd(), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
	p.client <- v == 1
	return stream.Continue
}

// option clitcpka is for both modes, and for the first exchange as for others.
func TestClientKeepAlive(t *testing.T) {
	for _, mode := range []stream.Mode{stream.HTTP, stream.TCP} {
		for _, on := range []bool{false, true} {
			p := probed{client: make(chan bool, 10)}
			addr := origin(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
			b := newBed(t, mode, []string{addr}, func(b *bed) {
				if on {
					b.fe.Options |= stream.ClitcpKA
				}
				b.fe.Switching = []stream.SwitchRule{{Cond: matches{p}, Target: "app"}}
			})
			c := b.dial()
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			io.Copy(io.Discard, c)
			if got := <-p.client; got != on {
				t.Errorf("mode %s, option %v: probed %v", mode, on, got)
			}
		}
	}
}

// matches makes a condition of a rule.
type matches struct{ stream.Rule }

func (m matches) Match(sc *stream.Scope) bool { return m.Exec(sc) == stream.Continue }
