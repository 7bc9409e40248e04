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

func (k *known) find(text []byte, env uint64, pos Pos) *Block {
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

func TestChunks(t *testing.T) {
	text := "# top\n\nglobal\n maxconn 1\ndefaults d\nbackend b\n x\n.endif\n"
	var got []string
	for _, c := range chunks([]byte(text)) {
		got = append(got, fmt.Sprintf("%d %v %q", c.line, c.plain, c.text))
	}
	want := []string{`1 false "# top\n\n"`, `3 true "global\n maxconn 1\n"`, `5 true "defaults d\n"`, `6 false "backend b\n x\n.endif\n"`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}
