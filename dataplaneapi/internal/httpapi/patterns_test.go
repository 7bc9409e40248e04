package httpapi

import (
	"testing"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
)

// What stays of a file when the proxy's entries are written to it: comments, and lines that say the same.
func TestMapFile(t *testing.T) {
	const old = "# hosts\na  1\n\nb\t2 x\n # of c\nc 3"
	for _, c := range []struct {
		name string
		now  []runtime.Entry
		want string
	}{
		{"the same", []runtime.Entry{{Key: "a", Value: "1"}, {Key: "b", Value: "2 x"}, {Key: "c", Value: "3"}}, "# hosts\na  1\n\nb\t2 x\n # of c\nc 3\n"},
		{"another value", []runtime.Entry{{Key: "a", Value: "1"}, {Key: "b", Value: "9"}, {Key: "c", Value: "3"}}, "# hosts\na  1\n\nb 9\n # of c\nc 3\n"},
		{"one gone, one new", []runtime.Entry{{Key: "a", Value: "1"}, {Key: "c", Value: "3"}, {Key: "d", Value: "4"}}, "# hosts\na  1\n\n # of c\nc 3\nd 4\n"},
		{"another order", []runtime.Entry{{Key: "c", Value: "3"}, {Key: "a", Value: "1"}}, "# hosts\n\n # of c\nc 3\na 1\n"},
		{"twice", []runtime.Entry{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}}, "# hosts\na  1\n\n # of c\na 2\n"},
		{"none", nil, "# hosts\n\n # of c\n"},
	} {
		got := mapFile([]byte(old), c.now)
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		back := entriesOfFile(got)
		if len(back) != len(c.now) {
			t.Errorf("%s: %v is read back", c.name, back)
		}
		for i := range back {
			if back[i] != c.now[i] {
				t.Errorf("%s: %v is read back for %v", c.name, back[i], c.now[i])
			}
		}
	}
	if got := mapFile(nil, nil); got == nil {
		t.Error("no file at all for a map without entries")
	}
}
