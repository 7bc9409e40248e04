package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The examples of README.md must do what it says.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	pairs := regexp.MustCompile("(?s)```haproxy\n(.*?)```\n```text\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if n := strings.Count(string(text), "```haproxy"); n == 0 || n != len(pairs) {
		t.Fatalf("%d examples, %d with a result", n, len(pairs))
	}
	for _, p := range pairs {
		var d Diagnostics
		var b strings.Builder
		for _, s := range Evaluate([]*File{Parse("example.cfg", []byte(p[1]))}, Options{Version: "3.4.0"}, &d) {
			b.WriteString(strings.Join(s.Args, "|") + "\n")
			for _, st := range s.Statements {
				b.WriteString("    ")
				if st.No {
					b.WriteString("no ")
				}
				b.WriteString(strings.Join(st.Args, "|") + "\n")
			}
		}
		for _, x := range d.All() {
			b.WriteString(x.Severity.String() + " " + x.String() + "\n")
		}
		if b.String() != p[2] {
			t.Errorf("for\n%s\ngot\n%s\nwant\n%s", p[1], b.String(), p[2])
		}
	}
	for _, k := range SectionKinds() {
		if !strings.Contains(string(text), "`"+k+"`") {
			t.Errorf("section %s is not mentioned", k)
		}
	}
	for p := range predicates {
		if !strings.Contains(string(text), "`"+p+"(") {
			t.Errorf("predicate %s is not mentioned", p)
		}
	}
	for _, p := range append(prefixes, typePrefixes...) {
		if !strings.Contains(string(text), "`"+p.text+"`") {
			t.Errorf("address prefix %s is not mentioned", p.text)
		}
	}
}
