package rule_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
)

// All that an action needs: it registers itself, reads its own words, and gives what
// runs for each request.
func init() {
	rule.RegisterAction(rule.Action{Name: "test-hello", In: rule.Request, Parse: func(l *rule.Line) (rule.Exec, error) {
		whom, err := l.Take("a name")
		if err != nil {
			return nil, err
		}
		f, err := l.Format(whom)
		return func(sc *stream.Scope) stream.Verdict {
			b := f.Append(append(sc.Scratch(), "hello "...), sc)
			sc.Request().Add(sc.CopyString("x-hello"), sc.Keep(b))
			return stream.Continue
		}, err
	}})
}

func TestHello(t *testing.T) {
	text := "frontend f\n mode http\n timeout client 1s\n bind 127.0.0.1:1\n http-request test-hello %[path] if { method GET }\n"
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Threads: 1, MaxConn: 10})
	if snap == nil {
		t.Fatal(d.All())
	}
	st := &stream.Stream{HasRequest: true}
	st.Stream = st
	if n, err := http1.ParseRequest([]byte("GET /world HTTP/1.1\r\nHost: h\r\n\r\n"), &st.Req, nil); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if v := snap.Frontends["f"].RequestRules[0].Exec(&st.Scope); v != stream.Continue || string(st.Req.Get("x-hello")) != "hello /world" {
		t.Errorf("%v, %q", v, st.Req.Get("x-hello"))
	}
}
