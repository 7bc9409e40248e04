package config_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "A-1_b.c:d", "0"} {
		if bad, ok := config.ValidName(name); !ok {
			t.Errorf("%q: %q", name, bad)
		}
	}
	for name, want := range map[string]rune{"a b": ' ', "a/b": '/', "a$": '$', "\u00e4": '\u00e4', "\x00": 0, "a\x00b": 0, "a\x00/": 0, "a\xff": '\ufffd', "a\n": '\n', "\x7f": 0x7f} {
		if bad, ok := config.ValidName(name); ok || bad != want {
			t.Errorf("%q: %q, %v", name, bad, ok)
		}
	}
}
