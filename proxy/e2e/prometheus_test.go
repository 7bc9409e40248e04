package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A real Prometheus scrapes the exporter, over HTTP/1 with and without
// compression asked for, and finds what was counted.
func TestPrometheus(t *testing.T) {
	o := newOrigin(t, "hello")
	web, metrics := address(t), address(t)
	serve(t, preface+fmt.Sprintf(`
frontend web
    bind %s name w
    option socket-stats
    default_backend app
frontend metrics
    bind %s
    http-request use-service prometheus-exporter if { path /metrics }
    http-request return status 404
backend app
    server s1 %s
    server s-2 127.0.0.1:1 disabled
`, web, metrics, o.addr))
	for range 7 {
		res, err := http.Get("http://" + web + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}

	// What is served passes the checker that comes with it, HTTP/1.0 included.
	for _, flag := range []string{"--http1.1", "--http1.0", "--http2-prior-knowledge"} {
		text, err := exec.Command(tool(t, "curl"), "-s", "-f", flag, "http://"+metrics+"/metrics?extra-counters").Output()
		if err != nil || !strings.HasSuffix(string(text), "\n") {
			t.Fatalf("%s: %v: %.200s", flag, err, text)
		}
		c := exec.Command(tool(t, "promtool"), "check", "metrics")
		c.Stdin = strings.NewReader(string(text))
		// Names that Prometheus would not choose are HAProxy's; only what cannot be
		// read is an error.
		if out, err := c.CombinedOutput(); strings.Contains(string(out), "error while linting") || c.ProcessState == nil {
			t.Errorf("%s: promtool: %v\n%s", flag, err, out)
		}
	}

	dir, api := scratch(t), address(t)
	file := write(t, dir, "prometheus.yml", fmt.Sprintf(`
scrape_configs:
  - job_name: forebay
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{targets: ['%s']}]
`, metrics))
	start(t, tool(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+api, "--log.level=error")
	query := func(expr string) string {
		res, err := http.Get("http://" + api + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return ""
		}
		defer res.Body.Close()
		var reply struct {
			Data struct{ Result []struct{ Value []any } }
		}
		if json.NewDecoder(res.Body).Decode(&reply) != nil || len(reply.Data.Result) != 1 {
			return ""
		}
		return fmt.Sprint(reply.Data.Result[0].Value[1])
	}
	until(t, "Prometheus has scraped", func() bool { return query(`up{job="forebay"}`) == "1" })
	for expr, want := range map[string]string{
		`haproxy_frontend_http_requests_total{proxy="web"}`:                       "7",
		`haproxy_server_http_responses_total{proxy="app",server="s1",code="2xx"}`: "7",
		`haproxy_server_status{proxy="app",server="s-2",state="MAINT"}`:           "1",
		`haproxy_listener_status{proxy="web",listener="w",state="OPEN"}`:          "1",
		`haproxy_process_nbthread`:                                                "2",
		`count(count by (__name__) ({__name__=~"haproxy_process_.+"}))`:           "65", // without a description
		`count({__name__=~"haproxy_server_.+"}) > bool 100`:                       "1",
	} {
		if got := query(expr); got != want {
			t.Errorf("%s: %q, want %s", expr, got, want)
		}
	}
}
