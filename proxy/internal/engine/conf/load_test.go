package conf

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// testFiles is a file system that takes absolute names, as the real one does.
type testFiles struct{ fstest.MapFS }

func (f testFiles) Open(name string) (fs.File, error) {
	return f.MapFS.Open(strings.TrimPrefix(name, "/"))
}

var someFiles = testFiles{fstest.MapFS{
	"etc/hosts":       {Data: []byte("127.0.0.1 localhost\n192.0.2.7 app1 # the first\n2001:db8::7 app1 app6\n")},
	"etc/passwd":      {Data: []byte("root:x:0:0::/:/bin/sh\nproxy:x:33:44::/:/bin/false\n")},
	"etc/group":       {Data: []byte("root:x:0:\nproxy:x:44:\n")},
	"503.http":        {Data: []byte("HTTP/1.0 503 Busy\nCache-Control: no-cache\nContent-Length: 5\n\nbusy\n")},
	"nolength.http":   {Data: []byte("HTTP/1.1 503 Busy\r\nX-A: b\r\n\r\nsorry")},
	"short.http":      {Data: []byte("HTTP/1.1 503 Busy\r\nContent-Length: 50\r\n\r\nsorry")},
	"garbage.http":    {Data: []byte("<html>sorry</html>\n\n")},
	"headless.http":   {Data: []byte("HTTP/1.1 503 Busy\r\n")},
	"chunked.http":    {Data: []byte("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	"large.http":      {Data: []byte("HTTP/1.1 503 Busy\r\n\r\n" + strings.Repeat("x", 16384))},
	"empty.http":      {Data: nil},
	"closing.http":    {Data: []byte("HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n")},
	"etc/resolv.conf": {Data: []byte("nameserver 127.0.0.1\n")},
}}

func load(text string) (*stream.Snapshot, *config.Diagnostics) {
	return Load(Input{
		Sources: []*config.File{config.Parse("t.cfg", []byte(text))},
		Files:   someFiles,
		Threads: 2,
		MaxConn: 1000,
	})
}

func mustLoad(t *testing.T, text string) *stream.Snapshot {
	t.Helper()
	s, d := load(text)
	if s == nil {
		t.Fatalf("%s\n%v", text, d.All())
	}
	return s
}

func TestLoad(t *testing.T) {
	s := mustLoad(t, `
global
  maxconn 5000
  tune.bufsize 32k
  tune.cli.max-payload-size 256k
  tune.maxrewrite 20000
  stats socket /run/x.sock mode 660 level admin user proxy group proxy expose-fd listeners
  stats socket 127.0.0.1:9999
  stats timeout 2m
  stats maxconn 3
  node n1
  description one  two
  localpeer me
defaults base
  mode http
  timeout client 5s
  timeout server 6s
  timeout connect 100
  retries 7
  default-server weight 10 maxconn 5
  option dontlognull
  option http-server-close
defaults
  timeout client 1
frontend web from base
  bind :8080,[::1]:8081 name web maxconn 7 backlog 9
  bind 127.0.0.1:9000-9002
  maxconn 50
  no option dontlognull
  default_backend app
  errorfile 503 /503.http
  errorfile 408 /dev/null
  errorloc 502 http://x/
backend app from base
  balance leastconn
  option httpclose
  option redispatch
  option forwardfor except 10.0.0.0/255.0.0.0 header X-Client if-none
  http-reuse always
  server s1 192.0.2.1:80
  server s2 app1:81 weight 3 backup
  server s3 ipv6@app1:82 disabled id 2
  server s4 :+1000
  server s5 192.0.2.1
  server s6 nosuch.invalid:80 init-addr libc,none
  server s7 nosuch.invalid:80 init-addr last,192.0.2.9
  server-template t 2-3 unix@/x
listen both
  bind abns@foo
  server a 192.0.2.1:80
`)
	g := s.Global
	if g.MaxConn != 1000 || g.BufSize != 32768 || g.MaxRewrite != 16384 {
		t.Errorf("%+v", g)
	}
	rt := Runtime.Of(g)
	if len(rt.Binds) != 2 || rt.Timeout != 2*time.Minute || rt.MaxConn != 3 {
		t.Fatalf("%+v", rt)
	}
	if b := rt.Binds[0]; b.Addr.Path != "/run/x.sock" || b.Mode != 0o660 || b.Level != LevelAdmin || b.UID != 33 || b.GID != 44 || !b.ExposeFD {
		t.Errorf("%+v", b)
	}
	if b := rt.Binds[1]; b.Addr.String() != "127.0.0.1:9999" || b.Level != LevelOperator {
		t.Errorf("%+v", b)
	}
	if p := Names.Of(g); p.Node != "n1" || p.Description != "one two" || p.LocalPeer != "me" {
		t.Errorf("%+v", p)
	}
	web, app, both := s.Frontends["web"], s.Backends["app"], s.Backends["both"]
	if web.Mode != stream.HTTP || web.Timeouts.Client != 5*time.Second || web.MaxConn != 50 || web.Has(stream.DontLogNull) || s.Backends[web.DefaultName] != app || web.Has(stream.HTTPClose) {
		t.Errorf("%+v", web)
	}
	var binds []string
	for _, b := range web.Binds {
		binds = append(binds, b.Addr.String())
	}
	if want := []string{"0.0.0.0:8080", "::1:8081", "127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002"}; !reflect.DeepEqual(binds, want) {
		t.Errorf("%q", binds)
	}
	if b := web.Binds[1]; b.Name != "web" || b.MaxConn != 7 || b.Backlog != 9 || b.ID != 2 || web.Binds[2].Backlog != 50 {
		t.Errorf("%+v", b)
	}
	if app.Retries != 7 || app.Redispatch != -1 || app.Balance.Algorithm != "leastconn" || app.Reuse != stream.ReuseAlways ||
		!app.Has(stream.HTTPClose) || app.Has(stream.HTTPServerClose) || !app.Has(stream.DontLogNull) || app.Timeouts.Connect != 100*time.Millisecond {
		t.Errorf("%+v", app)
	}
	if f := app.ForwardFor; f.Header != "x-client" || f.Except.String() != "10.0.0.0/8" || !f.IfNone {
		t.Errorf("%+v", f)
	}
	var servers []string
	for _, l := range app.ServerLines {
		servers = append(servers, l.Name+" "+l.Settings.Addr.String())
	}
	if want := []string{"s1 192.0.2.1:80", "s2 192.0.2.7:81", "s3 2001:db8::7:82", "s4 0.0.0.0:0", "s5 192.0.2.1:0", "s6 -", "s7 192.0.2.9:80", "t2 /x", "t3 /x"}; !reflect.DeepEqual(servers, want) {
		t.Errorf("%q", servers)
	}
	l := app.ServerLines
	if s := l[1].Settings; s.Weight != 3 || s.MaxConn != 5 || !s.Backup || l[0].Settings.Weight != 10 || l[0].Settings.Backup {
		t.Errorf("%+v", s)
	}
	if s := l[3].Settings; !s.MapPort || s.PortOffset != 1000 || !l[4].Settings.MapPort {
		t.Errorf("%+v", s)
	}
	if l[0].ID != 1 || l[1].ID != 3 || l[2].ID != 2 || l[3].ID != 5 || !l[2].Settings.Disabled {
		t.Error(l[0].ID, l[1].ID, l[2].ID, l[3].ID)
	}
	if web.ID != 2 || app.ID != 3 || both.ID != 4 || s.Frontends["both"] != both {
		t.Error(web.ID, app.ID, both.ID)
	}
	if both.Mode != stream.TCP || both.Timeouts.Client != time.Millisecond || both.Balance.Algorithm != "random" {
		t.Errorf("%+v", both)
	}
	r := web.ErrorFiles[503]
	if r.Status != 503 || r.Reason != "Busy" || string(r.Body) != "busy\n" || len(r.Fields) != 2 {
		t.Errorf("%+v", r)
	}
	if !web.ErrorFiles[408].Silent || web.ErrorFiles[502].Status != 302 || app.ErrorFiles != nil {
		t.Error("error files")
	}
}

// TestFullConn compares with what HAProxy 2.6 shows for the same frontends.
func TestFullConn(t *testing.T) {
	s := mustLoad(t, "defaults\n timeout client 1s\nfrontend a\n bind :1001\n default_backend b\nlisten b\n bind :1002\nbackend c\nfrontend d\n maxconn 25\n bind :1003\n default_backend b\n")
	if b, c := s.Backends["b"].FullConn, s.Backends["c"].FullConn; b != 203 || c != 1 {
		t.Error(b, c)
	}
}

func TestNumbers(t *testing.T) {
	s := mustLoad(t, "frontend a\n bind :1001\nlisten b\n bind :1002\nbackend c\n server s1 192.0.2.1:1 id 2\n server s2 192.0.2.1:1\n server-template t 2 192.0.2.1:1\nbackend z\n id 3\nfrontend q\n bind :1003\n")
	var ids []int
	for _, p := range s.Proxies {
		ids = append(ids, p.ID)
	}
	for _, l := range s.Backends["c"].ServerLines {
		ids = append(ids, l.ID)
	}
	if want := []int{2, 4, 5, 3, 7, 2, 3, 4, 5}; !reflect.DeepEqual(ids, want) { // as HAProxy
		t.Error(ids, want)
	}
}

func TestErrorFiles(t *testing.T) {
	for name, want := range map[string]string{
		"short":    "content-length says 50, the body has 5 bytes",
		"garbage":  "invalid version",
		"headless": "no empty line after the headers",
		"chunked":  "transfer-encoding is not possible here",
		"large":    "larger than 15360 bytes",
	} {
		_, d := load("backend b\n errorfile 503 /" + name + ".http\n")
		if text := d.All()[0].String(); !strings.Contains(text, want) || !strings.Contains(text, "errorfile : error parsing file '/"+name+".http'") {
			t.Errorf("%s: %s", name, text)
		}
	}
	s := mustLoad(t, "backend b\n errorfile 503 /nolength.http\n errorfile 500 /empty.http\n errorfile 502 /closing.http\n")
	f := s.Backends["b"].ErrorFiles
	if r := f[503]; string(r.Body) != "sorry" || string(r.Fields[0].Value) != "5" || string(r.Fields[1].Name) != "x-a" {
		t.Errorf("%+v", r)
	}
	if !f[500].Silent || !f[502].Close {
		t.Error("empty and closing")
	}
}

// TestDefaultsAreIndependent checks that sections do not share what they add to.
func TestDefaultsAreIndependent(t *testing.T) {
	s := mustLoad(t, "defaults d\n errorfile 503 /503.http\n default-server weight 5\nbackend a from d\n errorloc 500 /x\n default-server weight 7\n server s 192.0.2.1:1\nbackend b from d\n server s 192.0.2.1:1\n")
	a, b := s.Backends["a"], s.Backends["b"]
	if len(a.ErrorFiles) != 2 || len(b.ErrorFiles) != 1 || a.ServerLines[0].Settings.Weight != 7 || b.ServerLines[0].Settings.Weight != 5 {
		t.Errorf("%v %v", a.ErrorFiles, b.ErrorFiles)
	}
}

func TestOptionPrefixes(t *testing.T) {
	s := mustLoad(t, "defaults\n option abortonclose\n option tcpka\nbackend a\n no option abortonclose\nbackend b\n default option abortonclose\nbackend c\nbackend d\n option http-keep-alive\n option httpclose\n no option httpclose\n")
	for name, want := range map[string][2]bool{"a": {false, true}, "b": {false, false}, "c": {true, false}} {
		p := s.Backends[name]
		if p.Has(stream.AbortOnClose) != want[0] || (p.NoOptions&stream.AbortOnClose != 0) != want[1] || !p.Has(stream.SrvtcpKA) {
			t.Errorf("%s: %v %v", name, p.Options, p.NoOptions)
		}
	}
	if d := s.Backends["d"]; d.Has(stream.HTTPClose) || d.Has(stream.HTTPKeepAlive) {
		t.Error(d.Options)
	}
}

func TestZeroWarning(t *testing.T) {
	if _, d := load("global\n zero-warning\nfrontend f\n"); !d.HasErrors() {
		t.Error("a warning is no error")
	}
}

func TestParseServer(t *testing.T) {
	s := mustLoad(t, "backend b\n default-server weight 50\n")
	c := &Ctx{Loading: &Loading{Snap: s, Files: someFiles}}
	set, err := c.ParseServer(s.Backends["b"], "x", []string{"192.0.2.1:80", "weight", "7"})
	if err != nil || set.Weight != 7 || set.Addr.String() != "192.0.2.1:80" {
		t.Errorf("%+v %v", set, err)
	}
	for _, words := range []string{"app1:80", "192.0.2.1:80 init-addr none", "192.0.2.1:80 foo"} {
		if _, err := c.ParseServer(s.Backends["b"], "x", strings.Fields(words)); err == nil {
			t.Errorf("%s: accepted", words)
		}
	}
}
