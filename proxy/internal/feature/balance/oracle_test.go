package balance_test

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// recorded is what HAProxy 3.4 chose, requests what it was sent: see the comments at
// their top.
var (
	//go:embed testdata/balance.tsv
	recorded string
	//go:embed testdata/balance-keys.tsv
	requests string
)

var weights = map[string][]int{"eq": {1, 1, 1, 1, 1}, "inc": {10, 20, 30, 40, 50}, "mix": {1, 256, 3, 0, 100}}

func rows(text string) (list [][]string) {
	for l := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSuffix(l, "\n"), "\t"); l[0] != '#' {
			list = append(list, f)
		}
	}
	return list[1:]
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const head = "defaults\n mode http\n timeout client 1m\n timeout server 1m\n timeout connect 5s\n"

// pending tells whether an algorithm's line has words that are not supported yet.
func pending(line string) bool {
	text := head + "backend b\n balance " + line + "\n"
	_, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("b.cfg", []byte(text))}, Threads: 1, MaxConn: 100})
	for _, e := range d.All() {
		if strings.Contains(e.Text, "not supported by Forebay yet") {
			return true
		}
	}
	return false
}

// backend is the section of a row.
func backend(kind, name string, f []string, mode string, port int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n mode %s\n balance %s\n", kind, name, mode, f[0])
	if f[1] != "-" {
		fmt.Fprintf(&b, " hash-type %s\n", f[1])
	}
	if f[3] != "-" {
		fmt.Fprintf(&b, " %s\n", f[3])
	}
	for i, w := range weights[f[4]] {
		fmt.Fprintf(&b, " server s%d 127.0.1.%d:%d weight %d", i+1, i+1, port+i, w)
		if f[2] != "-" {
			fmt.Fprintf(&b, " hash-key %s", f[2])
		}
		if f[2] == "guid" {
			fmt.Fprintf(&b, " guid g%s%s%s-s%d", strings.ReplaceAll(f[1], " ", ""), f[4], strings.Trim(f[5], "-"), i+1)
		}
		if strings.Contains(f[5], "s"+strconv.Itoa(i+1)) {
			b.WriteString(" disabled")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestSameServerAsHAProxy(t *testing.T) {
	sets := map[string][]string{}
	for _, f := range rows(requests) {
		sets[f[0]] = append(sets[f[0]], unescape(t, f[3]))
	}
	for range 30 {
		sets["seq"] = append(sets["seq"], "GET / HTTP/1.1\r\nHost: h.example\r\n\r\n")
		sets["seqtcp"] = append(sets["seqtcp"], "\x03\x00\x00\x0b\x06\xe0\x00\x00\x00\x00\x00nothing.\r\n")
	}
	var text strings.Builder
	text.WriteString(head + "frontend f\n bind 10.0.0.1:80\n bind 10.0.0.1:81 accept-proxy\n use_backend %[req.hdr(x-be)]\n")
	yet := map[string]bool{}
	var list [][]string
	for _, f := range rows(recorded) {
		if _, known := yet[f[0]]; !known {
			yet[f[0]] = pending(f[0])
		}
		if yet[f[0]] || f[0] == "roundrobin" && f[4] != "eq" { // whose order is our own
			continue
		}
		n := len(list)
		list = append(list, f)
		if strings.HasPrefix(f[6], "rdp") || f[6] == "seqtcp" {
			text.WriteString(backend("listen", fmt.Sprintf("b%d\n bind 10.0.1.1:%d", n, 1000+n), f, "tcp", 36111))
		} else {
			text.WriteString(backend("backend", fmt.Sprintf("b%d", n), f, "http", 36101))
		}
	}
	s := sim.NewStage(t, text.String(), nil)
	for i := range 5 {
		name := fmt.Sprint(i + 1)
		s.Listen(fmt.Sprintf("127.0.1.%s:%d", name, 36101+i)).Serve(func(string) string {
			return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name
		})
	}
	tcp := make([]*sim.Host, 5)
	for i := range tcp {
		tcp[i] = s.Listen(fmt.Sprintf("127.0.1.%d:%d", i+1, 36111+i))
	}
	for n, f := range list {
		got := ""
		var kept *sim.Peer
		for _, r := range sets[f[6]] {
			switch {
			case strings.HasPrefix(f[6], "rdp") || f[6] == "seqtcp":
				c := s.Dial(fmt.Sprintf("10.0.1.1:%d", 1000+n))
				c.Send(r)
				s.Pass(0)
				for i, h := range tcp {
					if !h.Idle() {
						got += fmt.Sprint(i + 1)
						h.Accept().Close()
					}
				}
				c.Close()
				continue
			case strings.HasPrefix(f[6], "src"):
				kept = s.Dial("10.0.0.1:81")
			case kept == nil:
				kept = s.Dial("10.0.0.1:80")
			}
			kept.Send(strings.TrimSuffix(r, "\r\n") + fmt.Sprintf("X-Be: b%d\r\n\r\n", n))
			status := kept.Head()
			if !strings.Contains(status, " 200 ") {
				t.Fatalf("%v: %q: %s", f, r, status)
			}
			b := make([]byte, 1)
			if _, err := kept.Read(b); err != nil {
				t.Fatal(err)
			}
			got += string(b)
			if strings.HasPrefix(f[6], "src") {
				kept.Close()
			}
		}
		if got != f[7] {
			t.Errorf("%s: %s, HAProxy %s", strings.Join(f[:7], " | "), got, f[7])
		}
	}
	t.Logf("%d rows", len(list))
	if len(list) < 900 {
		t.Errorf("only %d rows", len(list))
	}
}
