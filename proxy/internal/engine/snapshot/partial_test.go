package snapshot

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	packed "github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
)

// sending is a version that is sent as the master sends it.
type sending struct {
	*bed
	id int
}

func (b *bed) open() *sending {
	b.t.Helper()
	s := &sending{bed: b}
	if _, err := fmt.Sscanf(b.command("prepare config"), "New version created: %d", &s.id); err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (s *sending) parts(text string, lacks func(config.Sum) bool) string {
	s.t.Helper()
	return s.command(fmt.Sprintf("add config-parts @%d t.cfg <<%%EOF%%\n%s\n%%EOF%%", s.id, config.Manifest(config.Cut([]byte(text)), lacks)))
}

func (s *sending) update(u *packed.Update) string {
	s.t.Helper()
	var b bytes.Buffer
	if err := packed.Encode(&b, u); err != nil {
		s.t.Fatal(err)
	}
	return s.command(fmt.Sprintf("add config-update @%d <<%%EOF%%\n%s\n%%EOF%%", s.id, b.Bytes()))
}

func (s *sending) commit() string { return s.command(fmt.Sprintf("commit config @%d", s.id)) }

// Sections that the running configuration has are sent by name: they keep their
// objects, and it says which it lacks.
func TestParts(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := "global\n stats socket " + b.sock + " level admin\n" + head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend a\n", p[0]) +
		"backend a\n server s1 127.0.0.1:1\nbackend b\n server s1 127.0.0.1:1 weight 1\n"
	b.start(text)
	was := b.w.Snapshot()
	next := strings.Replace(text, "weight 1", "weight 2", 1)

	s := b.open()
	got := s.parts(next, nil)
	want := config.Cut([]byte(next))
	sum := want[len(want)-1].Sum()
	if got != "Unknown sections:\n"+sum.String()+"\n" {
		t.Fatalf("lacks %q, want %s", got, sum)
	}
	if got := s.commit(); !strings.Contains(got, "the configuration has no files") {
		t.Errorf("a file of which a section lacks counts: %s", got)
	}
	if got := s.parts(next, func(s config.Sum) bool { return s == sum }); got != "" {
		t.Fatal(got)
	}
	if got := s.commit(); got != "~ server b/s1: weight 1 -> weight 2\nSuccess!\n" {
		t.Error(got)
	}
	now := b.w.Snapshot()
	if now == was || now.Backends["a"] != was.Backends["a"] || now.Frontends["web"] != was.Frontends["web"] || now.Backends["b"] == was.Backends["b"] {
		t.Error("not the sections that changed were made anew")
	}
	// What it had before it does not have any more: nothing is kept for it.
	if got := b.open().parts(text, nil); !strings.HasPrefix(got, "Unknown sections:\n") {
		t.Errorf("%q", got)
	}
	s = b.open()
	for _, bad := range []string{"= 12", "? x", "+ 100\nx"} {
		if got := s.command(fmt.Sprintf("add config-parts @%d t.cfg <<%%EOF%%\n%s\n%%EOF%%", s.id, bad)); got == "" {
			t.Errorf("%q is taken", bad)
		}
	}
	if got := s.command(fmt.Sprintf("add config-update @%d <<%%EOF%%\nx\n%%EOF%%", s.id)); got == "" {
		t.Error("an update of nonsense is taken")
	}
}

// Of files it is enough to send the sums, as long as nobody reads them: a sum that
// is another one, or a section that is new, makes the worker ask.
func TestPartialFiles(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := "global\n stats socket " + b.sock + " level admin\n" + head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend a\n", p[0]) +
		"backend a\n errorfile 503 /e503\n server s1 127.0.0.1:1 disabled\n"
	b.start(text)
	was := b.w.Snapshot()
	old := []byte("HTTP/1.1 503 No\n\nno\n")
	system := []string{"/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/etc/group"}
	all := func(string) func(config.Sum) bool { return func(config.Sum) bool { return true } }
	begin := func(text string, u packed.Update) *sending {
		t.Helper()
		s := b.open()
		if got := s.parts(text, all("")); got != "" {
			t.Fatal(got)
		}
		u.Gone = append(u.Gone, system...)
		if got := s.update(&u); got != "" {
			t.Fatal(got)
		}
		return s
	}
	kept := func(name string, data []byte) []packed.Kept {
		return []packed.Kept{{Name: name, Sum: sha256.Sum256(data)}}
	}

	s := begin(text, packed.Update{Kept: kept("/e503", old)})
	if got := s.commit(); got != "Success!\n" {
		t.Errorf("nothing has changed: %s", got)
	}
	if now := b.w.Snapshot(); now == was || now.Backends["a"] != was.Backends["a"] {
		t.Error("a section was read anew whose file is what it was")
	}
	// The file is another one, under the same text.
	next := []byte("HTTP/1.1 503 Other\r\n\r\nother")
	s = begin(text, packed.Update{Kept: kept("/e503", next)})
	if got := s.commit(); got != "? \"/e503\"\nFiles are missing\n" {
		t.Fatalf("%q", got)
	}
	if b.w.Snapshot().Backends["a"] != was.Backends["a"] {
		t.Error("a configuration without its file came into force")
	}
	s.update(&packed.Update{Named: []packed.File{{Name: "/e503", Data: next}}})
	if got := s.commit(); got != "~ file /e503\nSuccess!\n" {
		t.Errorf("%q", got)
	}
	if got := dial(t, p[0]).get(); got != "other" {
		t.Errorf("answered %q", got)
	}
	// What is not told of is asked for; what is told not to be there is an error.
	more := strings.Replace(text, "disabled", "disabled\n errorfile 502 /e502", 1)
	s = begin(more, packed.Update{Kept: kept("/e503", next)})
	if got := s.commit(); got != "? \"/e502\"\n? \"/e503\"\nFiles are missing\n" {
		t.Errorf("%q", got)
	}
	s.update(&packed.Update{Gone: []string{"/e502"}, Named: []packed.File{{Name: "/e503", Data: next}}})
	if got := s.commit(); !strings.Contains(got, "errorfile : error opening file '/e502'") {
		t.Errorf("%q", got)
	}
	s.update(&packed.Update{Named: []packed.File{{Name: "/e502", Data: []byte("HTTP/1.1 502 No\r\n\r\n")}}})
	if got := s.commit(); !strings.HasSuffix(got, "\nSuccess!\n") {
		t.Errorf("%q", got)
	}
}
