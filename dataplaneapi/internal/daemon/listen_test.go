package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
)

// What the command line says of the places where the API is served holds there.
func TestListen(t *testing.T) {
	dir := t.TempDir()
	cert, key := newAuthority(t, "ca").issue(2, "localhost")
	for name, text := range map[string]string{"a.crt": cert, "a.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "d.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Parse([]string{
		"-f", file, "--scheme=http", "--host=127.0.0.1", "--port=0", "--listen-limit=7", "--read-timeout=11s", "--write-timeout=12s", "--cleanup-timeout=13s", "--max-header-size=4096",
		"--scheme=https", "--tls-host=127.0.0.1", "--tls-port=0", "--tls-certificate=" + dir + "/a.crt", "--tls-key=" + dir + "/a.key",
		"--tls-listen-limit=8", "--tls-read-timeout=21s", "--tls-write-timeout=22s", "--scheme=unix", "--socket-path=" + dir + "/s",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	all, err := listen(s)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	for i, want := range []struct {
		network, host string
		limit         int
		read, write   time.Duration
	}{
		{"tcp", "127.0.0.1", 7, 11 * time.Second, 12 * time.Second},
		{"tcp", "127.0.0.1", 8, 21 * time.Second, 22 * time.Second},
		{"unix", dir + "/s", 7, 11 * time.Second, 12 * time.Second},
	} {
		e := all[i]
		defer e.Close()
		host := e.Addr().String()
		if want.network == "tcp" {
			host, _, _ = net.SplitHostPort(host)
		}
		if e.Addr().Network() != want.network || host != want.host {
			t.Errorf("%d: it listens at %v", i, e.Addr())
		}
		if e.server.ReadTimeout != want.read || e.server.WriteTimeout != want.write || e.server.IdleTimeout != 13*time.Second || e.server.MaxHeaderBytes != 4096 {
			t.Errorf("%d: %+v", i, e.server)
		}
		if g, ok := e.Listener.(*gate); ok && g.most != want.limit || ok != (i != 1) { // that of TLS stands before it
			t.Errorf("%d: %T %+v", i, e.Listener, e.Listener)
		}
	}
}

// At the end requests under way have "graceful_timeout" to come to theirs.
func TestGraceful(t *testing.T) {
	for _, slow := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			stop()
			if slow {
				<-done
			}
		})
		ended := make(chan error)
		grace := time.Minute
		if slow {
			grace = time.Millisecond
		}
		go func() {
			ended <- serve(ctx, []endpoint{{l, &http.Server{}}}, handler, slog.New(slog.DiscardHandler), grace)
		}()
		answered := make(chan error)
		go func() {
			resp, err := http.Get("http://" + l.Addr().String())
			if err == nil {
				resp.Body.Close()
			}
			answered <- err
		}()
		if err := <-ended; errors.Is(err, context.DeadlineExceeded) != slow {
			t.Errorf("slow %v: %v", slow, err)
		}
		close(done)
		<-answered
	}
}
