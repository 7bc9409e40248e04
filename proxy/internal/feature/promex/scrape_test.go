package promex

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/check"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/compression"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// asked is the configuration of testdata/metrics.tsv, as far as there is one.
const asked = `
global
    nbthread 1
    node lab-node
    description oracle lab
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend fprom
    bind unix@DIR/0
frontend fe
    description front desc
    bind unix@DIR/1 name li1
    bind unix@DIR/2 name li2
    option socket-stats
    default_backend be
backend be
    description back desc
    server s1 127.0.0.1:1 check inter 100ms
    server s2 127.0.0.1:1 disabled
    server s3 127.0.0.1:1 check inter 100ms
backend bemaint
    server m1 127.0.0.1:1 disabled
backend st
`

// start runs it until both first checks have failed.
func start(t *testing.T) *stream.Worker {
	snap := bed.MustLoad(t, 1, strings.ReplaceAll(asked, "DIR", t.TempDir()))
	down := make(chan string, 8)
	w := bed.StartSnapshot(t, snap, func(w *stream.Worker) { w.Announce = func(_ int, text string) { down <- text } })
	for n := 0; n < 2; {
		if strings.Contains(<-down, "is DOWN") {
			n++
		}
	}
	return w
}

// everythingOf is the whole answer to a query.
func everythingOf(t *testing.T, w *stream.Worker, query string) string {
	t.Helper()
	opt, ok := parse(query)
	if !ok {
		return "400"
	}
	var b strings.Builder
	w.OnAll(func(r *reactor.Reactor) { // there is one
		s := newScrape(r, w, w.Snapshot(), opt)
		for last := false; !last; {
			var p []byte
			var err error
			if p, last, err = s.Next(1 << 20); err != nil || len(p) > 2*piece {
				t.Errorf("a piece of %d bytes, %v", len(p), err)
				return
			}
			b.Write(p)
			s.turn = false // nobody else wants one
		}
	})
	return b.String()
}

// shape is what an answer has: of each metric its type, its sets of labels, and the
// number of samples.
type shape struct {
	kind, labels string
	samples      int
}

func shapes(t *testing.T, text string) (names []string, all map[string]*shape) {
	t.Helper()
	all = make(map[string]*shape)
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if f := strings.Fields(l); strings.HasPrefix(l, "# ") {
			if f[1] == "TYPE" {
				all[f[2]] = &shape{kind: f[3]}
				names = append(names, f[2])
			}
			continue
		}
		name, labels, labelled := strings.Cut(l, "{")
		if labelled {
			labels = labels[:strings.LastIndex(labels, "}")]
		} else {
			name, _, _ = strings.Cut(l, " ")
		}
		k := all[name]
		if k == nil || len(names) == 0 || names[len(names)-1] != name {
			t.Fatalf("%q does not stand behind its type", l)
		}
		var list []string
		for _, p := range strings.Split(labels, `",`) {
			n, _, _ := strings.Cut(p, "=")
			list = append(list, n)
		}
		k.samples++
		if set := strings.Join(list, ","); k.samples == 1 {
			k.labels = set
		} else if k.labels != set {
			t.Errorf("%s has labels %s and %s", name, k.labels, set)
		}
	}
	return names, all
}

// Names, types, labels, numbers of samples and their order are those of HAProxy 3.4.
func TestMetricsOfHAProxy(t *testing.T) {
	w := start(t)
	f, err := os.Open("testdata/metrics.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, query := range []string{"", "extra-counters"} {
		names, all := shapes(t, everythingOf(t, w, query))
		f.Seek(0, 0)
		lines := bufio.NewScanner(f)
		var want []string
		for lines.Scan() {
			c := strings.Split(lines.Text(), "\t")
			if len(c) < 5 || c[0] != "plain" && !(c[0] == "extra" && query != "") {
				continue
			}
			name, k := c[1], all[c[1]]
			if strings.HasPrefix(name, "haproxy_sticktable") || strings.HasPrefix(name, "haproxy_resolver") || c[0] == "extra" && !strings.Contains(c[3], "mod") {
				continue
			}
			if c[0] == "extra" {
				// Only what there is to count; none of it under another name.
				if k != nil && (k.kind != c[2] || k.labels != c[3] || fmt.Sprint(k.samples) != c[4]) {
					t.Errorf("%s: %+v, want %v", name, *k, c)
				}
				continue
			}
			if query == "" {
				want = append(want, name)
			}
			switch {
			case k == nil:
				t.Errorf("%s: missing", name)
			case k.kind != c[2] || k.labels != c[3] || fmt.Sprint(k.samples) != c[4]:
				// One check of 3.4's had not ended.
				if name != "haproxy_server_check_duration_seconds" {
					t.Errorf("%s: %+v, want %v", name, *k, c[2:5])
				}
			}
		}
		for i := range want {
			if query == "" && (i >= len(names) || names[i] != want[i]) {
				t.Fatalf("metric %d is %s, want %s", i, names[i], want[i])
			}
		}
		if query == "" && len(names) != len(want) {
			t.Errorf("%d metrics, want %d", len(names), len(want))
		}
		for _, k := range []string{"frontend", "backend", "server", "listener"} {
			if x := all["haproxy_"+k+"_ssl_sess"]; (x != nil) != (query != "") {
				t.Errorf("%q: ssl_sess of %s: %v", query, k, x)
			}
			if x := all["haproxy_"+k+"_h2_total_connections"]; (x != nil) != (query != "" && (k == "frontend" || k == "backend")) {
				t.Errorf("%q: h2_total_connections of %s: %v", query, k, x)
			}
		}
	}
}

// Queries have the effect that they have in HAProxy 3.4 (testdata/params.tsv), but
// for what there is not.
func TestQueries(t *testing.T) {
	w := start(t)
	data, err := os.ReadFile("testdata/params.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for l := range strings.Lines(string(data)) {
		c := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		if len(c) < 6 || c[0] != "GET" || c[2] != "" || strings.HasPrefix(c[1], "&") {
			continue
		}
		query := strings.TrimPrefix(c[1], "?")
		n++
		text := everythingOf(t, w, query)
		if bad := strings.Contains(c[3], " 400 "); bad || text == "400" {
			if bad != (text == "400") {
				t.Errorf("%q: %.40q, want %s", query, text, c[3])
			}
			continue
		}
		if strings.Contains(query, "extra-counters") {
			continue
		}
		count := make(map[string]int)
		for l := range strings.Lines(text) {
			if f := strings.Split(strings.TrimPrefix(l, "# HELP haproxy_"), "_"); strings.HasPrefix(l, "# HELP ") {
				count[f[0]]++
			}
		}
		for _, part := range strings.Fields(c[4]) {
			name, number, _ := strings.Cut(part, "=")
			name = strings.TrimPrefix(name, "haproxy_")
			if name != "sticktable" && name != "resolver" && fmt.Sprint(count[name]) != number {
				t.Errorf("%q: %d metrics of %s, want %s", query, count[name], name, number)
			}
			delete(count, name)
		}
		if len(count) > 0 {
			t.Errorf("%q: too much: %v", query, count)
		}
	}
	if n < 40 {
		t.Errorf("%d queries", n)
	}
	for query, lines := range map[string][]string{
		"scope=server&no-maint&metrics=haproxy_server_status": {`haproxy_server_status{proxy="be",server="s3",state="DOWN"} 1`},
		"desc-labels": {`haproxy_process_node{desc="oracle lab",node="lab-node"} 1`, `haproxy_process_description{desc="oracle lab"} 1`, `haproxy_process_nbthread{desc="oracle lab"} 1`,
			`haproxy_frontend_status{proxy="fe",desc="front desc",state="UP"} 1`, `haproxy_server_status{proxy="be",desc="back desc",server="s2",state="MAINT"} 1`,
			`haproxy_listener_limit_sessions{proxy="fe",desc="front desc",listener="li2"} 0`, `haproxy_backend_status{proxy="bemaint",state="DOWN"} 1`},
		"extra-counters": {`haproxy_backend_ssl_sess{proxy="be",mod="ssl"} 0`, `haproxy_backend_agg_server_status{proxy="be",state="MAINT"} 1`, `haproxy_server_queue_limit{proxy="be",server="s1"} NaN`},
	} {
		text := everythingOf(t, w, query)
		for _, l := range lines {
			if !strings.Contains(text, l+"\n") {
				t.Errorf("%s: no %s", query, l)
			}
		}
		if strings.Contains(query, "no-maint") && strings.Contains(text, `"s2"`) {
			t.Error("a server in maintenance is shown")
		}
	}
}

// An answer about many servers takes no more memory than one about few.
func TestManyServers(t *testing.T) {
	const many = 10_000
	text := "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nbackend be\n server-template s 10000 127.0.0.1:1\n"
	w := bed.Start(t, 1, text)
	opt, _ := parse("scope=server")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var s *scrape
	pieces, lines, largest := 0, 0, 0
	w.OnAll(func(r *reactor.Reactor) { // there is one
		s = newScrape(r, w, w.Snapshot(), opt)
		for last := false; !last; {
			var p []byte
			if p, last, _ = s.Next(1 << 20); len(p) == 0 {
				s.turn = false
				continue
			}
			pieces++
			largest = max(largest, len(p))
			lines += bytes.Count(p, []byte("\n"))
		}
	})
	runtime.ReadMemStats(&after)
	if lines < 58*many || largest > 2*piece || cap(s.buf) > 2*piece {
		t.Errorf("%d lines in %d pieces of up to %d bytes, a buffer of %d", lines, pieces, largest, cap(s.buf))
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 4<<20 {
		t.Errorf("%d bytes allocated for %d pieces", made, pieces)
	}
	t.Logf("%d lines, %d pieces, %d bytes allocated", lines, pieces, after.TotalAlloc-before.TotalAlloc)
}

func TestLabels(t *testing.T) {
	s := scrape{}
	s.name("a", "b")
	s.label("x", "1\\2\"3\n4")
	s.label("y", "")
	s.number(5)
	if got := string(s.buf); got != `ab{x="1\\2\"3\n4",y=""} 5`+"\n" {
		t.Error(got)
	}
}
