package config

import (
	"reflect"
	"testing"
)

const sample = `# managed by hand
global # process
	maxconn 100   # enough

defaults base
    mode http

# the site
frontend www from base
    bind :80
    # keep this one last
    default_backend "app"

backend app
    server s1 "${ADDR}:80" check # first

    # spare
`

func TestRoundTrip(t *testing.T) {
	for _, text := range []string{
		"", "\n", "a", "a\n\n", "global\r\n  daemon\r\n", "\x00\n\"\n", sample, "frontend", " \t", "x \\\n y\n", "'", `"${`,
	} {
		if got := string(Parse("f", []byte(text)).Bytes()); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestSections(t *testing.T) {
	f := Parse("f", []byte(sample))
	type view struct {
		Kind, Name, From string
		Body             int
	}
	var got []view
	for _, s := range f.Sections() {
		got = append(got, view{s.Kind, s.Name, s.From, len(s.Body)})
	}
	want := []view{
		{"global", "", "", 2}, {"defaults", "base", "", 3}, {"frontend", "www", "base", 4}, {"backend", "app", "", 3},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	l := f.Sections()[3].Body[0]
	if l.Comment != "first" || l.Indent() != "    " || l.No != 15 || l.Words[2] != "${ADDR}:80" {
		t.Errorf("got %+v", l)
	}
}

func TestHeaderSyntax(t *testing.T) {
	tests := []struct{ line, name, from string }{
		{"defaults", "", ""},
		{"defaults from b", "", "b"},
		{"defaults from", "", ""},
		{"defaults a from b", "a", "b"},
		{"defaults from from b", "", "from"},
		{"frontend from from b", "from", "b"},
		{"backend a from", "a", ""},
		{"listen a b", "a", ""},
		{"peers a from b", "a", ""},
		{"global", "", ""},
	}
	for _, tt := range tests {
		s := Parse("f", []byte(tt.line)).Sections()[0]
		if s.Name != tt.name || s.From != tt.from {
			t.Errorf("%q: name %q from %q", tt.line, s.Name, s.From)
		}
	}
}
