package worker

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/process/sandbox"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// users is a file system that takes absolute names, as the real one does.
type users struct{ fstest.MapFS }

func (f users) Open(name string) (fs.File, error) { return f.MapFS.Open(strings.TrimPrefix(name, "/")) }

// What the configuration says of the worker's process.
func TestKeywords(t *testing.T) {
	files := users{fstest.MapFS{
		"etc/passwd": {Data: []byte("root:x:0:0::/:/bin/sh\nproxy:x:33:44::/:/bin/false\n")},
		"etc/group":  {Data: []byte("root:x:0:\nproxy:x:44:\n")},
	}}
	load := func(text string) (settings, sandbox.Options) {
		snap, d := conf.Load(conf.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Files: files})
		if snap == nil {
			t.Fatalf("%s\n%v", text, d.All())
		}
		return said.Value(snap.Global), sandbox.Wanted(snap.Global)
	}
	if s, box := load("global\n"); s != (settings{}) || box != (sandbox.Options{UID: -1, GID: -1}) {
		t.Errorf("without a word: %+v, %+v", s, box)
	}
	s, box := load("global\n user proxy\n group proxy\n chroot /x\n hard-stop-after 30s\n grace 5\n tune.maxpollevents 100\n no-memory-trimming\n no strict-limits\n")
	if s != (settings{30 * time.Second, 5 * time.Millisecond, 100, true, true}) || box != (sandbox.Options{UID: 33, GID: 44, Chroot: "/x"}) {
		t.Errorf("%+v, %+v", s, box)
	}
	if _, box := load("global\n uid 0\n gid 0\n"); box.UID != 0 || box.GID != 0 {
		t.Errorf("%+v", box)
	}

	oracle.CheckRefused(t, "global\n", []oracle.Refused{
		{Line: "user nosuchuser", Want: "cannot find user id for 'nosuchuser' (not found)"},
		{Line: "uid x", Want: "uid: string 'x' is not a number.\n   | You might want to use the 'user' parameter to use a system user name.", Ours: true},
		{Line: "chroot", Want: "'chroot' expects a directory as an argument."},
		{Line: "hard-stop-after x", Want: "unexpected character 'x' in argument to <hard-stop-after>."},
		{Line: "grace", Want: "'grace' expects <time> as argument."},
	})
}

// A second setting of what there is one of is told, and left out: the first counts.
func TestTwice(t *testing.T) {
	const twice = "global\n chroot /tmp\n chroot /var\n uid 65534\n uid 65533\n gid 65534\n group root\n"
	snap, _ := bed.Load(1, twice)
	if snap == nil {
		t.Fatal("refused")
	}
	if box := sandbox.Wanted(snap.Global); box != (sandbox.Options{Chroot: "/tmp", UID: 65534, GID: 65534}) {
		t.Errorf("%+v", box)
	}
	oracle.CheckSaid(t, twice, ":3] : 'chroot' already specified. Continuing.", ":5] : user/uid already specified. Continuing.", ":7] : gid/group was already specified. Continuing.")
}
