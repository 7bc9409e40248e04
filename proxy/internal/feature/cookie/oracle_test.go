package cookie_test

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// recorded is what HAProxy 3.4 did: see the comments at its top.
//
//go:embed testdata/cookies.tsv
var recorded string

// differences are the rows that are answered otherwise on purpose, by what they begin
// with, and why.
var differences = map[string]string{}

const head = "defaults\n mode http\n timeout client 1m\n timeout server 1m\n timeout connect 5s\n"

// row is a line of the table.
type row struct {
	no                                                             int
	cookie, method, sent, origin, server, serverGot, clientGot, ts string
}

func rows(t *testing.T) (list []row) {
	no := 0
	for l := range strings.Lines(recorded) {
		no++
		if l[0] == '#' || strings.HasPrefix(l, "cookie\t") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		for i := range f {
			text, err := strconv.Unquote(`"` + strings.ReplaceAll(f[i], `"`, `\"`) + `"`)
			if err != nil {
				t.Fatal(no, err)
			}
			f[i] = text
		}
		list = append(list, row{no, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]})
	}
	return list
}

// section is the backend of a row: the words in brackets say what is special.
func section(name, cookie string) string {
	line, special, _ := strings.Cut(cookie, " [")
	var b strings.Builder
	fmt.Fprintf(&b, "backend %s\n balance first\n cookie %s\n", name, line)
	if strings.Contains(special, "option persist") {
		b.WriteString(" option persist\n")
	}
	if strings.Contains(special, "dynamic-cookie-key") {
		b.WriteString(" dynamic-cookie-key secretkey\n")
	}
	for i, addr := range []string{"127.0.0.1:36201", "127.0.1.2:36202", "127.0.1.3:36203"} {
		fmt.Fprintf(&b, " server s%d %s", i+1, addr)
		if !strings.Contains(special, "no server cookie") && !strings.Contains(special, "servers without cookie") {
			fmt.Fprintf(&b, " cookie c%d", i+1)
		}
		if i == 2 {
			b.WriteString(" disabled")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func date(t time.Time) (s string) {
	for n, i := t.Unix()>>2, 24; i >= 0; i -= 6 {
		s += string(digits[n>>i&63])
	}
	return s
}

var (
	relative = regexp.MustCompile(`<now([+-]\d+)?>`)
	absolute = regexp.MustCompile(`\|[A-Za-z0-9+/]{5}`)
)

// dated puts dates in the place of what stands for them.
func dated(s string, now time.Time) string {
	return relative.ReplaceAllStringFunc(s, func(m string) string {
		n, _ := strconv.Atoi(strings.Trim(m, "<now>"))
		return date(now.Add(time.Duration(n) * time.Second))
	})
}

// undated is the other way.
func undated(s string, now time.Time) string {
	return absolute.ReplaceAllStringFunc(s, func(m string) string {
		n := int64(0)
		for _, c := range m[1:] {
			n = n<<6 | int64(strings.IndexRune(digits, c))
		}
		d := n<<2 - now.Unix()
		if -8 <= d && d <= 8 {
			return "|<now>"
		}
		return fmt.Sprintf("|<now%+d>", (d-5)/10*10)
	})
}

// fields gives the fields of these names in a head, each as "Name: value".
func fields(head string, names ...string) (list []string) {
	for l := range strings.SplitSeq(head, "\r\n") {
		name, value, _ := strings.Cut(l, ": ")
		for _, n := range names {
			if strings.EqualFold(name, n) {
				list = append(list, n+": "+value)
			}
		}
	}
	return list
}

var origins = map[string]string{"plain": "", "set": "Set-Cookie: SRV=app; Path=/\r\n", "unset": "Set-Cookie: SRV=; Max-Age=0\r\n"}

// Every row of the table, over one connection of HTTP/1.
func TestAsHAProxy34(t *testing.T) {
	list := rows(t)
	if len(list) < 1600 {
		t.Fatal(len(list))
	}
	names := map[string]string{}
	text := head + "frontend f\n bind 10.0.0.1:80\n log {log} local0\n log-format \"ts %tsc\"\n use_backend %[req.hdr(x-be)]\n"
	for _, r := range list {
		if r.server != "E" && names[r.cookie] == "" {
			names[r.cookie] = fmt.Sprintf("b%d", len(names))
			text += section(names[r.cookie], r.cookie)
		}
	}
	s := sim.NewStage(t, text, nil)
	served, got := "", ""
	for i, addr := range []string{"127.0.0.1:36201", "127.0.1.2:36202", "127.0.1.3:36203"} {
		s.Listen(addr).Serve(func(head string) string {
			served, got = fmt.Sprintf("s%d", i+1), "-"
			if c := fields(head, "Cookie"); c != nil {
				got = strings.TrimPrefix(strings.Join(c, " || "), "Cookie: ")
			}
			return "HTTP/1.1 200 OK\r\n" + origins[strings.TrimPrefix(fields(head, "X-Origin")[0], "X-Origin: ")] + "Content-Length: 0\r\n\r\n"
		})
	}
	c := s.Dial("10.0.0.1:80")
	begins := func(r row) string {
		for d := range differences {
			if strings.HasPrefix(strings.Join([]string{r.cookie, r.method, r.sent, r.origin}, "\t"), d) {
				return d
			}
		}
		return ""
	}
	used := map[string]bool{}
	bad := 0
	for _, r := range list {
		var wrong string
		if r.server == "E" {
			_, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("b.cfg", []byte(head+section("b", r.cookie)))}, Threads: 1, MaxConn: 100})
			if !slices.ContainsFunc(d.All(), func(e config.Diagnostic) bool { return strings.HasPrefix(e.Text, r.serverGot) }) {
				wrong = fmt.Sprintf("%v", d.All())
			}
		} else {
			now := s.Worker.Reactors[0].Wall()
			request := r.method + " / HTTP/1.1\r\nHost: h\r\nX-Be: " + names[r.cookie] + "\r\nX-Origin: " + r.origin + "\r\n"
			sent := dated(r.sent, now)
			if r.sent != "-" {
				request += "Cookie: " + sent + "\r\n"
			}
			if r.method == "POST" {
				request += "Content-Length: 0\r\n"
			}
			c.Send(request + "\r\n")
			answer := c.Head()
			s.Pass(time.Second)
			lines := s.Lines()
			if got == sent && r.sent != "-" {
				got = "="
			}
			client := strings.Join(fields(answer, "Set-Cookie", "Cache-Control"), " || ")
			if client = undated(client, now); client == "" {
				client = "-"
			}
			if served != r.server || got != r.serverGot || client != r.clientGot || !strings.HasSuffix(lines[len(lines)-1], "ts "+r.ts) {
				wrong = fmt.Sprintf("server %s, it got %q, the client %q, log %s", served, got, client, lines[len(lines)-1])
			}
		}
		if d := begins(r); d != "" {
			if wrong != "" {
				used[d] = true
			}
			continue
		}
		if wrong != "" {
			if bad++; bad < 20 {
				t.Errorf("testdata/cookies.tsv:%d: %+v\n  %s", r.no, r, wrong)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d rows", bad, len(list))
	}
	for d, reason := range differences {
		if !used[d] {
			t.Errorf("no row differs by %q any more: %s", d, reason)
		}
	}
}
