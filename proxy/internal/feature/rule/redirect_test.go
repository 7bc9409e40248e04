package rule_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// Words of redirections that HAProxy 2.6 has not: the query goes along, and a
// cookie is a format.
func TestRedirectsOfLaterVersions(t *testing.T) {
	s := oracle.RunOne(t, "forebay", oracle.Head+`
frontend f
  bind {f}
  http-request redirect location /new keep-query if { path /plain }
  http-request redirect location /new?b=2 keep-query if { path /more }
  redirect location /new set-cookie-fmt SEEN=%[path] if { path /cookie }
`)
	for target, want := range map[string]string{
		"/plain":      "location: /new\r\n",
		"/plain?a=1":  "location: /new?a=1\r\n",
		"/more?a=1":   "location: /new?b=2&a=1\r\n",
		"/more":       "location: /new?b=2\r\n",
		"/cookie?a=1": "set-cookie: SEEN=/cookie\r\n",
	} {
		if got := s.Exchange("f", "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}
