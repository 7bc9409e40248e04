package ssl_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// BenchmarkHandshake is a handshake with both its sides, in memory: with what a
// bind line makes, and with crypto/tls alone.
func BenchmarkHandshake(b *testing.B) {
	ca := certtest.NewCA(b, "ca")
	pair := ca.Issue(b, "a.test")
	dir := b.TempDir()
	certtest.Write(b, dir, "a.pem", pair.PEM(b))
	certtest.Write(b, dir, "ca.pem", ca.CertPEM())
	line := func(options string) *tls.Config {
		snap, errs := load("frontend f\n mode http\n timeout client 1s\n bind " + dir + "/s ssl crt " + dir + "/a.pem " + options + "\n http-request return status 200\n")
		if snap == nil {
			b.Fatal(errs)
		}
		return snap.Proxies[0].Binds[0].TLS
	}
	person := ca.Issue(b, "person", certtest.Client()).TLS()
	for _, x := range []struct {
		name    string
		server  *tls.Config
		version uint16
		resume  bool
	}{
		{"crypto-tls/full", &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}, tls.VersionTLS13, false},
		{"bind/full", line(""), tls.VersionTLS13, false},
		{"bind/full TLS 1.2", line(""), tls.VersionTLS12, false},
		{"bind/mutual", line("verify required ca-file " + dir + "/ca.pem"), tls.VersionTLS13, false},
		{"crypto-tls/resumed", &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}, tls.VersionTLS13, true},
		{"bind/resumed", line(""), tls.VersionTLS13, true},
		{"bind/resumed stateful", line("no-tls-tickets"), tls.VersionTLS13, true},
	} {
		b.Run(x.name, func(b *testing.B) {
			client := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, MaxVersion: x.version, Certificates: []tls.Certificate{person}}
			if x.resume {
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				shakeHands(b, client, x.server)
			}
			b.ReportAllocs()
			for b.Loop() {
				if s := shakeHands(b, client, x.server); s.DidResume != x.resume {
					b.Fatalf("resumed: %v", s.DidResume)
				}
			}
		})
	}
}

func shakeHands(b *testing.B, client, server *tls.Config) tls.ConnectionState {
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(far, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	c := tls.Client(near, client)
	if _, err := c.Read(make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return c.ConnectionState()
}
