package e2e

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// agreeable is an origin that meets upgrades to "websocket" and "echo" and sends
// back what it gets, and answers all else with 200.
func agreeable(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		upgrade := req.Header.Get("Upgrade")
		switch {
		case upgrade == "" || !strings.EqualFold(req.Header.Get("Connection"), "upgrade"):
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Upgrade: %q\r\n\r\nplain", upgrade)
			continue
		case upgrade == "websocket":
			sum := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			upgrade += "\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:])
		}
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\nhello\n", upgrade)
		io.Copy(c, r)
		return
	}
}

// An upgrade goes through two proxies, whatever they speak to each other.
func TestUpgradesThroughChains(t *testing.T) {
	haproxy := tool(t, "haproxy")
	for _, c := range []struct{ name, front, back, proto string }{
		{"haproxy, forebay", haproxy, forebay, ""},
		{"haproxy, HTTP/2, forebay", haproxy, forebay, "proto h2"},
		{"forebay, haproxy", forebay, haproxy, ""},
		{"forebay, HTTP/2, haproxy", forebay, haproxy, "proto h2"},
		{"forebay, forebay", forebay, forebay, ""},
		{"forebay, HTTP/2, forebay", forebay, forebay, "proto h2"},
		{"forebay, HTTP/2 but for WebSockets, forebay", forebay, forebay, "proto h2 ws h1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := chainOf(t, c.front, c.back, c.proto, "safe", tcptest.Serve(t, agreeable))
			for _, protocol := range []string{"websocket", "echo"} {
				t.Run("HTTP/1 "+protocol, func(t *testing.T) {
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(patience))
					key := ""
					if protocol == "websocket" {
						key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
					}
					fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s\r\n", protocol, key)
					r := bufio.NewReader(conn)
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if res.StatusCode != 101 || res.Header.Get("Upgrade") != protocol || !strings.EqualFold(res.Header.Get("Connection"), "upgrade") {
						t.Fatalf("%v", res)
					}
					if a := res.Header.Values("Sec-Websocket-Accept"); key != "" && (len(a) != 1 || a[0] != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") { // of RFC 6455 1.3
						t.Errorf("accepted with %q", a)
					}
					io.WriteString(conn, "are you there?\n")
					conn.(*net.TCPConn).CloseWrite()
					if all, err := io.ReadAll(r); err != nil || string(all) != "hello\nare you there?\n" {
						t.Errorf("%q %v", all, err)
					}
				})
			}
			for _, protocol := range []string{"websocket", "echo"} {
				t.Run("HTTP/2 "+protocol, func(t *testing.T) {
					h := dialH2(t, addr)
					h.head(1, false, ":method", "CONNECT", ":protocol", protocol, ":scheme", "http", ":path", "/chat", ":authority", "a", "sec-websocket-version", "13")
					s := h.stream(1)
					for len(s.heads) == 0 && h.next() {
					}
					if s.status() != "200" {
						t.Fatalf("%v", h)
					}
					h.WriteData(1, true, []byte("are you there?\n"))
					if h.awaitAnswers(); string(s.body) != "hello\nare you there?\n" || !strings.HasPrefix(s.end, "END") || strings.Contains(s.heads[0], "upgrade") {
						t.Errorf("%v", h)
					}
				})
			}
		})
	}
}
