package tlserr

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// verdict is an error of a verification.
type verdict struct{ depth int }

func (v *verdict) Error() string                   { return "no" }
func (v *verdict) Verdict() (code, depth int)      { return 20, v.depth }
func (v *verdict) check(tls.ConnectionState) error { return v }
func bytesOf(s string) func(net.Conn)              { return func(c net.Conn) { io.WriteString(c, s) } }
func client(cfg *tls.Config) func(net.Conn) {
	return func(c net.Conn) { tls.Client(c, cfg).Handshake() }
}
func text(c Code) string                            { return string(c.Append(nil)) }
func insecure(f func(c *tls.Config)) func(net.Conn) { return client(config(f)) }

func config(f func(c *tls.Config)) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true}
	f(c)
	return c
}

// pair gives the two ends of a connection.
func pair(t *testing.T) (a, b net.Conn) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if b, err = net.Dial("tcp4", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if a, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// Errors that crypto/tls really gives have the reasons that OpenSSL gives for
// the same clients.
func TestHandshakes(t *testing.T) {
	ca := certtest.NewCA(t, "ca")
	own := ca.Issue(t, "a.example").TLS()
	for _, k := range []struct {
		name   string
		server *tls.Config
		client func(net.Conn)
		id     int
		want   string
	}{
		{"no shared cipher", config(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}), insecure(func(c *tls.Config) { c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384} }), 34, "error:0A0000C1:SSL routines::no shared cipher"},
		{"an old version", config(func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }),
			insecure(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), 34, "error:0A000102:SSL routines::unsupported protocol"},
		{"HTTP", config(func(*tls.Config) {}), bytesOf("GET / HTTP/1.1\r\n\r\n"), 34, "error:0A00009C:SSL routines::http request"},
		{"CONNECT", config(func(*tls.Config) {}), bytesOf("CONNECT a:443 HTTP/1.1\r\n\r\n"), 34, "error:0A00009B:SSL routines::https proxy request"},
		{"something else", config(func(*tls.Config) {}), bytesOf("hello there\r\n"), 34, "error:0A00010B:SSL routines::wrong version number"},
		{"no certificate", config(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }),
			insecure(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), 34, "error:0A0000C7:SSL routines::peer did not return a certificate"},
		{"an unknown authority", config(func(*tls.Config) {}), client(&tls.Config{ServerName: "a.example", RootCAs: certtest.NewCA(t, "other").Pool()}),
			34, "error:0A000412:SSL routines::sslv3 alert bad certificate"},
		{"no protocol", config(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), insecure(func(c *tls.Config) { c.NextProtos = []string{"x"} }),
			34, "error:0A0000EB:SSL routines::no application protocol"},
		{"a verdict", config(func(c *tls.Config) {
			c.ClientAuth, c.VerifyConnection = tls.RequestClientCert, (&verdict{}).check
		}), insecure(func(*tls.Config) {}), 31, "error:0A000086:SSL routines::certificate verify failed"},
		{"a verdict on an authority", config(func(c *tls.Config) { c.VerifyConnection = (&verdict{1}).check }),
			insecure(func(*tls.Config) {}), 30, "error:0A000086:SSL routines::certificate verify failed"},
	} {
		t.Run(k.name, func(t *testing.T) {
			a, b := pair(t)
			go func() {
				k.client(b)
				io.Copy(io.Discard, b)
			}()
			k.server.Certificates = []tls.Certificate{own}
			err := tls.Server(a, k.server).Handshake()
			r := Of(err, true)
			if r.ID != k.id || text(r.Code) != k.want {
				t.Errorf("%v: %d %s, want %d %s", err, r.ID, text(r.Code), k.id, k.want)
			}
		})
	}
}

func TestOf(t *testing.T) {
	for _, k := range []struct {
		err   error
		begun bool
		want  Reason
	}{
		{nil, false, Reason{}},
		{io.EOF, false, Reason{Empty, 0}},
		{io.ErrUnexpectedEOF, false, Reason{Empty, 0}},
		{io.EOF, true, Reason{Handshake, 0x0A000126}},
		{reactor.ErrTimeout, true, Reason{Timeout, 0}},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), false, Reason{Handshake, 0}},
		{&net.OpError{Op: "local error", Err: errors.New("no alert")}, true, Reason{Handshake, internal}},
		{errors.New("anything"), true, Reason{Handshake, internal}},
	} {
		if got := Of(k.err, k.begun); got != k.want {
			t.Errorf("%v, %v: %+v, want %+v", k.err, k.begun, got, k.want)
		}
	}
	if got := text(internal); got != "error:0A0C0103:SSL routines::internal error" {
		t.Error(got)
	}
}

// named is an error about the name in a server's certificate.
type named struct {
	verdict
	asked bool
}

func (n *named) WrongName() (wrong, asked bool) { return true, n.asked }

func TestOfServer(t *testing.T) {
	for _, k := range []struct {
		err  error
		want Reason
	}{
		{nil, Reason{}},
		{io.EOF, Reason{Handshake, 0x0A000126}},
		{reactor.ErrTimeout, Reason{Timeout, 0}},
		{syscall.ECONNRESET, Reason{Handshake, 0}},
		{&verdict{}, Reason{Handshake, 0x0A000086}},
		{&verdict{1}, Reason{Handshake, 0x0A000086}},
		{fmt.Errorf("tls: %w", &named{}), Reason{WrongHost, 0x0A000086}},
		{&named{asked: true}, Reason{WrongName, 0x0A000086}},
	} {
		if got := OfServer(k.err); got != k.want {
			t.Errorf("%v: %+v, want %+v", k.err, got, k.want)
		}
	}
}
