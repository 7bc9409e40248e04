package bundle_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
)

func read(t *testing.T, fsys fs.FS, name string) (string, error) {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	return b.String(), err
}

func TestRecorderKeepsWhatItRead(t *testing.T) {
	dir := t.TempDir()
	name, later := filepath.Join(dir, "a.http"), filepath.Join(dir, "later")
	os.WriteFile(name, []byte("first"), 0o600)
	rec := &bundle.Recorder{From: bundle.Disk{}}
	if got, err := read(t, rec, name); got != "first" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := read(t, rec, later); err == nil {
		t.Fatal("read a file that is not there")
	}
	os.WriteFile(name, []byte("second"), 0o600)
	os.WriteFile(later, []byte("here"), 0o600)
	if got, _ := read(t, rec, name); got != "first" {
		t.Errorf("second read gave %q: what is checked must be what is handed over", got)
	}
	if _, err := read(t, rec, later); err == nil {
		t.Error("a file came into being between two reads")
	}

	var wire bytes.Buffer
	sent := rec.Bundle([]*config.File{config.Parse("x.cfg", []byte("global\n"))})
	if err := bundle.Encode(&wire, sent); err != nil {
		t.Fatal(err)
	}
	var b bundle.Bundle
	if err := bundle.Decode(&wire, &b); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, &b, name); got != "first" || err != nil {
		t.Errorf("the bundle has %q, %v", got, err)
	}
	if _, err := read(t, &b, "/etc/passwd"); err == nil {
		t.Error("the bundle reads the disk")
	}
	if p := b.Parse(); len(p) != 1 || p[0].Name != "x.cfg" || string(p[0].Bytes()) != "global\n" {
		t.Errorf("sources: %+v", p)
	}
}

func TestRecorderKeepsFolders(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "b.pem"), nil, 0o600)
	os.WriteFile(filepath.Join(dir, "a.pem"), nil, 0o600)
	os.Mkdir(filepath.Join(dir, "inner"), 0o700)
	rec := &bundle.Recorder{From: bundle.Disk{}}
	names := func(fsys fs.FS) string {
		t.Helper()
		list, err := fs.ReadDir(fsys, dir)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, e := range list {
			text += e.Name() + " "
		}
		return text
	}
	if got := names(rec); got != "a.pem b.pem " {
		t.Fatalf("the folder has %q", got)
	}
	os.WriteFile(filepath.Join(dir, "c.pem"), nil, 0o600)
	if got := names(rec); got != "a.pem b.pem " {
		t.Errorf("a file came into being between two reads: %q", got)
	}
	if got := names(rec.Bundle(nil)); got != "a.pem b.pem " {
		t.Errorf("the bundle has %q", got)
	}
	if _, err := fs.ReadDir(rec.Bundle(nil), "/etc"); err == nil {
		t.Error("the bundle lists the disk")
	}
}

// TestDiskDoesNotWait: what a process could wait at for ever is refused at once;
// the null device is an empty file, whatever it is called.
func TestDiskDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	fifo, null := filepath.Join(dir, "fifo"), filepath.Join(dir, "null")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Symlink("/dev/null", null)
	for _, name := range []string{fifo, "/dev/zero"} {
		_, err := read(t, bundle.Disk{}, name)
		if err == nil || !strings.Contains(err.Error(), "neither a file nor a folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{null, "/dev/null"} {
		if got, err := read(t, bundle.Disk{}, name); got != "" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := (bundle.Disk{}).Open(dir); err != nil {
		t.Errorf("a folder: %v", err)
	}
}
