package check_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// Servers of these tests. Whoever says something waits for the other side to close.

func speaks(text string) func(net.Conn) {
	return func(c net.Conn) { io.WriteString(c, text); io.Copy(io.Discard, c) }
}

func speaksAndLeaves(text string) func(net.Conn) {
	return func(c net.Conn) { io.WriteString(c, text) }
}

func hears(n int, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, n)); err == nil {
			then(c)
		}
	}
}

func resets(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

func echoes(c net.Conn) {
	b := make([]byte, 100)
	n, _ := c.Read(b)
	c.Write(bytes.ToUpper(b[:n]))
}

func answers(text string) func(net.Conn) {
	return func(c net.Conn) { c.Read(make([]byte, 4096)); io.WriteString(c, text) }
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: one, two\r\n\r\nhello"

// What is said of a check is what HAProxy says of the same server, word by word. SHUT
// is a port where nobody listens.
func TestChecksBesideHAProxy(t *testing.T) {
	const tcp, http = "option tcp-check\n tcp-check ", "option httpchk\n http-check "
	cases := []struct {
		rules string
		peer  func(net.Conn) // nil: nobody listens
	}{
		{"", nil}, {"", speaks("")}, {"option tcp-check", nil}, {"option tcp-check", speaks("")},
		{tcp + "connect", nil}, {tcp + "connect port SHUT comment \"hi there\"", speaks("")},
		{tcp + "connect\n tcp-check connect\n tcp-check connect port SHUT", speaks("")},
		{tcp + "set-var(check.p) int(SHUT)\n tcp-check connect port var(check.p)", speaks("")},
		{tcp + "connect port var(check.p)", speaks("")}, {tcp + "connect linger", speaks("")}, {tcp + "connect ssl", speaks("")},
		{tcp + "set-var(check.a) int(1)", speaks("")}, {tcp + "set-var(check.a) int(1)", nil},
		{tcp + "send PING", speaks("")}, {tcp + "send x\n tcp-check set-var(check.a) int(1)", speaks("")},
		{tcp + "send-lf \"%[var(check.x)]\"", speaks("")}, {tcp + "send-lf \"%[var(check.x)]\"\n tcp-check expect string abc", speaks("abc")},
		{tcp + "send-lf \"hello %[srv_name] %[be_name]\\r\\n\"\n tcp-check expect string \"HELLO S T\"", echoes},
		{tcp + "send-binary 6A6b\n tcp-check expect binary 4a4B", echoes}, {tcp + "send-binary-lf \"6%[str(1)]62\"\n tcp-check expect string AB", echoes},
		{tcp + "send-binary-lf zz", speaks("")},
		{tcp + "expect string abc", speaks("")}, {tcp + "expect string abc", speaksAndLeaves("")}, {tcp + "expect string abc", speaks("zabcz")},
		{tcp + "expect string abc", speaks("zzzz")}, {tcp + "expect string abc", speaksAndLeaves("zzz")}, {tcp + "expect string abc", speaksAndLeaves("z")},
		{tcp + "expect string abc comment cc", speaksAndLeaves("")}, {tcp + "expect comment cc string abc", speaksAndLeaves("zzz")},
		{tcp + "expect string \"a'b\\\"c\"", speaksAndLeaves("zzz")}, {tcp + "expect string \"a\\r\\n\\x01b\"", speaksAndLeaves("z")},
		{tcp + "expect string " + strings.Repeat("x", 200), speaksAndLeaves("z")},
		{tcp + "expect ! string zzz", speaksAndLeaves("yzzzy")}, {tcp + "expect ! string zzz", speaksAndLeaves("y")}, {tcp + "expect ! string zzz", speaks("yyyyyy")},
		{tcp + "expect ! string zzz", speaksAndLeaves("")}, {tcp + "expect min-recv 0 ! string zzz", speaks("yyyyyy")},
		{tcp + "expect min-recv 0 string zzz", speaks("yyyyyy")}, {tcp + "expect min-recv 0 string zzz", speaks("y")},
		{tcp + "expect min-recv 5 string abc", speaks("abc")}, {tcp + "expect min-recv 5 string abc", speaksAndLeaves("abc")},
		{tcp + "expect rstring ^a.*c$", speaks("abc")}, {tcp + "expect rstring ^b", speaksAndLeaves("abc")}, {tcp + "expect rstring ^b", speaks("abc")},
		{tcp + "expect rstring a.c", speaksAndLeaves("a\nc")}, {tcp + "expect rstring b", speaksAndLeaves("a\x00b")},
		{tcp + "expect binary 616264", speaksAndLeaves("abc")}, {tcp + "expect binary 616264", speaks("")}, {tcp + "expect binary 6100", speaks("a\x00")},
		{tcp + "expect rbinary ^6A$", speaks("j")}, {tcp + "expect rbinary ^6a$", speaksAndLeaves("j")}, {tcp + "expect rbinary ^62", speaks("abc")}, {tcp + "expect rbinary 6100", speaks("a\x00")},
		{tcp + "set-var(check.x) str(abc)\n tcp-check expect string-lf %[var(check.x)]", speaks("zabcz")},
		{tcp + "set-var(check.x) str(abc)\n tcp-check expect string-lf %[var(check.x)]", speaksAndLeaves("zabz")},
		{tcp + "expect string-lf %[var(check.x)]", speaks("abc")}, {tcp + "expect string-lf x%[srv_name]", speaks("")},
		{tcp + "expect binary-lf 6162%[str(63)]", speaks("abc")}, {tcp + "expect binary-lf 6162%[str(64)]", speaksAndLeaves("abc")}, {tcp + "expect binary-lf 6162z", speaks("abc")},
		{tcp + "send x\n tcp-check expect string abc", hears(1, resets)},
		{tcp + "comment first\n tcp-check send x\n tcp-check comment second\n tcp-check expect string abc", hears(1, speaksAndLeaves("zzz"))},
		{tcp + "comment first\n tcp-check connect\n tcp-check comment second\n tcp-check expect string abc", speaks("")},
		{tcp + "expect on-error \"bad %[srv_name] %[res.payload(0,2)]\" status-code \"res.payload(0,3)\" string abc", speaksAndLeaves("550 no")},
		{tcp + "expect on-success \"good %[srv_name] %[res.payload(4,0)] %[res.len]\" status-code \"res.payload(0,3)\" comment c rstring ^2", speaks("250 yes")},
		{tcp + "expect on-error x comment cc string abc", speaksAndLeaves("")}, {tcp + "expect on-success \"%[res.payload_lv(0,1)]\" rstring .", speaks("\x03abcd")},
		{tcp + "expect on-success \"\\r\\n\\\"\" rstring .", speaks("abcd")}, {tcp + "expect status-code str(nope) string abc", speaks("abc")},
		{tcp + "expect ok-status L7OKC string abc", speaks("abc")}, {tcp + "expect ok-status L6OK string abc", speaks("abc")}, {tcp + "expect ok-status L4OK on-success huh string abc", speaks("abc")},
		{tcp + "expect error-status L7STS status-code int(77) string abc", speaksAndLeaves("xyz")}, {tcp + "expect error-status L7OKC status-code int(77) string abc", speaksAndLeaves("xyz")},
		{tcp + "expect error-status L6RSP string abc", speaksAndLeaves("xyz")}, {tcp + "expect error-status L4CON string abc", speaksAndLeaves("")},
		{tcp + "expect tout-status L4TOUT string abc", speaks("")}, {tcp + "expect tout-status L6TOUT string abc", speaks("")},
		{tcp + "expect string a\n tcp-check expect string b\n tcp-check expect string d", speaks("abcd")},
		{tcp + "expect min-recv 1 ! string d\n tcp-check expect string f", func(c net.Conn) { io.WriteString(c, "abc"); echoes(c) }},
		{tcp + "expect string abc", speaksAndLeaves(strings.Repeat("x", 40000) + "abc")},
		{"option ssl-hello-chk", speaks("")}, {"option ssl-hello-chk", answers("HTTP/1.0")}, {"option ssl-hello-chk", answers("")},

		{http + "send uri-lf \"%[var(check.no)]\" body-lf \"%[var(check.no)]\"", answers(fine)},
		{http + "expect on-success \"ok %[status] %[res.hdr(x-a)] %[res.payload(0,3)]\" status-code int(42) status 200", answers(fine)},
		{http + "expect on-error \"bad %[status] %[res.hdr(x-a)]\" status-code int(42) status 404", answers(fine)},
		{http + "expect on-error \"bad %[status]\" comment cc string zz", answers(fine)}, {http + "expect on-error x status 200", answers("junk\r\n\r\n")},
		{http + "expect on-error x string a", answers("HTTP/1.0 204 No\r\n\r\n")}, {http + "expect on-error x status 200", speaks("")}, {http + "expect on-error x ! string hel", answers(fine)},
		{http + "expect string-lf \"%[str(hel)]\"", answers(fine)}, {http + "expect string-lf \"%[str(helx)]\"", answers(fine)}, {http + "expect string-lf \"%[var(check.no)]\"", answers(fine)},
		{http + "expect ! string-lf \"%[str(hel)]\"", answers(fine)}, {http + "expect hdr name-lf \"X-%[str(a)]\" value-lf \"%[str(two)]\"", answers(fine)},
		{http + "expect hdr name-lf x value-lf \"%[var(check.no)]\"", answers(fine)}, {http + "expect hdr name-lf \"x-%[str(a)]\" value-lf -m beg \"%[str(tw)]\"", answers(fine)},
		{http + "expect ok-status L7OKC status 200", answers(fine)}, {http + "expect ok-status L6OK status 200", answers(fine)}, {http + "expect error-status L7OKC status 201", answers(fine)},
		{http + "connect comment c1\n http-check send comment c2", nil}, {http + "connect port SHUT", nil}, {http + "expect status 200", answers("HTTP/1.1 500 a\"b\xff\t\r\n\r\n")},
		{http + "connect port int(SHUT)\n http-check send", speaks("")}, {http + "connect proto h1\n http-check send", answers(fine)},
		{http + "disable-on-404\n http-check expect status 200", answers("HTTP/1.0 404 No\r\n\r\n")}, {http + "expect status 200", answers("HTTP/1.0 404 No\r\n\r\n")},
	}
	var text strings.Builder
	text.WriteString(`global
 ssl-server-verify none
 max-spread-checks 10
 log {log} local0
defaults
 mode http
 log global
 option log-health-checks
 timeout client 10s
 timeout server 10s
 timeout connect 5s
 timeout check 700ms
 default-server inter 60s fall 2 rise 2
frontend f
 bind {ready}
`)
	shut := tcptest.Reserve(t)
	for i, c := range cases {
		addr := shut.String()
		if c.peer != nil {
			addr = tcptest.Serve(t, func(conn net.Conn) { defer conn.Close(); c.peer(conn) })
		}
		fmt.Fprintf(&text, "backend t%d\n %s\n server s %s check\n", i, strings.ReplaceAll(c.rules, "SHUT", fmt.Sprint(shut.Port())), addr)
	}
	var said [2]map[string]string
	for i, s := range oracle.Run(t, text.String()) {
		said[i] = map[string]string{}
		for len(said[i]) < len(cases) {
			if m := healthCheck.FindStringSubmatch(s.Line("log")); m != nil && said[i][m[1]] == "" {
				said[i][m[1]] = took.ReplaceAllString(m[2], "")
			}
		}
	}
	for i, c := range cases {
		name := fmt.Sprintf("t%d", i)
		ours, theirs := said[0][name], said[1][name]
		for mark, reason := range wordedOtherwise {
			if strings.Contains(theirs, mark) && strings.Contains(ours, mark) && reason != "" {
				ours = theirs
			}
		}
		if ours != theirs {
			t.Errorf("%s\n     got %s\nHAProxy: %s", c.rules, ours, theirs)
		}
	}
}

// wordedOtherwise is where we say more.
var wordedOtherwise = map[string]string{"SSL handshake failure": "crypto/tls gives a reason"}

var (
	healthCheck = regexp.MustCompile(`Health check for server (t\d+)/s (.*)`)
	took        = regexp.MustCompile(`, check duration: \d+ms`)
)
