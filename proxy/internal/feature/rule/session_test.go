package rule_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// tcp-request session rules run once a connection, when its handshakes are done. What
// they reject is no session, and leaves no line.
func TestSessionRules(t *testing.T) {
	const (
		front = "10.1.0.1:80"
		get   = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
		proxy = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
		told  = "bind 10.1.0.1:80 accept-proxy\n"
		plain = "bind 10.1.0.1:80\n"
	)
	for name, c := range map[string]struct {
		lines    string
		send     string
		rejected bool
		want     string // in the first request that the server gets
	}{
		"reject":                 {lines: plain + "tcp-request session reject", send: get, rejected: true},
		"reject the silent":      {lines: plain + "tcp-request session reject", rejected: true},
		"tcp":                    {lines: "mode tcp\n" + plain + "tcp-request session reject", rejected: true},
		"accept ends it":         {lines: plain + "tcp-request session accept\ntcp-request session reject if TRUE", send: get, want: get},
		"behind connection":      {lines: plain + "tcp-request connection accept\ntcp-request session reject", send: get, rejected: true},
		"who the proxy says":     {lines: told + "tcp-request session reject if { src 192.0.2.1 }", send: proxy + get, rejected: true},
		"not before it says so":  {lines: told + "tcp-request connection reject if { src 192.0.2.1 }", send: proxy + get, want: get},
		"someone else":           {lines: told + "tcp-request session reject if { src 192.0.2.7 }", send: proxy + get, want: get},
		"variables":              {lines: told + "tcp-request session set-var(sess.a) src\ntcp-request session set-var-fmt(sess.b) %[src]:%[src_port]\ntcp-request session set-var(sess.c) int(1)\ntcp-request session unset-var(sess.c)\nhttp-request set-header x %[var(sess.a)]/%[var(sess.b)]/%[var(sess.c,none)]", send: proxy + get, want: "x: 192.0.2.1/192.0.2.1:1/none\r\n"},
		"once a connection":      {lines: plain + "tcp-request session set-var(sess.n) var(sess.n,0),add(1)\nhttp-request set-header x %[var(sess.n)]", send: get + get, want: "x: 1\r\n"},
		"silent-drop":            {lines: plain + "tcp-request session silent-drop", send: get, rejected: true},
		"tcp waits for no byte":  {lines: "mode tcp\n" + plain + "tcp-request session set-var(sess.n) int(1)", want: ""},
		"condition of no use":    {lines: plain + "tcp-request session reject if { path / }", send: get, want: get},
		"condition never waits":  {lines: plain + "tcp-request inspect-delay 5s\ntcp-request session reject if WAIT_END", send: get, rejected: true},
		"defaults before itself": {lines: "from d\n" + plain + "tcp-request session reject", send: get, want: get},
	} {
		t.Run(name, func(t *testing.T) {
			lines, from := c.lines, ""
			if rest, ok := strings.CutPrefix(lines, "from d\n"); ok {
				lines, from = rest, " from d"
			}
			to := "b"
			if strings.Contains(lines, "mode tcp") {
				to = "t"
			}
			s := sim.NewStage(t, "global\n log {log} local0\ndefaults d\n mode http\n log global\n timeout client 10s\n timeout server 10s\n timeout connect 5s\n tcp-request session accept\n"+
				"defaults e\n mode http\n log global\n timeout client 10s\n timeout server 10s\n timeout connect 5s\nfrontend f"+from+"\n default_backend "+to+"\n "+strings.ReplaceAll(lines, "\n", "\n ")+
				"\nbackend b from e\n server s1 10.2.0.1:80\nbackend t from e\n mode tcp\n server s1 10.2.0.1:80\n", nil)
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send(c.send)
			s.Pass(10 * time.Millisecond)
			n := s.Frontend("f")
			if c.rejected {
				if !p.Ended() || n.Sessions.Load() != 0 || !h.Idle() {
					t.Errorf("ended %v, %d sessions, server idle %v", p.Ended(), n.Sessions.Load(), h.Idle())
				}
				if d := n.DeniedSess.Load(); d != 1 && !strings.Contains(lines, "silent-drop") {
					t.Errorf("%d denied", d)
				}
				if l := s.Lines(); len(l) > 0 {
					t.Errorf("logged %q", l)
				}
				return
			}
			server := h.Accept()
			s.Pass(10 * time.Millisecond)
			if got := server.Got(); !strings.Contains(got, c.want) {
				t.Errorf("the server got %q, want %q", got, c.want)
			}
			if n.Sessions.Load() != 1 || n.DeniedSess.Load() != 0 {
				t.Errorf("%d sessions, %d denied", n.Sessions.Load(), n.DeniedSess.Load())
			}
		})
	}
}

// The example of the page loads, without a word of complaint.
func TestContentPage(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "## Content")
	var lines strings.Builder
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "    ") {
			lines.WriteString(strings.TrimPrefix(l, "    "))
		}
	}
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("page.cfg", []byte(lines.String()))}, Threads: 1, MaxConn: 100})
	if snap == nil || len(d.All()) > 0 {
		t.Fatalf("%s\n%v", lines.String(), d.All())
	}
	f, b := snap.Frontends["smtp"], snap.Backends["mail"]
	if len(f.SessionRules) != 1 || len(f.ContentRules) != 1 || f.InspectDelay != 3*time.Second || len(b.ResponseContent) != 1 || b.RespInspectDelay != 5*time.Second {
		t.Errorf("%+v", f)
	}
}
