package promex

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature/acl"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// Heads are those of HAProxy 3.4, whatever the method, and a client that takes
// nothing of a long answer keeps nobody from theirs.
func TestService(t *testing.T) {
	path := t.TempDir() + "/f"
	bed.Start(t, 1, "defaults\n mode http\n timeout client 60s\n timeout connect 1s\n timeout server 1s\nfrontend f\n bind unix@"+path+"\n http-request use-service prometheus-exporter if { path /metrics }\n"+
		" http-request return status 404\nbackend be\n server-template s 5000 127.0.0.1:1\n")
	ask := func(method, target string) (net.Conn, *http.Response) {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(bed.Patience))
		io.WriteString(c, method+" "+target+" HTTP/1.1\r\nhost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		return c, res
	}
	_, long := ask("GET", "/metrics?scope=server") // not read yet
	for _, c := range []struct {
		method, target string
		status         int
		begins         string
	}{
		{"GET", "/metrics?scope=global", 200, "# HELP haproxy_process_nbthread "}, {"POST", "/metrics?scope=global", 200, "# HELP "}, {"HEAD", "/metrics", 200, ""},
		{"GET", "/metrics?scope=", 200, ""}, {"GET", "/metrics?scope=nosuch", 400, "<html><body><h1>400 Bad request"}, {"GET", "http://x/metrics?metrics", 400, "<html>"}, {"GET", "/other", 404, ""},
	} {
		_, res := ask(c.method, c.target)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != c.status || !strings.HasPrefix(string(body), c.begins) || c.begins == "" && c.status == 200 && len(body) > 0 {
			t.Errorf("%s %s: %d %v %.80q", c.method, c.target, res.StatusCode, err, body)
		}
		if h := res.Header; c.status == 200 && (h.Get("cache-control") != "no-cache" || h.Get("content-type") != "text/plain; version=0.0.4" || len(res.TransferEncoding) == 0) {
			t.Errorf("%s %s: %v %v", c.method, c.target, h, res.TransferEncoding)
		}
	}
	text, err := io.ReadAll(long.Body)
	if n := strings.Count(string(text), "\nhaproxy_server_current_sessions{"); err != nil || n != 5000 || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("%d samples, %v", n, err)
	}
}
