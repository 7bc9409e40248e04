package snapshot

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// bed is a worker on real sockets that configurations are applied to.
type bed struct {
	t    *testing.T
	w    *stream.Worker
	sock string // path of a Runtime socket that configurations may name
	n    int    // maxconn of the command line, 0: the configuration says it
}

func newBed(t *testing.T, threads int) *bed {
	t.Helper()
	w := workertest.New(t, threads)
	w.Init()
	workertest.Run(t, w)
	return &bed{t: t, w: w, sock: filepath.Join(t.TempDir(), "s"), n: manyConns}
}

// manyConns is more than a test opens.
const manyConns = 2000

func loadText(text string, threads, maxConn int) (*stream.Snapshot, *config.Diagnostics) {
	return Load(Input{
		Sources: []*config.File{config.Parse("t.cfg", []byte(text))},
		Files:   memory{{"/e503": []byte("HTTP/1.1 503 No\n\nno\n")}},
		Threads: threads,
		MaxConn: maxConn,
	})
}

func mustLoad(t *testing.T, text string) *stream.Snapshot {
	t.Helper()
	s, d := loadText(text, 2, manyConns)
	if s == nil {
		t.Fatalf("%s\n%v", text, d.All())
	}
	return s
}

func (b *bed) load(text string) *stream.Snapshot {
	b.t.Helper()
	s, d := loadText(text, len(b.w.Reactors), b.n)
	if s == nil {
		b.t.Fatalf("%s\n%v", text, d.All())
	}
	return s
}

func (b *bed) start(text string) {
	b.t.Helper()
	if err := Start(b.w, b.load(text), nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) apply(text string) []Change {
	b.t.Helper()
	c, err := Apply(b.w, b.load(text))
	if err != nil {
		b.t.Fatalf("%s\n%v: %v", text, err, c)
	}
	return c
}

// command runs a Runtime command.
func (b *bed) command(text string) string {
	b.t.Helper()
	c, err := net.Dial("unix", b.sock)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, text+"\n")
	out, err := io.ReadAll(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// freePorts gives ports that nobody listens on.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var out []int
	for range n {
		out = append(out, int(tcptest.Reserve(t).Port()))
	}
	return out
}

// origin is a server that says its name.
func origin(t *testing.T, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// client is one keep-alive connection.
type client struct {
	t  *testing.T
	c  net.Conn
	br *bufio.Reader
}

func dial(t *testing.T, port int) *client {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) get() string {
	c.t.Helper()
	io.WriteString(c.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	return c.response()
}

func (c *client) response() string {
	c.t.Helper()
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(body)
}

func lines(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

const head = "defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n balance roundrobin\n"
