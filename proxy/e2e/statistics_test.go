package e2e

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// TestExampleStatistics: the example's page shows the servers, drains one by its
// form, and the exporter says the same; also when a server stops.
func TestExampleStatistics(t *testing.T) {
	t.Parallel()
	web, page := address(t), address(t)
	one, two := newOrigin(t, "one"), newOrigin(t, "two")
	p := serve(t, "global\n stats socket @DIR@/s level admin\n"+strings.NewReplacer("bind :8080", "bind "+web, "bind 127.0.0.1:8404", "bind "+page,
		"127.0.0.1:9001", fmt.Sprintf("127.0.0.1:%d", one.port()), "127.0.0.1:9002", fmt.Sprintf("127.0.0.1:%d", two.port()),
		"inter 2s", "inter 100ms").Replace(read(t, filepath.Join(root, "deploy/examples/statistics.cfg"))))
	fetch := func(path string) string {
		t.Helper()
		status, body, err := get(page, path)
		if err != nil || status != 200 {
			t.Fatalf("%s: %d, %v", path, status, err)
		}
		return body
	}
	status := func(server string) string {
		t.Helper()
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(fetch("/;csv"), "# "))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows[1:] {
			if r[0] == "app" && r[1] == server {
				for i, name := range rows[0] {
					if name == "status" {
						return r[i]
					}
				}
			}
		}
		t.Fatalf("no server %s", server)
		return ""
	}
	p.awaitStat("app", "s1", "status", "UP")
	p.awaitStat("app", "s2", "status", "UP")
	if body := fetch("/"); !strings.Contains(body, ">s1<") || !strings.Contains(body, "</html>") {
		t.Errorf("the page:\n%s", body)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(action string) {
		t.Helper()
		res, err := client.PostForm("http://"+page+"/", url.Values{"s": {"s1"}, "b": {"app"}, "action": {action}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 303 || res.Header.Get("location") != "/;st=DONE" {
			t.Errorf("%s: %s to %q", action, res.Status, res.Header.Get("location"))
		}
	}
	send("drain")
	if got := status("s1"); got != "DRAIN" {
		t.Errorf("s1 is %s", got)
	}
	for range 4 {
		if _, body, err := get(web, "/"); err != nil || body != "two" {
			t.Errorf("%q, %v", body, err)
		}
	}
	send("ready")
	loseOne(t, p, "app", "s2", two, func() error {
		_, _, err := get(web, "/")
		return err
	})
	if got := status("s1") + " " + status("s2"); got != "UP DOWN" {
		t.Errorf("the servers are %s", got)
	}
	if body := fetch("/metrics"); !strings.Contains(body, `haproxy_server_status{proxy="app",server="s2",state="DOWN"} 1`) {
		t.Errorf("the exporter does not know of it:\n%s", body)
	}
}
