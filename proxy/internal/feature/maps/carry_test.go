package maps_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

const carryConf = `global
 nbthread 1
defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend fe
 bind {at}
 http-request set-header a %[path,map(DIR/a.map,none)]
 http-request set-header b %[path,map(virt@b)]
 http-request deny if { src -f DIR/nets } { path_beg /x /y }
`

// place is a folder with files, and the configuration that names them.
type place struct {
	t        *testing.T
	dir, txt string
}

func newPlace(t *testing.T) *place {
	p := &place{t: t, dir: t.TempDir()}
	p.txt = strings.NewReplacer("DIR", p.dir, "{at}", tcptest.Reserve(t).String()).Replace(carryConf)
	p.write("a.map", "# hosts\n/one 1\n\n/two 2\n/three 3\n")
	p.write("nets", "10.0.0.0/8\n192.168.0.0/16\n")
	return p
}

func (p *place) write(name, text string) {
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// changeAll changes all lists by commands.
func (p *place) changeAll(w *stream.Worker) {
	for _, c := range []string{
		"set map DIR/a.map /two zwei", "del map DIR/a.map /one", "add map DIR/a.map /four four and more", "add map virt@b k v",
		"prepare acl DIR/nets", "add acl @1 DIR/nets 172.16.0.0/12", "commit acl @1 DIR/nets", "add acl #4 /z", "del acl #4 /x",
	} {
		if got := bed.Ask(p.t, w, strings.ReplaceAll(c, "DIR", p.dir)); got != "\n" && !strings.HasPrefix(got, "New version") {
			p.t.Fatalf("%s: %q", c, got)
		}
	}
}

var reference = regexp.MustCompile(`(?m)^0x[0-9a-f]+ `)

// all is what the lists hold.
func (p *place) all(w *stream.Worker) string {
	out := ""
	for _, c := range []string{"show map DIR/a.map", "show map virt@b", "show acl DIR/nets", "show acl #4", "show acl"} {
		out += bed.Ask(p.t, w, strings.ReplaceAll(c, "DIR", p.dir))
	}
	return reference.ReplaceAllString(out, "")
}

const changedAll = "/two zwei\n/three 3\n/four four\n\nk v\n\n172.16.0.0/12\n\n/y\n/z\n\n"

func TestChangesLiveOnWhenAConfigurationIsApplied(t *testing.T) {
	p := newPlace(t)
	w := bed.Start(t, 1, p.txt)
	p.changeAll(w)
	if got := p.all(w); !strings.HasPrefix(got, changedAll) {
		t.Fatal(got)
	}
	refs := bed.Ask(t, w, "show map "+p.dir+"/a.map")
	// Another way to look into a list, and the same text elsewhere in the file.
	next := strings.Replace(p.txt, "frontend fe", "\nfrontend fe\n http-request set-header c %[path,map_dom("+p.dir+"/a.map)]", 1)
	if changes := bed.Apply(t, w, next); strings.Contains(lines(changes), "run time") {
		t.Error(lines(changes))
	}
	if got := p.all(w); !strings.HasPrefix(got, changedAll) {
		t.Error(got)
	}
	if got := bed.Ask(t, w, "show map "+p.dir+"/a.map"); got != refs {
		t.Errorf("other references: %s", got)
	}
	if got := bed.Ask(t, w, "get map "+p.dir+"/a.map x/four/y"); !strings.Contains(got, `type=dom, case=sensitive, found=yes, idx=list, key="/four", value="four", type="str"`) {
		t.Error(got)
	}
	// A file that changed counts, and the answer says so, also beforehand.
	p.write("a.map", "/one 11\n")
	preview := lines(snapshot.Changes(w, bed.MustLoad(t, 1, next)))
	want := "- pattern file " + p.dir + "/a.map: what was changed at run time (the file on the disk is another one)\n"
	if answer := lines(bed.Apply(t, w, next)); !strings.Contains(answer, want) || !strings.Contains(preview, want) || strings.Count(answer, "run time") != 1 {
		t.Errorf("%s\n%s", preview, answer)
	}
	if got := p.all(w); !strings.HasPrefix(got, strings.Replace(changedAll, "/two zwei\n/three 3\n/four four\n", "/one 11\n", 1)) {
		t.Error(got)
	}
	if got := bed.Ask(t, w, "show acl "+p.dir+"/nets"); !strings.Contains(got, "172.16.0.0/12") {
		t.Error(got)
	}
	// What was added does not suit a new use of the list.
	bed.Ask(t, w, "add map "+p.dir+"/a.map /five five")
	numbers := strings.Replace(next, "map_dom(", "map_str_int(", 1)
	if answer := lines(bed.Apply(t, w, numbers)); !strings.Contains(answer, "a.map: what was changed at run time (unable to parse 'five')\n") {
		t.Error(answer)
	}
	if got := bed.Ask(t, w, "show map "+p.dir+"/a.map"); !strings.HasSuffix(got, " /one 11\n\n") {
		t.Error(got)
	}
}

func lines(changes []snapshot.Change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

func TestChangesLiveOnInANewProcess(t *testing.T) {
	p := newPlace(t)
	old := bed.Start(t, 1, p.txt)
	hand := func() {
		const command = "_getpatterns"
		reply := bed.Talk(t, bed.Dial(t, old, runtimeapi.Worker, runtimeapi.Options{Level: runtimeapi.Admin, ExposeFD: true}), command+"\n")
		life.Take(map[string][]byte{command: []byte(reply)})
	}
	if got := bed.Ask(t, old, "_getpatterns"); got != "" {
		t.Errorf("%q for somebody who may not have the sockets", got)
	}
	other := func() string { // on another port
		return regexp.MustCompile(`bind .*`).ReplaceAllString(p.txt, "bind "+tcptest.Reserve(t).String())
	}
	var said []string
	start := func(text string) *stream.Worker {
		said = nil
		w := bed.StartSnapshot(t, bed.MustLoad(t, 1, text), func(w *stream.Worker) {
			w.Announce = func(_ int, text string) { said = append(said, text) }
		})
		life.Serve(w)
		return w
	}
	hand()
	fresh := start(other())
	if got := p.all(fresh); !strings.HasPrefix(got, "/one 1\n/two 2\n/three 3\n\n\n10.0.0.0/8\n192.168.0.0/16\n\n/x\n/y\n\n") {
		t.Error(got)
	}
	p.changeAll(old)
	hand()
	w := start(other())
	if got := p.all(w); got != p.all(old) || !strings.HasPrefix(got, changedAll) || len(said) > 0 {
		t.Error(got, said)
	}
	// It is handed on once more, with what is changed meanwhile.
	old = w
	bed.Ask(t, w, "set map "+p.dir+"/a.map /three drei")
	bed.Ask(t, w, "clear map virt@b")
	hand()
	w = start(other())
	if got := p.all(w); got != p.all(old) || !strings.HasPrefix(got, "/two zwei\n/three drei\n/four four\n\n\n172.16") {
		t.Error(got)
	}
	// Not what another file says.
	p.write("a.map", "/one 11\n")
	hand()
	w = start(other())
	if got := bed.Ask(t, w, "show map "+p.dir+"/a.map"); !strings.HasSuffix(got, " /one 11\n\n") {
		t.Error(got)
	}
	if len(said) != 1 || said[0] != "pattern file "+p.dir+"/a.map: what was changed at run time (the file on the disk is another one) is lost" {
		t.Errorf("%q", said)
	}
	if got := p.all(w); !strings.Contains(got, "172.16.0.0/12") {
		t.Error(got)
	}
	life.Take(map[string][]byte{"_getpatterns": []byte("Unknown command: '_getpatterns'\n\n")})
}

// A section that has not changed goes on with the patterns in its lines: commands
// change them by their new number, with effect, over several configurations.
func TestPatternsOfALineAreTakenOver(t *testing.T) {
	at := tcptest.Reserve(t).String()
	text := "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n" +
		"backend b\n server s 127.0.0.1:1 weight 1\n" +
		"frontend fe\n bind " + at + "\n http-request return status 200 content-type text/plain string hit if { path /x }\n http-request return status 200 content-type text/plain string miss\n"
	w := bed.Start(t, 1, text)
	fe := w.Snapshot().Frontends["fe"]
	ask := func(path, want string) {
		t.Helper()
		if got := body(t, at, "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	command := func(text, want string) {
		t.Helper()
		if got := reference.ReplaceAllString(bed.Ask(t, w, text), ""); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	command("add acl #0 /y", "\n")
	ask("/y", "hit")
	// One more list in front of it, which takes its number.
	text = strings.Replace(text, "weight 1\n", "weight 1\n http-request deny if { path /none }\n", 1)
	bed.Apply(t, w, text)
	if w.Snapshot().Frontends["fe"].Made != fe.Made {
		t.Error("the section was read anew")
	}
	command("show acl #0", "/none\n\n")
	command("show acl #1", "/x\n/y\n\n")
	command("show acl", "# id (file) description\n0 () acl 'path' file 't.cfg' line 8. curr_ver=0 next_ver=0 entry_cnt=1\n1 () acl 'path' file 't.cfg' line 11. curr_ver=0 next_ver=0 entry_cnt=2\n\n")
	ask("/y", "hit")
	command("add acl #1 /z", "\n")
	command("del acl #1 /x", "\n")
	ask("/z", "hit")
	ask("/x", "miss")
	bed.Apply(t, w, strings.Replace(text, "weight 1", "weight 2", 1))
	command("show acl #1", "/y\n/z\n\n")
	command("del acl #1 /z", "\n")
	ask("/z", "miss")
	ask("/y", "hit")
}

const takenConf = `global
 nbthread 1
defaults plain
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
backend b
 server s 127.0.0.1:1 weight 1
backend warned
 timeout client 5s
 server s 127.0.0.1:1
defaults ruled from plain
 http-request deny if { path /denied }
frontend fe
 bind {fe}
 http-request add-acl(DIR/nets) %[src] if { path /add }
 http-request return status 200 content-type text/plain lf-string %[path,map(DIR/a.map,none)] if !{ src -f DIR/nets }
 http-request return status 200 content-type text/plain string net
frontend other
 bind {other}
 http-request return status 200 content-type text/plain lf-string %[path,map(DIR/a.map,none)]
`

// Sections that name files of patterns keep their objects as long as the files are
// what they were, and so do those that change lists, those with patterns in their
// defaults, and those that a warning is about, which is given again.
func TestSectionsWithPatternsAreTakenOver(t *testing.T) {
	p := newPlace(t)
	at := map[string]string{"fe": tcptest.Reserve(t).String(), "other": tcptest.Reserve(t).String()}
	text := strings.NewReplacer("DIR", p.dir, "{fe}", at["fe"], "{other}", at["other"]).Replace(takenConf)
	w := bed.Start(t, 1, text)
	made := func() map[string]uint64 {
		list := make(map[string]uint64)
		for _, x := range w.Snapshot().Proxies {
			list[x.Name] = x.Made
		}
		return list
	}
	first := made()
	anew := func(want ...string) {
		t.Helper()
		var got []string
		for _, x := range w.Snapshot().Proxies {
			if first[x.Name] != x.Made {
				got = append(got, x.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("read anew: %q, want %q", got, want)
		}
		first = made()
	}
	ask := func(name, path, want string) {
		t.Helper()
		if got := body(t, at[name], "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); got != want {
			t.Errorf("%s%s: %q, want %q", name, path, got, want)
		}
	}
	command := func(text, want string) {
		t.Helper()
		if got := reference.ReplaceAllString(bed.Ask(t, w, strings.ReplaceAll(text, "DIR", p.dir)), ""); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	weight := 1
	apply := func(also ...string) {
		t.Helper()
		weight++
		text = regexp.MustCompile(`weight \d+`).ReplaceAllString(text, "weight "+strconv.Itoa(weight))
		text = strings.NewReplacer(also...).Replace(text)
		in := bed.Input(1, text)
		whole, d := snapshot.Load(in)
		in.Base = w.Snapshot()
		next, again := snapshot.Load(in)
		if whole == nil || next == nil {
			t.Fatal(d.All(), again.All())
		}
		if got := again.All(); !slices.Equal(got, d.All()) || len(got) != 1 {
			t.Errorf("said %q, as a whole %q", got, d.All())
		}
		if _, err := snapshot.Apply(w, next); err != nil {
			t.Fatal(err)
		}
	}
	lists := func() string {
		return reference.ReplaceAllString(bed.Ask(t, w, "show acl")+bed.Ask(t, w, "show map"), "")
	}
	was := lists()

	command("add map DIR/a.map /four 4", "\n")
	apply()
	anew("b")
	if got := lists(); got != strings.Replace(was, "entry_cnt=3", "entry_cnt=4", 1) {
		t.Errorf("%s\nwas\n%s", got, was)
	}
	ask("fe", "/four", "4")
	ask("other", "/four", "4")
	command("add map DIR/a.map /five 5", "\n")
	ask("fe", "/five", "5")
	ask("other", "/five", "5")
	ask("fe", "/denied", "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n")

	// A new section in front of the others, and one behind them, use the file too,
	// one of them in another way. The lines have moved.
	apply("backend b\n", "backend early\n http-request set-header a %[path,map_end("+p.dir+"/a.map)]\n\nbackend b\n")
	anew("early", "b")
	text += "backend late from plain\n http-request set-header a %[path,map_dom(" + p.dir + "/a.map)]\n"
	apply()
	anew("b", "late")
	ask("fe", "/five", "5")
	command("del map DIR/a.map /five", "\n")
	ask("fe", "/five", "none")
	ask("other", "/five", "none")
	if got := bed.Ask(t, w, "get map "+p.dir+"/a.map x/four"); strings.Count(got, "found=yes") != 2 {
		t.Error(got)
	}
	// The rule still changes the list that commands and conditions know.
	apply()
	anew("b")
	ask("fe", "/add", "net")
	ask("fe", "/one", "net")
	command("show acl DIR/nets", "10.0.0.0/8\n192.168.0.0/16\n127.0.0.1\n\n")

	// What was changed does not suit a new use: all begins with the file again.
	command("add map DIR/a.map /six six", "\n")
	ask("other", "/six", "six")
	apply("frontend other\n", "backend numbers from plain\n http-request set-header a %[path,map_str_int("+p.dir+"/a.map)]\nfrontend other\n")
	ask("other", "/six", "none")
	ask("other", "/one", "1")
	first = made()
	// The file on the disk is another one: who names it is read anew.
	p.write("a.map", "/one 11\n")
	apply()
	anew("early", "b", "fe", "numbers", "other", "late")
	ask("fe", "/other", "net")
	ask("other", "/one", "11")
}
