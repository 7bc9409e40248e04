package userlist_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/userlist"
)

func load(text string) string {
	_, d := conf.Load(conf.Input{Sources: []*config.File{config.Parse("f", []byte(text))}, Options: config.Options{Env: config.NewEnvironment(nil)}})
	var out []string
	for _, x := range d.All() {
		if x.Severity == config.Alert {
			out = append(out, x.String())
		}
	}
	return strings.Join(out, "\n")
}

func TestUserlist(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"userlist l\n group g users a\n user a insecure-password x\n user b password $5$abc$def groups g\n", ""},
		{"userlist l\n user a insecure-password\n", "'insecure-password' expects an argument"},
		{"userlist l\n user a groups nope\n", "no such group 'nope'"},
		{"userlist l\n group g users nope\n", "no such user 'nope'"},
		{"userlist l\n user a\n user a\n", "[f:3] : duplicated user 'a'"},
		{"userlist l\n usr a\n", "did you mean 'user'"},
		{"userlist\n", "expects <name>"},
	} {
		got := load(c.text)
		if c.want == "" && strings.Contains(got, "userlist") || !strings.Contains(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}
