package layers

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const house = "../../../" // of the module

// The table of ARCHITECTURE.md that tells where things are added is true: what it
// has registers something, and each example is a test that registers with it.
func TestPlacesToAdd(t *testing.T) {
	text, err := os.ReadFile(house + "ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "## The one place to add it\n")
	if !ok {
		t.Fatal("there is no such table")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	call := regexp.MustCompile("`((?:conf|stream|sample|rule|runtimeapi)\\.Register\\w*)`")
	example := regexp.MustCompile("`(internal/\\S+_test\\.go)`")
	rows := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "--") || cells[1] == " what " {
			continue
		}
		for what := range strings.SplitSeq(cells[1], ",") {
			rows[strings.TrimSpace(what)] = true
		}
		files := example.FindAllStringSubmatch(cells[3], -1)
		if files == nil {
			if cells[3] != " the rows that are there " {
				t.Errorf("%s: there is no example in%s", cells[1], cells[3])
			}
			continue
		}
		var code []byte
		for _, f := range files {
			one, err := os.ReadFile(house + f[1])
			if err != nil {
				t.Error(err)
			}
			code = append(code, one...)
		}
		if !strings.Contains(string(code), "\nfunc Test") {
			t.Errorf("%s:%sis no test", cells[1], cells[3])
		}
		calls := call.FindAllStringSubmatch(cells[2], -1)
		if calls == nil {
			t.Errorf("%s: it is not said what registers it", cells[1])
		}
		for _, c := range calls {
			_, name, _ := strings.Cut(c[1], ".")
			if !regexp.MustCompile(`\b` + name + `[(\[]`).Match(code) {
				t.Errorf("%s:%sdoes not call %s", cells[1], cells[3], c[1])
			}
		}
	}
	for _, what := range []string{"a fetch", "a converter", "an action", "a Runtime command", "a column of `show stat`", "an option of server lines",
		"a balance algorithm", "a filter", "a service", "a section", "a protocol"} {
		if !rows[what] {
			t.Errorf("%s is not in the table", what)
		}
	}
}
