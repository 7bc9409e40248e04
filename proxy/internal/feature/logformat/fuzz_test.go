package logformat

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/sample" // the fetches
)

func context() *conf.Ctx {
	return &conf.Ctx{
		Loading: &conf.Loading{Snap: &stream.Snapshot{Global: &stream.Global{}}, Diags: new(config.Diagnostics)},
		Proxy:   &stream.Proxy{Name: "f", Frontend: true, Mode: stream.HTTP},
	}
}

func TestConstant(t *testing.T) {
	for text, want := range map[string]string{
		"":            "",
		"a b":         "a b",
		"a   b  ":     "a b ",
		"100%%":       "100%",
		"%%%%":        "%%",
		"%{+Q}o text": "text",
	} {
		f, err := Compile(context(), text, Options{})
		if err != nil || !f.IsConstant() {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := string(f.Append(nil, nil)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	f, err := Compile(context(), "a   b  ", Options{Plain: true})
	if err != nil || string(f.Append(nil, nil)) != "a   b  " {
		t.Errorf("blanks are not kept: %v", err)
	}
}

// What becomes a header field has no character that may not stand there, and
// what becomes a log line none that a terminal would take for an order.
func TestEncoding(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, sign := range []byte("%#") {
		for _, f := range []flags{0, escaped, quoted, quoted | escaped} {
			out := encodeControls(append([]byte("at"), all...), 2, f, sign)
			for i, c := range out {
				if c < ' ' && (c != '\t' || sign != '%') || c == 0x7f {
					t.Errorf("%c %d: %d at %d", sign, f, c, i)
				}
				if f&escaped != 0 && c == '"' && out[i-1] != '\\' {
					t.Errorf("%c %d: a bare quote", sign, f)
				}
			}
		}
	}
	if got := string(encodeControls([]byte("a\r\nb\x7f"), 0, 0, '%')); got != "a%0D%0Ab%7F" {
		t.Error(got)
	}
	for _, x := range []struct {
		f    flags
		also string
		want string
	}{
		{0, ofValues, "a#22#23#7B#7C#7D~\\]#E9#0A"},
		{escaped, ofValues, "a#22#23#7B#7C#7D~\\\\\\]#E9#0A"},
		{0, ofLines, "a#22#23{|}~\\]#E9#0A"},
		{escaped, ofLines, "a#22#23{|}~\\\\\\]#E9#0A"},
	} {
		if got := string(encode([]byte("a\"#{|}~\\]\xe9\n"), 0, x.f, x.also)); got != x.want {
			t.Errorf("%d %s: %s, not %s", x.f, x.also, got, x.want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"%ci:%cp [%tr] %ft %b/%s", "%{+Q}o %{-Q}r", "%[src,ipmask(24)]", "%(name)[str(x)]", "%{+Q,+E}[hdr(a)]", "%", "%%", "%[", "%{", "%(", "%{+Q", "%[str('])')]", "%o%o", "a\tb",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, plain bool) {
		c, err := Compile(context(), s, Options{Plain: plain})
		if err == nil && c.IsConstant() {
			c.Append(nil, nil)
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}

// Formats may stand where there is no exchange, no connection, not even a process.
func TestAliasesNowhere(t *testing.T) {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, name := range stream.Aliases() {
		for _, flags := range []string{"", "{+Q}", "{+X}", "{+Q,+X,+E}"} {
			f, err := Compile(&conf.Ctx{Loading: &conf.Loading{Diags: new(config.Diagnostics), Snap: &stream.Snapshot{Global: &stream.Global{}}}}, "%"+flags+name, Options{})
			if err != nil {
				continue
			}
			for _, sc := range []*stream.Scope{{}, {R: r}, {Check: &stream.Check{}}, {FE: &stream.Proxy{}, BE: &stream.Proxy{}}} {
				f.Append(nil, sc)
			}
		}
	}
}
