package ssl_test

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// tap keeps what the server of a connection says.
type tap struct {
	net.Conn
	server bool // the side that keeps it
	mu     sync.Mutex
	said   []byte
}

func (t *tap) keep(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, p...)
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if !t.server {
		t.keep(p[:n])
	}
	return n, err
}

func (t *tap) Write(p []byte) (int, error) {
	if t.server {
		t.keep(p)
	}
	return t.Conn.Write(p)
}

// random finds the random number of the n-th ServerHello.
func (t *tap) random(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := t.said; len(b) > 43; {
		if b[0] == 22 && b[5] == 2 {
			if n--; n < 0 {
				return fmt.Sprintf("%X", b[11:43])
			}
		}
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	return ""
}

// The server's random number is the one that the client got, after a request to
// retry too.
func TestServerRandomOfClients(t *testing.T) {
	dir := t.TempDir()
	certtest.Write(t, dir, "a.pem", certtest.SelfSigned(t, "a.test").PEM(t))
	text := fmt.Sprintf("global\n crt-base %s\ndefaults\n mode http\n timeout client 20s\nfrontend f\n bind {f} ssl crt a.pem\n bind {retry} ssl crt a.pem curves P-521\n"+
		" http-request return status 200\n http-after-response set-header x0 %%[ssl_fc_server_random,hex]\nfrontend ready\n bind {ready}\n http-request return status 200\n", dir)
	for _, side := range oracle.Run(t, text) {
		for _, k := range []struct {
			bind    string
			version uint16
			hello   int
		}{{"f", tls.VersionTLS12, 0}, {"f", tls.VersionTLS13, 0}, {"retry", tls.VersionTLS13, 1}} {
			var c *tap
			got := requestOver(t, side, k.bind, func(conn net.Conn) net.Conn {
				c = &tap{Conn: conn}
				return tls.Client(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: k.version, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP521}})
			}, 1)[0]
			if want := c.random(k.hello); got != want || want == "" {
				t.Errorf("%s, %s, %s: %q, want %q", side.Name, k.bind, tls.VersionName(k.version), got, want)
			}
		}
	}
}

// A session has the same identifier each time that it is resumed, and no other
// session has it.
func TestSessionsOfClients(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "Root")
	certtest.Write(t, dir, "a.pem", root.Issue(t, "a.test").PEM(t))
	certtest.Write(t, dir, "ca.pem", root.CertPEM())
	side := oracle.RunOne(t, "forebay", fmt.Sprintf("global\n crt-base %[1]s\n ca-base %[1]s\ndefaults\n mode http\n timeout client 20s\nfrontend f\n bind {f} ssl crt a.pem\n bind {mutual} ssl crt a.pem verify optional ca-file ca.pem\n bind {kept} ssl crt a.pem no-tls-tickets\n"+
		" http-request return status 200\n http-after-response set-header x0 %%[ssl_fc_is_resumed]\n http-after-response set-header x1 %%[ssl_fc_session_id,hex]\n", dir))
	seen := map[string]bool{}
	for _, bind := range []string{"f", "mutual", "kept"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if bind == "kept" && version == tls.VersionTLS12 {
				continue // such clients resume nothing
			}
			for range 2 {
				cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				id := ""
				for i := range 3 {
					got := fields(t, side, bind, cfg, 2)
					if i == 0 {
						id = got[1]
					}
					if resumed := fmt.Sprint(min(i, 1)); got[0] != resumed || got[1] != id || len(id) != 64 {
						t.Errorf("%s, %s, connection %d: %q, want %s and %q", bind, tls.VersionName(version), i, got, resumed, id)
					}
				}
				if seen[id] {
					t.Errorf("%s, %s: %q again", bind, tls.VersionName(version), id)
				}
				seen[id] = true
			}
		}
	}
	if got := fields(t, side, "f", &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, SessionTicketsDisabled: true}, 2); got[1] != "" {
		t.Errorf("without a session: %q", got)
	}
}

// What identifies a session with a server, and the server's random number, are
// those of HAProxy and of the server.
func TestServerSessionsLikeHAProxy(t *testing.T) {
	var mu sync.Mutex
	var ticket []byte
	var last *tap
	cfg := &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certtest.SelfSigned(t, "server.test").TLS()}}
	cfg.WrapSession = func(s tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		b, err := cfg.EncryptTicket(s, ss)
		mu.Lock()
		defer mu.Unlock()
		ticket = b
		return b, err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go s.Serve(tls.NewListener(tapped{l, func(c *tap) {
		mu.Lock()
		defer mu.Unlock()
		last = c
	}}, cfg))
	t.Cleanup(func() { s.Close() })
	var text strings.Builder
	fmt.Fprintf(&text, "global\n nbthread 1\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n http-reuse never\nlisten a\n bind {a}\n server s %s ssl verify none\n", l.Addr())
	for i, e := range []string{"ssl_bc_is_resumed", "ssl_bc_session_id,hex", "ssl_bc_server_random,hex"} {
		fmt.Fprintf(&text, " http-response set-header x%d %%[%s]\n", i, e)
	}
	text.WriteString("frontend ready\n bind {ready}\n http-request return status 200\n")
	for _, side := range oracle.Run(t, text.String()) {
		for i := range 2 {
			got := fields(t, side, "a", nil, 3)
			mu.Lock()
			want := []string{fmt.Sprint(i), fmt.Sprintf("%X", sha256.Sum256(ticket)), last.random(0)}
			mu.Unlock()
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s, connection %d:\n%q, want\n%q", side.Name, i, got, want)
			}
		}
	}
}

// tapped is a listener that shows its connections.
type tapped struct {
	net.Listener
	show func(*tap)
}

func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tap{Conn: c, server: true}
	l.show(t)
	return t, nil
}
