package vars_test

import (
	"fmt"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// shown puts what variables hold into the response.
const shown = `proc=%[var(proc.p)] procn=%[var(proc.n)] fmt=%[var(proc.f)] conn=%[var(sess.conn)] count=%[var(sess.count)] txn=%[var(txn.a)] req=%[var(req.a)] res=%[var(res.a)] int=%[var(txn.i)] none=%[var(txn.none)] gone=%[var(txn.gone)] fmtv=%[var(txn.fmt)] cond=%[var(txn.c1)],%[var(txn.c2)],%[var(txn.c3)],%[var(txn.c4)],%[var(txn.c5)] ip=%[var(sess.src)] bool=%[var(txn.bool)] conv=%[var(txn.conv)],%[var(txn.seen)] dflt=%[var(txn.none,other)]`

const scopes = `global
  set-var proc.p str(text)
  set-var proc.n int(40),add(2)
  set-var-fmt proc.f "n=%[var(proc.n)]"
` + oracle.Head + `frontend f
  bind {f}
  tcp-request connection set-var(sess.conn) str(accepted)
  tcp-request connection set-var(sess.count) int(0)
  tcp-request connection set-var(sess.src) src,ipmask(8)
  http-request set-var(sess.count) var(sess.count),add(1)
  http-request set-var(req.a) path
  http-request set-var(res.a) str(toosoon)
  http-request set-var(txn.a) req.hdr(x-a),lower
  http-request set-var(txn.a) req.hdr(x-none)
  http-request set-var(txn.gone) str(there)
  http-request unset-var(txn.gone) if { path /gone }
  http-request set-var(txn.i) var(proc.n),sub(2)
  http-request set-var(txn.bool) bool(true)
  http-request set-var-fmt(txn.fmt) "%[method] %[var(txn.a)] %[var(req.a)] %%"
  http-request set-var(txn.c1,ifexists) str(c1)
  http-request set-var(txn.c2,ifnotexists) str(c2)
  http-request set-var(txn.c2,ifnotexists) str(c2again)
  http-request set-var(txn.c3,ifnotempty) req.hdr(x-empty)
  http-request set-var(txn.c4) int(5)
  http-request set-var(txn.c4,iflt) int(9)
  http-request set-var(txn.c4,ifgt) int(20)
  http-request set-var(txn.c5,ifnotset) str(once)
  http-request set-var(txn.conv) "path,set-var(txn.seen),upper,unset-var(txn.none)"
  http-request deny deny_status 429 if { var(txn.a) -m str denied }
  http-request return status 200 hdr X-Shown "` + shown + `" if { var(req.a) -m beg /return }
  http-request set-header X-Request "` + shown + `"
  http-response set-header X-Response "` + shown + `"
  http-response set-var(res.a) status
  http-response set-var(txn.a) res.hdr(none)
  http-response unset-var(txn.i)
  http-after-response set-var(txn.none) str(late)
  http-after-response set-header X-After "` + shown + `"
  use_backend %[var(txn.a)] if { var(txn.a) -m str other }
  default_backend b
backend b
  http-request set-var(txn.a) str(backend) if { path /backend }
  server o {origin}
backend other
  http-response set-header X-Other yes
  server o {origin}
`

// Each rule set sees the variables that HAProxy sees there, over requests of one
// connection, and those of the request no longer once a server was tried.
func TestScopesAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, scopes)
	for _, path := range []string{"/", "/gone", "/return/x", "/backend"} {
		for _, a := range []string{"One", "denied", "other", ""} {
			one := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: h\r\nX-A: %s\r\nX-Empty:\r\n", path, a)
			req := one + "\r\n" + one + "\r\n" + one + "Connection: close\r\n\r\n"
			ours, theirs := sides[0].Exchange("f", req), sides[1].Exchange("f", req)
			if ours != theirs {
				t.Errorf("%s %s\nforebay: %q\nhaproxy: %q", path, a, ours, theirs)
			}
		}
	}
}
