package conf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

// input is a configuration with an environment.
func input(text string, env ...string) Input {
	in := Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Files: someFiles, Threads: 2, MaxConn: 1000}
	in.Options.Env = config.NewEnvironment(env)
	return in
}

// Variables in addresses need no quotes.
func TestAddressVariables(t *testing.T) {
	in := input(`
global
  setenv PORT 8001
  stats socket $SOCK
frontend f
  bind $HOST:$PORT
  bind ${HOST}:900$X-900${X}
  bind $WHOLE,:$PORT
backend b
  server a $HOST:$PORT
  server c ${HOST}:+1
  server d "$HOST":"$PORT"
  server-template t 2 $NAME:9000
`, "HOST=192.0.2.1", "WHOLE=192.0.2.2:81", "NAME=app1", "SOCK=/run/x.sock", "X=1")
	s, d := Load(in)
	if s == nil {
		t.Fatal(d.All())
	}
	var got []string
	for _, b := range s.Frontends["f"].Binds {
		got = append(got, b.Addr.String())
	}
	for _, l := range s.Backends["b"].ServerLines {
		got = append(got, l.Settings.Addr.String())
	}
	for _, b := range Runtime.Of(s.Global).Binds {
		got = append(got, b.Addr.String())
	}
	want := "[192.0.2.1:8001 192.0.2.1:9001 192.0.2.2:81 0.0.0.0:8001 192.0.2.1:8001 192.0.2.1:0 192.0.2.1:8001 192.0.2.7:9000 192.0.2.7:9000 unix@/run/x.sock]"
	if text := strings.ReplaceAll(fmt.Sprint(got), " /run", " unix@/run"); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	in = input("frontend f\n bind $NONE\n")
	if s, d := Load(in); s != nil || !strings.Contains(fmt.Sprint(d.All()), "'$NONE' resolves to an empty address (environment variable missing?)") {
		t.Error(d.All())
	}
}

// With -dr a server whose name has no address starts without one.
func TestNoResolve(t *testing.T) {
	const text = "backend b\n server a nowhere.invalid:80\n server b nowhere.invalid:80 init-addr libc\n server c app1:80\nfrontend f\n bind :80\n"
	in := input(text)
	if s, d := Load(in); s != nil || !strings.Contains(fmt.Sprint(d.All()), "could not resolve address 'nowhere.invalid'.") {
		t.Error(d.All())
	}
	in = input(text)
	in.Switches = []string{"dr"}
	s, d := Load(in)
	if s == nil {
		t.Fatal(d.All())
	}
	for _, l := range s.Backends["b"].ServerLines {
		if l.Settings.Addr.IsValid() != (l.Name == "c") {
			t.Errorf("%s: %s", l.Name, l.Settings.Addr)
		}
	}
	if n := strings.Count(fmt.Sprint(d.All()), "disabling server."); n != 2 {
		t.Error(d.All())
	}
}

// Binds of one address are told apart.
func TestTwins(t *testing.T) {
	s := mustLoad(t, "frontend f\n bind *:80\n bind :80\n bind :81\nfrontend g\n bind :80\nfrontend h\n disabled\n bind :80\n")
	seen := map[string]bool{}
	for _, p := range s.Proxies {
		for _, b := range p.Binds {
			if p.Disabled {
				continue
			}
			want := 3
			if b.Addr.Port == 81 {
				want = 1
			}
			if seen[b.Key()] || b.Twins != want {
				t.Errorf("%s: %+v", b.Key(), b)
			}
			seen[b.Key()] = true
		}
	}
}
