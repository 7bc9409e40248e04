package config

import (
	"slices"
	"strings"
	"testing"
)

// edit applies a change to a text and compares the whole file, so that nothing else may have moved.
func edit(t *testing.T, name, text, want string, change func(f *File, s []*Section)) {
	t.Helper()
	f := Parse("f", []byte(text))
	change(f, f.Sections())
	if got := string(f.Bytes()); got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
	for i, l := range Parse("f", f.Bytes()).Lines {
		if i >= len(f.Lines) || string(l.Raw) != string(f.Lines[i].Raw) {
			t.Errorf("%s: line %d of the tree is not a line of its text", name, i+1)
			break
		}
	}
}

func replace(text, old, with string) string {
	if !strings.Contains(text, old) {
		panic("no " + old)
	}
	return strings.Replace(text, old, with, 1)
}

func TestLineEdits(t *testing.T) {
	first := `    server s1 "${ADDR}:80" check # first` + "\n"
	edit(t, "append behind the last statement", sample, replace(sample, first, first+"    server s2 10.0.0.2:80\n"),
		func(_ *File, s []*Section) { s[3].Append("server", "s2", "10.0.0.2:80") })
	edit(t, "append quotes", sample, replace(sample, first, first+`    description "two words"`+"\n"),
		func(_ *File, s []*Section) { s[3].Append("description", "two words") })
	edit(t, "insert in front", sample, replace(sample, "    bind :80\n", "    mode tcp\n    bind :80\n"),
		func(_ *File, s []*Section) { s[2].Insert(0, "mode", "tcp") })
	edit(t, "indentation of the section", sample, replace(sample, "enough\n", "enough\n\tnbthread 2\n"),
		func(_ *File, s []*Section) { s[0].Append("nbthread", "2") })
	edit(t, "remove", sample, replace(sample, "    bind :80\n", ""),
		func(_ *File, s []*Section) { s[2].Remove(s[2].Body[0]) })
	edit(t, "remove what is not there", sample, sample,
		func(_ *File, s []*Section) { s[2].Remove(s[0].Body[0]) })
	edit(t, "set keeps indentation, comment, quotes and variables", sample,
		replace(sample, `server s1 "${ADDR}:80" check # first`, `server s1 "${ADDR}:80" weight 5 check # first`),
		func(_ *File, s []*Section) {
			s[3].Set(s[3].Body[0], "server", "s1", "${ADDR}:80", "weight", "5", "check")
		})
	edit(t, "set the header", sample, replace(sample, "frontend www from base", "frontend www"),
		func(_ *File, s []*Section) { s[2].Set(s[2].Header, "frontend", "www") })
	edit(t, "no line feed at the end", "global", "global\n    daemon\n",
		func(_ *File, s []*Section) { s[0].Append("daemon") })
	edit(t, "carriage returns", "global\r\n  daemon\r\n", "global\r\n  daemon\r\n  nbthread 2\r\n",
		func(_ *File, s []*Section) { s[0].Append("nbthread", "2") })
	edit(t, "another comment", sample, replace(sample, "check # first", "check # second"),
		func(_ *File, s []*Section) { s[3].Comment(s[3].Body[0], "second") })
	edit(t, "no comment", sample, replace(sample, "check # first", "check"),
		func(_ *File, s []*Section) { s[3].Comment(s[3].Body[0], "") })
	edit(t, "a first comment", "global\r\n  daemon  \r\n", "global\r\n  daemon # c\r\n",
		func(_ *File, s []*Section) { s[0].Comment(s[0].Body[0], "c") })
	for _, c := range []struct{ line, text string }{{"  daemon", "two\nlines"}, {`  x a\`, "c"}, {`  x "a`, "c"}} {
		text := "global\n" + c.line + "\n"
		edit(t, "no place for a comment", text, text, func(_ *File, s []*Section) {
			if s[0].Comment(s[0].Body[0], c.text) == nil {
				t.Errorf("%q %q: no error", c.line, c.text)
			}
		})
	}
	edit(t, "a line of comment", sample, replace(sample, "    bind :80\n", "    # why\n    bind :80\n"),
		func(_ *File, s []*Section) { s[2].InsertComment(0, "why") })
	edit(t, "copy", "a\nglobal\n x  'y' # z", "a\nglobal\n x  'y' # z\n", func(_ *File, s []*Section) { s[0].Copy(s[0].Body[0], []byte(" x  'y' # z")) })
	edit(t, "a last backslash does not escape what follows", "global\n  x a\\\n", "global\n  x 'a\\' b\n",
		func(_ *File, s []*Section) { s[0].Set(s[0].Body[0], "x", `a\`, "b") })
	edit(t, "an open quote does not swallow what follows", "global\n  x \"a\n", "global\n  x a b\n",
		func(_ *File, s []*Section) { s[0].Set(s[0].Body[0], "x", "a", "b") })
	edit(t, "comment directly behind a word", "global\n  x#c\n", "global\n  y #c\n",
		func(_ *File, s []*Section) { s[0].Set(s[0].Body[0], "y") })
}

func TestSectionEdits(t *testing.T) {
	edit(t, "at the end", sample, sample+"\nbackend b from base\n",
		func(f *File, _ []*Section) { f.InsertSection(nil, "backend", "b", "base") })
	edit(t, "in an empty file", "", "global\n    daemon\n",
		func(f *File, _ []*Section) { f.InsertSection(nil, "global", "", "").Append("daemon") })
	edit(t, "comments above the next header stay with it", sample,
		replace(sample, "    mode http\n", "    mode http\n\nfrontend x\n    bind :81\n"),
		func(f *File, s []*Section) { f.InsertSection(s[1], "frontend", "x", "").Append("bind", ":81") })
	edit(t, "no blank between", "global\n a\nlisten x\n b\n", "global\n a\n\nlisten y\n\nlisten x\n b\n",
		func(f *File, s []*Section) { f.InsertSection(s[0], "listen", "y", "") })
	edit(t, "in front of all", replace(sample, "global # process\n\tmaxconn 100   # enough\n", ""),
		replace(sample, "global # process\n\tmaxconn 100   # enough\n", "\nglobal\n"),
		func(f *File, _ []*Section) { f.PrependSection("global", "", "") })
	edit(t, "remove with its comment", sample,
		replace(sample, "# the site\nfrontend www from base\n    bind :80\n    # keep this one last\n    default_backend \"app\"\n\n", ""),
		func(f *File, s []*Section) { f.RemoveSection(s[2]) })
	edit(t, "remove the first, the head of the file stays", sample,
		replace(sample, "global # process\n\tmaxconn 100   # enough\n\n", ""),
		func(f *File, s []*Section) { f.RemoveSection(s[0]) })
	edit(t, "remove the last", "global\n a\n\nlisten x\n b", "global\n a\n\n",
		func(f *File, s []*Section) { f.RemoveSection(s[1]) })
	edit(t, "remove twice", "listen x\n b\nlisten y\n", "listen y\n",
		func(f *File, s []*Section) { f.RemoveSection(s[0]); f.RemoveSection(s[0]) })
}

// A section inside of a condition must not lose the directives that close it, nor take in those of its neighbours.
func TestEditsWithinConditions(t *testing.T) {
	const text = ".if A\nbackend a\n s 1\n .if B\n s 2\n .endif\n.else\nbackend a\n s 3\n.endif\nbackend b\n s 4\n\n.if C\nbackend c\n s 5\n.endif\n"
	edit(t, "append in the first arm", text, replace(text, " .endif\n", " .endif\n x\n"), func(_ *File, s []*Section) { s[0].Append("x") })
	edit(t, "append in the other arm", text, replace(text, " s 3\n", " s 3\n x\n"), func(_ *File, s []*Section) { s[1].Append("x") })
	edit(t, "append in front of a condition", text, replace(text, " s 4\n", " s 4\n x\n"), func(_ *File, s []*Section) { s[2].Append("x") })
	edit(t, "insert behind a conditional section", text, replace(text, " s 3\n", " s 3\n\nlisten x\n\n"),
		func(f *File, s []*Section) { f.InsertSection(s[1], "listen", "x", "") })
	edit(t, "remove the first arm's", text, replace(text, "backend a\n s 1\n .if B\n s 2\n .endif\n", ""),
		func(f *File, s []*Section) { f.RemoveSection(s[0]) })
	edit(t, "remove one between conditions", text, replace(text, "backend b\n s 4\n\n", ""), func(f *File, s []*Section) { f.RemoveSection(s[2]) })
	edit(t, "remove the last", text, replace(text, "backend c\n s 5\n", ""), func(f *File, s []*Section) { f.RemoveSection(s[3]) })
}

// The view that InsertSection returns must be the one that Sections would give.
func TestInsertedView(t *testing.T) {
	for _, text := range []string{sample, ".if A\nbackend a\n s 1\n.endif\n# c\nbackend b\n"} {
		n := len(Parse("f", []byte(text)).Sections())
		for i := range n {
			f := Parse("f", []byte(text))
			s := f.InsertSection(f.Sections()[i], "backend", "n", "")
			all := f.Sections()
			if len(all) != n+1 || all[i+1].Header != s.Header || !slices.Equal(all[i+1].Body, s.Body) {
				t.Errorf("behind section %d of %q: body of %d lines; Sections says %d", i, text, len(s.Body), len(all[i+1].Body))
			}
		}
	}
}
