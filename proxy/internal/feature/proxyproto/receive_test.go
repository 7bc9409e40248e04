package proxyproto_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// front is a worker whose frontend tells why connections failed.
type front struct {
	w      *stream.Worker
	addr   string
	failed chan error
}

func newFront(t *testing.T, text string) *front {
	t.Helper()
	b := &front{addr: tcptest.Reserve(t).String(), failed: make(chan error, 100)}
	s := bed.MustLoad(t, 1, strings.ReplaceAll(text, "{bind}", b.addr))
	for _, p := range s.Frontends {
		p.LogFail = func(_ *stream.Session, err error) { b.failed <- err }
	}
	b.w = bed.StartSnapshot(t, s)
	return b
}

// talk sends parts one after the other, each when the one before was taken, and
// gives what comes back until the end.
func (b *front) talk(t *testing.T, half bool, parts ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	for _, p := range parts {
		if _, err := c.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
		taken(t, c.(*net.TCPConn))
	}
	if half {
		c.(*net.TCPConn).CloseWrite()
	}
	got, _ := io.ReadAll(c)
	return string(got)
}

// taken waits until the peer's kernel has all that was sent.
func taken(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for left := 1; left > 0; {
		raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

const slow = `
defaults
  timeout client 20s
  timeout client-hs %
`

// TestFailures: why connections fail, by the manual's names.
func TestFailures(t *testing.T) {
	const proxy, cip = "accept-proxy", "accept-netscaler-cip 1234"
	for _, c := range []struct {
		what, options, want string
		half                bool
		parts               []string
	}{
		{"nothing", proxy, "PRX_TIMEOUT", false, nil},
		{"a part", proxy, "PRX_TIMEOUT", false, []string{"PROXY TCP4 1.2"}},
		{"the end", proxy, "PRX_EMPTY", true, nil},
		{"a part and the end", proxy, "PRX_TRUNCATED", true, []string{"PROXY TCP4 1.2"}},
		{"a part of version 2 and the end", proxy, "PRX_TRUNCATED", true, []string{header(0x21, 0x11, v4)[:20]}},
		{"a request", proxy, "PRX_NOT_HDR", true, []string{request}},
		{"a bad header", proxy, "PRX_BAD_HDR", true, []string{"PROXY TCP4 1.2.3.4 x 1 2\r\n"}},
		{"another protocol", proxy, "PRX_BAD_PROTO", true, []string{"PROXY SCTP 1.2.3.4 x 1 2\r\n"}},
		{"nothing", cip, "CIP_TIMEOUT", false, nil},
		{"a part", cip, "CIP_TIMEOUT", false, []string{"\x00\x00\x04"}},
		{"the end", cip, "CIP_EMPTY", true, nil},
		{"a part and the end", cip, "CIP_TRUNCATED", true, []string{"\x00\x00\x04"}},
		{"another number", cip, "CIP_BAD_MAGIC", true, []string{"\x00\x00\x04\xd1"}},
		{"another protocol", cip, "CIP_BAD_PROTO", true, []string{"\x00\x00\x04\xd2\x00\x00\x00\x28\x30\x00\x00\x00"}},
		{"nothing", proxy + " " + cip, "CIP_TIMEOUT", false, nil},
	} {
		for _, mode := range []string{"http", "tcp"} {
			timeout := "20s"
			if strings.HasSuffix(c.want, "TIMEOUT") {
				timeout = "50ms"
			}
			b := newFront(t, strings.ReplaceAll(slow, "%", timeout)+"frontend f\n mode "+mode+"\n bind {bind} "+c.options+"\n")
			if got := b.talk(t, c.half, c.parts...); got != "" {
				t.Errorf("%s, %s, %s: answered %q", c.options, mode, c.what, got)
			}
			err := <-b.failed
			var e *stream.ConnError
			if !errors.As(err, &e) || e.Name != c.want {
				t.Errorf("%s, %s, %s: %v, want %s", c.options, mode, c.what, err, c.want)
			}
			w := b.w
			w.OnAll(func(*reactor.Reactor) {}) // what came before it is done
			if w.Curr.Load() != 0 || w.Snapshot().Frontends["f"].FE.Counters[0].Sessions.Load() != 0 {
				t.Errorf("%s, %s, %s: counted as a session, or still there", c.options, mode, c.what)
			}
		}
	}
}

// TestPieces sends headers byte by byte, and the request later.
func TestPieces(t *testing.T) {
	b := newFront(t, strings.ReplaceAll(slow, "%", "20s")+`
frontend f
  mode http
  bind {bind} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[fc_pp_tlv(0xe0)] %[fc_pp_tlv(SSL_CN)] %[fc_pp_tlv(0xe0),hex]"
`)
	for _, c := range []struct{ header, want string }{
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n", "1.2.3.4   "},
		{"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1   "},
		{header(0x21, 0x11, v4, tlv(0xe0, "one"), tlv(0x20, "\x07\x00\x00\x00\x00"+tlv(0x22, "me")), tlv(0xe0, "two")), "1.2.3.4 one me 6F6E65"},
	} {
		got := b.talk(t, false, append(strings.Split(c.header, ""), request)...)
		if _, body, _ := strings.Cut(got, "\r\n\r\n"); body != c.want {
			t.Errorf("%q: %q, want %q", c.header, body, c.want)
		}
	}
}

// TestRules: rejected connections are counted, and are no sessions.
func TestRules(t *testing.T) {
	b := newFront(t, strings.ReplaceAll(slow, "%", "20s")+`
frontend f
  mode http
  bind {bind}
  tcp-request connection reject if { src 127.0.0.1 }
  tcp-request connection accept
`)
	for range 3 {
		if c, err := net.Dial("tcp", b.addr); err == nil {
			c.SetDeadline(time.Now().Add(20 * time.Second))
			if n, err := c.Read(make([]byte, 1)); n != 0 || errors.Is(err, io.EOF) {
				t.Errorf("%d, %v: not reset", n, err)
			}
			c.Close()
		}
	}
	b.w.OnAll(func(*reactor.Reactor) {})
	n := &b.w.Snapshot().Frontends["f"].FE.Counters[0]
	if n.Conns.Load() != 3 || n.DeniedConn.Load() != 3 || n.Sessions.Load() != 0 {
		t.Errorf("%d connections, %d denied, %d sessions", n.Conns.Load(), n.DeniedConn.Load(), n.Sessions.Load())
	}
}
