package config

import (
	"bytes"
	"strings"
	"testing"
)

// A file arrives as it is, whichever of its sections the other side has.
func TestManifest(t *testing.T) {
	text := []byte("# top\nglobal\n maxconn 1\nbackend a\n retries 1\nbackend b\n.if 1\n.endif\nbackend c\n retries 3")
	parts := Cut(text)
	have := map[Sum][]byte{}
	for i := range parts {
		if p := &parts[i]; p.Plain {
			have[p.Sum()] = p.Text
		}
	}
	for _, missing := range []string{"", "global", "backend a", "backend"} {
		find := func(s Sum) []byte {
			if b := have[s]; b != nil && (missing == "" || !bytes.HasPrefix(b, []byte(missing))) {
				return b
			}
			return nil
		}
		data := Manifest(parts, nil)
		if strings.Contains(string(data), "retries 1") {
			t.Errorf("a section that can be named is told as a whole:\n%s", data)
		}
		_, lacking, err := ReadManifest(data, find)
		if err != nil || (len(lacking) > 0) != (missing != "") {
			t.Fatalf("without %q: %v lacking, %v", missing, lacking, err)
		}
		lack := map[Sum]bool{}
		for _, s := range lacking {
			if again, err := ParseSum(s.String()); err != nil || again != s {
				t.Fatal(again, err)
			}
			lack[s] = true
		}
		got, lacking, err := ReadManifest(Manifest(parts, func(s Sum) bool { return lack[s] }), find)
		if err != nil || len(lacking) > 0 {
			t.Fatalf("without %q, told what lacks: %v, %v", missing, lacking, err)
		}
		if f := Join("f", got); !bytes.Equal(f.Bytes(), text) || evaluated(f, nil) != evaluated(Text("f", text), nil) {
			t.Errorf("without %q: %q", missing, f.Bytes())
		}
	}
}

func TestManifestErrors(t *testing.T) {
	for _, bad := range []string{"x", "=", "= 12\n", "= " + strings.Repeat("g", 64), "+ 5\nabc", "+ -1\n", "+ x\n", "? 1\n", "+ 1\nab"} {
		if _, _, err := ReadManifest([]byte(bad), func(Sum) []byte { return []byte("x") }); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
