package crtlist

import (
	"errors"
	"reflect"
	"testing"
)

const sample = `# house list
a.pem

b.pem [alpn h2  verify none] b.example !x.b.example
	a.pem *.a.example
last.pem`

func TestParse(t *testing.T) {
	l, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{File: "a.pem", Line: 2, Filters: []string{}},
		{File: "b.pem", Options: "alpn h2  verify none", Filters: []string{"b.example", "!x.b.example"}, Line: 4},
		{File: "a.pem", Filters: []string{"*.a.example"}, Line: 5},
		{File: "last.pem", Filters: []string{}, Line: 6},
	}
	if !reflect.DeepEqual(l.Entries(), want) {
		t.Errorf("%+v", l.Entries())
	}
	for _, bad := range []string{"a [x", "a x]", "[x] a", "a b [c]", "a [b] [c]", "a [b [c]", "a [b] c]", "a\x00"} {
		if _, err := Parse([]byte("ok.pem\n" + bad + "\n")); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestChange(t *testing.T) {
	l, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if e := l.Add(Entry{File: "n.pem", Options: "alpn h2", Filters: []string{"n.example"}}); e.Line != 7 {
		t.Errorf("line %d", e.Line)
	}
	if string(l.Bytes()) != sample+"\nn.pem [alpn h2] n.example\n" {
		t.Errorf("%q", l.Bytes())
	}
	if _, err := l.Remove("a.pem", 0); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("two entries: %v", err)
	}
	for _, c := range []struct {
		file string
		line int
	}{{"a.pem", 4}, {"zork.pem", 0}} {
		if _, err := l.Remove(c.file, c.line); !errors.Is(err, ErrNotFound) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := l.Remove("a.pem", 5); err != nil {
		t.Fatal(err)
	}
	if e, err := l.Remove("last.pem", 5); err != nil || e.File != "last.pem" {
		t.Errorf("the lines behind did not move: %v", err)
	}
	again, err := Parse(l.Bytes())
	if err != nil || !reflect.DeepEqual(again.Entries(), l.Entries()) {
		t.Errorf("%+v, %+v, %v", again.Entries(), l.Entries(), err)
	}
}

func TestCheck(t *testing.T) {
	for _, good := range []Entry{{File: "a"}, {File: "a", Options: "alpn h2", Filters: []string{"!x"}}} {
		if err := good.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []Entry{{}, {File: "#a"}, {File: "a b"}, {File: "a\nb"}, {File: "a[x]"}, {File: "a", Options: "x]"}, {File: "a", Options: "x\ny"},
		{File: "a", Filters: []string{"b c"}}, {File: "a", Filters: []string{""}}, {File: "a", Filters: []string{"x]"}}, {File: "a", Filters: []string{"[x]"}}} {
		if bad.Check() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// A list that is read is written as it was, and any entry of it makes a line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("a.pem [b] c\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err != nil {
			return
		}
		if got := string(l.Bytes()); got != string(data) && got != string(data)+"\n" {
			t.Errorf("%q became %q", data, got)
		}
		for _, e := range l.Entries() {
			back, ok, err := ParseLine(e.String())
			if err != nil || !ok || !back.Same(e) {
				t.Errorf("%+v became %+v, %v", e, back, err)
			}
		}
	})
}
