package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unit gives a unit with the programs that were built, in a folder of its own.
func unit(t *testing.T, dir, name string) string {
	t.Helper()
	text := read(t, filepath.Join(root, "deploy/systemd", name))
	text = strings.NewReplacer("/usr/local/sbin/forebay", forebay, "/usr/local/sbin/dataplaneapi", dataplaneapi).Replace(text)
	return write(t, dir, name, text)
}

// TestUnits: systemd has nothing against the units, and finds the services closed.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze")
	dir := scratch(t)
	var all []string
	for _, name := range []string{"forebay.service", "dataplaneapi.service", "forebay.socket"} {
		all = append(all, unit(t, dir, name))
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, all...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	for _, u := range all[:2] {
		if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=35", u).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(u), err, out)
		}
	}
}

// TestUnitReload: a reload of the service fails with the reason when the file has
// mistakes, before the process hears of it.
func TestUnitReload(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	cfg := write(t, dir, "a.cfg", "frontend web\n    bimd :80\n")
	text := read(t, unit(t, dir, "forebay.service"))
	m := regexp.MustCompile(`(?m)^ExecReload=(.*)$`).FindAllStringSubmatch(text, -1)
	if len(m) != 2 || !strings.Contains(m[1][1], "kill -USR2 $MAINPID") {
		t.Fatalf("ExecReload: %q", m)
	}
	words := strings.Fields(strings.ReplaceAll(m[0][1], "${CONFIG}", cfg))
	code, out := result(t, words[0], words[1:]...)
	if code == 0 || !strings.Contains(out, "unknown keyword 'bimd'") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	write(t, dir, "a.cfg", "frontend web\n    bind :80\n    mode http\n    timeout client 1s\n")
	if code, out := result(t, words[0], words[1:]...); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestContainer reads the container's file: who it runs as, how it is asked
// whether it is well, and that what it copies is there and not ignored.
func TestContainer(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(read(t, filepath.Join(root, "deploy/container/Containerfile")), "\\\n", "")
	last := text[strings.LastIndex(text, "\nFROM "):]
	if m := regexp.MustCompile(`(?m)^USER (\S+)$`).FindStringSubmatch(last); m == nil || strings.HasPrefix(m[1], "0") || strings.HasPrefix(m[1], "root") {
		t.Errorf("USER: %q", m)
	}
	example := read(t, filepath.Join(root, "deploy/examples/http.cfg"))
	m := regexp.MustCompile(`(?m)^HEALTHCHECK .*CMD \[.*"http://127\.0\.0\.1:(\d+)(/\S+)"\]$`).FindStringSubmatch(last)
	if m == nil || !strings.Contains(example, "bind :"+m[1]+"\n") || !strings.Contains(example, "monitor-uri "+m[2]+"\n") {
		t.Errorf("the health check asks for what the example does not have: %q", m)
	}
	var ignored []string
	for _, l := range strings.Split(read(t, filepath.Join(root, ".dockerignore")), "\n") {
		if l != "" && l[0] != '#' {
			ignored = append(ignored, l)
		}
	}
	if len(ignored) == 0 {
		t.Error("nothing is ignored")
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-\s]\S*) `).FindAllStringSubmatch(last, -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Error(err)
		}
		for _, i := range ignored {
			if m[1] == i || strings.HasPrefix(m[1], i+"/") {
				t.Errorf("%s is ignored by %s", m[1], i)
			}
		}
	}
}

// TestDemoPortInUse: `make run` says which port is taken, and how to choose
// another.
func TestDemoPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	busy := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	for _, name := range []string{"FOREBAY_DEMO_PORT", "FOREBAY_DEMO_API_PORT", "FOREBAY_DEMO_APP_PORT"} {
		c := exec.Command(filepath.Join(root, "scripts/run.sh"))
		c.Env = append(os.Environ(), "FOREBAY_DEMO_PORT=1", "FOREBAY_DEMO_API_PORT=2", "FOREBAY_DEMO_APP_PORT=3", name+"="+busy)
		out, err := c.CombinedOutput()
		if want := "Port " + busy + " is in use by another program: set " + name; err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestExamplesLoseAServer runs the examples under traffic and stops one of their
// servers: it is taken out, and no request fails from then on.
func TestExamplesLoseAServer(t *testing.T) {
	t.Parallel()
	t.Run("http.cfg", func(t *testing.T) {
		t.Parallel()
		web, one, two := address(t), newOrigin(t, "one"), newOrigin(t, "two")
		text := read(t, filepath.Join(root, "deploy/examples/http.cfg"))
		text = strings.NewReplacer("bind :8080", "bind "+web, "127.0.0.1:9001", fmt.Sprintf("127.0.0.1:%d", one.port()), "127.0.0.1:9002", fmt.Sprintf("127.0.0.1:%d", two.port()),
			"127.0.0.1:9003", "127.0.0.1:1", "maxconn 10000", "maxconn 1000", "abns@forebay", "@DIR@/s", "inter 2s", "inter 100ms").Replace(text)
		p := serve(t, text)
		loseOne(t, p, "app", "s1", one, func() error {
			r, err := http.Get("http://" + web + "/")
			if err != nil {
				return err
			}
			defer r.Body.Close()
			if io.Copy(io.Discard, r.Body); r.StatusCode != 200 {
				return fmt.Errorf("%s", r.Status)
			}
			return nil
		})
	})
	t.Run("sticky.cfg", func(t *testing.T) {
		t.Parallel()
		web, one, two := address(t), newOrigin(t, "one"), newOrigin(t, "two")
		text := read(t, filepath.Join(root, "deploy/examples/sticky.cfg"))
		text = strings.NewReplacer("bind :8080", "bind "+web, "127.0.0.1:9001", fmt.Sprintf("127.0.0.1:%d", one.port()), "127.0.0.1:9002", fmt.Sprintf("127.0.0.1:%d", two.port()),
			"maxconn 10000", "maxconn 1000", "abns@forebay", "@DIR@/s", "inter 2s", "inter 100ms").Replace(text)
		p := serve(t, text)
		p.awaitStat("app", "s1", "status", "UP")
		p.awaitStat("app", "s2", "status", "UP")
		// Clients are curl with a jar, over HTTP/1 and HTTP/2.
		jar := filepath.Join(t.TempDir(), "jar")
		ask := func(args ...string) string {
			out, err := exec.Command("curl", append([]string{"-sS", "-b", jar, "-c", jar, "-w", " %{http_code}", "http://" + web + "/"}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return string(out)
		}
		first := ask()
		if first != "one 200" && first != "two 200" {
			t.Fatal(first)
		}
		name, its, other := "s1", one, "two 200"
		if first == "two 200" {
			name, its, other = "s2", two, "one 200"
		}
		for range 10 {
			if got := ask(); got != first {
				t.Errorf("%s, and then %s", first, got)
			}
			if got := ask("--http2-prior-knowledge"); got != first {
				t.Errorf("%s, and then over HTTP/2 %s", first, got)
			}
		}
		p.ask("set server app/" + name + " state drain")
		if got := ask(); got != first {
			t.Errorf("drained: %s", got)
		}
		p.ask("set server app/" + name + " state ready")
		loseOne(t, p, "app", name, its, func() error {
			if got := ask(); got != first && got != other {
				return errors.New(got)
			}
			return nil
		})
		if got := ask(); got != other {
			t.Errorf("without its server: %s", got)
		}
	})
	t.Run("tcp.cfg", func(t *testing.T) {
		t.Parallel()
		in, one, two := address(t), newOrigin(t, "one"), newOrigin(t, "two")
		text := read(t, filepath.Join(root, "deploy/examples/tcp.cfg"))
		text = strings.NewReplacer("127.0.0.1:15432", in, "127.0.0.1:5432", fmt.Sprintf("127.0.0.1:%d", one.port()), "127.0.0.1:5433", fmt.Sprintf("127.0.0.1:%d", two.port()),
			"inter 2s", "inter 100ms", "maxconn 2000\n", "maxconn 2000\n    stats socket @DIR@/s level admin\n").Replace(text)
		p := serve(t, text)
		loseOne(t, p, "postgres", "main", one, func() error {
			c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			r, err := c.Get("http://" + in + "/")
			if err == nil {
				r.Body.Close()
			}
			return err
		})
	})
}

// TestHostsExample asks for hosts that the map of the example has, changes it while
// it runs, and stops a server. What was changed is there after a reload too.
func TestHostsExample(t *testing.T) {
	t.Parallel()
	web, one, two, blog := address(t), newOrigin(t, "shop"), newOrigin(t, "shop"), newOrigin(t, "blog")
	text := read(t, filepath.Join(root, "deploy/examples/hosts.cfg"))
	dir := scratch(t)
	file := write(t, dir, "hosts.map", read(t, filepath.Join(root, "deploy/examples/hosts.map")))
	text = strings.NewReplacer("bind :8080", "bind "+web, "/etc/forebay/hosts.map", file, "127.0.0.1:9001", one.addr, "127.0.0.1:9002", two.addr, "127.0.0.1:9003", blog.addr,
		"maxconn 10000", "maxconn 1000", "abns@forebay", "@DIR@/s", "inter 2s", "inter 100ms").Replace(text)
	p := serveIn(t, forebay, dir, text, "-W")
	ask := func(host string) (int, string) {
		r, err := http.NewRequest("GET", "http://"+web+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(body)
	}
	want := func(host string, code int, body string) {
		t.Helper()
		if got, text := ask(host); got != code || code == 200 && text != body {
			t.Errorf("%s: %d %q", host, got, text)
		}
	}
	p.awaitStat("shop", "s1", "status", "UP")
	p.awaitStat("blog", "b1", "status", "UP")
	want("shop.example.com", 200, "shop")
	want("WWW.Example.com:8080", 200, "shop")
	want("blog.example.com", 200, "blog")
	want("new.example.com", 404, "")
	if got := p.ask("add map " + file + " new.example.com blog"); got != "\n" {
		t.Errorf("%q", got)
	}
	want("new.example.com", 200, "blog")
	p.reload()
	want("new.example.com", 200, "blog")
	loseOne(t, p, "shop", "s1", one, func() error {
		if code, _ := ask("shop.example.com"); code != 200 {
			return fmt.Errorf("%d", code)
		}
		return nil
	})
}

// loseOne stops a server while requests are made.
func loseOne(t *testing.T, p *proxy, backend, server string, o *origin, request func() error) {
	t.Helper()
	p.awaitStat(backend, server, "status", "UP")
	until(t, "an answer", func() bool { return request() == nil })
	o.srv.Close()
	until(t, server+" is down", func() bool { request(); return strings.HasPrefix(p.stat(backend, server, "status"), "DOWN") })
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if err := request(); err != nil {
			t.Fatalf("with %s down: %v", server, err)
		}
	}
}
