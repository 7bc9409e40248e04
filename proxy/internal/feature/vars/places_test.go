package vars_test

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// Variables are set, as a sample and as a format, and unset, in every rule set. What
// each leaves behind is in the process's.
func TestEveryRuleSet(t *testing.T) {
	for _, c := range []struct{ set, mode, side string }{
		{"tcp-request connection", "tcp", "f"}, {"tcp-request connection", "http", "f"},
		{"tcp-request session", "tcp", "f"}, {"tcp-request session", "http", "f"},
		{"tcp-request content", "tcp", "f"}, {"tcp-request content", "http", "f"},
		{"tcp-request content", "tcp", "b"}, {"tcp-request content", "http", "b"},
		{"tcp-response content", "tcp", "b"}, {"tcp-response content", "http", "b"},
		{"http-request", "http", "f"}, {"http-request", "http", "b"},
		{"http-response", "http", "f"}, {"http-response", "http", "b"},
		{"http-after-response", "http", "f"}, {"http-after-response", "http", "b"},
	} {
		t.Run(c.set+" "+c.mode+" "+c.side, func(t *testing.T) {
			var rules strings.Builder
			for _, action := range []string{
				"set-var(proc.sample) src", "set-var-fmt(proc.format) from-%[src]", "set-var(proc.gone) int(1)", "unset-var(proc.gone)",
				"set-var(sess.n) int(4)", "set-var(proc.seen) var(sess.n),add(1)", "set-var(proc.not,ifset) int(1)",
			} {
				rules.WriteString(" " + c.set + " " + action + "\n")
			}
			of := map[string]string{c.side: rules.String()}
			s := sim.NewStage(t, "global\n set-var proc.gone int(7)\ndefaults\n mode "+c.mode+"\n timeout client 10s\n timeout server 10s\n timeout connect 5s\n"+
				"frontend f\n bind 10.1.0.1:80\n default_backend b\n"+of["f"]+"backend b\n server s1 10.2.0.1:80\n"+of["b"], nil)
			h := s.Listen("10.2.0.1:80")
			h.Serve(func(string) string { return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" })
			p := s.Dial("10.1.0.1:80")
			p.Send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
			p.Head()
			s.Pass(10 * time.Millisecond)
			for n, want := range map[string]string{"proc.sample": "10.", "proc.format": "from-10."} {
				v := s.Worker.Vars.Get(name(t, n))
				if v == nil || !strings.HasPrefix(v.Addr.String()+string(v.Bytes), want) && !strings.HasPrefix(string(v.Bytes), want) {
					t.Errorf("%s is %+v", n, v)
				}
			}
			if v := s.Worker.Vars.Get(name(t, "proc.seen")); v == nil || v.Int != 5 {
				t.Errorf("proc.seen is %+v", v)
			}
			for _, n := range []string{"proc.gone", "proc.not"} {
				if v := s.Worker.Vars.Get(name(t, n)); v != nil {
					t.Errorf("%s is %+v", n, v)
				}
			}
		})
	}
}
