package proxyproto_test

import (
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// withoutPorts blanks the ports of a header of version 2 over IPv4: they differ
// from program to program.
func withoutPorts(h string) string {
	if len(h) < 28 || h[13] != 0x11 {
		return h
	}
	return h[:24] + "PORT" + h[28:]
}

// TestSendTLSAsHAProxy compares what servers are told of a client's TLS.
func TestSendTLSAsHAProxy(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "an authority")
	caFile := certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	client := ca.Issue(t, "a client", certtest.Client())
	stranger := certtest.SelfSigned(t, "a stranger", certtest.Client())
	to := newSink(t)
	text := head
	certs := map[string]*certtest.Pair{
		"rsa": ca.Issue(t, "rsa.example", certtest.RSA(2048)),
		"ec":  ca.Issue(t, "ec.example", certtest.ECDSA(elliptic.P384())),
	}
	for name, c := range certs {
		file := certtest.Write(t, dir, name+".pem", c.PEM(t))
		text += fmt.Sprintf(`
frontend %s
  bind {%s} ssl crt %s ca-file %s verify optional crt-ignore-err all ca-ignore-err all alpn http/1.1 ssl-min-ver TLSv1.2
  unique-id-format an-id
  default_backend %s-b
backend %s-b
  server s %s send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,unique-id
`, name, name, file, caFile, name, name, to.addr)
	}
	text += fmt.Sprintf(`
frontend first
  bind {first} accept-proxy ssl crt %s/ec.pem
  default_backend first-b
backend first-b
  server s %s send-proxy-v2-ssl
`, dir, to.addr)
	sides := oracle.Run(t, text)
	for name := range certs {
		for _, c := range []struct {
			what string
			cfg  *tls.Config
		}{
			{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}},
			{"TLS 1.2, certificate", &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{client.TLS()}}},
			{"TLS 1.2, unknown certificate", &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{stranger.TLS()}}},
			{"TLS 1.2, name, protocol", &tls.Config{MaxVersion: tls.VersionTLS12, ServerName: "foo.example", NextProtos: []string{"http/1.1"}}},
		} {
			// One cipher, since the two programs choose differently.
			c.cfg.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			c.cfg.InsecureSkipVerify = true // whoever it is
			var got [2]string
			for i, s := range sides {
				got[i] = withoutPorts(secure(t, s.Addr(name), "", c.cfg, to))
			}
			if got[0] != got[1] {
				t.Errorf("%s, %s:\nforebay %q\nhaproxy %q", name, c.what, got[0], got[1])
			}
		}
		// Which cipher of TLS 1.3 is chosen is each program's own affair.
		cfg := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, Certificates: []tls.Certificate{client.TLS()}}
		for _, s := range sides {
			got := secure(t, s.Addr(name), "", cfg, to)
			for _, want := range []string{"TLSv1.3", "a client", "TLS_AES_", "an-id"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s, %s, TLS 1.3: %q lacks %q", s.Name, name, got, want)
				}
			}
		}
	}
	// The header of the proxy in front comes before TLS.
	for _, s := range sides {
		got := secure(t, s.Addr("first"), "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n", &tls.Config{InsecureSkipVerify: true}, to)
		if !strings.Contains(got, v4) || !strings.Contains(got, "TLSv1.3") {
			t.Errorf("%s: %q", s.Name, got)
		}
	}
}

// secure makes a request under TLS after some bytes in clear, and gives what the
// server's connection began with.
func secure(t *testing.T, addr, first string, cfg *tls.Config, to *sink) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write([]byte(first)); err != nil {
		t.Fatal(err)
	}
	s := tls.Client(c, cfg)
	if _, err := s.Write([]byte(request)); err != nil {
		t.Fatalf("%s: %v", addr, err)
	}
	return to.next(t)
}
