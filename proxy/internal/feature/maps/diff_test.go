package maps_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// files are what the configurations below name.
var files = map[string]string{
	"str.map":   "# hosts\nwww.example.com www\n  api.example.com   the api \n\nwww.example.com second\n/a/b slash\nempty\n",
	"beg.map":   "/ root\n/a a\n/a/b ab\n/img images\n",
	"end.map":   ".gif gif\n.tar.gz tgz\n.gz gz\nf f\n",
	"sub.map":   "exam e\nample a\n/b b\n",
	"dir.map":   "a dir-a\n/a/b/ dir-ab\nimg dir-img\n",
	"dom.map":   "example.com com\nwww w\n.api. api\n",
	"reg.map":   "^/a/(.*)$ <\\1>\n(.)\\.gif$ \\0-\\1-\\2-\\\\\n^www\\. host\n",
	"int.map":   "1 one\n2:5 few\n4 never\n-0 least\n10- many\n",
	"ip.map":    "10.0.0.0/8 ten\n10.1.0.0/16 ten-one\n10.1.2.3 exact\n127.0.0.0/8 local\n2001:db8::/32 doc\n::ffff:192.0.2.0/120 mapped\n",
	"num.map":   "/a 5\n/a/b -7\n/img 99999999999999999999\n/ 0\n",
	"addr.map":  "/a 192.0.2.1\n/a/b 2001:db8::1\n",
	"exact.lst": "/a/b\n  /img/x.gif\n#/a\n/A \n",
	"nets.lst":  "10.0.0.0/8\n127.0.0.1\n",
	"nums.lst":  "1\n3:4\n-1\n",
}

var expressions = []string{
	"hdr(host),map(str.map)", "hdr(host),map(str.map,none)", "hdr(host),lower,map_str(str.map)", "hdr(x),map_str_ip(addr.map)", "path,map_str_int(num.map,3)", "path,map_str_ip(addr.map,9.9.9.9)",
	"path,map_beg(beg.map)", "path,map_beg(beg.map,none)", "path,map_beg_int(num.map)", "hdr(host),map_beg(beg.map,none)",
	"path,map_end(end.map,none)", "path,map_sub(sub.map,none)", "hdr(host),map_sub(sub.map,none)", "path,map_dir(dir.map,none)", "hdr(host),map_dom(dom.map,none)", "path,map_dom(dom.map,none)",
	"path,map_reg(reg.map,none)", "path,map_regm(reg.map,none)", "hdr(host),map_reg(reg.map,none)",
	"hdr(x),map_int(int.map,none)", "hdr(cnt),map_int(int.map,none)", "int(5),map_int(int.map)", "int(99),map_int(int.map)",
	"src,map_ip(ip.map,none)", "hdr(x),map_ip(ip.map,none)", "dst_port,map_int(int.map)",
}

var criteria = []string{
	"path -f exact.lst", "path -i -f exact.lst", "path -f exact.lst /b", "path -i /B -f exact.lst", "path_beg -f exact.lst", "path_beg -i -f exact.lst", "path_end -f end.lst", "path_sub -f sub.lst", "path_dir -f dir.lst", "path_reg -f exact.lst",
	"path -m beg -M -f beg.map", "path -M -m end -f end.map", "hdr(host) -i -m str -M -f str.map", "hdr(host) -m dom -M -f dom.map", "hdr(x) -m ip -f nets.lst", "src -f nets.lst", "src -n -f nets.lst 10.0.0.1", "src 10.0.0.1 192.168.0.0/16",
	"hdr(x) -m int -f nums.lst", "hdr(x) -m int -f nums.lst 7", "path_len -f lens.lst", "path -f exact.lst -f exact.lst", "path -f exact.lst -i -f exact.lst", "path -u 77 /a/b", "path -m str -f exact.lst -i /A/B",
}

// TestListsAsHAProxy: conditions, converters and commands on files give in both
// programs the same.
func TestListsAsHAProxy(t *testing.T) {
	dir := t.TempDir()
	// One file a method: HAProxy 2.6 takes methods that keep their patterns in the same
	// way for one another.
	for _, n := range []string{"end.lst", "sub.lst", "dir.lst"} {
		files[n] = files["exact.lst"]
	}
	files["lens.lst"] = files["nums.lst"]
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := regexp.MustCompile(`[a-z]+\.(map|lst)`)
	full := func(s string) string { return file.ReplaceAllString(s, dir+"/$0") }
	var b strings.Builder
	b.WriteString(strings.Replace(oracle.Head, "global\n", "global\n  stats socket ipv4@{cli} level admin\n", 1) + "frontend f\n  bind {f}\n")
	b.WriteString("  http-request set-map(" + dir + "/str.map) %[path] %[hdr(put)] if { hdr(put) -m found }\n")
	b.WriteString("  http-request del-map(" + dir + "/str.map) %[path] if { hdr(del) map }\n")
	b.WriteString("  http-request add-acl(" + dir + "/exact.lst) %[path] if { hdr(add) acl }\n")
	b.WriteString("  http-request del-acl(" + dir + "/exact.lst) %[path] if { hdr(del) acl }\n")
	for i, c := range criteria {
		fmt.Fprintf(&b, "  http-request set-header r%d yes if { %s }\n", i, full(c))
	}
	b.WriteString("  http-request return content-type text/plain lf-string \"")
	for i := range criteria {
		fmt.Fprintf(&b, "%%[hdr(r%d)] %d;", i, i)
	}
	for _, e := range expressions {
		fmt.Fprintf(&b, "<%%[%s]>;", full(e))
	}
	b.WriteString("\"\n")
	sides := oracle.Run(t, b.String())
	mask := regexp.MustCompile(`0x[0-9a-f]+`)
	both := func(what string, do func(s *oracle.Side) string) {
		t.Helper()
		ours, theirs := mask.ReplaceAllString(do(sides[0]), "REF"), mask.ReplaceAllString(do(sides[1]), "REF")
		if ours == theirs {
			return
		}
		if a, z := strings.Split(ours, ";"), strings.Split(theirs, ";"); len(a) == len(z) && len(a) > 10 {
			for i := range a {
				if a[i] != z[i] {
					name := "conditions and expressions"
					if i > 0 && i < len(criteria) {
						name = criteria[i]
					} else if n := i - len(criteria); n >= 0 && n < len(expressions) {
						name = expressions[n]
					}
					t.Errorf("%s: %s: %q, HAProxy %q", what, name, a[i], z[i])
				}
			}
			return
		}
		t.Errorf("%s: %q, HAProxy %q", what, ours, theirs)
	}
	request := func(path, head string) {
		t.Helper()
		both(path+" "+head, func(s *oracle.Side) string {
			answer := s.Exchange("f", "GET "+path+" HTTP/1.1\r\nConnection: close\r\n"+head+"\r\n")
			_, body, _ := strings.Cut(answer, "\r\n\r\n")
			return body
		})
	}
	command := func(text string) {
		t.Helper()
		both(text, func(s *oracle.Side) string { return s.Exchange("cli", full(text)+"\n") })
	}
	heads := []string{"Host: www.example.com\r\nx: 3\r\n", "Host: API.example.com\r\nx: 10.1.2.3\r\ncnt: 4\r\n", "Host: x\r\nx: -1\r\ncnt: 10\r\n", "Host: example.com:80\r\nx: 2001:db8::5\r\n", "Host: a.api.b\r\nx: 192.0.2.7\r\n"}
	all := func() {
		t.Helper()
		for _, path := range []string{"/", "/a", "/a/b", "/A/B", "/a/b/c.tar.gz", "/img/x.gif", "/b", "/example.com/www", "/xyz", "/%2f?/a/b"} {
			request(path, heads[len(path)%len(heads)])
		}
		for _, h := range heads {
			request("/a/b", h)
		}
	}
	all()
	for _, f := range []string{"str.map www.example.com", "str.map x", "beg.map /a/x", "end.map x.tar.gz", "sub.map example", "dir.map /a/b", "dom.map www.example.com", "reg.map /a/x", "int.map 4", "int.map -9", "int.map x", "ip.map 10.1.9.9", "ip.map ::ffff:10.1.2.3", "ip.map x", "num.map /img", "addr.map /a", "addr.map /a/b"} {
		command("get map " + f)
	}
	for _, f := range []string{"exact.lst /a/b", "exact.lst /A", "nets.lst 10.1.1.1", "nets.lst x", "nums.lst 3", "#77 /a/b", "beg.map /a/x", "str.map www.example.com"} {
		command("get acl " + f)
	}
	for _, c := range []string{
		"show map str.map", "show acl exact.lst", "show acl #77", "show map int.map", "add map str.map new.example.com x", "add map num.map /n x", "add map num.map /n 1.5", "add map num.map /xyz 12",
		"set map num.map /a 6", "add map addr.map /xyz 10.0.0.1", "add map addr.map /q 10.0.0", "add acl exact.lst /xyz", "add acl nets.lst 10.0.0.0/33", "add acl nums.lst x", "add acl nums.lst 5:3", "add acl nums.lst 5-6", "add map int.map 99 x", "add map int.map x y",
		"del acl exact.lst /a/b", "del acl nets.lst 127.0.0.1", "del map beg.map /a", "del map beg.map /nope", "add map ip.map 127.0.0.0/9 nearer", "del acl str.map x", "show map exact.lst", "show acl str.map", "clear map dom.map", "show map dom.map",
		"prepare acl nums.lst", "add acl @1 nums.lst 2", "show acl @1 nums.lst", "show acl nums.lst", "commit acl @1 nums.lst", "show acl nums.lst", "commit acl @1 nums.lst", "del map exact.lst /A", "set map exact.lst /A x", "clear map exact.lst", "prepare map exact.lst",
	} {
		command(c)
	}
	all()
	request("/set", "Host: x\r\nput: by a rule\r\n")
	request("/set", "Host: x\r\nput: once more\r\n")
	request("/set", "Host: x\r\nadd: acl\r\n")
	request("/set", "Host: x\r\nadd: acl\r\n")
	command("show map str.map")
	command("show acl exact.lst")
	request("/set", "Host: x\r\ndel: map\r\n")
	request("/set", "Host: x\r\ndel: acl\r\n")
	command("show map str.map")
	command("show acl exact.lst")
	all()
}

// TestMistakesAsHAProxy: what is wrong with a configuration is told in the same
// words.
func TestMistakesAsHAProxy(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"one.lst": "a\nb\n", "two.map": "a 1\nb x\n", "nets.lst": "10.0.0.0/8\nlocalhost\n", "bad.lst": "# x\n10.0.0.0/8\n10.0.0.0/40\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for lines, want := range map[string]string{
		"acl a hdr(x) -f one.lst;http-request set-header a %[path,map(one.lst)]": `The file "DIR/one.lst" is already used as one column file and cannot be used by as two column file.`,
		"http-request set-header a %[path,map(one.lst)];acl a hdr(x) -f one.lst": `The file "DIR/one.lst" is already used as two column file and cannot be used by as one column file.`,
		"http-request set-header a %[path,map_str_int(two.map)]":                 "unable to parse 'x' at line 2 of file 'DIR/two.map'",
		"http-request set-header a %[path,map_str_ip(two.map)]":                  "unable to parse '1' at line 1 of file 'DIR/two.map'",
		"http-request set-header a %[path,map_str_ip(one.lst,x)]":                "unable to parse '' at line 1 of file 'DIR/one.lst'",
		"http-request set-header a %[src,map_ip(two.map)]":                       "'a' is not a valid IPv4 or IPv6 address at line 1 of file 'DIR/two.map'",
		"acl a hdr(x) -u 5 x;acl b hdr(x) -u 5 y":                                "the id is already used",
		"acl a hdr(x) -u x":                   "the argument of -u must be an integer",
		"acl a src -f nets.lst":               "",
		"acl a src -n -f nets.lst":            "'localhost' is not a valid IPv4 or IPv6 address at line 2 of file 'DIR/nets.lst'",
		"acl a src -f bad.lst":                "'10.0.0.0/40' is not a valid IPv4 or IPv6 address at line 3 of file 'DIR/bad.lst'",
		"acl a hdr(x) -f one.lst -m beg":      "'-m' must only be specified before patterns and files in parsing ACL expression",
		"acl a hdr(x) -f nosuch.lst":          "failed to open pattern file <DIR/nosuch.lst>",
		"acl a hdr(x) -m str -M -f one.lst x": "",
		"acl a path -m int +5":                "'+5' is not a number",
		"acl a path -m int 5-10 -5 3:":        "",
		"acl a path -m int 9:5":               "'9:5' is not a valid number range",
		"http-request set-map(two.map) a":     "while parsing 'http-request set-map(DIR/two.map)' rule : expects exactly 2 arguments",
		"http-request add-acl(one.lst)":       "while parsing 'http-request add-acl(DIR/one.lst)' rule : expects exactly 1 arguments",
		"http-request set-map(two.map) a b c": "'http-request set-map(DIR/two.map)' expects either 'if' or 'unless' followed by a condition but found 'c'",
		"http-request set-map(nosuch) a b":    "",
	} {
		full := regexp.MustCompile(`[a-z]+\.(map|lst)`).ReplaceAllString(lines, dir+"/$0")
		want = strings.ReplaceAll(want, "DIR", dir)
		ours, theirs := oracle.Check(t, "defaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:1\n "+strings.ReplaceAll(full, ";", "\n ")+"\n")
		if ours.OK != (want == "") || theirs.OK != ours.OK || !strings.Contains(ours.Text, want) || !strings.Contains(theirs.Text, want) {
			t.Errorf("%s: want %q\n%v %s\nHAProxy: %v %s", lines, want, ours.OK, ours.Text, theirs.OK, theirs.Text)
		}
	}
}
