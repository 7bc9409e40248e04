package feature_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// settings are of the kind that people use: conditions, edited headers, a log
// line for every request.
const settings = `
global
    log 127.0.0.1:%[1]d local0
    log 127.0.0.1:%[1]d sample 1,3:4 profile brief format rfc5424 local0
    nbthread 1
defaults
    mode http
    log global
    option httplog
    option forwardfor
    timeout client 10s
    timeout server 10s
    timeout connect 1s
frontend web
    bind 127.0.0.1:%[2]d
    capture request header Host len 40
    capture request header User-Agent len 40
    capture response header Server len 40
    capture cookie SID len 20
    http-request capture path len 20
    http-request do-log profile brief
    http-request set-log-level notice if { path_beg /api }
    log-steps response,close
    acl api path_beg /api
    http-request set-header X-Seen %%[path,lower]-%%[src] if api
    http-request deny if { hdr(user-agent) -i -m sub evil } or !{ method GET POST }
    http-response del-header server
    http-response add-header X-By %%[be_name]/%%[srv_name]
    use_backend other if { path /other }
    default_backend app
backend app
    balance leastconn
    server s1 %[3]s
backend other
    server s1 %[3]s
log-profile brief
    log-tag brief
    on close format "%%OG %%hr %%hs %%CC %%CS %%[capture.req.hdr(0)] %%[capture.req.uri]" sd "[x@1 a=%%{+Q}CC]"
    on any drop
`

// answer serves the same bytes for every read.
func answer(t *testing.T) string {
	out := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello")
	return tcptest.Serve(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(out)
		}
	})
}

// freePort is one that nothing listens on for now.
func freePort(t *testing.T) int {
	t.Helper()
	return int(tcptest.Reserve(t).Port())
}

func TestNoAllocationPerRequestWithFeatures(t *testing.T) {
	syslog, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer syslog.Close()
	port := freePort(t)
	origin := answer(t)
	text := fmt.Sprintf(settings, syslog.LocalAddr().(*net.UDPAddr).Port, port, origin)
	bed.Start(t, 1, text)
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := []byte("GET /api/Users?id=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: SID=x\r\n\r\n")
	buf := make([]byte, 4096)
	size := 0
	one := func() {
		c.Write(req)
		if size == 0 {
			size, err = c.Read(buf)
		} else {
			_, err = io.ReadFull(c, buf[:size])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		one()
	}
	n := testing.AllocsPerRun(500, one)
	if n >= 0.5 {
		t.Errorf("%v allocations per request", n)
	}
	line := make([]byte, 2048)
	k, _ := syslog.Read(line)
	t.Logf("%s\n%s", buf[:size], line[:k])
}
