package config

import "testing"

func TestExpand(t *testing.T) {
	e := NewEnvironment([]string{"A=one", "B_2=two", "E="})
	for in, want := range map[string]string{
		"": "", "plain:80": "plain:80", "$A": "one", "${A}": "one", "$A:80": "one:80", ":$A": ":one", "${A}${B_2}": "onetwo", "x$A.$B_2": "xone.two",
		"$NONE": "", "${NONE}:80": ":80", "$E:1": ":1", "$": "", "a$": "a", "${A": "one", "${": "", "$A}": "one}", "$$A": "one",
	} {
		if got := e.Expand(in); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
}
