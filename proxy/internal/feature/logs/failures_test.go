package logs_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// failing are clients whose handshakes fail, by the bind line that they go to.
func failing(t *testing.T, ca, other *certtest.Pair) []struct {
	name, bind string
	do         func(net.Conn)
} {
	handshake := func(cfg *tls.Config) func(net.Conn) {
		cfg.InsecureSkipVerify = cfg.RootCAs == nil
		return func(c net.Conn) {
			if s := tls.Client(c, cfg); s.Handshake() == nil {
				io.Copy(io.Discard, s) // the server's verdict comes after it
			}
		}
	}
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			io.WriteString(c, text)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
		}
	}
	self, lost := certtest.SelfSigned(t, "self").TLS(), other.Issue(t, "lost").TLS()
	return []struct {
		name, bind string
		do         func(net.Conn)
	}{
		{"no shared cipher", "ecdsa", handshake(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})},
		{"an old version", "new", handshake(&tls.Config{MaxVersion: tls.VersionTLS12})},
		{"a new version", "old", handshake(&tls.Config{MinVersion: tls.VersionTLS13})},
		{"HTTP", "ecdsa", say("GET / HTTP/1.1\r\n\r\n")},
		{"a proxy's client", "ecdsa", say("CONNECT a:443 HTTP/1.1\r\n\r\n")},
		{"something else", "ecdsa", say("hello there\r\n")},
		{"nothing", "ecdsa", say("")},
		{"half a hello", "ecdsa", say("\x16\x03\x01\x02\x00\x01\x00")},
		{"no certificate", "mutual", handshake(&tls.Config{MaxVersion: tls.VersionTLS12})},
		{"no certificate, TLS 1.3", "mutual", handshake(&tls.Config{MinVersion: tls.VersionTLS13})},
		{"a self-signed certificate", "mutual", handshake(&tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{self}})},
		{"a certificate of another authority", "mutual", handshake(&tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &lost, nil }})},
		{"an unknown authority", "ecdsa", handshake(&tls.Config{ServerName: "a.test", RootCAs: other.Pool()})},
		{"an unknown name", "strict", handshake(&tls.Config{ServerName: "nobody.test"})},
		{"too slow", "ecdsa", func(c net.Conn) { io.Copy(io.Discard, c) }},
		{"too slow with half a hello", "ecdsa", func(c net.Conn) { io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00"); io.Copy(io.Discard, c) }},
	}
}

var varying = regexp.MustCompile(`127\.0\.0\.1:\d+ \[[^]]*\]`)

// Failed handshakes make the lines that they make in HAProxy. HAProxy 2.6 does not
// write OpenSSL's reason in its short lines yet; an error-log-format tells it.
func TestFailuresLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	ca, other := certtest.NewCA(t, "ca"), certtest.NewCA(t, "other")
	certtest.Write(t, dir, "a.pem", ca.Issue(t, "a.test").PEM(t))
	certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	text := fmt.Sprintf("global\n crt-base %[1]s\n ca-base %[1]s\n log-tag t\n nbthread 1\ndefaults\n mode http\n timeout client 500ms\n", dir)
	formats := []string{
		"option httplog",
		"option httplog\n option log-separate-errors\n option dontlognull",
		"option httpslog\n error-log-format \"%ft %b/%s %ts %tsc %ST %B %U %TR/%Tw/%Tc/%Tr %rc %sq/%bq %[fc_err]/%[fc_err_str]/%[ssl_fc_err,hex]/%[ssl_fc_err_str]/%[ssl_c_verify]/%[ssl_fc_is_resumed] %{+Q}r %hr %ac/%fc/%bc/%sc\"",
	}
	for i, f := range formats {
		text += fmt.Sprintf("frontend f%[1]d\n log {log%[1]d} format raw local0\n %[2]s\n bind {ecdsa%[1]d} ssl crt a.pem\n bind {new%[1]d} name newest ssl crt a.pem ssl-min-ver TLSv1.3\n bind {old%[1]d} ssl crt a.pem ssl-max-ver TLSv1.2\n"+
			" bind {mutual%[1]d} ssl crt a.pem ca-file ca.pem verify required\n bind {strict%[1]d} ssl crt a.pem strict-sni\n http-request return status 200\n", i, f)
	}
	text += "frontend ready\n bind {ready}\n http-request return status 200\n"
	sides := oracle.Run(t, text)
	for i, f := range formats {
		for _, k := range failing(t, ca, other) {
			quiet := strings.Contains(f, "dontlognull") && (k.name == "nothing" || strings.HasPrefix(k.name, "half") || strings.HasPrefix(k.name, "too slow"))
			var lines [2]string
			for n, side := range sides {
				c, err := net.DialTimeout("tcp", side.Addr(fmt.Sprintf("%s%d", k.bind, i)), 20*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(20 * time.Second))
				k.do(c)
				c.Close()
				if !quiet { // what is logged although it should not shows in the next line
					lines[n] = strings.TrimSpace(varying.ReplaceAllString(side.Line(fmt.Sprintf("log%d", i)), "CLIENT"))
				}
			}
			if i < 2 {
				lines[0], _, _ = strings.Cut(lines[0], " (error:")
			}
			if lines[0] != lines[1] {
				t.Errorf("%s, %s:\n%s, HAProxy:\n%s", f, k.name, lines[0], lines[1])
			}
		}
	}
}
