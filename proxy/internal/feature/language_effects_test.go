package feature_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// What public configurations write in their own way does what it does in HAProxy:
// "OR" in capitals, flags of log-format without a sign, samples of a defaults section,
// a colon behind the name of a field, a variable as an argument, a setting given twice.
func TestLanguageEffects(t *testing.T) {
	both := oracle.Run(t, strings.Replace(oracle.Head, "maxconn 500", "maxconn 500\n  maxconn 600", 1)+`
  timeout connect 1s
frontend ready
  bind {ready}
  http-request return status 200
defaults named
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
  log {log} format raw local0
  log-format "%{Q}f %{+Q}f %{-Q}f %{E,+Q}f %[be_name] %[var(txn.sum)] %ST %HP"
frontend f from named
  bind {f}
  maxconn 10
  maxconn 100
  http-request set-var(txn.n) int(5)
  http-request set-var(txn.sum) int(3),add(txn.n)
  http-request set-header X-Seen: yes
  http-request return status 401 if { path /a } OR { path /b }
  http-request return status 403 if { path /c } or { path /d } { req.hdr(x-seen) -m found } || { path /e }
  http-request return status 404 if { path /f } OR { path /g } !{ path_beg / }
  default_backend b
backend b from named
  http-request return status 200 if { req.hdr(X-Seen) yes }
`)
	var got [2][]string
	for i, s := range both {
		for _, c := range "abcdefgh" {
			s.Exchange("f", fmt.Sprintf("GET /%c HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", c))
			got[i] = append(got[i], strings.TrimSpace(s.Line("log")))
		}
	}
	if !slices.Equal(got[0], got[1]) {
		t.Errorf("%s\nHAProxy:\n%s", strings.Join(got[0], "\n"), strings.Join(got[1], "\n"))
	}
	if want := `f "f" f "f" f 8 403 /e`; got[0][4] != want {
		t.Errorf("%s, want %s", got[0][4], want)
	}
}
