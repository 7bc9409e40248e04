package effects_test

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// overridden are keywords with a value, with two of its values.
var overridden = map[string][2]string{
	"backlog": {"5", "6"}, "balance": {"first", "leastconn"}, "hash-type": {"consistent", "map-based djb2"}, "hash-balance-factor": {"150", "200"}, "hash-preserve-affinity": {"maxconn", "maxqueue"},
	"cookie": {"A insert", "B prefix"}, "dynamic-cookie-key": {"a", "b"}, "persist": {"rdp-cookie(a)", "rdp-cookie(b)"},
	"fullconn": {"5", "6"}, "http-reuse": {"always", "never"}, "maxconn": {"5", "6"},
	"mode": {"http", "tcp"}, "monitor-uri": {"/a", "/b"}, "rate-limit sessions": {"5", "6"}, "retries": {"5", "6"}, "log-tag": {"a", "b"},
	"unique-id-format": {"%pid", "%rt"}, "unique-id-header": {"x-a", "x-b"}, "default_backend": {"b1", "b2"}, "errorfile": {"503 page", "503 page2"},
	"option redispatch": {"1", "2"}, "log-format": {"%ci", "%cp"}, "log-format-sd": {"[a@1]", "[b@1]"}, "error-log-format": {"%ci", "%cp"},
	"option forwardfor": {"header a", "header b"}, "max-session-srv-conns": {"3", "4"},
}

// TestDefaultsAndNegations: what a defaults section says holds as if the proxy
// said it; what the proxy says itself holds instead, "no" as much as a value; and
// "no" takes back what the same section said.
func TestDefaultsAndNegations(t *testing.T) {
	var registry bytes.Buffer
	if err := conf.DumpKeywords(&registry, "cfg"); err != nil {
		t.Fatal(err)
	}
	negated, values := 0, 0
	for l := range strings.Lines(registry.String()) {
		name := bare(strings.TrimPrefix(strings.TrimSuffix(l, "\n"), "\t"))
		values2, isValue := overridden[name]
		switch {
		case strings.HasPrefix(name, "timeout "):
			values2, isValue = [2]string{"5s", "6s"}, true
		case strings.HasPrefix(name, "option "):
		case !isValue:
			continue
		}
		if isValue {
			one, two := name+" "+values2[0], name+" "+values2[1]
			same(t, one+" by default", [2]string{one, "#"}, [2]string{"#", one})
			same(t, two+" instead of the default", [2]string{one, two}, [2]string{"#", two})
			if name != "unique-id-format" { // which is a function, and no two of them compare
				differ(t, two+" and not "+one, [2]string{"#", one}, [2]string{"#", two})
			}
			values++
		}
		if !strings.HasPrefix(name, "option ") {
			continue
		}
		set := name
		if isValue {
			set += " " + values2[0]
		}
		same(t, name+" by default", [2]string{set, "#"}, [2]string{"#", set})
		if _, messages := inSections("#", "no "+name); strings.Contains(messages, "negation/default is not supported") {
			continue // the manual marks those that may
		}
		negated++
		same(t, "no "+name+" by default", [2]string{"no " + name, "#"}, [2]string{"#", "no " + name})
		same(t, "no "+name+" instead of the default", [2]string{set, "no " + name}, [2]string{"#", "no " + name})
		same(t, name+" instead of the default", [2]string{"no " + name, set}, [2]string{"#", set})
		same(t, "no "+name+" after it", [2]string{"#", set + "\n no " + name}, [2]string{"#", "no " + name})
		same(t, "default "+name+" after it", [2]string{"#", set + "\n default " + name}, [2]string{"#", "#"})
		differ(t, "no "+name, [2]string{"#", set}, [2]string{"#", "no " + name})
	}
	if negated < 15 || values < 25 {
		t.Errorf("only %d options that can be negated, and %d keywords with values, were tried", negated, values)
	}
}

// same compares what two pairs of lines make, of a defaults section and of a proxy.
func same(t *testing.T, what string, a, b [2]string) {
	t.Helper()
	x, xm := inSections(a[0], a[1])
	y, ym := inSections(b[0], b[1])
	if x == "" || x != y {
		t.Errorf("%s: %q and %q differ (%s; %s)%s", what, a, b, xm, ym, firstDifference(x, y))
	}
}

func differ(t *testing.T, what string, a, b [2]string) {
	t.Helper()
	x, _ := inSections(a[0], a[1])
	y, _ := inSections(b[0], b[1])
	if x == y {
		t.Errorf("%s: %q and %q are the same", what, a, b)
	}
}

func firstDifference(x, y string) string {
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return " at " + x[max(i-60, 0):min(i+60, len(x))]
		}
	}
	return ""
}

// inSections writes down the graph of a configuration with a line in its defaults
// section and one in its proxy.
func inSections(defaults, proxy string) (text, messages string) {
	files := fstest.MapFS{}
	for _, n := range []string{"page", "page2"} {
		files[n] = &fstest.MapFile{Data: []byte("HTTP/1.1 503 No\r\nx-page: " + n + "\r\n\r\nno")}
	}
	cfg := "defaults base\n mode http\n timeout check 9s\nbackend b1 from base\nbackend b2 from base\n" +
		"defaults d\n mode http\n log 127.0.0.1 local0\n " + defaults + "\nlisten l from d\n bind 127.0.0.1:36901\n server one 127.0.0.1:1\n " + proxy + "\n"
	snap, d := conf.Load(conf.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(cfg))}, Files: files})
	for _, m := range d.All() {
		messages += m.Text + "; "
	}
	if snap == nil {
		return "", messages
	}
	w := &writer{seen: map[uintptr]int{}}
	w.value(reflect.ValueOf(snap), 0)
	// Where a format stands, and that it was inherited, is for messages.
	return position.ReplaceAllString(w.String(), ""), messages
}

var position = regexp.MustCompile(`Line:\d+ |inherited:(true|false) `)
