package check

import (
	"crypto/tls"
	"encoding/hex"
	"net"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// What is sent is as long as HAProxy's, and differs only in what could be random.
func TestClientHello(t *testing.T) {
	want := "16030000790100007503000000000000000000000000000000000000000000000000000000000000000000" +
		"00004e000100020003000400050006000700080009000a000b000c000d000e000f0010001100120013001400150016001700180019001a001b" +
		"002f0030003100320033003400350036003700380039003a0100"
	got := append([]byte(nil), clientHello...)
	clear(got[11 : 11+32])
	if hex.EncodeToString(got) != want {
		t.Errorf("%x", got)
	}
}

// A server of today answers.
func TestHelloToTLS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg := &tls.Config{Certificates: []tls.Certificate{certtest.SelfSigned(t, "a.test").TLS()}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { tls.Server(c, cfg).Handshake(); c.Close() }()
		}
	}()
	start(t, defaults+" option log-health-checks\n option ssl-hello-chk\nbackend today\n server a "+l.Addr().String()+" check\n")
	checkLines(t, await(t, "today", 1), []string{"notice Health check for server today/a succeeded, reason: Layer6 check passed, check duration: Nms, status: 2/2 UP."})
}
