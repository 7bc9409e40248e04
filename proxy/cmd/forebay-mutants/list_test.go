package main

import (
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	ms, err := parse("a.txt", "# why\n= proxy/internal/engine/queue/queue.go: full too late\n  if full {\n- return a\n+ return b\n! ./internal/engine/queue -run X\n\n= proxy/x/y.go: gone\n- f()\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(ms) != 2 || ms[0].module() != "proxy" || strings.Join(ms[0].tests, " ") != "./internal/engine/queue -run X" || strings.Join(ms[1].tests, " ") != "./x" {
		t.Fatalf("%+v", ms)
	}
	if ms, err := parse("a.txt", "! ./a ./b\n= f/x.go: w\n- x\n= f/y.go: w\n- x\n! ./c\n"); err != nil || strings.Join(ms[0].tests, " ") != "./a ./b" || strings.Join(ms[1].tests, " ") != "./c" {
		t.Errorf("%+v, %v", ms, err)
	}
	got, err := ms[0].apply("x\n\tif full {\n\t\treturn a\n\t}\n")
	if err != nil || got != "x\n\tif full {\n return b\n\t}\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := ms[1].apply("a\n\tf()\nb"); err != nil || got != "a\nb" {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{"a\n": "fits nowhere", "f()\nf()\n": "fits at lines 1 and 2"} {
		if _, err := ms[1].apply(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"- x\n":         "before the first",
		"= file\n- x\n": "want '= file",
		"= f: w\n":      "no change",
		"= f: w\nx\n":   "begins with",
	} {
		if _, err := parse("a.txt", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every list is in step with the code: a change that fits no more tests nothing.
func TestListsFit(t *testing.T) {
	r := run{root: "../../.."}
	ms, err := readLists("../../../scripts/mutants")
	if err != nil {
		t.Fatal(err)
	}
	for i := range ms {
		if _, err := r.changed(&ms[i]); err != nil {
			t.Errorf("%s: %v", ms[i].at, err)
		}
	}
}
