package config

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
)

// known remembers sections, as a loader does that keeps what it made of them.
type known struct {
	list  []*Block
	asked int
	found int
}

func (k *known) find(p *Part, env uint64, pos Pos) *Block {
	text := p.Text
	k.asked++
	for _, b := range k.list {
		if bytes.Equal(b.Text, text) && b.Env == env && b.Pos.File == pos.File {
			k.found++
			c := *b
			c.Pos, c.Statements = pos, nil
			for _, st := range b.Statements {
				st.Pos.Line += pos.Line - b.Pos.Line
				c.Statements = append(c.Statements, st)
			}
			return &c
		}
	}
	return nil
}

func evaluated(f *File, k *known) string {
	var d Diagnostics
	var find Known
	if k != nil {
		find = k.find
	}
	opt := Options{Version: "3.4.0", Env: NewEnvironment([]string{"A=b", "BE=backend x"})}
	blocks := EvaluateKnown([]*File{f}, opt, &d, find)
	text := fmt.Sprintln(opt.Env.Environ())
	for _, b := range blocks {
		c := *b
		c.Text, c.Env = nil, 0
		text += fmt.Sprintf("%+v\n", c)
	}
	if k != nil && !d.HasErrors() && d.Count(Warning) == 0 {
		k.list = nil
		for _, b := range blocks {
			if b.Text != nil {
				b.Text = bytes.Clone(b.Text)
				k.list = append(k.list, b)
			}
		}
	}
	return text + fmt.Sprintln(d.All())
}

// checkKnown holds that a file says the same whether its lines are taken apart
// beforehand or when they are needed, and whether or not its sections are known.
func checkKnown(t *testing.T, data []byte) *known {
	t.Helper()
	k := new(known)
	want := evaluated(Parse("f", data), nil)
	for _, got := range []string{evaluated(Text("f", data), nil), evaluated(Text("f", data), k), evaluated(Text("f", data), k)} {
		if got != want {
			t.Fatalf("%q\ngot  %s\nwant %s", data, got, want)
		}
	}
	f := Join("f", Cut(data))
	if got := evaluated(f, &known{list: k.list}); got != want || !bytes.Equal(f.Bytes(), data) {
		t.Fatalf("%q in parts: %q\ngot  %s\nwant %s", data, f.Bytes(), got, want)
	}
	moved := append([]byte("# a line above\n"), data...)
	if got, want := evaluated(Text("f", moved), k), evaluated(Parse("f", moved), nil); got != want {
		t.Fatalf("%q\ngot  %s\nwant %s", moved, got, want)
	}
	return k
}

func TestKnownSections(t *testing.T) {
	for _, c := range []struct {
		text  string
		found int // of the second and the third time, together
	}{
		{"global\n maxconn 5\ndefaults\n mode http\nbackend a\n server s 1:1\n# between\nbackend b\n", 8},
		{"backend a # x\r\n server s \"$A\"\r\nbackend b\r\n", 4},
		{"backend a\n\"server\" s 1:1\nbackend b\n", 0},
		{"backend a\n\"$BE\"\nbackend b\n", 0},
		{"backend a\n server s ${.LINE}\nbackend b\n", 2},
		{"backend a\n server s \"$.LINE\"\nbackend b\n", 2},
		{".if defined(A)\nbackend a\n.endif\nbackend b\n", 2},
		{"backend a\n.if defined(A)\n retries 1\n.endif\nbackend b\n", 2},
		{".if !defined(A)\nbackend a\n retries 1\nbackend b\n.endif\nbackend c\n", 2},
		{"global\n setenv A x\nbackend a\n server s \"$A\"\nglobal\n setenv A y\nbackend b\n", 4},
		{"backend a\n retries 1\n stray\x00nul\nbackend b\n", 0},
		{" retries 1\nbackend b\n", 0},
		{"\tbackend  b  \n retries 1", 0},
	} {
		if k := checkKnown(t, []byte(c.text)); k.found != c.found {
			t.Errorf("%q: found %d", c.text, k.found)
		}
	}
}

func TestCut(t *testing.T) {
	text := "# top\n\nglobal\n maxconn 1\ndefaults d\nbackend b\n x\n.endif\n"
	var got []string
	for _, c := range Cut([]byte(text)) {
		got = append(got, fmt.Sprintf("%v %q", c.Plain, c.Text))
	}
	want := []string{`false "# top\n\n"`, `true "global\n maxconn 1\n"`, `true "defaults d\n"`, `false "backend b\n x\n.endif\n"`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

// Parts that come from elsewhere, as they were told: what is not plain is cut again, and one line that has to be taken
// apart makes all of them uncertain, as in one text.
func TestJoin(t *testing.T) {
	a, b, quoted := Part{Text: []byte("backend a\n retries 1\n"), Plain: true}, Part{Text: []byte("backend b\n retries 2\n"), Plain: true}, Part{Text: []byte("backend c\n \"retries\" 3\n")}
	for _, c := range []struct {
		name  string
		parts []Part
		plain int
	}{
		{"all known", []Part{a, b}, 2},
		{"one as text", []Part{a, {Text: b.Text}}, 2},
		{"two in one text", []Part{{Text: append(bytes.Clone(a.Text), b.Text...)}}, 2},
		{"empty", []Part{{}, a, {}}, 1},
		{"none", nil, 0},
		{"a line to be taken apart", []Part{a, quoted, b}, 0},
		{"a line that goes on", []Part{{Text: []byte("backend a\n retries ")}, {Text: []byte("1\nbackend b\n")}}, 2},
		{"a header that is none", []Part{{Text: []byte("frontend f\n de")}, {Text: []byte("backend b\n")}}, 1},
	} {
		var text []byte
		for _, p := range c.parts {
			text = append(text, p.Text...)
		}
		f := Join("f", c.parts)
		if got, want := evaluated(f, nil), evaluated(Text("f", text), nil); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", c.name, got, want)
		}
		k := new(known)
		evaluated(f, k)
		if k.asked != c.plain || !bytes.Equal(f.Bytes(), text) {
			t.Errorf("%s: %d sections are plain, text %q", c.name, k.asked, f.Bytes())
		}
	}
}
