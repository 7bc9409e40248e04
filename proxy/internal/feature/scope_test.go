package feature_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// meeting is where two exchanges wait for each other, each in the middle of a
// format.
var meeting struct {
	here    int
	waiting *reactor.Waiter // of whoever came first
}

func init() {
	sample.RegisterFetch(sample.Fetch{Name: "test_meet", Out: sample.Str, Where: sample.Everywhere, Compile: func(c *conf.Ctx, _ []string) (sample.Func, error) {
		inner, err := logformat.Compile(c, "<%[req.hdr(x-id)]>", logformat.Options{Plain: true, Where: sample.FrontRequest})
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			if n > 0 {
				return false
			}
			if meeting.here++; meeting.here%2 == 1 {
				mine := meeting.here
				meeting.waiting = new(reactor.Waiter)
				meeting.waiting.Until(sc.R, func() bool { return meeting.here > mine })
			} else {
				meeting.waiting.Notify()
			}
			return v.SetStr(sc.Keep(inner.Append(sc.Scratch(), sc))) // a format inside a format
		}, err
	}})
}

// A fetch that waits in the middle of a format, and a format inside it, leave what
// was written before as it was.
func TestScopesShareNoMemory(t *testing.T) {
	port := freePort(t)
	text := fmt.Sprintf(`
global
    nbthread 1
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 1s
frontend web
    bind 127.0.0.1:%d
    http-request set-header X-Id %%[req.hdr(x-id)]-%%[test_meet]-%%[req.hdr(x-id)]
    http-request return status 200 content-type text/plain lf-string "%%[req.hdr(x-id)]=%%[test_meet]"
`, port)
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Threads: 1, MaxConn: 100})
	if snap == nil {
		t.Fatal(d.All())
	}
	w := workertest.New(t, 1)
	w.Init()
	workertest.Run(t, w)
	if err := snapshot.Start(w, snap, nil); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for _, id := range []string{"first", "second-one"} {
		both.Add(1)
		go func() {
			defer both.Done()
			r := httptest.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
			r.RequestURI = ""
			r.Header.Set("X-Id", id)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			edited := fmt.Sprintf("%s-<%s>-%s", id, id, id)
			if want := fmt.Sprintf("%s=<%s>", edited, edited); string(b) != want {
				t.Errorf("%q, want %q", b, want)
			}
		}()
	}
	both.Wait()
}

// Where there is nothing at all, no fetch finds anything, and none fails.
func TestEveryFetchNowhere(t *testing.T) {
	c := &conf.Ctx{Loading: &conf.Loading{Diags: new(config.Diagnostics), Snap: &stream.Snapshot{Global: &stream.Global{}}}}
	for _, name := range sample.Names() {
		for _, args := range []string{"", "(x)", "(1)", "(1,2)", "(x,1)"} {
			if strings.HasPrefix(name, "test_") {
				continue
			}
			e, err := sample.Parse(c, name+args)
			if err != nil {
				continue
			}
			for _, sc := range []*stream.Scope{{}, {Check: &stream.Check{}}, {FE: &stream.Proxy{}, BE: &stream.Proxy{}}} {
				v := sample.Borrow(sc)
				e.Eval(sc, v)
				v.Return(sc)
			}
		}
	}
}
