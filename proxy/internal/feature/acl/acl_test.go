package acl_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/acl"
	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
)

func ctx() *conf.Ctx {
	return &conf.Ctx{
		Loading: &conf.Loading{Diags: new(config.Diagnostics)},
		Section: "frontend", Proxy: &stream.Proxy{Name: "f", Frontend: true},
	}
}

func TestConditions(t *testing.T) {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	st := &stream.Stream{Scope: stream.Scope{R: r, Sess: &stream.Session{}}, HasRequest: true}
	st.Stream = st
	http1.ParseRequest([]byte("GET /api/x.gif HTTP/1.1\r\nHost: a.example.com\r\nX: 1, 2\r\n\r\n"), &st.Req, nil)
	for cond, want := range map[string]bool{
		"if TRUE":                 true,
		"unless TRUE":             false,
		"if FALSE":                false,
		"if !FALSE":               true,
		"if { path_beg /api }":    true,
		"if { path_beg /x /api }": true,
		"if { path -m beg /api } { method POST }":           false,
		"if { path -m beg /x } || { method GET }":           true,
		"if { method POST } or !{ hdr(host) nope } TRUE":    true,
		"if ! { path /x }":                                  true,
		"if { hdr(x) 1 }":                                   true,
		"if { hdr(x) 2 }":                                   true,
		"if { hdr(x) 3 }":                                   false,
		"if { hdr_cnt(x) gt 1 }":                            true,
		"if { hdr_cnt(x) ge 1 lt 0 }":                       true,
		"if { hdr(nope) -m found }":                         false,
		"if { hdr_dom(host) -i EXAMPLE.com }":               true,
		"if { path_end .gif .jpg }":                         true,
		"if { path_reg ^/api/.*\\.gif$ }":                   true,
		"if { path_len 10 }":                                true,
		"if METH_GET HTTP_1.1":                              true,
		"if HTTP_CONTENT":                                   false,
		"unless METH_POST || { path / }":                    true,
		"if { path,lower,field(2,/) -m str api }":           true,
		"if { always_true } { always_false } || !METH_POST": true,
	} {
		c, err := acl.ParseCond(ctx(), strings.Fields(cond))
		if err != nil {
			t.Errorf("%s: %v", cond, err)
			continue
		}
		if got := c.Match(&st.Scope); got != want {
			t.Errorf("%s: %v", cond, got)
		}
		if n := testing.AllocsPerRun(20, func() { c.Match(&st.Scope) }); n > 0 && !strings.Contains(cond, "lower") && !(race.Enabled && strings.Contains(cond, "reg")) {
			t.Errorf("%s: %v allocations", cond, n) // package regexp has a pool
		}
	}
}

func TestMistakes(t *testing.T) {
	for cond, want := range map[string]string{
		"if":                      "no ACL",
		"when x":                  "'if' or 'unless' expected",
		"if nope":                 "no such ACL : 'nope'",
		"if { path_beg /x":        "missing closing '}'",
		"if { }":                  "empty anonymous ACL",
		"if { pth_beg /x }":       "did you mean 'path_beg' maybe ?",
		"if { src 10.0.0.0/99 }":  "not a valid IPv4 or IPv6 address",
		"if { path -m nope x }":   "unknown matching method 'nope'",
		"if TRUE or":              "no ACL",
		"if || TRUE":              "unexpected '||'",
		"if { status gt x }":      "neither a number",
		"if { path -z x }":        "not a valid ACL option",
		"if { path -f /nowhere }": "failed to open pattern file </nowhere>",
		"if { urlp(x) -m found }": "not supported by Forebay yet",
	} {
		c := ctx()
		c.Files = nowhere{}
		if _, err := acl.ParseCond(c, strings.Fields(cond)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", cond, err, want)
		}
	}
}

func FuzzParseCond(f *testing.F) {
	for _, s := range []string{"if TRUE", "unless { path_beg /a } || !METH_GET", "if { hdr_cnt(x) gt 1 } { src 10/8 }"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := ctx()
		c.Files = nowhere{}
		acl.ParseCond(c, strings.Fields(s))
	})
}

// nowhere has no files.
type nowhere struct{}

func (nowhere) Open(name string) (fs.File, error) { return nil, fs.ErrNotExist }
