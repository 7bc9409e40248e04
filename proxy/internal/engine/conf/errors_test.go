package conf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

// bad are lines that must be refused, in the section that the text before ">"
// opens, with the message for the line. Where the last field is set, HAProxy 2.6
// takes the line (it reads numbers leniently, or has what Forebay has not), or
// its message stands elsewhere.
var bad = []struct {
	in, text, want string
	ours           bool
}{
	{"global", "nbthread x", "'nbthread' passed a missing or unparsable integer value in 'x'", false},
	{"global", "nbthread 0", "'nbthread' value must be between 1 and 1024 (was 0)", false},
	{"global", "maxconn 10x", "cannot parse 'maxconn' value '10x', an integer is expected.", true},
	{"global", "maxconn", "'maxconn' expects an integer argument.", false},
	{"global", "foo", "unknown keyword 'foo' in 'global' section", false},
	{"global", "maxcon 10", "unknown keyword 'maxcon' in 'global' section; did you mean 'maxconn' maybe ?", false},
	{"global", "tune.cli.max-payload-size 0", "'tune.cli.max-payload-size' expects a positive integer argument of at most 64m.", true},
	{"global", "tune.cli.max-payload-size 1g", "'tune.cli.max-payload-size' expects a positive integer argument of at most 64m.", true},
	{"global", "tune.bufsize 0", "'tune.bufsize' expects a positive integer argument.", false},
	{"global", "tune.maxrewrite -5", "'tune.maxrewrite' expects a positive integer argument.", false},
	{"global", "tune.http.maxhdr 0", "'tune.http.maxhdr' expects a numeric value between 1 and 32767", false},
	{"global", "tune.maxaccept 10 20", "'tune.maxaccept' cannot handle unexpected argument '20'.", false},
	{"global", "stats timeout x", "'stats timeout' : unexpected character 'x'", false},
	{"global", "stats maxconn x", "'stats maxconn' expects a positive value", false},
	{"global", "stats socket", "'stats socket' in global section expects an address or a path to a UNIX socket", false},
	{"global", "stats socket /tmp/x level foo", "'stats socket' : 'level' only supports 'user', 'operator', and 'admin' (got 'foo')", false},
	{"global", "stats bar", "'stats' only supports 'socket', 'maxconn', 'bind-process', 'calculate-max-counters'  and 'timeout' (got 'bar')", false},
	{"global", "node", "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).", false},
	{"global", "description", "'description' expects a string argument.", false},
	{"global", "fronted x", "unknown keyword 'fronted' in 'global' section; did you mean 'frontend' maybe ?", false},
	{"frontend f", "bakend x", "unknown keyword 'bakend' in 'frontend' section; did you mean 'backend' maybe ?", false},
	{"backend b", "listn x", "unknown keyword 'listn' in 'backend' section; did you mean 'listen' maybe ?", false},
	{"defaults", "capture nosuch", "'capture' expects 'cookie' or 'request header' or 'response header'.", false},
	{"defaults", "reqadd x", "The 'reqadd' directive is not supported anymore since HAProxy 2.1. Use 'http-request add-header' instead.", false},
	{"defaults", "mode health", "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.", false},
	{"global", "nbproc 2", "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.", false},
	{"global", "lua-load x", "keyword 'lua-load' of HAProxy 3.4 is not supported by Forebay yet.", false},

	{"defaults", "mode foo", "unknown proxy mode 'foo'.", false},
	{"defaults", "mode log", "mode 'log' of HAProxy 3.4 is not supported by Forebay yet.", false},
	{"defaults", "timeout client", "'timeout client' expects an integer value (in milliseconds)", false},
	{"defaults", "timeout client 10x", "unexpected character 'x' in 'timeout client'", false},
	{"defaults", "timeout foo 10", "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'handshake', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got 'foo')", false},
	{"defaults", "timeout client 100000000000", "timer overflow in argument '100000000000' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)", false},
	{"defaults", "timeout client 10 20", "'timeout client' : unexpected extra argument '20' after value '10'.", false},
	{"defaults", "maxconn x", "'maxconn' expects an integer argument.", true},
	{"defaults", "fullconn", "'fullconn' expects an integer argument.", false},
	{"defaults", "backlog", "'backlog' expects an integer argument.", false},
	{"defaults", "retries", "'retries' expects an integer argument (dispatch counts for one).", false},
	{"defaults", "bind :80", "'bind' not allowed in 'defaults' section.", false},
	{"defaults", "server a 1.2.3.4", "'server' not allowed in 'defaults' section.", false},
	{"defaults", "option", "'option' expects an option name.", false},
	{"defaults", "option foo", "unknown option 'foo'.", false},
	{"defaults", "option abortonclos", "unknown option 'abortonclos'; did you mean 'abortonclose' maybe ?", false},
	{"defaults", "option redispatch x", "'option redispatch' expects an integer argument, found 'x'.", true},
	{"defaults", "option forwardfor x", "'option forwardfor' only supports optional values: 'except', 'header' and 'if-none'.", false},
	{"defaults", "option forwardfor except x", "'option forwardfor except' expects <address>[/mask] as argument.", false},
	{"defaults", "option httpclose x", "'option httpclose' cannot handle unexpected argument 'x'.", false},
	{"defaults", "no option foo", "negation/default is not supported for option 'foo'.", false},
	{"defaults", "no option forwardfor", "negation/default is not supported for option 'forwardfor'.", false},
	{"defaults", "option checkcache", "option 'checkcache' of HAProxy 3.4 is not supported by Forebay yet.", true},
	{"defaults", "http-reuse foo", "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.", false},
	{"defaults", "balance foo", "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hash', 'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options.", false},
	{"defaults", "balance random(0)", "balance random : number of draws must be at least 1.", false},
	{"defaults", "balance sticky", "algorithm 'balance sticky' of HAProxy 3.4 is not supported by Forebay yet.", true},
	{"defaults", "errorfile 404", "errorfile : expects <status_code> and <file> as arguments.", false},
	{"defaults", "errorfile 404 /nonexist", "errorfile : error opening file '/nonexist'.", false},
	{"defaults", "errorfile 299 /etc/passwd", "errorfile : status code '299' not handled.", false},
	{"defaults", "monitor-uri", "'monitor-uri' expects an URI.", false},
	{"defaults", "monitor fail", "'monitor' not allowed in 'defaults' section.", false},
	{"defaults", "default_backend", "'default_backend' expects a backend name.", false},
	{"defaults", "rate-limit foo", "'rate-limit' only supports 'sessions' (got 'foo')", false},
	{"defaults", "rate-limit sessions", "'rate-limit sessions' expects expects an integer value (in sessions/second)", false},
	{"defaults", "rate-limit sessions 5x", "'rate-limit sessions' : unexpected character 'x' in integer value '5x'", false},
	{"defaults", "id 5", "'id' not allowed in 'defaults' section.", false},
	{"defaults", "description x", "'description' not allowed in 'defaults' section.", false},
	{"defaults", "disabled x", "'disabled' cannot handle unexpected argument 'x'.", false},
	{"defaults", "clitimeout 5", "the 'clitimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout client'.", false},
	{"defaults", "redispatch", "The 'redispatch' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.", false},

	{"frontend f", "bind", "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.", false},
	{"frontend f", "bind :", "'bind' : missing port specification in ':'", false},
	{"frontend f", "bind :x", "'bind' : invalid character 'x' in port number 'x' in ':x'", false},
	{"frontend f", "bind :0", "'bind' : invalid port '0'", false},
	{"frontend f", "bind :80 foo", "'bind :80' in section 'frontend': unknown keyword 'foo'; did you mean 'tfo' maybe ?", false},
	{"frontend f", "bind :80 name", "'bind :80' in section 'frontend' : 'name' : missing name", false},
	{"frontend f", "bind :80 maxconn", "'bind :80' in section 'frontend' : 'maxconn' : missing value", false},
	{"frontend f", "bind :80 maxconn x", "'bind :80' in section 'frontend' : 'maxconn' : expects an integer argument, found 'x'", true},
	{"frontend f", "bind :80 level foo", "'bind :80' in section 'frontend' : 'level' only supports 'user', 'operator', and 'admin' (got 'foo')", false},
	{"frontend f", "bind :80 ssl", "'bind :80' in section 'frontend' : option 'ssl' of HAProxy 3.4 is not supported by Forebay yet.", true},
	{"frontend f", "bind :80 id 0", "'bind :80' in section 'frontend' : 'id' : custom id has to be > 0", false},
	{"frontend f", "bind 1.2.3.4", "'bind' : missing port specification in '1.2.3.4'", false},
	{"frontend f", "bind :80-70", "'bind' : invalid port range '80-70'", false},
	{"frontend f", "bind udp@:80", "'bind' : dgram-type address not acceptable in 'udp@:80'", false},
	{"frontend f", "bind quic4@:80", "'bind' : address type 'quic4' of HAProxy 3.4 is not supported by Forebay yet in 'quic4@:80'", false},
	{"frontend f", "server a 1.2.3.4", "'server' not allowed because frontend 'f' has no backend capability.", false},
	{"frontend f", "default_backend x y", "'default_backend' cannot handle unexpected argument 'y'.", false},
	{"frontend f", "id x", "custom id has to be > 0.", false},
	{"frontend f", "id 0", "custom id has to be > 0.", false},
	{"frontend f", "monitor-uri /x y", "'monitor-uri' cannot handle unexpected argument 'y'.", false},
	{"frontend f", "frobnicate", "unknown keyword 'frobnicate' in 'frontend' section; did you mean 'frontend' maybe ?", false},

	{"backend b", "server", "'server' expects <name> and <addr>[:<port>] as arguments.", false},
	{"backend b", "server a", "'server' expects <name> and <addr>[:<port>] as arguments.", false},
	{"backend b", "server a 1.2.3.4:80 weight", "'server b/a' : 'weight' : missing value", true},
	{"backend b", "server a 1.2.3.4:80 weight 300", "'server b/a' : weight of server a is not within 0 and 256 (300).", false},
	{"backend b", "server a 1.2.3.4:80 xyzzy", "'server b/a' : unknown keyword 'xyzzy'.", false},
	{"backend b", "server a 1.2.3.4:80 namespace 5", "'server b/a' : option 'namespace' of HAProxy 3.4 is not supported by Forebay yet.", true},
	{"backend b", "server a$ 1.2.3.4:80", "character '$' is not permitted in server name 'a$'.", false},
	{"backend b", "server a 1.2.3.4:80-90", "'server b/a' : port range not permitted here in '1.2.3.4:80-90'", false},
	{"backend b", "server a 1.2.3.4:80 id -1", "'server b/a' : 'id' : custom id has to be between 1 and 4294967295.", false},
	{"backend b", "server a 1.2.3.4:80 pool-max-conn -2", "'server b/a' : 'pool-max-conn' must be >= -1.", false},
	{"backend b", "server a 1.2.3.4:80 pool-purge-delay x", "'server b/a' : unexpected character 'x' in argument to <pool-purge-delay>.", false},
	{"backend b", "default-server 1.2.3.4", "unknown keyword '1.2.3.4'. Hint: no address was expected for this server.", false},
	{"backend b", "server-template", "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.", false},
	{"backend b", "server-template a x 1.2.3.4:80", "Wrong server-template number or range arg 'x'.", false},
	{"backend b", "server-template a 0 1.2.3.4:80", "Wrong server-template number or range arg '0'.", false},
	{"backend b", "server-template a 3-2 1.2.3.4:80", "Wrong server-template number or range arg '3-2'.", false},
}

// badFile puts a bad line where its number tells: on line 3.
func badFile(i int) string { return "# a bad line follows\n" + bad[i].in + "\n " + bad[i].text + "\n" }

func TestErrors(t *testing.T) {
	for i, b := range bad {
		_, d := load(badFile(i))
		found := false
		for _, x := range d.All() {
			found = found || x.Severity == config.Alert && x.Pos.Line == 3 && x.Text == b.want
		}
		if !found {
			t.Errorf("%s > %s\ngot  %v\nwant %s", b.in, b.text, d.All(), b.want)
		}
	}
}

var alertLine = regexp.MustCompile(`^\[ALERT\].*?\[[^\]:]*:(\d+)\]`)

// haproxy gives the lines that HAProxy finds errors on.
func haproxy(t *testing.T, text string) (lines []int, output string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "t.cfg")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("haproxy", "-c", "-f", name).CombinedOutput()
	if err == nil {
		return nil, string(out)
	}
	for l := range strings.Lines(string(out)) {
		if m := alertLine.FindStringSubmatch(l); m != nil {
			n := 0
			fmt.Sscan(m[1], &n)
			lines = append(lines, n)
		}
	}
	return lines, string(out)
}

func needHAProxy(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("NOT COMPARED with HAProxy: the program is not installed (apt-get install haproxy)")
	}
}

// TestErrorsAsHAProxy compares that both refuse, and at the same line.
func TestErrorsAsHAProxy(t *testing.T) {
	needHAProxy(t)
	for i, b := range bad {
		if b.ours {
			continue
		}
		if lines, out := haproxy(t, badFile(i)); !slices.Contains(lines, 3) {
			t.Errorf("%s > %s: HAProxy says\n%s", b.in, b.text, out)
		}
	}
}

// wholes are files with errors on several lines, found in sections and between
// them.
var wholes = []struct {
	text  string
	lines []int
	ours  bool // HAProxy 2.6 does not find the same lines
}{
	{"frontend e\n bind :1234\nfrontend e\n bind :1235\n", []int{3}, false},
	{"frontend e\n bind :1234\nbackend e\n", []int{3}, true}, // allowed before 3.3
	{"frontend a from nope\n bind :1234\n", []int{1}, false},
	{"defaults x\ndefaults x\nbackend xx from x\n", []int{3}, false},
	{"defaults y from nope\n", []int{1}, false},
	{"defaults a$\nbackend xx from a$\n", []int{2}, false},
	{"backend b\n server a 1.1.1.1:80\n server a 1.1.1.1:80\n", []int{3}, false},
	{"backend b\n server a 1.1.1.1:80 id 3\n server c 1.1.1.1:80 id 3\n", []int{3}, false},
	{"frontend a\n bind :1\n id 7\nfrontend b\n bind :2\n id 7\n", []int{6}, false},
	{"frontend a\n bind :1\n default_backend nope\n", []int{1}, true}, // HAProxy gives no line
	{"frontend a\n mode http\n bind :1\n default_backend b\nbackend b\n mode tcp\n", []int{1}, true},
	{"frontend a\n mode tcp\n bind :1\n default_backend b\nbackend b\n mode http\n", []int{1}, true},
	{"frontend a\n bind :1234\nfrontend b\n bind :1234\n", nil, false},
	{"frontend a\n bind /tmp/x\nfrontend b\n bind unix@/tmp/x\n", []int{4}, true},
	{"listen a\n bind :1\n default_backend a\n", []int{1}, true}, // HAProxy gives no line
	{"backend b\n server a 1.1.1.1:1 namespace n track b/x observe layer4\n", []int{2, 2, 2}, true},
	{"backend b\n mode tcp\n server a 1.1.1.1:1 proto h2\n server c 1.1.1.1:1 proto none\n", []int{3}, false},
	{"backend b\n mode http\n server a 1.1.1.1:1 proto none\n server c 1.1.1.1:1 proto h2\n", []int{3}, false},
	{"listen b\n bind :1 nice 5 tcp-md5sig x quic-socket listener\n", []int{2, 2, 2}, true},
	{"defaults\n http-request deny\n", []int{2}, false},
	{"ring x\n format raw\n", []int{1}, true},
	{"frontend f\n bind :1 v4v6 v6only\n", []int{2}, true},
	{"defaults\n timeout client 1\n foo\n bar\nfrontend f\n baz\n", []int{3, 4, 6}, false},
}

func TestWholeFiles(t *testing.T) {
	for _, w := range wholes {
		_, d := load(w.text)
		var lines []int
		for _, x := range d.All() {
			if x.Severity == config.Alert {
				lines = append(lines, x.Pos.Line)
			}
		}
		if !slices.Equal(lines, w.lines) {
			t.Errorf("%s\ngot %v: %v", w.text, lines, d.All())
		}
	}
}

func TestWholeFilesAsHAProxy(t *testing.T) {
	needHAProxy(t)
	for _, w := range wholes {
		if w.ours {
			continue
		}
		lines, out := haproxy(t, w.text)
		if slices.Sort(lines); !slices.Equal(lines, w.lines) {
			t.Errorf("%s\nHAProxy: %v\n%s", w.text, lines, out)
		}
	}
}

// A second setting of what there is one of is told, and left out: the first counts.
func TestTwice(t *testing.T) {
	const twice = "global\n maxconn 500\n maxconn 600\n ulimit-n 3000\n ulimit-n 4000\n" +
		"defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n maxconn 5\n maxconn 6\nfrontend f\n bind :1234\n maxconn 7\n maxconn 8\n"
	in := input(twice)
	in.MaxConn = 0
	s, d := Load(in)
	if s == nil || d.HasErrors() {
		t.Fatal(d.All())
	}
	g := s.Global
	if g.MaxConn != 500 || Files.Of(g).Limit != 3000 || s.Frontends["f"].MaxConn != 8 {
		t.Errorf("%+v", g)
	}
	var ours []string
	for _, x := range d.All() {
		ours = append(ours, fmt.Sprintf("[%s] %s", x.Severity, x))
	}
	want := []string{
		"[ALERT] config : parsing [t.cfg:3] : 'maxconn' already specified. Continuing.",
		"[ALERT] config : parsing [t.cfg:5] : 'ulimit-n' already specified. Continuing.",
	}
	if !slices.Equal(ours, want) {
		t.Errorf("got\n%s", strings.Join(ours, "\n"))
	}
	needHAProxy(t)
	lines, out := haproxy(t, twice)
	if lines != nil {
		t.Errorf("HAProxy refuses it:\n%s", out)
	}
	for _, w := range want {
		if _, text, _ := strings.Cut(w, "] : "); !strings.Contains(out, text) {
			t.Errorf("HAProxy does not say %q:\n%s", text, out)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		want string
	}{
		{"backend b\n bind :80\n", 2, "'bind' ignored because backend 'b' has no frontend capability."},
		{"backend b\n maxconn 10\n", 2, "'maxconn' ignored because backend 'b' has no frontend capability. Maybe you want 'fullconn' instead ?"},
		{"backend b\n timeout client 10\n", 2, "'timeout client' will be ignored because backend 'b' has no frontend capability"},
		{"backend b\n option clitcpka\n", 2, "'clitcpka' ignored because backend 'b' has no frontend capability."},
		{"backend b\n rate-limit sessions 5\n", 2, "rate-limit sessions will be ignored because backend 'b' has no frontend capability"},
		{"frontend f\n balance roundrobin\n", 2, "'balance' ignored because frontend 'f' has no backend capability."},
		{"frontend f\n", 1, "frontend 'f' has no 'bind' directive. Please declare it as a backend if this was intended."},
		{"listen f\n bind :80\n server s 1.1.1.1:1\n", 1, "missing timeouts for proxy 'f'.\n   | While not properly invalid, you will certainly encounter various problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set to a non-zero value: 'client', 'connect', 'server'."},
		{"defaults\n timeout client 1\n timeout client 2\n", 3, "overwriting 'timeout client' which was already specified"},
		{"frontend f\n bind :80\n monitor-uri /x\n", 1, "monitor-uri will be ignored for frontend 'f' (needs 'mode http')."},
		{"backend f\n option forwardfor\n", 1, "'option forwardfor' ignored for backend 'f' as it requires HTTP mode."},
		{"listen f\n bind :80\n server a 1.1.1.1:1\n default_backend b\nbackend b\n", 1, "In proxy 'f', the 'default_backend' rule always has precedence over the servers, which will never be used."},
		{"defaults d\nfrontend a from d\n bind :80\nbackend b\n", 4, "defaults section 'd' (declared at t.cfg:1) is explicitly referenced by another proxy and implicitly used here. To avoid any ambiguity don't mix both usage. Add a last defaults section not explicitly used or always use explicit references."},
	} {
		s, d := load(c.text)
		found := false
		for _, x := range d.All() {
			found = found || x.Severity == config.Warning && x.Pos.Line == c.line && x.Text == c.want
		}
		if !found || s == nil {
			t.Errorf("%s\ngot  %v\nwant %s", c.text, d.All(), c.want)
		}
	}
}

// TestKnownIsRefused goes through all of HAProxy's keywords: each is registered
// or refused with words that tell that it is not supported yet.
func TestKnownIsRefused(t *testing.T) {
	for key := range known {
		kind, name, _ := strings.Cut(key, " ")
		if removed[key] != "" {
			continue
		}
		var text string
		switch kind {
		case "global":
			if k, _ := find(strings.Fields(name), func(k *Keyword) bool { return k.In&Global != 0 }); k != nil || name == "stats" {
				continue
			}
			if slices.Contains([]string{"setenv", "presetenv", "unsetenv", "resetenv"}, name) {
				continue // the language itself
			}
			text = "global\n " + name + " x\n"
		case "proxy":
			if k, _ := find(strings.Fields(name), func(k *Keyword) bool { return k.In&Proxies != 0 }); k != nil {
				continue
			}
			if name == "option" || name == "timeout" || name == "rate-limit" {
				continue
			}
			text = "listen l\n " + name + " x\n"
		case "bind":
			if bindOptions[name] != nil {
				continue
			}
			text = "listen l\n bind :1 " + name + " x\n"
		case "server":
			if serverOptions[name] != nil {
				continue
			}
			text = "listen l\n server s 1.1.1.1:1 " + name + " x\n"
		default: // other packages refuse them
			continue
		}
		_, d := load(text)
		found := false
		for _, x := range d.All() {
			found = found || strings.HasSuffix(x.Text, "' of HAProxy 3.4 is not supported by Forebay yet.") && strings.Contains(x.Text, "'"+strings.TrimPrefix(name, "option ")) && x.Pos.Line == 2
		}
		if !found {
			t.Errorf("%s: %v", text, d.All())
		}
	}
}

// TestRegisteredIsKnown finds misspelt names: nothing may be registered that
// HAProxy does not have.
func TestRegisteredIsKnown(t *testing.T) {
	for _, l := range keywords {
		for _, k := range l {
			if k.In&Global != 0 && !IsKnown("global", k.Name) || k.In&Proxies != 0 && !IsKnown("proxy", k.Name) {
				t.Errorf("%s is not a keyword of HAProxy", k.Name)
			}
		}
	}
	for n := range bindOptions {
		if !IsKnown("bind", n) {
			t.Errorf("bind %s", n)
		}
	}
	for n := range serverOptions {
		if !IsKnown("server", n) && n != "hello" { // the example of hello_test.go
			t.Errorf("server %s", n)
		}
	}
}

func TestDumpKeywords(t *testing.T) {
	var b strings.Builder
	if err := DumpKeywords(&b, "cfg"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# List of registered configuration keywords:\nglobal\n", "\n\tnbthread\n", "\nlisten\n",
		"\n\ttimeout client\n", "\n\tbind <addr> maxconn +1\n", "\n\tbind <addr> v6only\n",
		"\n\tserver <name> <addr> weight +1\n", "\n\tserver <name> <addr> backup\n",
		"\n\toption abortonclose [ FE BE ]\n", "\n\toption allbackups [ BE ]\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing:\n%s", want, b.String())
		}
	}
	if err := DumpKeywords(&b, "cfg,foo"); err == nil {
		t.Error("foo accepted")
	}
}
