package stream_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// selfSigned is a certificate for localhost.
var selfSigned = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func secured(max uint16) bedOption {
	return func(b *bed) {
		b.tls = &tls.Config{Certificates: []tls.Certificate{selfSigned()}, DynamicRecordSizingDisabled: true, MaxVersion: max}
	}
}

func clientTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(selfSigned().Leaf)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
}

// security secures connections to a test server.
type security struct{ cfg *tls.Config }

func (s security) Config(string) *tls.Config  { return s.cfg }
func (s security) Adopt(stream.Security) bool { return false }
func (s security) Name(*stream.Scope) string  { return "localhost" }

// secureOrigin is a TLS server, and the option that makes the bed's servers use
// it.
func secureOrigin(t *testing.T, h http.HandlerFunc) (string, bedOption) {
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
	s.StartTLS()
	t.Cleanup(s.Close)
	sec := &security{clientTLS()}
	return s.Listener.Addr().String(), func(b *bed) {
		for _, srv := range b.be.BE.Servers() {
			set := *srv.Settings()
			stream.Uplinks.Edit(&set).TLS = sec
			srv.Replace(time.Now(), &set)
		}
	}
}

var _ stream.Security = (*security)(nil)

func TestTLSBothSides(t *testing.T) {
	for _, max := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{0, 200, 20_000, 3 << 20} {
			t.Run(fmt.Sprintf("%s/%d", tls.VersionName(max), size), func(t *testing.T) {
				body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				o, opt := secureOrigin(t, func(w http.ResponseWriter, r *http.Request) {
					got, _ := io.ReadAll(r.Body)
					w.Write(got)
				})
				b := newBed(t, stream.HTTP, []string{o}, opt, secured(max))
				cfg := clientTLS()
				for range 2 { // the second connection resumes
					c := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
					for range 3 {
						res, err := c.Post("https://"+b.addr+"/", "text/plain", bytes.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						got, err := io.ReadAll(res.Body)
						res.Body.Close()
						if err != nil || !bytes.Equal(got, body) {
							t.Fatalf("%d bytes, want %d: %v", len(got), len(body), err)
						}
					}
					c.CloseIdleConnections()
				}
				n := &b.w.Counters[0]
				if n.TLSFront.Load() != 2 || n.TLSFrontReused.Load() != 1 {
					t.Errorf("%d handshakes, %d resumed", n.TLSFront.Load(), n.TLSFrontReused.Load())
				}
				if n.TLSBack.Load() != 2 { // http-reuse safe: one for each client
					t.Errorf("%d handshakes with the server, want 2", n.TLSBack.Load())
				}
			})
		}
	}
}

// A client may be slow between any two bytes of its handshake and its request.
func TestTLSInFragments(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	b := newBed(t, stream.HTTP, []string{o}, secured(0))
	raw, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := tls.Client(&fragments{Conn: raw}, clientTLS())
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
	got, err := io.ReadAll(c)
	if err != nil || !bytes.HasSuffix(got, []byte("\r\n\r\nhello")) {
		t.Errorf("%q %v", got, err)
	}
}

// fragments sends everything in pieces of 7 bytes.
type fragments struct{ net.Conn }

func (f *fragments) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i += 7 {
		if _, err := f.Conn.Write(p[i:min(i+7, len(p))]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// A client that asks for key updates and reads nothing must not stop the
// reactor.
func TestTLSPlainClient(t *testing.T) {
	b := newBed(t, stream.HTTP, nil, secured(0))
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nhost: h\r\n\r\n")
	io.ReadAll(c)
	if n := b.w.Counters[0].TLSFrontFailed.Load(); n != 1 {
		t.Errorf("%d failed handshakes", n)
	}
}

func TestTLSTunnel(t *testing.T) {
	echo := tcptest.Serve(t, func(c net.Conn) { io.Copy(c, c) })
	b := newBed(t, stream.TCP, []string{echo}, secured(0))
	c, err := tls.Dial("tcp", b.addr, clientTLS())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	data := bytes.Repeat([]byte("tunnel data "), 200_000)
	go func() {
		c.Write(data)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes: %v", len(got), len(data), err)
	}
}

// A client that says goodbye and keeps the connection is let go at once.
func TestTLSGoodbye(t *testing.T) {
	b := newBed(t, stream.HTTP, nil, secured(0))
	for range 20 {
		raw, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, clientTLS())
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		raw.SetReadDeadline(time.Now().Add(10 * time.Second)) // the client's timeout is 20 s
		if _, err := io.Copy(io.Discard, raw); err != nil {
			t.Fatal(err)
		}
		raw.Close()
	}
}
