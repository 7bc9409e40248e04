package master

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// overSocket asks a worker over its Runtime socket, and notes what it was asked.
type overSocket struct {
	path  string
	log   []string
	bytes int
	spoil string // answers to commands that begin so are lost
}

func (o *overSocket) ask(command string, payload []byte) (string, error) {
	o.log = append(o.log, strings.Join(strings.Fields(command)[:2], " "))
	o.bytes += len(payload)
	c, err := net.Dial("unix", o.path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, withPayload(command, payload)); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(c)
	if o.spoil != "" && strings.HasPrefix(command, o.spoil) {
		return "x\n", err
	}
	return strings.TrimSuffix(string(reply), "\n"), err
}

// Only what changed goes to the worker: sections and files by their names
// otherwise; what a change makes it need it asks for.
func TestUpdate(t *testing.T) {
	w := workertest.New(t, 1)
	w.Init()
	workertest.Run(t, w)
	sock := filepath.Join(t.TempDir(), "s")
	text := fmt.Sprintf("global\n stats socket %s level admin\ndefaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n"+
		"frontend web\n bind 127.0.0.1:%d\n http-request deny if { path -f words }\n default_backend b0\n", sock, tcptest.Reserve(t).Port())
	for i := range 100 {
		text += fmt.Sprintf("backend b%d\n errorfile 503 503.http\n server s 192.0.2.1:%d weight 1\n", i, 1000+i)
	}
	big := strings.Repeat("/some/word\n", 1000)
	files := fstest.MapFS{"words": {Data: []byte(big)}, "503.http": {Data: []byte("HTTP/1.1 503 No\r\n\r\n")}, "more.http": {Data: []byte("HTTP/1.1 502 No\r\n\r\n")}}
	rec := &bundle.Recorder{From: files}
	source := func() []*config.File { return []*config.File{config.Text("t.cfg", []byte(text))} }
	snap, d := snapshot.Load(snapshot.Input{Sources: source(), Files: rec, Threads: 1, MaxConn: 500})
	if snap == nil {
		t.Fatal(d.All())
	}
	if err := snapshot.Start(w, snap, nil); err != nil {
		t.Fatal(err)
	}
	k := knownOf(rec.Bundle(source()))
	p := &overSocket{path: sock}
	apply := func(want string) {
		t.Helper()
		p.log, p.bytes = nil, 0
		reply, err := k.send(p, source(), &bundle.Recorder{From: files})
		if got := strings.Join(reply, "\n"); err != nil || got != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
	commands := func(list ...string) {
		t.Helper()
		if got := strings.Join(p.log, ", "); got != strings.Join(list, ", ") {
			t.Errorf("asked %s", got)
		}
	}

	text = strings.Replace(text, "192.0.2.1:1050 weight 1", "192.0.2.1:1050 weight 2", 1)
	apply("~ server b50/s: weight 1 -> weight 2")
	commands("prepare config", "add config-parts", "add config-parts", "add config-update", "commit config")
	if p.bytes < len(big) {
		t.Errorf("%d bytes: it has not had the files before", p.bytes)
	}
	text = strings.Replace(text, "192.0.2.1:1050 weight 2", "192.0.2.1:1050 weight 3", 1)
	apply("~ server b50/s: weight 2 -> weight 3")
	// The frontend is read anew each time and reads the list: that is known from now on.
	commands("prepare config", "add config-parts", "add config-update", "commit config", "add config-update", "commit config")
	before := w.Snapshot()
	text = strings.Replace(text, "192.0.2.1:1050 weight 3", "192.0.2.1:1050 weight 4", 1)
	apply("~ server b50/s: weight 3 -> weight 4")
	commands("prepare config", "add config-parts", "add config-update", "commit config")
	if n := p.bytes - len(big); n > 20000 {
		t.Errorf("%d bytes were sent beside the list", n)
	}
	made := 0
	for _, b := range w.Snapshot().Proxies {
		if before.Backends[b.Name] != b {
			made++
		}
	}
	if made > 2 { // the backend, and the frontend
		t.Errorf("%d of %d sections were made anew", made, len(before.Proxies))
	}

	// What the master believes of the worker need not be so: that says what it lacks.
	for _, part := range config.Cut([]byte(strings.Replace(text, "192.0.2.1:1050 weight 4", "192.0.2.1:1050 weight 6", 1))) {
		k.sections[part.Sum()] = true
	}
	text = strings.Replace(text, "192.0.2.1:1050 weight 4", "192.0.2.1:1050 weight 6", 1)
	apply("~ server b50/s: weight 4 -> weight 6")
	commands("prepare config", "add config-parts", "add config-parts", "add config-update", "commit config")

	// A file that changed, under a text that did not, and one that is new.
	files["503.http"] = &fstest.MapFile{Data: []byte("HTTP/1.1 503 Never\r\n\r\n")}
	apply("~ file 503.http")
	files["words"] = &fstest.MapFile{Data: []byte("/other\n")}
	apply("~ file words")
	text = strings.Replace(text, "errorfile 503 503.http", "errorfile 502 more.http", 1)
	apply("~ backend b0: errorfile 502 unset -> more.http\n~ backend b0: errorfile 503 503.http -> unset")
	delete(files, "more.http")
	if _, err := k.send(p, source(), &bundle.Recorder{From: files}); err == nil || !strings.Contains(err.Error(), "Fatal errors") {
		t.Errorf("a file is gone: %v", err)
	}
	files["more.http"] = &fstest.MapFile{Data: []byte("HTTP/1.1 502 Back\r\n\r\n")}
	apply("~ file more.http")

	// Whatever goes wrong on the way is an error, and changes nothing.
	in := w.Snapshot()
	text = strings.Replace(text, "192.0.2.1:1050 weight 6", "192.0.2.1:1050 weight 5", 1)
	for _, p.spoil = range []string{"prepare", "add config-parts", "add config-update"} {
		if _, err := k.send(p, source(), &bundle.Recorder{From: files}); err == nil || w.Snapshot() != in {
			t.Errorf("%s fails: %v", p.spoil, err)
		}
	}
	p.spoil = ""
	text += " bogus\n"
	if _, err := k.send(p, source(), &bundle.Recorder{From: files}); err == nil || w.Snapshot() != in {
		t.Errorf("a mistake in the text: %v", err)
	}
	if got, err := p.ask("show config", nil); err != nil || strings.Count(got, "(open)") > 1 { // that of which the answer was lost
		t.Errorf("versions are left open: %s", got)
	}
}
