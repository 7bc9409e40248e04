package master

import (
	"strings"
	"testing"
)

func TestWithPayload(t *testing.T) {
	if got := withPayload("show info", nil); got != "show info\n" {
		t.Errorf("without payload: %q", got)
	}
	for _, payload := range []string{"", "a\n", "a", "%EOF%\n\n<<x\n"} {
		lines := strings.SplitN(withPayload("add config @1 x", []byte(payload)), "\n", 2)
		cmd, end, ok := strings.Cut(lines[0], " <<")
		if !ok || cmd != "add config @1 x" || len(end) == 0 || len(end) > 64 {
			t.Fatalf("first line %q", lines[0])
		}
		if want := payload + "\n" + end + "\n"; lines[1] != want {
			t.Errorf("payload %q: sent %q, want %q", payload, lines[1], want)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{"/etc/a.cfg": "/etc/a.cfg", "a b;c": `a\ b\;c`, `x\y<<z`: `x\\y\<\<z`} {
		if got := escape(in); got != want {
			t.Errorf("escape(%q) = %q, want %q", in, got, want)
		}
	}
}
