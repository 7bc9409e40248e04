package main

import (
	"bytes"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// certificate gives the site one, and the words for its bind line.
func certificate(t *testing.T, s *site) string {
	t.Helper()
	path := filepath.Join(s.dir, "cert.pem")
	if err := os.WriteFile(path, certtest.SelfSigned(t, "localhost").PEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return " ssl crt " + path
}

func dialTLS(addr string) (net.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
}

// h2Upload begins uploads over HTTP/2, of so many bytes each, that do not end.
func h2Upload(c net.Conn, size int) {
	var b, block bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.WriteSettings()
	e := hpack.NewEncoder(&block)
	for i := range uint32(20) {
		block.Reset()
		for _, h := range []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "a"}, {Name: ":path", Value: "/hole"}} {
			e.WriteField(h)
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true})
		for left := size; left > 0; left -= 15000 {
			f.WriteData(2*i+1, false, make([]byte, min(left, 15000)))
		}
	}
	c.Write(b.Bytes())
}
