package ring_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// Both programs keep and forward the same events: formats of rings, whatever the
// "log" line says, in both framings, and as "show events" shows them.
func TestLikeHAProxy(t *testing.T) {
	formats := []string{"", "iso", "local", "raw", "rfc3164", "rfc5424", "short", "priority", "timed"}
	var lines [2][]string
	varying := regexp.MustCompile(`\d{4}-\d\d-\d\dT[^ ]*|[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d|tag\[\d+\]|tag \d+`)
	for i, program := range []string{"forebay", "haproxy"} {
		dir := t.TempDir()
		text := "global\n log-tag tag\n log-send-hostname box\n nbthread 1\n stats socket " + dir + "/s level admin\n"
		logs := ""
		var receivers []*syslog
		for k, f := range formats {
			if f != "" {
				f = "\n format " + f
			}
			plain, counted := listen(t, "127.0.0.1:0", false), listen(t, "127.0.0.1:0", true)
			receivers = append(receivers, plain, counted)
			text += fmt.Sprintf("ring r%d\n description ring-%d%s\n timeout connect 5s\n timeout server 5s\n server plain %s\n server counted %s log-proto octet-count\n",
				k, k, f, plain.Addr(), counted.Addr())
			logs += fmt.Sprintf(" log ring@r%d format short local3\n", k)
		}
		text += "defaults\n mode http\n timeout client 10s\nfrontend ready\n bind {ready}\n http-request return status 200\nfrontend f\n bind {f}\n" + logs + " log-format \"got %HM %HU\"\n http-request return status 200\n"
		side := oracle.RunOne(t, program, text)
		const requests = 2
		for n := range requests {
			side.Exchange("f", fmt.Sprintf("GET /%d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", n))
		}
		note := func(s string) { lines[i] = append(lines[i], varying.ReplaceAllString(s, "VARYING")) }
		for k, r := range receivers {
			for range requests {
				note(fmt.Sprintf("%s, counted %v: %q", formats[k/2], k%2 == 1, r.next(t)))
			}
		}
		for k := range formats {
			note(show(t, dir+"/s", fmt.Sprintf("show events r%d", k)))
		}
		note(show(t, dir+"/s", "show events nosuch"))
		note(show(t, dir+"/s", "show events r0 -bad"))
		note(show(t, dir+"/s", "show events stdout"))
		note(show(t, dir+"/s", "show events r0 -n"))
	}
	for k := range lines[1] {
		if lines[0][k] != lines[1][k] {
			t.Errorf("forebay: %s\nhaproxy: %s", lines[0][k], lines[1][k])
		}
	}
}

func show(t *testing.T, socket, command string) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(bed.Patience))
	io.WriteString(c, command+"\n")
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(b), "\n") // 2.6 ends errors without an empty line
}
