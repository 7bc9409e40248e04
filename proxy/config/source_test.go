package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestReadSources(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"one.conf": "global\n", "d/b.cfg": "b\n", "d/a.cfg": "a\n", "d/B.cfg": "B\n", "d/.hidden.cfg": "h\n", "d/x.txt": "x\n", "d/sub.cfg/c.cfg": "c\n",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("b.cfg", filepath.Join(dir, "d/link.cfg")); err != nil {
		t.Fatal(err)
	}
	files, err := ReadSources(OS{}, []string{filepath.Join(dir, "one.conf"), filepath.Join(dir, "d"), filepath.Join(dir, "one.conf")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		rel, _ := filepath.Rel(dir, f.Name)
		got = append(got, rel+"="+strings.TrimSpace(string(f.Bytes())))
	}
	want := "one.conf=global d/B.cfg=B d/a.cfg=a d/b.cfg=b d/link.cfg=b one.conf=global"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}

	_, err = ReadSources(OS{}, []string{filepath.Join(dir, "no"), filepath.Join(dir, "nor")})
	wantErr := "Cannot open configuration file/directory " + dir + "/no : no such file or directory\n" +
		"Cannot open configuration file/directory " + dir + "/nor : no such file or directory"
	if err == nil || err.Error() != wantErr {
		t.Errorf("got %v", err)
	}
}

// hugeFS holds one file that never ends.
type hugeFS struct{ fstest.MapFS }

type endless struct{ fs.File }

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func (h hugeFS) Open(name string) (fs.File, error) {
	f, err := h.MapFS.Open(name)
	return endless{f}, err
}

func TestReadSourcesIsBounded(t *testing.T) {
	_, err := ReadSources(hugeFS{fstest.MapFS{"x": {Data: []byte("x")}}}, []string{"x"})
	if err == nil || !strings.Contains(err.Error(), "configuration file x is too large") {
		t.Errorf("got %v", err)
	}
}
