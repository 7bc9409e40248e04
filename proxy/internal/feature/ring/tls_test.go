package ring_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// A server may be reached over TLS, and is verified as other servers are.
func TestForwardOverTLS(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	certtest.Write(t, dir, "ca.pem", ca.CertPEM())
	site := ca.Issue(t, "log.test", certtest.Names("log.test")).TLS()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{site}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	lines, names := make(chan string, 10), make(chan string, 10)
	failed := make(chan error, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if err := c.(*tls.Conn).Handshake(); err != nil {
					failed <- err
					return
				}
				names <- c.(*tls.Conn).ConnectionState().ServerName
				for b := bufio.NewReader(c); ; {
					line, err := b.ReadString('\n')
					if err != nil {
						failed <- err
						return
					}
					lines <- line
				}
			}()
		}
	}()
	addr := tcptest.Reserve(t).String()
	text := func(name string) string {
		return fmt.Sprintf("ring r1\n timeout connect 5s\n timeout server 5s\n server s %s ssl ca-file %s/ca.pem verify required sni str(%s) verifyhost %s\n", l.Addr(), dir, name, name) +
			fmt.Sprintf(front, addr)
	}
	w := bed.Start(t, 1, text("log.test"))
	get(t, addr, "/1")
	if got, name := <-lines, <-names; got != "got GET /1 HTTP/1.1\n" || name != "log.test" {
		t.Errorf("%q to %q", got, name)
	}
	bed.Apply(t, w, text("other.test"))
	<-failed // the old connection has ended
	<-failed // the new one is refused by the proxy
	get(t, addr, "/2")
	select {
	case got := <-lines:
		t.Errorf("%q went to a server with another name", got)
	default:
	}
	bed.Apply(t, w, text("log.test"))
	if got := <-lines; got != "got GET /2 HTTP/1.1\n" {
		t.Errorf("%q, want what was not sent yet", got)
	}
}
