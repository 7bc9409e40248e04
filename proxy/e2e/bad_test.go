package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// badConfigs do not load. HAProxy's -c is asked too: it has to refuse them for
// the same lines.
var badConfigs = []string{
	"frontend a\n    bind\n",
	"frontend a\n    bind 127.0.0.1:99999\n",
	"frontend a\n    bind 127.0.0.1:8000 nonsense\n",
	"frontend a\n    blance roundrobin\n",
	"backend a\n    balance nonsense\n",
	"backend a\n    server s1\n",
	"backend a\n    server s1 127.0.0.1:80 weight 1000\n",
	"backend a\n    server s1 127.0.0.1:80 nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 check inter x\n",
	"backend a\n    server s 127.0.0.1:80\n    server s 127.0.0.1:81\n",
	"backend a\nbackend a\n",
	"defaults\n    timeout client x\n",
	"defaults\n    timeout nonsense 1s\n",
	"defaults\n    timeout client\n",
	"defaults\n    mode nonsense\n",
	"defaults\n    option nonsense\n",
	"global\n    nbthread x\n",
	"global\n    nbthread 0\n",
	"global\n    nonsense\n",
	"global\n    log\n",
	"global\n    stats socket\n",
	"nonsense\n",
	"frontend\n",
	"frontend a\n    acl x\n",
	"frontend a\n    acl x nonsense y\n",
	"frontend a\n    mode http\n    http-request nonsense\n",
	"frontend a\n    mode http\n    http-request deny if nonsense\n",
	"frontend a\n    mode http\n    http-request set-header X\n",
	"frontend a\n    mode http\n    http-request set-header X %[nonsense]\n",
	"frontend a\n    mode http\n    http-request return status x\n",
	"frontend a\n    mode http\n    http-request redirect location\n",
	"frontend a\n    mode http\n    http-response set-header\n",
	"frontend a\n    use_backend\n",
	"frontend a\n    default_backend\n",
	"backend a\n    option httpchk GET\n    http-check nonsense\n",
	"frontend a\n    log 127.0.0.1:514 nonsense\n",
	"frontend a\n    log-format %[nonsense]\n",
	"frontend a\n    bind 127.0.0.1:8000\n    error-log-format %[nonsense]\n",
	"global\n    crt-base /etc\n    crt-base /etc\n",
	"global\n    ca-base /etc\n    ca-base /etc\n",
	"global\n    issuers-chain-path\n",
	"global\n    issuers-chain-path /nonexistent\n",
	"global\n    ssl-default-bind-options nonsense\n",
	"global\n    ssl-default-bind-ciphers\n",
	"global\n    ssl-default-server-options nonsense\n",
	"global\n    ssl-server-verify nonsense\n",
	"global\n    ssl-load-extra-files nonsense\n",
	"global\n    ssl-load-extra-files all none\n",
	"global\n    ssl-dh-param-file /nonexistent\n",
	"global\n    maxsslconn\n",
	"global\n    tune.ssl.cachesize -1\n",
	"global\n    tune.ssl.lifetime x\n",
	"global\n    tune.ssl.maxrecord\n",
	"global\n    tune.ssl.keylog maybe\n",
	"global\n    tune.h2.header-table-size -1\n",
	"global\n    tune.h2.header-table-size 70000\n",
	"global\n    tune.h2.initial-window-size -1\n",
	"global\n    tune.h2.max-frame-size 100\n",
	"global\n    tune.h2.max-frame-size 20000000\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl crt\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl crt /nonexistent\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl crt-list /nonexistent\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl ca-file /nonexistent\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl crl-file /nonexistent\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl verify nonsense\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl verify\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl ssl-min-ver TLSv1.9\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl ssl-max-ver\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl alpn\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl ciphers\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl curves\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl crt-ignore-err nonsense\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl ca-ignore-err\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl tls-ticket-keys /nonexistent\n",
	"frontend a\n    bind 127.0.0.1:8000 ssl generate-certificates\n",
	"frontend a\n    bind 127.0.0.1:8000 proto nonsense\n",
	"frontend a\n    bind 127.0.0.1:8000 proto\n",
	"frontend a\n    bind 127.0.0.1:8000 accept-netscaler-cip\n",
	"frontend a\n    bind 127.0.0.1:8000 accept-netscaler-cip x\n",
	"frontend a\n    tcp-request connection expect-proxy\n",
	"frontend a\n    tcp-request connection expect-proxy layer5\n",
	"frontend a\n    tcp-request connection expect-netscaler-cip\n",
	"frontend a\n    tcp-request content expect-proxy layer4\n",
	"backend a\n    server s1 127.0.0.1:80 ssl\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify required\n",
	"backend a\n    server s1 127.0.0.1:80 ssl ca-file /nonexistent\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify none crt /nonexistent\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify none crl-file /nonexistent\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify none sni\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify none sni nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify none alpn\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify none verifyhost\n",
	"backend a\n    server s1 127.0.0.1:80 ssl verify nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 check check-sni\n",
	"backend a\n    server s1 127.0.0.1:80 check check-alpn\n",
	"backend a\n    server s1 127.0.0.1:80 check check-proto nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 proto nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 ws nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 proxy-v2-options nonsense\n",
	"backend a\n    server s1 127.0.0.1:80 set-proxy-v2-tlv-fmt(x) y\n",
	"backend a\n    http-reuse nonsense\n",
	"backend a\n    retry-on nonsense\n",
	"frontend a\n    errorfile 400 /nonexistent\n",
	"frontend a\n    maxconn\n",
	"frontend \"a\n",
	"frontend a\n    bind :80 \\\n",
	".if nonsense(\n.endif\n",
	".else\n",
	".if 1\nfrontend a\n",
}

// strict are those that 2.6 lets pass, or of which it does not tell the line: it
// takes what is no number for 0, and does not say no to more arguments than a
// section has.
var strict = []string{
	"defaults\n    retries x\n", "global\n    maxconn x\n", "frontend a b c\n",
	"global\n    maxsslrate x\n", "global\n    tune.h2.max-concurrent-streams x\n",
	"frontend a\n    bind 127.0.0.1:8000\n    log-format-sd %[nonsense]\n",
}

var atLine = regexp.MustCompile(`\[[^][ ]*a\.cfg:(\d+)\]`)

// errorLines gives the lines that ALERT messages name.
func errorLines(output string) []string {
	var lines []string
	for l := range strings.Lines(output) {
		if m := atLine.FindStringSubmatch(l); m != nil && strings.Contains(l, "[ALERT]") && !slices.Contains(lines, m[1]) {
			lines = append(lines, m[1])
		}
	}
	return lines
}

func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	haproxy := tool(t, "haproxy")
	dir := scratch(t)
	for _, text := range badConfigs {
		file := configure(t, dir, text)
		ours, said := result(t, forebay, "-c", "-f", file)
		theirs, says := result(t, haproxy, "-c", "-f", file)
		if ours != theirs {
			t.Errorf("%q: exit code %d, HAProxy has %d\n%s\n%s", text, ours, theirs, said, says)
			continue
		}
		if a, b := errorLines(said), errorLines(says); !slices.Equal(a, b) {
			t.Errorf("%q: errors in lines %v, HAProxy has %v\n%s\n%s", text, a, b, said, says)
		}
		if strings.Contains(said, "panic") {
			t.Errorf("%q: %s", text, said)
		}
	}
	for _, text := range strict {
		file := configure(t, dir, text)
		if code, said := result(t, forebay, "-c", "-f", file); code != 1 || len(errorLines(said)) != 1 {
			t.Errorf("%q: exit code %d:\n%s", text, code, said)
		}
	}
	// All errors of a file are told at once.
	file := configure(t, dir, strings.Join(badConfigs[:9], ""))
	code, said := result(t, forebay, "-f", file)
	if n := len(errorLines(said)); code != 1 || n < 9 {
		t.Errorf("exit code %d, %d lines named, want 1 and 9:\n%s", code, n, said)
	}
}

// TestBadReload wants a configuration that does not load to change nothing.
func TestBadReload(t *testing.T) {
	t.Parallel()
	app := newOrigin(t, "app")
	s := shop{web: address(t), origin: app.addr, threads: 1, timeout: 30}
	p := serve(t, s.text(), "-W")
	pid := p.worker()
	k := newKeepAlive(t, s.web)
	k.get("/")
	for _, bad := range badConfigs {
		configure(t, p.dir, s.text()+bad)
		r := p.askMaster("reload")
		if !strings.HasPrefix(r, "Success=0") || !strings.Contains(r, "[ALERT]") {
			t.Errorf("%q: %s", bad, r)
		}
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	if r := p.askMaster("reload"); !strings.HasPrefix(r, "Success=0") || !strings.Contains(r, p.file) {
		t.Errorf("without the file: %s", r)
	}
	// A port that somebody else has.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	configure(t, p.dir, s.text()+"frontend taken\n    bind "+l.Addr().String()+"\n    bind "+address(t)+"\n")
	if r := p.askMaster("reload"); !strings.HasPrefix(r, "Success=0") || !strings.Contains(r, l.Addr().String()) {
		t.Errorf("port in use: %s", r)
	}
	k.get("/")
	if k.Dial != 1 || p.worker() != pid || p.info("Pid") != pid {
		t.Errorf("worker %s, connections %d; was %s and 1", p.worker(), k.Dial, pid)
	}
	if p.stat("taken", "FRONTEND", "status") != "" {
		t.Error("half of a refused configuration is in force")
	}
}

// TestBadCommands sends what no Runtime socket should be sent.
func TestBadCommands(t *testing.T) {
	t.Parallel()
	app := newOrigin(t, "app")
	p := serve(t, shop{web: address(t), origin: app.addr, threads: 1, timeout: 30}.text())
	for _, c := range []struct{ send, want string }{
		{"nonsense", "Unknown command"},
		{"enable server none/none", "No such "},
		{"enable server app", "Require 'backend/server'."},
		{"set server app/s1 weight x", "weight"},
		{"set server app/s1 state nonsense", "state"},
		{"set weight app/none 1", "No such server."},
		{"del server app/none", "No such "},
		{"add server app/s1 127.0.0.1:1", "Already exists"},
		{"add server app/n nonsense", "nonsense"},
		{"disable frontend none", "No such frontend."},
		{"show servers state none", "Can't find backend."},
		{"commit config @99", "Unknown version '99'."},
		{strings.Repeat("x", 1<<20), ""},
		{strings.Repeat(";", 5000), ""},
		{"show stat\x00\xff", ""},
	} {
		if r, err := ask(p.stats, c.send); err != nil && c.want != "" || !strings.Contains(r, c.want) {
			t.Errorf("%.40q: %.300q %v, want %q", c.send, r, err, c.want)
		}
	}
	p.info("Pid") // it is alive
	if files, err := filepath.Glob(filepath.Join(p.dir, "core*")); err != nil || files != nil {
		t.Error(files, err)
	}
}

// TestMalformedIsLogged wants a 400, and a log line that tells the cause.
func TestMalformedIsLogged(t *testing.T) {
	t.Parallel()
	app := newOrigin(t, "app")
	s := shop{web: address(t), origin: app.addr, threads: 1, timeout: 30}
	p := serve(t, s.text())
	c, err := net.Dial("tcp", s.web)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\nFoo : x\r\n\r\n"))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 400 ") {
		t.Fatalf("%q %v", b[:n], err)
	}
	p.await(1, "<BADREQ>")
	if !regexp.MustCompile(`web/<NOSRV> -1/-1/-1/-1/\d+ 400 .* PR-- .*"<BADREQ>"`).MatchString(p.output()) {
		t.Errorf("log:\n%s", p.output())
	}
}
