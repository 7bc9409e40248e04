package payload_test

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// fetches is what HAProxy 3.4 gave for what a client had sent: an identifier, the
// expression, whether it was found, and the value; the bytes are in requests.
var (
	//go:embed testdata/fetches.tsv
	fetches string
	//go:embed testdata/requests.tsv
	requests string
)

func unescape(t *testing.T, text string) string {
	t.Helper()
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatal(err, text)
	}
	return s
}

// rows splits a table, without its comments.
func rows(text string) (list [][]string) {
	for l := range strings.Lines(text) {
		if l = strings.TrimSuffix(l, "\n"); !strings.HasPrefix(l, "#") {
			list = append(list, strings.Split(l, "\t"))
		}
	}
	return list
}

// TestFetchesAsHAProxy: each expression is evaluated by a rule on the content, when
// nothing more can come.
func TestFetchesAsHAProxy(t *testing.T) {
	sent := map[string]string{}
	for _, r := range rows(requests) {
		sent[r[0]] = unescape(t, r[1])
	}
	n := 0
	for id, raw := range sent {
		var rules, formats []string
		var want []string
		var expressions []string
		for _, r := range rows(fetches) {
			if r[0] != id {
				continue
			}
			n++
			k := len(want)
			value := "none"
			if r[2] == "1" {
				value = fmt.Sprintf("%X", unescape(t, r[3]))
			}
			want, expressions = append(want, value), append(expressions, r[1])
			rules = append(rules, fmt.Sprintf(" tcp-request content set-var(txn.v%d) %s", k, r[1]), fmt.Sprintf(" tcp-request content set-var-fmt(txn.s%d) %%[var(txn.v%d)] if { var(txn.v%d) -m found }", k, k, k))
			formats = append(formats, fmt.Sprintf(`%%[var(txn.s%d),hex] %%[var(txn.v%d),hex]`, k, k))
		}
		// Numbers as text, bytes as they are.
		mode := "tcp"
		if strings.Contains(id, "http") {
			mode = "http"
		}
		s := sim.NewStage(t, "global\n log {log} len 8192 local0\ndefaults\n mode "+mode+"\n log global\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n"+
			"frontend f\n bind 10.1.0.1:80\n log-format \""+strings.Join(formats, "|")+"\"\n tcp-request inspect-delay 1s\n tcp-request content set-var(txn.all) int(1) if WAIT_END\n"+strings.Join(rules, "\n")+"\n tcp-request content reject\n", nil)
		p := s.Dial("10.1.0.1:80")
		p.Send(raw)
		s.Pass(100)
		p.Shut()
		for !p.Ended() {
			s.Pass(1000)
		}
		lines := s.Lines()
		if len(lines) != 1 {
			t.Fatalf("%s: %q", id, lines)
		}
		got := strings.Split(strings.TrimSpace(lines[0]), "|")
		if len(got) != len(want) {
			t.Fatalf("%s: %d values, want %d: %s", id, len(got), len(want), lines[0])
		}
		for i, pair := range got {
			text, raw, _ := strings.Cut(pair, " ")
			switch {
			case want[i] == "none":
				if strings.Trim(pair, "- ") != "" {
					t.Errorf("%s: %s: %s, want nothing", id, expressions[i], pair)
				}
			case text != want[i] && raw != want[i]:
				t.Errorf("%s: %s: %s, want %s", id, expressions[i], pair, want[i])
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d rows", n)
	}
}
