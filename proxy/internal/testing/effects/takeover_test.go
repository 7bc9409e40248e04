package effects_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// A configuration that takes over what has not changed from the one before is the
// same, to the last field, as one that is loaded as a whole: over many edits of
// many configurations, of which some are wrong.
func TestTakeover(t *testing.T) {
	loaded, kept := 0, 0
	defer func() {
		if kept*10 < loaded {
			t.Errorf("of %d proxies only %d were taken over", loaded, kept)
		}
	}()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			e := newEditor(t, seed)
			base, _ := load(e, nil)
			for step := range 25 {
				e.edit()
				whole, messages := load(e, nil)
				got, said := load(e, base)
				if said != messages {
					t.Fatalf("step %d (%s)\n%s\nmessages\n%s\nof a whole load\n%s", step, e.last, e.text(), said, messages)
				}
				if (got == nil) != (whole == nil) {
					t.Fatalf("step %d (%s): loaded %v, as a whole %v", step, e.last, got != nil, whole != nil)
				}
				if got == nil {
					continue
				}
				for _, p := range got.Proxies {
					loaded++
					if takenOver(base, p) {
						kept++
					}
				}
				if a, b := written(got, base), written(whole, base); a != b {
					t.Fatalf("step %d (%s)\n%s\ntaken over\n%s", step, e.last, e.text(), difference(a, b))
				}
				if e.rnd.IntN(4) > 0 {
					base = got
				} else {
					base = whole
				}
			}
		})
	}
}

func takenOver(base *stream.Snapshot, p *stream.Proxy) bool {
	return base != nil && slices.ContainsFunc(base.Proxies, func(o *stream.Proxy) bool {
		return o == p || len(o.ServerLines) > 0 && len(p.ServerLines) > 0 && o.ServerLines[0].Settings == p.ServerLines[0].Settings
	})
}

// What has not changed is not made again.
func TestTakeoverKeepsObjects(t *testing.T) {
	e := newEditor(t, 1)
	e.sections = []string{
		"defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
		"frontend f\n bind 127.0.0.1:1000\n use_backend b1\n default_backend b2\n",
		"backend b1\n server s 127.0.0.1:1\n errorfile 503 503.http\n",
		"backend b2\n server s 127.0.0.1:1 weight 5\n",
	}
	base, messages := load(e, nil)
	if base == nil {
		t.Fatal(messages)
	}
	same := func(next *stream.Snapshot, names ...string) {
		t.Helper()
		var kept []string
		for _, p := range next.Proxies {
			if slices.Contains(base.Proxies, p) {
				kept = append(kept, p.Name)
			}
		}
		if !slices.Equal(kept, names) {
			t.Errorf("%v are the same, not %v", kept, names)
		}
	}
	again := func() *stream.Snapshot {
		t.Helper()
		next, messages := load(e, base)
		if next == nil {
			t.Fatal(messages)
		}
		return next
	}
	same(again(), "f", "b1", "b2")
	e.sections[3] = strings.Replace(e.sections[3], "weight 5", "weight 6", 1)
	same(again(), "f", "b1")
	e.files["503.http"] = &fstest.MapFile{Data: []byte("HTTP/1.1 503 Other\r\n\r\n")}
	same(again(), "f")
	e.sections[0] += " retries 5\n"
	same(again())
	// Lists of patterns are shared, those of files as long as the file is the same.
	e = newEditor(t, 1)
	e.sections = []string{"backend b\n server s 127.0.0.1:1\n acl x path -f words\n", "backend c\n server s 127.0.0.1:1\n acl x path /x\n"}
	base, _ = load(e, nil)
	same(again(), "b", "c")
	e.files["words"] = &fstest.MapFile{Data: []byte("/c\n")}
	same(again(), "c")
	// Neither a ring makes the others be read anew, nor a name that has the address
	// that it had.
	e = newEditor(t, 1)
	hosts := func(addr string) { e.files["etc/hosts"] = &fstest.MapFile{Data: []byte(addr + " some.host\n")} }
	hosts("192.0.2.1")
	e.sections = []string{
		"ring r\n size 64k\n", "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
		"backend b\n server s 127.0.0.1:1\n", "backend c\n server s some.host:1\n", "backend d\n log ring@r local0\n server s 127.0.0.1:1\n",
		"backend e\n server s some.host:2\n",
	}
	base, _ = load(e, nil)
	same(again(), "b", "c", "e")
	hosts("192.0.2.2")
	next := again()
	same(next, "b")
	for name, want := range map[string]string{"c": "192.0.2.2:1", "e": "192.0.2.2:2"} {
		if a := next.Backends[name].ServerLines[0].Settings.Addr.String(); a != want {
			t.Errorf("%s: %s", name, a)
		}
	}
	// A section that has moved is a copy whose lines are where they are now.
	e = newEditor(t, 1)
	e.sections = []string{"backend b\n server s 127.0.0.1:1\n"}
	base, _ = load(e, nil)
	e.sections[0] = "# one more\n" + e.sections[0]
	next = again()
	same(next)
	if p, o := next.Backends["b"], base.Backends["b"]; p.Pos.Line != 2 || p.ServerLines[0].Pos.Line != 3 || o.Pos.Line != 1 || p.ServerLines[0].Settings != o.ServerLines[0].Settings {
		t.Error(p.Pos, p.ServerLines[0].Pos, o.Pos)
	}
}

// A change of some defaults leaves the sections that have others: nothing but those
// is read anew.
func TestTakeoverByDefaults(t *testing.T) {
	e := newEditor(t, 1)
	e.sections = []string{
		"defaults d1\n retries 5\n", "defaults d2\n retries 6\n",
		"backend b1 from d1\n server s 127.0.0.1:1\n", "backend b2 from d2\n server s 127.0.0.1:1\n",
	}
	base, messages := load(e, nil)
	if base == nil {
		t.Fatal(messages)
	}
	e.sections[0] = strings.Replace(e.sections[0], "5", "7", 1)
	next, messages := load(e, base)
	if next == nil {
		t.Fatal(messages)
	}
	if n := next.Backends["b1"].Retries; n != 7 {
		t.Errorf("%d retries, though the defaults say 7", n)
	}
	if next.Backends["b2"] != base.Backends["b2"] {
		t.Error("a section of other defaults was read anew")
	}
}

// What a section that has not changed refers to may be gone, and be there again.
func TestTakeoverRefers(t *testing.T) {
	e := newEditor(t, 1)
	e.sections = []string{
		"defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
		"frontend f\n bind 127.0.0.1:1000\n http-request set-header n %[nbsrv(b)]\n",
		"backend b\n server s 127.0.0.1:1\n",
	}
	base, messages := load(e, nil)
	if base == nil {
		t.Fatal(messages)
	}
	if again, _ := load(e, base); again.Frontends["f"] != base.Frontends["f"] {
		t.Fatal("the frontend is not taken over")
	}
	e.sections = e.sections[:2]
	if next, messages := load(e, base); next != nil || !strings.Contains(messages, "'b'") {
		t.Errorf("loaded: %v, %q, though the backend is gone", next != nil, messages)
	}
}

func load(e *editor, base *stream.Snapshot) (*stream.Snapshot, string) {
	var files []*config.File
	for i, f := range strings.Split(e.text(), twoFiles) {
		name := fmt.Sprintf("%d.cfg", i)
		if base != nil && e.serial%2 == 0 {
			files = append(files, told(base, name, []byte(f)))
		} else {
			files = append(files, config.Text(name, []byte(f)))
		}
	}
	env := config.NewEnvironment([]string{"PORT=" + e.port, "EMPTY="})
	snap, d := conf.Load(conf.Input{
		Sources: files, Files: summed{e.files}, Base: base, Threads: 2, MaxConn: 500,
		Options: config.Options{Version: "3.4.0", Env: env},
	})
	var list []string
	for _, m := range d.All() {
		list = append(list, fmt.Sprintf("%s %s\n", m.Severity, m))
	}
	slices.Sort(list) // what is told again at the end of a step comes behind what is new
	return snap, strings.Join(list, "")
}

// told is a file as it is known to who was told of its sections by their names, and
// asked for those that base does not have.
func told(base *stream.Snapshot, name string, text []byte) *config.File {
	parts := config.Cut(text)
	find := func(sum config.Sum) []byte { return conf.TextOf(base, sum) }
	_, lacking, err := config.ReadManifest(config.Manifest(parts, nil), find)
	if err != nil {
		panic(err)
	}
	got, lacking, err := config.ReadManifest(config.Manifest(parts, func(sum config.Sum) bool { return slices.Contains(lacking, sum) }), find)
	if err != nil || len(lacking) > 0 {
		panic(fmt.Sprint(lacking, err))
	}
	return config.Join(name, got)
}

// summed are files whose sums are known.
type summed struct{ fstest.MapFS }

// Open takes absolute names, as the file systems of configurations do.
func (s summed) Open(name string) (fs.File, error) {
	return s.MapFS.Open(strings.TrimPrefix(name, "/"))
}

func (s summed) Sum(name string) (sum [sha256.Size]byte, ok bool) {
	if f := s.MapFS[strings.TrimPrefix(name, "/")]; f != nil {
		return sha256.Sum256(f.Data), true
	}
	return sum, false
}

// written is all of a snapshot, with the numbers that it has once it follows base.
func written(s, base *stream.Snapshot) string {
	if base != nil {
		for i, id := range conf.Numbers(base, s) {
			if s.Proxies[i].ID != id {
				s.Proxies[i].ID = id
			}
		}
	}
	w := &writer{seen: map[uintptr]int{}, apart: true}
	w.value(reflect.ValueOf(s), 0)
	return w.String()
}

func difference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	cut := func(s string) string { return s[max(i-300, 0):min(i+200, len(s))] }
	return cut(a) + "\nas a whole\n" + cut(b)
}

// editor changes a configuration at random.
type editor struct {
	rnd      *rand.Rand
	sections []string
	files    fstest.MapFS
	port     string
	last     string
	serial   int
	certs    [2][]byte
}

// twoFiles is where the second file begins.
const twoFiles = "--\n"

func newEditor(t testing.TB, seed uint64) *editor {
	e := &editor{certs: certificates(t), rnd: rand.New(rand.NewPCG(seed, 9)), port: "1001", files: fstest.MapFS{
		"503.http":  {Data: []byte("HTTP/1.1 503 No\r\n\r\nno\n")},
		"words":     {Data: []byte("/a\n/b\n")},
		"hosts.map": {Data: []byte("/a one\n/b two\n")},
		"site.pem":  {Data: certificates(t)[0]},
		"sites.txt": {Data: []byte("site.pem [alpn h2] a.example\n")},

		"etc/hosts": {Data: []byte("127.0.0.1 localhost\n192.0.2.1 some.host\n")},
	}}
	e.sections = []string{
		"global\n log 127.0.0.1:514 local0\n setenv NAME web\n stats socket /tmp/sock\n",
		"userlist u\n user a password x\n",
		"defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
	}
	if seed%4 == 3 {
		e.sections[1] += "ring r\n size 64k\n"
	}
	for range 3 + e.rnd.IntN(5) {
		e.add()
	}
	return e
}

// certificates are two of one name, with their keys: the same ones for all editors.
func certificates(t testing.TB) [2][]byte {
	made.Do(func() {
		for i := range pems {
			pems[i] = certtest.SelfSigned(t, "a.example", certtest.Names("a.example")).PEM(t)
		}
	})
	return pems
}

var (
	made sync.Once
	pems [2][]byte
)

func (e *editor) text() string { return strings.Join(e.sections, "") }

func (e *editor) pick(list ...string) string { return list[e.rnd.IntN(len(list))] }

func (e *editor) name() string { return e.pick("b1", "b2", "b3", "b4", "b5", "b6") }

// add adds a section somewhere.
func (e *editor) add() {
	e.serial++
	kind := e.pick("frontend", "backend", "backend", "backend", "listen", "defaults")
	text := kind + " "
	switch kind {
	case "frontend":
		text += fmt.Sprintf("f%d", e.serial)
	case "defaults":
		text += e.pick("", "d1", "d2")
	default:
		text += e.pick(e.name(), fmt.Sprintf("b%d", e.serial))
	}
	if e.rnd.IntN(5) == 0 && kind != "defaults" {
		text += " from " + e.pick("d1", "d2")
	}
	text += "\n"
	for range 1 + e.rnd.IntN(5) {
		text += e.line(kind)
	}
	i := 2 + e.rnd.IntN(len(e.sections)-1)
	e.sections = slices.Insert(e.sections, i, text)
}

// line makes a line that a section may have; some are not for all of them.
func (e *editor) line(kind string) string {
	n := e.rnd.IntN(9)
	both := []string{
		" mode http\n", " mode tcp\n", " timeout queue 3s\n", " log global\n", " log 127.0.0.1:515 local1\n", " option httplog\n", " option dontlognull\n",
		" errorfile 503 503.http\n", " http-request set-header a %[env(NAME)]\n", fmt.Sprintf(" http-request set-header n %d\n", n),
		" # a remark\n", "\n", " http-request deny if { path_beg -f words }\n", fmt.Sprintf(" id %d\n", 50+n), " disabled\n", " description \"of $NAME\"\n",
		" http-request deny if { nbsrv(" + e.name() + ") lt 1 }\n", " http-request auth unless { http_auth(u) }\n", " acl x path /" + e.name() + "\n",
		" http-request set-header h %[ssl_fc_client_random,hex]\n", " option httpchk\n", " no option httplog\n", " frobnicate\n", " retries 3\n",
		" .notice \"here\"\n", ".if defined(EMPTY)\n retries 4\n.endif\n",
		" filter bwlim-in up default-limit 1m default-period 1s\n", fmt.Sprintf(" filter bwlim-out down default-limit %dk default-period 1s min-size 1k\n", n+1),
		" http-request set-bandwidth-limit up limit 5k\n", " http-response set-bandwidth-limit down if { var(txn.a) -m found }\n",
		" http-request set-var(txn.a) src\n", fmt.Sprintf(" http-request set-var-fmt(proc.p%d) \"%%[var(proc.g)] $NAME\"\n", n), " http-response unset-var(txn.a)\n",
		" http-request set-header m %[path,map_beg(hosts.map,none)]\n", " http-request set-map(hosts.map) %[path] %[src]\n", " http-request deny if { src,map_ip(virt@nets) -m found }\n",
		" http-request add-acl(words) %[path]\n", " http-request set-priority-class int(3)\n", " log ring@r local0\n", fmt.Sprintf(" acl i src -u %d 10.0.0.0/8 192.0.2.%d\n", 90+n%3, n),
		fmt.Sprintf(" http-request deny if { path_beg /x%d /y } || { hdr(a) -m reg ^a }\n", n),
	}
	front := []string{
		fmt.Sprintf(" bind 127.0.0.1:%d\n", 1100+n), " bind \"127.0.0.1:$PORT\"\n", " bind 127.0.0.1:$PORT maxconn 5\n", " default_backend " + e.name() + "\n",
		" use_backend " + e.name() + " if { path /" + e.name() + " }\n", " use_backend %[path]\n", fmt.Sprintf(" maxconn %d\n", 10*n+1), " log-format \"%ci %r\"\n",
		" unique-id-format %{+X}o%ci\n", " monitor fail if { nbsrv(" + e.name() + ") lt 1 }\n", " backlog 7\n", " bind 127.0.0.1:1110 thread 1\n",
		" tcp-request connection accept\n", " option forwardfor\n", " tcp-request connection set-var(sess.s) src\n",
		" bind 127.0.0.1:1120 ssl crt site.pem\n", " bind 127.0.0.1:1121 ssl crt-list sites.txt ca-file site.pem verify optional\n",
		" http-request use-service prometheus-exporter if { path /metrics }\n",
	}
	back := []string{
		fmt.Sprintf(" server s%d 127.0.0.1:%d weight %d\n", n, 2000+n, n), fmt.Sprintf(" server s%d 127.0.0.1:%d check\n", n, 2000+n),
		fmt.Sprintf(" server s%d \"127.0.0.1:$PORT\" ssl verify none\n", n), fmt.Sprintf(" server-template t 1-%d 127.0.0.1:3000\n", n+1),
		fmt.Sprintf(" server h%d localhost:80 id %d\n", n, 20+n), fmt.Sprintf(" server n%d some.host:80\n", n), " default-server weight 7 inter 3s\n", " balance leastconn\n", " fullconn 9\n", " option allbackups\n",
		" http-check send meth HEAD uri /x\n", " http-reuse always\n", fmt.Sprintf(" server v%d 127.0.0.1:1 ssl\n", n), " server c 127.0.0.1:1 check ssl verify none check-sni x ssl-min-ver TLSv1.3\n",
		fmt.Sprintf(" server k%d 127.0.0.1:1 ssl crt site.pem ca-file site.pem sni var(txn.a)\n", n), " balance uri depth 2\n", " balance hash req.hdr(x),lower\n",
		" hash-type consistent sdbm avalanche\n", fmt.Sprintf(" hash-balance-factor %d\n", 100+n), fmt.Sprintf(" server q%d 127.0.0.1:1 maxconn 5 minconn 2 maxqueue %d slowstart 3s hash-key addr\n", n, n),
		" http-check set-var(check.x) int(1)\n",
	}
	list := both
	switch e.rnd.IntN(5) {
	case 0, 1, 2:
		switch kind {
		case "frontend":
			list = front
		case "backend":
			list = back
		case "listen":
			list = append(front, back...)
		}
	}
	line := list[e.rnd.IntN(len(list))]
	if strings.Contains(line, "frobnicate") && e.rnd.IntN(4) > 0 {
		line = " retries 2\n"
	}
	return line
}

// edit changes something.
func (e *editor) edit() {
	some := func() int { return 2 + e.rnd.IntN(len(e.sections)-2) }
	kindOf := func(i int) string {
		f := strings.Fields(e.sections[i])
		if len(f) == 0 {
			return ""
		}
		return f[0]
	}
	switch e.rnd.IntN(14) {
	case 0:
		e.last = "a section more"
		e.add()
	case 1:
		i := some()
		e.last = "a section less: " + e.sections[i]
		if len(e.sections) > 4 {
			e.sections = slices.Delete(e.sections, i, i+1)
		}
	case 2:
		i, j := some(), some()
		e.last = "swapped"
		e.sections[i], e.sections[j] = e.sections[j], e.sections[i]
	case 3, 4, 5, 6:
		i := some()
		line := e.line(kindOf(i))
		e.last = "a line more: " + line
		e.sections[i] += line
	case 7, 8, 9:
		i := some()
		lines := strings.SplitAfter(e.sections[i], "\n")
		if len(lines) > 2 {
			j := 1 + e.rnd.IntN(len(lines)-2)
			e.last = "a line less: " + lines[j]
			e.sections[i] = strings.Join(slices.Delete(lines, j, j+1), "")
		}
	case 10:
		e.last = "a remark in front"
		e.sections[0] = "# more\n" + e.sections[0]
	case 11:
		e.last = "a file"
		e.files = maps.Clone(e.files)
		e.files["words"] = &fstest.MapFile{Data: fmt.Appendf(nil, "/a\n/%d\n", e.rnd.IntN(3))}
		if e.rnd.IntN(3) == 0 {
			e.files["503.http"] = &fstest.MapFile{Data: fmt.Appendf(nil, "HTTP/1.1 503 No\r\n\r\nno %d\n", e.rnd.IntN(3))}
		}
		if e.rnd.IntN(3) == 0 {
			e.files["hosts.map"] = &fstest.MapFile{Data: fmt.Appendf(nil, "/a one\n/%d two\n", e.rnd.IntN(3))}
		}
		if e.rnd.IntN(3) == 0 {
			e.files["site.pem"] = &fstest.MapFile{Data: e.certs[e.rnd.IntN(2)]}
		}
		if e.rnd.IntN(3) == 0 {
			e.files["sites.txt"] = &fstest.MapFile{Data: fmt.Appendf(nil, "site.pem %s\n", e.pick("a.example", "b.example", "[alpn h2]"))}
		}
		if e.rnd.IntN(3) == 0 {
			e.files["etc/hosts"] = &fstest.MapFile{Data: fmt.Appendf(nil, "127.0.0.1 localhost\n192.0.2.%d some.host\n", e.rnd.IntN(3))}
		}
		if e.rnd.IntN(5) == 0 {
			delete(e.files, e.pick("words", "503.http", "hosts.map", "site.pem", "sites.txt"))
		}
	case 12:
		e.last = "the environment"
		e.port = e.pick("1001", "1002")
	case 13:
		i := e.rnd.IntN(2)
		e.last = "the global section or the userlist"
		e.sections[i] = strings.TrimSuffix(e.sections[i], "\n") + "\n" + []string{
			e.pick(" log-tag "+e.name()+"\n", fmt.Sprintf(" set-var proc.g int(%d)\n", e.rnd.IntN(3)), fmt.Sprintf(" tune.vars.txn-max-size %d\n", 1000+e.rnd.IntN(3)), " ssl-default-bind-options no-tls-tickets\n"), " user " + e.name() + " password y\n"}[i]
		if i == 0 && e.rnd.IntN(2) == 0 {
			e.sections[0] = "global\n log 127.0.0.1:514 local0\n setenv NAME " + e.name() + "\n"
		}
		if e.rnd.IntN(3) == 0 && !strings.Contains(e.text(), twoFiles) {
			e.last = "a second file"
			j := some()
			e.sections[j] = twoFiles + e.sections[j]
		}
	}
	// what is wrong does not stay for long
	for i, s := range e.sections {
		if e.rnd.IntN(3) == 0 {
			e.sections[i] = strings.ReplaceAll(s, " frobnicate\n", "")
		}
	}
	e.mend()
}

// mend takes lines that do not load away, most of the time, so that there are
// configurations that do.
func (e *editor) mend() {
	for range 30 {
		if e.rnd.IntN(12) == 0 {
			return
		}
		snap, said := load(e, nil)
		if snap != nil {
			return
		}
		bad := map[string]bool{}
		for l := range strings.Lines(said) {
			if rest, ok := strings.CutPrefix(l, "ALERT config : parsing ["); ok {
				place, _, _ := strings.Cut(rest, "]")
				bad[place] = true
			}
		}
		file, no := 0, 0
		for i, s := range e.sections {
			var keep strings.Builder
			for l := range strings.Lines(s) {
				if l == twoFiles {
					file, no = file+1, 0
					keep.WriteString(l)
					continue
				}
				no++
				if bad[fmt.Sprintf("%d.cfg:%d", file, no)] {
					if config.IsSection(strings.Fields(l + " .")[0]) {
						e.serial++
						l = fmt.Sprintf("%s x%d\n", strings.Fields(l)[0], e.serial)
					} else {
						l = "\n"
					}
				}
				keep.WriteString(l)
			}
			e.sections[i] = keep.String()
		}
	}
}
