package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// A value that a command has set, and configurations that follow: one that says
// nothing new of it leaves it, one that does wins, and from then on the file is
// what counts. So do a command after that, and the same configuration again.
func TestCommandThenConfiguration(t *testing.T) {
	p := freePorts(t, 1)
	for _, c := range []struct {
		name, command, again string // again is another command of the kind
		base, third          string // what the file says: parts of the server line, of the frontend, or after "global"
		probe                func(b *bed) string
		byBase, byCommand    string
		byThird, byAgain     string
	}{
		{"weight", "set server b/s1 weight 5", "set weight b/s1 7", "s1 192.0.2.1:1 weight 10", "s1 192.0.2.1:1 weight 20",
			func(b *bed) string { return fmt.Sprint(b.s1().State().UserWeight) }, "10", "5", "20", "7"},
		{"address", "set server b/s1 addr 192.0.2.9 port 9", "set server b/s1 addr 192.0.2.8 port 8", "s1 192.0.2.1:1", "s1 192.0.2.3:3",
			func(b *bed) string { return b.s1().Addr().String() }, "192.0.2.1:1", "192.0.2.9:9", "192.0.2.3:3", "192.0.2.8:8"},
		{"maxconn of a server", "set maxconn server b/s1 5", "set maxconn server b/s1 7", "s1 192.0.2.1:1 maxconn 10", "s1 192.0.2.1:1 maxconn 20",
			func(b *bed) string { return fmt.Sprint(b.s1().Limit.Load()) }, "10", "5", "20", "7"},
		{"maxconn of a frontend", "set maxconn frontend web 5", "set maxconn frontend web 7", "maxconn 10", "maxconn 20",
			func(b *bed) string { return fmt.Sprint(b.w.Snapshot().Frontends["web"].FE.Limit.Load()) }, "10", "5", "20", "7"},
		{"maxconn of the process", "set maxconn global 50", "set maxconn global 70", "global maxconn 100", "global maxconn 200",
			func(b *bed) string { return fmt.Sprint(b.w.MaxConn.Load()) }, "100", "50", "200", "70"},
		{"state", "set server b/s1 state maint", "set server b/s1 state drain", "s1 192.0.2.1:1", "",
			func(b *bed) string {
				switch a := b.s1().State().Admin; {
				case a&server.ForcedMaint != 0:
					return "maint"
				case a&server.ForcedDrain != 0:
					return "drain"
				}
				return "ready"
			}, "ready", "maint", "", "drain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 1)
			b.n = 0
			text := func(x string, timeout int) string {
				global, fe, srv := "", "", x
				if g, is := strings.CutPrefix(x, "global "); is {
					global, srv = " "+g+"\n", "s1 192.0.2.1:1"
				} else if !strings.HasPrefix(x, "s1 ") {
					fe, srv = " "+x+"\n", "s1 192.0.2.1:1"
				}
				return "global\n stats socket " + b.sock + " level admin\n" + global + head + fmt.Sprintf(" timeout queue %ds\nfrontend web\n bind 127.0.0.1:%d\n%s", timeout, p[0], fe) +
					"backend b\n server " + srv + "\n server s2 192.0.2.2:2\n"
			}
			want := func(when, v string) {
				t.Helper()
				if got := c.probe(b); got != v {
					t.Errorf("%s: %s, want %s", when, got, v)
				}
			}
			b.start(text(c.base, 1))
			want("at first", c.byBase)
			b.command(c.command)
			want("after the command", c.byCommand)
			b.apply(text(c.base, 2))
			want("after a configuration that says nothing new", c.byCommand)
			b.apply(text(c.base, 2))
			want("after the same configuration", c.byCommand)
			if c.third != "" {
				b.apply(text(c.third, 2))
				want("after a configuration that says something new", c.byThird)
				b.apply(text(c.third, 3))
				want("and one more", c.byThird)
				b.command(c.again)
				want("after another command", c.byAgain)
				b.apply(text(c.base, 3))
				want("after the first configuration again", c.byBase)
				return
			}
			b.command(c.again)
			want("after another command", c.byAgain)
			b.apply(text(c.base, 3))
			want("after another configuration that says nothing new", c.byAgain)
		})
	}
}

func (b *bed) s1() *server.Server { return b.w.Snapshot().Backends["b"].BE.Server("s1") }
