package conf

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

type realFiles struct{}

func (realFiles) Open(name string) (fs.File, error) { return os.Open(name) }

// TestDefaultPath: where files with relative names are looked for.
func TestDefaultPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"page", "etc/page", "etc/lb/page", "etc/other/page", "srv/page", "srv/s/page", "abs"} {
		os.MkdirAll(filepath.Dir(name), 0o700)
		if err := os.WriteFile(name, []byte("HTTP/1.1 503 X\r\n\r\n"+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ line, name, want, other string }{
		{"", "page", "page", ""},
		{"default-path current", "page", "page", ""},
		{"default-path config", "page", "etc/lb/page", "etc/other/page"},
		{"default-path config", "../page", "etc/page", ""},
		{"default-path parent", "page", "etc/page", ""},
		{"default-path parent", "lb/page", "etc/lb/page", ""},
		{"default-path origin " + dir + "/srv", "page", "srv/page", ""},
		{"default-path origin srv/", "s/page", "srv/s/page", ""},
		{"default-path origin " + dir + "/nowhere", "page", "", ""},
		{"default-path config\n default-path origin srv", "page", "srv/page", ""},
		{"default-path config", dir + "/abs", "abs", ""},
		{"default-path parent", dir + "/abs", "abs", ""},
		{"default-path origin srv", dir + "/abs", "abs", ""},
	} {
		if c.other == "" {
			c.other = c.want
		}
		first, line := "global\n "+c.line+"\n", "backend b\n errorfile 503 "+c.name+"\n"
		for _, f := range []struct {
			files [][2]string
			want  string
		}{
			{[][2]string{{"etc/lb/a.cfg", first + line}}, c.want},
			{[][2]string{{dir + "/etc/lb/a.cfg", first + line}}, c.want},
			// The folder is that of the file that the line is in, not of the first one.
			{[][2]string{{"etc/lb/a.cfg", first}, {"etc/other/b.cfg", line}}, c.other},
		} {
			var sources []*config.File
			for _, s := range f.files {
				sources = append(sources, config.Parse(s[0], []byte(s[1])))
			}
			got := ""
			s, d := Load(Input{Sources: sources, Files: realFiles{}, Threads: 1, MaxConn: 100})
			if s != nil {
				got = string(s.Backends["b"].ErrorFiles[503].Body)
			}
			if got != f.want {
				t.Errorf("%q, errorfile %s in %s: the page is of %q, want %q\n%v", c.line, c.name, f.files[len(f.files)-1][0], got, f.want, d.All())
			}
		}
	}
}
