package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestSocketActivation has the program started by a connection, with systemd's
// sockets, which block. The connection that started it is served, and so are
// those that follow; a reload keeps the sockets; the end comes when asked for.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	activate := tool(t, "systemd-socket-activate")
	for _, mode := range []string{"-db", "-W"} {
		t.Run(mode, func(t *testing.T) {
			dir := scratch(t)
			o := newOrigin(t, "activated")
			tcp, tcp6, unix := address(t), fmt.Sprintf("[::1]:%d", port(t)), filepath.Join(dir, "web.sock")
			cfg := configure(t, dir, fmt.Sprintf(`
global
    nbthread 1
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
frontend web
    bind fd@3
    bind fd@4
    bind fd@5
    default_backend app
backend app
    server s 127.0.0.1:%d
`, o.port()))
			master := filepath.Join(dir, "m.sock")
			args := []string{"-l", tcp, "-l", tcp6, "-l", unix, forebay, mode, "-f", cfg}
			if mode == "-W" {
				args = append(args, "-S", master)
			}
			p := start(t, activate, args...)
			p.await(1, "Listening on "+unix)
			through := func(network, addr string) {
				t.Helper()
				c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, addr)
				}}}
				r, err := c.Get("http://web/")
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				if r.StatusCode != 200 {
					t.Errorf("%s: %s", addr, r.Status)
				}
			}
			all := func() {
				t.Helper()
				for range 2 {
					through("tcp", tcp)
					through("tcp", tcp6)
					through("unix", unix)
				}
			}
			all()
			if mode == "-W" {
				p.await(1, "Loading success.")
				for _, how := range []string{"reload", "hard-reload"} {
					if got, err := ask(master, how); err != nil || got[:9] != "Success=1" {
						t.Fatalf("%s: %v %s", how, err, got)
					}
					all()
				}
			}
			p.signal(syscall.SIGTERM)
			p.exit()
			os.Remove(unix)
		})
	}
}
