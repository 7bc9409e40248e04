package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExampleLogs: the example's lines, with Host and User-Agent, arrive at rsyslog, and
// those for the journal on the output, with their levels; also when a server stops.
func TestExampleLogs(t *testing.T) {
	t.Parallel()
	rsyslogd := tool(t, "rsyslogd")
	dir, syslog := scratch(t), port(t)
	conf := write(t, dir, "rsyslog.conf", fmt.Sprintf(`global(workDirectory="%[1]s" maxMessageSize="16k")
module(load="imudp")
template(name="t" type="string" string="%%syslogfacility-text%%.%%syslogseverity-text%% %%app-name%% %%msg%%\n")
ruleset(name="all") { action(type="omfile" file="%[1]s/lines" template="t") }
input(type="imudp" address="127.0.0.1" port="%[2]d" ruleset="all")
`, dir, syslog))
	start(t, rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	sockets := fmt.Sprintf(":%04X", syslog)
	until(t, "rsyslog listens", func() bool {
		b, _ := os.ReadFile("/proc/net/udp")
		return strings.Contains(string(b), sockets)
	})
	web, one, two := address(t), newOrigin(t, "one"), newOrigin(t, "two")
	text := read(t, filepath.Join(root, "deploy/examples/logs.cfg"))
	text = strings.NewReplacer("bind :8080", "bind "+web, "127.0.0.1:9001", fmt.Sprintf("127.0.0.1:%d", one.port()), "127.0.0.1:9002", fmt.Sprintf("127.0.0.1:%d", two.port()),
		"127.0.0.1:514", fmt.Sprintf("127.0.0.1:%d", syslog), "maxconn 10000", "maxconn 1000", "abns@forebay", "@DIR@/s", "inter 2s", "inter 100ms").Replace(text)
	p := serve(t, text, "-Ws")
	p.awaitStat("app", "s1", "status", "UP")
	request := func(path string) int {
		t.Helper()
		q, err := http.NewRequest("GET", "http://"+web+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "shop.example.com"
		q.Header.Set("User-Agent", `Browser/1.0 ("quoted")`)
		q.Header.Set("Cookie", "a=b; SESSION=of-alice")
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	arrives := func(pattern string) {
		t.Helper()
		re := regexp.MustCompile(`(?m)^` + pattern)
		until(t, pattern, func() bool {
			b, _ := os.ReadFile(filepath.Join(dir, "lines"))
			return re.Match(b)
		})
	}
	request("/healthz")
	request("/basket?full")
	arrives(`local0\.info forebay +127\.0\.0\.1:\d+ \[[^]]*\] web app/s\d [0-9/]+ 200 \d+ SESSION=of-alice - ---- [0-9/]+ 0/0 \{shop\.example\.com\|Browser/1\.0 \(#22quoted#22\)\} \{text/plain[^}]*\} "GET /basket\?full HTTP/1\.1"`)
	if request("/admin/panel") != 403 {
		t.Error("/admin is open")
	}
	denied := `web web/<NOSRV> .* 403 .* \{shop\.example\.com\|Browser`
	arrives(`local0\.notice forebay .* ` + denied)
	until(t, "the journal's line", func() bool {
		return regexp.MustCompile(`(?m)^<5>127\.0\.0\.1:\d+ .* ` + denied).MatchString(p.output())
	})
	one.srv.Close()
	arrives(`local0\.alert forebay +Server app/s1 is DOWN`)
	until(t, "the journal's line of the server", func() bool { return strings.Contains(p.output(), "<1>Server app/s1 is DOWN") })
	if request("/after") != 200 {
		t.Error("no answer without s1")
	}
	arrives(`local0\.info forebay .* app/s2 .*"GET /after HTTP/1\.1"`)
	b, err := os.ReadFile(filepath.Join(dir, "lines"))
	if err != nil || strings.Contains(string(b), "/healthz HTTP") || strings.Contains(p.output(), "<6>") {
		t.Errorf("%v: what is to be silent is logged:\n%s\n%s", err, b, p.output())
	}
}
