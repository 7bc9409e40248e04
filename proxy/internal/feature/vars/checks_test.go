package vars_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// A check has variables of its own, for as long as it runs, and sees those of the
// process.
func TestVariablesOfChecks(t *testing.T) {
	runs := make(chan bool, 1000)
	addr := tcptest.Serve(t, func(c net.Conn) {
		runs <- true
		c.Read(make([]byte, 4096))
		c.Write([]byte("HTTP/1.0 204 Fine\r\nX-Mood: good\r\n\r\n"))
		c.Close()
	})
	text := fmt.Sprintf(`global
  set-var proc.runs int(0)
backend b
  mode http
  timeout connect 1s
  timeout server 1s
  option httpchk
  http-check set-var(proc.runs) var(proc.runs),add(1)
  http-check set-var(check.early,ifnotexists) status
  http-check set-var(check.n,ifnotset) int(5)
  http-check connect
  http-check set-var-fmt(sess.who) "%%[be_name]/%%[srv_name]"
  http-check send meth GET
  http-check expect status 204
  http-check set-var(check.code) status
  http-check set-var(proc.early) var(check.early,none)
  http-check set-var-fmt(proc.seen) "%%[var(check.code)] %%[res.hdr(x-mood)] %%[var(sess.who)] %%[var(check.n)] %%[var(txn.n)]"
  http-check unset-var(check.n)
  http-check set-var(proc.gone) var(check.n,gone)
  server s %s check inter 10ms
`, addr)
	w := bed.Start(t, 1, text)
	for range 3 { // a check begins when the one before has come to its end
		select {
		case <-runs:
		case <-time.After(bed.Patience):
			t.Fatal("no check has come to its end")
		}
	}
	if n := w.Vars.Get(name(t, "proc.runs")); n == nil || n.Int < 3 {
		t.Fatalf("%+v checks have begun", n)
	}
	for n, want := range map[string]string{"proc.seen": "204 good b/s 5 ", "proc.early": "none", "proc.gone": "gone"} {
		v := w.Vars.Get(name(t, n))
		if v == nil || sample.Type(v.Type) != sample.Str || string(v.Bytes) != want {
			t.Errorf("%s: %+v, want %q", n, v, want)
		}
	}
}
