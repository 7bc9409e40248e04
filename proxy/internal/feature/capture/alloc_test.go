package capture

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
)

func declaring(t testing.TB) *stream.Proxy {
	p := &stream.Proxy{Name: "f", Frontend: true, Mode: stream.HTTP}
	l := layouts.Make(p)
	l.cookie, l.cookieMax = "SID", 20
	l.add(request, declared{name: "host", max: 20})
	l.add(request, declared{name: "x-a", max: 3})
	l.add(response, declared{name: "server", max: 9})
	l.freeze()
	l.attach(p)
	return p
}

// Captures of a stream that was used before allocate nothing, nor do the log's words of
// them.
func TestNoAllocation(t *testing.T) {
	c := &conf.Ctx{Loading: &conf.Loading{Snap: &stream.Snapshot{Global: &stream.Global{}}, Diags: new(config.Diagnostics)}, Proxy: declaring(t)}
	f, err := logformat.Compile(c, "%hr %hs %hrl %hsl %CC %CS %[capture.req.hdr(0)] %[str(x),capture-req(1)]", logformat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := new(stream.Stream)
	st.Stream, st.FE, st.HasRequest = st, c.Proxy, true
	if st.R, err = reactor.New(0, reactor.Linux, reactor.Options{}); err != nil {
		t.Fatal(err)
	}
	defer st.R.Close()
	limits := http1.Limits{MaxHeaders: 101}
	if _, err := http1.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: h\r\nX-A: value\r\nCookie: a=1; SID=x\r\n\r\n"), &st.Req, &limits); err != nil {
		t.Fatal(err)
	}
	if _, err := http1.ParseResponse([]byte("HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: SID=y; Path=/\r\nContent-Length: 0\r\n\r\n"), &st.Res, message.Get, &limits); err != nil {
		t.Fatal(err)
	}
	var line []byte
	n := testing.AllocsPerRun(1000, func() {
		for _, list := range [][]func(*stream.Stream){c.Proxy.OnRequest, c.Proxy.OnForward, c.Proxy.OnResponse, c.Proxy.OnDeliver} {
			for _, f := range list {
				f(st)
			}
		}
		line = f.Append(line[:0], &st.Scope)
		st.Slots().Reset()
	})
	if want := "{h|val} {s} h val s SID=x SID=y h x"; string(line) != want || n != 0 {
		t.Errorf("%q, want %q; %v allocations", line, want, n)
	}
}

// What is kept is no more than what is declared, whatever comes, and a large block is
// let go.
func TestBounded(t *testing.T) {
	p := &stream.Proxy{Frontend: true}
	l := layouts.Make(p)
	l.add(request, declared{max: 2 * maxKept})
	l.add(request, declared{max: 1})
	l.freeze()
	st := new(stream.Stream)
	st.FE = p
	v := of(st)
	v.set(0, make([]byte, 1<<20))
	v.set(1, []byte("abc"))
	if len(v.data) != 2*maxKept+1 || string(v.get(1)) != "a" || len(v.get(0)) != 0 {
		t.Errorf("%d bytes, %q, %d", len(v.data), v.get(1), len(v.get(0)))
	}
	v.Reset()
	if v.data != nil {
		t.Error("a large block is kept")
	}
	if v = of(st); v.get(0) != nil || v.get(1) != nil {
		t.Error("something of the exchange before is there")
	}
}

func FuzzCookies(f *testing.F) {
	for _, s := range []string{"SID=x", "a=1; SID=2", "SID = \"a;b\\\"\", x", "$SID=1;;,=", "a,SID=1,2;", "SID"} {
		f.Add(s, s)
	}
	p := declaring(f)
	f.Fuzz(func(t *testing.T, ask, give string) {
		st := new(stream.Stream)
		st.FE = p
		st.Req.Reset()
		st.Res.Reset()
		st.Req.AddString("cookie", ask)
		st.Res.AddString("set-cookie2", give)
		st.Res.AddString("set-cookie", give)
		requestCookie(st)
		responseCookie(st)
		v := of(st)
		for _, s := range []side{request, response} {
			b := v.get(v.l.cookieIndex(s))
			if b != nil && (len(b) > 20 || string(b[:3]) != "SID") {
				t.Errorf("%q, %q: %q", ask, give, b)
			}
		}
	})
}
