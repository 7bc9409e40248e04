package logs_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// Clients of UNIX sockets are written as HAProxy writes them.
func TestUnixClientsLikeHAProxy(t *testing.T) {
	var lines [2]string
	for i, program := range []string{"forebay", "haproxy"} {
		t.Run(program, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			side := oracle.RunOne(t, program, `global
 log-tag t
defaults
 mode http
 timeout client 20s
frontend ready
 bind {ready}
 http-request return status 200
frontend f
 log {log} format raw local0
 log-format "%ci:%cp %{+Q}ci %fi:%fp %[src]"
 bind {tcp}
 bind `+path+`
 http-request return status 200
`)
			c, err := net.Dial("unix", path)
			for end := time.Now().Add(20 * time.Second); err != nil; c, err = net.Dial("unix", path) {
				if time.Now().After(end) { // HAProxy opens it after the port by which it is found ready
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			io.Copy(io.Discard, c)
			lines[i] = strings.TrimSpace(side.Line("log"))
		})
	}
	if lines[0] != lines[1] {
		t.Errorf("%s, HAProxy: %s", lines[0], lines[1])
	}
}
