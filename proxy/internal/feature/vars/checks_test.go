package vars_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// A check has variables of its own, for as long as it runs, and sees those of the
// process.
func TestVariablesOfChecks(t *testing.T) {
	addr := tcptest.Serve(t, func(c net.Conn) {
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
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Threads: 1, MaxConn: 10})
	if snap == nil {
		t.Fatal(d.All())
	}
	w := workertest.New(t, 1)
	w.Init()
	workertest.Run(t, w)
	if err := snapshot.Start(w, snap, nil); err != nil {
		t.Fatal(err)
	}
	runs, gone := name(t, "proc.runs"), name(t, "proc.gone")
	until := time.Now().Add(60 * time.Second)
	for w.Vars.Get(gone) == nil || w.Vars.Get(runs).Int < 3 {
		if time.Now().After(until) {
			t.Fatal("no check has come to its end")
		}
		time.Sleep(time.Millisecond)
	}
	for n, want := range map[string]string{"proc.seen": "204 good b/s 5 ", "proc.early": "none", "proc.gone": "gone"} {
		v := w.Vars.Get(name(t, n))
		if v == nil || sample.Type(v.Type) != sample.Str || string(v.Bytes) != want {
			t.Errorf("%s: %+v, want %q", n, v, want)
		}
	}
}
