package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// FuzzParse holds what every text must hold: it survives a round trip, evaluation ends without a panic and with bounded
// results, whether or not its sections are known, a line that is rewritten with its own words means the same, and an inserted line leaves the rest alone.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		sample,
		"global\n setenv A \"x y\"\n a \"${A[*]}\" '$A' \\x41\\ b # c\n.if streq(\"$A\",x) && !(defined(B) || 0)\n b\n.else\n c\n.endif\n",
		"listen x\n bind :80\n server s \"${NO-1.2.3.4}:80\" # c\\\n no option y\n.notice \"$.LINE\"\n",
		"a 'b\n\"${A\n\\x4\n\x00\r\n.if (\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := Parse("fuzz", data)
		if !bytes.Equal(file.Bytes(), data) {
			t.Fatal("the round trip changed the text")
		}
		var d Diagnostics
		for _, b := range Evaluate([]*File{file}, Options{Env: NewEnvironment([]string{"A=a b c"}), Version: "3.4"}, &d) {
			for _, s := range b.Statements {
				if len(s.Args) == 0 || len(s.Args) > MaxWords || slices.Contains(s.Args, "") {
					t.Fatalf("statement %q", s.Args)
				}
			}
		}
		if len(d.All()) > MaxDiagnostics+1 {
			t.Fatal("too many diagnostics")
		}
		checkKnown(t, data)
		if len(file.Lines) > 200 {
			return // edits are slower than reading
		}
		for _, s := range Parse("fuzz", data).Sections() {
			for _, l := range s.Body {
				words := slices.Clone(l.Words)
				if len(words) == 0 || l.err != nil {
					continue
				}
				s.Set(l, words...)
				if !slices.Equal(l.Words, words) || l.err != nil {
					t.Fatalf("%q rewritten is %q", words, l.Raw)
				}
			}
			n := len(s.File.Bytes())
			l := s.Append("new", "word with blanks")
			if len(s.File.Bytes()) > n+len(l.Raw)+2 || len(l.Words) != 2 {
				t.Fatalf("append wrote %q", l.Raw)
			}
			s.Remove(l)
		}
		for _, s := range file.Sections() {
			n := len(file.Sections())
			added := file.InsertSection(s, "backend", "new", "")
			if len(file.Sections()) != n+1 {
				t.Fatal("a section more or less")
			}
			file.RemoveSection(added)
			file.RemoveSection(s)
			if len(file.Sections()) != n-1 {
				t.Fatal("a section stayed")
			}
		}
	})
}

// FuzzQuote holds that a quoted word is read back as it was, in both layers.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a b", `"$A" 'x'`, "\\", "a\\\nb", "#", "\x00é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, w string) {
		line := []byte("k " + Quote(w) + " e # c\n")
		for _, env := range []lookup{nil, func(string) (string, bool) { return "expanded", true }} {
			words, _, err := split(line, env)
			if err != nil || len(words) != 3 || words[1].text != w {
				t.Fatalf("%q written as %q is read as %q, %v", w, line, texts(words), err)
			}
		}
	})
}

// FuzzCondition holds that no expression makes the evaluation panic, and that an error points into it.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{"1", "!(streq(a,\"b\\\")\") && 0x1)", "defined(A", "version_atleast(3.4-dev1-x-3)||1", strings.Repeat("(", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		_, err := EvalCondition(expr, Options{Version: "3.4"})
		if ce, ok := err.(*ConditionError); err != nil && (!ok || ce.At < 0 || ce.At > len(expr)) {
			t.Fatalf("%q: %#v", expr, err)
		}
	})
}

// FuzzAddress holds that what is accepted is in range.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"tcp4@1.2.3.4:80-90", "[::1]:+5", "stream+fd@3", "/x", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s, AddressOptions{Port: true, PortRange: true, PortOffset: true})
		if err == nil && (a.PortLow > 65535 || a.PortHigh > 65535 || a.PortLow > a.PortHigh || a.FD < 0) {
			t.Fatalf("%+v", a)
		}
	})
}
