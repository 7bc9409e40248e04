package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/forebay-lb/forebay/proxy/"

// wings lie on each other: each imports what stands before it, and itself.
var wings = []string{"config", "internal/version", "internal/console", "internal/engine", "internal/pki", "internal/feature", "internal/process", "cmd"}

// uses is the table of features that use others. What is not in it does not depend on
// another feature, so that a folder can go with its import line.
var uses = map[string][]string{
	"acl":         {"pattern", "sample"},
	"balance":     {"payload", "sample"},
	"bwlim":       {"rule", "sample"},
	"priority":    {"rule", "sample"},
	"capture":     {"rule", "sample"},
	"cookie":      {"payload"},
	"compression": {"sample"},
	"check":       {"logformat", "logs", "proxyproto", "sample", "ssl"},
	"logformat":   {"sample"},
	"logs":        {"capture", "logformat", "rule", "sample"},
	"maps":        {"logformat", "pattern", "rule", "sample"},
	"pattern":     {"sample"},
	"payload":     {"sample"},
	"promex":      {"stats"},
	"proxyproto":  {"logformat", "rule", "sample", "ssl", "uniqueid"},
	"ring":        {"logs"},
	"rule":        {"logformat", "pattern", "sample"},
	"ssl":         {"logs", "sample"},
	"statspage":   {"stats"},
	"uniqueid":    {"logformat", "sample"},
	"vars":        {"check", "logformat", "rule", "sample"},
}

func wing(folder string) int {
	return slices.IndexFunc(wings, func(w string) bool { return folder == w || strings.HasPrefix(folder, w+"/") })
}

func TestArrows(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	used := map[string]bool{}
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		from := filepath.ToSlash(filepath.Dir(rel))
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		n++
		ofTest := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(from, "internal/testing") || strings.HasPrefix(from, "e2e")
		for _, i := range f.Imports {
			full, _ := strconv.Unquote(i.Path.Value)
			to, ok := strings.CutPrefix(full, module)
			if !ok || ofTest {
				continue
			}
			arrow := from + " → " + to
			switch a, b := wing(from), wing(to); {
			case strings.HasPrefix(to, "internal/testing"):
				t.Errorf("%s: only tests import what is for tests", rel)
			case a < 0 || b < 0:
				t.Errorf("%s: %s belongs to no wing", rel, arrow)
			case b > a:
				t.Errorf("%s: %s points upwards", rel, arrow)
			case a > b && wings[b] == "internal/feature" && to != "internal/feature":
				t.Errorf("%s: %s names a feature; it may hang in by package life", rel, arrow)
			case wings[a] == "internal/feature" && a == b && from != "internal/feature":
				x, y := filepath.Base(from), filepath.Base(to)
				if !slices.Contains(uses[x], y) {
					t.Errorf("%s: feature %s uses %s; the table of features that use others does not say so", rel, x, y)
				}
				used[x+" "+y] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 200 {
		t.Errorf("only %d files read", n)
	}
	for x, ys := range uses {
		for _, y := range ys {
			if !used[x+" "+y] {
				t.Errorf("feature %s does not use %s any more: take it out of the table", x, y)
			}
		}
	}
}
