package maps_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// rows reads a table.
func rows(t *testing.T, name string) (list [][]string) {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i := range f {
			text, err := strconv.Unquote(`"` + strings.ReplaceAll(f[i], `"`, `\"`) + `"`)
			if err != nil {
				t.Fatalf("%q: %v", f[i], err)
			}
			f[i] = text
		}
		list = append(list, f)
	}
	return list
}

// TestConvertersAsHAProxy: each expression has the result that 3.4 gave it.
func TestConvertersAsHAProxy(t *testing.T) {
	types := map[string]sample.Type{"str": sample.Str, "sint": sample.Int, "ipv4": sample.Addr, "ipv6": sample.Addr}
	list := rows(t, "converters.tsv")
	for _, row := range list {
		text := strings.NewReplacer("str(),", "str(x),bytes(1),", "ipv4(", "str(", "ipv6(", "str(").Replace(row[1])
		c := &conf.Ctx{Loading: &conf.Loading{Diags: new(config.Diagnostics), Files: os.DirFS("testdata")}}
		e, err := sample.Parse(c, text)
		if row[2] == "E" {
			if err == nil || strings.TrimSuffix(err.Error(), ".")+"." != row[3] {
				t.Errorf("%s: %v, HAProxy: %s", row[1], err, row[3])
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		var v sample.Value
		sc := new(stream.Scope)
		found := e.Eval(sc, &v)
		if found != (row[2] == "1") || found && (string(v.Text(sc)) != row[3] || v.Type != types[row[4]] || e.Type() != v.Type) {
			t.Errorf("%s: %v %q %s, HAProxy: %s %q %s", row[1], found, v.Text(sc), v.Type, row[2], row[3], row[4])
		}
	}
	if len(list) < 200 {
		t.Errorf("%d rows", len(list))
	}
}

// runtimeConf is the configuration that the replies are of; lines stand where they
// did.
const runtimeConf = `global
 nbthread 1
defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
#














frontend fe1
 bind {at}
#
 acl net src -f lists/nets.lst
 acl inl path_beg /one /two
 acl named path -m str -M -f virt@vacl
#
#
 http-request set-header X-Host %[hdr(host),map_str(lists/hosts.map,none)]
 http-request set-header X-Virt %[path,map_beg(virt@vmap,none)]
 http-request set-header X-Num %[path,map_str_int(lists/nums.map)]
 use_backend be2 if inl net
 default_backend be1
backend be1
backend be2
`

func start(t testing.TB, text string) *stream.Worker {
	t.Helper()
	snap, d := snapshot.Load(input(strings.ReplaceAll(text, "{at}", tcptest.Reserve(t).String())))
	if snap == nil {
		t.Fatal(d.All())
	}
	return bed.StartSnapshot(t, snap)
}

func input(text string) snapshot.Input {
	in := bed.Input(1, text)
	in.Sources[0] = config.Parse("main.cfg", []byte(text))
	in.Files = os.DirFS("testdata")
	return in
}

var (
	pointer = regexp.MustCompile(`(?m)^0x[0-9a-f]+ `)
	client  = regexp.MustCompile(`(?m)^\d+ \(\) acl 'var' file 'httpclient' line 0\..*\n`)
)

// unequal are what differs from HAProxy's replies on purpose, by row.
var unequal = []struct {
	row          string // as it is numbered below
	theirs, ours string
	why          string
}{
	{"46 show map lists/hosts.map", "\nq2 v2", "q2 v2", "an empty line in a payload is no part of the next key"},
	{"51 del map lists/hosts.map k1", "\n", "Key not found.\n\n", "the manual says that all entries of the key go; HAProxy takes one"},
	{"59 show map", "line 33. curr_ver=0 next_ver=0 entry_cnt=2", "line 33. curr_ver=0 next_ver=0 entry_cnt=3", "an entry that was refused is not taken off the count"},
	{"72 show map", "line 33. curr_ver=0 next_ver=0 entry_cnt=2", "line 33. curr_ver=0 next_ver=0 entry_cnt=3", "as above"},
	{"125 show acl", "18446744073709551614", "0", "the count is never less than nothing"},
}

// TestCommandsAsHAProxy: the commands are answered as 3.4 answered them, in the
// same order.
func TestCommandsAsHAProxy(t *testing.T) {
	w := start(t, runtimeConf)
	list := rows(t, "runtime.tsv")
	differing := 0
	for i, row := range list {
		want := client.ReplaceAllString(strings.ReplaceAll(row[1], "<PTR> ", "0x1 "), "")
		for _, u := range unequal {
			if u.row != fmt.Sprintf("%d %s", i, row[0]) {
				continue
			}
			if !strings.Contains(want, u.theirs) {
				t.Errorf("%s: %q does not differ", u.row, u.theirs)
			}
			want = strings.Replace(want, u.theirs, u.ours, 1)
			differing++
		}
		got := pointer.ReplaceAllString(bed.Ask(t, w, row[0]), "0x1 ")
		if got != want {
			t.Errorf("%d: %s\n%q\nHAProxy:\n%q", i, row[0], got, want)
		}
	}
	if len(list) < 100 || differing != len(unequal) {
		t.Errorf("%d rows, %d differ", len(list), differing)
	}
}

// Commands and rules see the same list as conditions and converters.
func TestOneListForAll(t *testing.T) {
	at := tcptest.Reserve(t).String()
	w := start(t, `defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend f
 bind `+at+`
 http-request set-map(virt@m) %[path] %[req.hdr(x)] if { req.hdr(do) set }
 http-request del-map(virt@m) %[path] if { req.hdr(do) del }
 http-request add-acl(virt@a) %[path] if { req.hdr(do) add }
 http-request del-acl(virt@a) %[path] if { req.hdr(do) rem }
 acl known path -f virt@a
 http-request return content-type text/plain lf-string "%[path,map(virt@m,none)] %[path,map_beg(virt@m,none)] %[path,map_str_key(virt@m)] known" if known
 http-request return content-type text/plain lf-string "%[path,map(virt@m,none)] %[path,map_beg(virt@m,none)] %[path,map_str_key(virt@m)]"
`)
	ask := func(path, do string) string {
		t.Helper()
		return body(t, at, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+do+"\r\n")
	}
	for _, step := range []struct{ path, do, command, want string }{
		{path: "/a", want: "none none "},
		{path: "/a", do: "do: set\r\nx: 1\r\n", want: "1 1 /a"},
		{path: "/a", do: "do: set\r\nx: 2\r\n", want: "2 2 /a"},
		{path: "/a/b", want: "none 2 "},
		{path: "/a", command: "set map virt@m /a three", want: "three three /a"},
		{path: "/a", do: "do: add\r\n", want: "three three /a known"},
		{path: "/b", command: "add acl virt@a /b", want: "none none  known"},
		{path: "/b", do: "do: rem\r\n", want: "none none "},
		{path: "/a", command: "del acl virt@a /a", do: "do: del\r\n", want: "none none "},
	} {
		if step.command != "" {
			if got := bed.Ask(t, w, step.command); got != "\n" {
				t.Errorf("%s: %q", step.command, got)
			}
		}
		if got := ask(step.path, step.do); got != step.want {
			t.Errorf("%+v: %q", step, got)
		}
	}
	if got := bed.Ask(t, w, "show map"); !strings.Contains(got, "entry_cnt=0\n") {
		t.Error(got)
	}
}

// body sends a request and gives the body of the response.
func body(t *testing.T, at, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(bed.Patience))
	fmt.Fprint(c, request)
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(all), "\r\n\r\n")
	return text
}

// Each entry can be changed by its number, also when its key is there twice.
func TestEntriesByNumber(t *testing.T) {
	w := start(t, runtimeConf)
	bed.Ask(t, w, "add map lists/hosts.map a.test second")
	refs := regexp.MustCompile(`(0x[0-9a-f]+) a\.test`).FindAllStringSubmatch(bed.Ask(t, w, "show map lists/hosts.map"), -1)
	if len(refs) != 2 {
		t.Fatal(refs)
	}
	if got := bed.Ask(t, w, "set map lists/hosts.map #"+refs[0][1]+" first"); got != "\n" {
		t.Error(got)
	}
	if got := bed.Ask(t, w, "del map lists/hosts.map #"+refs[1][1]); got != "\n" {
		t.Error(got)
	}
	if got := bed.Ask(t, w, "del map lists/hosts.map #"+refs[1][1]); got != "Key not found.\n\n" {
		t.Error(got)
	}
	if got := bed.Ask(t, w, "show map lists/hosts.map"); strings.Count(got, "a.test") != 1 || !strings.Contains(got, "a.test first\n") {
		t.Error(got)
	}
	if got := bed.AskAs(t, w, runtimeapi.Operator, "show map"); !strings.Contains(got, "Permission denied") {
		t.Error(got)
	}
}
