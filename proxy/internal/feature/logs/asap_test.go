package logs_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// TestAsSoonAsPossible: with "option logasap" both programs log while the transfer
// still goes on, say so with a "+", and log once.
func TestAsSoonAsPossible(t *testing.T) {
	hold := make(chan struct{})
	live := tcptest.Serve(t, func(c net.Conn) {
		defer c.Close()
		q, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		switch q.URL.Path {
		case "/up":
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
		default:
			io.WriteString(c, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome")
		}
		<-hold
	})
	dead := tcptest.Reserve(t).String()
	const format = "log-format \"%b/%s %ST %tsc %B -/%Ta/%Tt/%Tu %{+Q}B %ac/%fc/%bc/%sc %rc\"\n"
	const get = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
	scenes := []struct {
		conf, say string
		early     bool // the line comes while the transfer is held up
	}{
		{"option httplog\n server s {live}", get, true},
		{format + " server s {live}", get, true},
		{format + " server s {live}", "GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", true},
		{"mode tcp\n option tcplog\n server s {live}", get, true},
		{"mode tcp\n log-format \"%b/%s %tsc %B -/%Tt %{+Q}B\"\n server s {live}", get, true},
		{"option httplog\n option dontlog-normal\n server s {live}", get, false},
		{"option httplog\n retries 0\n server s {dead}", get, true},
		{"option httplog\n http-request deny\n server s {dead}", get, true},
		{"mode tcp\n option tcplog\n retries 0\n server s {dead}", get, true},
	}
	text := oracle.Head + "frontend ready\n bind {ready}\n http-request return status 200\n"
	for i, x := range scenes {
		conf := strings.NewReplacer("{live}", live, "{dead}", dead).Replace(x.conf)
		text += fmt.Sprintf("listen f%d\n bind {f%d}\n log {log%d} format raw local0\n option logasap\n %s\n", i, i, i, conf)
	}
	// Dates, ports, times and numbers but for statuses; HAProxy 2.6 counts its own form of heads.
	varying := regexp.MustCompile(`^127\S+ \[[^]]*\]|\+[1-9]\d*`)
	before, after := regexp.MustCompile(`\d+/`), regexp.MustCompile(`/(\+?)\d+`)
	sides := oracle.Run(t, text)
	lines := make([][2]string, len(scenes))
	var clients []net.Conn
	play := func(early bool) {
		for i, x := range scenes {
			for k, side := range sides {
				if x.early == early {
					if early {
						c, err := net.Dial("tcp", side.Addr(fmt.Sprintf("f%d", i)))
						if err != nil {
							t.Fatal(err)
						}
						clients = append(clients, c)
						io.WriteString(c, x.say)
					}
					line := side.Line(fmt.Sprintf("log%d", i))
					lines[i][k] = after.ReplaceAllString(before.ReplaceAllString(varying.ReplaceAllString(line, "+N"), "N/"), "/${1}N")
				}
			}
		}
	}
	for i, x := range scenes {
		for _, side := range sides {
			if !x.early {
				c, err := net.Dial("tcp", side.Addr(fmt.Sprintf("f%d", i)))
				if err != nil {
					t.Fatal(err)
				}
				clients = append(clients, c)
				io.WriteString(c, x.say)
				c.SetReadDeadline(time.Now().Add(20 * time.Second))
				if _, err := c.Read(make([]byte, 1)); err != nil { // the response has begun
					t.Fatal(err)
				}
			}
		}
	}
	play(true)
	close(hold)
	play(false)
	for _, c := range clients {
		c.Close()
	}
	for i, x := range scenes {
		if !strings.Contains(x.conf, "{live}") { // 3.4 logs no bytes for answers of its own, 2.6 does
			lines[i][1] = strings.Replace(lines[i][1], " +N - - ", " +0 - - ", 1)
		}
		if lines[i][0] != lines[i][1] {
			t.Errorf("%s:\nforebay: %q\nhaproxy: %q", x.conf, lines[i][0], lines[i][1])
		}
	}
}
