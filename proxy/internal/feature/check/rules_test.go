package check

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

func TestRuleErrors(t *testing.T) {
	const expect = "'tcp-check expect' : "
	for _, c := range []struct{ line, want string }{
		{"option tcp-check x", "'option tcp-check' cannot handle unexpected argument 'x'."},
		{"tcp-check", "'tcp-check' only supports 'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var-fmt(*)'"},
		{"tcp-check comment", "'tcp-check comment' : expects a string as argument."},
		{"tcp-check connect port", "'port' expects a port number or a sample expression as argument."},
		{"tcp-check connect port nosuch", "error detected while parsing port expression : unknown fetch method 'nosuch'."},
		{"tcp-check connect port path", "error detected while parsing port expression : fetch method 'path' extracts information from 'HTTP request headers', none of which is available here."},
		{"tcp-check connect proto h2", "'proto' : invalid MUX protocol 'h2' for tcp-check."},
		{"tcp-check connect proto", "'proto' expects a MUX protocol as argument."},
		{"http-check connect proto none", "'proto' : invalid MUX protocol 'none' for http-check."},
		{"http-check connect proto nosuch", "'proto' : unknown MUX protocol 'nosuch'."},
		{"http-check connect proto fcgi", "not supported by Forebay yet"},
		{"tcp-check send x\n tcp-check connect", "first step MUST also be a 'connect'"},
		{"tcp-check send", "'tcp-check send' : 'string' expects a send as argument."},
		{"tcp-check send a b", "'tcp-check send' : expects 'comment' but got 'b' as argument."},
		{"tcp-check send a comment", "'tcp-check send' : 'comment' expects a string as argument."},
		{"tcp-check send-lf %[path]", "'%[path]' invalid log-format string (sample fetch <path> may not be reliably used here"},
		{"tcp-check send-binary 123", "'123' invalid binary string (an even number of hex digit is expected)."},
		{"tcp-check send-binary 1z", "'1z' invalid binary string (an hex digit is expected (found 'z'))."},
		{"tcp-check expect", expect + "expects at least a matching pattern as arguments."},
		{"tcp-check expect comment x", expect + "expects at least a matching pattern as arguments."},
		{"tcp-check expect string", expect + "'string' expects a <pattern> as argument."},
		{"tcp-check expect string a string b", expect + "only on pattern expected."},
		{"tcp-check expect string a junk", expect + "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment but got 'junk'"},
		{"tcp-check expect status 200", "but got 'status' as argument."},
		{"tcp-check expect ! min-recv 3 string a", expect + "[!] not supported with 'min-recv'."},
		{"tcp-check expect !on-error x string a", expect + "[!] not supported with 'on-error'."},
		{"tcp-check expect min-recv", expect + "'min-recv' expects a integer as argument."},
		{"tcp-check expect min-recv -2 string a", expect + "'min-recv' expects -1 or an integer from 0 to INT_MAX."},
		{"tcp-check expect binary 123", expect + "invalid binary string (an even number of hex digit is expected)."},
		{"tcp-check expect rbinary [", expect + "regex '[' is invalid"},
		{"tcp-check expect on-success", expect + "'on-success' expects a string as argument."},
		{"tcp-check expect on-error %[path] string a", "invalid log-format string"},
		{"tcp-check expect status-code", expect + "'status-code' expects an expression as argument."},
		{"tcp-check expect status-code nosuch string a", expect + "error detected while parsing status-code expression : unknown fetch method 'nosuch'."},
		{"tcp-check expect tout-status L7OK string a", expect + "'tout-status' only supports 'L4TOUT', 'L6TOUT' or 'L7TOUT' status (got 'L7OK')."},
		{"http-check expect hdr name-lf -m reg x", "'hdr': log-format string is not supported with a regex matching method."},
		{"http-check expect hdr name x value", "'hdr' expect a pattern with the value keyword."},
		{"http-check expect hdr name -m x y", "'hdr' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got 'x')."},
		{"http-check send hdr A \"x\\r\\ny\"", "invalid value of header 'A'"},
		{"option tcp-check\n server s 127.0.0.1:1 check check-proto h2", "uses an incompatible MUX protocol for the selected check type"},
	} {
		s, d := bed.Load(2, defaults+"backend b\n "+c.line+"\n")
		text := fmt.Sprint(d.All())
		if s != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s\nwant %s", c.line, text, c.want)
		}
	}
	for _, c := range []struct{ lines, want string }{
		{"tcp-check send x", "backend 'b' uses tcp-check rules without 'option tcp-check', so the rules are ignored."},
		{"option tcp-check\n http-check send\n option httpchk\n tcp-check send x", "uses tcp-check rules without 'option tcp-check'"},
		{"option httpchk\n tcp-check send x\n http-check send\n option tcp-check", "uses http-check rules without 'option httpchk'"},
	} {
		s, d := bed.Load(2, defaults+"backend b\n "+c.lines+"\n")
		if text := fmt.Sprint(d.All()); s == nil || len(d.All()) != 1 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s", c.lines, text)
		}
	}
}

// A section that has rules of its own has none of its defaults.
func TestRulesOfDefaults(t *testing.T) {
	s := bed.MustLoad(t, 2, defaults+" option tcp-check\n tcp-check send d\n tcp-check comment of-defaults\nbackend a\nbackend b\n tcp-check send own\n")
	for name, want := range map[string]string{"a": "d 1 ", "b": "own 1 "} {
		q := rules.Of(s.Backends[name]).tcp.sequence
		if got := fmt.Sprintf("%s %d %s", q[1].data, q[1].number, q[1].comment); len(q) != 2 || got != want {
			t.Errorf("%s: %d steps, %s, want %s", name, len(q), got, want)
		}
	}
}

// What formats make of requests: nothing in them becomes another line.
func TestFormatsInRequests(t *testing.T) {
	for i, c := range []struct{ rules, want string }{
		{"http-check send uri-lf \"/%[var(check.a)]?b\" hdr Host \"%[srv_name].%[be_name]\" hdr X \"%[var(check.none)]\" hdr Y \"a b\" body-lf \"b=%[var(check.a)]\" ver HTTP/1.1 meth PUT",
			"PUT /a%?b HTTP/1.1\r\nhost: s.BE\r\ny: a b\r\ncontent-length: 4\r\nconnection: close\r\n\r\nb=a%"},
		{"http-check send uri-lf \"%[var(check.none)]\" body-lf \"%[var(check.none)]\"", "OPTIONS / HTTP/1.0\r\n\r\n"},
		{"http-check send uri-lf \"/%[var(check.evil)]\"", "info: \"http-check send : a value of the request has characters that do not belong there\""},
		{"http-check send hdr X \"%[var(check.evil)]\"", "info: \"http-check send : a value of the request has characters that do not belong there\""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, says(ok200))
			name := fmt.Sprintf("lf%d", i)
			start(t, defaults+"backend "+name+"\n option log-health-checks\n option httpchk\n http-check set-var(check.a) str(a%)\n http-check set-var(check.evil) str(\"a\\r\\nb: c\")\n "+
				c.rules+"\n server s "+p.addr+" check\n")
			line := await(t, name, 1)[0]
			if strings.HasPrefix(c.want, "info") {
				if !strings.Contains(line, c.want) {
					t.Error(line)
				}
				return
			}
			if got := <-p.seen; got != strings.ReplaceAll(c.want, "BE", name) {
				t.Errorf("%q", got)
			}
		})
	}
}

// mail speaks SMTP as far as it is asked.
func mail(greeting string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, greeting+"\r\n")
		br := bufio.NewReader(c)
		for {
			line, err := br.ReadString('\n')
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "EHLO "):
				io.WriteString(c, "250-here, "+strings.TrimSpace(line[5:])+"\r\n250 SIZE 1000\r\n")
			default:
				io.WriteString(c, "500 what?\r\n")
			}
		}
	}
}

// The examples of the page load, and do what they say.
func TestPage(t *testing.T) {
	text := bed.Examples(t, "README.md")
	bed.Sound(t, "defaults\n mode http\n timeout connect 1s\n timeout server 1s\n"+text)
	_, example, _ := strings.Cut(text, "backend mail\n")
	for i, c := range []struct{ greeting, want string }{
		{"220 here", `succeeded, reason: Layer7 check passed, code: 250, info: "SMTP is ready", check duration: Nms, status: 2/2 UP.`},
		{"554 go away", `failed, reason: Layer7 invalid response, info: "greeting: 554", check duration: Nms, status: 0/2 DOWN.`},
	} {
		p := listen(t, mail(c.greeting))
		_, port, _ := net.SplitHostPort(p)
		name := fmt.Sprintf("mail%d", i)
		lines := strings.NewReplacer("port 25", "port "+port, "192.0.2.21:25", p).Replace(example)
		start(t, defaults+"backend "+name+"\n option log-health-checks\n"+lines)
		checkLines(t, await(t, name, 1), []string{"notice Health check for server " + name + "/m1 " + c.want})
	}
}

// listen is a server that speaks first.
func listen(t *testing.T, do func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); do(c) }()
		}
	}()
	return l.Addr().String()
}
