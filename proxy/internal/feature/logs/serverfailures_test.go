package logs_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// Lines tell why TLS with servers failed as HAProxy's do.
func TestServerFailuresLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	certtest.Write(t, dir, "other.pem", certtest.NewCA(t, "other").CertPEM())
	own := ca.Issue(t, "server.test").TLS()
	origin := func(cfg *tls.Config) string {
		cfg.Certificates = []tls.Certificate{own}
		return tcptest.Serve(t, func(c net.Conn) {
			c.SetDeadline(time.Now().Add(20 * time.Second))
			tls.Server(c, cfg).Handshake()
			io.Copy(io.Discard, c) // so that an alert is not lost in a reset
		})
	}
	good := origin(&tls.Config{})
	aes256 := origin(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}})
	servers := []struct{ name, server string }{
		{"clear", tcptest.Serve(t, func(c net.Conn) { io.WriteString(c, "hello there\r\n"); io.Copy(io.Discard, c) }) + " ssl verify none"},
		{"an unknown authority", good + " ssl ca-file other.pem"},
		{"not the configured name", good + " ssl ca-file ca.pem verifyhost another.test"},
		{"not the expected name", good + " ssl ca-file ca.pem sni str(another.test)"},
		{"no shared cipher", aes256 + " ssl verify none ssl-max-ver TLSv1.2 ciphers ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"no shared version", aes256 + " ssl verify none ssl-min-ver TLSv1.3"},
		{"reset", tcptest.Serve(t, func(c net.Conn) { c.Read(make([]byte, 1)); c.(*net.TCPConn).SetLinger(0) }) + " ssl verify none"},
		{"wants a certificate", origin(&tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}) + " ssl verify none"},
		{"wants a certificate, TLS 1.3", origin(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}) + " ssl verify none\n mode http"},
	}
	var text strings.Builder
	fmt.Fprintf(&text, "global\n ca-base %s\n log-tag t\n nbthread 1\ndefaults\n timeout client 20s\n timeout connect 20s\n timeout server 20s\n retries 0\n log {log} format raw local0\n"+
		" log-format \"%%[bc_err]/%%[bc_err_str]/%%[ssl_bc_err,hex]/%%[ssl_bc_err_str]/%%[ssl_bc]/%%[ssl_bc_is_resumed] %%[fc_err]\"\n", dir)
	for i, s := range servers {
		fmt.Fprintf(&text, "listen l%d\n bind {l%d}\n server s %s\n", i, i, s.server)
	}
	text.WriteString("frontend ready\n mode http\n no log\n bind {ready}\n http-request return status 200\n")
	sides := oracle.Run(t, text.String())
	for i, s := range servers {
		var lines [2]string
		for n, side := range sides {
			side.Exchange(fmt.Sprintf("l%d", i), "GET / HTTP/1.0\r\n\r\n")
			lines[n] = strings.TrimSpace(side.Line("log"))
		}
		if lines[0] != lines[1] {
			t.Errorf("%s:\n%s, HAProxy:\n%s", s.name, lines[0], lines[1])
		}
	}
}

// What breaks a client's connection after the handshake has the number that it has
// in HAProxy; OpenSSL's reason depends on how it reads records.
func TestFaultsLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	certtest.Write(t, dir, "a.pem", certtest.SelfSigned(t, "a.test").PEM(t))
	sides := oracle.Run(t, fmt.Sprintf("global\n crt-base %s\n log-tag t\n nbthread 1\ndefaults\n mode http\n timeout client 20s\n"+
		"frontend f\n log {log} format raw local0\n log-format \"%%ST %%ts %%[fc_err]/%%[fc_err_str]/%%[ssl_fc_err,bool]/%%[ssl_fc_err_str,length,bool]\"\n bind {f} ssl crt a.pem alpn http/1.1\n http-request return status 200\n"+
		"frontend ready\n bind {ready}\n http-request return status 200\n", dir))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var lines [2]string
		for n, side := range sides {
			c, err := net.DialTimeout("tcp", side.Addr("f"), 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
			io.WriteString(s, "GET / HTTP/1.1\r\n")
			io.WriteString(c, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32)) // no record of ours
			io.Copy(io.Discard, c)
			c.Close()
			lines[n] = strings.TrimSpace(side.Line("log"))
		}
		if lines[0] != lines[1] {
			t.Errorf("%s:\n%s, HAProxy:\n%s", tls.VersionName(version), lines[0], lines[1])
		}
	}
}
