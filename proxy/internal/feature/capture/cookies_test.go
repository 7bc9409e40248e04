package capture_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestPersistenceAsHAProxy: the captured cookie is the client's and the server's own,
// whatever persistence makes of it.
func TestPersistenceAsHAProxy(t *testing.T) {
	lines := []string{"SRV insert indirect nocache", "SRV insert", "SRV rewrite", "SRV prefix", "SRV insert preserve"}
	text := oracle.Head + "frontend ready\n bind {ready}\n http-request return status 200\n"
	for i, line := range lines {
		text += fmt.Sprintf("frontend f%[1]d\n bind {f%[1]d}\n log {log%[1]d} format raw local0\n capture cookie SRV len 40\n log-format \"%%CC %%CS %%ST %%Tt\"\n default_backend b%[1]d\nbackend b%[1]d\n cookie %[2]s\n server s1 {origin} cookie v1\n", i, line)
	}
	sides := oracle.Run(t, text)
	for i, line := range lines {
		for _, req := range []string{
			"", "Cookie: SRV=v1\r\n", "Cookie: a=1; SRV=v1; b=2\r\n", "Cookie: SRV=v1~inner\r\n", "Cookie: SRV=other\r\n",
			"give: Set-Cookie: SRV=own; Path=/\r\n", "Cookie: SRV=v1\r\ngive: Set-Cookie: x=y\r\ngive: Set-Cookie: SRV=own\r\n",
		} {
			var got [2]string
			for k, s := range sides {
				s.Exchange(fmt.Sprintf("f%d", i), "GET / HTTP/1.1\r\nHost: h\r\n"+req+"Connection: close\r\n\r\n")
				f := strings.Fields(s.Line(fmt.Sprintf("log%d", i)))
				got[k] = strings.Join(f[:len(f)-1], " ")
			}
			if got[0] != got[1] {
				t.Errorf("cookie %s, %q\nforebay: %q\nhaproxy: %q", line, req, got[0], got[1])
			}
		}
	}
}
