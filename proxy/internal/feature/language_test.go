package feature_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/process/master" // its keywords
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// usual are the sections around the lines in the tables.
const (
	usualFront = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind 127.0.0.1:36700\n"
	usualBack  = " default_backend b\nbackend b\n server s1 127.0.0.1:36701\n"
)

// row is a line of testdata/errors.tsv.
type row struct {
	no     int
	exit   int
	config string
	want   []finding
}

// finding is one message: its severity, the line it is about (0: none is named)
// and what it says.
type finding struct {
	severity string
	line     int
	text     string
}

var (
	prefixed = regexp.MustCompile(`^\[(ALERT|WARNING|NOTICE|DIAG)\] ((?s).*)$`)
	placed   = regexp.MustCompile(`^(?i:config : )?(?i:parsing )?\[F:(\d+)\] ?:? ?((?s).*)$`)
)

// show writes findings one a line.
func show(list []finding) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "  [%s] %d: %s\n", f.severity, f.line, f.text)
	}
	return b.String()
}

// findings takes a text of messages apart.
func findings(text string) []finding {
	var list []finding
	for _, l := range strings.Split(text, "\n") {
		m := prefixed.FindStringSubmatch(l)
		switch {
		case m != nil:
			f := finding{severity: m[1], text: m[2]}
			if p := placed.FindStringSubmatch(f.text); p != nil {
				f.line, _ = strconv.Atoi(p[1])
				f.text = p[2]
			}
			f.text = strings.TrimPrefix(f.text, "config : ")
			list = append(list, f)
		case l == "$E" || l == "$F" || l == "Warnings were found." || strings.HasSuffix(l, "=> exit(2).") || l == "":
		case len(list) > 0:
			list[len(list)-1].text += "\n" + l
		}
	}
	return list
}

// unescape undoes the table's escapes.
func unescape(t *testing.T, s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				t.Fatal(s)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			t.Fatalf("escape \\%c", s[i])
		}
	}
	return b.String()
}

func readRows(t *testing.T) []row {
	data, err := os.ReadFile("testdata/errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	no := 0
	for l := range strings.Lines(string(data)) {
		no++
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		exit, err := strconv.Atoi(f[0])
		if err != nil {
			continue
		}
		text := strings.ReplaceAll(f[1], "$D", strings.ReplaceAll(usualFront, "\n", `\n`))
		text = strings.ReplaceAll(text, "$B", strings.ReplaceAll(usualBack, "\n", `\n`))
		rows = append(rows, row{no, exit, unescape(t, text), findings(unescape(t, f[2]))})
	}
	return rows
}

// helperFiles are the files that lines of the tables name.
type helperFiles struct{ fstest.MapFS }

func (f helperFiles) Open(name string) (fs.File, error) {
	return f.MapFS.Open(strings.TrimPrefix(name, "/"))
}

func newHelperFiles(t *testing.T) helperFiles {
	ca := certtest.NewCA(t, "ca")
	srv := ca.Issue(t, "srv", certtest.Names("localhost"))
	file := func(b []byte) *fstest.MapFile { return &fstest.MapFile{Data: b} }
	text := func(s string) *fstest.MapFile { return file([]byte(s)) }
	return helperFiles{fstest.MapFS{
		"pki/srv.pem": file(srv.PEM(t)), "pki/srv.crt": file(srv.CertPEM()), "pki/srv.key": file(srv.KeyPEM(t)), "pki/ca.crt": file(ca.CertPEM()),
		"pki/crl0.pem": file(ca.CRL(t)), "pki/cadir/ca.crt": file(ca.CertPEM()), "pki/srv.ocsp": file(srv.OCSP(t)),
		"good.map": text("a b\n"), "badint.map": text("a x\n"), "badip.lst": text("1.2.3.4\nnotip\n"), "badre.lst": text("a(\n"),
		"e503": text("HTTP/1.0 503 Busy\r\nContent-Length: 0\r\n\r\n"), "ebad": text("garbage\n"), "nocrt": text(""), "cl": text("pki/srv.pem\n"), "tk": text(strings.Repeat(strings.Repeat("a", 64)+"\n", 3)),
		"badlist":   text("nosuch.pem\n"),
		"etc/hosts": text("127.0.0.1 localhost\n"), "etc/passwd": text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
		"etc/group": text("root:x:0:\nnogroup:x:65534:\n"), "etc/resolv.conf": text("nameserver 127.0.0.1\n"),
	}}
}

// answer loads a configuration and gives the exit status of "-c" and what it
// prints.
func check(text string, files fs.FS) (exit int, list []finding) {
	snap, d := snapshot.Load(snapshot.Input{
		Sources: []*config.File{config.Parse("F", []byte(text))}, Files: files, Threads: 2, MaxConn: 100, Options: options(),
	})
	for _, x := range d.All() {
		if x.Severity < config.Notice {
			continue
		}
		list = append(list, findings("["+x.Severity.String()+"] "+x.String())...)
	}
	switch {
	case snap == nil:
		return 1, list
	case listeners(snap) == 0:
		return 2, list
	}
	return 0, list
}

// listeners counts the addresses of a configuration.
func listeners(s *stream.Snapshot) (n int) {
	for _, p := range s.Proxies {
		if !p.Disabled {
			n += len(p.Binds)
		}
	}
	if r := conf.Runtime.Of(s.Global); r != nil {
		n += len(r.Binds)
	}
	return n
}

const notYet = "is not supported by Forebay yet"

// differences are the rows that are answered otherwise on purpose, by a part of the
// configuration, with the reason. Rows about keywords that are not supported yet
// tell so themselves.
var differences = []struct{ row, reason string }{
	// Stricter.
	{"maxconn -1", numbers}, {"maxconn x", numbers}, {"backlog x", numbers}, {"fullconn x", numbers}, {"retries x", numbers}, {"spread-checks x", numbers},
	{"maxsslrate x", numbers}, {"maxcomprate x", numbers}, {"maxzlibmem x", numbers}, {"ulimit-n x", numbers}, {"mworker-max-reloads x", numbers}, {"numa-cpu-mapping x", extra}, {"weight x", numbers}, {"weight\n", numbers}, {"port x", numbers}, {"port 99999", numbers}, {"pool-max-conn x", numbers},
	{"max-reuse x", numbers}, {"redispatch x", numbers}, {"tarpit status x", numbers}, {"gid x", numbers}, {"uid x", numbers}, {"tune.bufsize 10\n", "a buffer of 16 bytes, with which 3.4.0 crashes"},
	{"dst_port ge\n", forgotten}, {"gt 5 lt\n", forgotten}, {"use_backend b if\n", forgotten}, {"{ path /x } or\n", forgotten}, {"if TRUE || \n", forgotten}, {"code 301 if\n", forgotten},
	{"default-server\n", "a line that says nothing"}, {"bind unix@\n", "a path of no bytes"}, {"user a password notcrypted", "a password that nothing matches"},
	{"hash-balance-factor x", numbers}, {"rdp-cookie(x) y", extra},
	{"defaults a b\n", extra}, {"log-send-hostname a b", extra}, {"log-tag a b", extra}, {"<3000 x y>", extra}, {"<17000 x y>", extra},
	{"frontend a!b\n", "3.4.0 says that the name is not permitted, and takes it"},
	{"groups nog\n", "3.4.0 crashes"},
	{"user a insecure-password p\n user a", "two passwords of one user: which one counts is not for the order of lines to say"},
	{"group g\n group g", "the same of groups"},
	// More lenient.
	{"fd@99", "descriptors are looked at when the process starts: who checks a configuration has others"},
	{"ring@nosuch", "what is logged there would be lost"}, {"profile nosuch local0", "lines would not be what was asked for"},
	// Said in other words.
	{"ring r\n nosuch", "the same words for all sections"}, {"log-profile lp\n nosuch", "the same words for all sections"},
	{"filter compression x", "the same words for all filters"},
	{"frontend a b\n", "3.4.0 thinks of the syntax of version 1.3"}, {"program p\n", "nobody is helped by the line behind"},
	{"stats timeout\n", slip}, {"stats refresh\n", slip}, {"acl\nb", slip}, {"check inter x", slip},
	{"tune.ssl.default-dh-param x", numbers}, {"nosuchuser1", "no Success where there was none"}, {"nosuchgroup1", "no Success where there was none"},
	{"ssl-engine", tls}, {"issuers-chain-path", tls}, {"ssl crt nocrt", tls}, {"crt-list badlist", "files are looked for first"}, {"ca-file no", tls}, {"crl-file nosuch", tls},
	{"ciphers NOSUCH", tls}, {"ciphersuites NOSUCH", tls}, {"curves nosuch", tls}, {"ecdhe nosuch", tls}, {"ssl-max-ver TLSv1.2", tls}, {"no-tlsv12 no-tlsv13", tls}, {"sigalgs nosuch", tls},
	{"crt-store s\n load", tls}, {"ssl-f-use", tls}, {"accept-netscaler-cip x", slip}, {"set-proxy-v2-tlv-fmt(x)", "says what is expected"},
	{"tarpit deny_status\n", "names the word that was written"},
	{"nosuch.host.invalid:80", "one line says it all"}, {"127.0.0.1 check\n", "one line says it all"}, {"errorfile 503 ebad", "says what is wrong"},
	{"str(a),add\n", forgotten}, {"path,bytes\n", forgotten},
	{"${NOSUCH}", place}, {"${A-}", place}, {"connection expect-proxy", "the same words for all rules"},
	{"filter-sequence request nosuch", "that the errors are fatal is said by who loads"},
	{"guid-prefix a/b", "says which line of 'bind' it is"},
	{" force-persist\nbackend", "what is ignored is not read"}, {"force-persist if\n", forgotten},
	{"balance hash nosuch", "points at the line, not at the section"},
	{"expect ! \n", "the mark is none of a pattern"}, {"min-recv x", numbers}, {"\n tcp-check connect\nbackend", "one warning is enough"},
	{"log-format %%%\n", "no warning about what is refused"}, {"log-format %[path\n", "the bracket comes first"},
}

const (
	numbers   = "numbers are read strictly: 3.4.0 takes what is none for 0"
	forgotten = "a condition or comparison with nothing is one that was forgotten"
	extra     = "words that say nothing"
	slip      = "a slip of 3.4.0"
	tls       = "Go's crypto/tls has its own reasons, told at the line"
	place     = "points at the word as it is written"
)

func TestLanguageErrors(t *testing.T) {
	files := newHelperFiles(t)
	used := make([]bool, len(differences))
	pending, same := 0, 0
	for _, r := range readRows(t) {
		exit, got := check(r.config, files)
		yet := false
		for _, f := range got {
			yet = yet || f.severity == "ALERT" && strings.Contains(f.text, notYet)
			if doubled.MatchString(f.text) && !strings.Contains(r.config, "..") {
				t.Errorf("line %d: doubled punctuation: %s", r.no, f.text)
			}
		}
		if yet && exit == 1 {
			pending++
			continue
		}
		ok := exit == r.exit && covered(r.want, got) && (exit == 1 || len(got) == len(r.want))
		known := false
		for i, d := range differences {
			if strings.Contains(r.config, d.row) && !ok {
				known, used[i] = true, true
			}
		}
		switch {
		case ok:
			same++
		case !known:
			t.Errorf("testdata/errors.tsv:%d: exit %d, want %d\n%swant\n%sgot\n%s", r.no, exit, r.exit, r.config, show(r.want), show(got))
		}
	}
	for i, d := range differences {
		if !used[i] {
			t.Errorf("no row differs by %q any more: %s", d.row, d.reason)
		}
	}
	if same < 400 {
		t.Errorf("only %d rows are answered in the same way; %d are about what is not supported yet", same, pending)
	}
}

var (
	sameOption = regexp.MustCompile(`^E: unknown option '(.*)'; did you mean '(.*)' maybe \?$`)
	atLine     = regexp.MustCompile(`\[F:\d+\]`)
	doubled    = regexp.MustCompile(`[^.]\.\.( |\n|$)|[?:]\.`)
	suggestion = regexp.MustCompile(`(; did you mean|\. Did you mean) '[^']*' maybe \?`)
	actionList = regexp.MustCompile(`^('(?:http|tcp)-[a-z -]*' expects) '.*'(, but got| in )`)
)

// plain leaves out of a message what does not matter, or is a slip of HAProxy's:
// doubled and missing full stops, quotes around the whole, a bracket that was not
// cut off, places said twice. Suggestions come from lists of one's own, and so do
// lists of actions.
func plain(text string) string {
	text = suggestion.ReplaceAllString(text, "")
	text = atLine.ReplaceAllString(text, "[F:L]")
	text = actionList.ReplaceAllString(text, "$1 …$2")
	text = strings.ReplaceAll(text, "]> :", "> :")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "parsing [F:L] : "), "config: ")
	text, _, _ = strings.Cut(text, " is invalid (error=") // of regular expressions
	text = strings.ReplaceAll(text, "failed to parse the regex : ", "")
	text = strings.ReplaceAll(text, "Warnings were found.", "")
	text = strings.ReplaceAll(text, "\n.", "")
	if strings.Contains(text, "acl will never") || strings.HasPrefix(text, "'acl ") || strings.HasPrefix(text, "'anonymous") {
		text = strings.Trim(text, "'\n")
		text = strings.TrimSuffix(text, "\n'")
	}
	text = strings.ReplaceAll(text, "''level'", "'level'")
	text = strings.ReplaceAll(text, "''mode'", "'mode'")
	text = strings.ReplaceAll(text, "''expose-fd'", "'expose-fd'")
	return strings.TrimRight(text, ". '\n)")
}

// says tells whether a message of ours says what HAProxy's does; it may go on.
func says(ours, theirs string) bool {
	for l := range strings.SplitSeq(theirs, "\n") {
		if !strings.HasPrefix(plain(ours), plain(l)) {
			continue
		}
		return true
	}
	return strings.HasPrefix(plain(ours), plain(theirs))
}

// covered tells whether all findings of want are in got.
func covered(want, got []finding) bool {
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g.severity == w.severity && (w.line == 0 || g.line == 0 || w.line == g.line) && says(g.text, w.text)
		}
		if !found {
			return false
		}
	}
	return true
}

func options() config.Options {
	return config.Options{Env: config.NewEnvironment([]string{"HOME=/root"}), Version: "3.4.0"}
}

// sectionsOf are the columns of testdata/defaults.tsv, with a line in each kind of
// section.
var sectionsOf = []string{
	"global\n    L\n" + others,
	"defaults\n mode http\n    L\n" + others,
	"defaults X\n mode http\n    L\n" + others,
	others + "frontend X\n bind 127.0.0.1:36898\n timeout client 1s\n    L\n",
	others + "backend X\n timeout connect 1s\n timeout server 1s\n    L\n",
	others + "listen X\n bind 127.0.0.1:36898\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n    L\n",
	others + "F X\n    L\n",
}

const others = "defaults base\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend st from base\nfrontend f from base\n bind 127.0.0.1:36700\ndefaults rest\n mode http\n"

func TestLanguageSections(t *testing.T) {
	data, err := os.ReadFile("testdata/defaults.tsv")
	if err != nil {
		t.Fatal(err)
	}
	files := newHelperFiles(t)
	no, pending, same := 0, 0, 0
	used := make([]bool, len(elsewhere))
	for l := range strings.Lines(string(data)) {
		no++
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		family := f[0]
		// Lines of other files, and what has to be allowed first, are tried elsewhere.
		if family[0] == '#' || family == "family" || strings.HasSuffix(family, "+exp") || family == "crt-list" {
			continue
		}
		line := strings.NewReplacer("{i}", "7", "{id}", "1007", `\n`, "\n", `\\`, `\`).Replace(f[1])
		want := ""
		for i, cell := range f[2:] {
			if cell != "=" {
				want = cell
			}
			if want == "-" {
				continue
			}
			text := strings.Replace(sectionsOf[i], "L", line, 1)
			text = strings.Replace(text, "F X", family+" X", 1)
			exit, got := check(text, files)
			yet := false
			for _, g := range got {
				yet = yet || strings.Contains(g.text, notYet)
			}
			if yet && exit == 1 {
				pending++
				continue
			}
			var list []finding
			refused := false
			parts := strings.Split(want, " | ")
			for k, part := range parts {
				if m := sameOption.FindStringSubmatch(part); m != nil && m[1] == m[2] || slices.Contains(parts[:k], part) {
					continue // 3.4.0 ignores an option of the other side, and then does not find it
				}
				switch {
				case part == "U":
					list = append(list, finding{"ALERT", 0, "unknown "})
				case strings.HasPrefix(part, "E: "):
					list = append(list, finding{"ALERT", 0, strings.TrimPrefix(part[3:], "[F:L] : ")})
				case strings.HasPrefix(part, "W: "):
					list = append(list, finding{"WARNING", 0, part[3:]})
					continue
				default:
					continue
				}
				refused = true
			}
			ok := refused == (exit == 1) && covered(list, got) && (refused || len(got) == len(list))
			known := false
			for k, d := range elsewhere {
				if !ok && strings.Contains(line, d.row) {
					known, used[k] = true, true
				}
			}
			switch {
			case ok:
				same++
			case !known:
				t.Errorf("testdata/defaults.tsv:%d: column %d %s\nwant %s\ngot %d\n%s", no, i, line, want, exit, show(got))
			}
		}
	}
	if same < 3500 {
		t.Errorf("only %d cells are answered in the same way; %d are about what is not supported yet", same, pending)
	}
	for k, d := range elsewhere {
		if !used[k] {
			t.Errorf("no line differs by %q any more: %s", d.row, d.reason)
		}
	}
}

// elsewhere are the differences in testdata/defaults.tsv.
var elsewhere = []struct{ row, reason string }{
	{"allow-0rtt", tls}, {"npn http/1.1", tls}, {"renegotiate", tls}, {"ktls on", tls}, {"force-sslv3", tls}, {"ssl-engine", tls}, {"ssl-mode-async", tls},
	{"ssl-passphrase-cmd", "no program is run"}, {"ssl-propquery", tls}, {"ssl-provider", tls}, {"capture-cipherlist-size", "no word of a version that is long past"},
	{"certificate-compression", "the library has it"}, {"default-dh-param", tls}, {"ciphersuites TLS_AES", tls}, {"client-sigalgs", tls},
	{"ssl-f-use", "stands where the certificates are used"}, {"hash-balance-factor 150", "says that it has no effect"},
	{"proxy-v2-options ssl", "says that it has no effect"}, {"log-proto octet-count", "says that it has no effect"}, {"set-proxy-v2-tlv-fmt", "says that it has no effect"}, {"unique-id-header", "says that it has no effect"},
	{"persist rdp-cookie", "says that it has no effect"},
	{"http-check", oneWarning}, {"tcp-check", oneWarning},
	{"namespace ns1", ignored}, {"nbconn 1", ignored}, {"process 1", ignored}, {"generate-certificates", ignored},
	{"load crt pki/srv.pem", "the file of the response belongs to another certificate here; 'acme' and what belongs to it is not available"},
}

const oneWarning = "the lines are ignored: that the option is missing does not matter"

const ignored = "the line is ignored: what is on it does not matter"

// TestPublicConfigurations loads configurations of the kind that people publish:
// HAProxy and Forebay take them.
func TestPublicConfigurations(t *testing.T) {
	list, err := filepath.Glob("testdata/public/*.cfg")
	if err != nil || len(list) < 35 {
		t.Fatal(list, err)
	}
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	site := ca.Issue(t, "site", certtest.Names("example.com")).PEM(t)
	page := []byte("HTTP/1.0 503 Busy\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n")
	for name, data := range map[string][]byte{
		"certs/site.pem": site, "sites/site.pem": site, "certs/ca.crt": ca.CertPEM(), "errors/503.http": page, "errors/404.http": page,
		"lists/blocked.lst": []byte("198.51.100.1\n"),
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		certtest.Write(t, filepath.Join(dir, filepath.Dir(name)), filepath.Base(name), data)
	}
	users := regexp.MustCompile(`(?m)^    (user|group)( +)haproxy$`)
	for _, name := range list {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := users.ReplaceAllString(string(data), "    $1 root") // one that there is
		exit, got := check(text, disk(dir))
		for _, f := range got {
			if exit != 0 && f.severity == "ALERT" {
				t.Errorf("%s:%d: %s", name, f.line, f.text)
			}
		}
		if exit != 0 {
			t.Errorf("%s: exit %d", name, exit)
		}
		certtest.Write(t, dir, "t.cfg", []byte(text))
		if _, err := exec.LookPath("haproxy"); err != nil {
			t.Log("NOT COMPARED with HAProxy: the program is not installed (apt-get install haproxy)")
		} else if out, err := exec.Command("haproxy", "-c", "-q", "-C", dir, "-f", "t.cfg").CombinedOutput(); err != nil {
			t.Errorf("%s: HAProxy says %s", name, out)
		}
	}
}

// disk is the file system, with relative names in a folder.
type disk string

func (d disk) Open(name string) (fs.File, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(string(d), name)
	}
	return os.Open(name)
}
