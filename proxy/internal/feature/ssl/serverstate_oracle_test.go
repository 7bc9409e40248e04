package ssl_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestServersStateLikeHAProxy asks both programs which servers are under TLS.
func TestServersStateLikeHAProxy(t *testing.T) {
	sides := oracle.Run(t, `global
 stats socket {cli} level admin
 ssl-server-verify none
defaults
 mode http
 timeout connect 20s
 timeout server 20s
 timeout client 20s
frontend ready
 bind {ready}
 http-request return status 200
backend b
 server clear 127.0.0.1:1
 server no 127.0.0.1:1 no-ssl
 server tls 127.0.0.1:1 ssl
 server off 127.0.0.1:1 ssl
 default-server ssl
 server default 127.0.0.1:1
 server back 127.0.0.1:1 no-ssl
 server on 127.0.0.1:1 no-ssl
`)
	under := func(s *oracle.Side) string {
		var list []string
		for line := range strings.Lines(s.Exchange("cli", "show servers state b\n")) {
			if f := strings.Fields(line); len(f) > 20 && f[0] != "#" {
				list = append(list, f[3]+"="+f[20])
			}
		}
		return strings.Join(list, " ")
	}
	const first, then = "clear=0 no=-1 tls=1 off=1 default=1 back=-1 on=-1", "clear=0 no=-1 tls=1 off=0 default=1 back=-1 on=1"
	for i, s := range sides {
		if got := under(s); got != first {
			t.Errorf("side %d: %s", i, got)
		}
		s.Exchange("cli", "set server b/off ssl off\n")
		s.Exchange("cli", "set server b/on ssl on\n")
		if got := under(s); got != then {
			t.Errorf("side %d, after commands: %s", i, got)
		}
	}
}
